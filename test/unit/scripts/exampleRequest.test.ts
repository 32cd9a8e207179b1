import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

import { loadScript } from "../../scripts";

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

interface Model {
  readonly name: string;
  readonly ready: boolean;
  readonly inputs: readonly Tensor[];
  readonly outputs?: readonly Tensor[];
  readonly decoupled?: boolean;
  readonly sequence?: boolean;
}

interface Access {
  readonly url: string;
  readonly flags: readonly string[];
}

const { exampleRequest } = loadScript("example-request.mjs") as {
  exampleRequest: (server: object, access: Access) => string | undefined;
};
const { clientAccess, preparations } = loadScript("client-access.mjs") as {
  clientAccess: (server: object, environment: Readonly<Record<string, string>>) => Access;
  preparations: (server: object, stack: string) => string[];
};

const tensor = (name: string, shape: readonly number[], datatype = "INT32"): Tensor => ({
  name,
  datatype,
  shape,
});
const model = (name: string, inputs: readonly Tensor[], more: Partial<Model> = {}): Model => ({
  name,
  ready: true,
  inputs,
  ...more,
});

/** The command that is shown, as the words that a shell makes of it; the last as JSON. */
function request(
  models: readonly Model[],
  version = "2.51.0",
  server: object = { http: "127.0.0.1:8000", outputs: {} },
  environment: Readonly<Record<string, string>> = {},
): unknown[] | undefined {
  const command = exampleRequest({ version, models }, clientAccess(server, environment));
  if (command === undefined) return undefined;
  const printed = execFileSync("sh", ["-c", `printf '%s\\0' ${command}`], { encoding: "utf8" });
  const words = printed.split("\0").slice(0, -1);
  return [...words.slice(0, -1), JSON.parse(words.at(-1) ?? "") as unknown];
}

describe("request to try", () => {
  it("does not ask a proxy of the user for this machine", () => {
    const words = (http: string, environment: Readonly<Record<string, string>>): unknown[] =>
      request([model("a", [tensor("x", [1])])], "2.51.0", { http, outputs: {} }, environment)!.slice(2, -3);
    const direct = ["--noproxy", "*"];
    for (const name of ["http_proxy", "all_proxy", "ALL_PROXY"]) {
      assert.deepEqual(words("127.0.0.1:8000", { [name]: "http://proxy:3128" }), direct);
      assert.deepEqual(words("[::1]:8000", { [name]: "http://proxy:3128" }), direct);
      assert.deepEqual(words("gpu1:8000", { [name]: "http://proxy:3128" }), []);
    }
    assert.deepEqual(words("127.0.0.1:8000", { http_proxy: "" }), []);
  });

  it("is for the model with the smallest inputs, each filled with ones, in one row", () => {
    const models = [
      model("big", [tensor("x", [-1, 100])]),
      model("small", [tensor("t'ext", [-1, 2], "BYTES"), tensor("flag", [1], "BOOL")]),
      { ...model("down", [tensor("x", [1])]), ready: false },
    ];
    assert.deepEqual(request(models), [
      "curl",
      "-s",
      "http://127.0.0.1:8000/v2/models/small/infer",
      "-d",
      {
        inputs: [
          { name: "t'ext", datatype: "BYTES", shape: [1, 2], data: ["1", "1"] },
          { name: "flag", datatype: "BOOL", shape: [1], data: [true] },
        ],
      },
    ]);
  });

  it("is a whole sequence, of one request, for a model that keeps state", () => {
    assert.deepEqual(request([model("counter", [tensor("X", [-1, 1])], { sequence: true })]), [
      "curl",
      "-s",
      "http://127.0.0.1:8000/v2/models/counter/infer",
      "-d",
      {
        parameters: { sequence_id: 1, sequence_start: true, sequence_end: true },
        inputs: [{ name: "X", datatype: "INT32", shape: [1, 1], data: [1] }],
      },
    ]);
  });

  it("streams from a decoupled model, where Triton can", () => {
    const stream = [model("stream", [tensor("N", [1])], { decoupled: true })];
    assert.deepEqual(request(stream), [
      "curl",
      "-sN",
      "http://127.0.0.1:8000/v2/models/stream/generate_stream",
      "-d",
      { N: [1] },
    ]);
    assert.equal(request(stream, "2.23.0"), undefined);
    assert.equal(request(stream, "2.38.0"), undefined);
    assert.ok(request(stream, "3.0.0"));
    assert.equal(request([model("image", [tensor("x", [3, 224, 224])], { decoupled: true })]), undefined);
  });

  it("prefers a model that answers a plain request", () => {
    const models = [
      model("stream", [tensor("N", [1])], { decoupled: true }),
      model("counter", [tensor("X", [1])], { sequence: true }),
      model("plain", [tensor("X", [9])]),
    ];
    assert.match(String(request(models)?.[2]), /\/plain\/infer$/);
    assert.match(String(request(models.slice(0, 2))?.[2]), /\/counter\/infer$/);
  });

  it("is none where JSON cannot carry the data, or nothing is ready", () => {
    assert.equal(request([model("half", [tensor("x", [1], "FP16")])]), undefined);
    assert.equal(
      request([model("half", [tensor("x", [1])], { outputs: [tensor("y", [1], "BF16")] })]),
      undefined,
    );
    assert.equal(request([]), undefined);
  });

  describe("behind a gateway", () => {
    const behind = (gateway: object, host: object): object => ({
      http: "127.0.0.1:18000",
      outputs: {
        endpoints: { http: "https://gpu1:8000" },
        host: { directory: "/srv/it's here", ...host },
        gateway: { tls: "certificate", tokens: [], clientCertificates: false, ...gateway },
      },
    });
    const words = (server: object): unknown[] =>
      request([model("a", [tensor("x", [1])])], "2.51.0", server)!.slice(0, -2);

    it("goes to the gateway, with what it asks for", () => {
      const url = "https://gpu1:8000/v2/models/a/infer";
      assert.deepEqual(words(behind({}, {})), ["curl", "-s", url]);
      const own = behind({ tls: "selfSigned", tokens: ["team"] }, {});
      process.env.TOKEN = "secret of the test";
      assert.deepEqual(words(own), [
        ...["curl", "-s", "--cacert", "/srv/it's here/gateway/certificate.pem"],
        ...["-H", "authorization: Bearer secret of the test", url],
      ]);
      delete process.env.TOKEN;
      const mutual = behind({ clientCertificates: true }, {});
      assert.deepEqual(words(mutual).slice(2, -1), ["--cert", "CLIENT.pem", "--key", "CLIENT_KEY.pem"]);
    });

    it("comes with what has to be done before", () => {
      const away = behind({ tls: "selfSigned", tokens: ["team", "batch"] }, { ssh: { address: "gpu1" } });
      assert.deepEqual(preparations(away, "edge"), [
        "pulumi stack output --stack edge --json | jq -r .gateway.certificate >gateway.pem",
        "TOKEN=…   # the token of team or batch",
      ]);
      assert.deepEqual(words(away).slice(2, 4), ["--cacert", "gateway.pem"]);
      assert.deepEqual(preparations({ http: "", outputs: {} }, "local"), []);
      assert.deepEqual(preparations(behind({ tls: "selfSigned" }, {}), "local"), []);
    });
  });
});
