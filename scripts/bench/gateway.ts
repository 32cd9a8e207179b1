import { LoadThread } from "./load/loadThread";
import { schedule } from "./load/schedule";
import { type Protocol } from "./protocol/connection";
import { ones } from "./protocol/tensors";
import { percentile, sorted } from "./statistics/percentile";

/** Two ways to the same server. */
export interface Comparison {
  readonly protocol: Protocol;
  readonly addresses: { readonly direct: string; readonly gateway: string };
  /** How often the ways take turns. */
  readonly rounds: number;
  /** Requests per second. */
  readonly rate: number;
}

/** What was measured of one percentile, in milliseconds. */
export interface Difference {
  readonly direct: number;
  readonly gateway: number;
  /** Median over the rounds of the difference within a round: what disturbs the machine disturbs both. */
  readonly added: number;
}

export interface Compared {
  readonly protocol: Protocol;
  readonly requests: number;
  readonly failed: number;
  readonly p50: Difference;
  readonly p99: Difference;
}

/** Seconds of each way in a round. */
const SECONDS = 2;

type Way = keyof Comparison["addresses"];
const WAYS: readonly Way[] = ["direct", "gateway"];

/** Measures both ways, one after the other, and in each round in another order. */
export async function compare({ protocol, addresses, rounds, rate }: Comparison): Promise<Compared> {
  const input = ones({ name: "INPUT", datatype: "FP32", shape: [1, 16] }, [1, 16]);
  const start = async (way: Way): Promise<LoadThread> =>
    LoadThread.start({
      protocol,
      address: addresses[way],
      model: "echo",
      inputs: [input],
      timeoutMs: 10_000,
    });
  const threads = { direct: await start("direct"), gateway: await start("gateway") };
  const times = schedule("fixed", rate * SECONDS, rate, () => 0);
  const measured: Record<Way, { p50: number; p99: number }[]> = { direct: [], gateway: [] };
  let failed = 0;
  try {
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
        const { load } = await threads[way].open(times, new AbortController().signal);
        if (round === 0) continue;
        const latency = sorted(load.latency);
        failed += times.length - latency.length;
        measured[way].push({ p50: percentile(latency, 0.5), p99: percentile(latency, 0.99) });
      }
    }
  } finally {
    await Promise.all(WAYS.map((way) => threads[way].close()));
  }
  const difference = (of: "p50" | "p99"): Difference => {
    const [direct, gateway] = WAYS.map((way) => measured[way].map((round) => round[of])) as [
      number[],
      number[],
    ];
    return {
      direct: median(direct),
      gateway: median(gateway),
      added: median(gateway.map((value, index) => value - (direct[index] ?? NaN))),
    };
  };
  return {
    protocol,
    requests: times.length * rounds,
    failed,
    p50: difference("p50"),
    p99: difference("p99"),
  };
}

function median(values: number[]): number {
  return percentile(Float64Array.from(values).sort(), 0.5);
}

/** A few lines for a person. */
export function describe({ protocol, requests, failed, p50, p99 }: Compared): string {
  const line = (name: string, { direct, gateway, added }: Difference): string =>
    `  ${name}: direct ${direct.toFixed(3)} ms, gateway ${gateway.toFixed(3)} ms, added ${added.toFixed(3)} ms`;
  return [
    `${protocol}: ${String(requests)} requests each way, ${String(failed)} failed`,
    line("P50", p50),
    line("P99", p99),
  ].join("\n");
}
