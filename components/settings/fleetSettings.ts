import { type Fault, show } from "./fault";
import { fleetMonitoringRule, refuseWrongMonitoring } from "./fleetMonitoring";
import { refuseWrongScaling, scalingRule } from "./fleetScaling";
import { stackGatewayRule } from "./gatewaySettings";
import { kubernetesLabels } from "./kubernetesLabels";
import { modelsRule } from "./modelSettings";
import { type Place } from "./place";
import {
  boolean,
  defaulted,
  integer,
  isDeferred,
  isPlainObject,
  itemsOf,
  keyOf,
  list,
  object,
  optional,
  plain,
  refuseRepeats,
  type ReadBy,
  required,
  type Rule,
  text,
} from "./rules";
import { imageByDigest, registryLogin, repository } from "./runtimeSettings";
import { s3Location } from "./s3Location";
import { schedulerRule, serverRule } from "./serverSettings";

/** RFC 1123's label, which names a namespace or a service. */
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** As Kubernetes names most things. */
function label(what: string, longest: number, example: string): Rule<string> {
  return text({
    allowed: `${what}: 1 to ${longest} of a to z, 0 to 9 and dashes in between`,
    example,
    refuse: (value) =>
      LABEL.test(value) && value.length <= longest ? undefined : `choose a name such as ${example}`,
  });
}

export const namespace = label("the name of a namespace", 63, "inference");

/** Those of the cluster itself, which a fleet would take over, and delete with everything in it. */
const ownNamespace = text({
  allowed: `${namespace.allowed}; not default or one that begins with kube-, which are not the fleet's alone`,
  example: "inference",
  refuse: (value) =>
    LABEL.test(value) && value.length <= 63 && !/^(default$|kube-)/.test(value)
      ? undefined
      : "choose a name such as inference",
});

/** What is wrong with the name of a fleet, which the names of its parts begin with. */
export function fleetNameFault(name: string): Fault | undefined {
  if (LABEL.test(name) && name.length <= 40) return undefined;
  return {
    path: "(its name)",
    value: show(name, false),
    allowed: "1 to 40 of a to z, 0 to 9 and dashes in between, as Kubernetes names its objects",
    fix: "choose a name such as inference",
  };
}

export const objectName = text({
  allowed: "the name of an object of Kubernetes: up to 253 of a to z, 0 to 9, dashes and dots in between",
  example: "public",
  refuse: (value) =>
    value.length <= 253 && value.split(".").every((part) => LABEL.test(part))
      ? undefined
      : "give the name as kubectl shows it",
});

const hostname = text({
  allowed: "a host name in lower case",
  example: "triton.example.com",
  refuse: (value) =>
    value.length <= 253 && value.split(".").every((part) => LABEL.test(part) && part.length <= 63)
      ? undefined
      : "give the name alone, without a scheme and a port",
});

const nodeLabels = kubernetesLabels(
  "a node's",
  '{ "nvidia.com/gpu.product": "NVIDIA-A10G" }',
  "copy both as kubectl get nodes --show-labels prints them",
);

const namespaces = list(namespace, { allowed: "a list of namespaces, none twice", check: refuseRepeats });

const route = object({
  name: "FleetRoute",
  description: "How a Gateway of the cluster leads to a fleet, by the Gateway API.",
  allowed: "an object that names a Gateway and a host name",
  fields: {
    gateway: required(objectName, "Name of the Gateway."),
    gatewayNamespace: required(namespace, "Namespace of the Gateway, whose pods may reach Triton."),
    httpHostname: optional(hostname, "Host name for HTTP: makes an HTTPRoute.", "no HTTPRoute"),
    grpcHostname: optional(
      hostname,
      "Host name for gRPC: makes a GRPCRoute. Not that of HTTP, because a listener takes only one kind of route for a name.",
      "no GRPCRoute",
      { example: "grpc.triton.example.com" },
    ),
  },
  check({ httpHostname, grpcHostname }, at) {
    if (httpHostname === undefined && grpcHostname === undefined) {
      at.at("httpHostname").fault(
        undefined,
        "httpHostname, grpcHostname, or both",
        "add httpHostname: triton.example.com",
      );
    } else if (httpHostname === grpcHostname) {
      at.at("grpcHostname").fault(
        grpcHostname,
        "another name than httpHostname",
        "give gRPC a host name of its own",
      );
    }
  },
});

/** What a fleet has beside what a host has. */
export const fleetFields = {
  image: required(
    imageByDigest,
    "Image to run Triton from, as `repository@sha256:…`: `reference` of a `TritonImage`. It has this project's entrypoint and health check. Can be an output.",
  ),
  namespace: plain(
    defaulted(
      ownNamespace,
      "xsched-triton",
      "Namespace that is made for the fleet, and is the fleet's alone: it is deleted with the fleet and everything in it, even if it was there before.",
    ),
  ),
  replicas: plain(
    defaulted(integer(1, 5000, 2), 2, "How many pods serve, each with all models and a whole GPU.", {
      cost: "a GPU each; a rollout needs one more meanwhile",
    }),
  ),
  scaling: plain(
    optional(
      scalingRule,
      "As many pods as the queues of models with a priority above 0 need, in place of `replicas`. Batch work never asks for one. Needs KEDA in the cluster.",
      "`replicas` pods",
    ),
  ),
  cpus: plain(defaulted(integer(1, 1024, 4), 2, "Processors that a pod asks for. It may use more.")),
  memoryGiB: plain(
    defaulted(
      integer(1, 65536, 16),
      8,
      "Memory of a pod, with what it writes to `/dev/shm`, which takes up to half of it.",
      {
        unit: "GiB",
      },
    ),
  ),
  drainSeconds: plain(
    defaulted(
      integer(0, 3600, 10),
      10,
      "How long a pod keeps serving when it has to go, until everyone sends their requests elsewhere.",
      { unit: "seconds", cost: "adds to the time of a rollout, for each pod" },
    ),
  ),
  placementSeconds: plain(
    defaulted(
      integer(10, 86_400, 1800),
      900,
      "How long a new pod may take beyond loading its models: a node with a GPU has to be found or started, and the image pulled, which is 14 GB with NVIDIA's base. What takes longer has failed.",
      { unit: "seconds" },
    ),
  ),
  engineBuildSeconds: plain(
    defaulted(
      integer(10, 86_400, 7200),
      3600,
      "How long building the engines of a model may take, beyond `placementSeconds` for a node and the builder's image. What takes longer has failed.",
      { unit: "seconds" },
    ),
  ),
  podPriority: plain(
    defaulted(
      integer(-1_000_000_000, 1_000_000_000, 1000),
      1000,
      "Priority of the pods against other pods of the cluster, in a PriorityClass. It has nothing to do with the models' priorities.",
      { cost: "where no GPU is free, pods of a lower priority have to go" },
    ),
  ),
  nodeSelector: plain(
    defaulted(
      nodeLabels,
      {},
      "Labels of the nodes that the pods run on, such as the type of their GPU: `nvidia.com/gpu.product`, where NVIDIA's GPU feature discovery runs, or `eks.amazonaws.com/instance-gpu-name` in EKS Auto Mode, which starts no node for a label that it doesn't know.",
    ),
  ),
  guardOnGpuNodes: plain(
    defaulted(
      boolean,
      false,
      "Whether the fleet's guard may run on nodes with the taint `nvidia.com/gpu`, for a cluster that has no others.",
      { cost: "EKS Auto Mode and Karpenter never end the node that the guard is on" },
    ),
  ),
  modelImageRepository: plain(
    optional(
      repository,
      "Where models of more than 1 MiB and models with an `engine` go, each as an image with its files, with the Docker of this machine, and the engines that are built of them. A node pulls an image once and gives it to its pods as a volume, which takes Kubernetes 1.35. The images stay there when the fleet is deleted. Whoever may push there decides what the pods run.",
      "such models are refused",
      {
        cost: "a model's size in the registry for each version, and on each node that serves it",
        example: "registry.example.com/models",
      },
    ),
  ),
  registry: optional(
    registryLogin,
    "How to log in to the registry of `modelImageRepository`, to push. Required for a model with an `engine`, which a pod pushes. Nodes log in by `pullSecrets`, or by what they are. Can be an output.",
    "Docker's own log-in",
  ),
  pullSecrets: plain(
    defaulted(
      list(objectName, { allowed: "a list of secrets' names, none twice", check: refuseRepeats }),
      [],
      "Secrets of the namespace with logins to the registries of the images.",
    ),
  ),
  clientNamespaces: plain(
    defaulted(
      namespaces,
      [],
      "Namespaces whose pods may send requests to Triton. It has no tokens and no TLS.",
    ),
  ),
  metricsNamespaces: plain(
    defaulted(namespaces, [], "Namespaces whose pods may read Triton's metrics.", {
      example: "[monitoring]",
    }),
  ),
  monitoring: plain(
    defaulted(
      fleetMonitoringRule,
      {},
      "Who watches the fleet. A change of `kind` rolls. Kind `operator` needs the Prometheus operator and kube-state-metrics in the cluster, and `metricsNamespaces`.",
    ),
  ),
  route: plain(
    optional(
      route,
      "A Gateway of the cluster that clients come through. Its routes let inference, health and metadata through, and nothing that changes what Triton does.",
      "clients are in the cluster",
    ),
  ),
};

/** Arguments of a `TritonFleet`: those of a host that mean something there, and its own. */
export const fleetInputs = object({
  name: "TritonFleet",
  description: "Models on Kubernetes, a whole GPU for each pod.",
  allowed: "an object with the arguments of a fleet",
  fields: {
    models: plain(required(modelsRule, "The models to serve, as of a `TritonStack`.")),
    server: plain(
      defaulted(
        serverRule,
        {},
        "Settings of tritonserver, as of a `TritonStack`. A change rolls. `address` and `logMegabytes` mean nothing here: a pod has its own address, and the node keeps its log.",
      ),
    ),
    scheduler: plain(
      defaulted(
        schedulerRule,
        {},
        "Settings of the GPU scheduler, as of a `TritonStack`. A change rolls. With `required: false`, priorities, floors and weights roll as well, because there may be no scheduler to tell.",
      ),
    ),
    gateway: plain(
      optional(
        stackGatewayRule,
        "Not on a fleet yet; `route` leads clients to it.",
        "clients reach Triton itself",
      ),
    ),
    ...fleetFields,
  },
  check({ models: read }, at, raw) {
    refuseOutputs(raw, at);
    refuseWrongScaling(read, raw, at);
    refuseWrongMonitoring(raw, at);
    refuseGateway(raw, at);
    refuseDomain(raw, at);
    const models = itemsOf(keyOf(raw, "models"));
    if (Array.isArray(keyOf(raw, "models")) && models.length === 0) {
      at.at("models").fault([], "at least one model", "add a model, or remove the fleet");
    }
    models.forEach((model, index) => {
      refuseUnservable(model, at.at("models").at(index));
      refuseEngine(keyOf(model, "engine"), raw, at.at("models").at(index).at("engine"));
    });
  },
});

/** What can be known later. */
const OUTPUTS: ReadonlySet<string> = new Set(["image", "registry"]);

/** What is made depends on all other values, so that a preview can show it. */
function refuseOutputs(raw: unknown, at: Place): void {
  const look = (value: unknown, place: Place): void => {
    if (isDeferred(value)) {
      place.faultShown(
        "(an output)",
        "a value that is known when the fleet is constructed; only image and registry can be outputs",
        "give the value itself",
      );
    } else if (Array.isArray(value)) {
      Array.from(value as readonly unknown[]).forEach((each, index) => {
        look(each, place.at(index));
      });
    } else if (isPlainObject(value)) {
      for (const [key, each] of Object.entries(value)) look(each, place.at(key));
    }
  };
  if (!isPlainObject(raw)) return;
  for (const [key, value] of Object.entries(raw)) if (!OUTPUTS.has(key)) look(value, at.at(key));
}

function refuseGateway(raw: unknown, at: Place): void {
  const gateway = keyOf(raw, "gateway");
  if (gateway === undefined || keyOf(gateway, "enabled") === false) return;
  at.at("gateway").faultShown(
    "(given)",
    "none: a pod has no gateway yet, so nothing there could ask for tokens or TLS",
    "remove gateway, and set route to a Gateway of the cluster that has TLS",
  );
}

function refuseDomain(raw: unknown, at: Place): void {
  const domain = keyOf(keyOf(raw, "scheduler"), "domain");
  if (domain === undefined || domain === "none") return;
  at.at("scheduler")
    .at("domain")
    .fault(
      domain,
      "none, or nothing: a pod has its GPU alone, so there is nobody to share an order with",
      "remove domain",
    );
}

/** What a pod can't serve yet. */
function refuseUnservable(model: unknown, at: Place): void {
  const source = keyOf(model, "source");
  if (typeof source === "string" && s3Location(source) !== undefined) {
    at.at("source").fault(
      source,
      "a folder on this machine: a fleet fetches nothing from S3",
      "fetch it into a folder, and set modelImageRepository if it is larger than 1 MiB",
    );
  }
  if (keyOf(model, "upload") === "s3") {
    at.at("upload").fault("s3", "auto or ssh: a fleet has no bucket", "remove upload");
  }
  const needed = itemsOf(keyOf(model, "dependsOn"));
  if (needed.length > 0) {
    at.at("dependsOn").fault(
      needed,
      "none: a pod's Triton loads all models at once; it knows what the steps of an ensemble need",
      "remove dependsOn, and let the model look for the others when it is asked, not when it is loaded",
    );
  }
}

/** A pod builds an engine, so a login of Docker on this machine doesn't do to push it. */
function refuseEngine(engine: unknown, raw: unknown, at: Place): void {
  if (engine === undefined) return;
  const missing = ["modelImageRepository", "registry"].filter((key) => keyOf(raw, key) === undefined);
  if (missing.length > 0) {
    at.faultShown(
      "(given)",
      "an engine beside modelImageRepository and registry: a pod builds it, and pushes it there for the others",
      `set ${missing.join(" and ")}, with a login that may push, or remove engine`,
    );
  }
  const shared = keyOf(engine, "shared");
  if (shared !== undefined) {
    at.at("shared").fault(shared, "none: fleets share engines through modelImageRepository", "remove shared");
  }
}

/** What a fleet is made of, after all checks. Its image can still be an output. */
export type FleetSettings = ReadBy<typeof fleetInputs>;
