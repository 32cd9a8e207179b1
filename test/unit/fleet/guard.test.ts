import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import type * as pulumi from "@pulumi/pulumi";

import { failureOf, guarded, guardManifests } from "../../../components/fleet/guard";
import { selectorOf } from "../../../components/fleet/names";
import { ComponentInputs, fleetInputs, type FleetSettings } from "../../../components/settings";
import { IMAGE } from "../settings/context";

/** Prints the modules of the agent in the folder that the command `guard` imports. */
const IMPORTED = `
import os, sys
sys.path.insert(0, sys.argv[1])
import agent.guard
for module in sys.modules.values():
    if module.__name__.split(".")[0] == "agent":
        print(os.path.relpath(module.__file__, sys.argv[1]))
`;

interface Metadata {
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}

interface Guard {
  readonly configMap: { readonly metadata: Metadata; readonly data: Record<string, string> };
  readonly role: { readonly rules: readonly Record<string, string[]>[] };
  readonly networkPolicy: { readonly spec: { readonly podSelector: { readonly matchLabels: object } } };
  readonly deployment: {
    readonly spec: {
      readonly selector: { readonly matchLabels: Record<string, string> };
      readonly template: {
        readonly metadata: Metadata;
        readonly spec: {
          readonly serviceAccountName: string;
          readonly priorityClassName: string;
          readonly affinity: object;
          readonly nodeSelector: object;
          readonly tolerations?: object;
          readonly imagePullSecrets?: object;
          readonly containers: readonly {
            readonly image: string;
            readonly command: string[];
            readonly resources: object;
          }[];
          readonly volumes: readonly {
            readonly configMap?: { readonly name: string; readonly items: { key: string; path: string }[] };
          }[];
        };
      };
    };
  };
}

function guardOf(args: object = {}): Guard {
  const { known } = new ComponentInputs("TritonFleet", "edge", fleetInputs, {
    image: IMAGE,
    models: [{ name: "realtime", source: "examples/models/realtime" }],
    ...args,
  });
  return JSON.parse(JSON.stringify(guardManifests("edge", known as unknown as FleetSettings))) as Guard;
}

const valueOf = <T>(output: pulumi.Output<T>): Promise<T> =>
  new Promise((resolve) => {
    output.apply(resolve);
  });

async function annotationsOf(deployment: object, scaled = false): Promise<Record<string, string>> {
  const { metadata } = guarded(deployment, scaled).deployment as {
    readonly metadata: { readonly annotations: Record<string, pulumi.Output<string> | string> };
  };
  const values = Object.entries(metadata.annotations).map(async ([name, value]) => {
    return [name, typeof value === "string" ? value : await valueOf(value)] as const;
  });
  return Object.fromEntries(await Promise.all(values));
}

const failure = (undone: boolean): Record<string, string> => ({
  "xsched-triton/failure": JSON.stringify({ wanted: "abc", reason: "pod edge-1: no weights", undone }),
});

describe("the guard of a fleet", () => {
  it("may change the fleet's Deployment alone, and read no secrets", () => {
    const { rules } = guardOf().role;
    const writing = rules.filter(({ verbs }) =>
      verbs?.some((verb) => !["get", "list", "watch"].includes(verb)),
    );
    assert.deepEqual(writing, [
      { apiGroups: ["apps"], resources: ["deployments"], resourceNames: ["edge"], verbs: ["get", "patch"] },
    ]);
    assert.deepEqual(rules.flatMap(({ resources }) => resources).sort(), [
      ...["deployments", "pods", "pods/log", "replicasets"],
    ]);
  });

  it("is none of the pods that serve, and has no GPU", () => {
    const { networkPolicy, deployment } = guardOf();
    const { labels } = deployment.spec.template.metadata;
    for (const [label, value] of Object.entries(selectorOf("edge"))) assert.notEqual(labels[label], value);
    for (const selector of [networkPolicy.spec.podSelector.matchLabels, deployment.spec.selector.matchLabels])
      assert.deepEqual({ ...labels, ...selector }, labels);
    assert.doesNotMatch(JSON.stringify(deployment.spec.template.spec.containers[0]?.resources), /gpu/);
  });

  it("runs the agent of this package, with all that it imports", () => {
    const { deployment, configMap } = guardOf();
    const { containers, volumes } = deployment.spec.template.spec;
    assert.deepEqual(containers[0]?.command.slice(0, 7), [
      ...["python3", "-I", "-B", "/xsched-triton/bin/agent", "guard", "xsched-triton", "edge"],
    ]);
    const [{ configMap: mounted } = {}] = volumes;
    assert.equal(mounted?.name, configMap.metadata.name);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-guard-"));
    try {
      for (const { key, path: file } of mounted.items) {
        fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
        fs.writeFileSync(path.join(folder, file), configMap.data[key] ?? "");
      }
      const { stdout, stderr } = spawnSync("python3", ["-I", "-B", "-c", IMPORTED, folder], {
        encoding: "utf8",
      });
      const imported = ["__main__.py", ...stdout.trim().split("\n")];
      assert.deepEqual(imported.sort(), mounted.items.map((item) => item.path).sort(), stderr);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("is rather on the nodes that the pods run on", () => {
    assert.match(
      JSON.stringify(
        guardOf({ nodeSelector: { "gpu.product": "A10G" } }).deployment.spec.template.spec.affinity,
      ),
      /"nodeAffinity".*"key":"gpu.product","operator":"In","values":\["A10G"\]/,
    );
    assert.doesNotMatch(JSON.stringify(guardOf().deployment), /nodeAffinity/);
  });

  it("keeps no node from being given back that is there for GPUs, and runs where its image does", () => {
    const { spec } = guardOf({ nodeSelector: { "gpu.product": "A10G" }, pullSecrets: ["registry"] })
      .deployment.spec.template;
    assert.equal(spec.tolerations, undefined);
    assert.deepEqual(spec.nodeSelector, { "kubernetes.io/arch": "amd64" });
    assert.deepEqual(spec.imagePullSecrets, [{ name: "registry" }]);
    assert.deepEqual(guardOf({ guardOnGpuNodes: true }).deployment.spec.template.spec.tolerations, [
      { key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" },
    ]);
  });

  it("has the priority of the fleet's pods, which could take its room otherwise", () => {
    assert.equal(guardOf().deployment.spec.template.spec.priorityClassName, "xsched-triton-edge");
  });

  it("is waited for by what names all that a Deployment is to be", async () => {
    const two = await annotationsOf({
      metadata: { name: "edge", annotations: { own: "1" } },
      spec: { replicas: 2 },
    });
    const three = await annotationsOf({ metadata: { name: "edge" }, spec: { replicas: 3 } });
    const wanted = two["xsched-triton/wanted"] ?? "";
    assert.match(wanted, /^[0-9a-f]{10}$/);
    assert.equal(
      two["pulumi.com/waitFor"],
      `jsonpath={.metadata.annotations['xsched-triton/judged']}=${wanted}`,
    );
    assert.equal(two.own, "1");
    assert.notEqual(three["xsched-triton/wanted"], wanted);
    // Others say how many pods there are.
    const scaled = [2, 3].map((replicas) => annotationsOf({ metadata: {}, spec: { replicas } }, true));
    const [some, more] = await Promise.all(scaled);
    assert.deepEqual(some, more);
  });

  it("tells why what is wanted doesn't serve, and what does", () => {
    assert.equal(
      failureOf("edge", "abc", failure(true)),
      [
        "TritonFleet edge: the new version did not come to serve, and the former version serves in its place",
        "  pod edge-1: no weights",
        "  fix: mend it, then run up again, which tries it once more",
      ].join("\n"),
    );
    assert.equal(
      failureOf("edge", "abc", failure(false)),
      [
        "TritonFleet edge: the new version did not come to serve, and no version has served before, so its pods go on trying",
        "  pod edge-1: no weights",
        "  fix: mend it, then run up again",
      ].join("\n"),
    );
  });

  it("tells nothing of what is no longer wanted, or was never tried", () => {
    assert.equal(failureOf("edge", "other", failure(true)), undefined);
    assert.equal(failureOf("edge", "abc", {}), undefined);
    assert.equal(failureOf("edge", "abc", undefined), undefined);
  });
});
