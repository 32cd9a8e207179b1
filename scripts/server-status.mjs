// Asks the host of a stack what its Triton serves now, and prints it as a table.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/**
 * What serves on a stack's host, as `describe-server.sh` says it there, and the stack's outputs.
 * `healthy` is true when the server runs and every model of the stack is ready.
 */
export function describeServer({ stack, root, environment }) {
  const outputs = pulumiJson(["stack", "output", "--json", "--stack", stack], root, environment);
  if (outputs.host === undefined) {
    return { running: false, models: [], outputs, healthy: false };
  }
  const { directory, ssh } = outputs.host;
  const command = ["bash", `${directory}/bin/describe-server.sh`, directory];
  const { status, stdout, stderr, error } = ssh
    ? overSsh(ssh, command, stack, root, environment)
    : spawnSync(command[0], command.slice(1), { encoding: "utf8" });
  if (error) throw error;
  if (status !== 0) throw new Error(`The host does not answer:\n${stderr}`);
  const server = JSON.parse(stdout);
  const ready = new Set(server.models.filter((model) => model.ready).map((model) => model.name));
  return {
    ...server,
    outputs,
    healthy: server.running && outputs.models.every(({ name }) => ready.has(name)),
  };
}

/** Prints the table of models and, when something serves, a request to try. */
export function printServer(server, stack) {
  if (!server.running) {
    console.log(`\nNo Triton serves on the stack "${stack}". Start it: npm run up${suffix(stack)}`);
    return;
  }
  const rows = server.models.map(({ name, version, priority, ready, reason }) => [
    name,
    String(version ?? "–"),
    String(priority ?? "–"),
    ready ? "yes" : `no${reason ? `: ${reason}` : ""}`,
  ]);
  console.log(`\n${table(["model", "version", "priority", "ready"], rows)}`);
  console.log(`\nTriton ${server.version} at http://${server.http} (process ${server.pid})`);
  if (server.outputs.host.ssh) {
    const { user, address, port } = server.outputs.host.ssh;
    console.log(
      `Reach it through a tunnel: ssh -p ${port} -N -L ${server.http}:${server.http} ${user}@${address}`,
    );
  }
  if (server.outputs.example) console.log(`\nTry it:\n  ${server.outputs.example}`);
}

function suffix(stack) {
  return stack === "local" ? "" : ` -- ${stack}`;
}

/** Columns of equal width, a line under the head. */
function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

function pulumiJson(words, root, environment) {
  const { status, stdout, stderr, error } = spawnSync("pulumi", words, {
    cwd: root,
    env: environment,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status !== 0) throw new Error(stderr.trim());
  return JSON.parse(stdout);
}

/** Runs a command on an SSH host with the key from the stack's config and the host key that it pins. */
function overSsh({ address, port, user, hostKey }, command, stack, root, environment) {
  const config = pulumiJson(["config", "--json", "--show-secrets", "--stack", stack], root, environment);
  const { objectValue } = config["xsched-triton:host"] ?? {};
  if (objectValue?.privateKey === undefined) throw new Error("The stack's config has no host.privateKey.");
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-"));
  try {
    const keyFile = path.join(folder, "key");
    const knownHosts = path.join(folder, "known_hosts");
    fs.writeFileSync(keyFile, objectValue.privateKey.trimEnd() + "\n", { mode: 0o600 });
    fs.writeFileSync(knownHosts, `[${address}]:${port} ${hostKey}\n${address} ${hostKey}\n`);
    const options = [
      `UserKnownHostsFile=${knownHosts}`,
      "StrictHostKeyChecking=yes",
      "IdentitiesOnly=yes",
      "BatchMode=yes",
      "ConnectTimeout=15",
    ].flatMap((option) => ["-o", option]);
    const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    return spawnSync(
      "ssh",
      ["-F", "none", "-i", keyFile, "-p", String(port), ...options, `${user}@${address}`, quoted],
      {
        encoding: "utf8",
      },
    );
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
