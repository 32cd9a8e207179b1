import * as assert from "node:assert/strict";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type * as components from "../../../components";
import { type ArgumentCheck, type ArgumentsError, serverArgument } from "../../../components/arguments";
import { HOST_KEY, IMAGE, PRIVATE_KEY } from "../settings/context";

const MODELS = path.resolve(__dirname, "../../../examples/models");
const realtime = { name: "realtime", source: path.join(MODELS, "realtime") };
const SSH = { address: "gpu1", privateKey: PRIVATE_KEY, hostKey: HOST_KEY };

describe("arguments of the components", () => {
  let registered: string[];
  let api: typeof components;
  let check: ArgumentCheck;

  before(async () => {
    registered = [];
    await pulumi.runtime.setMocks(
      {
        newResource: ({ name, inputs }) => {
          registered.push(name);
          return { id: name, state: { ...(inputs as object), stdout: "{}" } };
        },
        call: ({ inputs }) => inputs as object,
      },
      "project",
      "stack",
      false,
    );
    api = await import("../../../components");
    const { ArgumentCheck } = await import("../../../components/arguments");
    check = new ArgumentCheck("TritonServer", "edge");
  });

  /** The message that a component's constructor ends in. */
  const refusal = (args: object): string => {
    try {
      new api.TritonDeployment("edge", args as components.TritonDeploymentArgs);
    } catch (error) {
      assert.ok(pulumi.RunError.isInstance(error));
      return error.message;
    }
    throw new Error("accepted");
  };

  it("are refused together, before anything is registered", () => {
    const message = refusal({
      models: [{ ...realtime, priority: 256 }, { ...realtime, name: "a b", source: "nowhere" }, realtime],
      grpcPort: 8000,
      image: "triton:latest",
      extraFlags: ["--http-port=1"],
      adress: "0.0.0.0",
    });
    assert.equal(
      message,
      `8 faults in the arguments of TritonDeployment edge

  adress: (unknown key)
    allowed: the keys directory, ssh, models, httpPort, grpcPort, metricsPort, address, logLevel, exitTimeoutSeconds, logMegabytes, loadTimeoutSeconds, extraFlags, drainSeconds, schedulerRequired, image, registry, registryByRole
    fix: did you mean address?

  models[0].priority: 256
    allowed: an integer from -255 to 255
    fix: give an integer from -255 to 255, for example 0

  models[1].name: "a b"
    allowed: 1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first (it is a folder name and part of Triton's URLs)
    fix: rename it, for example a-b

  models[1].source: "nowhere"
    allowed: a folder that exists
    fix: create ${path.resolve("nowhere")}, or correct the path (relative to ${process.cwd()})

  models[2].name: "realtime"
    allowed: a name that no other has; models[0] has this one
    fix: rename one of the two

  extraFlags[0]: "--http-port=1"
    allowed: a tritonserver flag of the form --name or --name=value that no other setting owns
    fix: use the setting httpPort

  image: "triton:latest"
    allowed: an image by digest: repository@sha256:<64 hexadecimal digits>
    fix: a tag can move; get the digest with: docker buildx imagetools inspect IMAGE

  grpcPort: 8000
    allowed: a port that httpPort does not use
    fix: choose another, for example 8001
`,
    );
    assert.deepEqual(registered, []);
  });

  it("of a container need an image", () => {
    const login = { username: "deployer", password: pulumi.secret("hidden") };
    assert.equal(
      refusal({ models: [], registry: login, drainSeconds: 5 }),
      `2 faults in the arguments of TritonDeployment edge

  registry: (given without an image)
    allowed: a container's option only with image
    fix: add image, or take it out

  drainSeconds: (given without an image)
    allowed: a container's option only with image
    fix: add image, or take it out
`,
    );
  });

  it("of an image are one that is there or one to build, and nothing else", () => {
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

  it("say what a machine over SSH needs, and never show its key", () => {
    const message = refusal({
      models: [],
      ssh: { address: "me@gpu1", privateKey: "bm90IGEga2V5", hostKey: pulumi.output(HOST_KEY), port: 0 },
    });
    assert.match(message, /^3 faults/);
    assert.match(message, /ssh\.address: "me@gpu1"\n.*\n {4}fix: put the part before the @ into user\n/);
    assert.match(message, /ssh\.port: 0\n/);
    assert.match(
      message,
      /ssh\.privateKey: \(secret\)\n {4}allowed: a private key in PEM or OpenSSH form, without a passphrase\n/,
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

  it("take outputs for what is an input", () => {
    const args: components.TritonDeploymentArgs = {
      models: [{ ...realtime, priority: pulumi.output(3) }],
      ssh: pulumi.output(SSH),
      directory: pulumi.output("triton"),
      image: Promise.resolve(IMAGE),
      extraFlags: [pulumi.output("--x=1")],
    };
    assert.doesNotThrow(() => new api.TritonDeployment("outputs", args));
  });

  describe("that are outputs", () => {
    const rejection = async (output: pulumi.Output<unknown>): Promise<ArgumentsError> => {
      try {
        await (output as unknown as { promise(): Promise<unknown> }).promise();
      } catch (error) {
        return error as ArgumentsError;
      }
      throw new Error("accepted");
    };

    it("give the checked value", async () => {
      const server = check.whenKnown(serverArgument, { httpPort: pulumi.output(9000) });
      const { httpPort, grpcPort } = await (
        server as unknown as { promise(): Promise<{ httpPort: number; grpcPort: number }> }
      ).promise();
      assert.deepEqual([httpPort, grpcPort], [9000, 8001]);
    });

    it("fail together when they are known, and give no value", async () => {
      const { message, stack } = await rejection(
        check.whenKnown(serverArgument, { httpPort: pulumi.output(8001), logLevel: pulumi.output("loud") }),
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
        check.whenKnown(serverArgument, { address: pulumi.secret("http://hidden") }),
      );
      assert.match(message, / {2}address: \(secret\)\n/);
      assert.doesNotMatch(message, /hidden/);
    });
  });
});
