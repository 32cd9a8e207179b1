import { logLevel } from "./allowedValues";
import { extraFlag } from "./extraFlags";
import { locationFields } from "./hostSettings";
import { listenAddress, loopbackAddress } from "./listenAddress";
import { servedModels } from "./modelSettings";
import { Place } from "./place";
import {
  boolean,
  defaulted,
  integer,
  keyOf,
  list,
  object,
  optional,
  plain,
  type ReadBy,
  required,
  Rule,
  text,
} from "./rules";
import { containerOptions, imageByDigest, registryLogin } from "./runtimeSettings";

export const port = (usual: number): Rule<number> => integer(1, 65535, usual);

const PORTS = ["httpPort", "grpcPort", "metricsPort"] as const;

export const portFields = {
  httpPort: defaulted(port(8000), 8000, "TCP port for inference over HTTP."),
  grpcPort: defaulted(port(8001), 8001, "TCP port for inference over gRPC."),
  metricsPort: defaulted(port(8002), 8002, "TCP port for metrics in Prometheus format."),
};

const serverFields = {
  ...portFields,
  address: defaulted(
    listenAddress,
    "127.0.0.1",
    "Address of the host on which the ports are opened. On an address that others can reach, it is the gateway that opens them, and `gateway.tls` must be decided; Triton's own ports stay on 127.0.0.1.",
    { example: "0.0.0.0" },
  ),
  logLevel: defaulted(logLevel, "info", "How much Triton logs.", { cost: "`verbose` costs throughput" }),
  exitTimeoutSeconds: defaulted(
    integer(0, 3600, 30),
    30,
    "How long requests in flight may take to finish when Triton stops.",
    { unit: "seconds" },
  ),
  logMegabytes: defaulted(integer(1, 10000, 20), 20, "Size of the log; older lines are dropped.", {
    unit: "MiB",
  }),
  loadTimeoutSeconds: defaulted(integer(1, 86400, 300), 300, "How long a model may take to become ready.", {
    unit: "seconds",
  }),
  extraFlags: defaulted(
    list(extraFlag, { allowed: "a list of tritonserver flags" }),
    [],
    "Further flags of tritonserver, each `--name` or `--name=value`.",
  ),
};

/** Refuses a port that is given twice. */
export function refusePortClash(server: Readonly<Record<(typeof PORTS)[number], unknown>>, at: Place): void {
  PORTS.forEach((name, index) => {
    const number = server[name];
    const other = PORTS.slice(0, index).find((earlier) => server[earlier] === number);
    if (typeof number === "number" && other !== undefined) {
      const free = [8000, 8001, 8002].find((each) => !PORTS.some((taken) => server[taken] === each));
      at.at(name).fault(
        number,
        `a port that ${at.at(other).path} does not use`,
        `choose another, for example ${free ?? 8003}`,
      );
    }
  });
}

export const serverRule = object({
  name: "Server",
  description: "Settings of tritonserver.",
  allowed: "an object with settings of tritonserver",
  fields: serverFields,
  check: refusePortClash,
});

const schedulerRequired = optional(
  boolean,
  "Whether Triton must refuse to become ready when its models would run unscheduled. Needs an image that includes the XSched core; a process runs on the CPU and has nothing to schedule.",
  "true on a GPU host, false for the runtime `process`",
);

const DOMAIN = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

const schedulerDomain = optional(
  text({
    allowed: "up to 40 of a to z, 0 to 9 and dashes in between, or none",
    example: "shared",
    refuse: (value) => (DOMAIN.test(value) ? undefined : "choose a name such as shared"),
  }),
  "Scheduling domain: the containers of a host with the same one, and all processes in them, share one order of priorities on each GPU. They must run as the same user and trust each other. With `none`, each process schedules by itself.",
  "a domain of this deployment's own",
);

export const schedulerRule = object({
  name: "Scheduler",
  description: "Settings of the GPU scheduler.",
  allowed: "an object with settings of the scheduler",
  fields: { required: schedulerRequired, domain: schedulerDomain },
});

const optionFields = {
  ...serverFields,
  address: defaulted(
    loopbackAddress,
    "127.0.0.1",
    "Loopback address on which Triton opens its ports. A `Gateway` opens others.",
  ),
  gateway: defaulted(
    boolean,
    false,
    "Whether clients reach the server through a `Gateway` on the same host. Without one, the server takes over the ports of a former gateway.",
  ),
  ...containerOptions,
  schedulerRequired,
  schedulerDomain,
};

/** How Triton runs, apart from its image. */
export const serverOptions = object({
  allowed: "an object with options of tritonserver",
  fields: optionFields,
  check: refusePortClash,
});

const imageFields = {
  image: optional(
    imageByDigest,
    "Image to run Triton from, as `repository@sha256:…`: `reference` of a `TritonImage`. Without it Triton runs as a process of the host's user, on the CPU, from a package that is installed in the host's folder.",
    "a process without Docker",
  ),
  registry: optional(
    registryLogin,
    "How the host logs in to the image's registry.",
    "Docker's own log-in on the host",
  ),
  registryByRole: optional(
    boolean,
    "Whether the host logs in to the image's registry, which must be Amazon ECR, with the role of its instance. Not with `registry`.",
    "false",
  ),
};

export const tritonServerInputs = object({
  name: "TritonServer",
  description: "How Triton runs, and what it serves.",
  allowed: "an object with the arguments of a server",
  fields: {
    ...locationFields,
    models: plain(required(servedModels, "The models to serve: `models` of a `ModelRepository`.")),
    ...optionFields,
    ...imageFields,
  },
  check(server, at, raw) {
    refusePortClash(server, at);
    for (const key of Object.keys({ ...imageFields, ...containerOptions })) {
      const value = keyOf(raw, key);
      const isUsual = value === undefined || value === 0 || (Array.isArray(value) && value.length === 0);
      if (!isUsual && keyOf(raw, "image") === undefined) {
        at.at(key).faultShown(
          "(given without an image)",
          "a container's option only with image",
          "add image, or remove it",
        );
      }
    }
    if (keyOf(raw, "registryByRole") === true && keyOf(raw, "registry") !== undefined) {
      at.at("registryByRole").fault(true, "registry or registryByRole, not both", "remove one of the two");
    }
  },
});

export type ServerOptions = ReadBy<typeof serverOptions>;
