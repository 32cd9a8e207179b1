import { type ArmSummary, type Percentile, PERCENTILES } from "../bench/report/summary";
import { type ServerResults } from "./compare";
import { HIGH, LOW } from "./models";
import { type ReloadOutcome } from "./reloads";
import { type ShareResults } from "./shares";
import { type TrainingResults } from "./training";
import { type ServerKind, SERVERS } from "./tritonProcess";

/** What the results were measured on. */
export interface Setting {
  readonly began: string;
  /** GPU and driver, as nvidia-smi says them; "none" without one. */
  readonly gpu: string;
  readonly triton: string;
  readonly commit: string;
  readonly client: string;
}

/** Everything that was found for one case. */
export interface CaseResults {
  readonly name: string;
  readonly servers: readonly ServerResults[];
  readonly reloads: Readonly<Partial<Record<ServerKind, ReloadOutcome>>>;
  readonly shares?: ShareResults;
  readonly training?: TrainingResults;
}

/** The results as Markdown. */
export function markdown(setting: Setting, cases: readonly CaseResults[]): string {
  return [
    `${setting.gpu}; Triton ${setting.triton}; xsched-triton ${setting.commit}; ${setting.began.slice(0, 10)}; requests from ${setting.client}.`,
    ...cases.map(caseText),
  ].join("\n\n");
}

function caseText({ name, servers, reloads, shares, training }: CaseResults): string {
  const names = Object.keys(PERCENTILES) as Percentile[];
  const head = [
    "server",
    "arm",
    "n",
    ...names.map((each) => `${each.toUpperCase()} ms`),
    "compute ms",
    "low model, of the bound",
  ];
  const rows = servers.flatMap(({ kind, results }) =>
    results.summary.arms.map((arm) => [
      SERVERS[kind],
      arm.arm,
      arm.failed > 0 ? `${arm.samples} (${arm.failed} failed)` : String(arm.samples),
      ...names.map((each) => withRatio(arm.latencyMs[each].value, arm.ratio[each].value, arm)),
      compute(results.summary.server, arm),
      arm.lowTotal === undefined ? "–" : percent(arm.lowTotal.ofBound.value),
    ]),
  );
  const [first] = servers;
  const plan = first?.results.plan;
  const concurrency = plan?.lows.map((low) => low.concurrency).join(", ");
  return [
    `## ${name}`,
    `${HIGH}: ${first?.results.run.rate} requests/s, open loop; low: back to back, ${concurrency} in flight; ${plan?.rounds} rounds. In brackets: divided by the same server's stand-alone arm.`,
    table([head, ...rows]),
    ...servers.flatMap(middleText),
    ...idleCost(servers),
    ...servers
      .filter(({ queues }) => queues.length > 0)
      .map(({ kind, queues }) => `Queues with ${SERVERS[kind]}: ${counted(queues)}.`),
    ...(shares ? shareText(shares) : []),
    ...(training ? trainingText(training) : []),
    ...Object.entries(reloads).map(([kind, found]) => reloadText(kind as ServerKind, found)),
  ].join("\n\n");
}

/** What the models beside it cost a model of middle priority. */
function middleText({ kind, results }: ServerResults): string[] {
  const { middle } = results.summary;
  if (middle.length === 0) return [];
  const head = ["middle model", "phase", "P50 ms", "P90 ms", "P99 ms", "over behind high, P50 / P90 / P99"];
  const names = Object.keys(PERCENTILES) as Percentile[];
  const rows = middle.map(({ phase, latencyMs, behindHigh }) => [
    SERVERS[kind],
    phase,
    ...names.map((name) => latencyMs[name].value.toFixed(3)),
    Number.isNaN(behindHigh.p50.value)
      ? "–"
      : names.map((name) => behindHigh[name].value.toFixed(2)).join(" / "),
  ]);
  return [table([head, ...rows])];
}

/** What the core costs while nothing contends: the two servers' stand-alone arms, round by round. */
function idleCost(servers: readonly ServerResults[]): string[] {
  const stock = servers.find(({ kind }) => kind === "stock");
  if (stock === undefined) return [];
  return servers
    .filter(({ kind }) => kind !== "stock")
    .map(({ kind, results }) => {
      const alone = standalone(results.summary.arms);
      const of = standalone(stock.results.summary.arms);
      const ratio = (alone?.latencyMs.p50.value ?? NaN) / (of?.latencyMs.p50.value ?? NaN);
      return `Stand-alone, ${SERVERS[kind]} against ${SERVERS.stock}: P50 ${times(ratio)}.`;
    });
}

function standalone(arms: readonly ArmSummary[]): ArmSummary | undefined {
  return arms.find(({ arm }) => arm === "standalone");
}

function compute(server: ServerResults["results"]["summary"]["server"], { arm }: ArmSummary): string {
  const found = server.find(({ phase, model }) => phase === arm && model === HIGH);
  return found === undefined ? "–" : withRatio(found.computeMs.value, found.computeRatio.value, { arm });
}

function reloadText(kind: ServerKind, found: ReloadOutcome): string {
  if ("problem" in found) return `Reloads under load with ${SERVERS[kind]} came to no end: ${found.problem}.`;
  const { before, after } = found;
  const change = (name: keyof typeof before, unit = ""): string =>
    `${before[name]} → ${after?.[name] ?? "–"}${unit}`;
  const count =
    found.reloads < found.asked
      ? `Interrupted after ${found.reloads} of ${found.asked} reloads`
      : `${found.reloads} reloads`;
  return [
    `${count} under load with ${SERVERS[kind]}, ${found.seconds.toFixed(0)} s: `,
    `${found.answered[HIGH]} requests to ${HIGH} and ${found.answered[LOW]} to ${LOW} answered, ${found.failed} failed; threads ${change("threads")}, `,
    `files ${change("files")}, queues ${change("queues")}, memory ${change("memoryMb", " MB")}, `,
    `memory of the GPU ${change("gpuMemoryMb", " MB")}.`,
  ].join("");
}

/** What each model gets while both want the whole GPU. */
function shareText({ alone, aloneP50Ms, phases, problems }: ShareResults): string[] {
  const head = [
    "both back to back",
    "high, of alone",
    "low, of alone",
    "in each 2 s",
    "high, P50 over alone",
  ];
  const rows = phases.map(({ name, high, low, windows, highP50Ms }) => [
    name,
    percent(high),
    percent(low),
    windows.map((share) => (100 * share).toFixed(0)).join(", "),
    (highP50Ms / aloneP50Ms).toFixed(2),
  ]);
  return [
    `Alone and back to back: high ${alone.high.toFixed(1)} requests/s, P50 ${aloneP50Ms.toFixed(3)} ms; low ${alone.low.toFixed(1)} requests/s.`,
    table([head, ...rows]),
    ...(problems.length > 0 ? [`Requests failed: ${problems.join("; ")}.`] : []),
  ];
}

/** What the high model and a training loop in another process cost each other. */
function trainingText({ rate, alone, beside, stepsPerSecond, ofBound, failed }: TrainingResults): string[] {
  const names = Object.keys(PERCENTILES) as Percentile[];
  const latency = names.map(
    (name) => `${beside[name].toFixed(3)} (${(beside[name] / alone[name]).toFixed(2)})`,
  );
  const steps = (["alone", "scheduled", "beside"] as const).map((name) => stepsPerSecond[name].toFixed(2));
  return [
    [
      `Beside a training loop under xsched-run, ${rate} requests/s to ${HIGH}: P50, P90, P99 ${latency.join(", ")} ms, `,
      `divided by alone in brackets; ${failed} failed. Training steps a second, alone, under xsched-run, and beside ${HIGH}: `,
      `${steps.join(", ")}, ${percent(ofBound)} of the bound.`,
    ].join(""),
  ];
}

/** "a ×2, b" of a, a, b. */
function counted(lines: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return [...counts].map(([line, count]) => `\`${line}\`${count > 1 ? ` ×${count}` : ""}`).join(", ");
}

function withRatio(value: number, ratio: number, { arm }: Pick<ArmSummary, "arm">): string {
  if (Number.isNaN(value)) return "–";
  return arm === "standalone" ? value.toFixed(3) : `${value.toFixed(3)} (${ratio.toFixed(2)})`;
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : "–";
}

function times(ratio: number): string {
  return `${ratio.toFixed(3)}×`;
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...body.map(line)].join("\n");
}
