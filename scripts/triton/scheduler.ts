import { type DeployedServer } from "./deployedServer";

/** A queue of the XSched core, as `xsched-ctl stats --json` reports it. */
export interface Queue {
  readonly id: number;
  /** `<model>/<instance>`, or empty for a stream of no model's, such as any in the image's variant transparent. */
  readonly name: string;
  readonly priority: number;
  readonly launches: number;
  readonly blocked: number;
  readonly blocked_ns: number;
  readonly preemptions: number;
  /** The floor that the queues of its model share, and what they have had of the last two seconds if there is one. */
  readonly floor_percent?: number;
  readonly used_percent?: number;
  /** What its model shares the GPU's time by with others of its priority; 0: nothing. Absent with an earlier release. */
  readonly weight?: number;
}

/** The model that a queue belongs to, or empty. */
export function modelOf(queue: Queue): string {
  return queue.name.split("/", 1)[0] ?? "";
}

/** Whether a server's models are scheduled. */
export type SchedulerState =
  { readonly active: true; readonly status: string } | { readonly active: false; readonly reason: string };

/** The XSched core inside a stack's server. */
export class Scheduler {
  public constructor(private readonly server: DeployedServer) {}

  public state(): SchedulerState {
    const { status, stdout, stderr } = this.server.onHost(["scheduler", "status"]);
    if (status === 0) return { active: true, status: stdout.trim() };
    return { active: false, reason: reason(stderr || stdout) };
  }

  public queues(): readonly Queue[] {
    const text = this.control("stats", "--json");
    return (JSON.parse(text) as { queues: readonly Queue[] }).queues;
  }

  /**
   * Changes the priority of queues at once.
   *
   * @param queue an id, or a model's name for all its queues
   * @throws Error with the scheduler's reason
   */
  public setPriority(queue: string, priority: number): void {
    this.control("priority", queue, String(priority));
  }

  /**
   * Changes the floor that a model's queues share at once.
   *
   * @param floor in percent of the GPU's time; 0: none
   * @throws Error with the scheduler's reason
   */
  public setFloor(model: string, floor: number): void {
    this.control("floor", model, String(floor));
  }

  /**
   * The same for the weight by which the model shares the GPU's time with others of its priority.
   *
   * @param weight 1 to 100; 0: none
   * @throws Error with the scheduler's reason
   */
  public setWeight(model: string, weight: number): void {
    this.control("weight", model, String(weight));
  }

  private control(...words: string[]): string {
    const { status, stdout, stderr } = this.server.onHost(["scheduler", ...words]);
    if (status !== 0) throw new Error(`xsched-ctl ${words.join(" ")}: ${reason(stderr || stdout)}`);
    return stdout;
  }
}

function reason(text: string): string {
  return (text.trim().split("\n").at(-1) ?? "").replace(/^error: /, "");
}
