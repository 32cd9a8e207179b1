import * as assert from "node:assert/strict";

import { parseOptions } from "../../../scripts/prove/options";

describe("the options of npm run prove", () => {
  it("have the documented defaults", () => {
    assert.deepEqual(parseOptions([]), {
      tritonserver: "/opt/tritonserver/bin/tritonserver",
      backends: undefined,
      patched: undefined,
      package: undefined,
      cases: undefined,
      repository: undefined,
      python: "python3",
      models: undefined,
      prepare: false,
      rate: 50,
      middleRate: 0,
      samples: 1000,
      servers: ["stock", "hooked", "patched"],
      rounds: 2,
      batches: { high: 1, low: 8 },
      lowConcurrency: 2,
      warmUp: 2,
      reloads: 200,
      shares: 0,
      training: 0,
      out: undefined,
    });
    assert.equal(parseOptions(["--help"]), undefined);
  });

  it("are refused with all faults at once", () => {
    assert.throws(
      () =>
        parseOptions([
          "--rate",
          "fast",
          "--cases",
          "tensorflow",
          "--repository",
          "models",
          "--rounds",
          "0",
          "--shares",
          "0.5",
        ]),
      {
        message: [
          '--cases names "tensorflow": give one or more of tensorrt, pytorch, python, separated by commas',
          "--cases and --repository are both given: give one of them",
          '--rounds is "0": give a whole number from 1 to 100',
          '--rate is "fast": give a whole number from 1 to 10000',
          '--shares is "0.5": give a whole number from 0 to 3600',
          "fix: npm run prove -- --help lists every option",
        ].join("\n"),
      },
    );
    assert.throws(() => parseOptions(["--samples", "3", "--rounds", "4"]), /--samples is "3": .* from 4 to/);
    assert.throws(() => parseOptions(["--gpu"]), /npm run prove -- \[OPTION…\]/);
  });

  it("refuse to measure a patched backend that is not given", () => {
    assert.throws(
      () => parseOptions(["--servers", "stock,patched,triton"]),
      (error: Error) => {
        assert.deepEqual(error.message.split("\n").slice(0, 2), [
          '--servers names "triton": give one or more of stock, hooked, patched, separated by commas',
          "--servers names patched: give --patched, the library to measure",
        ]);
        return true;
      },
    );
    const found = parseOptions(["--servers", "patched, hooked", "--patched", "libtriton_tensorrt.so"]);
    assert.deepEqual(found?.servers, ["hooked", "patched"]);
  });

  it("name each case once, in the order in which the cases are measured", () => {
    assert.deepEqual(parseOptions(["--cases", "pytorch, tensorrt,pytorch"])?.cases, ["tensorrt", "pytorch"]);
  });
});
