import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";

import { random } from "../../scripts/bench/statistics/random";
import { MODELS } from "./examples";
import { until } from "../until";
import { freePorts } from "./ports";
import { TritonClient } from "./triton";
import { changesIn, type Finished, requireSuccess, Workspace } from "./workspace";

/** How often an `up` and a `down` are killed: INTERRUPTIONS=10 SEED=1 npm test -- "engine tests, interrupted" */
const INTERRUPTIONS = Number(process.env.INTERRUPTIONS ?? 3);
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

/** A process as /proc shows it. */
interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly command: string;
}

function processes(): Process[] {
  return fs
    .readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const command = fs.readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0").join(" ").trim();
        // The name, in parentheses, may hold any character.
        const status = fs.readFileSync(`/proc/${entry}/stat`, "utf8");
        const [, parent = "", group = ""] = status.slice(status.lastIndexOf(")") + 2).split(" ");
        return [{ pid: Number(entry), parent: Number(parent), group: Number(group), command }];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
}

/** A process and all that come from it. */
function family(root: number): Process[] {
  const all = processes();
  const found = all.filter(({ pid }) => pid === root);
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found;
}

function kill(target: number): void {
  try {
    process.kill(target, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

describe(`an \`up\` and a \`down\` that are killed, on the real engine (INTERRUPTIONS=${INTERRUPTIONS} SEED=${SEED})`, () => {
  const draw = random(SEED);
  let workspace: Workspace;
  let triton: TritonClient;
  /** How long each command takes if it is not killed, in milliseconds. */
  const whole: Record<string, number> = {};

  const timed = async (command: string): Promise<Finished> => {
    const begun = Date.now();
    const finished = await workspace.npm(command);
    whole[command] = Date.now() - begun;
    return finished;
  };

  /**
   * Kills `npm run COMMAND` with Pulumi, its providers and, if asked to, the commands of the agent that run just then.
   *
   * @param part of the time that the command takes
   * @returns what it did when it was killed; undefined if it ended before
   */
  const interrupt = async (
    command: string,
    part: number,
    withAgent: boolean,
  ): Promise<string | undefined> => {
    const begun = Date.now();
    const child = spawn("npm", ["run", "--silent", command], {
      cwd: workspace.directory,
      env: { ...process.env, ...workspace.environment },
      stdio: "ignore",
      detached: true,
    });
    const closed = once(child, "close");
    const afterMs = Math.round(part * (whole[command] ?? 0));
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, afterMs))]);
    if (child.exitCode !== null || child.pid === undefined) {
      whole[command] = Date.now() - begun;
      return undefined;
    }
    const running = family(child.pid);
    // Commands run in groups of their own, so that cancelling an update ends their children as well.
    const agents = running.filter(({ command: words }) => words.includes("/bin/agent "));
    const spared = new Set(withAgent ? [] : agents.map(({ group }) => group));
    for (const { pid, group } of running) if (!spared.has(group)) kill(pid);
    await closed;
    const names = agents.map(({ command: words }) => /\/bin\/agent (\S+)/.exec(words)?.[1]);
    const commands = [...new Set(names)].join(", ") || "none";
    return `after ${afterMs} of ${whole[command]} ms; commands of the agent${withAgent ? "" : ", spared"}: ${commands}`;
  };

  /** As if Pulumi had been killed between the two files that it writes for the stack's state. */
  const tearAttributes = (): void => {
    const stacks = workspace.file(".local/state/.pulumi/stacks");
    const names = fs.readdirSync(stacks, { recursive: true, encoding: "utf8" });
    for (const name of names.filter((each) => each.endsWith("/local.json.attrs"))) {
      fs.writeFileSync(path.join(stacks, name), "");
    }
  };

  /** The same at a moment of a round's own part of the time, which is what it took last. */
  const interruptInRound = async (round: number, command: "up" | "down"): Promise<void> => {
    for (;;) {
      // As an earlier release would have left it: what takes most of the time is not that of a download.
      if (command === "up") await workspace.installTriton();
      const what = await interrupt(command, (round + draw()) / INTERRUPTIONS, round % 2 === 0);
      if (what !== undefined) {
        console.log(`      killed ${what}`);
        if (round === 0) tearAttributes();
        return;
      }
      requireSuccess(await workspace.npm(command === "up" ? "down" : "up"));
    }
  };

  /** What a command said of the one before it that was killed. */
  const says = ({ output }: Finished): void => {
    assert.doesNotMatch(output, /pending operations/);
    const lines = output.match(/^(Removing the lock of|The last update was killed while) .*$/gm) ?? [];
    for (const line of lines) console.log(`      ${line}`);
  };

  const isServed = async (): Promise<void> => {
    for (const model of MODELS) {
      assert.ok(await triton.isReady(model), `${model} is ready`);
      const { status, body } = await triton.infer(model, await triton.exampleRequest(model));
      assert.equal(status, 200, body);
    }
    assert.equal((await triton.priority("interactive")).xsched, "40");
  };

  const isGone = async (): Promise<void> => {
    const left = (): Process[] =>
      processes().filter(({ command }) => command.includes(workspace.file(".local/hosts")));
    // Commands of the agent that were spared end when they find nothing left to do.
    await until(left, () => left().length === 0);
    const folder = workspace.file(".local/hosts/local");
    const files = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true }) : "gone";
    assert.deepEqual(files, "gone");
  };

  before(async () => {
    workspace = await Workspace.create();
    const [httpPort = 0, grpcPort = 0, metricsPort = 0] = await freePorts(3);
    workspace.edit("local", (config) => {
      for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
        config.setIn(["config", "xsched-triton:server", key], port);
      }
    });
    triton = new TritonClient(httpPort, false);
    await workspace.installTriton();
    requireSuccess(await timed("up"));
    await isServed();
    requireSuccess(await timed("down"));
    await isGone();
  });

  after(async () => {
    triton.close();
    await workspace.npm("down");
    workspace.remove();
  });

  for (let round = 0; round < INTERRUPTIONS; round++) {
    it(`an \`up\` that was killed: the next one deploys all (${round + 1} of ${INTERRUPTIONS})`, async () => {
      await interruptInRound(round, "up");
      const next = await workspace.npm("up");
      requireSuccess(next);
      says(next);
      await isServed();
      const last = await workspace.npm("up");
      requireSuccess(last);
      assert.deepEqual(changesIn(last.output), []);
      assert.doesNotMatch(last.output, /warning:/);
    });

    it(`a \`down\` that was killed: the next one removes all (${round + 1} of ${INTERRUPTIONS})`, async () => {
      await interruptInRound(round, "down");
      const next = await workspace.npm("down");
      requireSuccess(next);
      says(next);
      await isGone().catch((error: unknown) => {
        console.log(next.output);
        throw error;
      });
    });
  }
});
