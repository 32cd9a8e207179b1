import * as pulumi from "@pulumi/pulumi";

import { answerIn, resultOf, textOf } from "./agentCommand";
import type { HostLocationArgs } from "./hostCommand";
import { refusalOf, runToEnd, runWithKey, type SshRun } from "./hostCheck";
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
    if (ssh === undefined) return inspected(await runToEnd(onHost, ""), "", host);
    if (ssh.proxyCommand !== undefined) {
      const env = { ...process.env, ...keyOf(ssh) };
      return inspected(await runToEnd(overSsh(ssh, shellQuote(onHost), 1), "", env), ssh.address, host);
    }
    return inspected(await runWithKey(ssh, onHost), ssh.address, host);
  });
  return pulumi.unsecret(asked);
}

/** What precedes the messages of inspect-host.sh, after those of the login shell. */
const MESSAGES = "xsched-triton-messages\n";

/**
 * What a host has answered. One that cannot be asked has nothing known to be wrong.
 *
 * @param address what messages call a host that is another machine
 */
async function inspected(run: SshRun, address: string, host: pulumi.Resource): Promise<string> {
  const refusal = refusalOf(run);
  if (refusal !== undefined && !pulumi.runtime.isDryRun()) throw refusal;
  const { code, stdout, stderr } = run;
  const begin = stderr.indexOf(MESSAGES);
  const lines = (begin < 0 ? stderr : stderr.slice(begin + MESSAGES.length)).split("\n");
  for (const line of lines.filter((text) => text.trim() !== "")) await pulumi.log.warn(line, host);
  if (address !== "" && code !== 0 && answerIn(stdout) === undefined) {
    await pulumi.log.warn(`the host ${address} cannot be asked what has changed on it`, host);
    return "{}";
  }
  const { repairs } = resultOf(stdout) as { repairs: Repairs };
  return JSON.stringify(repairs);
}
