import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { DescribeImagesCommand, DescribeInstancesCommand, EC2Client } from "@aws-sdk/client-ec2";

import type { Choice } from "../../../components/host/aws/choices";
import type { ChosenPlace } from "../../../components/host/aws/chosenPlace";
import { S3Server } from "../../aws/s3Server";
import {
  fullAccount,
  StandInApi,
  type StandInAttempt,
  type StandInPlace,
} from "../../fixtures/standInCloud/api";
import { remember } from "../../fixtures/standInCloud/world";

const ROOT = path.resolve(__dirname, "../../..");
const SCRIPT = fs.readFileSync(path.join(ROOT, "components/host/aws/choose-place.cjs"), "utf8");

const [A, B, C] = ["us-east-1a", "us-east-1b", "us-east-1c"] as const;

const onDemand = (zone: string, instanceType = "g5.xlarge"): Choice => ({ instanceType, zone, spot: false });
const onSpot = (zone: string, instanceType = "g5.xlarge"): Choice => ({ instanceType, zone, spot: true });

interface Run {
  readonly code: number | null;
  readonly place: ChosenPlace | undefined;
  readonly stdout: string;
  readonly said: string;
}

describe("a place for an instance", () => {
  let api: StandInApi;
  let world: string;

  beforeEach(async () => {
    api = new StandInApi();
    await api.start();
    world = fs.mkdtempSync(path.join(process.env.TMPDIR ?? "/tmp", "xsched-triton-places-"));
    process.env.STAND_IN_CLOUD = world;
  });

  afterEach(() => {
    api.stop();
    delete process.env.STAND_IN_CLOUD;
    fs.rmSync(world, { recursive: true });
  });

  /** AWS has capacity only where the function says so. */
  const capacity = (has: (place: StandInPlace) => boolean): void => {
    api.account = { ...fullAccount(), capacity: has };
  };

  /** Runs the script, as the command does. */
  const choose = (choices: readonly Choice[], environment: NodeJS.ProcessEnv = {}): Promise<Run> =>
    new Promise((resolve, reject) => {
      const child = spawn("node", ["-"], {
        cwd: ROOT,
        env: {
          ...process.env,
          ...api.environment,
          ...{ CHOICES: JSON.stringify(choices), LAUNCH: "{}", IMAGE: "ami-0123456789abcdef0" },
          ...{ AWS_REGION: "us-east-1", PROJECT: "project", STACK: "stack", NAME: "project-stack-gpu" },
          ...{ POLL_MS: "10", ...environment },
        },
      });
      let [stdout, said] = ["", ""];
      child.stdout.on("data", (part: Buffer) => (stdout += part.toString()));
      child.stderr.on("data", (part: Buffer) => (said += part.toString()));
      child.on("error", reject);
      child.on("close", (code) => {
        const place = stdout === "" ? undefined : (JSON.parse(stdout) as ChosenPlace);
        resolve({ code, place, stdout, said });
      });
      child.stdin.end(SCRIPT);
    });

  /** Where an attempt was made, in order, and that nothing of it is left. */
  const tried = (): string[] => {
    for (const { id, ended } of api.attempts) assert.ok(ended, `${id} is left`);
    return api.attempts.map(
      ({ instanceType, zone, spot }) => `${instanceType} ${zone} ${spot ? "spot" : "od"}`,
    );
  };

  it("is the first choice, if AWS has capacity for it", async () => {
    const { code, place, said } = await choose([onDemand(B), onDemand(A)]);
    assert.equal(code, 0, said);
    assert.deepEqual(place, { ...onDemand(B), passedOver: [], launch: "{}" });
    assert.deepEqual(tried(), ["g5.xlarge us-east-1b od"]);
    assert.match(said, /^g5\.xlarge in us-east-1b, on demand: taken\.$/m);
  });

  it("is the next zone, and then the next type, with the reason for each that comes before", async () => {
    capacity(({ instanceType, zone }) => instanceType === "g4dn.xlarge" && zone === B);
    const choices = ["g5.xlarge", "g4dn.xlarge"].flatMap((type) => [onDemand(A, type), onDemand(B, type)]);
    const { code, place, said } = await choose(choices);
    assert.equal(code, 0, said);
    assert.deepEqual([place?.instanceType, place?.zone], ["g4dn.xlarge", B]);
    assert.deepEqual(place?.passedOver, [
      "g5.xlarge in us-east-1a, on demand: InsufficientInstanceCapacity: We do not have g5.xlarge capacity in us-east-1a.",
      "g5.xlarge in us-east-1b, on demand: InsufficientInstanceCapacity: We do not have g5.xlarge capacity in us-east-1b.",
      "g4dn.xlarge in us-east-1a, on demand: InsufficientInstanceCapacity: We do not have g4dn.xlarge capacity in us-east-1a.",
    ]);
    for (const each of place.passedOver) assert.ok(said.includes(each), said);
    assert.deepEqual(tried(), ["g4dn.xlarge us-east-1b od"]);
    // A lack of capacity is not asked for twice.
    assert.equal(api.asked.filter((operation) => operation === "CreateCapacityReservation").length, 4);
  });

  it("is on spot capacity before it is on demand", async () => {
    capacity(({ spot, zone }) => !spot && zone === B);
    const choices = [onSpot(A), onSpot(B), onDemand(A), onDemand(B)];
    const { code, place, said } = await choose(choices);
    assert.equal(code, 0, said);
    assert.deepEqual([place?.zone, place?.spot, place?.passedOver.length], [B, false, 3]);

    capacity(() => true);
    assert.equal((await choose(choices)).place?.spot, true);
    assert.deepEqual(tried(), ["g5.xlarge us-east-1b od", "g5.xlarge us-east-1a spot"]);
  });

  it("is nowhere if AWS has no capacity at all, with all that was tried and a fix", async () => {
    capacity(() => false);
    const { code, said, stdout } = await choose([onSpot(A), onDemand(A)]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(said, /^error: AWS can launch the instance in none of 2 ways; what runs stays as it is:$/m);
    assert.match(
      said,
      /^ {2}g5\.xlarge in us-east-1a, on spot capacity: InsufficientInstanceCapacity: There is no Spot/m,
    );
    assert.match(
      said,
      /^ {2}g5\.xlarge in us-east-1a, on demand: InsufficientInstanceCapacity: We do not have/m,
    );
    assert.match(
      said,
      /^fix: add other zones to host\.zones or other types to host\.instanceTypes, or try again later$/m,
    );
    const { said: onlySpot } = await choose([onSpot(A)]);
    assert.match(onlySpot, /, set host\.onDemandFallback to true, or try again later$/m);
  });

  it("counts only if AWS grants the reservation in the end", async () => {
    api.account.granted = "later";
    assert.equal((await choose([onDemand(A)])).place?.zone, A);
    api.account.granted = "failed";
    const { code, said } = await choose([onDemand(A)]);
    assert.equal(code, 1);
    assert.match(
      said,
      /^ {2}g5\.xlarge in us-east-1a, on demand: ReservationFailed: AWS could not provide what it had granted$/m,
    );
    assert.deepEqual(tried(), ["g5.xlarge us-east-1a od", "g5.xlarge us-east-1a od"]);
  });

  it("is not waited for where AWS does not answer", async () => {
    api.account.silent = ({ zone }) => zone === A;
    const { place, said } = await choose([onDemand(A), onDemand(B)], { REQUEST_SECONDS: "8" });
    assert.equal(place?.zone, B, said);
    assert.match(said, /^g5\.xlarge in us-east-1a, on demand: TimeoutError: /m);
  });

  it("is not looked for longer than the limit", async () => {
    capacity(() => false);
    const { code, said } = await choose([onDemand(A), onDemand(B)], { LIMIT_SECONDS: "0" });
    assert.equal(code, 1);
    assert.match(said, /^ {2}g5\.xlarge in us-east-1b, on demand: not tried, after 0 s$/m);
  });

  it("stays what it was, also if AWS has capacity for an earlier choice again, and without a question", async () => {
    capacity(({ zone }) => zone === B);
    const { stdout } = await choose([onDemand(A), onDemand(B)]);
    capacity(() => true);
    const { length } = api.asked;
    for (const choices of [
      [onDemand(A), onDemand(B)],
      [onDemand(C), onDemand(B)],
      [{ instanceType: "g5.xlarge", spot: false }],
    ]) {
      assert.equal((await choose(choices, { PULUMI_COMMAND_STDOUT: stdout })).stdout, stdout);
    }
    assert.equal(api.asked.length, length);
  });

  it("is another one if the choices no longer allow it, or what is launched changes", async () => {
    const { stdout } = await choose([onDemand(B)]);
    const other = await choose([onDemand(A)], { PULUMI_COMMAND_STDOUT: stdout });
    assert.equal(other.place?.zone, A);
    const launch = JSON.stringify({ ami: "ami-0fedcba9876543210" });
    const anew = await choose([onDemand(C), onDemand(B)], { PULUMI_COMMAND_STDOUT: stdout, LAUNCH: launch });
    assert.equal(anew.place?.zone, C);
  });

  const INSTANCE = {
    ...{ instanceType: "g5.xlarge", availabilityZone: B, ami: "ami-0123456789abcdef0" },
    tags: { Name: "project-stack-gpu", "xsched-triton:project": "project", "xsched-triton:stack": "stack" },
  };

  it("is that of the stack's instance when a stack gets its first list", async () => {
    remember("aws:ec2/instance:Instance", "i-0123456789abcdef0", INSTANCE);
    const { place, said } = await choose([onDemand(A), onDemand(B)]);
    assert.equal(place?.zone, B);
    assert.match(
      said,
      /The instance i-0123456789abcdef0 is g5\.xlarge in us-east-1b, on demand, and stays there/,
    );
    assert.deepEqual(tried(), []);
    // Another one, an instance of another stack, or one of another machine image.
    assert.equal((await choose([onDemand(A)])).place?.zone, A);
    assert.equal((await choose([onDemand(A), onDemand(B)], { STACK: "other" })).place?.zone, A);
    const launch = JSON.stringify({ ami: "ami-0fedcba9876543210" });
    assert.equal((await choose([onDemand(A), onDemand(B)], { LAUNCH: launch })).place?.zone, A);
  });

  it("is tried in the subnets of the stack's own network, and that of its instance only if it is in one", async () => {
    const subnets = { [A]: "subnet-a", [B]: "subnet-b" };
    for (const [availabilityZone, id] of Object.entries(subnets)) {
      remember("aws:ec2/subnet:Subnet", id, { availabilityZone });
    }
    const environment = { SUBNETS: JSON.stringify(subnets) };
    capacity(({ zone }) => zone === B);
    const { place, said } = await choose([onSpot(A), onSpot(B)], environment);
    assert.equal(place?.zone, B, said);
    const [{ request }] = api.attempts as [StandInAttempt];
    assert.deepEqual([request.SubnetId, request["Placement.AvailabilityZone"]], ["subnet-b", undefined]);

    capacity(() => true);
    for (const [subnetId, zone] of [
      ["subnet-of-default-vpc", A],
      ["subnet-b", B],
    ] as const) {
      remember("aws:ec2/instance:Instance", "i-0123456789abcdef0", { ...INSTANCE, subnetId });
      assert.equal((await choose([onDemand(A), onDemand(B)], environment)).place?.zone, zone, subnetId);
    }
  });

  it("is looked for in every zone that has the type, if none is named", async () => {
    capacity(({ zone }) => zone === C);
    api.account.offering = [B, C];
    const { place, said } = await choose([{ instanceType: "g5.xlarge", spot: false }]);
    assert.deepEqual([place?.zone, place?.passedOver.length], [C, 1], said);
    api.account.offering = [];
    const { code, said: nowhere } = await choose([{ instanceType: "g5.xlarge", spot: false }]);
    assert.equal(code, 1);
    assert.match(
      nowhere,
      /error: g5\.xlarge: not offered in the zones of the default VPC in us-east-1\nfix: /,
    );
  });

  it("is not looked for by who may not reserve capacity, who is told so", async () => {
    api.account.reservations = false;
    const { code, said } = await choose([onDemand(A), onDemand(B)]);
    assert.equal(code, 1);
    assert.match(said, /error: g5\.xlarge in us-east-1a, on demand cannot be tried: UnauthorizedOperation: /);
    assert.match(said, /fix: let who deploys do it; docs\/reference\/aws\.md/);
  });

  it("leaves nothing behind that does not end by itself, and a later run ends it at once", async () => {
    assert.equal((await choose([onDemand(A)])).code, 0);
    assert.equal((await choose([onSpot(A)])).code, 0);
    const [reservation, bare] = api.attempts;
    const { EndDate: end = "", EndDateType: ends, InstanceMatchCriteria: whose } = reservation!.request;
    const minutes = (Date.parse(end) - Date.now()) / 60_000;
    assert.ok(minutes > 0 && minutes <= 5, end);
    assert.deepEqual([ends, whose], ["limited", "targeted"]);
    const { UserData: data = "", ...launched } = bare!.request;
    assert.equal(Buffer.from(data, "base64").toString(), "#!/bin/sh\nshutdown -h now\n");
    assert.equal(launched.InstanceInitiatedShutdownBehavior, "terminate");
    assert.equal(launched["InstanceMarketOptions.SpotOptions.SpotInstanceType"], "one-time");
    // As if those runs had been killed.
    for (const each of api.attempts) each.ended = false;
    assert.equal((await choose([onDemand(B)])).code, 0);
    assert.deepEqual(tried(), [
      "g5.xlarge us-east-1a od",
      "g5.xlarge us-east-1a spot",
      "g5.xlarge us-east-1b od",
    ]);
  });

  describe("as moto understands the requests", () => {
    let moto: S3Server;
    let ec2: EC2Client;

    before(async function () {
      this.timeout(600_000); // The first time, moto is installed.
      moto = await S3Server.start();
      const credentials = { accessKeyId: "testing", secretAccessKey: "testing" };
      ec2 = new EC2Client({ region: "us-east-1", endpoint: moto.url, credentials });
    });

    after(() => {
      ec2.destroy();
      return moto.stop();
    });

    it("is one where a bare spot instance could be launched, which is gone again", async () => {
      const { Images: images = [] } = await ec2.send(new DescribeImagesCommand({ Owners: ["amazon"] }));
      const image = images.find(({ Architecture: architecture }) => architecture === "x86_64")?.ImageId;
      const { place, said } = await choose([{ instanceType: "g5.xlarge", spot: true }], {
        AWS_ENDPOINT_URL_EC2: moto.url,
        IMAGE: image,
      });
      assert.deepEqual([place?.zone, place?.passedOver], [A, []], said);
      const { Reservations: found = [] } = await ec2.send(
        new DescribeInstancesCommand({ Filters: [{ Name: "tag-key", Values: ["xsched-triton:attempt"] }] }),
      );
      const bare = found.flatMap(({ Instances: instances = [] }) => instances);
      assert.deepEqual(
        bare.map((each) => [each.InstanceType, each.InstanceLifecycle, each.State?.Name]),
        [["g5.xlarge", "spot", "terminated"]],
      );
      assert.equal(bare[0]?.Placement?.AvailabilityZone, A);
    });
  });
});
