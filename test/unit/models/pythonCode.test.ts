import assert from "node:assert/strict";

import { ModelConfigError, refuseMissingCode } from "../../../components/models/config";

const PYTHON = 'backend: "python"\n';
const SOURCE = "/models/m";

function refusal(config: string, versions: Record<string, readonly string[]>): string | undefined {
  try {
    refuseMissingCode(config, SOURCE, new Map(Object.entries(versions)));
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ModelConfigError);
    return error.message;
  }
}

describe("the code of a model of the Python backend", () => {
  it("must be in the version that is served", () => {
    assert.equal(
      refusal(PYTHON, { 1: ["weights.bin"] }),
      `/models/m/1: backend is "python", but version 1 has no model.py
  fix: put the model's code into 1/model.py, or remove the folder 1`,
    );
    assert.equal(refusal(PYTHON, { 1: ["model.py", "weights.bin"] }), undefined);
  });

  it("may have another name", () => {
    const renamed = `${PYTHON}default_model_filename: "main.py"`;
    assert.equal(refusal(renamed, { 1: ["main.py"] }), undefined);
    assert.match(refusal(renamed, { 1: ["model.py"] }) ?? "", /version 1 has no main\.py/);
  });

  it("may be missing in versions that are not served", () => {
    const versions = { 9: [], 10: ["model.py"] };
    assert.equal(refusal(PYTHON, versions), undefined);
    for (const [policy, missing] of [
      ["all {}", "9"],
      ["latest { num_versions: 2 }", "9"],
      ["latest { num_versions: 1 }", undefined],
      ["specific { versions: [ 9, 11 ] }", "9"],
      ["specific { versions: 10 }", undefined],
    ] as const) {
      const message = refusal(`${PYTHON}version_policy { ${policy} }`, versions);
      assert.equal(
        message?.split("\n")[0],
        missing && `/models/m/9: backend is "python", but version 9 has no model.py`,
      );
    }
  });

  it("may come from an agent of the model repository", () => {
    const agents = 'model_repository_agents { agents { name: "decrypt" } }';
    assert.equal(refusal(`${PYTHON}${agents}`, { 1: ["model.py.encrypted"] }), undefined);
  });

  it("is not asked of other backends", () => {
    for (const config of ["", 'backend: "vllm"', 'platform: "ensemble"']) {
      assert.equal(refusal(config, { 1: [] }), undefined);
    }
  });
});
