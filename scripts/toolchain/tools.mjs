// The tools that can be asked for.

/** The release of the CLI, and of the language hosts, which belong to it: the same download holds them all. */
export const cliVersion = "3.259.0";

/**
 * What each tool is, and the vendor's release that is looked for and downloaded. A daemon is one that tests start.
 * What is built where neither is to be had stands in `offline/modules.mjs`.
 */
export const tools = {
  pulumi: { kind: "cli", version: cliVersion },
  "pulumi-language-nodejs": { kind: "host", version: cliVersion },
  "pulumi-language-yaml": { kind: "host", version: cliVersion },
  "pulumi-resource-command": { kind: "provider", provider: "command", version: "1.2.1" },
  "pulumi-resource-docker-build": { kind: "provider", provider: "docker-build", version: "0.0.22" },
  buildkitd: { kind: "daemon", version: "0.31.0" },
};

/** What `npm run up` needs. The others are asked for by name. */
export const defaultTools = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-command"];

/** A tool can be had in no way, or what was asked for is no tool. */
export class ToolchainError extends Error {}

/** One way to a tool is closed; the next one is tried. */
export class NotThisWay extends Error {}

/** What a user can do about a tool that can be had in no way. */
export function howToInstall(name) {
  const { kind, provider, version } = tools[name];
  if (kind === "daemon") return `install ${name}, or Go 1.25 or newer`;
  if (kind !== "provider") {
    return `install the Pulumi CLI ${version} or newer (https://www.pulumi.com/docs/install/), or Go 1.25 or newer`;
  }
  return `pulumi plugin install resource ${provider} ${version}, or install Go 1.25 or newer`;
}
