import { Rule, text } from "./rules";

/**
 * The flags of tritonserver that a deployment sets itself, with the setting to use in their stead, or undefined
 * where the deployment relies on one value. https://github.com/triton-inference-server/server/blob/r22.06/src/main.cc
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
  "--allow-http": undefined,
  "--log-file": undefined,
  "--help": undefined,
};

/** Longest argument; far below what Linux takes (128 KiB), far above what a flag needs. */
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
    if (!Object.hasOwn(OWN_FLAGS, name)) {
      return undefined;
    }
    const setting = OWN_FLAGS[name];
    return setting === undefined
      ? `remove ${name}; deployments rely on its value`
      : `use the setting ${setting}`;
  },
});

/** Whether the flags switch Triton's rate limiter on. */
export function limitsRate(flags: readonly unknown[]): boolean {
  return flags.includes("--rate-limit=execution_count");
}
