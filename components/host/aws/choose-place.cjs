// Prints where an instance can be launched now, as JSON: the first of $CHOICES that AWS has capacity for. Each choice is
// tried with something that proves it and goes away by itself (chosenPlace.ts says why): a capacity reservation on demand,
// a bare instance on spot. What an earlier run has chosen stays for as long as $CHOICES allow it and $LAUNCH is the same;
// so does the place of the stack's own instance, if it is what is wanted.
"use strict";

const { createRequire } = require("node:module");
const { createHash, randomUUID } = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");

const env = process.env;
const { IMAGE: image, LAUNCH: launch } = env;
const choices = JSON.parse(env.CHOICES);
const { ami, kmsKeyId, subnetId } = JSON.parse(launch);
/** In a network of the stack's own, its subnets by their zones. */
const subnets = env.SUBNETS === undefined ? undefined : JSON.parse(env.SUBNETS);

/** Seconds for all attempts. */
const LIMIT = Number(env.LIMIT_SECONDS ?? 240);
/** Seconds for one request. */
const REQUEST = Number(env.REQUEST_SECONDS ?? 20);
/** Minutes until AWS ends a reservation that was left behind; it may take up to an hour longer. */
const LEFT_BEHIND = 5;
/** Seconds for a bare instance to end: until then, it counts for the quota of spot capacity. */
const END = Number(env.END_SECONDS ?? 120);
const POLL_MS = Number(env.POLL_MS ?? 3000);

const deadline = Date.now() + LIMIT * 1000;

const say = (line) => console.error(line);

function fail(problem, fix) {
  say(`error: ${problem}\nfix: ${fix}`);
  process.exit(1);
}

const inWords = ({ instanceType, zone, spot }) =>
  `${instanceType}${zone ? ` in ${zone}` : ""}, ${spot ? "on spot capacity" : "on demand"}`;

const isAllowed = (place) =>
  choices.some(
    (choice) =>
      choice.instanceType === place.instanceType &&
      choice.spot === place.spot &&
      (choice.zone === undefined || choice.zone === place.zone),
  );

function print(place, passedOver) {
  const { instanceType, zone, spot } = place;
  process.stdout.write(JSON.stringify({ instanceType, zone, spot, passedOver, launch }));
}

/** What an earlier run has chosen. */
function earlierChoice() {
  try {
    return JSON.parse(env.PULUMI_COMMAND_STDOUT ?? "");
  } catch {
    return undefined;
  }
}

/** AWS's SDK, from the program's packages, from those of this package, or from where Pulumi keeps this package as a plugin. */
function loadSdk() {
  // What the SDK thinks of this Node is no part of what an `up` has to say.
  env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const plugins = path.join(env.PULUMI_HOME || path.join(os.homedir(), ".pulumi"), "plugins");
  const kept = fs.existsSync(plugins)
    ? fs.readdirSync(plugins).filter((name) => name.includes("xsched-triton"))
    : [];
  const folders = [".", "node_modules/xsched-triton"].map((name) => path.resolve(name));
  for (const folder of [...folders, ...kept.map((name) => path.join(plugins, name))]) {
    try {
      return createRequire(path.join(folder, "package.json"))("@aws-sdk/client-ec2");
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return fail(
    "the package @aws-sdk/client-ec2 is not installed where the program runs",
    "npm install @aws-sdk/client-ec2",
  );
}

/** Errors after which another choice would fail as well, with what mends them. */
function fixFor({ name, message }) {
  if (/UnauthorizedOperation|AccessDenied/.test(name)) {
    return "let who deploys do it; docs/reference/aws.md lists the rights that several choices need";
  }
  if (
    /Credentials|^AuthFailure$|InvalidClientTokenId|^Expired|SignatureDoesNotMatch|UnrecognizedClient/.test(
      name,
    )
  ) {
    return "aws configure, aws sso login, or set AWS_PROFILE or aws:profile";
  }
  return /ENOTFOUND|EAI_AGAIN|ECONNREFUSED/.test(`${name} ${message}`)
    ? "check the network, a proxy, and aws:region"
    : undefined;
}

const reasonOf = ({ name, message }) => `${name}: ${message}`.split("\n")[0];

const isThrottled = ({ name }) => /RequestLimitExceeded|Throttl/.test(name);

async function main() {
  const earlier = earlierChoice();
  if (earlier?.launch === launch && isAllowed(earlier)) {
    print(earlier, earlier.passedOver);
    return;
  }
  const sdk = loadSdk();
  const settings = {
    requestHandler: { requestTimeout: REQUEST * 1000, throwOnRequestTimeout: true, connectionTimeout: 5000 },
  };
  const asking = new sdk.EC2Client({ ...settings, maxAttempts: 3 });
  // The SDK would take a lack of capacity, which is an error of the server, for one that passes.
  const trying = new sdk.EC2Client({ ...settings, maxAttempts: 1 });
  const aws = {
    sdk,
    asking,
    ask: (command) => asking.send(command),
    attempt: (command) => attempt(trying, command),
  };

  try {
    await removeLeftovers(aws);
    // Only where no earlier choice says that the instance must change.
    const own =
      earlier?.launch === undefined || earlier.launch === launch ? await ownInstance(aws) : undefined;
    if (own !== undefined && isAllowed(own)) {
      say(`The instance ${own.id} is ${inWords(own)}, and stays there.`);
      print(own, []);
      return;
    }
    await choose(aws, await withZones(aws));
  } catch (error) {
    fail(`a place for the instance cannot be chosen: ${reasonOf(error)}`, fixFor(error) ?? "try again");
  }
}

async function choose(aws, attempts) {
  const passedOver = [];
  for (const place of attempts) {
    if (Date.now() > deadline) {
      passedOver.push(`${inWords(place)}: not tried, after ${LIMIT} s`);
      continue;
    }
    try {
      await (place.spot ? launchBare(aws, place) : reserve(aws, place));
    } catch (error) {
      const fix = fixFor(error);
      if (fix !== undefined) return fail(`${inWords(place)} cannot be tried: ${reasonOf(error)}`, fix);
      passedOver.push(`${inWords(place)}: ${reasonOf(error)}`);
      say(passedOver.at(-1));
      continue;
    }
    say(`${inWords(place)}: taken.`);
    print(place, passedOver);
    return undefined;
  }
  const onlySpot = attempts.every(({ spot }) => spot);
  return fail(
    `AWS can launch the instance in none of ${attempts.length} ways; what runs stays as it is:\n${passedOver
      .map((each) => `  ${each}`)
      .join("\n")}`,
    `add other zones to host.zones or other types to host.instanceTypes${
      onlySpot ? ", set host.onDemandFallback to true" : ""
    }, or try again later`,
  );
}

/** A request that is not repeated, unless AWS has not even looked at it. */
async function attempt(client, command) {
  for (let delay = 1000; ; delay *= 2) {
    try {
      return await client.send(command);
    } catch (error) {
      if (!isThrottled(error) || Date.now() + delay > deadline) throw error;
      await sleep(delay);
    }
  }
}

/** What marks that which exists only to try a choice. */
const MARK = { Key: "xsched-triton:attempt", Value: env.NAME };

const tags = () => [
  { Key: "Name", Value: `${env.NAME}-attempt` },
  { Key: "xsched-triton:project", Value: env.PROJECT },
  { Key: "xsched-triton:stack", Value: env.STACK },
  MARK,
];

const filter = (Name, ...Values) => ({ Name, Values });
const marked = filter(`tag:${MARK.Key}`, MARK.Value);

/** Ends what an earlier run that was killed has left. */
async function removeLeftovers({ sdk, asking, ask }) {
  // Who reserves nothing needs no right to look at reservations.
  if (choices.some(({ spot }) => !spot)) {
    // AWS has no filter for their tags.
    const Filters = [filter("state", "active", "pending")];
    for await (const page of sdk.paginateDescribeCapacityReservations({ client: asking }, { Filters })) {
      for (const { CapacityReservationId, Tags: tagged = [] } of page.CapacityReservations ?? []) {
        const left = tagged.some(({ Key, Value }) => Key === MARK.Key && Value === MARK.Value);
        if (left) await ask(new sdk.CancelCapacityReservationCommand({ CapacityReservationId }));
      }
    }
  }
  const instances = await instancesOf({ sdk, ask }, [
    marked,
    filter("instance-state-name", "pending", "running"),
  ]);
  const InstanceIds = instances.map(({ InstanceId }) => InstanceId);
  if (InstanceIds.length > 0) await ask(new sdk.TerminateInstancesCommand({ InstanceIds }));
}

async function instancesOf({ sdk, ask }, Filters) {
  const { Reservations: found = [] } = await ask(new sdk.DescribeInstancesCommand({ Filters }));
  return found.flatMap(({ Instances: instances = [] }) => instances);
}

/** The stack's instance, if it is made as the next one is to be. */
async function ownInstance(aws) {
  const [own, ...others] = await instancesOf(aws, [
    filter("tag:Name", env.NAME),
    filter("tag:xsched-triton:project", env.PROJECT),
    filter("tag:xsched-triton:stack", env.STACK),
    filter("instance-state-name", "pending", "running", "stopping", "stopped"),
  ]);
  if (own === undefined || others.length > 0) return undefined;
  if (ami !== undefined && own.ImageId !== ami) return undefined;
  if (subnetId !== undefined && own.SubnetId !== subnetId) return undefined;
  if (subnets !== undefined && !Object.values(subnets).includes(own.SubnetId)) return undefined;
  if (kmsKeyId !== undefined && (await keyOfVolume(aws, own)) !== kmsKeyId) return undefined;
  return {
    id: own.InstanceId,
    instanceType: own.InstanceType,
    zone: own.Placement?.AvailabilityZone,
    spot: own.InstanceLifecycle === "spot",
  };
}

async function keyOfVolume({ sdk, ask }, { RootDeviceName, BlockDeviceMappings: devices = [] }) {
  const id = devices.find(({ DeviceName }) => DeviceName === RootDeviceName)?.Ebs?.VolumeId;
  if (id === undefined) return undefined;
  const { Volumes: volumes = [] } = await ask(new sdk.DescribeVolumesCommand({ VolumeIds: [id] }));
  return volumes[0]?.KmsKeyId;
}

/** The choices, each with its zone: all that a choice without one can mean, and where its type is offered. */
async function withZones({ sdk, ask }) {
  const attempts = [];
  for (const choice of choices) {
    if (choice.zone !== undefined) {
      attempts.push(choice);
      continue;
    }
    const offered = await zonesOffering({ sdk, ask }, choice.instanceType);
    const usable = await zonesOfSubnets({ sdk, ask });
    attempts.push(...usable.filter((zone) => offered.includes(zone)).map((zone) => ({ ...choice, zone })));
  }
  if (attempts.length > 0) return attempts;
  const types = [...new Set(choices.map(({ instanceType }) => instanceType))].join(", ");
  const where =
    subnetId === undefined ? `the zones of the default VPC in ${env.AWS_REGION}` : `the zone of ${subnetId}`;
  return fail(
    `${types}: not offered in ${where}`,
    "choose other instance types, or another region or subnet",
  );
}

const asked = new Map();

/** Asks the same only once. */
function once(key, ask) {
  if (!asked.has(key)) asked.set(key, ask());
  return asked.get(key);
}

const zonesOffering = ({ sdk, ask }, type) =>
  once(type, async () => {
    const { InstanceTypeOfferings: offerings = [] } = await ask(
      new sdk.DescribeInstanceTypeOfferingsCommand({
        LocationType: "availability-zone",
        Filters: [filter("instance-type", type)],
      }),
    );
    return offerings.map(({ Location }) => Location);
  });

const zonesOfSubnets = ({ sdk, ask }) =>
  once("", async () => {
    const { Subnets: subnets = [] } = await ask(
      new sdk.DescribeSubnetsCommand(
        subnetId === undefined ? { Filters: [filter("default-for-az", "true")] } : { SubnetIds: [subnetId] },
      ),
    );
    return subnets.map(({ AvailabilityZone }) => AvailabilityZone).sort();
  });

/** What exists at this moment only to try a choice, and how to give it back. */
let giveBack;

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    Promise.resolve(giveBack?.())
      .catch(() => undefined)
      .finally(() => process.exit(1));
  });
}

async function reserve({ sdk, ask, attempt: send }, { instanceType, zone }) {
  const { CapacityReservation: made } = await send(
    new sdk.CreateCapacityReservationCommand({
      ClientToken: randomUUID(),
      InstanceType: instanceType,
      InstancePlatform: "Linux/UNIX",
      AvailabilityZone: zone,
      InstanceCount: 1,
      // Nobody's instance runs in it, and so none that runs already fills it.
      InstanceMatchCriteria: "targeted",
      EndDateType: "limited",
      EndDate: new Date(Date.now() + LEFT_BEHIND * 60_000),
      TagSpecifications: [{ ResourceType: "capacity-reservation", Tags: tags() }],
    }),
  );
  const { CapacityReservationId: id } = made;
  giveBack = () => ask(new sdk.CancelCapacityReservationCommand({ CapacityReservationId: id }));
  let state;
  try {
    state = await stateOf({ sdk, ask }, made);
  } finally {
    // One that has failed is gone.
    if (state !== "failed") await cancel(id);
    giveBack = undefined;
  }
  if (state === "active") return;
  const name = state === "failed" ? "ReservationFailed" : "ReservationPending";
  throw Object.assign(new Error("AWS could not provide what it had granted"), { name });
}

async function cancel(id) {
  try {
    await giveBack();
  } catch (error) {
    say(
      `The capacity reservation ${id} could not be cancelled (${reasonOf(error)}); it ends by itself within 65 minutes.`,
    );
  }
}

/** The state of a reservation that was granted: AWS may still be at it. */
async function stateOf({ sdk, ask }, { CapacityReservationId: id, State: first }) {
  let state = first;
  for (const end = Date.now() + REQUEST * 1000; state === "pending" && Date.now() < end;) {
    await sleep(POLL_MS);
    const { CapacityReservations: found = [] } = await ask(
      new sdk.DescribeCapacityReservationsCommand({ CapacityReservationIds: [id] }),
    );
    state = found[0]?.State;
  }
  return state;
}

async function launchBare(aws, { instanceType, zone }) {
  const { sdk, ask, attempt: send } = aws;
  const subnet = subnets?.[zone] ?? subnetId;
  const { Instances: made = [] } = await send(
    new sdk.RunInstancesCommand({
      ClientToken: createHash("sha256").update(randomUUID()).digest("hex").slice(0, 64),
      ImageId: image,
      InstanceType: instanceType,
      MinCount: 1,
      MaxCount: 1,
      ...(subnet === undefined ? { Placement: { AvailabilityZone: zone } } : { SubnetId: subnet }),
      InstanceMarketOptions: {
        MarketType: "spot",
        SpotOptions: { SpotInstanceType: "one-time", InstanceInterruptionBehavior: "terminate" },
      },
      // If nobody is left to terminate it, it does so itself.
      InstanceInitiatedShutdownBehavior: "terminate",
      UserData: Buffer.from("#!/bin/sh\nshutdown -h now\n").toString("base64"),
      MetadataOptions: { HttpTokens: "required" },
      TagSpecifications: [
        { ResourceType: "instance", Tags: tags() },
        { ResourceType: "volume", Tags: tags() },
      ],
    }),
  );
  const InstanceIds = made.map(({ InstanceId }) => InstanceId);
  giveBack = () => ask(new sdk.TerminateInstancesCommand({ InstanceIds }));
  await giveBack();
  giveBack = undefined;
  for (const end = Date.now() + END * 1000; Date.now() < end; await sleep(POLL_MS)) {
    const left = await instancesOf(aws, [filter("instance-id", ...InstanceIds)]);
    if (left.every(({ State }) => State?.Name === "terminated")) return;
  }
  say(`The instance ${InstanceIds.join(", ")}, with which spot capacity was tried, is still ending.`);
}

void main();
