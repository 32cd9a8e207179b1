import type { FleetSettings } from "../settings";
import { labelsOf } from "./names";

type Route = NonNullable<FleetSettings["route"]>;

/** An object of the Gateway API, whose types are not in Kubernetes itself. */
export interface RouteManifest {
  readonly apiVersion: "gateway.networking.k8s.io/v1";
  readonly kind: "HTTPRoute" | "GRPCRoute";
  readonly metadata: { name: string; namespace: string; labels: Record<string, string> };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What anybody may read over HTTP: health, metadata, configurations and statistics. */
const READS = [
  { type: "PathPrefix", value: "/v2/health" },
  { type: "PathPrefix", value: "/v2/models" },
  { type: "Exact", value: "/v2" },
];

/**
 * What is sent to a model. A prefix for all models would let through what changes the settings of a model's trace; Triton
 * takes those for no single version.
 */
function sent(model: string): { type: string; value: string }[] {
  const place = `/v2/models/${model}`;
  return [
    ...["infer", "generate", "generate_stream"].map((what) => ({
      type: "Exact",
      value: `${place}/${what}`,
    })),
    { type: "PathPrefix", value: `${place}/versions` },
  ];
}

/** Models of one HTTPRoute: the Gateway API takes fewer than 128 matches in all its rules, and 64 in each. */
const MODELS_OF_ROUTE = 15;

/** As the gateway of a host lets through: components/host/agent/agent/gateway/rendering.py. */
const METHODS = [
  "ServerLive",
  "ServerReady",
  "ServerMetadata",
  "ModelReady",
  "ModelMetadata",
  "ModelConfig",
  "ModelStatistics",
  "ModelInfer",
  "ModelStreamInfer",
];

/** How a Gateway leads to a fleet's Service. What matches no route is refused there. */
export function routes(
  fleet: string,
  settings: Pick<FleetSettings, "models" | "route" | "namespace" | "server">,
): RouteManifest[] {
  const { route, server, models } = settings;
  if (route === undefined) return [];
  const { httpHostname, grpcHostname } = route;
  const http = (matches: object[]): object => ({
    matches,
    backendRefs: [{ name: fleet, port: server.httpPort }],
  });
  const reads = READS.map((path) => ({ path, method: "GET" }));
  const inferences = models.map(({ name }) => sent(name).map((path) => ({ path, method: "POST" })));
  const parts = Array.from({ length: Math.ceil(models.length / MODELS_OF_ROUTE) }, (_, index) =>
    inferences.slice(index * MODELS_OF_ROUTE, (index + 1) * MODELS_OF_ROUTE).flat(),
  );
  const grpc = {
    matches: METHODS.map((method) => ({
      method: { type: "Exact", service: "inference.GRPCInferenceService", method },
    })),
    backendRefs: [{ name: fleet, port: server.grpcPort }],
  };
  const made = (
    kind: RouteManifest["kind"],
    name: string,
    hostname: string,
    rules: object[],
  ): RouteManifest => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind,
    metadata: { name, namespace: settings.namespace, labels: labelsOf(fleet) },
    spec: { parentRefs: [parent(route)], hostnames: [hostname], rules },
  });
  return [
    ...(httpHostname === undefined
      ? []
      : parts.map((part, index) =>
          index === 0
            ? made("HTTPRoute", fleet, httpHostname, [http(reads), http(part)])
            : made("HTTPRoute", `${fleet}-${index + 1}`, httpHostname, [http(part)]),
        )),
    ...(grpcHostname === undefined ? [] : [made("GRPCRoute", fleet, grpcHostname, [grpc])]),
  ];
}

function parent({ gateway, gatewayNamespace }: Route): object {
  return { name: gateway, namespace: gatewayNamespace };
}
