import * as assert from "node:assert/strict";
import { createHash } from "node:crypto";

import * as fc from "fast-check";
import { parse } from "yaml";

import { userData } from "../../../components/host/aws/userData";

const OPTIONS = {
  region: "us-east-1",
  hostKeyParameter: "/xsched-triton/project/stack/machine/ssh-host-key",
};

interface CloudConfig {
  readonly bootcmd: readonly (readonly string[])[];
  readonly [key: string]: unknown;
}

function read(text: string): CloudConfig {
  assert.ok(text.startsWith("#cloud-config\n"));
  return parse(text) as CloudConfig;
}

describe("user data", () => {
  it("gives the machine its host key before SSH starts, and keeps cloud-init from generating one", () => {
    const { bootcmd, ...rest } = read(userData(OPTIONS));
    assert.deepEqual(rest, {
      ssh_deletekeys: false,
      ssh_genkeytypes: ["ed25519"],
      ssh: { emit_keys_to_console: false },
      ssh_pwauth: false,
      disable_root: true,
    });
    const [[program, flag, script = "", name, ...words] = [], ...others] = bootcmd;
    assert.deepEqual(others, []);
    assert.deepEqual(
      [program, flag, name, ...words],
      ["bash", "-c", "install-host-key.sh", OPTIONS.region, OPTIONS.hostKeyParameter],
    );
    assert.match(script, /aws ssm get-parameter/);
  });

  it("passes every value unchanged, whatever it contains", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (region, hostKeyParameter) => {
        const [command = []] = read(userData({ region, hostKeyParameter })).bootcmd;
        assert.deepEqual(command.slice(-2), [region, hostKeyParameter]);
      }),
    );
  });

  it("is far below EC2's size limit", () => {
    assert.ok(Buffer.byteLength(userData(OPTIONS)) < 4096, "of 16 KiB");
  });

  it("is unchanged: a change would stop and start every instance with the next `up`", () => {
    const digest = createHash("sha256").update(userData(OPTIONS)).digest("hex");
    assert.equal(digest, "82fdf9d00d0a7b79c60a29b76c89360a55392fc10d43d4b410b9de3621671dc0");
  });
});
