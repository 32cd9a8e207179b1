// Waits until the models of an instance that was started serve again.
import { setTimeout } from "node:timers/promises";

import { ec2Of, startInstance } from "./instance.mjs";
import { isHealthy } from "./server-status.mjs";
import { tryOnHost } from "./stack-host.mjs";

/** Milliseconds between two looks at the host, between two words of progress, and the longest that models have to load. */
const LOOK_MS = 2000;
const WORD_MS = 30_000;
const LONGEST_MS = 30 * 60_000;

/** How ssh ends where it cannot run a command. */
const SSH_FAILED = 255;

/** What of the host's answer is worth a word: it changes with each step on the way. */
function progressOf({ server, problem }, models) {
  if (problem !== undefined) return `it answers, but does not say what it serves: ${problem}`;
  if (server === undefined) return "it runs; waiting for its SSH server";
  if (!server.running) return "it answers; Triton starts";
  const ready = server.models.filter((model) => model.ready && models.includes(model.name)).length;
  return `Triton answers; ${ready} of ${models.length} models are ready`;
}

/** Whether nothing more is to come, as a model that is set aside is not loaded again by itself. */
function isSettled(server, models) {
  if (server === undefined || !server.running) return false;
  const known = new Map(server.models.map((model) => [model.name, model]));
  return (
    models.some((name) => known.get(name)?.setAside) &&
    models.every((name) => known.get(name)?.ready || known.get(name)?.setAside)
  );
}

/**
 * Waits until the models of a stack serve.
 *
 * @param look at the host: what its agent's `status` says as `server`, or why it does not as `problem`; neither if no SSH
 *   server answers
 * @param clock in milliseconds
 * @returns the last answer, and whether it is as it should be
 */
export async function awaitServing(
  outputs,
  look,
  say,
  { clock = Date.now, pause = setTimeout, longest = LONGEST_MS } = {},
) {
  const began = clock();
  const models = outputs.models.map(({ name }) => name);
  let said = "";
  let when = -Infinity;
  for (;;) {
    const answer = look();
    const { server } = answer;
    const now = clock();
    const healthy = server !== undefined && isHealthy(server, outputs);
    if (healthy || isSettled(server, models)) return { ...answer, healthy };
    const word = progressOf(answer, models);
    if (word !== said || now - when >= WORD_MS) say(`${word} (${Math.round((now - began) / 1000)} s)`);
    if (word !== said || now - when >= WORD_MS) when = now;
    said = word;
    if (now - began >= longest) return { ...answer, healthy: false };
    await pause(LOOK_MS);
  }
}

/** The agent's `status` on a stack's host, or why there is none; nothing while no SSH server answers. */
export function lookAtHost(stack, { host }, run = tryOnHost) {
  const { status, stdout, stderr } = run(["status"], host, stack, { stderr: "pipe" });
  if (status === 0) return { server: JSON.parse(stdout) };
  if (status === SSH_FAILED) return {};
  const said = stderr.trim().split("\n");
  return { problem: said.findLast((line) => line.startsWith("error: "))?.slice(7) ?? said.at(-1) };
}

/**
 * Starts a stack's instance if it does not run.
 *
 * @param longest milliseconds to wait for the models
 * @returns what its host says in the end; undefined if it has run before
 */
export async function wake(stack, outputs, say, longest = LONGEST_MS) {
  const { aws } = outputs;
  const ec2 = await ec2Of(aws, stack);
  if (!(await startInstance(ec2, aws, stack.name, say))) return undefined;
  say(`The instance ${aws.instanceId} has started; waiting until its models serve …`);
  return awaitServing(outputs, () => lookAtHost(stack, outputs), say, { longest });
}
