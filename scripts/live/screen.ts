import { table } from "../terminal/table";
import { counters, type Gpu, gpus, liveFloor, livePriority, liveWeight, type Sample } from "./sample";

/** After the model, its priority and, where any has one, its floor and its weight. */
const HEAD = ["ready", "requests/s", "queue ms", "compute ms", "blocked", "preemptions/s"];
const NOTHING = "–";

/**
 * One screen about a server: its load between two samples.
 *
 * @param before absent at the start, when rates are not known yet
 */
export function screen(stack: string, before: Sample | undefined, now: Sample): string {
  const { server } = now;
  if (!server.running) return `No Triton serves on the stack "${stack}".`;
  const shares = [
    { head: "floor", cells: server.models.map(({ name, floor }) => floorCell(now, name, floor ?? 0)) },
    { head: "weight", cells: server.models.map(({ name, weight }) => weightCell(now, name, weight ?? 0)) },
  ].filter(({ cells }) => cells.some((cell) => cell !== NOTHING));
  const rows = server.models.map((model, index) =>
    row(
      model,
      shares.map(({ cells }) => cells[index] ?? NOTHING),
      before,
      now,
    ),
  );
  const lines = gpus(now).map(gpuLine);
  return [
    `Triton ${server.version} of the stack "${stack}" at http://${server.http}`,
    "",
    table([["model", "priority", ...shares.map(({ head }) => head), ...HEAD], ...rows]),
    "",
    ...(lines.length > 0 ? lines : ["No GPU in Triton's metrics."]),
    ...(now.queues === null ? [`Nothing is scheduled: ${now.noQueues}.`] : []),
    ...(server.builds ?? []).map(
      ({ model, version, below }) =>
        `The engine of ${model}, version ${version}, is being built ${below ? "below" : "beside"} the models.`,
    ),
    ...server.models.filter(({ reason }) => reason !== "").map(({ name, reason }) => `${name}: ${reason}`),
  ].join("\n");
}

function row(
  { name, priority, ready }: Sample["server"]["models"][number],
  shares: readonly string[],
  before: Sample | undefined,
  now: Sample,
): string[] {
  const live = livePriority(now, name);
  const shown = live ?? priority;
  const head = [
    name,
    // After npm run set-priority, the configuration has another priority.
    live !== undefined && priority !== null && live !== priority
      ? `${live} (config: ${priority})`
      : String(shown ?? NOTHING),
    ...shares,
    ready ? "yes" : "no",
  ];
  const seconds = now.seconds - (before?.seconds ?? now.seconds);
  if (before === undefined || seconds <= 0) return [...head, ...Array<string>(5).fill(NOTHING)];
  const [was, is] = [counters(before, name), counters(now, name)];
  // A reloaded model counts from zero.
  const since = (value: (from: typeof is) => number): number =>
    is.requests < was.requests ? value(is) : value(is) - value(was);
  const requests = since((from) => from.requests);
  const mean = (ns: number): string => (requests > 0 ? (ns / requests / 1e6).toFixed(2) : NOTHING);
  const [then, counted] = [was.scheduler, is.scheduler];
  return [
    ...head,
    (requests / seconds).toFixed(1),
    mean(since((from) => from.queueNs)),
    mean(since((from) => from.computeNs)),
    counted ? percent(difference(then?.blockedNs, counted.blockedNs) / 1e9 / seconds) : NOTHING,
    counted ? (difference(then?.preemptions, counted.preemptions) / seconds).toFixed(1) : NOTHING,
  ];
}

/** A floor, and what the model has had of it; it can have been changed with npm run set-floor. */
function floorCell(now: Sample, model: string, inConfig: number): string {
  const live = liveFloor(now, model);
  if (live === undefined) return inConfig > 0 ? `${inConfig} %` : NOTHING;
  const changed = live.floor === inConfig ? "" : ` (config: ${inConfig} %)`;
  return `${live.used} of ${live.floor} %${changed}`;
}

/** A weight; it can have been changed with npm run set-weight. */
function weightCell(now: Sample, model: string, inConfig: number): string {
  const live = liveWeight(now, model) ?? inConfig;
  if (live !== inConfig) return `${live} (config: ${inConfig})`;
  return live > 0 ? String(live) : NOTHING;
}

/** Queues are created anew with their model, and count from zero. */
function difference(before: number | undefined, now: number): number {
  return before === undefined || now < before ? now : now - before;
}

function gpuLine({ uuid, utilization, usedBytes, totalBytes }: Gpu): string {
  const use = utilization === undefined ? NOTHING : percent(utilization);
  const memory =
    usedBytes === undefined || totalBytes === undefined
      ? NOTHING
      : `${gibibytes(usedBytes)} of ${gibibytes(totalBytes)} GiB`;
  return `GPU ${uuid}: use ${use}, memory ${memory}`;
}

function gibibytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
