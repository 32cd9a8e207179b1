import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { shutDown } from "../fixtures/standInCloud/machine";
import { EXAMPLES, MODELS } from "./examples";
import { freePorts } from "./ports";
import { StandInCloud } from "./standInCloud";
import { TritonClient } from "./triton";
import { changesIn, type Finished, requireSuccess, Workspace } from "./workspace";

const STACK = "dev";
/** Where `npm test` puts the provider that builds images. */
const IMAGE_PROVIDER = path.join(
  process.env.XSCHED_TRITON_TOOLCHAIN ?? "",
  "home/plugins/resource-docker-build-v0.0.22/pulumi-resource-docker-build",
);
const INSTANCE = "aws:ec2/instance:Instance";

describe("the stack dev, on a stand-in for AWS", function () {
  let cloud: StandInCloud | undefined;
  let workspace: Workspace;
  let triton: TritonClient;

  const npm = (command: string, ...words: string[]): Promise<Finished> =>
    workspace.npm(command, "--", STACK, "--non-interactive", ...words);

  const up = (): Promise<Finished> => npm("up", "--yes", "--skip-preview");

  const set = (where: readonly string[], value: unknown): void => {
    workspace.edit(STACK, (config) => {
      config.setIn(["config", ...where], value);
    });
  };

  const changed = (output: string): string[] =>
    [...new Set(changesIn(output).map(({ name, done }) => `${name} ${done}`))].sort();

  const instances = (): string[] => cloud?.everything(INSTANCE).map(({ id }) => id) ?? [];

  /** Of the one resource of a type. */
  const properties = (type: string): Record<string, unknown> => {
    const [only, ...others] = cloud?.everything(type) ?? [];
    assert.ok(only && others.length === 0, type);
    return only.properties;
  };

  /** A file of an instance. */
  const machine = (id: string, file: string): string => {
    assert.ok(cloud);
    return cloud.file("machines", id, file);
  };

  /** No key of the stack may stand in a text, nor a line of one. */
  const refuseSecrets = async (text: string): Promise<void> => {
    const shown = await workspace.run("pulumi", ["stack", "export", "--show-secrets", "--stack", STACK]);
    const keys = new Set(
      // Within a string of JSON, and within one in such a string.
      (shown.output.match(/-----BEGIN OPENSSH PRIVATE KEY-----[^"]*/g) ?? []).map((key) =>
        key
          .split(/\\+n/)
          .filter((line) => /^[A-Za-z0-9+/=]{20,}$/.test(line))
          .join("\n"),
      ),
    );
    assert.equal(keys.size, 2, "the host's and the user's");
    assert.ok(!text.includes("PRIVATE KEY"));
    for (const line of [...keys].flatMap((key) => key.split("\n"))) {
      assert.ok(!text.includes(line), "a line of a key");
    }
  };

  before(async function () {
    if (StandInCloud.missing !== undefined) {
      console.log(`      ${StandInCloud.missing}`);
      this.skip();
    }
    cloud = new StandInCloud();
    workspace = await Workspace.create();
    await workspace.initStack(STACK, {});
    cloud.serve(workspace);
    const [httpPort, grpcPort, metricsPort] = await freePorts(3);
    triton = new TritonClient(httpPort!);
    for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
      set(["xsched-triton:server", key], port);
    }
    // Its sshd is one of this machine, and there is neither a GPU nor Docker on it.
    set(["xsched-triton:host", "user"], "root");
    if (!fs.existsSync(IMAGE_PROVIDER)) set(["xsched-triton:runtime"], { kind: "process" });
  });

  after(async () => {
    if (cloud === undefined) return;
    triton.close();
    await npm("down", "--yes", "--skip-preview");
    await cloud.stop();
    workspace.remove();
  });

  it("needs one value, and says which", async () => {
    const { code, output } = await npm("preview");
    assert.notEqual(code, 0);
    assert.match(output, /1 fault in the settings of stack dev; nothing was changed/);
    assert.match(output, /fix: pulumi config set --path 'xsched-triton:host\.adminCidrs\[0\]' "\$\(curl/);
    set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
  });

  it("is shown as it stands, with a repository of its own for its image", async function () {
    if (!fs.existsSync(IMAGE_PROVIDER)) {
      console.log("      Docker's build provider is missing (`npm test` looks for it)");
      this.skip();
    }
    const { code, output } = await npm("preview");
    requireSuccess({ code, output });
    assert.match(output, /aws:ecr:Repository\s+registry-repository\s+create/);
    assert.match(output, /docker-build:index:Image\s+image-build\s+create/);
    assert.match(output, /command:remote:Command\s+server-image\s+create/);
    assert.deepEqual(cloud?.everything(), []);
  });

  it("is shown in a preview, in which nothing is made", async () => {
    // There is no Docker on a machine of the stand-in.
    set(["xsched-triton:runtime"], { kind: "process" });
    const { code, output } = await npm("preview");
    requireSuccess({ code, output });
    assert.match(output, /aws:ec2:Instance\s+machine-instance\s+create/);
    assert.match(output, /command:remote:Command\s+server-realtime\s+create/);
    assert.deepEqual(cloud?.everything(), []);
  });

  it("says why a machine does not become ready, and shows no secret then", async () => {
    cloud?.fail("cloud-init", "status", "");
    const { code, output } = await up();
    assert.notEqual(code, 0);
    assert.match(output, /error: cloud-init has failed/);
    assert.match(output, /fix: mend what it says/);
    await refuseSecrets(output);
    cloud?.recover();
  });

  it("goes on from there, and serves every model", async () => {
    const [before] = instances();
    const { code, output } = await up();
    requireSuccess({ code, output });
    assert.deepEqual(instances(), [before]);
    for (const { name, ...priority } of EXAMPLES) {
      assert.ok(await triton.isReady(name), name);
      assert.deepEqual(await triton.priority(name), priority);
    }
    assert.match(output, /^realtime +1 +255 +yes$/m);
  });

  it("has an instance that takes no key but the one that was made for it", () => {
    const [id = ""] = instances();
    const host = fs.readFileSync(machine(id, "ssh/ssh_host_ed25519_key"), "utf8");
    const [parameter] = cloud?.everything("aws:ssm/parameter:Parameter") ?? [];
    assert.equal(host.trim(), (parameter?.properties.value as string).trim());
    const { tags, instanceMarketOptions, metadataOptions } = properties(INSTANCE);
    assert.deepEqual(tags, {
      Name: "xsched-triton-dev-machine",
      "xsched-triton:project": "xsched-triton",
      "xsched-triton:stack": "dev",
    });
    assert.deepEqual(instanceMarketOptions, {
      marketType: "spot",
      spotOptions: { instanceInterruptionBehavior: "stop", spotInstanceType: "persistent" },
    });
    assert.deepEqual(metadataOptions, {
      httpEndpoint: "enabled",
      httpPutResponseHopLimit: 1,
      httpTokens: "required",
      instanceMetadataTags: "disabled",
    });
    const { ingress } = properties("aws:ec2/securityGroup:SecurityGroup");
    assert.deepEqual(ingress, [
      {
        cidrBlocks: ["127.0.0.1/32"],
        description: "SSH",
        fromPort: 22,
        ipv6CidrBlocks: [],
        protocol: "tcp",
        toPort: 22,
      },
    ]);
  });

  it("keeps its keys to itself", async () => {
    const [id = ""] = instances();
    await refuseSecrets(fs.readFileSync(machine(id, "user-data"), "utf8"));
    const state = await workspace.run("pulumi", ["stack", "export", "--stack", STACK]);
    assert.equal(state.code, 0);
    await refuseSecrets(state.output);
    const outputs = await workspace.run("pulumi", ["stack", "output", "--stack", STACK]);
    assert.match(outputs.output, /ssh -i KEY -N -L/);
    assert.match(outputs.output, /aws ssm start-session --region us-east-1 --target i-[0-9a-f]{17}/);
    await refuseSecrets(outputs.output);
  });

  it("changes nothing when nothing has changed, although there is a newer machine image", async () => {
    const { code, output } = await up();
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), []);
    assert.match(output, /Resources:\s+\d+ unchanged/);
  });

  it("touches only the model whose priority changes", async () => {
    set(["xsched-triton:models", "1", "priority"], 90);
    const { code, output } = await up();
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), ["models-interactive updated", "server-interactive updated"]);
    assert.deepEqual(await triton.priority("interactive"), { triton: "PRIORITY_MAX", xsched: "90" });
  });

  describe("when it gets another instance type", () => {
    let before: string[];

    it("keeps serving while AWS has none, and says so", async () => {
      before = instances();
      set(["xsched-triton:host", "instanceType"], "g5.xlarge");
      cloud?.fail(INSTANCE, "create", "InsufficientInstanceCapacity: we do not have g5.xlarge capacity");
      const { code, output } = await up();
      assert.notEqual(code, 0);
      assert.match(output, /InsufficientInstanceCapacity/);
      await refuseSecrets(output);
      assert.deepEqual(instances(), before);
      for (const model of MODELS) assert.ok(await triton.isReady(model), model);
      cloud?.recover();
    });

    it("moves to another instance at the same address, with everything on it", async () => {
      const address = properties("aws:ec2/eip:Eip").publicIp;
      const { code, output } = await up();
      requireSuccess({ code, output });
      const [id = ""] = instances();
      assert.equal(instances().length, 1);
      assert.notDeepEqual(instances(), before);
      assert.equal(properties("aws:ec2/eip:Eip").publicIp, address);
      assert.ok(fs.existsSync(machine(id, "home/.xsched-triton-dev/bin/start-server.sh")));
      for (const model of MODELS) assert.ok(await triton.isReady(model), model);
      const touched = changed(output).filter((line) => /^machine-.* (updated|replaced)$/.test(line));
      assert.deepEqual(touched, [
        "machine-address updated",
        "machine-instance replaced",
        "machine-ready replaced",
        "machine-spot-request replaced",
      ]);
    });

    it("is then left alone", async () => {
      const { code, output } = await up();
      requireSuccess({ code, output });
      assert.deepEqual(changed(output), []);
    });
  });

  // After what the suite before it leaves.
  describe("in the end", () => {
    it("leaves nothing with `npm run down`, also where the machine does not answer any more", async () => {
      assert.ok(cloud);
      const [id = ""] = instances();
      const request = properties(INSTANCE).spotInstanceRequestId as string;
      await shutDown(id);
      const { code, output } = await npm("down", "--yes", "--skip-preview");
      requireSuccess({ code, output });
      assert.deepEqual(cloud.everything(), []);
      // That of the first instance and that of the second, so that AWS starts none in their place.
      const cancelled = fs.readFileSync(cloud.file("cancelled"), "utf8").trim().split("\n");
      assert.equal(cancelled.length, 2);
      assert.equal(cancelled[1], request);
    });
  });
});
