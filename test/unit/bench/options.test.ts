import * as assert from "node:assert/strict";

import { parseOptions } from "../../../scripts/bench/options";

const MODELS = ["--high", "h", "--low", "l"];

function message(...words: string[]): string {
  try {
    parseOptions(words);
  } catch (error) {
    return (error as Error).message;
  }
  assert.fail("nothing was refused");
}

describe("the options of the benchmark", () => {
  it("have the documented defaults", () => {
    assert.deepEqual(parseOptions(MODELS), {
      kind: "measure",
      options: {
        url: undefined,
        grpc: undefined,
        protocol: "http",
        high: "h",
        lows: [{ model: "l", concurrency: 1, batch: 1 }],
        rate: 10,
        middleRate: 10,
        arrivals: "fixed",
        arms: ["standalone", "triton", "triton+priority", "xsched"],
        samples: 2000,
        rounds: 5,
        warmUpMs: 3000,
        batch: 1,
        extent: 1,
        timeoutMs: 30_000,
        seed: 1,
        compare: [],
        out: undefined,
      },
    });
  });

  it("need no low model to restore or to send load only", () => {
    assert.deepEqual(parseOptions(["--restore", "--url", "http://h:1/"]), {
      kind: "restore",
      url: "http://h:1",
    });
    const command = parseOptions(["--high", "h", "--load", "2.5", "--rate", "500"]);
    assert.ok(command.kind === "load");
    assert.deepEqual([command.seconds, command.options.rate], [2.5, 500]);
    assert.deepEqual(parseOptions(["--help"]), { kind: "help" });
  });

  it("are all refused at once, each with what is allowed", () => {
    assert.equal(
      message(
        "--rate",
        "0",
        "--samples",
        "1.5",
        "--protocol",
        "soap",
        "--url",
        "localhost:8000",
        "--warm-up",
        "",
      ),
      [
        '--url is "localhost:8000": give http://HOST:PORT (Triton\'s HTTP API has no TLS)',
        "--high is missing: name the model of high priority",
        "--low is missing: name the model of low priority",
        '--samples is "1.5": give a whole number from 1 to 1000000',
        '--protocol is "soap": give http or grpc',
        '--rate is "0": give a number from 0.1 to 10000',
        '--warm-up is "": give a number from 0 to 600',
        "fix: npm run bench -- --help lists every option",
      ].join("\n"),
    );
  });

  it("must name different models", () => {
    const again = /^"m" is named more than once: name different models$/m;
    assert.match(message("--high", "m", "--low", "m"), again);
    assert.match(message("--high", "h", "--low", "m", "--middle", "m"), again);
    assert.match(message("--high", "h", "--low", "m,l", "--low", "m"), again);
  });

  it("may name several low models, each with its own load, and a middle one with its own rate", () => {
    const words = ["--high", "h", "--low", "a, b", "--low", "c", "--middle", "m", "--rate", "50"];
    const loads = ["--low-concurrency", "2", "--low-batch", "8,1", "--low-batch", "4"];
    const command = parseOptions([...words, ...loads, "--batch", "3"]);
    assert.ok(command.kind === "measure");
    const { middle, rate, middleRate, batch, lows } = command.options;
    assert.deepEqual([middle, rate, middleRate, batch], ["m", 50, 50, 3]);
    assert.deepEqual(lows, [
      { model: "a", concurrency: 2, batch: 8 },
      { model: "b", concurrency: 2, batch: 1 },
      { model: "c", concurrency: 2, batch: 4 },
    ]);
    const slower = parseOptions([...words, "--middle-rate", "5", "--batch", "3"]);
    assert.ok(slower.kind === "measure");
    assert.equal(slower.options.middleRate, 5);
    assert.deepEqual(
      slower.options.lows.map((low) => low.batch),
      [3, 3, 3],
    );
  });

  it("refuse a number too many or too few for the low models, and a middle model's rate without one", () => {
    assert.equal(
      message(
        "--high",
        "h",
        "--low",
        "a,b",
        "--low-concurrency",
        "1,2,3",
        "--low-batch",
        "0",
        "--middle-rate",
        "5",
      ),
      [
        "--middle-rate is given without --middle",
        "--low-concurrency has 3 numbers for 2 low models: give one for all, or one for each",
        '--low-batch is "0": give a whole number from 1 to 1024',
        "fix: npm run bench -- --help lists every option",
      ].join("\n"),
    );
  });

  it("need both addresses for gRPC with a URL", () => {
    assert.match(message(...MODELS, "--protocol", "grpc", "--url", "http://h:1"), /^--grpc is missing/m);
  });

  it("that do not exist are refused, with a list of those that do", () => {
    assert.match(message(...MODELS, "--samplse", "3"), /'--samplse'[\s\S]*--samples N/);
  });

  it("choose arms, in any order and more than once, and refuse others", () => {
    const command = parseOptions([...MODELS, "--arms", "xsched, standalone,xsched"]);
    assert.deepEqual(command.kind === "measure" && command.options.arms, ["standalone", "xsched"]);
    for (const text of ["triton,native", ""]) {
      assert.ok(
        message(...MODELS, "--arms", text).startsWith(
          `--arms is "${text}": give one or more of standalone, triton, triton+priority, xsched, separated by commas\n`,
        ),
      );
    }
  });

  it("allow no more rounds than samples", () => {
    const command = parseOptions([...MODELS, "--samples", "3"]);
    assert.equal(command.kind === "measure" && command.options.rounds, 3);
    assert.match(
      message(...MODELS, "--samples", "3", "--rounds", "4"),
      /--rounds is "4": give a whole number from 1 to 3/,
    );
  });
});
