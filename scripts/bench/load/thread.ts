// The thread of one load, with its own connection. Nothing else runs in it, so that it stays punctual.
import { parentPort, workerData } from "node:worker_threads";

import { connect } from "../protocol/connection";
import { closedLoad } from "./closedLoad";
import { type Done, type LoadThreadOptions, type Task } from "./messages";
import { openLoad } from "./openLoad";

const { target, answered } = workerData as LoadThreadOptions;
const counter = new Int32Array(answered);
const connection = connect(target);
let abort = new AbortController();

function count(problem?: string): void {
  Atomics.add(counter, 0, 1);
  if (problem !== undefined) Atomics.add(counter, 1, 1);
}

async function perform(task: Exclude<Task, { kind: "stop" }>): Promise<Done> {
  counter.forEach((_, index) => Atomics.store(counter, index, 0));
  abort = new AbortController();
  switch (task.kind) {
    case "start":
      return { kind: "start" };
    case "open":
      return {
        kind: "open",
        load: await openLoad(connection, task.start, task.times, count, abort.signal),
      };
    case "closed":
      return {
        kind: "closed",
        load: await closedLoad(connection, task.concurrency, count, abort.signal),
      };
  }
}

parentPort?.on("message", (task: Task) => {
  if (task.kind === "stop") {
    abort.abort();
    return;
  }
  void perform(task).then((done) => parentPort?.postMessage(done));
});
