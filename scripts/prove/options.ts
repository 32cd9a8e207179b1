import { parseArgs } from "node:util";

import { UserError } from "../triton/userError";
import { BACKENDS, type BackendName } from "./models";
import { type ServerKind, SERVERS } from "./tritonProcess";

export const USAGE = `npm run prove -- [OPTION…]

Measures on this machine's GPU what the project is worth with a real tritonserver: BERT-large of high priority beside
BERT-large in batches, with the stock server, with the hooks, and with the patched TensorRT backend if you have built it.
It builds the models, starts each server by itself on ports of the loopback interface, and changes nothing else.

  --tritonserver FILE   the server's program (default: /opt/tritonserver/bin/tritonserver)
  --backends FOLDER     its backends (default: ../backends, seen from the program)
  --patched FILE        libtriton_tensorrt.so with native/tensorrt_backend's patch; adds a server with it
  --package FOLDER      the installed core and hooks (default: built by native/package.sh)
  --servers NAMES       of ${Object.keys(SERVERS).join(", ")}; separated by commas (default: all; patched if --patched is given)
  --cases NAMES         of ${Object.keys(BACKENDS).join(", ")}; separated by commas (default: those whose backend is there)
  --repository FOLDER   measure the models "high", "low" and, with --middle-rate, "middle" of this repository instead
  --python COMMAND      Python with numpy and onnx; also tensorrt or torch, for the cases of that name (default: python3)
  --models FOLDER       where the built models are kept and found again (default: .local/prove/models)
  --prepare             only build the models
  --rate N              requests per second to the high model (default: 50)
  --middle-rate N       requests per second to a third model between the two, with priorities 200, 100 and 10
                        (default: 0, which is none)
  --samples N           requests to the high model in each arm (default: 1000)
  --rounds N            rounds, in each of which every server is started once (default: 2)
  --high-batch N        texts in each request to the high model (default: 1)
  --low-batch N         texts in each request to the low model (default: 8)
  --low-concurrency N   requests to the low model in flight at any time (default: 2)
  --warm-up SECONDS     warm-up time before each phase (default: 2)
  --reloads N           reloads of each backend's models under load, at the end (default: 200)
  --shares SECONDS      also measure what a floor and weights give the models while both get requests back to back, with
                        the hooks; six phases of this length (default: 0, which is none)
  --training SECONDS    also measure the high model beside a PyTorch training loop in a process of its own, with the hooks;
                        five phases of this length (default: 0, which is none)
  --out FOLDER          folder for the results (default: .local/prove/TIME)`;

export interface ProveOptions {
  readonly tritonserver: string;
  readonly backends?: string;
  readonly patched?: string;
  readonly package?: string;
  readonly servers: readonly ServerKind[];
  readonly cases?: readonly BackendName[];
  readonly repository?: string;
  readonly python: string;
  readonly models?: string;
  readonly prepare: boolean;
  readonly rate: number;
  readonly middleRate: number;
  readonly samples: number;
  readonly rounds: number;
  /** Texts per request. */
  readonly batches: { readonly high: number; readonly low: number };
  readonly lowConcurrency: number;
  readonly warmUp: number;
  readonly reloads: number;
  /** Seconds of each phase; 0 for none. */
  readonly shares: number;
  /** Seconds of each phase; 0 for none. */
  readonly training: number;
  readonly out?: string;
}

const TEXT = { type: "string" } as const;
const SWITCH = { type: "boolean", default: false } as const;

/**
 * @returns undefined if the usage is asked for
 * @throws UserError that lists every fault
 */
export function parseOptions(words: readonly string[]): ProveOptions | undefined {
  const given = read(words);
  if (given.help) return undefined;
  const faults: string[] = [];
  const number = (
    name:
      | "rate"
      | "middle-rate"
      | "samples"
      | "rounds"
      | "high-batch"
      | "low-batch"
      | "low-concurrency"
      | "warm-up"
      | "reloads"
      | "shares"
      | "training",
    fallback: number,
    least: number,
    most: number,
  ): number => {
    const text = given[name];
    if (text === undefined) return fallback;
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= least && value <= most && Number.isInteger(value)) return value;
    faults.push(`--${name} is "${text}": give a whole number from ${least} to ${most}`);
    return fallback;
  };
  const namesOf = <Name extends string>(option: "cases" | "servers", known: readonly Name[]) => {
    const words = given[option]?.split(",").map((word) => word.trim());
    for (const word of words ?? []) {
      if (known.some((name) => name === word)) continue;
      faults.push(
        `--${option} names "${word}": give one or more of ${known.join(", ")}, separated by commas`,
      );
    }
    return words && known.filter((name) => words.includes(name));
  };
  const cases = namesOf("cases", Object.keys(BACKENDS) as BackendName[]);
  const servers = namesOf("servers", Object.keys(SERVERS) as ServerKind[]);
  if (servers?.includes("patched") && given.patched === undefined) {
    faults.push("--servers names patched: give --patched, the library to measure");
  }
  if (cases !== undefined && given.repository !== undefined) {
    faults.push("--cases and --repository are both given: give one of them");
  }
  const rounds = number("rounds", 2, 1, 100);
  const options: ProveOptions = {
    tritonserver: given.tritonserver ?? "/opt/tritonserver/bin/tritonserver",
    backends: given.backends,
    patched: given.patched,
    package: given.package,
    servers: servers ?? (Object.keys(SERVERS) as ServerKind[]),
    cases,
    repository: given.repository,
    python: given.python ?? "python3",
    models: given.models,
    prepare: given.prepare,
    rate: number("rate", 50, 1, 10_000),
    middleRate: number("middle-rate", 0, 0, 10_000),
    samples: number("samples", Math.max(1000, rounds), rounds, 1_000_000),
    rounds,
    batches: { high: number("high-batch", 1, 1, 256), low: number("low-batch", 8, 1, 256) },
    lowConcurrency: number("low-concurrency", 2, 1, 64),
    warmUp: number("warm-up", 2, 0, 600),
    reloads: number("reloads", 200, 0, 100_000),
    shares: number("shares", 0, 0, 3600),
    training: number("training", 0, 0, 3600),
    out: given.out,
  };
  if (faults.length > 0) throw new UserError(faults.join("\n"), "npm run prove -- --help lists every option");
  return options;
}

function read(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        tritonserver: TEXT,
        backends: TEXT,
        patched: TEXT,
        package: TEXT,
        servers: TEXT,
        cases: TEXT,
        repository: TEXT,
        python: TEXT,
        models: TEXT,
        prepare: SWITCH,
        rate: TEXT,
        "middle-rate": TEXT,
        samples: TEXT,
        rounds: TEXT,
        "high-batch": TEXT,
        "low-batch": TEXT,
        "low-concurrency": TEXT,
        "warm-up": TEXT,
        reloads: TEXT,
        shares: TEXT,
        training: TEXT,
        out: TEXT,
        help: SWITCH,
      },
      allowPositionals: false,
    }).values;
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), `\n${USAGE}`);
  }
}
