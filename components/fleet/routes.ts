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

/** What is asked over HTTP: health, metadata, and inference, which is below the model. */
const PATHS = [
  { type: "PathPrefix", value: "/v2/health" },
  { type: "PathPrefix", value: "/v2/models" },
  { type: "Exact", value: "/v2" },
];

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
  settings: Pick<FleetSettings, "route" | "namespace" | "server">,
): RouteManifest[] {
  const { route, server } = settings;
  if (route === undefined) return [];
  const { httpHostname, grpcHostname } = route;
  const http = {
    matches: PATHS.map((path) => ({ path })),
    backendRefs: [{ name: fleet, port: server.httpPort }],
  };
  const grpc = {
    matches: METHODS.map((method) => ({
      method: { type: "Exact", service: "inference.GRPCInferenceService", method },
    })),
    backendRefs: [{ name: fleet, port: server.grpcPort }],
  };
  const made = (kind: RouteManifest["kind"], hostname: string, rule: object): RouteManifest => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind,
    metadata: { name: fleet, namespace: settings.namespace, labels: labelsOf(fleet) },
    spec: { parentRefs: [parent(route)], hostnames: [hostname], rules: [rule] },
  });
  return [
    ...(httpHostname === undefined ? [] : [made("HTTPRoute", httpHostname, http)]),
    ...(grpcHostname === undefined ? [] : [made("GRPCRoute", grpcHostname, grpc)]),
  ];
}

function parent({ gateway, gatewayNamespace }: Route): object {
  return { name: gateway, namespace: gatewayNamespace };
}
