import * as assert from "node:assert/strict";
import * as path from "node:path";

import { fleetManifests } from "../../../components/fleet/manifests";
import { isForImage, modelFiles } from "../../../components/fleet/modelFiles";
import { ComponentInputs, fleetInputs, type FleetSettings } from "../../../components/settings";
import { changeFleet, describeFleet, scheduledIn } from "../../../scripts/live/fleet";
import { type DeployedFleet } from "../../../scripts/triton/deployedFleet";
import { IMAGE } from "../settings/context";

const MODELS = path.resolve(__dirname, "../../../examples/models");

/** A fleet as its cluster tells of it. */
class Cluster {
  public readonly changes: Record<string, string>[] = [];
  public pods: object[] = [];
  public guard: object[] = [];
  public builds: object[] = [];
  public readonly logs: Record<string, string> = {};
  private readonly deployment: unknown;
  private readonly data: unknown;

  public constructor(args: object = {}) {
    const models = [
      { name: "chat", source: path.join(MODELS, "realtime"), priority: 200, floor: 50 },
      { name: "nightly", source: path.join(MODELS, "batch"), priority: -100, floor: 20 },
    ];
    const { known } = new ComponentInputs("TritonFleet", "edge", fleetInputs, {
      ...{ image: IMAGE, models },
      ...args,
    });
    const settings = known as unknown as FleetSettings;
    const files = settings.models.map(modelFiles).flatMap((each) => (isForImage(each) ? [] : [each]));
    const { deployment, liveData } = fleetManifests("edge", settings, files);
    this.deployment = deployment;
    this.data = liveData;
  }

  public get fleet(): DeployedFleet {
    return {
      ...{ stack: "dev", folder: "/shop", name: "edge", namespace: "xsched-triton" },
      get: (place) =>
        place.includes("/deployments/edge")
          ? this.deployment
          : place.includes("/configmaps/edge-live-")
            ? this.data
            : { items: this.podsOf(place) },
      text: (place) => {
        const found = Object.entries(this.logs).find(([pod]) => place.includes(`/pods/${pod}/log?`));
        if (found === undefined) throw new Error("nobody tells");
        return found[1];
      },
      change: (configMap, data) => {
        assert.match(configMap, /^edge-live-[0-9a-f]{10}$/);
        this.changes.push(data);
      },
      close: () => undefined,
    };
  }

  private podsOf(place: string): readonly object[] {
    const [, instance = ""] = decodeURIComponent(place).split("instance=");
    return { "edge-guard": this.guard, "edge-engines": this.builds }[instance] ?? this.pods;
  }
}

const pod = (name: string, status: object, metadata: object = {}): object => ({
  metadata: { name, ...metadata },
  spec: { nodeName: "gpu-1" },
  status: { phase: "Running", ...status },
});
const condition = (type: string, holds: boolean): object => ({ type, status: holds ? "True" : "False" });
const READY = { conditions: [condition("PodScheduled", true), condition("Ready", true)] };
const NOT_READY = { conditions: [condition("PodScheduled", true), condition("Ready", false)] };

describe("a fleet that runs", () => {
  it("is given a model's priority, for its schedulers and for pods that start later", () => {
    const cluster = new Cluster();
    const said = changeFleet(cluster.fleet, "nightly", "priority", 7);
    const [change = {}] = cluster.changes;
    assert.deepEqual(Object.keys(change), ["models.json", "1-nightly.pbtxt"]);
    assert.deepEqual(JSON.parse(change["models.json"] ?? ""), {
      models: [
        { name: "chat", priority: 200, floor: 50, weight: 0 },
        { name: "nightly", priority: 7, floor: 20, weight: 0 },
      ],
    });
    assert.match(
      change["1-nightly.pbtxt"] ?? "",
      /PRIORITY_MAX[^]*xsched_priority[^]*"7"[^]*xsched_floor[^]*"20"/,
    );
    assert.match(said, /^nightly now has priority 7 in the fleet: its pods take it within two minutes/);
    assert.match(
      said,
      /puts back what the config of the stack "dev" has\. To keep it, set it there, in \/shop:\n {4}priority: 7$/,
    );
  });

  it("refuses a model that it does not schedule, and floors that are too high together", () => {
    const cluster = new Cluster();
    const refusal = (...change: [string, "priority" | "floor", number]): string => {
      try {
        return changeFleet(cluster.fleet, ...change);
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.equal(
      refusal("other", "priority", 1),
      'the fleet of the stack "dev" has no model "other" that is scheduled\nfix: use one of its models: chat, nightly',
    );
    assert.equal(
      refusal("nightly", "floor", 45),
      "the floors of the fleet's models would come to 95 %, more than 90 %\nfix: give nightly at most 40 %, or another model less",
    );
    assert.deepEqual(cluster.changes, []);
    assert.match(refusal("nightly", "floor", 40), /^nightly now has floor 40/);
  });

  it("takes no change where its pods need not have a scheduler", () => {
    const cluster = new Cluster({ scheduler: { required: false } });
    const { fleet } = cluster;
    cluster.pods = [pod("edge-1", READY)];
    assert.deepEqual(
      describeFleet(fleet).pods.map(({ state, scheduled }) => [state, scheduled]),
      [["ready", "–"]],
    );
    assert.throws(() => changeFleet(fleet, "chat", "priority", 1), {
      message:
        /need not have a scheduler\nfix: set the value in its config and run pulumi up, which rolls it out/,
    });
  });

  it("is shown with its pods, why one does not serve, and what their schedulers have", () => {
    const cluster = new Cluster();
    const waiting = { reason: "ImagePullBackOff", message: "no such image" };
    cluster.pods = [
      pod("edge-1", READY),
      pod("edge-2", { ...NOT_READY, containerStatuses: [{ restartCount: 0, state: { waiting } }] }),
      pod("edge-3", { conditions: [condition("PodScheduled", false)] }),
      pod("edge-4", READY, { deletionTimestamp: "2026-11-29T00:00:00Z" }),
      pod("edge-5", READY),
    ];
    cluster.logs["edge-1"] =
      "chat has priority 200, floor 50 %, weight 0\nnightly has priority -100, floor 20 %, weight 0\n";
    const { models, pods, healthy } = describeFleet(cluster.fleet);
    assert.deepEqual(
      models.map(({ name, priority }) => [name, priority]),
      [
        ["chat", 200],
        ["nightly", -100],
      ],
    );
    assert.deepEqual(
      pods.map(({ name, state, scheduled }) => [name, state, scheduled]),
      [
        ["edge-1", "ready", "as above"],
        ["edge-2", "ImagePullBackOff: no such image", "–"],
        ["edge-3", "waits for a node", "–"],
        ["edge-4", "ending", "–"],
        ["edge-5", "ready", "unknown"],
      ],
    );
    assert.equal(healthy, true);
    assert.equal(describeFleet(cluster.fleet).unguarded, undefined);
    cluster.guard = [
      pod("edge-guard-1", READY),
      pod("edge-guard-2", { ...NOT_READY, containerStatuses: [{ restartCount: 0, state: { waiting } }] }),
    ];
    assert.equal(describeFleet(cluster.fleet).unguarded, "pod edge-guard-2: ImagePullBackOff: no such image");
    cluster.pods.shift();
    assert.equal(describeFleet(cluster.fleet).healthy, false);
  });

  it("is shown with the engines that are being built, and why one was not", () => {
    const cluster = new Cluster();
    const [PLACED, message] = [
      condition("PodScheduled", true),
      "error: TensorRT cannot build the engine of chat\n",
    ];
    const terminated = (exitCode: number, said?: string): object => ({
      ...{ phase: exitCode === 0 ? "Succeeded" : "Failed", conditions: [PLACED] },
      containerStatuses: [{ restartCount: 0, state: { terminated: { exitCode, message: said } } }],
    });
    cluster.builds = [
      pod("edge-engine-1", terminated(0)),
      pod("edge-engine-2", terminated(1, message)),
      pod("edge-engine-3", terminated(137)),
      pod("edge-engine-4", { phase: "Failed", reason: "Evicted", message: "The node was low on memory." }),
      pod("edge-engine-5", { conditions: [PLACED, condition("Ready", true)] }),
      pod("edge-engine-6", { conditions: [PLACED, condition("Ready", false)] }),
      pod("edge-engine-7", { phase: "Pending", conditions: [condition("PodScheduled", false)] }),
    ];
    cluster.logs["edge-engine-5"] = "pulled\nbuilding the engine of chat (30 s): timing kernels\n";
    assert.deepEqual(describeFleet(cluster.fleet).builds, [
      "pod edge-engine-2: it has failed: TensorRT cannot build the engine of chat",
      "pod edge-engine-3: it has failed: exit code 137",
      "pod edge-engine-4: it has failed: Evicted: The node was low on memory.",
      "pod edge-engine-5: building the engine of chat (30 s): timing kernels",
      "pod edge-engine-6: not ready",
      "pod edge-engine-7: waits for a node",
    ]);
  });

  it("has in a pod's scheduler what its agent has said last", () => {
    const models = [{ name: "chat", priority: 5, floor: 0, weight: 0 }];
    const has = (priority: number): string => `chat has priority ${priority}, floor 0 %, weight 0\n`;
    const refused = "the scheduler does not take the priority of the model chat: no queue; trying again";
    assert.equal(scheduledIn(has(5), models), "as above");
    assert.equal(scheduledIn(has(5) + has(4), models), "not yet: chat");
    assert.equal(scheduledIn(`${has(5)}error: ${refused}\n`, models), refused);
    assert.equal(scheduledIn(`error: ${refused}\n${has(5)}`, models), "as above");
    assert.equal(scheduledIn("", models), "unknown");
  });
});
