import * as assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type * as components from "../../../components";

const DIGEST = `sha256:${"d".repeat(64)}`;
/** What the tags of base images stand for. */
const BASE = `sha256:${"b".repeat(64)}`;
const SCANNER =
  "docker.io/docker/buildkit-syft-scanner:1.11.0@sha256:79e7b013cbec16bbb436f312819a49a4a57752b2270c1a9332ae1a10fcc82a68";
const SIGNING_KEY =
  "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
const PUBLIC_KEY = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({
  ...{ type: "spki", format: "pem" },
}) as string;
/** The key that marks a secret on its way to the engine. */
const SECRET = "4dabf18193072939515e22adb298388d";

/** Where the login is, in the program's folder. */
const LOGIN = ".local/xsched-triton-login/stack/triton";

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
    /** Docker's configuration when a resource was registered, by its name; and the modes of the file and its folder. */
    let logins: Map<string, string>;
    let modes: number[];
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
      logins = new Map();
      await pulumi.runtime.setMocks(
        {
          newResource: ({ type, name, inputs }) => {
            registered.push({ type, name, inputs: inputs as Record<string, unknown> });
            const file = path.join(program, LOGIN, "config.json");
            if (fs.existsSync(file)) {
              logins.set(name, fs.readFileSync(file, "utf8"));
              modes = [file, path.dirname(file)].map((place) => fs.statSync(place).mode & 0o777);
            }
            const outputs = type.startsWith("command:") ? { stdout: printed(name) } : { digest: DIGEST };
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

    /** What the commands print. */
    const printed = (name: string): string =>
      /-(base|builder)$/.test(name) ? JSON.stringify({ digest: BASE }) : "20260131-235959";

    const inputsOf = (wanted: string): Record<string, unknown> => {
      const found = registered.find(({ name }) => name === wanted);
      assert.ok(found, wanted);
      return found.inputs;
    };

    const environmentOf = (name: string): Record<string, string> =>
      inputsOf(name).environment as Record<string, string>;

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
      const { context, dockerfile, buildArgs, labels, tags, ...rest } = built();
      assert.deepEqual(context, { location: ".local/xsched-triton-image/patched" });
      assert.deepEqual(dockerfile, {
        location: ".local/xsched-triton-image/patched/images/triton/Dockerfile",
      });
      assert.ok(fs.existsSync(path.join(program, dockerfile.location)));
      if (!preview) {
        const { REVISION, VERSION, ...chosen } = buildArgs as Record<string, string>;
        assert.deepEqual(chosen, {
          VARIANT: "patched",
          BASE: `nvcr.io/nvidia/tritonserver:22.06-py3@${BASE}`,
          BUILDER: `nvcr.io/nvidia/tritonserver:22.06-py3-min@${BASE}`,
          SOURCE_DATE_EPOCH: "315532800",
          BUILDKIT_ATTEST_PROVENANCE: "mode=max",
          BUILDKIT_ATTEST_SBOM: `generator=${SCANNER}`,
        });
        assert.match(VERSION ?? "", /^\d+\.\d+\.\d+$/);
        assert.match(REVISION ?? "", /^[0-9a-f]{64}$/);
        assert.deepEqual(labels, {
          "org.opencontainers.image.base.name": "nvcr.io/nvidia/tritonserver:22.06-py3",
          "org.opencontainers.image.base.digest": BASE,
        });
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

    it("looks up the tags of what it is built from, and looks them up again only when it is asked to", async () => {
      await reference({ build: { ...build, tagsAsOf: "2026-11-28" } });
      const { create, environment, addPreviousOutputInEnv } = inputsOf("triton-base");
      assert.equal(create, "node -");
      assert.deepEqual(environment, {
        IMAGE: "nvcr.io/nvidia/tritonserver:22.06-py3",
        AS_OF: "2026-11-28",
      });
      // The script keeps what it has found.
      assert.equal(addPreviousOutputInEnv, true);
      assert.equal(environmentOf("triton-builder").IMAGE, "nvcr.io/nvidia/tritonserver:22.06-py3-min");
    });

    it("attests nothing if it is told so", async () => {
      if (preview) return;
      await reference({ build: { ...build, provenance: false, sbom: false } });
      const names = Object.keys(built().buildArgs as object);
      assert.deepEqual(
        names.filter((name) => name.includes("ATTEST")),
        [],
      );
    });

    describe("in the registry that the login is for", () => {
      const registry = { username: "deployer", password: "hidden" };
      it("is looked up with the login, in a file that is gone afterwards, and never in an input", async () => {
        const base = "registry.example.com:5000/mirror/tritonserver:22.06-py3";
        await reference({ build: { ...build, base }, registry });
        assert.equal(environmentOf("triton-base").DOCKER_CONFIG, LOGIN);
        assert.equal(environmentOf("triton-builder").DOCKER_CONFIG, undefined);
        assert.ok(!JSON.stringify(inputsOf("triton-base")).includes("hidden"));
        assert.ok(!fs.existsSync(path.join(program, LOGIN)));
        assert.equal(logins.has("triton-base"), !preview);
        if (preview) return;
        assert.deepEqual(modes, [0o600, 0o700]);
        const auth = Buffer.from("deployer:hidden").toString("base64");
        assert.deepEqual(JSON.parse(logins.get("triton-base") ?? ""), {
          auths: { "registry.example.com:5000": { auth } },
        });
        assert.equal(
          fs.readFileSync(path.join(program, ".local/xsched-triton-login/.gitignore"), "utf8"),
          "*\n",
        );
      });

      it("is signed with a key that is a secret, before anything uses it", async () => {
        const given = await reference({
          build,
          registry,
          signature: { key: SIGNING_KEY, password: "of the key" },
        });
        assert.equal(given, preview ? undefined : `${build.repository}@${DIGEST}`);
        const { environment } = inputsOf("triton-signature");
        const text = JSON.stringify(environment);
        assert.ok(text.includes(SECRET), text);
        if (preview) return;
        assert.deepEqual((environment as { value: object }).value, {
          IMAGE: `${build.repository}@${DIGEST}`,
          KEY: "env://SIGNING_KEY",
          SIGNING_KEY,
          COSIGN_PASSWORD: "of the key",
          TRANSPARENCY_LOG: "false",
          DOCKER_CONFIG: LOGIN,
        });
        assert.ok(logins.has("triton-signature"));
        assert.ok(!fs.existsSync(path.join(program, LOGIN)));
      });

      it("is signed with the key of a file", async () => {
        fs.writeFileSync(path.join(program, "cosign.key"), SIGNING_KEY);
        await reference({ build, signature: { keyFile: "cosign.key", transparencyLog: true } });
        if (preview) return;
        const { value } = inputsOf("triton-signature").environment as { value: Record<string, string> };
        assert.equal(value.SIGNING_KEY, SIGNING_KEY);
        assert.equal(value.TRANSPARENCY_LOG, "true");
      });

      it("is signed by a key service", async () => {
        await reference({ build, signature: { kms: "awskms:///alias/images" } });
        if (preview) return;
        const { value } = inputsOf("triton-signature").environment as { value: Record<string, string> };
        assert.equal(value.KEY, "awskms:///alias/images");
        assert.equal(value.SIGNING_KEY, "");
      });
    });

    it("has its signature checked, if there is a key to check it with", async () => {
      const image = `registry.example.com/triton@${DIGEST}`;
      const given = await reference({ image, publicKey: PUBLIC_KEY });
      assert.equal(given, preview ? undefined : image);
      assert.deepEqual(environmentOf("triton-verified"), { IMAGE: image, PUBLIC_KEY });
    });

    it("is built from the arguments, even if they are outputs", async () => {
      const { ImageVariant } = await import("../../../components");
      await reference({
        build: pulumi.output({ ...build, variant: ImageVariant.Transparent, base: `tritonserver@${DIGEST}` }),
      });
      assert.equal(environmentOf("triton-base").IMAGE, `tritonserver@${DIGEST}`);
      assert.equal(environmentOf("triton-builder").IMAGE, "docker.io/library/ubuntu:20.04");
      if (preview) return;
      const { VARIANT, BUILDER } = built().buildArgs as Record<string, string>;
      assert.deepEqual([VARIANT, BUILDER], ["transparent", `docker.io/library/ubuntu:20.04@${BASE}`]);
    });

    it("has the patched backend on Triton 22.06 and the hooks on any other base, if no variant is given", async () => {
      for (const [base, variant] of [
        ["mirror.example.com/nvidia/tritonserver:22.06-py3", "patched"],
        ["nvcr.io/nvidia/tritonserver:24.08-py3", "hooked"],
        [`registry.example.com/team/ours@${DIGEST}`, "hooked"],
      ] as const) {
        await reference({ build: pulumi.output({ ...build, base }) });
        assert.deepEqual(built().context, { location: `.local/xsched-triton-image/${variant}` });
        assert.equal(
          environmentOf("triton-builder").IMAGE,
          variant === "patched"
            ? "nvcr.io/nvidia/tritonserver:22.06-py3-min"
            : "docker.io/library/ubuntu:20.04",
        );
        if (!preview) assert.equal((built().buildArgs as Record<string, string>).VARIANT, variant);
      }
    });

    it("without the knowledge of models is built as before, with a warning that names what replaces it", async () => {
      const { warn } = pulumi.log;
      const warnings: string[] = [];
      const log = pulumi.log as { warn: typeof warn };
      log.warn = (message) => Promise.resolve(void warnings.push(message));
      try {
        await reference({ build: { ...build, variant: "hooked" } });
        assert.deepEqual(warnings, []);
        await reference({ build: { ...build, variant: "transparent" } });
      } finally {
        log.warn = warn;
      }
      assert.equal(warnings.length, 1);
      assert.match(String(warnings[0]), /^build\.variant is transparent: .* hooked replaces it, /);
      assert.deepEqual(built().context, { location: ".local/xsched-triton-image/transparent" });
    });

    it("gets another tag, with the time, when another base gives another image", async () => {
      const madeOn = async (base?: string): Promise<unknown> => {
        await reference({ build: { ...build, base } });
        // Its digest is not known yet, and neither is the tag.
        if (preview) return environmentOf("triton-base").IMAGE;
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
      assert.ok(text.includes(SECRET), text);
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
