import { ENGINE, enginesName } from "../../components/fleet/engines";
import { failureIn, guardName } from "../../components/fleet/guard";
import { type FollowedModel, FOLLOWED, followedText } from "../../components/fleet/live";
import { HIGHEST_SUM_OF_FLOORS } from "../../components/floor";
import { renderModelConfig } from "../../components/models/config";
import { type DeployedFleet } from "../triton/deployedFleet";
import { failureOf, type PodStatus, stateOf } from "../triton/podState";
import { UserError } from "../triton/userError";

/** What of a model a fleet changes while its pods serve. */
export type LiveKey = Exclude<keyof FollowedModel, "name">;

interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly projected?: {
    readonly sources: readonly {
      readonly configMap: {
        readonly name: string;
        readonly items: readonly { readonly key: string; readonly path: string }[];
      };
    }[];
  };
}

interface Deployment {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly replicas: number;
    readonly template: {
      readonly spec: {
        readonly volumes: readonly Volume[];
        readonly containers: readonly {
          readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
        }[];
      };
    };
  };
}

interface Pod extends PodStatus {
  readonly metadata: PodStatus["metadata"] & { readonly name: string };
  readonly spec: { readonly nodeName?: string };
}

interface Live {
  readonly deployment: Deployment;
  /** The ConfigMap's name and content. */
  readonly configMap: string;
  readonly data: Readonly<Record<string, string>>;
  readonly models: readonly FollowedModel[];
  /** Whether an agent in each pod follows it. */
  readonly followed: boolean;
}

/** What is live in a fleet. */
function readLive({ namespace, name, get, stack }: DeployedFleet): Live {
  const deployment = get(`/apis/apps/v1/namespaces/${namespace}/deployments/${name}`) as Deployment;
  const { volumes } = deployment.spec.template.spec;
  // Each model's volume has its files, and its configuration out of the ConfigMap of all.
  const configMap = volumes.flatMap(({ projected }) => projected?.sources ?? []).at(-1)?.configMap.name;
  if (configMap === undefined) throw new Error(`the fleet of the stack "${stack}" has no models`);
  const { data } = get(`/api/v1/namespaces/${namespace}/configmaps/${configMap}`) as Live;
  const { models } = JSON.parse(data[FOLLOWED] ?? '{"models":[]}') as Pick<Live, "models">;
  const followed = volumes.some((volume) => volume.name === "live");
  return { deployment, configMap, data, models, followed };
}

/**
 * Changes what a model has in all pods of a fleet, those to come included.
 *
 * @returns what happened, and how long it will last, for a person
 * @throws UserError if the fleet has no such model or takes no change, or its floors would be too high together
 */
export function changeFleet(fleet: DeployedFleet, model: string, key: LiveKey, value: number): string {
  const { stack, folder } = fleet;
  const live = readLive(fleet);
  if (!live.followed) {
    throw new UserError(
      `the fleet of the stack "${stack}" takes no change while its pods serve, because its pods need not have a scheduler`,
      "set the value in its config and run pulumi up, which rolls it out; or remove scheduler.required: false",
    );
  }
  const found = live.models.find(({ name }) => name === model);
  if (found === undefined) {
    throw new UserError(
      `the fleet of the stack "${stack}" has no model "${model}" that is scheduled`,
      `use one of its models: ${live.models.map(({ name }) => name).join(", ")}`,
    );
  }
  const changed = { ...found, [key]: value };
  const models = live.models.map((each) => (each === found ? changed : each));
  const floors = models.reduce((sum, { floor }) => sum + floor, 0);
  if (key === "floor" && floors > HIGHEST_SUM_OF_FLOORS) {
    throw new UserError(
      `the floors of the fleet's models would come to ${floors} %, more than ${HIGHEST_SUM_OF_FLOORS} %`,
      `give ${model} at most ${value - (floors - HIGHEST_SUM_OF_FLOORS)} %, or another model less`,
    );
  }
  const place = configKey(live.deployment, live.configMap, model);
  const config = live.data[place] ?? "";
  fleet.change(live.configMap, {
    [FOLLOWED]: followedText(models),
    // For a pod that starts later.
    [place]: renderModelConfig(config, { source: model, ...changed }),
  });
  return [
    `${model} now has ${key} ${value} in the fleet: its pods take it within two minutes, without delaying a request, and new pods start with it.`,
    `The next pulumi up puts back what the config of the stack "${stack}" has. To keep it, set it there, in ${folder}:`,
    `    ${key}: ${value}`,
  ].join("\n");
}

/** The key of a model's configuration. */
function configKey(deployment: Deployment, configMap: string, model: string): string {
  const { volumes, containers } = deployment.spec.template.spec;
  const mount = containers[0]?.volumeMounts.find(({ mountPath }) => mountPath === `/models/${model}`);
  const sources = volumes.find(({ name }) => name === mount?.name)?.projected?.sources ?? [];
  const key = sources.find((source) => source.configMap.name === configMap)?.configMap.items[0]?.key;
  if (key === undefined) throw new Error(`the fleet's pods have no configuration of the model ${model}`);
  return key;
}

/** What a fleet serves, and whether its pods do. */
export interface FleetStatus {
  readonly models: readonly FollowedModel[];
  readonly pods: readonly {
    readonly name: string;
    readonly node: string;
    readonly state: string;
    /** What its scheduler has. */
    readonly scheduled: string;
  }[];
  /** Why the version that was asked for last doesn't serve. */
  readonly undone: string | undefined;
  /** What keeps a pod of its guard from watching, by which an `up` fails before it reaches the pods that serve. */
  readonly unguarded: string | undefined;
  /** What pods that build engines do, and why those failed that the next `up` tries again. */
  readonly builds: readonly string[];
  readonly healthy: boolean;
}

export function describeFleet(fleet: DeployedFleet): FleetStatus {
  const { namespace, name } = fleet;
  const { deployment, models, followed } = readLive(fleet);
  const place = `/api/v1/namespaces/${namespace}/pods`;
  const podsOf = (instance: string): readonly Pod[] => {
    const selector = encodeURIComponent(`app.kubernetes.io/instance=${instance}`);
    return (fleet.get(`${place}?labelSelector=${selector}`) as { items: readonly Pod[] }).items;
  };
  const items = podsOf(name);
  const unguarded = podsOf(guardName(name)).find((pod) => !["ready", "ending"].includes(stateOf(pod)));
  const serving = items.filter((pod) => stateOf(pod) === "ready");
  return {
    models,
    pods: items.map((pod) => ({
      name: pod.metadata.name,
      node: pod.spec.nodeName ?? "–",
      state: stateOf(pod),
      scheduled: followed && serving.includes(pod) ? scheduledIn(logOf(fleet, pod, "agent"), models) : "–",
    })),
    undone: failureIn(deployment.metadata?.annotations)?.reason,
    unguarded: unguarded && `pod ${unguarded.metadata.name}: ${stateOf(unguarded)}`,
    builds: podsOf(enginesName(name)).flatMap((pod) => buildIn(fleet, pod)),
    healthy: serving.length >= deployment.spec.replicas,
  };
}

/** What a container of a pod has said last; nothing if nobody tells. */
function logOf({ namespace, text }: DeployedFleet, { metadata }: Pod, container: string): string {
  try {
    return text(
      `/api/v1/namespaces/${namespace}/pods/${metadata.name}/log?container=${container}&tailLines=500`,
    );
  } catch {
    return "";
  }
}

/** How far a pod is that builds an engine; nothing of one that has built it. */
function buildIn(fleet: DeployedFleet, pod: Pod): string[] {
  const { phase } = pod.status;
  const state = stateOf(pod);
  if (phase === "Succeeded" || state === "ending") return [];
  const called = `pod ${pod.metadata.name}`;
  if (phase === "Failed") return [`${called}: it has failed: ${failureOf(pod).replace(/^error: /, "")}`];
  const said = phase === "Running" ? logOf(fleet, pod, ENGINE).trimEnd().split("\n").at(-1) : "";
  return [`${called}: ${said === undefined || said === "" ? state : said}`];
}

/** What a pod's scheduler has, by the last words of its agent (components/host/agent/agent/follow.py) about each model. */
export function scheduledIn(log: string, models: readonly FollowedModel[]): string {
  const lines = log.trimEnd().split("\n").reverse();
  if (log.trim() === "") return "unknown";
  const said = models.map((model) => {
    const { name, priority, floor, weight } = model;
    const last = lines.find(
      (line) => line.startsWith(`${name} has priority `) || line.includes(` of the model ${name}: `),
    );
    return {
      name,
      last,
      done: last === `${name} has priority ${priority}, floor ${floor} %, weight ${weight}`,
    };
  });
  const refused = said.flatMap(({ last }) =>
    last?.startsWith("error: ") ? [last.slice("error: ".length)] : [],
  );
  if (refused.length > 0) return refused.join("; ");
  const late = said.filter(({ done }) => !done).map(({ name }) => name);
  return late.length === 0 ? "as above" : `not yet: ${late.join(", ")}`;
}
