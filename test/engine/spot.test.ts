import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";

import { DockerEngine } from "./dockerEngine";
import { until } from "../until";
import { Machine } from "./machine";
import { MetadataService } from "./metadataService";
import { freePorts } from "./ports";
import { StandInImages } from "./standInImage";
import { TritonClient } from "./triton";
import { skipWithout } from "./needs";

const SLOW = path.resolve(__dirname, "../fixtures/models/slow");
const CONFIG = `name: "slow"
backend: "python"
max_batch_size: 0
input { name: "SECONDS" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "SLEPT" data_type: TYPE_FP32 dims: [ 1 ] }
instance_group { kind: KIND_CPU count: 2 }
optimization { priority: PRIORITY_MAX }
parameters { key: "xsched_priority" value { string_value: "70" } }
`;
const NOTICE = '{"action":"stop","time":"2026-11-25T10:02:00Z"}';
/** The longest that a drain may take in these tests, in seconds, and how long what it waits for takes. */
const LONGEST_DRAIN = 30;
const IN_FLIGHT = 15;

describe("the interruption of a spot instance, with a container on a real Docker", function () {
  let engine: DockerEngine | undefined;
  let images: StandInImages;
  let machine: Machine;
  let metadata: MetadataService;
  /** Each request uses a new connection: on an open one, newer Tritons accept requests until they end. */
  let triton: TritonClient;
  let watcher: ChildProcess;
  let said: string;

  /** Requests an answer after so many seconds; returns the status, or 0 if the server refuses the request. */
  const ask = async (seconds: number): Promise<number> => {
    const inputs = [{ name: "SECONDS", shape: [1], datatype: "FP32", data: [seconds] }];
    return triton.infer("slow", JSON.stringify({ inputs })).then(
      ({ status }) => status,
      () => 0,
    );
  };

  const containers = (): Promise<string[]> => {
    assert.ok(engine);
    return engine.containersOf(machine.directory);
  };

  const serves = async (): Promise<boolean> =>
    (await triton.isReady("slow")) &&
    (await ask(0)) === 200 &&
    (await triton.priority("slow")).xsched === "70";

  const hears = (words: string): Promise<void> => until(words, () => said.includes(words));

  /** Waits until a request that takes so many seconds is being worked on. */
  const worksFor = async (seconds: number): Promise<void> => {
    const [container = ""] = await containers();
    await until("the model works", async () => {
      assert.ok(engine);
      return (await engine.ask("logs", container)).includes(`sleeps for ${seconds.toFixed(1)} s`);
    });
  };

  before(async function () {
    // The stand-in images may have to be made, or another file be making them, on a busy machine.
    this.timeout(1_200_000);
    skipWithout(this, DockerEngine.missing ?? StandInImages.missing);
    engine = await DockerEngine.start();
    images = await StandInImages.serve(engine);
    metadata = await MetadataService.start();
    machine = new Machine({
      ...engine.environment,
      XSCHED_TRITON_METADATA: metadata.url,
      XSCHED_TRITON_SPOT_SECONDS: "0.2",
      XSCHED_TRITON_SPOT_DRAIN: String(LONGEST_DRAIN),
      XSCHED_TRITON_SPOT_GIVE_UP: "3",
    });
    const [httpPort = 0, grpcPort = 0, metricsPort = 0] = await freePorts(3);
    triton = new TritonClient(httpPort, false, 4 * LONGEST_DRAIN);
    await machine.succeed("start", {
      ...{ kind: "container", image: images.image("1"), schedulerRequired: "never", arguments: [] },
      ...{ httpPort, grpcPort, metricsPort, address: "127.0.0.1" },
      ...{ exitTimeoutSeconds: 30, drainSeconds: 0, loadTimeoutSeconds: 60, logMegabytes: 2 },
    });
    const entry = { digest: "d1", filesDigest: "f1", source: SLOW, config: CONFIG };
    await machine.succeed("store", { model: "slow", ...entry });
    await machine.succeed("serve", { models: [{ name: "slow", digest: "d1", priority: 70 }] });
  });

  beforeEach(() => {
    metadata.notice = undefined;
    said = "";
    watcher = machine.start("watch-spot");
    watcher.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  });

  afterEach(async function () {
    if (this.currentTest?.state === "failed") console.log(said);
    if (engine === undefined) return;
    const ended = once(watcher, "close");
    watcher.kill();
    await ended;
  });

  after(async () => {
    if (engine === undefined) return;
    triton.close();
    await machine.run("stop");
    await metadata.stop();
    await images.stop();
    await engine.stop();
    machine.remove();
  });

  it("is awaited, without a trace on the server", async () => {
    const before = await containers();
    const asked = metadata.asked;
    await until("AWS is asked", () => metadata.asked > asked + 5);
    assert.ok(await serves());
    assert.deepEqual(await containers(), before);
    assert.equal(said, "");
  });

  it("lets a request in flight finish, accepts no new one, and ends the container", async () => {
    const began = Date.now();
    const inFlight = ask(IN_FLIGHT).then((status) => ({ status, seconds: (Date.now() - began) / 1000 }));
    await worksFor(IN_FLIGHT);
    metadata.notice = NOTICE;
    await hears(`AWS takes this instance back: ${NOTICE}`);
    await until("no new request is taken", async () => (await ask(0)) !== 200);
    const closed = (Date.now() - began) / 1000;
    const { status, seconds } = await inFlight;
    assert.equal(status, 200);
    assert.ok(closed < seconds, `closed after ${closed} s, answered after ${seconds} s`);
    await hears("the server is drained after");
    assert.ok(Date.now() - began < LONGEST_DRAIN * 1000);
    assert.deepEqual(await containers(), []);
    assert.deepEqual(fs.readdirSync(machine.file("server/logs")), []);
    assert.equal(await ask(0), 0);
  });

  it("ends when the machine starts again: boot and resume restore models and priorities", async () => {
    assert.deepEqual(await containers(), []);
    await machine.succeed("boot");
    await machine.succeed("resume-host");
    assert.ok(await serves());
    const logs = (await containers()).map((id) => `container-${id}.log`);
    assert.deepEqual(fs.readdirSync(machine.file("server/logs")), logs);
    assert.equal(logs.length, 1);
  });

  it("does not wait longer for a request than AWS does", async () => {
    // Waited for, it would be answered.
    const inFlight = ask(3 * LONGEST_DRAIN);
    await worksFor(3 * LONGEST_DRAIN);
    const began = Date.now();
    metadata.notice = NOTICE;
    await hears("the server is drained after");
    const seconds = (Date.now() - began) / 1000;
    assert.ok(seconds > LONGEST_DRAIN - 1, `${seconds} s`);
    assert.deepEqual(await containers(), []);
    assert.equal(await inFlight, 0);
    // A machine that stays gets its server back.
    metadata.notice = undefined;
    await hears("the server starts again");
    await until("the server serves", serves);
  });
});
