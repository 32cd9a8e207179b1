// Which addresses are reached without a proxy.

/** What Pulumi's engine, its plugins and our program call each other by. */
const OWN = ["127.0.0.1", "localhost", "::1"];

/**
 * The variables to set so that this machine is reached without a proxy, which as a rule knows nothing of it. What the user
 * has excluded stays excluded. Blanks go: gRPC for Node.js takes an entry with blanks for another host.
 */
export function withoutProxy({ no_proxy, NO_PROXY, no_grpc_proxy }) {
  const list = (...given) => {
    const entries = given.flatMap((text) => (text ?? "").split(",")).map((entry) => entry.trim());
    return [...new Set([...entries.filter((entry) => entry !== ""), ...OWN])].join(",");
  };
  const both = list(no_proxy, NO_PROXY);
  return {
    no_proxy: both,
    NO_PROXY: both,
    // Where it is set, gRPC for Node.js looks at nothing else.
    ...(no_grpc_proxy && { no_grpc_proxy: list(no_grpc_proxy) }),
  };
}

/** Whether a host, as in a URL, is this machine itself. */
export const isLoopback = (host) => host === "localhost" || host === "[::1]" || host.startsWith("127.");
