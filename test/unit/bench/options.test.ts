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
        low: "l",
        rate: 10,
        arrivals: "fixed",
        arms: ["standalone", "triton", "triton+priority", "xsched"],
        samples: 2000,
        rounds: 5,
        warmUpMs: 3000,
        lowConcurrency: 1,
        batch: 1,
        extent: 1,
        timeoutMs: 30_000,
        seed: 1,
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

  it("must name two different models", () => {
    assert.match(message("--high", "m", "--low", "m"), /^--high and --low are both "m": name two models$/m);
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
