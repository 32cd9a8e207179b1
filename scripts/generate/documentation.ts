import { Absent, Field, Fields, Inside, Rule } from "../../components/settings/rules";
import {
  eksClusterInputs,
  eksGpuNodesInputs,
  fleetFields,
  NAMESPACE,
  TOP_LEVEL_KEYS,
} from "../../components/settings/schema";

interface Row {
  readonly key: string;
  readonly type: string;
  readonly usual: string;
  readonly description: string;
}

const INTRODUCTION = `# Settings

Generated from the rules in \`components/settings\` by \`npm run generate\`; do not edit.

All keys are in the namespace \`${NAMESPACE}\`. To set one from the command line:
\`pulumi config set --path '${NAMESPACE}:server.httpPort' 9000\`. In a key below, \`[]\` stands for each item of a list.
All faults are reported together, before the first resource is touched. A \`TritonStack\` takes the same keys as
arguments.
`;

/** The text of docs/settings.md. */
export function settingsDocumentation(): string {
  const sections = Object.entries(TOP_LEVEL_KEYS).map(([key, field]) => section(key, field));
  return [INTRODUCTION, ...sections].join("\n");
}

const FLEET_INTRODUCTION = `# Arguments of TritonFleet

Generated from the rules in \`components/settings\` by \`npm run generate\`; do not edit.

[How to use it, and what it can't do yet](../how-to/fleet.md). \`models\`, \`server\` and \`scheduler\` are those of a stack
([settings](../settings.md)), with these differences:

- All values must be known when the component is constructed; only \`image\` and \`registry\` can be outputs.
- Of a model, \`source\` is a folder, of at most 1 MiB without \`modelImageRepository\`; \`engine\` takes that and \`registry\`, and has no \`shared\`; \`dependsOn\` and
  \`upload: s3\` are refused.
- Of \`server\`, \`address\` and \`logMegabytes\` mean nothing; \`loadTimeoutSeconds\` times the number of models is how long a pod may
  take to become ready.
- Of \`scheduler\`, \`domain\` can only be \`none\`. \`gateway\` is refused, unless it says \`enabled: false\`.

The others:
`;

const FLEET_TROUBLE = `
## When something fails

"Seen" is what \`npm run status\`, \`kubectl get pods\` and \`up\` show. "Proven" names what shows it: in the test on a real control plane
([what that is](../facts/what-has-run.md#kubernetes)), or not.

<!-- prettier-ignore-start -->

| what happens | what is seen | what is done | what clients notice | proven |
| --- | --- | --- | --- | --- |
| A new version's model can't be loaded | \`up\` fails with the model's error; meanwhile \`CrashLoopBackOff\` | [the rollout is undone](../how-to/fleet.md#when-a-new-version-fails), even if the machine that ran \`up\` is lost | nothing: the former version serves | in the test, under load, with that machine's Pulumi killed |
| An engine can't be built | \`up\` fails with the builder's message; the Job has failed, and its pod has the log | the rollout doesn't begin; the next \`up\` tries again | nothing | in the test, with a stand-in for \`trtexec\` |
| The Job of an engine gets no GPU, or the builder's image can't be pulled | \`up\` waits, and fails after \`placementSeconds\` and \`engineBuildSeconds\` with \`DeadlineExceeded\` | as above | nothing | not |
| The registry refuses an engine, or its pod doesn't reach the registry | \`up\` fails with the registry's answer | as above; what may pass is tried four times | nothing | in the agent's tests |
| The node goes on which an engine is built | the Job's pod is replaced | the build begins anew | nothing | not |
| A new image can't be pulled | \`up\` fails after \`placementSeconds\`, as the guard does not get ready; \`status\` names its pod with \`ImagePullBackOff\` | nothing: no pod that serves is touched | nothing | in the test |
| A new version's pod gets no node, can't pull its image on that node, isn't made or doesn't become ready | \`up\` fails with the pod's reason, after \`loadTimeoutSeconds\` for each model and \`placementSeconds\` | the rollout is undone | nothing | the reasons and the decision in the agent's tests; undoing as above |
| Triton in a pod ends, such as by a fault in a model | the pod's restarts; it is not ready while it loads | the node starts it again | those in flight on it fail, unless who sends them repeats them | in the test: killed, behind a Gateway's stand-in that retries |
| A model in one pod can't be loaded any more, at a restart | \`CrashLoopBackOff\`; the pod is not ready | the others serve; the version stays, because it has served. Delete the pod | as above | in the test: a file in one pod changed, then the same |
| A node is drained, or a pod evicted | the pod ends; a second one is refused (429) until there is one in its place | it serves on for \`drainSeconds\` and finishes what it has begun; another one starts | nothing. With one replica, nobody serves until that one does | in the test, under load |
| A spot instance is to be taken in two minutes | what takes care of that in the cluster (on EKS, Karpenter or the node termination handler) drains the node | as above, within \`drainSeconds\`, \`server.exitTimeoutSeconds\` and 10 s: at most 120 s in all | nothing, if another pod serves. Of two that are taken at once, the second pod is not let go until the first has a successor, and ends with its instance | in the test, from the drain on; the notice itself is not |
| A node is lost | it is \`NotReady\` after about 50 s, and its pods are not ready | they are replaced 5 minutes later, by Kubernetes' default | until \`NotReady\`, whoever is sent there waits in vain, unless a Gateway gives up on a pod that doesn't answer and asks another | in the test, with 5 s in place of 5 minutes, processes that fall silent, and a Gateway's stand-in that does so. Not a Gateway, nor a network that loses packets |
| The guard's pod gets no node, because each has the taint \`nvidia.com/gpu\` | \`up\` fails after \`placementSeconds\`; the pod's events name the taint | nothing: the former guard and all pods go on. Set \`guardOnGpuNodes\` | nothing | not |
| The guard's pod is lost | no pod of \`FLEET-guard\` is ready; \`up\` waits, at last until \`timed out waiting for the condition\` | another one starts and goes on where it was | nothing | its steps in the agent's tests |
| A model hangs, and its pod answers its checks | its queue grows (\`nv_inference_pending_request_count\`) | nothing | its requests wait | not |
| A pod has to go for one of a higher \`podPriority\` | \`Preempted\` | as when a node is drained, but nobody waits for another pod to serve | as when a node is drained | not |

<!-- prettier-ignore-end -->
`;

/** The text of docs/reference/fleet.md. */
export function fleetDocumentation(): string {
  return [FLEET_INTRODUCTION, table(fieldRows(fleetFields)), FLEET_TROUBLE].join("\n");
}

const EKS_INTRODUCTION = `# Arguments of EksCluster and EksGpuNodes

Generated from the rules in \`components/settings\` by \`npm run generate\`; do not edit.

[How to use them, and what they cost](../how-to/eks.md). Of \`EksGpuNodes\`, all values must be known when the component is constructed.
`;

/** The text of docs/reference/eks.md. */
export function eksDocumentation(): string {
  return [
    EKS_INTRODUCTION,
    "## EksCluster\n",
    table(rowsOf(eksClusterInputs)),
    "## EksGpuNodes\n",
    table(rowsOf(eksGpuNodesInputs)),
  ].join("\n");
}

function rowsOf({ inside }: Rule<unknown, unknown>): readonly Row[] {
  return inside?.kind === "fields" ? fieldRows(inside.fields) : [];
}

function section(key: string, field: Field<unknown, unknown, unknown>): string {
  return [
    `## ${key}`,
    "",
    `${field.description} Default: ${usual(field.absent)}.`,
    "",
    table(insideRows(field.rule.inside, key)),
  ].join("\n");
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => `| \`${row.key}\` | ${row.type} | ${row.usual} | ${row.description} |`);
  return [
    // With aligned columns, a longer text would change every line.
    "<!-- prettier-ignore-start -->",
    "",
    "| key | takes | default | what it is |",
    "| --- | --- | --- | --- |",
    ...lines,
    "",
    "<!-- prettier-ignore-end -->",
    "",
  ].join("\n");
}

function insideRows(inside: Inside | undefined, path: string): readonly Row[] {
  switch (inside?.kind) {
    case undefined:
    case "names":
    case "map":
    case "union":
    case "secret":
      return [];
    case "items":
      return insideRows(inside.item.inside, `${path}[]`);
    case "fields":
      return fieldRows(inside.fields, path);
    case "variants": {
      const kinds = Object.entries(inside.variants);
      const kindRow: Row = {
        key: `${path}.kind`,
        type: `one of ${kinds.map(([kind]) => kind).join(", ")}`,
        usual: inside.usual === undefined ? "required" : `\`${inside.usual}\``,
        description: `${kinds.map(([kind, { description }]) => `\`${kind}\`: ${description}`).join("; ")}.`,
      };
      return [
        kindRow,
        ...kinds.flatMap(([kind, { fields }]) =>
          fieldRows(fields, path).map((row) => ({
            ...row,
            description: `Kind \`${kind}\`: ${row.description}`,
          })),
        ),
      ];
    }
  }
}

function fieldRows(fields: Fields, path?: string): readonly Row[] {
  const at = (key: string): string => (path === undefined ? key : `${path}.${key}`);
  return Object.entries(fields).flatMap(([key, { rule, absent, description, notes }]) => [
    {
      key: at(key),
      type: cell(notes.unit === undefined ? rule.allowed : `${rule.allowed} (${notes.unit})`),
      usual: usual(absent),
      description: cell([description, ...meanings(rule.inside), ...costs(notes.cost)].join(" ")),
    },
    ...insideRows(rule.inside, at(key)),
  ]);
}

/** The meaning of each name that a key accepts. */
function meanings(inside: Inside | undefined): readonly string[] {
  if (inside?.kind !== "names") return [];
  return [
    `${Object.entries(inside.names)
      .map(([name, meaning]) => `\`${name}\`: ${meaning}`)
      .join("; ")}.`,
  ];
}

function costs(cost: string | undefined): readonly string[] {
  return cost === undefined ? [] : [`Cost: ${cost}.`];
}

function usual(absent: Absent): string {
  switch (absent.kind) {
    case "required":
      return "required";
    case "optional":
      return cell(absent.meaning);
    case "default": {
      const value = absent.value("<stack>");
      return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
    }
    default:
      return absent satisfies never;
  }
}

/** Text that stays in its cell of the table. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}
