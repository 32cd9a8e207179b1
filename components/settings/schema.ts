import { LOG_LEVELS, SCHEDULING_POLICIES } from "./allowedValues";
import { extraFlag, limitsRate } from "./extraFlags";
import { refuseUnsuitedGpu } from "./awsHostSettings";
import { hostRule } from "./hostSettings";
import { modelsRule } from "./modelSettings";
import { monitoringRule } from "./monitoringSettings";
import { INVALID, Place, Read } from "./place";
import { repository, runtimeRule, tritonRelease } from "./runtimeSettings";
import {
  boolean,
  choice,
  defaulted,
  integer,
  isPlainObject,
  itemsOf,
  keyOf,
  list,
  mapped,
  object,
  optional,
  Rule,
  text,
  Values,
} from "./rules";
import { s3Location } from "./s3Location";
import { RuntimeSettings, SchedulerRequirement, ServerSettings, Settings } from "./types";

/** The namespace of all keys, whatever the name of the project. */
export const NAMESPACE = "xsched-triton";

const port = (usual: number): Rule<number> => integer(1, 65535, usual);

const listenAddress = text({
  allowed: "an IP address of the host, or a name for one",
  example: "127.0.0.1",
  refuse: (given) =>
    /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$/.test(given)
      ? undefined
      : "give the address alone, without scheme and port, for example 127.0.0.1",
});

const PORTS = ["httpPort", "grpcPort", "metricsPort"] as const;

export const serverFields = {
  httpPort: defaulted(port(8000), 8000, "Port for inference and control over HTTP."),
  grpcPort: defaulted(port(8001), 8001, "Port for inference over gRPC."),
  metricsPort: defaulted(port(8002), 8002, "Port for metrics in Prometheus format."),
  address: defaulted(
    listenAddress,
    "127.0.0.1",
    "Address of the host that the ports are opened on. Triton has neither passwords nor TLS on HTTP: keep it private.",
  ),
  logLevel: defaulted(choice(LOG_LEVELS), "info", "What Triton writes to its log."),
  exitTimeoutSeconds: defaulted(
    integer(0, 3600, 30),
    30,
    "Seconds that requests in flight get to finish when Triton stops.",
  ),
  logMegabytes: defaulted(
    integer(1, 10000, 20),
    20,
    "Mebibytes that the log may take; older lines are dropped.",
  ),
  loadTimeoutSeconds: defaulted(
    integer(1, 86400, 300),
    300,
    "Seconds that a model may take until it is ready.",
  ),
  extraFlags: defaulted(
    list(extraFlag, { allowed: "a list of tritonserver flags" }),
    [],
    "Further flags of tritonserver.",
  ),
};

/** Refuses a port that is given twice. */
export function refusePortClash(server: Readonly<Record<(typeof PORTS)[number], unknown>>, at: Place): void {
  PORTS.forEach((name, index) => {
    const given = server[name];
    const other = PORTS.slice(0, index).find((earlier) => server[earlier] === given);
    if (typeof given === "number" && other !== undefined) {
      const free = [8000, 8001, 8002].find((each) => !PORTS.some((taken) => server[taken] === each));
      at.at(name).fault(
        given,
        `a port that ${at.at(other).path} does not use`,
        `choose another, for example ${free ?? 8003}`,
      );
    }
  });
}

const serverRule: Rule<ServerSettings> = object(
  "an object with settings of tritonserver",
  serverFields,
  refusePortClash,
);

const schedulerFields = {
  required: optional(
    boolean,
    "Whether Triton must refuse to become ready when its models would run unscheduled.",
    "true on a GPU host, false for the process runtime",
  ),
  policy: defaulted(
    choice(SCHEDULING_POLICIES),
    "HPF",
    "How the scheduler picks: `HPF` is strict highest priority first.",
  ),
};

/** A `required` that is undefined depends on the runtime, which settingsRule knows. */
const schedulerRule = object("an object with settings of the scheduler", schedulerFields);

const settingsFields = {
  host: defaulted(hostRule, { kind: "local" }, "The machine that Triton runs on."),
  runtime: defaulted(runtimeRule, { kind: "process" }, "What Triton runs in."),
  server: defaulted(serverRule, {}, "Settings of tritonserver. A change restarts it."),
  scheduler: defaulted(schedulerRule, {}, "Settings of the GPU scheduler."),
  models: defaulted(modelsRule, [], "The models to serve. A change of one touches no other."),
  monitoring: defaulted(
    monitoringRule,
    { kind: "none" },
    "Who watches the deployment; see docs/reference/monitoring.md.",
  ),
};

type Parsed = Values<typeof settingsFields>;

/** All keys of the stack config. */
export const settingsRule: Rule<Settings> = mapped(
  object("an object with the keys of the stack config", settingsFields, checkTogether),
  (parsed): Settings =>
    Object.freeze({
      ...parsed,
      scheduler: Object.freeze({
        policy: parsed.scheduler.policy,
        required: requirement(parsed.runtime, parsed.scheduler.required),
      }),
    }),
);

/** The top-level keys. */
export const TOP_LEVEL_KEYS: typeof settingsFields = settingsFields;

function requirement(runtime: RuntimeSettings, required: boolean | undefined): SchedulerRequirement {
  switch (runtime.kind) {
    case "process":
      return "never";
    case "container":
      return required === undefined ? "onGpu" : required ? "always" : "never";
    default:
      return runtime satisfies never;
  }
}

/** Looks at the raw models, so that a fault in one of them hides no fault of another. */
function checkTogether(
  settings: { readonly [Key in keyof Parsed]: Read<Parsed[Key]> },
  at: Place,
  raw: unknown,
): void {
  const { runtime, scheduler } = settings;
  checkAgainstAws(raw, at);
  const onCpu = runtime !== INVALID && runtime.kind === "process";
  if (onCpu && scheduler !== INVALID && scheduler.required === true) {
    at.at("scheduler")
      .at("required")
      .fault(
        true,
        "false with runtime process, which runs on the CPU only and cannot be scheduled",
        "take it out, or set runtime.kind to container",
      );
  }
  const rateLimited = limitsRate(itemsOf(keyOf(keyOf(raw, "server"), "extraFlags")));
  itemsOf(keyOf(raw, "models")).forEach((model, index) => {
    if (onCpu && keyOf(model, "engine") !== undefined) {
      at.at("models")
        .at(index)
        .at("engine")
        .fault(
          keyOf(model, "engine"),
          "no engine with runtime process, which has no GPU to build it on and to run it",
          "take it out, or set runtime.kind to container",
        );
    }
    itemsOf(keyOf(model, "instanceGroups")).forEach((group, groupIndex) => {
      const place = at.at("models").at(index).at("instanceGroups").at(groupIndex);
      if (onCpu) {
        refuseGpus(group, place);
      }
      if (keyOf(group, "rateLimiter") !== undefined && !rateLimited) {
        place
          .at("rateLimiter")
          .fault(
            keyOf(group, "rateLimiter"),
            "a rate limiter only where Triton heeds it",
            'add "--rate-limit=execution_count" to server.extraFlags, or take rateLimiter out',
          );
      }
    });
  });
}

/** Looks at the raw values, as a fault in one must not hide another. */
function checkAgainstAws(raw: unknown, at: Place): void {
  const [host, runtime, server] = ["host", "runtime", "server"].map((key) => keyOf(raw, key));
  const onAws = keyOf(host, "kind") === "aws";
  const build = keyOf(runtime, "build");
  const given = keyOf(build, "repository");
  if (isPlainObject(build) && !onAws && given === undefined) {
    const place = at.at("runtime").at("build").at("repository");
    place.fault(given, repository.allowed, `add repository: ${repository.example}`);
  }
  itemsOf(keyOf(raw, "models")).forEach((model, index) => {
    const source = keyOf(model, "source");
    const inS3 = typeof source === "string" && s3Location(source) !== undefined;
    if (keyOf(model, "upload") === "s3" && (!onAws || inS3)) {
      at.at("models")
        .at(index)
        .at("upload")
        .fault(
          "s3",
          inS3
            ? "nothing, as the model lies in S3 already"
            : "auto or ssh: only a host of kind aws has a bucket",
          inS3 ? "take upload out" : "take upload out, or put the model into S3 and give s3://bucket/prefix",
        );
    }
  });
  if (keyOf(build, "keepImages") !== undefined && (!onAws || given !== undefined)) {
    at.at("runtime")
      .at("build")
      .at("keepImages")
      .fault(
        keyOf(build, "keepImages"),
        "a number only for the repository that the stack makes on AWS",
        "take keepImages out; what another repository keeps is set there",
      );
  }
  if (!onAws) {
    if (keyOf(keyOf(raw, "monitoring"), "kind") === "cloudwatch") {
      at.at("monitoring")
        .at("kind")
        .fault(
          "cloudwatch",
          "cloudwatch only with host.kind aws",
          "take monitoring out, and scrape server.metricsPort with a Prometheus of your own",
        );
    }
    return;
  }
  refuseUnsuitedGpu(keyOf(host, "instanceType"), tritonRelease(runtime), at.at("host").at("instanceType"));
  const clients = itemsOf(keyOf(host, "clientCidrs"));
  const address = keyOf(server, "address") ?? "127.0.0.1";
  if (clients.length > 0 && typeof address === "string" && isLoopback(address)) {
    at.at("server")
      .at("address")
      .fault(
        keyOf(server, "address"),
        "an address that host.clientCidrs can reach, not a loopback one",
        "set address to 0.0.0.0, or take host.clientCidrs out and use a tunnel",
      );
  }
}

/** Of a host itself, which nobody else reaches. */
function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || address.startsWith("127.");
}

function refuseGpus(group: unknown, at: Place): void {
  const allowed = "instances on the CPU with runtime process, which has no GPU";
  const fix = "set kind to cpu without gpus, or set runtime.kind to container";
  const gpus = keyOf(group, "gpus");
  if (keyOf(group, "kind") === "gpu") {
    at.at("kind").fault("gpu", allowed, fix);
  } else if (itemsOf(gpus).length > 0) {
    at.at("gpus").fault(gpus, allowed, fix);
  }
}
