import { parseArgs } from "node:util";

import { UserError } from "../triton/userError";
import { type Arm, ARMS } from "./arms/arms";
import { type Arrivals, ARRIVALS } from "./load/schedule";
import { type Protocol, PROTOCOLS } from "./protocol/connection";

export const USAGE = `npm run bench -- [STACK] --high MODEL --low MODEL [OPTION…]
npm run bench -- [STACK] --high MODEL --load SECONDS [OPTION…]
npm run bench -- [STACK] [--url URL] --restore

Measures and draws the latency of a high-priority model, alone and next to a low-priority one, with and without
XSched. Meanwhile it loads the two models with other priorities; at the end it restores everything.

  --url URL            HTTP API of Triton (default: the stack's)
  --grpc ADDRESS       HOST:PORT of its gRPC API, with --protocol grpc (default: the stack's)
  --protocol NAME      http or grpc (default: http)
  --rate N             requests per second to the high model (default: 10)
  --arrivals NAME      fixed or poisson (default: fixed)
  --arms NAMES         what to compare, separated by commas (default: ${ARMS.join(",")})
  --samples N          requests to the high model in each arm (default: 2000)
  --rounds N           rounds to spread the samples over, with interleaved arms (default: 5)
  --warm-up SECONDS    warm-up time before each phase (default: 3)
  --low-concurrency N  requests to the low model in flight at any time (default: 1)
  --batch N            rows per request, for models that batch (default: 1)
  --extent N           extent of input dimensions that a model leaves open (default: 1)
  --timeout SECONDS    time after which a request counts as failed (default: 30)
  --seed N             seed of the random numbers (default: 1)
  --out FOLDER         folder for the files (default: .local/bench/TIME)
  --load SECONDS       only send requests to the high model for this time, and report how punctual they were;
                       changes nothing
  --restore            only restore what a killed benchmark left behind`;

export interface BenchOptions {
  readonly url?: string;
  readonly grpc?: string;
  readonly protocol: Protocol;
  readonly high: string;
  readonly low: string;
  readonly rate: number;
  readonly arrivals: Arrivals;
  readonly arms: readonly Arm[];
  readonly samples: number;
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly lowConcurrency: number;
  readonly batch: number;
  readonly extent: number;
  readonly timeoutMs: number;
  readonly seed: number;
  readonly out?: string;
}

export type BenchCommand =
  | { readonly kind: "help" }
  | { readonly kind: "restore"; readonly url?: string }
  | { readonly kind: "load"; readonly options: BenchOptions; readonly seconds: number }
  | { readonly kind: "measure"; readonly options: BenchOptions };

const TEXT = { type: "string" } as const;
const SWITCH = { type: "boolean", default: false } as const;
const OPTIONS = {
  url: TEXT,
  grpc: TEXT,
  protocol: TEXT,
  high: TEXT,
  low: TEXT,
  rate: TEXT,
  arrivals: TEXT,
  arms: TEXT,
  samples: TEXT,
  rounds: TEXT,
  "warm-up": TEXT,
  "low-concurrency": TEXT,
  batch: TEXT,
  extent: TEXT,
  timeout: TEXT,
  seed: TEXT,
  out: TEXT,
  load: TEXT,
  restore: SWITCH,
  help: SWITCH,
} as const;

/**
 * @param words the arguments after the stack
 * @throws UserError that lists every fault
 */
export function parseOptions(words: readonly string[]): BenchCommand {
  const given = read(words);
  if (given.help) return { kind: "help" };
  const faults: string[] = [];
  const number = (
    name:
      | "load"
      | "rate"
      | "samples"
      | "rounds"
      | "warm-up"
      | "low-concurrency"
      | "batch"
      | "extent"
      | "timeout"
      | "seed",
    fallback: number,
    least: number,
    most: number,
    whole = true,
  ): number => {
    const text = given[name];
    if (text === undefined) return fallback;
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    faults.push(
      `--${name} is "${text}": give ${whole ? "a whole number" : "a number"} from ${least} to ${most}`,
    );
    return fallback;
  };
  const oneOf = <Name extends string>(
    option: "protocol" | "arrivals",
    names: readonly Name[],
    fallback: Name,
  ): Name => {
    const text = given[option];
    const found = names.find((name) => name === (text ?? fallback));
    if (found === undefined) faults.push(`--${option} is "${text ?? ""}": give ${names.join(" or ")}`);
    return found ?? fallback;
  };
  if (given.url !== undefined && !/^http:\/\/[^/]+\/?$/.test(given.url)) {
    faults.push(`--url is "${given.url}": give http://HOST:PORT (Triton's HTTP API has no TLS)`);
  }
  if (given.grpc !== undefined && !/^[^/]+:\d+$/.test(given.grpc)) {
    faults.push(`--grpc is "${given.grpc}": give HOST:PORT`);
  }
  const url = given.url?.replace(/\/$/, "");
  if (given.restore) {
    refuse(faults);
    return { kind: "restore", url };
  }
  const seconds = number("load", 0, 0.1, 86_400, false);
  for (const role of given.load === undefined ? (["high", "low"] as const) : (["high"] as const)) {
    if (!given[role]) faults.push(`--${role} is missing: name the model of ${role} priority`);
  }
  if (given.high !== undefined && given.high === given.low) {
    faults.push(`--high and --low are both "${given.high}": name two models`);
  }
  const samples = number("samples", 2000, 1, 1_000_000);
  const options: BenchOptions = {
    url,
    grpc: given.grpc,
    protocol: oneOf("protocol", PROTOCOLS, "http"),
    high: given.high ?? "",
    low: given.low ?? "",
    rate: number("rate", 10, 0.1, 10_000, false),
    arrivals: oneOf("arrivals", ARRIVALS, "fixed"),
    arms: armsOf(given.arms, faults),
    samples,
    rounds: number("rounds", Math.min(5, samples), 1, Math.min(1000, samples)),
    warmUpMs: 1000 * number("warm-up", 3, 0, 600, false),
    lowConcurrency: number("low-concurrency", 1, 1, 64),
    batch: number("batch", 1, 1, 1024),
    extent: number("extent", 1, 1, 65_536),
    timeoutMs: 1000 * number("timeout", 30, 0.1, 600, false),
    seed: number("seed", 1, 0, 2 ** 31 - 1),
    out: given.out,
  };
  if (options.protocol === "grpc" && options.url !== undefined && options.grpc === undefined) {
    faults.push("--grpc is missing: with --url, --protocol grpc also needs HOST:PORT of the gRPC API");
  }
  refuse(faults);
  return given.load === undefined ? { kind: "measure", options } : { kind: "load", options, seconds };
}

/** The named arms in the order of ARMS, each once. */
function armsOf(text: string | undefined, faults: string[]): readonly Arm[] {
  if (text === undefined) return ARMS;
  const names = text.split(",").map((name) => name.trim());
  if (!names.every((name) => ARMS.some((arm) => arm === name))) {
    faults.push(`--arms is "${text}": give one or more of ${ARMS.join(", ")}, separated by commas`);
  }
  return ARMS.filter((arm) => names.includes(arm));
}

function read(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: OPTIONS, allowPositionals: false }).values;
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), `\n${USAGE}`);
  }
}

function refuse(faults: readonly string[]): void {
  if (faults.length > 0) throw new UserError(faults.join("\n"), "npm run bench -- --help lists every option");
}
