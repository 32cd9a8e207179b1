import * as path from "node:path";
import { Worker } from "node:worker_threads";

import { type Target } from "../protocol/connection";
import { now } from "./clock";
import { type ClosedLoad, type Done, type LoadThreadOptions, type OpenLoad, type Task } from "./messages";

/** Milliseconds from the order to the first arrival, so that the order reaches the thread in time. */
const HEAD_START_MS = 50;

/** A running closed load. */
export interface RunningLoad {
  /** Stops sending and waits for the outstanding answers. */
  stop(): Promise<ClosedLoad>;
}

/** A load on one model, from its own thread, so that loads do not disturb each other's timing. */
export class LoadThread {
  private readonly answers = new Int32Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;
  private waiting: { resolve: (done: Done) => void; reject: (error: Error) => void } | undefined;
  private failure: Error | undefined;
  private closing = false;

  private constructor(private readonly target: Target) {
    const options: LoadThreadOptions = { target, answered: this.answers.buffer };
    this.worker = new Worker(path.join(__dirname, "thread.ts"), {
      workerData: options,
      execArgv: ["--require", require.resolve("../../../components/compile.cjs")],
      // Nothing is sent during a collection, so collections must be short. Much of gRPC's data survives one: it takes
      // 0.8 ms with 6 MB and 7 ms with 64 MB (medians). Either way, collections take a small share of the time.
      resourceLimits: { maxYoungGenerationSizeMb: 6 },
    });
    this.worker.on("message", (done: Done) => {
      this.waiting?.resolve(done);
      this.waiting = undefined;
    });
    this.worker.on("error", (error) => {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    });
    this.worker.on("exit", (code) => {
      if (!this.closing) this.fail(new Error(`the load on ${target.model} ended with status ${code}`));
    });
  }

  /** Resolves once the thread can send; starting it takes half a second. */
  public static async start(target: Target): Promise<LoadThread> {
    const thread = new LoadThread(target);
    await thread.perform({ kind: "start" });
    return thread;
  }

  /** Answers to the current task so far, failed ones included. */
  public get answered(): number {
    return Atomics.load(this.answers, 0);
  }

  /** Failed requests of the current task so far. */
  public get failed(): number {
    return Atomics.load(this.answers, 1);
  }

  /**
   * Sends requests at their times and resolves with the last answer.
   *
   * @param times milliseconds from the start, ascending
   * @param abort stops sending
   */
  public async open(times: Float64Array, abort: AbortSignal): Promise<{ start: number; load: OpenLoad }> {
    const start = now() + HEAD_START_MS;
    const stop = (): void => {
      this.tell({ kind: "stop" });
    };
    abort.addEventListener("abort", stop);
    try {
      const done = await this.perform({ kind: "open", start, times });
      if (done.kind !== "open") throw new Error(`the load on ${this.target.model} answered out of turn`);
      return { start, load: done.load };
    } finally {
      abort.removeEventListener("abort", stop);
    }
  }

  /** Sends requests back to back until it is stopped. */
  public closed(concurrency: number): RunningLoad {
    const done = this.perform({ kind: "closed", concurrency });
    // stop() handles a failure.
    done.catch(() => undefined);
    return {
      stop: async () => {
        this.tell({ kind: "stop" });
        const finished = await done;
        if (finished.kind !== "closed")
          throw new Error(`the load on ${this.target.model} answered out of turn`);
        return finished.load;
      },
    };
  }

  public async close(): Promise<void> {
    this.closing = true;
    await this.worker.terminate();
  }

  /** Throws if the thread has died. */
  public check(): void {
    if (this.failure) throw this.failure;
  }

  private perform(task: Task): Promise<Done> {
    this.check();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.tell(task);
    });
  }

  private tell(task: Task): void {
    this.worker.postMessage(task);
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting?.reject(error);
    this.waiting = undefined;
  }
}
