import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as path from "node:path";

import { isLeftover } from "../../../components/models/leftovers";

const AGENT = path.resolve(__dirname, "../../../components/host/agent");

const LEFTOVERS = [
  ..."__pycache__ .git .hg .svn .ipynb_checkpoints .pytest_cache .mypy_cache .ruff_cache .idea .vscode".split(
    " ",
  ),
  ..."__MACOSX ._model.py .DS_Store Thumbs.db desktop.ini .nfs00000000a1b2c3d4".split(" "),
  ..."model.py~ .model.py.swp .model.py.swo .#model.py #model.py#".split(" "),
];

const OWN = [
  ..."1 model.py .config .cache .gitattributes .nfs .env git swp a.swp .swp _.py # a#b.txt ~a Thumbs.dbx".split(
    " ",
  ),
  "models--org--name",
  "a\n.git",
];

describe("what tools leave in a model's folder", () => {
  it("is told apart from a model's own files", () => {
    assert.deepEqual(
      LEFTOVERS.filter((name) => !isLeftover(name)),
      [],
    );
    assert.deepEqual(OWN.filter(isLeftover), []);
  });

  it("is the same for the agent", () => {
    const names = [...LEFTOVERS, ...OWN];
    const program =
      "import json, sys; from agent.models.store import is_leftover; print(json.dumps([is_leftover(name) for name in json.load(sys.stdin)]))";
    const { stdout, stderr } = spawnSync("python3", ["-B", "-c", program], {
      ...{ cwd: AGENT, input: JSON.stringify(names), encoding: "utf8" },
    });
    assert.equal(stderr, "");
    assert.deepEqual(JSON.parse(stdout), names.map(isLeftover));
  });
});
