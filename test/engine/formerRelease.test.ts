import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { shellQuote } from "../../components/host/shellQuote";
import { TOOLS_HOME } from "./toolchain";
import { requireSuccess, Workspace } from "./workspace";

/** What release 0.1.0 left of a stack with one model, when the parts of its program had no component around them. */
const DEPLOYMENT = path.resolve(__dirname, "../fixtures/formerRelease/deployment.json");

const CONFIG = `config:
  xsched-triton:host:
    kind: local
    directory: .local/hosts/local
  xsched-triton:models:
    - name: realtime
      source: examples/models/realtime
      priority: max
`;

/** The state, with the workspace's folder and the script of today that makes the host's folder in it. */
function deployment(workspace: Workspace): string {
  const folder = workspace.file(".local/hosts/local");
  return ["create-directory.sh", "remove-directory.sh"].reduce(
    (text, script) => {
      const source = fs.readFileSync(workspace.file("components/host", script), "utf8");
      const command = shellQuote(["bash", "-c", source, script, folder]);
      return text.replaceAll(`"${script}"`, () => JSON.stringify(command));
    },
    fs.readFileSync(DEPLOYMENT, "utf8").replaceAll("PROJECT", workspace.directory),
  );
}

interface Step {
  readonly op: string;
  readonly urn: string;
}

describe("a stack of the first release, on the real engine", () => {
  let workspace: Workspace;

  before(async () => {
    workspace = await Workspace.create();
    fs.writeFileSync(workspace.file("Pulumi.former.yaml"), CONFIG);
    await workspace.initStack("former", {});
    const state = workspace.file("deployment.json");
    fs.writeFileSync(state, deployment(workspace));
    requireSuccess(await workspace.run("pulumi", ["stack", "import", "--stack", "former", "--file", state]));
  });

  after(() => {
    workspace.remove();
  });

  it("keeps every resource: TritonStack takes them over", async () => {
    const words = ["preview", "--stack", "former", "--json", "--non-interactive"];
    const { code, output } = await workspace.run("pulumi", words, { PULUMI_HOME: TOOLS_HOME });
    requireSuccess({ code, output });
    const { steps } = JSON.parse(output.slice(output.indexOf("{"))) as { steps: Step[] };
    const named = steps.map(({ op, urn }) => `${urn.split("::").at(-1) ?? ""} ${op}`);
    const kept = named.filter((step) => / (same|update)$/.test(step));
    // One resource serves all models, in place of one for each; what serves is not touched by that.
    assert.deepEqual(named.filter((step) => !kept.includes(step)).sort(), [
      "server-realtime delete",
      "triton create",
      "triton-server-models create",
    ]);
    for (const name of ["triton-host-agent", "triton-models-realtime", "triton-server-process"]) {
      assert.ok(
        kept.some((step) => step.startsWith(`${name} `)),
        `${name} is among ${kept.join(", ")}`,
      );
    }
  });
});
