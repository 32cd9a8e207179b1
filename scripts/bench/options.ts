import { parseArgs } from "node:util";

import { UserError } from "../triton/userError";
import { type Arm, ARMS } from "./arms/arms";
import { type Arrivals, ARRIVALS } from "./load/schedule";
import { type Protocol, PROTOCOLS } from "./protocol/connection";

export const USAGE = `npm run bench -- [STACK] --high MODEL [--middle MODEL] --low MODEL… [OPTION…]
npm run bench -- [STACK] --high MODEL --load SECONDS [OPTION…]
npm run bench -- [STACK] [--url URL] --restore
npm run bench -- STACK --cwd=FOLDER …

Measures and draws the latency of a high-priority model, alone and next to low-priority ones, with and without XSched.
Meanwhile it loads the models with other priorities; at the end it restores everything.

  --cwd=FOLDER         measures a pod like those of the fleet (TritonFleet) that the program in this folder has deployed

  --high MODEL         gets requests on schedule
  --middle MODEL       gets requests at random, at another rate; its priority is between those of the others
  --low MODEL          gets requests back to back; may be given several times, or with commas

  --url URL            HTTP API of Triton (default: the stack's)
  --grpc ADDRESS       HOST:PORT of its gRPC API, with --protocol grpc (default: the stack's)
  --protocol NAME      http or grpc (default: http)
  --rate N             requests per second to the high model (default: 10)
  --middle-rate N      requests per second to the middle model (default: that of the high model)
  --arrivals NAME      fixed or poisson (default: fixed)
  --arms NAMES         what to compare, separated by commas (default: ${ARMS.join(",")})
  --samples N          requests to the high model in each arm (default: 2000)
  --rounds N           rounds to spread the samples over, with interleaved arms (default: 5)
  --warm-up SECONDS    warm-up time before each phase (default: 3)
  --low-concurrency N  requests to each low model in flight at any time, or a number for each: 1,4 (default: 1)
  --batch N            rows per request, for models that batch (default: 1)
  --low-batch N        the same for each low model, or a number for each (default: that of --batch)
  --extent N           extent of input dimensions that a model leaves open (default: 1)
  --timeout SECONDS    time after which a request counts as failed (default: 30)
  --seed N             seed of the random numbers (default: 1)
  --compare FOLDER     also show an earlier run with the same load, of a server without the hooks, for instance; may be
                       given several times
  --out FOLDER         folder for the files (default: .local/bench/TIME)
  --load SECONDS       only send requests to the high model for this time, and report how punctual they were;
                       changes nothing
  --restore            only restore what a killed benchmark left behind`;

export interface BenchOptions {
  readonly url?: string;
  readonly grpc?: string;
  readonly protocol: Protocol;
  readonly high: string;
  readonly middle?: string;
  readonly lows: readonly LowOptions[];
  readonly rate: number;
  readonly middleRate: number;
  readonly arrivals: Arrivals;
  readonly arms: readonly Arm[];
  readonly samples: number;
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly batch: number;
  readonly extent: number;
  readonly timeoutMs: number;
  readonly seed: number;
  /** Folders of earlier runs. */
  readonly compare: readonly string[];
  readonly out?: string;
}

/** The load on a low model. */
export interface LowOptions {
  readonly model: string;
  /** Requests in flight at any time. */
  readonly concurrency: number;
  /** Rows per request. */
  readonly batch: number;
}

export type BenchCommand =
  | { readonly kind: "help" }
  | { readonly kind: "restore"; readonly url?: string }
  | { readonly kind: "load"; readonly options: BenchOptions; readonly seconds: number }
  | { readonly kind: "measure"; readonly options: BenchOptions };

const TEXT = { type: "string" } as const;
const TEXTS = { type: "string", multiple: true } as const;
const SWITCH = { type: "boolean", default: false } as const;
const OPTIONS = {
  url: TEXT,
  grpc: TEXT,
  protocol: TEXT,
  high: TEXT,
  middle: TEXT,
  low: TEXTS,
  rate: TEXT,
  "middle-rate": TEXT,
  arrivals: TEXT,
  arms: TEXT,
  samples: TEXT,
  rounds: TEXT,
  "warm-up": TEXT,
  "low-concurrency": TEXTS,
  batch: TEXT,
  "low-batch": TEXTS,
  extent: TEXT,
  timeout: TEXT,
  seed: TEXT,
  compare: TEXTS,
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
      | "middle-rate"
      | "samples"
      | "rounds"
      | "warm-up"
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
    return text === undefined ? fallback : (parsed(name, text, least, most, whole) ?? fallback);
  };
  const parsed = (
    name: string,
    text: string,
    least: number,
    most: number,
    whole: boolean,
  ): number | undefined => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    faults.push(
      `--${name} is "${text}": give ${whole ? "a whole number" : "a number"} from ${least} to ${most}`,
    );
    return undefined;
  };
  /** A number for each low model; a single one holds for all. */
  const eachLow = (
    name: "low-concurrency" | "low-batch",
    fallback: number,
    most: number,
  ): ((index: number) => number) => {
    const texts = listed(given[name]);
    const numbers = texts.map((text) => parsed(name, text, 1, most, true) ?? fallback);
    if (numbers.length > 1 && numbers.length !== lows.length) {
      faults.push(
        `--${name} has ${numbers.length} numbers for ${lows.length} low models: give one for all, or one for each`,
      );
    }
    return (index) => numbers[numbers.length === 1 ? 0 : index] ?? fallback;
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
  if (!given.high) faults.push("--high is missing: name the model of high priority");
  const lows = listed(given.low);
  if (given.load === undefined && (lows.length === 0 || lows.includes(""))) {
    faults.push("--low is missing: name the model of low priority");
  }
  if (given["middle-rate"] !== undefined && given.middle === undefined) {
    faults.push("--middle-rate is given without --middle");
  }
  if (given.middle === "") faults.push("--middle is missing: name the model of middle priority");
  const models = [given.high, given.middle, ...lows].filter((model) => model);
  for (const model of new Set(models.filter((name, index) => models.indexOf(name) !== index))) {
    faults.push(`"${model}" is named more than once: name different models`);
  }
  const samples = number("samples", 2000, 1, 1_000_000);
  const protocol = oneOf("protocol", PROTOCOLS, "http");
  const rate = number("rate", 10, 0.1, 10_000, false);
  const batch = number("batch", 1, 1, 1024);
  const concurrency = eachLow("low-concurrency", 1, 64);
  const lowBatch = eachLow("low-batch", batch, 1024);
  const options: BenchOptions = {
    url,
    grpc: given.grpc,
    protocol,
    high: given.high ?? "",
    ...(given.middle && { middle: given.middle }),
    lows: lows.map((model, index) => ({ model, concurrency: concurrency(index), batch: lowBatch(index) })),
    rate,
    middleRate: number("middle-rate", rate, 0.1, 10_000, false),
    arrivals: oneOf("arrivals", ARRIVALS, "fixed"),
    arms: armsOf(given.arms, faults),
    samples,
    rounds: number("rounds", Math.min(5, samples), 1, Math.min(1000, samples)),
    warmUpMs: 1000 * number("warm-up", 3, 0, 600, false),
    batch,
    extent: number("extent", 1, 1, 65_536),
    timeoutMs: 1000 * number("timeout", 30, 0.1, 600, false),
    seed: number("seed", 1, 0, 2 ** 31 - 1),
    compare: given.compare ?? [],
    out: given.out,
  };
  if (options.protocol === "grpc" && options.url !== undefined && options.grpc === undefined) {
    faults.push("--grpc is missing: with --url, --protocol grpc also needs HOST:PORT of the gRPC API");
  }
  refuse(faults);
  return given.load === undefined ? { kind: "measure", options } : { kind: "load", options, seconds };
}

/** The values of an option that may be given several times, or once with commas. */
function listed(texts: readonly string[] | undefined): string[] {
  return (texts ?? []).flatMap((text) => text.split(",").map((part) => part.trim()));
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
