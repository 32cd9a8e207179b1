// Waits for the targets of a load balancer, which only AWS knows. `node - healthy` ends when every target group of $GROUPS
// finds $INSTANCE healthy, so that nothing that is before it is given up earlier. `node - drained` ends when they have let go
// of it, or after $DELAY_SECONDS, so that requests in flight have their time before it is terminated.
"use strict";

const { createRequire } = require("node:module");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");

const env = process.env;
const [, , wanted] = process.argv;
const { INSTANCE: instance } = env;
const groups = JSON.parse(env.GROUPS);

/** Seconds for a new target to become healthy: registration takes "a few minutes", as AWS says, and then two checks. */
const HEALTHY_SECONDS = Number(env.HEALTHY_SECONDS ?? 600);
const DELAY_SECONDS = Number(env.DELAY_SECONDS);
const POLL_MS = Number(env.POLL_MS ?? 5000);
/** Seconds that AWS may take beyond the delay to say that a target is gone. */
const LATE = 30;

const say = (line) => console.error(line);

function fail(problem, fix) {
  say(`error: ${problem}\nfix: ${fix}`);
  process.exit(1);
}

const PACKAGE = "@aws-sdk/client-elastic-load-balancing-v2";

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
      return createRequire(path.join(folder, "package.json"))(PACKAGE);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new Error(`the package ${PACKAGE} is not installed where the program runs: npm install ${PACKAGE}`);
}

/** What each group says of the instance: a state, and the reason for it. */
async function states(elb, client) {
  return Promise.all(
    groups.map(async (TargetGroupArn) => {
      const asked = new elb.DescribeTargetHealthCommand({ TargetGroupArn });
      try {
        const { TargetHealthDescriptions: targets = [] } = await client.send(asked);
        const own = targets.find(({ Target: target }) => target?.Id === instance)?.TargetHealth;
        return { state: own?.State ?? "unused", reason: own?.Description ?? own?.Reason ?? "" };
      } catch (error) {
        // It is deleted together with the rest.
        if (!/^TargetGroupNotFound/.test(error.name)) throw error;
        return { state: "unused", reason: "" };
      }
    }),
  );
}

async function until(elb, client, isDone, seconds) {
  const end = Date.now() + seconds * 1000;
  let announced = "";
  for (;;) {
    const found = await states(elb, client);
    if (found.every(({ state }) => isDone(state))) return undefined;
    const { state, reason } = found.find((each) => !isDone(each.state));
    const words = `${state}${reason === "" ? "" : ` (${reason})`}`;
    if (Date.now() >= end) return words;
    if (words !== announced) say(`To the load balancer, ${instance} is ${words}; waiting …`);
    announced = words;
    await sleep(POLL_MS);
  }
}

async function healthy() {
  const elb = loadSdk();
  const client = new elb.ElasticLoadBalancingV2Client({});
  const left = await until(elb, client, (state) => state === "healthy", HEALTHY_SECONDS);
  if (left === undefined) return;
  fail(
    `the load balancer does not find ${instance} healthy: ${left}`,
    "npm run status shows whether its server and its gateway run; then run npm run up again. What served before still does",
  );
}

async function drained() {
  const began = Date.now();
  try {
    const elb = loadSdk();
    const client = new elb.ElasticLoadBalancingV2Client({});
    await until(elb, client, (state) => state === "unused", DELAY_SECONDS + LATE);
  } catch (error) {
    say(`AWS does not say when ${instance} is drained: ${error.message}`);
    await sleep(Math.max(0, DELAY_SECONDS * 1000 - (Date.now() - began)));
  }
}

(wanted === "drained" ? drained() : healthy()).catch((error) => {
  fail(
    `AWS does not say whether the load balancer finds ${instance} healthy: ${error.message}`,
    "let who deploys ask for it (elasticloadbalancing:DescribeTargetHealth), and run npm run up again",
  );
});
