// The instance of a stack on AWS, as EC2 itself knows it: whether it runs, why it does not, and how it starts again.
import { setTimeout } from "node:timers/promises";

import { stackConfig, stackOutputs } from "./stack-host.mjs";

/** What keeps an instance from starting. Its message is all that the user needs. */
class InstanceError extends Error {
  isForUser = true;
}

/** What an instance writes on its console before it stops itself (components/host/agent/agent/idle.py). */
const STOPS = /xsched-triton stops this machine: (.+?) \((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\)/g;

/** Why EC2 says that an instance does not run: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html */
const REASONS = {
  "Client.InstanceInitiatedShutdown": "it has shut itself down",
  "Client.UserInitiatedShutdown": "it was stopped through EC2, by its schedule or by somebody",
  "Server.SpotInstanceShutdown": "AWS has taken its spot capacity back",
  "Server.SpotInstanceTermination": "AWS has taken its spot capacity back",
  "Server.ScheduledStop": "AWS has stopped it for maintenance of the hardware",
};

/** Reasons after which only AWS starts an instance again. */
const TAKEN_BACK = ["Server.SpotInstanceShutdown", "Server.SpotInstanceTermination"];

/** EC2, for one instance. */
export async function ec2Of({ instanceId, region }, stack) {
  const sdk = await import("@aws-sdk/client-ec2");
  const profile = stackConfig(stack)["aws:profile"]?.value;
  const client = new sdk.EC2Client({ region, maxAttempts: 3, ...(profile !== undefined && { profile }) });
  return {
    async describe() {
      const answer = await client.send(new sdk.DescribeInstancesCommand({ InstanceIds: [instanceId] }));
      return answer.Reservations?.[0]?.Instances?.[0];
    },
    async console() {
      const { Output = "" } = await client.send(new sdk.GetConsoleOutputCommand({ InstanceId: instanceId }));
      return Buffer.from(Output, "base64").toString("utf8");
    },
    async start() {
      await client.send(new sdk.StartInstancesCommand({ InstanceIds: [instanceId] }));
    },
  };
}

/**
 * Whether an instance runs, and if not, since when and why, as far as that is known.
 *
 * @returns `state` as EC2 calls it, or `gone`
 */
export async function instanceState(ec2) {
  let found;
  try {
    found = await ec2.describe();
  } catch (error) {
    if (error.name === "InvalidInstanceID.NotFound") return { state: "gone" };
    throw error;
  }
  const { Name: state = "gone" } = found?.State ?? {};
  if (state === "terminated" || state === "shutting-down") return { state: "gone" };
  if (state !== "stopped" && state !== "stopping") return { state };
  const { Code: code, Message: message } = found.StateReason ?? {};
  const [, date, time] =
    /\((\d{4}-\d\d-\d\d) (\d\d:\d\d):\d\d GMT\)/.exec(found.StateTransitionReason ?? "") ?? [];
  const known = {
    state,
    since: date === undefined ? undefined : `${date} ${time} UTC`,
    why: REASONS[code] ?? message ?? "EC2 does not say why",
    takenBack: TAKEN_BACK.includes(code),
  };
  if (code !== "Client.InstanceInitiatedShutdown") return known;
  return { ...known, ...(await ownWords(ec2, found.LaunchTime)) };
}

/**
 * What an instance itself has said of its stop, last; nothing where that is not to be read.
 *
 * @param launched when it was started last: what it said before is of an earlier stop, which the console still shows
 */
async function ownWords(ec2, launched) {
  try {
    const last = [...(await ec2.console()).matchAll(STOPS)].at(-1);
    if (last === undefined) return {};
    const [, why, when] = last;
    if (launched !== undefined && new Date(when) < new Date(launched)) return {};
    return { why, since: `${when.slice(0, 10)} ${when.slice(11, 16)} UTC` };
  } catch {
    // Who deploys may lack the right; that it has shut itself down is known without it.
    return {};
  }
}

/** One line on an instance that does not run; undefined if it does. */
export function stoppedLine({ state, since, why, takenBack }, { name, instanceId }) {
  const which = `The instance ${instanceId} of the stack "${name}"`;
  const when = since === undefined ? "" : ` since ${since}`;
  switch (state) {
    case "running":
      return undefined;
    case "gone":
      return `${which} does not exist any more; npm run up -- ${name} --refresh makes another.`;
    case "stopped":
    case "stopping": {
      const again = takenBack
        ? "AWS starts it again as soon as there is capacity."
        : `npm run wake -- ${name} starts it.`;
      return `${which} is ${state}${when} (${why}); ${again}`;
    }
    default:
      return `${which} is ${state}; npm run wake -- ${name} waits until it serves.`;
  }
}

/** Whether a stack's instance stops on purpose at times. */
export const stopsAtTimes = ({ aws } = {}) => aws?.stops !== undefined;

/**
 * Whether EC2 is to be asked before anybody waits for a stack's instance: it may have stopped on purpose, or Session Manager
 * leads to it, which says of a stopped instance only that it is not connected.
 */
export const isAskedAfter = ({ aws, host } = {}) =>
  aws !== undefined && (stopsAtTimes({ aws }) || host?.ssh?.proxyCommand !== undefined);

/** The line on a stack's instance that does not run; undefined if it does, or if that is not to be known. */
export async function notRunning(...words) {
  return (await stoppedInstance(...words))?.line;
}

/**
 * A stack's instance that does not run: its line, and whether it is gone for good.
 *
 * @param outputs of the stack
 * @returns undefined if it runs, or if that is not to be known
 */
export async function stoppedInstance(stack, outputs = stackOutputs(stack), connect = ec2Of) {
  const { aws } = outputs;
  if (aws?.instanceId === undefined) return undefined;
  try {
    const found = await instanceState(await connect(aws, stack));
    const line = stoppedLine(found, { name: stack.name, instanceId: aws.instanceId });
    return line === undefined ? undefined : { line, gone: found.state === "gone" };
  } catch {
    // Whoever cannot ask EC2 learns from the host itself what is wrong.
    return undefined;
  }
}

/**
 * Milliseconds between two questions, the longest that EC2 has for a stop or a start, and the longest for which it may not have
 * heard of either.
 */
const LOOK_MS = 2000;
const LONGEST_MS = 15 * 60_000;
const LAG_MS = 60_000;

/** EC2 does not start an instance yet whose stop, or that of its spot request, it has not heard of everywhere. */
const NOT_YET = ["IncorrectInstanceState", "IncorrectSpotRequestState"];

/**
 * Starts an instance, and waits until it runs. Waits for the end of a stop first.
 *
 * @param say what is said of the progress
 * @param pause waits for so many milliseconds
 * @returns whether it did not run before
 */
export async function startInstance(ec2, aws, stack, say, pause = setTimeout) {
  const { instanceId, region } = aws;
  const refuse = (what, fix) => {
    throw new InstanceError(`${what}\nfix: ${fix}`);
  };
  let said = "";
  let stoppedAt;
  let startedAt;
  for (let waited = 0; ; waited += LOOK_MS) {
    const found = await askState(ec2, instanceId, refuse);
    const { state, takenBack } = found;
    if (state === "running") return said !== "";
    if (state !== said && !(startedAt !== undefined && state === "stopped"))
      say(stoppedLine(found, { name: stack, instanceId }).split(";")[0]);
    said = state;
    if (state === "gone") {
      refuse(`The instance ${instanceId} does not exist any more.`, `npm run up -- ${stack} --refresh`);
    }
    if (state === "stopped" && takenBack) {
      refuse(
        `AWS has taken the spot capacity of ${instanceId} back, and nobody else can start it: it does so itself as soon as it has capacity.`,
        `wait, or let npm run up -- ${stack} take it elsewhere: host.zones, host.onDemandFallback (docs/how-to/aws.md)`,
      );
    }
    if (state === "stopped" && startedAt === undefined) {
      stoppedAt ??= waited;
      if (await start(ec2, aws, stack, refuse, waited - stoppedAt < LAG_MS)) startedAt = waited;
    } else if (state === "stopped" && waited - startedAt > LAG_MS) {
      refuse(
        `EC2 has stopped ${instanceId} again right after its start.`,
        `see why: aws ec2 describe-instances --region ${region} --instance-ids ${instanceId} --query 'Reservations[0].Instances[0].StateReason'`,
      );
    }
    if (waited >= LONGEST_MS)
      refuse(`${instanceId} is still ${state}.`, `run it again: npm run wake -- ${stack}`);
    await pause(LOOK_MS);
  }
}

/** The state, or why EC2 cannot be asked for it. */
async function askState(ec2, instanceId, refuse) {
  try {
    return await instanceState(ec2);
  } catch (error) {
    return refuse(
      `EC2 does not say whether ${instanceId} runs: ${reasonOf(error)}`,
      error.name === "UnauthorizedOperation"
        ? "allow the credentials of this machine ec2:DescribeInstances"
        : "aws sts get-caller-identity says whether this machine has credentials: aws configure, aws sso login, or set AWS_PROFILE or aws:profile",
    );
  }
}

const reasonOf = ({ name, message }) => `${name}: ${message}`.split("\n")[0];

/**
 * @param patient whether EC2 may still be learning that the instance has stopped
 * @returns whether EC2 starts it
 */
async function start(ec2, { instanceId, instanceType, zone, region }, stack, refuse, patient) {
  try {
    await ec2.start();
    return true;
  } catch (error) {
    if (patient && NOT_YET.includes(error.name)) return false;
    switch (error.name) {
      case "InsufficientInstanceCapacity":
        return refuse(
          `AWS has no capacity for ${instanceType} in ${zone} now, so ${instanceId} stays stopped.`,
          `try again later: npm run wake -- ${stack}\n` +
            `     or let npm run up -- ${stack} launch another one elsewhere: host.zones, host.instanceTypes (docs/how-to/aws.md)`,
        );
      case "IncorrectSpotRequestState":
        return refuse(
          `EC2 does not start ${instanceId}, because its spot request is not one that can: ${error.message}`,
          `see the request: aws ec2 describe-spot-instance-requests --region ${region} --filters Name=instance-id,Values=${instanceId}`,
        );
      case "UnauthorizedOperation":
        return refuse(
          `The credentials of this machine may not start ${instanceId}.`,
          `allow them ec2:StartInstances on instance/${instanceId} in ${region}`,
        );
      default:
        return refuse(
          `EC2 does not start ${instanceId}: ${reasonOf(error)}`,
          `mend what it says, and run it again: npm run wake -- ${stack}`,
        );
    }
  }
}
