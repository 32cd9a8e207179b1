import * as path from "node:path";

import { type Arm } from "../bench/arms/arms";
import { main as bench } from "../bench/main";
import { type Measurement, type Plan } from "../bench/measure";
import { type Results } from "../bench/report/results";
import { summarize } from "../bench/report/summary";
import { UserError } from "../triton/userError";
import { HIGH, LOW, MIDDLE } from "./models";
import { type ProveOptions } from "./options";
import { type Installation, type ServerKind, TritonProcess } from "./tritonProcess";

/** What is measured with each server. A server's own stand-alone arm is what its other arms are compared with. */
const ARMS_OF: Readonly<Record<ServerKind, readonly Arm[]>> = {
  stock: ["standalone", "triton", "triton+priority"],
  hooked: ["standalone", "xsched"],
  patched: ["standalone", "xsched"],
};

/** What one kind of server gave over all rounds. */
export interface ServerResults {
  readonly kind: ServerKind;
  readonly results: Results;
  /** The core's queues at the end of the first round, as `name priority`. */
  readonly queues: readonly string[];
}

const SEED = 1;

/** Measures each kind of server once a round, so that drift over time affects all alike. */
export async function compare(
  kinds: readonly ServerKind[],
  repository: string,
  installed: Installation,
  options: ProveOptions,
  out: string,
  interrupted: AbortSignal,
): Promise<ServerResults[]> {
  const found = new Map<ServerKind, { rounds: Results[]; queues: string[] }>();
  for (let round = 0; round < options.rounds; round++) {
    for (let place = 0; place < kinds.length; place++) {
      const kind = kinds[(place + round) % kinds.length] ?? "stock";
      const folder = path.join(out, `${kind}-${round + 1}`);
      const server = await TritonProcess.start(kind, installed, repository, folder, interrupted);
      try {
        const samples = Math.floor((options.samples + options.rounds - 1 - round) / options.rounds);
        const { status, results } = await bench({
          words: [
            ...["--url", server.url, "--high", HIGH, "--low", LOW, "--arms", ARMS_OF[kind].join(",")],
            ...["--rate", String(options.rate), "--samples", String(samples), "--rounds", "1"],
            ...["--low-concurrency", String(options.lowConcurrency), "--warm-up", String(options.warmUp)],
            ...["--seed", String(SEED + round), "--out", folder],
            ...(options.middleRate > 0
              ? ["--middle", MIDDLE, "--middle-rate", String(options.middleRate)]
              : []),
          ],
          stackGiven: false,
          folder,
        });
        interrupted.throwIfAborted();
        if (results === undefined || status !== 0) {
          throw new UserError(
            `the measurement of ${kind} in round ${round + 1} failed (status ${status})`,
            `its reason is above; ${path.join(folder, "triton.log")} has the server's side`,
          );
        }
        const entry = found.get(kind) ?? { rounds: [], queues: server.queues() };
        entry.rounds.push(asked(results, entry.queues));
        found.set(kind, entry);
      } finally {
        await server.stop();
      }
    }
  }
  return kinds.flatMap((kind) => {
    const entry = found.get(kind);
    return entry === undefined ? [] : [{ kind, results: joined(entry.rounds), queues: entry.queues }];
  });
}

/** The results, with what the benchmark could not know: whether there is a core in the server. */
function asked(results: Results, queues: readonly string[]): Results {
  if (queues.length === 0) return results;
  const scheduler = { active: true, says: `queues: ${queues.length}` };
  return { ...results, run: { ...results.run, scheduler } };
}

/** Several benchmarks of one round each, as one of several rounds. */
export function joined(rounds: readonly Results[]): Results {
  const [first] = rounds;
  if (first === undefined) throw new Error("there is no round");
  const schedules = rounds.flatMap(({ plan }) => plan.high.schedules);
  const middle = first.plan.middle && {
    ...first.plan.middle,
    schedules: rounds.flatMap(({ plan }) => plan.middle?.schedules ?? []),
  };
  const plan: Plan = {
    ...first.plan,
    rounds: rounds.length,
    high: { ...first.plan.high, schedules },
    ...(middle && { middle }),
  };
  const measurements = rounds.flatMap((results, round) =>
    results.measurements.map((measurement): Measurement => ({ ...measurement, round })),
  );
  const summary = summarize(plan, measurements, first.run.seed);
  return { run: first.run, plan, measurements, summary, former: [] };
}

/** The arms of the stock server, and the arm "xsched" of another: what the product's chart shows. */
export function fourArms(stock: Results, ours: Results): Results {
  const measurements = [
    ...stock.measurements,
    ...ours.measurements.filter(({ phase }) => phase === "xsched"),
  ];
  const plan = {
    ...stock.plan,
    arms: [...stock.plan.arms, ...ours.plan.arms.filter((arm) => arm === "xsched")],
  };
  return {
    run: { ...ours.run, version: stock.run.version },
    plan,
    measurements,
    summary: summarize(plan, measurements, stock.run.seed),
    former: [],
  };
}
