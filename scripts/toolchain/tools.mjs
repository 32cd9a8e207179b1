// The tools that can be requested.

/** The release of the CLI and of its language hosts: one download contains them all. */
export const cliVersion = "3.259.0";

/**
 * Each tool's kind, and the vendor's release that is searched for and downloaded. A daemon is a program that tests
 * start, and data is read by them. If neither works, the tool is built from the modules in `offline/build.mjs`.
 */
export const tools = {
  pulumi: { kind: "cli", version: cliVersion },
  "pulumi-language-nodejs": { kind: "host", version: cliVersion },
  "pulumi-language-yaml": { kind: "host", version: cliVersion },
  "pulumi-resource-command": { kind: "provider", provider: "command", version: "1.2.1" },
  "pulumi-resource-docker-build": { kind: "provider", provider: "docker-build", version: "0.0.22" },
  buildkitd: { kind: "daemon", version: "0.31.0" },
  "pulumi-resource-kubernetes": { kind: "provider", provider: "kubernetes", version: "4.25.0" },
  "kubernetes-control-plane": { kind: "daemon", version: "1.36.3" },
  prometheus: { kind: "daemon", version: "3.15.1" },
  promtool: { kind: "daemon", version: "3.15.1" },
  "gateway-api-crds": { kind: "data", version: "1.6.3" },
  "keda-crds": { kind: "data", version: "2.21.0" },
  "karpenter-crds": { kind: "data", version: "1.14.0" },
  "prometheus-operator-crds": { kind: "data", version: "0.85.0" },
};

/** The tools that `npm run up` needs. The others are requested by name. */
export const defaultTools = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-command"];

/** No way to get a tool works, or a requested tool does not exist. */
export class ToolchainError extends Error {}

/** One way to get a tool does not work; the next one is tried. */
export class NotThisWay extends Error {}

/** Of what no vendor publishes, there is nothing to install. */
function ownWay(name) {
  return name === "buildkitd" ? `install ${name}, or Go 1.25 or newer` : "install Go 1.26 or newer";
}

/** What a user can do if no way to get a tool works. */
export function howToInstall(name) {
  const { kind, provider, version } = tools[name];
  if (kind === "daemon" || kind === "data") return ownWay(name);
  if (kind !== "provider") {
    return `install the Pulumi CLI ${version} or newer (https://www.pulumi.com/docs/install/), or Go 1.25 or newer`;
  }
  return `pulumi plugin install resource ${provider} ${version}, or install Go 1.25 or newer`;
}
