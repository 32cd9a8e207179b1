import { spawn } from "node:child_process";
import { once } from "node:events";
import * as net from "node:net";
import { setTimeout } from "node:timers/promises";

import * as pulumi from "@pulumi/pulumi";

import type { SshConnectionArgs } from "../settings";
import { unfit } from "./hostCheck";
import { HostError } from "./hostError";
import { keyOf, overSsh } from "./overSsh";

/** Attempts before a machine counts as unreachable: a short network fault, or a reboot that is just ending. */
const ATTEMPTS = 3;

/** Milliseconds that an attempt may take until the SSH server has introduced itself. */
const ATTEMPT_MS = 5000;

/** Milliseconds between two attempts. */
const PAUSE_MS = 1000;

/** Characters in which an SSH server has introduced itself. */
const LONGEST_GREETING = 64 * 1024;

type Connection = pulumi.Output<pulumi.Unwrap<SshConnectionArgs>>;

/**
 * A connection, once an SSH server answers there. Whatever is done on a machine goes through its connection, so an `up`
 * ends here, before anything is changed, if the machine cannot be reached or cannot take the deployment. A preview changes
 * nothing and does not ask.
 *
 * @param directory the folder of the deployment, as the settings name it
 * @param host warnings are shown at it
 */
export function onceReachable(
  ssh: Connection,
  directory: pulumi.Output<string>,
  host: pulumi.Resource,
): Connection {
  // Without an engine, in tests of a program, there is no machine.
  if (!pulumi.runtime.hasEngine() || pulumi.runtime.isDryRun()) return ssh;
  return pulumi.all([ssh, directory]).apply(async ([connection, folder]) => {
    const { machine, proxyCommand } = connection;
    let problem =
      proxyCommand === undefined ? await unreachable(connection) : await unreachableThroughProxy(connection);
    // A machine with a name was made by the program.
    if (machine === undefined && proxyCommand === undefined) {
      problem ??= await unfit(connection, folder, (text) => pulumi.log.warn(text, host));
    }
    if (problem !== undefined) throw problem;
    return connection;
  });
}

/**
 * Why a machine cannot be reached and what to check; undefined if an SSH server answers.
 *
 * @internal
 */
export async function unreachable(
  { address, port = 22, user = "root", machine }: pulumi.Unwrap<SshConnectionArgs>,
  { attempts = ATTEMPTS, attemptMs = ATTEMPT_MS, pauseMs = PAUSE_MS } = {},
): Promise<HostError | undefined> {
  let reason: string | undefined;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    if (attempt > 1) await setTimeout(pauseMs);
    reason = await sshFault(address, port, attemptMs);
    if (reason === undefined) return undefined;
  }
  // A machine with a name was made by the program.
  const [settings, gone] =
    machine === undefined
      ? [" (host.address, host.port)", "npm run down -- STACK --host-is-gone"]
      : ["", "pulumi up --refresh"];
  return new HostError(
    `the host ${address} cannot be reached on port ${port}${settings}, so nothing is changed on it: ${reason}`,
    "check that the machine runs, that its SSH server listens on this port, and that no firewall or missing VPN is in " +
      `between: ssh -p ${port} ${user}@${address}\n     if it is gone for good: ${gone}`,
  );
}

/** The same for a machine behind a proxy, which also has to let us in. */
async function unreachableThroughProxy(
  connection: pulumi.Unwrap<SshConnectionArgs>,
): Promise<HostError | undefined> {
  const [program = "", ...words] = overSsh(connection, "true", ATTEMPTS);
  const child = spawn(program, words, {
    env: { ...process.env, ...keyOf(connection) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return undefined;
  const { machine, address } = connection;
  const lines = said.trim().split("\n");
  const at = (word: string): string | undefined =>
    lines.findLast((line) => line.startsWith(`${word}: `))?.slice(word.length + 2);
  return new HostError(
    `the host ${machine ?? address} cannot be reached, so nothing is changed on it: ${at("error") ?? said.trim()}`,
    `${at("fix") ?? "run what is between: " + String(connection.proxyCommand)}\n     if it is gone for good: pulumi up --refresh`,
  );
}

/** What keeps an SSH server from introducing itself (RFC 4253, 4.2); undefined if it does. */
async function sshFault(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  const signal = AbortSignal.timeout(timeoutMs);
  const socket = net.connect({ host, port, signal });
  let text = "";
  try {
    for await (const chunk of socket.setEncoding("latin1")) {
      text += chunk as string;
      // Lines of other text may come before.
      if (/^SSH-/m.test(text)) return undefined;
      if (text.length > LONGEST_GREETING) break;
    }
    return "what answers there is not an SSH server";
  } catch (error) {
    return signal.aborted ? `no answer within ${timeoutMs / 1000} s` : (error as Error).message;
  } finally {
    socket.destroy();
  }
}
