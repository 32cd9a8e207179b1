import * as assert from "node:assert/strict";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type * as components from "../../../components";
import type * as settings from "../../../components/settings";
import { HOST_KEY, IMAGE, PRIVATE_KEY } from "../settings/context";

const MODELS = path.resolve(__dirname, "../../../examples/models");
const realtime = { name: "realtime", source: path.join(MODELS, "realtime") };
const SSH = { address: "gpu1", privateKey: PRIVATE_KEY, hostKey: HOST_KEY };

describe("arguments of the components", () => {
  let registered: string[];
  let api: typeof components;
  let inputs: settings.ComponentInputs<object, object>;
  let serverOptions: typeof settings.serverOptions;

  before(async () => {
    registered = [];
    await pulumi.runtime.setMocks(
      {
        newResource: ({ name, inputs }) => {
          registered.push(name);
          return { id: name, state: { ...(inputs as object), stdout: "xsched-triton-result {}" } };
        },
        call: ({ inputs }) => inputs as object,
      },
      "project",
      "stack",
      false,
    );
    api = await import("../../../components");
    const { ComponentInputs, serverOptions: rule } = await import("../../../components/settings");
    serverOptions = rule;
    inputs = new ComponentInputs("TritonServer", "edge", rule, {});
  });

  /** The message of the error that a component's constructor throws. */
  const refusal = (args: object): string => {
    try {
      new api.TritonStack("edge", args);
    } catch (error) {
      assert.ok(pulumi.RunError.isInstance(error));
      return error.message;
    }
    throw new Error("accepted");
  };

  it("are refused together, before anything is registered", () => {
    const message = refusal({
      models: [{ ...realtime, priority: 256 }, { ...realtime, name: "a b", source: "nowhere" }, realtime],
      runtime: { kind: "container", image: "triton" },
      server: { grpcPort: 8000, extraFlags: ["--http-port=1"], adress: "0.0.0.0" },
    });
    assert.equal(
      message,
      `8 faults in the arguments of TritonStack edge

  runtime.image: "triton"
    allowed: an image by digest or tag: repository@sha256:<64 hexadecimal digits>, or repository:tag
    fix: name a tag after a colon, or better the digest after an @

  server.adress: (unknown key)
    allowed: the keys httpPort, grpcPort, metricsPort, address, logLevel, exitTimeoutSeconds, logMegabytes, loadTimeoutSeconds, extraFlags
    fix: did you mean address?

  server.extraFlags[0]: "--http-port=1"
    allowed: a tritonserver flag of the form --name or --name=value that no other setting owns
    fix: use the setting httpPort

  server.grpcPort: 8000
    allowed: a port that server.httpPort does not use
    fix: choose another, for example 8001

  models[0].priority: 256
    allowed: an integer from -255 to 255, or one of max (255), default (0), min (-255)
    fix: give 255 (max), the most urgent, or less

  models[1].name: "a b"
    allowed: 1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first (it is a folder name and part of Triton's URLs)
    fix: rename it, for example a-b

  models[1].source: "nowhere"
    allowed: a folder that exists
    fix: create ${path.resolve("nowhere")}, or correct the path (relative to ${process.cwd()})

  models[2].name: "realtime"
    allowed: a name that no other has; models[0] has this one
    fix: rename one of the two
`,
    );
    assert.deepEqual(registered, []);
  });

  it("of a container need an image", () => {
    const registry = { username: "deployer", password: pulumi.secret("hidden") };
    assert.throws(
      () =>
        new api.TritonServer("edge", {
          directory: "/d",
          models: [],
          registry,
          drainSeconds: 5,
          writablePaths: ["/cache"],
        }),
      {
        message: `3 faults in the arguments of TritonServer edge

  registry: (given without an image)
    allowed: a container's option only with image
    fix: add image, or remove it

  drainSeconds: (given without an image)
    allowed: a container's option only with image
    fix: add image, or remove it

  writablePaths: (given without an image)
    allowed: a container's option only with image
    fix: add image, or remove it
`,
      },
    );
  });

  it("of an image name an existing one or one to build, and nothing else", () => {
    const build = { repository: "registry.example.com/triton" };
    const broken: readonly (readonly [object, RegExp])[] = [
      [
        {},
        /^1 fault in the arguments of TritonImage i\n\n {2}image: \(not set\)\n {4}allowed: image, or build/,
      ],
      [{ image: IMAGE, build }, / {2}build: an object\n {4}allowed: image or build, not both\n/],
      [
        { build: { ...build, variant: "patch" } },
        / {2}build\.variant: "patch"\n.*\n {4}fix: did you mean patched\?/,
      ],
      [
        { build: { ...build, repository: "triton" } },
        /fix: begin with the registry's address, for example docker\.io\/triton/,
      ],
      [
        { build: { ...build, base: "ubuntu" } },
        /fix: name a tag after a colon, or better the digest after an @/,
      ],
      [{ build, registry: { username: "a", password: "" } }, / {2}registry\.password: \(secret\)\n/],
    ];
    for (const [args, message] of broken) {
      assert.throws(() => new api.TritonImage("i", args), { message });
    }
    assert.deepEqual(registered, []);
  });

  it("list what a machine over SSH needs, and never show its key", () => {
    const message = refusal({
      models: [],
      host: {
        kind: "ssh",
        address: "me@gpu1",
        privateKey: "bm90IGEga2V5",
        hostKey: pulumi.output(HOST_KEY),
        port: 0,
      },
    });
    assert.match(message, /^3 faults/);
    assert.match(message, /host\.address: "me@gpu1"\n.*\n {4}fix: put the part before the @ into user\n/);
    assert.match(message, /host\.port: 0\n/);
    assert.match(
      message,
      /host\.privateKey: \(secret\)\n {4}allowed: a private key in PEM or OpenSSH form, without a passphrase\n/,
    );
    assert.doesNotMatch(message, /bm90/);
  });

  it("of each part are checked when it is used alone", () => {
    const broken: readonly (readonly [() => unknown, RegExp])[] = [
      [
        () => new api.TritonHost("h", { directory: "/" }),
        /^1 fault in the arguments of TritonHost h\n\n {2}directory: "\/"\n/,
      ],
      [
        () => new api.ModelRepository("m", { directory: "relative", models: [] }),
        /^1 fault in the arguments of ModelRepository m\n\n {2}directory: "relative"\n/,
      ],
      [
        () =>
          new api.TritonServer("s", {
            directory: "/d",
            models: [{ name: "../x", digest: "?" }],
            httpPort: 0,
          }),
        /^3 faults in the arguments of TritonServer s\n/,
      ],
    ];
    for (const [construct, message] of broken) assert.throws(construct, { name: "ArgumentsError", message });
    assert.deepEqual(registered, []);
  });

  it("accept outputs for inputs", () => {
    const args: components.TritonStackArgs = {
      host: {
        ...SSH,
        kind: "ssh",
        privateKey: pulumi.secret(PRIVATE_KEY),
        directory: pulumi.output("triton"),
      },
      runtime: { kind: "container", image: Promise.resolve(IMAGE) },
      server: { extraFlags: [pulumi.output("--x=1")], httpPort: pulumi.output(9000) },
      models: [{ ...realtime, priority: pulumi.output<components.Priority>("max") }],
    };
    assert.doesNotThrow(() => new api.TritonStack("outputs", args));
  });

  it("may not be outputs where they decide what is created", () => {
    assert.match(
      refusal({ host: { kind: pulumi.output("local") }, models: pulumi.output([]) }),
      /models: \(an output\)\n.*\n {4}fix: give a value that the program knows from the start\n/,
    );
  });

  describe("that are outputs", () => {
    const rejection = async (output: pulumi.Output<unknown>): Promise<settings.ArgumentsError> => {
      try {
        await (output as unknown as { promise(): Promise<unknown> }).promise();
      } catch (error) {
        return error as settings.ArgumentsError;
      }
      throw new Error("accepted");
    };

    it("yield the checked value", async () => {
      const server = inputs.resolve(serverOptions, { httpPort: pulumi.output(9000) });
      const { httpPort, grpcPort } = await (
        server as unknown as { promise(): Promise<{ httpPort: number; grpcPort: number }> }
      ).promise();
      assert.deepEqual([httpPort, grpcPort], [9000, 8001]);
    });

    it("fail together once known, and yield no value", async () => {
      const { message, stack } = await rejection(
        inputs.resolve(serverOptions, { httpPort: pulumi.output(8001), logLevel: pulumi.output("loud") }),
      );
      assert.equal(
        message,
        `2 faults in the arguments of TritonServer edge

  logLevel: "loud"
    allowed: one of error, warning, info, verbose
    fix: choose one of error, warning, info, verbose

  grpcPort: 8001
    allowed: a port that httpPort does not use
    fix: choose another, for example 8000
`,
      );
      assert.equal(stack, message);
    });

    it("are not shown when they are secret", async () => {
      const { message } = await rejection(
        inputs.resolve(serverOptions, { address: pulumi.secret("http://hidden") }),
      );
      assert.match(message, / {2}address: \(secret\)\n/);
      assert.doesNotMatch(message, /hidden/);
    });
  });
});
