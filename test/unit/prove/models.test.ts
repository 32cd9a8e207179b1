import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { buildRepository } from "../../../scripts/prove/models";

/** Stands in for Python: writes what the writers of the TensorRT case would write, and says so. */
const PYTHON = `#!/bin/sh
echo "$(basename "$1")$3" >>"$(dirname "$0")/calls"
[ ! -e "$(dirname "$0")/broken" ] || exit 3
touch "$2/model.plan"
`;

describe("the models of npm run prove", () => {
  let folder: string;
  const calls = (): string[] => fs.readFileSync(path.join(folder, "calls"), "utf8").trimEnd().split("\n");
  const build = (): string =>
    buildRepository(
      "tensorrt",
      path.join(folder, "models"),
      { high: 1, low: 8 },
      false,
      path.join(folder, "python"),
    );

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-prove-"));
    fs.writeFileSync(path.join(folder, "python"), PYTHON, { mode: 0o755 });
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("are built once", () => {
    const repository = build();
    const all = ["write_bert.py", "tensorrt_engine.py1", "write_bert.py", "tensorrt_engine.py8"];
    assert.deepEqual(calls(), all);
    assert.equal(build(), repository);
    assert.deepEqual(calls(), all);
    const config = fs.readFileSync(path.join(repository, "low/config.pbtxt"), "utf8");
    assert.match(config, /name: "input_ids" data_type: TYPE_INT32 dims: \[ 8, 384 \]/);
    assert.match(config, /key: "xsched_priority" value \{ string_value: "-255" \}/);
  });

  it("are built anew where a build was interrupted", () => {
    fs.writeFileSync(path.join(folder, "broken"), "");
    assert.throws(build, (error: Error) => {
      assert.match(
        error.message,
        /python .*write_bert\.py .* ended with status 3; its reason is above\nfix: /,
      );
      return true;
    });
    fs.rmSync(path.join(folder, "broken"));
    assert.ok(fs.existsSync(path.join(build(), "high/1/model.plan")));
  });

  it("name a Python that is not there", () => {
    fs.rmSync(path.join(folder, "python"));
    assert.throws(build, /python cannot be run: .*ENOENT\nfix: give another with --python/);
  });
});
