import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { Interrupted } from "../bench/interrupted";
import { latencyChart } from "../bench/report/charts";
import { UserError } from "../triton/userError";
import { compare, fourArms, type ServerResults } from "./compare";
import { BACKENDS, type BackendName, buildRepository } from "./models";
import { parseOptions, type ProveOptions, USAGE } from "./options";
import { type ReloadOutcome, reloadUnderLoad } from "./reloads";
import { type CaseResults, markdown, type Setting } from "./report";
import { measureShares, type ShareResults } from "./shares";
import { besideTraining, type TrainingResults } from "./training";
import { type Installation, type ServerKind, TritonProcess } from "./tritonProcess";

interface Case {
  readonly name: string;
  readonly repository: string;
  readonly kinds: readonly ServerKind[];
}

/**
 * @param root the project's folder
 * @param freePorts finds ports for the servers
 * @returns the exit status: 1 if a request failed, and 128 and its number if a signal came
 */
export async function main(
  words: readonly string[],
  root: string,
  freePorts: Installation["freePorts"],
): Promise<number> {
  const options = parseOptions(words);
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  const began = new Date().toISOString();
  const local = path.join(root, ".local/prove");
  const backends = path.resolve(
    options.backends ?? path.join(path.dirname(options.tritonserver), "../backends"),
  );
  for (const needed of [options.tritonserver, backends]) {
    if (!fs.existsSync(needed)) {
      throw new UserError(`${needed} does not exist`, "give --tritonserver and, if need be, --backends");
    }
  }
  const cases = casesOf(options, backends, path.resolve(options.models ?? path.join(local, "models")));
  if (options.prepare) return 0;
  const installed: Installation = {
    program: path.resolve(options.tritonserver),
    backends,
    patched: options.patched === undefined ? undefined : path.resolve(options.patched),
    package: path.resolve(options.package ?? buildPackage(root, path.join(local, "package"))),
    freePorts,
  };
  const out = path.resolve(options.out ?? path.join(local, began.replace(/[:.]/g, "-")));
  fs.mkdirSync(out, { recursive: true });
  const interrupted = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (interrupted.signal.aborted) return;
    process.stderr.write(`\n${signal}: ending the server; what was measured so far is in ${out}\n`);
    interrupted.abort(new Interrupted(signal));
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await measure(cases, root, installed, options, out, began, interrupted.signal);
  } catch (error) {
    const reason: unknown = interrupted.signal.reason;
    if (reason instanceof Interrupted) return reason.status;
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/**
 * Measures each case, and writes what was found after each part.
 *
 * @param began when, in ISO 8601
 * @param interrupted ends the current part; rejects where it gives no results of its own
 */
async function measure(
  cases: readonly Case[],
  root: string,
  installed: Installation,
  options: ProveOptions,
  out: string,
  began: string,
  interrupted: AbortSignal,
): Promise<number> {
  const results: CaseResults[] = [];
  let setting: Setting | undefined;
  for (const each of cases) {
    const folder = path.join(out, each.name);
    const servers = await compare(each.kinds, each.repository, installed, options, folder, interrupted);
    setting ??= settingOf(began, root, servers);
    // What is measured is on disk before the reloads, which may end a server.
    let found: CaseResults = { name: each.name, servers, reloads: {} };
    results.push(found);
    const note = (more: Partial<CaseResults>): void => {
      found = { ...found, ...more };
      results[results.length - 1] = found;
      if (setting !== undefined) write(out, setting, results);
    };
    note({});
    drawFourArms(folder, servers);
    // There is nothing to share without a scheduler, and the patched backend has the same one.
    if (each.kinds.includes("hooked")) {
      if (options.shares > 0) {
        note({ shares: await sharesOf(each.repository, installed, options, folder, interrupted) });
      }
      if (options.training > 0) {
        note({ training: await trainingOf(each.repository, installed, options, folder, interrupted) });
      }
    }
    if (options.reloads > 0) {
      for (const kind of each.kinds) {
        const outcome = await reloadsOf(kind, each.repository, installed, options, folder, interrupted);
        note({ reloads: { ...found.reloads, [kind]: outcome } });
        interrupted.throwIfAborted();
      }
    }
  }
  if (setting !== undefined) console.log(`\n${markdown(setting, results)}\n\n${out}`);
  const failed = ({ reloads, shares, training }: CaseResults): boolean =>
    Object.values(reloads).some(broken) || (shares?.problems.length ?? 0) > 0 || (training?.failed ?? 0) > 0;
  return results.some(failed) ? 1 : 0;
}

function casesOf(options: ProveOptions, backends: string, models: string): Case[] {
  const kinds = (patched: boolean): readonly ServerKind[] =>
    options.servers.filter((kind) => kind !== "patched" || (patched && options.patched !== undefined));
  if (options.repository !== undefined) {
    return [{ name: "own", repository: path.resolve(options.repository), kinds: kinds(true) }];
  }
  const present = (name: BackendName): boolean => fs.existsSync(path.join(backends, BACKENDS[name].folder));
  const names = options.cases ?? (Object.keys(BACKENDS) as BackendName[]).filter(present);
  const missing = names.filter((name) => !present(name));
  if (missing.length > 0 || names.length === 0) {
    throw new UserError(
      `${backends} has no backend ${missing.join(", ") || Object.keys(BACKENDS).join(", ")}`,
      "give --backends, or other --cases",
    );
  }
  return names.map((name) => ({
    name,
    repository: buildRepository(name, models, options.batches, options.middleRate > 0, options.python),
    kinds: kinds(name === "tensorrt"),
  }));
}

async function sharesOf(
  repository: string,
  installed: Installation,
  { shares }: ProveOptions,
  folder: string,
  interrupted: AbortSignal,
): Promise<ShareResults> {
  console.log(`Both models back to back, ${shares} s a phase …`);
  const server = await TritonProcess.start(
    "hooked",
    installed,
    repository,
    path.join(folder, "shares"),
    interrupted,
  );
  try {
    return await measureShares(server, shares, interrupted);
  } finally {
    await server.stop();
  }
}

async function trainingOf(
  repository: string,
  installed: Installation,
  { python, rate, training }: ProveOptions,
  folder: string,
  interrupted: AbortSignal,
): Promise<TrainingResults> {
  console.log(`The high model beside a training loop, ${training} s a phase …`);
  const ownFolder = path.join(folder, "training");
  const server = await TritonProcess.start("hooked", installed, repository, ownFolder, interrupted);
  try {
    return await besideTraining(server, installed, python, rate, training, ownFolder, interrupted);
  } finally {
    await server.stop();
  }
}

/** A server that ends or stops to answer is a result, too: the other servers are still to come. */
async function reloadsOf(
  kind: ServerKind,
  repository: string,
  installed: Installation,
  options: ProveOptions,
  folder: string,
  interrupted: AbortSignal,
): Promise<ReloadOutcome> {
  console.log(`Reloading ${options.reloads} times under load: ${kind} …`);
  const ownFolder = path.join(folder, `${kind}-reloads`);
  const server = await TritonProcess.start(kind, installed, repository, ownFolder, interrupted);
  try {
    return await reloadUnderLoad(server, options.reloads, interrupted);
  } catch (error) {
    if (interrupted.aborted && error === interrupted.reason) throw error;
    const problem = error instanceof Error ? error.message : String(error);
    console.error(`error: ${problem}; ${path.join(ownFolder, "triton.log")} has the server's side`);
    return { problem };
  } finally {
    await server.stop();
  }
}

function broken(outcome: ReloadOutcome): boolean {
  return "problem" in outcome || outcome.failed > 0;
}

function write(out: string, setting: Setting, cases: readonly CaseResults[]): void {
  fs.writeFileSync(path.join(out, "results.md"), `${markdown(setting, cases)}\n`);
  // The samples are in each server's own folder.
  const summaries = cases.map(({ servers, ...others }) => ({
    ...others,
    servers: servers.map(({ kind, queues, results: { run, summary } }) => ({ kind, queues, run, summary })),
  }));
  fs.writeFileSync(
    path.join(out, "results.json"),
    `${JSON.stringify({ setting, cases: summaries }, undefined, 1)}\n`,
  );
}

/** The product's own chart: the arms of the stock server, and ours. */
function drawFourArms(folder: string, servers: readonly ServerResults[]): void {
  const of = (kind: ServerKind) => servers.find((each) => each.kind === kind)?.results;
  const stock = of("stock");
  const hooked = of("hooked");
  if (stock === undefined || hooked === undefined) return;
  try {
    fs.writeFileSync(path.join(folder, "latency.svg"), latencyChart(fourArms(stock, hooked)));
  } catch (error) {
    console.error(
      `warning: the chart could not be drawn: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function buildPackage(root: string, folder: string): string {
  console.log("Building the core and the hooks …");
  const { status } = spawnSync("bash", [path.join(root, "native/package.sh"), folder], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) {
    throw new UserError(
      "the core and the hooks could not be built; the reason is above",
      "or give --package",
    );
  }
  return folder;
}

function settingOf(began: string, root: string, servers: readonly ServerResults[]): Setting {
  const said = (command: string, ...words: string[]): string => {
    const { status, stdout } = spawnSync(command, words, { cwd: root, encoding: "utf8" });
    return status === 0 ? stdout.trim() : "";
  };
  const run = servers[0]?.results.run;
  return {
    began,
    gpu: said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") || "no GPU",
    triton: run?.version ?? "unknown",
    commit: said("git", "describe", "--always", "--dirty") || "unknown",
    client: run?.client ?? "unknown",
  };
}
