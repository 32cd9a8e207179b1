import * as assert from "node:assert/strict";

import { closedLoad } from "../../../scripts/bench/load/closedLoad";
import { now } from "../../../scripts/bench/load/clock";
import { LoadThread } from "../../../scripts/bench/load/loadThread";
import { openLoad } from "../../../scripts/bench/load/openLoad";
import { type Connection, type Target } from "../../../scripts/bench/protocol/connection";
import { contest } from "../../engine/contest";
import { StandInTriton } from "./standInTriton";

const NEVER = new AbortController().signal;
const nothing = (): void => undefined;

/** A model that answers after `delay` milliseconds, whatever the network does. */
function answering(
  delay: (number: number) => number,
  problem?: (number: number) => string | undefined,
): Connection {
  let count = 0;
  return {
    send: (done) => {
      const number = count++;
      setTimeout(() => {
        done(problem?.(number));
      }, delay(number));
    },
    close: () => Promise.resolve(),
  };
}

describe("an open load", () => {
  it("sends on time although earlier answers are late, and counts from the due time", async () => {
    await contest(async () => {
      const times = Float64Array.from({ length: 20 }, (_, index) => index * 10);
      const load = await openLoad(
        answering(() => 150),
        now() + 20,
        times,
        nothing,
        NEVER,
      );
      assert.deepEqual(load.intended, times);
      load.lag.forEach((lag, index) => {
        assert.ok(lag >= 0, `request ${index} is never early`);
        // The answer arrives 150 ms after the request was sent, so late sending shows in the latency.
        assert.ok((load.latency[index] ?? 0) >= 149 + lag, `${load.latency[index]} with lag ${lag}`);
      });
      assert.ok(Math.min(...load.lag) < 5, "some are sent in time even on a busy machine");
    });
  });

  it("counts a stall of this process against the requests that it delays, and sends all of them", async () => {
    const times = Float64Array.from({ length: 30 }, (_, index) => index * 10);
    setTimeout(() => {
      for (const end = now() + 120; now() < end;);
    }, 100);
    const load = await openLoad(
      answering(() => 1),
      now() + 20,
      times,
      nothing,
      NEVER,
    );
    assert.equal(load.latency.length, 30);
    assert.ok(Math.max(...load.lag) >= 80, `longest lag ${Math.max(...load.lag)} ms`);
    assert.ok(Math.max(...load.latency) >= Math.max(...load.lag));
  });

  it("reports what failed, and why", async () => {
    const connection = answering(
      () => 1,
      (number) => (number % 2 === 0 ? undefined : "HTTP status 503: no"),
    );
    const load = await openLoad(connection, now(), Float64Array.of(0, 1, 2, 3), nothing, NEVER);
    assert.deepEqual([...load.latency].map(Number.isNaN), [false, true, false, true]);
    assert.deepEqual(load.problems, ["HTTP status 503: no"]);
  });

  it("stops sending when interrupted, and waits for the requests in flight", async () => {
    const abort = new AbortController();
    const times = Float64Array.from({ length: 100 }, (_, index) => index * 10);
    const slow = answering((number) => {
      if (number === 6) abort.abort();
      return 30;
    });
    const load = await openLoad(slow, now(), times, nothing, abort.signal);
    assert.equal(load.intended.length, 7);
    assert.ok(load.latency.every((value) => value >= 29));
  });

  it("sends none of those that were due together with the one during which it was interrupted", async () => {
    const abort = new AbortController();
    const connection = answering((number) => {
      if (number === 6) abort.abort();
      return 1;
    });
    const load = await openLoad(connection, now(), new Float64Array(100), nothing, abort.signal);
    assert.equal(load.intended.length, 7);
  });
});

describe("a closed load", () => {
  it("keeps the requested number of requests in flight", async () => {
    const abort = new AbortController();
    let underWay = 0;
    let most = 0;
    let answers = 0;
    const connection: Connection = {
      send: (done) => {
        most = Math.max(most, ++underWay);
        setTimeout(() => {
          underWay--;
          if (++answers === 10) abort.abort();
          done();
        }, 5);
      },
      close: () => Promise.resolve(),
    };
    const load = await closedLoad(connection, 3, nothing, abort.signal);
    assert.equal(most, 3);
    assert.equal(underWay, 0);
    assert.equal(load.ends.length, load.latency.length);
    // It waits for requests in flight, and sends no more.
    assert.ok(load.ends.length >= 10 && load.ends.length <= 12, `${load.ends.length} answers`);
    assert.ok(load.latency.every((value) => value >= 4));
  });
});

describe("the thread of a load", () => {
  let triton: StandInTriton | undefined;
  let thread: LoadThread;

  afterEach(async () => {
    await thread.close();
    await triton?.stop();
  });

  const target = (url: string): Target => ({
    protocol: "http",
    address: url,
    model: "some model",
    inputs: [
      { name: "X", datatype: "FP32", shape: [1, 2], data: Buffer.from("\0\0\x80?\0\0\x80?", "latin1") },
    ],
    timeoutMs: 60_000,
  });

  it("sends binary tensors over HTTP", async () => {
    triton = await StandInTriton.start(() => ({ delay: 20 }));
    thread = await LoadThread.start(target(triton.url));
    const { load } = await thread.open(Float64Array.of(0, 5, 10), NEVER);
    assert.deepEqual(load.problems, []);
    assert.equal(thread.answered, 3);
    assert.ok(load.latency.every((value) => value >= 19 && value < 60_000));
    const [first] = triton.received;
    assert.equal(first?.url, "/v2/models/some%20model/infer");
    const head = Number(first.headers["inference-header-content-length"]);
    assert.deepEqual(JSON.parse(first.body.subarray(0, head).toString()), {
      inputs: [{ name: "X", datatype: "FP32", shape: [1, 2], parameters: { binary_data_size: 8 } }],
      parameters: { binary_data_output: true },
    });
    assert.deepEqual([first.body.readFloatLE(head), first.body.readFloatLE(head + 4)], [1, 1]);
  });

  it("goes on after failed requests", async () => {
    triton = await StandInTriton.start((number) => ({ delay: 0, status: number === 0 ? 500 : 200 }));
    thread = await LoadThread.start(target(triton.url));
    const { load } = await thread.open(Float64Array.of(0, 30), NEVER);
    assert.deepEqual(load.problems, ['HTTP status 500: {"error":"as the test wants"}']);
    assert.equal(load.latency.filter((value) => !Number.isNaN(value)).length, 1);
    assert.deepEqual([thread.answered, thread.failed], [2, 1]);
  });

  it("runs a closed load until stopped, then another one", async () => {
    triton = await StandInTriton.start(() => ({ delay: 2 }));
    thread = await LoadThread.start(target(triton.url));
    for (let turn = 0; turn < 2; turn++) {
      const running = thread.closed(2);
      const before = triton.received.length;
      while (triton.received.length < before + 8) await new Promise((resolve) => setTimeout(resolve, 5));
      const load = await running.stop();
      assert.equal(load.failed, 0);
      assert.ok(load.ends.length > 2);
    }
  });

  it("reports that nothing answers", async () => {
    triton = await StandInTriton.start(() => ({ delay: 0 }));
    const { url } = triton;
    await triton.stop();
    thread = await LoadThread.start(target(url));
    const { load } = await thread.open(Float64Array.of(0), NEVER);
    assert.match(load.problems[0] ?? "", /ECONNREFUSED/);
  });

  it("cannot be started for a malformed address", async () => {
    await assert.rejects(
      LoadThread.start({ ...target("http://127.0.0.1:1"), address: "no address" }),
      /Invalid URL/,
    );
  });
});
