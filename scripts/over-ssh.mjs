// Runs commands and opens tunnels on a stack's SSH host, with its private key and the host key that the stack pins.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { freePorts } from "./ports.mjs";

const OVER_SSH = fileURLToPath(new URL("../components/host/over-ssh.sh", import.meta.url));

/** Attempts before a machine behind a proxy counts as unreachable. */
const ATTEMPTS = 2;

/** Runs a command with its words unchanged and waits for its end; `options` are those of spawnSync. */
export function runOverSsh(ssh, key, command, options) {
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  if (ssh.proxyCommand !== undefined) return runThroughProxy(ssh, key, quoted, options);
  const login = new Login(ssh, key);
  try {
    return spawnSync("ssh", [...login.words, quoted], options);
  } finally {
    login.forget();
  }
}

/** As a deployment does: the script says what its way to the host lacks, and how to get it. */
function runThroughProxy({ address, user, hostKey, proxyCommand }, key, line, options) {
  const words = [OVER_SSH, address, user, hostKey, proxyCommand, String(ATTEMPTS), line];
  const env = { ...process.env, XSCHED_TRITON_SSH_KEY: withUnixLines(key) };
  return spawnSync("bash", words, { ...options, env });
}

/** As in the stack's settings: the lines of a key may end as on Windows, which ssh does not take. */
const withUnixLines = (key) => key.replace(/\r\n?/g, "\n").trimEnd();

/**
 * Opens a loopback port of this machine for each address of the host. The tunnel ends with this process, even if it is
 * killed: the other side waits for the end of its input.
 *
 * @param addresses `host:port`, as the host sees them
 * @returns the local `host:port` of each, and a function that closes them
 */
export async function openTunnel(ssh, key, addresses) {
  const local = (await freePorts(addresses.length)).map((port) => `127.0.0.1:${port}`);
  const forwards = addresses.flatMap((address, index) => ["-L", `${local[index]}:${address}`]);
  const login = new Login(ssh, key);
  const words = [
    "-o",
    "ExitOnForwardFailure=yes",
    ...forwards,
    ...login.words,
    "echo open && cat >/dev/null",
  ];
  // In its own process group, so that Ctrl-C does not cut off requests in flight.
  const child = spawn("ssh", words, { stdio: ["pipe", "pipe", "pipe"], detached: true });
  let problem = "";
  child.stderr.on("data", (text) => (problem += text));
  try {
    await new Promise((resolve, reject) => {
      child.stdout.once("data", resolve);
      child.once("error", reject);
      child.once("close", () => reject(new Error(`no tunnel to ${ssh.address}: ${problem.trim()}`)));
    });
  } finally {
    login.forget();
  }
  return {
    addresses: local,
    close: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) resolve();
        child.once("close", () => resolve());
        child.kill();
      }),
  };
}

/** The arguments that ssh logs in with; the files that they name exist until `forget()`. */
class Login {
  constructor({ address, port, user, hostKey, proxyCommand }, key) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-"));
    const keyFile = path.join(this.folder, "key");
    const knownHosts = path.join(this.folder, "known_hosts");
    fs.writeFileSync(keyFile, `${withUnixLines(key)}\n`, { mode: 0o600 });
    fs.writeFileSync(knownHosts, `[${address}]:${port} ${hostKey}\n${address} ${hostKey}\n`);
    const options = [
      `UserKnownHostsFile=${knownHosts}`,
      "StrictHostKeyChecking=yes",
      "IdentitiesOnly=yes",
      "BatchMode=yes",
      "ConnectTimeout=15",
      // Without the host's banner.
      "LogLevel=ERROR",
      // A tunnel that is dead is noticed within a minute.
      ...(proxyCommand === undefined
        ? []
        : [`ProxyCommand=${proxyCommand}`, "ServerAliveInterval=15", "ServerAliveCountMax=4"]),
    ].flatMap((option) => ["-o", option]);
    this.words = ["-F", "none", "-i", keyFile, "-p", String(port), ...options, `${user}@${address}`];
  }

  forget() {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
