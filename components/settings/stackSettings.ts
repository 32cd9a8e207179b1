import { PATCHED_RELEASE } from "../image/tritonReleases";
import { instanceTypesIn, refuseTooManyRanges, refuseUnsuitedGpu } from "./awsHostSettings";
import { checkBalancedGateway } from "./awsLoadBalancerSettings";
import { checkEgress } from "./awsNetworkSettings";
import { limitsRate } from "./extraFlags";
import { checkStackGateway, stackGatewayRule } from "./gatewaySettings";
import { hostRule } from "./hostSettings";
import { isLoopback } from "./listenAddress";
import { refuseTooManyPlaces } from "./modelPlaces";
import { modelsRule } from "./modelSettings";
import { monitoringRule } from "./monitoringSettings";
import { Place } from "./place";
import { defaulted, isPlainObject, itemsOf, keyOf, object, type KnownBy, plain, type ReadBy } from "./rules";
import { repository, runtimeRule, tritonRelease } from "./runtimeSettings";
import { s3Location } from "./s3Location";
import { schedulerRule, serverRule } from "./serverSettings";

/** The namespace of all keys, whatever the name of the project. */
export const NAMESPACE = "xsched-triton";

/** The top-level keys. */
export const TOP_LEVEL_KEYS = {
  host: plain(defaulted(hostRule, { kind: "local" }, "The machine that Triton runs on.")),
  runtime: plain(defaulted(runtimeRule, { kind: "process" }, "What Triton runs in.")),
  server: plain(defaulted(serverRule, {}, "Settings of tritonserver. A change restarts it.")),
  gateway: plain(
    defaulted(
      stackGatewayRule,
      {},
      "What clients reach Triton through where they are not on the host; see docs/how-to/gateway.md. A change does not touch Triton.",
    ),
  ),
  scheduler: plain(defaulted(schedulerRule, {}, "Settings of the GPU scheduler.")),
  models: plain(defaulted(modelsRule, [], "The models to serve. Changing one does not touch the others.")),
  monitoring: plain(
    defaulted(
      monitoringRule,
      { kind: "none" },
      "Who watches the deployment; see docs/reference/monitoring.md.",
    ),
  ),
};

/** All keys of the stack config, which are also the arguments of a `TritonStack`. */
export const stackRule = object({
  name: "TritonStack",
  description: "The keys of the stack config.",
  allowed: "an object with the keys of the stack config",
  fields: TOP_LEVEL_KEYS,
  check: checkTogether,
});

/** What a deployment is made of, after all checks. */
export type Settings = ReadBy<typeof stackRule>;

/** What is known of it when a `TritonStack` is constructed. */
export type KnownSettings = KnownBy<typeof stackRule>;

/**
 * Looks at the raw values, so that a fault in one of them hides no fault of another. What is known only later is not
 * looked at.
 */
function checkTogether(_: unknown, at: Place, raw: unknown): void {
  checkAgainstAws(raw, at);
  checkStackGateway(raw, at);
  const runtimeKind = keyOf(keyOf(raw, "runtime"), "kind");
  const onCpu = runtimeKind === undefined || runtimeKind === "process";
  if (onCpu && keyOf(keyOf(raw, "scheduler"), "required") === true) {
    at.at("scheduler")
      .at("required")
      .fault(
        true,
        "false with runtime process, which runs on the CPU only and cannot be scheduled",
        "remove it, or set runtime.kind to container",
      );
  }
  const release = tritonRelease(keyOf(raw, "runtime"));
  const rateLimited = limitsRate(itemsOf(keyOf(keyOf(raw, "server"), "extraFlags")));
  itemsOf(keyOf(raw, "models")).forEach((model, index) => {
    if (onCpu && keyOf(model, "engine") !== undefined) {
      at.at("models")
        .at(index)
        .at("engine")
        .fault(
          keyOf(model, "engine"),
          "no engine with runtime process, which has no GPU to build and run it on",
          "remove it, or set runtime.kind to container",
        );
    }
    if (!onCpu && isPlainObject(keyOf(model, "engine"))) {
      refuseOtherTensorRt(keyOf(model, "engine"), release, at.at("models").at(index).at("engine"));
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
            "a rate limiter only where Triton honours it",
            'add "--rate-limit=execution_count" to server.extraFlags, or remove rateLimiter',
          );
      }
    });
  });
}

/** Refuses the default builder for another release: an engine fits one version of TensorRT. */
function refuseOtherTensorRt(engine: unknown, release: string | undefined, at: Place): void {
  if (keyOf(engine, "builder") !== undefined || release === undefined || release === PATCHED_RELEASE) return;
  at.at("builder").fault(
    undefined,
    `an image with the TensorRT of Triton ${release}; the default has the one of ${PATCHED_RELEASE}`,
    `add builder: nvcr.io/nvidia/tensorrt:${release}-py3`,
  );
}

function checkAgainstAws(raw: unknown, at: Place): void {
  const [host, runtime, server] = ["host", "runtime", "server"].map((key) => keyOf(raw, key));
  const onAws = keyOf(host, "kind") === "aws";
  const build = keyOf(runtime, "build");
  const pushedTo = keyOf(build, "repository");
  if (isPlainObject(build) && !onAws && pushedTo === undefined) {
    const place = at.at("runtime").at("build").at("repository");
    place.fault(pushedTo, repository.allowed, `add repository: ${repository.example}`);
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
            ? "nothing, as the model is in S3 already"
            : "auto or ssh: only a host of kind aws has a bucket",
          inS3 ? "remove upload" : "remove upload, or put the model into S3 and give s3://bucket/prefix",
        );
    }
  });
  if (keyOf(build, "keepImages") !== undefined && (!onAws || pushedTo !== undefined)) {
    at.at("runtime")
      .at("build")
      .at("keepImages")
      .fault(
        keyOf(build, "keepImages"),
        "a number only for the repository that the stack creates on AWS",
        "remove keepImages; configure it in the repository itself",
      );
  }
  if (!onAws) {
    if (keyOf(keyOf(raw, "monitoring"), "kind") === "cloudwatch") {
      at.at("monitoring")
        .at("kind")
        .fault(
          "cloudwatch",
          "cloudwatch only with host.kind aws",
          "remove monitoring, and scrape server.metricsPort with your own Prometheus",
        );
    }
    return;
  }
  for (const { type, at: place } of instanceTypesIn(host, at.at("host"))) {
    refuseUnsuitedGpu(type, tritonRelease(runtime), place);
  }
  refuseTooManyPlaces(keyOf(raw, "models"), at.at("models"));
  const enabled = keyOf(keyOf(raw, "gateway"), "enabled");
  const listens = keyOf(server, "address");
  const gateway =
    typeof enabled === "boolean" ? enabled : typeof listens === "string" && !isLoopback(listens);
  checkEgress(raw, gateway, at);
  const withMetrics = keyOf(keyOf(raw, "gateway"), "metrics") === true;
  refuseTooManyRanges(host, withMetrics ? 3 : 2, at.at("host"));
  checkBalancedGateway(raw, at);
  const clients = itemsOf(keyOf(host, "clientCidrs"));
  const address = keyOf(server, "address") ?? "127.0.0.1";
  if (clients.length > 0 && typeof address === "string" && isLoopback(address)) {
    at.at("server")
      .at("address")
      .fault(
        keyOf(server, "address"),
        "an address that host.clientCidrs can reach, not a loopback one",
        "set address to 0.0.0.0, or remove host.clientCidrs and use a tunnel",
      );
  }
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
