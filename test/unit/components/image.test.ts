import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type * as components from "../../../components";

const DIGEST = `sha256:${"d".repeat(64)}`;

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

for (const preview of [true, false]) {
  describe(`an image, ${preview ? "in a preview" : "in an update"}`, () => {
    const home = process.cwd();
    let registered: Registered[];
    let calls: string[];
    let program: string;

    beforeEach(() => {
      // The sources are staged in the program's folder.
      program = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-program-"));
      process.chdir(program);
    });

    afterEach(() => {
      process.chdir(home);
      fs.rmSync(program, { recursive: true, force: true });
    });

    /** Registers the component and returns its reference; undefined while it is unknown. */
    const reference = async (args: components.TritonImageArgs): Promise<string | undefined> => {
      registered = [];
      calls = [];
      await pulumi.runtime.setMocks(
        {
          newResource: ({ type, name, inputs }) => {
            registered.push({ type, name, inputs: inputs as Record<string, unknown> });
            const outputs = type.startsWith("command:") ? { stdout: "20260131-235959" } : { digest: DIGEST };
            return { id: name, state: { ...(inputs as object), ...(!preview && outputs) } };
          },
          call: ({ token, inputs }) => {
            calls.push(`${token} ${(inputs as { name: string }).name}`);
            return { sha256Digest: DIGEST };
          },
        },
        "project",
        "stack",
        preview,
      );
      const { TritonImage } = await import("../../../components");
      const image = new TritonImage("triton", args);
      const found = await (
        image.reference as unknown as { promise(): Promise<string | undefined> }
      ).promise();
      await pulumi.runtime.disconnect();
      return found;
    };

    const built = (): Registered["inputs"] => {
      const found = registered.find(({ type }) => type === "docker-build:index:Image");
      assert.ok(found);
      assert.equal(found.name, "triton-build");
      return found.inputs;
    };

    const build = { repository: "registry.example.com:5000/team/triton" };

    it("is built once, for Triton's machines, and passed on by its digest", async () => {
      const given = await reference({ build });
      assert.equal(given, preview ? undefined : `${build.repository}@${DIGEST}`);
      const { context, dockerfile, buildArgs, tags, ...rest } = built();
      assert.deepEqual(context, { location: ".local/xsched-triton-image/patched" });
      assert.deepEqual(dockerfile, {
        location: ".local/xsched-triton-image/patched/images/triton/Dockerfile",
      });
      assert.ok(fs.existsSync(path.join(program, dockerfile.location)));
      const { REVISION, VERSION, ...chosen } = buildArgs as Record<string, string>;
      assert.deepEqual(chosen, {
        VARIANT: "patched",
        BASE: "nvcr.io/nvidia/tritonserver:22.06-py3",
        BUILDER: "nvcr.io/nvidia/tritonserver:22.06-py3-min",
        SOURCE_DATE_EPOCH: "315532800",
      });
      assert.match(VERSION ?? "", /^\d+\.\d+\.\d+$/);
      assert.match(REVISION ?? "", /^[0-9a-f]{64}$/);
      if (!preview) {
        const [tag = ""] = tags as string[];
        assert.match(tag, /^registry\.example\.com:5000\/team\/triton:patched-[0-9a-f]{16}-20260131-235959$/);
      }
      assert.deepEqual(rest, {
        target: "runtime",
        platforms: ["linux/amd64"],
        push: false,
        exports: [{ raw: "type=registry,rewrite-timestamp=true" }],
        buildOnPreview: false,
        network: "default",
      });
    });

    it("is built from the arguments, even if they are outputs", async () => {
      const { ImageVariant } = await import("../../../components");
      await reference({
        build: pulumi.output({ ...build, variant: ImageVariant.Transparent, base: `tritonserver@${DIGEST}` }),
      });
      const { VARIANT, BASE, BUILDER } = built().buildArgs as Record<string, string>;
      assert.deepEqual(
        [VARIANT, BASE, BUILDER],
        ["transparent", `tritonserver@${DIGEST}`, "docker.io/library/ubuntu:20.04"],
      );
    });

    it("gets another tag, with the time, when another base gives another image", async () => {
      const madeOn = async (base?: string): Promise<unknown> => {
        await reference({ build: { ...build, base } });
        const time = registered.find(({ name }) => name === "triton-build-time");
        return [built().tags, time?.inputs.environment];
      };
      assert.deepEqual(await madeOn(), await madeOn());
      assert.notDeepEqual(await madeOn(), await madeOn(`tritonserver@${DIGEST}`));
    });

    it("is pushed with the password as a secret", async () => {
      await reference({ build, registry: { username: "deployer", password: "hidden" } });
      const text = JSON.stringify(built().registries);
      assert.ok(text.includes('"address":"registry.example.com:5000"'), text);
      assert.ok(text.includes('"username":"deployer"'), text);
      // The key that marks a secret on its way to the engine.
      assert.ok(text.includes("4dabf18193072939515e22adb298388d"), text);
    });

    it("is used unchanged if it has a digest", async () => {
      assert.equal(await reference({ image: `triton:1@${DIGEST}` }), `triton@${DIGEST}`);
      assert.deepEqual(calls, []);
      assert.deepEqual(
        registered.map(({ name }) => name),
        ["triton"],
      );
    });

    it("is resolved to its digest if it has a tag", async () => {
      assert.equal(await reference({ image: "localhost:5000/triton:1" }), `localhost:5000/triton@${DIGEST}`);
      assert.deepEqual(calls, ["docker:index/getRegistryImage:getRegistryImage localhost:5000/triton:1"]);
    });

    it("is refused when it becomes known and is wrong", async () => {
      await assert.rejects(reference({ image: pulumi.output("triton") }), {
        message: /^1 fault in the arguments of TritonImage triton\n\n {2}image: "triton"\n/,
      });
    });
  });
}
