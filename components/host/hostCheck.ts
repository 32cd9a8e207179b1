import { spawn } from "node:child_process";
import { once } from "node:events";

import * as pulumi from "@pulumi/pulumi";

import type { SshConnectionArgs } from "../settings";
import { answerIn, textOf } from "./agentCommand";
import { HostError } from "./hostError";
import { shellQuote } from "./shellQuote";

/** How ssh ends where it cannot run the command. */
export const SSH_FAILED = 255;

/** How a shell ends that finds no ssh to run. */
const NO_SSH = 127;

/** Seconds between two clocks from which on a host's is wrong. S3 refuses requests at 15 minutes. */
const CLOCK_TOLERANCE_SECONDS = 300;

type Connection = pulumi.Unwrap<SshConnectionArgs>;

/** How a command on a machine has ended. */
export interface SshRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command on a machine once, with the OpenSSH client of this one. */
export async function runWithKey(connection: Connection, words: readonly string[]): Promise<SshRun> {
  const { address, port = 22, user = "root", hostKey, privateKey } = connection;
  const script = ["-c", textOf("ssh-with-key.sh"), "ssh-with-key.sh"];
  const login = [address, String(port), user, hostKey, shellQuote(words)];
  return runToEnd(["sh", ...script, ...login], `${privateKey.trimEnd()}\n`);
}

/** Runs a program of this machine to its end. */
export async function runToEnd(
  [program = "", ...words]: readonly string[],
  input: string,
  env = process.env,
): Promise<SshRun> {
  const child = spawn(program, words, { env });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // One that fails early does not read it.
  child.stdin.on("error", () => undefined).end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

/** What ssh says of a login that is refused, by the machine or by itself. */
const REFUSAL = /Permission denied \(|Host key verification failed/;

/** Why a machine does not let us in, if ssh says so. */
export function refusalOf({ code, stderr }: SshRun): HostError | undefined {
  const refusal = code === SSH_FAILED ? stderr.split("\n").find((line) => REFUSAL.test(line)) : undefined;
  if (refusal === undefined) return undefined;
  return new HostError(
    `the host cannot be logged in to, so nothing is changed on it: ${refusal.trim()}`,
    "check host.user, host.privateKey and host.hostKey",
  );
}

/** What a command of ours says is wrong on a host, as find-python.sh and the agent do; undefined if it says nothing. */
export function faultOf({ stderr }: SshRun): { readonly what: string; readonly fix: string } | undefined {
  const lines = stderr.trim().split("\n");
  const at = (word: string): string | undefined =>
    lines.findLast((line) => line.startsWith(`${word}: `))?.slice(word.length + 2);
  const what = at("error");
  return what === undefined ? undefined : { what, fix: at("fix") ?? "read the reason" };
}

/**
 * Logs in to a machine that exists and asks whether it can take the folder of a deployment, before anything is made there:
 * Pulumi's own error would show a script, and the folder would stay in the stack's state.
 *
 * @param directory as the settings name it
 * @param warn is told what may do harm later
 * @returns why it cannot; undefined if it can, or if it cannot be asked
 */
export async function unfit(
  connection: Connection,
  directory: string,
  warn: (text: string) => Promise<void>,
): Promise<HostError | undefined> {
  // By its path, which a restricted shell takes no command by, those of the agent included.
  const words = ["/bin/sh", "-c", textOf("find-python.sh"), "find-python.sh", textOf("check-host.py")];
  const began = Date.now();
  const run = await runWithKey(connection, [...words, directory]);
  return judge(connection, run, (began + Date.now()) / 2000, warn);
}

/**
 * What the answer of check-host.py means.
 *
 * @param now the time of this machine when it was asked, in seconds since 1970
 * @internal
 */
export async function judge(
  { address, user = "root" }: Pick<Connection, "address" | "user">,
  run: SshRun,
  now: number,
  warn: (text: string) => Promise<void>,
): Promise<HostError | undefined> {
  const answer = answerIn(run.stdout) as { readonly time: number } | undefined;
  if (answer !== undefined) {
    const skew = Math.round(answer.time - now);
    if (Math.abs(skew) > CLOCK_TOLERANCE_SECONDS) {
      const how = skew > 0 ? "ahead of" : "behind";
      await warn(
        `the clock of the host ${address} is ${duration(Math.abs(skew))} ${how} this machine's; if the host's is wrong, ` +
          "it can take no certificate for valid, and S3 and registries refuse what it asks\n" +
          "fix: sudo timedatectl set-ntp true, on the host",
      );
    }
    return undefined;
  }
  if (run.code === NO_SSH && run.stdout === "" && run.stderr === "") return undefined;
  const refusal = refusalOf(run);
  if (refusal !== undefined) return refusal;
  const fault = faultOf(run);
  if (fault !== undefined) {
    return new HostError(
      `the host ${address} cannot take the deployment, so nothing is changed on it: ${fault.what}`,
      fault.fix,
    );
  }
  // A fault of the connection, which Pulumi's own attempts may outlast.
  if (run.code === SSH_FAILED) return undefined;
  const printed = `${run.stdout}${run.stderr}`.trim().slice(-1000);
  return new HostError(
    `the host ${address} runs no commands for ${user}, so nothing is changed on it` +
      (printed === "" ? "" : `; it answers: ${printed}`),
    "let the user run any: without a ForceCommand in /etc/ssh/sshd_config, without command= before the key in " +
      "~/.ssh/authorized_keys, with a shell such as /bin/bash that is not restricted (sudo chsh -s /bin/bash " +
      `${user}); and where a start-up file of that shell, such as ~/.bashrc, ends with exit or exec, let it do so in ` +
      "interactive shells only",
  );
}

/** A time for a person. */
function duration(seconds: number): string {
  if (seconds < 2 * 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}
