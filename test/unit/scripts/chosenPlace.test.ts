import * as assert from "node:assert/strict";

import { loadScript } from "../../scripts";

interface Resource {
  readonly urn: string;
  readonly type: string;
  readonly parent: string;
  readonly delete?: boolean;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, unknown>>;
}

const { placesToChooseAgain } = loadScript("chosen-place.mjs") as {
  readonly placesToChooseAgain: (resources: readonly Resource[]) => string[];
};

const place = (zone: string, machine = "machine", launch: object = {}): Resource => ({
  urn: `${machine}-place`,
  type: "command:local:Command",
  parent: machine,
  inputs: { environment: { CHOICES: "[]" } },
  outputs: {
    stdout: JSON.stringify({ instanceType: "g5.xlarge", zone, spot: false, launch: JSON.stringify(launch) }),
  },
});

const instance = (zone: string, machine = "machine"): Resource => ({
  urn: `${machine}-instance`,
  type: "aws:ec2/instance:Instance",
  parent: machine,
  inputs: { instanceType: "g5.xlarge", availabilityZone: zone },
  outputs: { availabilityZone: zone },
});

const B = place("us-east-1b");

describe("a place that was chosen for an instance", () => {
  it("is left alone while the instance is there", () => {
    assert.deepEqual(placesToChooseAgain([B, instance("us-east-1b")]), []);
    // In a subnet, only AWS names the zone.
    const inSubnet = { instanceType: "g5.xlarge", subnetId: "subnet-01234567" };
    const chosen = place("us-east-1b", "machine", { subnetId: "subnet-01234567" });
    assert.deepEqual(placesToChooseAgain([chosen, { ...instance("us-east-1b"), inputs: inSubnet }]), []);
  });

  it("is left alone while the instance is in its subnet of the stack's own network", () => {
    const subnets = { "us-east-1a": "subnet-a", "us-east-1b": "subnet-b" };
    const chosen = {
      ...place("us-east-1b", "machine", { network: "10.90.0.0/16" }),
      inputs: { environment: { CHOICES: "[]", SUBNETS: JSON.stringify(subnets) } },
    };
    const within = (subnetId: string | undefined): Resource => ({
      ...instance("us-east-1b"),
      inputs: { instanceType: "g5.xlarge", subnetId },
    });
    assert.deepEqual(placesToChooseAgain([chosen, within("subnet-b")]), []);
    // The one that was to be replaced: of the default VPC, or of a network with another range.
    for (const former of [undefined, "subnet-c"]) {
      assert.deepEqual(placesToChooseAgain([chosen, within(former)]), ["machine-place"]);
    }
  });

  it("is chosen again where no instance followed, or the one from before is still there", () => {
    assert.deepEqual(placesToChooseAgain([B]), ["machine-place"]);
    assert.deepEqual(placesToChooseAgain([B, instance("us-east-1a")]), ["machine-place"]);
    const spot = { ...instance("us-east-1b"), inputs: { instanceMarketOptions: { marketType: "spot" } } };
    assert.deepEqual(placesToChooseAgain([B, spot]), ["machine-place"]);
  });

  it("is chosen again where the instance that was to be replaced is in the same place", () => {
    const there = instance("us-east-1b");
    for (const launch of [
      { ami: "ami-01234567" },
      { kmsKeyId: "arn:aws:kms:key" },
      { subnetId: "subnet-0" },
    ]) {
      assert.deepEqual(placesToChooseAgain([place("us-east-1b", "machine", launch), there]), [
        "machine-place",
      ]);
    }
    const made = {
      ...there,
      inputs: { ...there.inputs, ami: "ami-01234567", rootBlockDevice: { kmsKeyId: "arn" } },
    };
    const launch = { ami: "ami-01234567", kmsKeyId: "arn" };
    assert.deepEqual(placesToChooseAgain([place("us-east-1b", "machine", launch), made]), []);
  });

  it("belongs to the instance beside it, also while that one's predecessor waits for its end", () => {
    const other = [place("us-east-1c", "other"), instance("us-east-1c", "other")];
    assert.deepEqual(placesToChooseAgain([B, ...other]), ["machine-place"]);
    const replaced = { ...instance("us-east-1a"), delete: true };
    assert.deepEqual(placesToChooseAgain([B, replaced, instance("us-east-1b"), ...other]), []);
  });

  it("is not any other command", () => {
    const command = { ...B, inputs: { environment: { IMAGE: "triton" } } };
    assert.deepEqual(placesToChooseAgain([command]), []);
  });
});
