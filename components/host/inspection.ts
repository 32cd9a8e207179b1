import { spawn } from "node:child_process";
import { once } from "node:events";

import * as pulumi from "@pulumi/pulumi";

import { resultOf, textOf } from "./agentCommand";
import type { HostLocationArgs } from "./hostCommand";
import { HostError } from "./hostError";
import { keyOf, overSsh } from "./overSsh";
import type { Repairs } from "./repairs";
import { shellQuote } from "./shellQuote";

/**
 * Asks a host what differs from what was deployed there: Pulumi compares the config only with its own last state. It
 * changes nothing, so it is asked in a preview as well. What it finds is shown as warnings.
 *
 * @param location its folder must be there, unless somebody has removed it
 * @throws HostError in an `up` of a host that does not let us in
 * @returns tokens of the parts that have to be put right or once had to be, as JSON of `Repairs`
 */
export function inspectHost(location: HostLocationArgs, host: pulumi.Resource): pulumi.Output<string> {
  // Without an engine, in tests of a program, there is no host.
  if (!pulumi.runtime.hasEngine()) return pulumi.output("{}");
  const asked = pulumi.all([location.directory, location.ssh]).apply(async ([directory, ssh]) => {
    const onHost = ["sh", "-c", textOf("inspect-host.sh"), "inspect-host.sh", directory];
    if (ssh === undefined) return ask(onHost, "", host);
    if (ssh.proxyCommand !== undefined) {
      return ask(overSsh(ssh, shellQuote(onHost), 1), "", host, { ...process.env, ...keyOf(ssh) });
    }
    const { address, port = 22, user = "root", hostKey, privateKey } = ssh;
    const words = [
      "sh",
      "-c",
      textOf("inspect-over-ssh.sh"),
      "inspect-over-ssh.sh",
      address,
      String(port),
      user,
    ];
    return ask([...words, hostKey, shellQuote(onHost)], `${privateKey.trimEnd()}\n`, host);
  });
  return pulumi.unsecret(asked);
}

/** How ssh ends where it cannot run the command. */
const SSH_FAILED = 255;

/** What ssh says of a login that is refused, by the machine or by itself. */
const REFUSAL = /Permission denied \(|Host key verification failed/;

async function ask(
  [program = "", ...words]: string[],
  input: string,
  host: pulumi.Resource,
  env = process.env,
): Promise<string> {
  const child = spawn(program, words, { env });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // One that fails early does not read it.
  child.stdin.on("error", () => undefined).end(input);
  const [code] = (await once(child, "close")) as [number | null];
  const lines = stderr.split("\n").filter((text) => text.trim() !== "");
  const refusal = code === SSH_FAILED ? lines.find((line) => REFUSAL.test(line)) : undefined;
  if (refusal !== undefined && !pulumi.runtime.isDryRun()) {
    throw new HostError(
      `the host cannot be logged in to, so nothing is changed on it: ${refusal.trim()}`,
      "check host.user, host.privateKey and host.hostKey",
    );
  }
  for (const line of lines) await pulumi.log.warn(line, host);
  // Through a proxy, nobody answers for a machine that cannot be asked.
  if (code === SSH_FAILED && stdout === "") return "{}";
  const { repairs } = resultOf(stdout) as { repairs: Repairs };
  return JSON.stringify(repairs);
}
