import * as assert from "node:assert/strict";

import { fullAccount, type StandInPlace } from "../fixtures/standInCloud/api";
import { text } from "../fixtures/standInCloud/identity";
import { AwsStack, changed } from "./awsStack";
import { MODELS } from "./examples";
import { requireSuccess } from "./workspace";
import { skipWithout } from "./needs";

const INSTANCE = "aws:ec2/instance:Instance";
const HOST = "xsched-triton:host";
const [A, B, C] = ["us-east-1a", "us-east-1b", "us-east-1c"] as const;

interface StackOutputs {
  readonly aws: StandInPlace & { readonly onSpot: boolean; readonly passedOver: readonly string[] };
}

describe("an instance with several choices, on a stand-in for AWS", function () {
  let stack: AwsStack;
  /** The stack's instances at each attempt. */
  let meanwhile: string[][];

  before(async function () {
    skipWithout(this, AwsStack.missing);
    stack = await AwsStack.create("dev");
    // The stand-in's machines have neither a GPU nor Docker.
    stack.set(["xsched-triton:runtime"], { kind: "process" });
    stack.set([HOST], {
      ...{ kind: "aws", adminCidrs: ["127.0.0.1/32"], user: "root" },
      ...{ instanceType: "g4dn.xlarge", zones: [A, B] },
    });
  });

  after(async () => {
    if (AwsStack.missing === undefined) await stack.stop();
  });

  /** AWS has capacity only where the function says so. */
  const capacity = (has: (place: StandInPlace) => boolean): void => {
    meanwhile = [];
    stack.cloud.api.account = {
      ...fullAccount(),
      capacity: (place) => {
        meanwhile.push(stack.instances);
        return has(place);
      },
    };
  };

  const place = (): string => {
    const { instanceType, availabilityZone, instanceMarketOptions } = stack.properties(INSTANCE);
    const market = instanceMarketOptions ? "spot" : "on demand";
    return `${text(instanceType)} ${text(availabilityZone)} ${market}`;
  };

  const outputs = async (): Promise<StackOutputs> => {
    const { output } = await stack.show("output", "--json");
    return JSON.parse(output) as StackOutputs;
  };

  const requireServing = async (): Promise<void> => {
    for (const model of MODELS) assert.ok(await stack.triton.isReady(model), model);
  };

  it("is launched in the next zone if the first one has no capacity, and that is said", async () => {
    capacity(({ zone }) => zone === B);
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.equal(place(), `g4dn.xlarge ${B} on demand`);
    const reason =
      "g4dn.xlarge in us-east-1a, on demand: InsufficientInstanceCapacity: We do not have g4dn.xlarge capacity in us-east-1a.";
    const [id = ""] = stack.instances;
    for (const said of [output, (await stack.workspace.npm("status", "--", "dev")).output]) {
      assert.ok(said.includes(reason), said);
      assert.ok(said.includes(`On AWS: ${id}, a g4dn.xlarge in us-east-1b, on demand\n`), said);
    }
    const { aws } = await outputs();
    assert.deepEqual(
      [aws.instanceType, aws.zone, aws.onSpot, aws.passedOver],
      ["g4dn.xlarge", B, false, [reason]],
    );
    await requireServing();
  });

  it("stays there while nothing changes, though the first zone has capacity again", async () => {
    capacity(() => true);
    const [before] = stack.instances;
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual([changed(output), stack.instances, meanwhile], [[], [before], []]);
  });

  it("stays there when there are more choices, as the preview says", async () => {
    const [before] = stack.instances;
    stack.set([HOST, "zones"], [A, C, B]);
    const preview = await stack.npm("preview");
    requireSuccess(preview);
    assert.doesNotMatch(preview.output, /replace/);
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), ["triton-machine-place updated"]);
    assert.deepEqual([stack.instances, meanwhile], [[before], []]);
  });

  it("keeps serving if AWS has no capacity for any other, and lists what was tried", async () => {
    const [before] = stack.instances;
    stack.set([HOST, "instanceType"], undefined);
    stack.set([HOST, "instanceTypes"], ["g5.xlarge", "g6.xlarge"]);
    capacity(() => false);
    const { code, output } = await stack.up();
    assert.notEqual(code, 0);
    assert.match(output, /error: AWS can launch the instance in none of 6 ways; what runs stays as it is:/);
    for (const type of ["g5.xlarge", "g6.xlarge"])
      for (const zone of [A, B, C])
        assert.match(output, new RegExp(`${type} in ${zone}, on demand: InsufficientInstanceCapacity: `));
    assert.match(output, /fix: add other zones to host\.zones or other types to host\.instanceTypes/);
    await stack.refuseSecrets(output);
    assert.deepEqual(stack.instances, [before]);
    await requireServing();
  });

  it("moves to the first type that AWS has, and the old instance serves until then", async () => {
    const [before] = stack.instances;
    capacity(({ instanceType, zone }) => instanceType === "g6.xlarge" && zone === C);
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.equal(place(), `g6.xlarge ${C} on demand`);
    assert.deepEqual(
      meanwhile,
      Array.from({ length: 5 }, () => [before]),
    );
    assert.equal(stack.instances.length, 1);
    await requireServing();
  });

  it("is chosen again if somebody else was faster", async () => {
    const [before] = stack.instances;
    stack.set([HOST, "instanceTypes"], ["g4dn.xlarge"]);
    capacity(({ zone }) => zone === A);
    stack.cloud.fail(INSTANCE, "create", "InsufficientInstanceCapacity: we do not have g4dn.xlarge capacity");
    const { code, output } = await stack.up();
    stack.cloud.recover();
    assert.notEqual(code, 0);
    assert.match(output, /g4dn\.xlarge in us-east-1a, on demand: taken\./);
    assert.deepEqual(stack.instances, [before]);
    await requireServing();

    capacity(({ zone }) => zone === B);
    requireSuccess(await stack.up());
    assert.equal(place(), `g4dn.xlarge ${B} on demand`);
    await requireServing();
    assert.deepEqual(changed((await stack.up()).output), []);
  });

  it("is on demand only where there is no spot capacity", async () => {
    stack.set([HOST, "spot"], true);
    stack.set([HOST, "onDemandFallback"], true);
    stack.set([HOST, "instanceTypes"], ["g5.xlarge"]);
    capacity(({ spot, zone }) => !spot && zone === A);
    requireSuccess(await stack.up());
    assert.equal(place(), `g5.xlarge ${A} on demand`);
    const { aws } = await outputs();
    assert.deepEqual([aws.onSpot, aws.passedOver.length], [false, 3]);
    await requireServing();

    stack.set([HOST, "instanceTypes"], ["g6.xlarge"]);
    capacity(({ spot, zone }) => spot && zone === C);
    requireSuccess(await stack.up());
    assert.equal(place(), `g6.xlarge ${C} spot`);
    assert.equal((await outputs()).aws.onSpot, true);
    await requireServing();
  });

  it("leaves nothing, nor does any attempt", async () => {
    requireSuccess(await stack.down());
    assert.deepEqual(stack.everything(), []);
    for (const { id, ended } of stack.cloud.api.attempts) assert.ok(ended, id);
  });
});
