import { Rule, text } from "./rules";

/**
 * The flags of tritonserver that a deployment sets itself, with the setting to use instead, or undefined
 * where the deployment relies on one value. Compared with `tritonserver --help` of 22.06 and 24.10:
 * https://github.com/triton-inference-server/server/blob/r22.06/src/main.cc
 * https://github.com/triton-inference-server/server/blob/r24.10/src/command_line_parser.cc
 */
const OWN_FLAGS: Readonly<Record<string, string | undefined>> = {
  "--http-port": "httpPort",
  "--grpc-port": "grpcPort",
  "--metrics-port": "metricsPort",
  "--http-address": "address",
  "--grpc-address": "address",
  "--metrics-address": "address",
  "--log-error": "logLevel",
  "--log-warning": "logLevel",
  "--log-info": "logLevel",
  "--log-verbose": "logLevel",
  "--exit-timeout-secs": "exitTimeoutSeconds",
  "--model-repository": "models",
  "--model-store": "models",
  "--load-model": "models",
  "--model-control-mode": undefined,
  "--repository-poll-secs": undefined,
  "--exit-on-error": undefined,
  "--strict-readiness": undefined,
  // Models are loaded over gRPC, looked at over HTTP, by a client on the host with headers and a key of its own.
  "--allow-http": undefined,
  "--allow-grpc": undefined,
  "--allow-metrics": undefined,
  "--grpc-use-ssl": undefined,
  "--grpc-use-ssl-mutual": undefined,
  "--grpc-server-cert": undefined,
  "--grpc-server-key": undefined,
  "--grpc-root-cert": undefined,
  "--http-restricted-api": undefined,
  "--grpc-restricted-protocol": undefined,
  // Two servers would share a port, and each would get half of the requests.
  "--reuse-http-port": undefined,
  "--reuse-grpc-port": undefined,
  // Both disable the other protocols.
  "--allow-sagemaker": undefined,
  "--allow-vertex-ai": undefined,
  "--model-namespacing": undefined,
  // Triton's own reason is read from its log.
  "--log-file": undefined,
  "--log-format": undefined,
  "--help": undefined,
};

/** Longest argument; far below Linux's limit (128 KiB), far above what a flag needs. */
const LONGEST_FLAG = 4096;

const FLAG = /^(--[a-z][a-z0-9-]*)(=[^\p{Cc}]*)?$/u;

/** One further argument of tritonserver. */
export const extraFlag: Rule<string> = text({
  allowed: "a tritonserver flag of the form --name or --name=value that no other setting owns",
  example: '"--pinned-memory-pool-byte-size=268435456"',
  refuse(flag) {
    const match = FLAG.exec(flag);
    if (match === null || flag.length > LONGEST_FLAG) {
      return /^--[a-z][a-z0-9-]*\s+\S/.test(flag)
        ? "write = between the flag and its value"
        : "write --name=value in one line, one flag an item";
    }
    const name = match[1] ?? "";
    if (flag.startsWith("--backend-config=python,shm-region-prefix-name=")) {
      return "remove it; deployments rely on its value";
    }
    if (!Object.hasOwn(OWN_FLAGS, name)) {
      // tritonserver accepts an abbreviated flag.
      const meant = Object.keys(OWN_FLAGS).find((own) => own.startsWith(name));
      return meant === undefined ? undefined : `remove it; tritonserver takes it for ${meant}`;
    }
    const setting = OWN_FLAGS[name];
    return setting === undefined
      ? `remove ${name}; deployments rely on its value`
      : `use the setting ${setting}`;
  },
});

/** Whether the flags enable Triton's rate limiter. */
export function limitsRate(flags: readonly unknown[]): boolean {
  return flags.includes("--rate-limit=execution_count");
}
