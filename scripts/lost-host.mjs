// `npm run down` for a host that cannot be reached: says so before anything is removed, and `--host-is-gone` makes Pulumi
// forget what was deployed there.
import { spawnSync } from "node:child_process";
import fs from "node:fs";

import { runOverSsh } from "./over-ssh.mjs";
import { privateKey, stackOutputs } from "./stack-host.mjs";
import { resourcesOf } from "./stack-state.mjs";
import { UsageError } from "./stack-target.mjs";

/**
 * Refuses to remove a stack whose host does not let us in: each of its resources would wait for the host and fail. A
 * machine on AWS is removed with all that is on it, so nobody has to ask it.
 */
export function requireHost(stack) {
  const { host, aws } = stackOutputs(stack);
  if (aws !== undefined || host?.ssh === undefined) return;
  const problem = sshProblem(host.ssh, stack);
  if (problem === undefined) return;
  const { address, port } = host.ssh;
  throw new UsageError(
    `The host ${address} of the stack "${stack.name}" cannot be reached on port ${port}, so nothing was removed: ${problem}\n` +
      "fix: start the machine, or let this one reach it (firewall, VPN, private key), and run this again\n" +
      `     If it is gone for good: npm run down -- ${stack.name} --host-is-gone`,
  );
}

/** After a removal that failed: where no `up` has ever ended well, nothing says where the host is, so it was not asked before. */
export function adviseOnHost(stack) {
  if (stack.name === "local" || stackOutputs(stack).host !== undefined) return;
  console.error(`If the stack's host is gone for good: npm run down -- ${stack.name} --host-is-gone`);
}

/**
 * Removes from a stack's state what was deployed on its host, without asking the host. What is elsewhere, such as a
 * registry's image, stays in the state, for Pulumi to remove.
 *
 * @param flags those of Pulumi
 */
export function forgetHost(stack, flags) {
  const resources = resourcesOf(stack);
  if (resources.some(({ type }) => type === "xsched-triton:index:AwsGpuHost")) {
    throw new UsageError(
      `A machine on AWS is removed with all that is on it, whether or not it can be reached.
fix: npm run down -- ${stack.name}`,
    );
  }
  const { host } = stackOutputs(stack);
  if (host !== undefined) refusePresent(host, stack);
  const folders = resources.filter(({ urn, parent }) => isFolder(urn, parent)).map(({ urn }) => urn);
  if (folders.length === 0) return;
  console.error(`Forgetting what was deployed on the host of the stack "${stack.name}"; it is not asked.`);
  const yes = flags.filter((flag) => ["--yes", "-y", "--non-interactive"].includes(flag));
  // All that is on the host depends on its folder.
  const words = ["state", "delete", ...folders, "--target-dependents", "--stack", stack.name, ...yes];
  const { status, error } = spawnSync("pulumi", words, {
    cwd: stack.root,
    env: stack.environment,
    stdio: "inherit",
  });
  if (error) throw error;
  if (status !== 0) throw new UsageError("Nothing was removed.");
}

/** Whoever forgets a host that is there leaves a server on it that nobody knows of. */
function refusePresent({ directory, ssh }, stack) {
  const present = ssh ? sshProblem(ssh, stack) === undefined : fs.existsSync(directory);
  if (!present) return;
  const found = ssh ? `${ssh.address} answers on port ${ssh.port}` : `the folder ${directory} is there`;
  const name = stack.name === "local" ? "" : ` -- ${stack.name}`;
  throw new UsageError(
    `The host of the stack "${stack.name}" is not gone: ${found}.\nfix: npm run down${name}`,
  );
}

/** Why ssh cannot run a command on a machine; undefined if it can, or if there is no ssh here to try it. */
function sshProblem(ssh, stack) {
  const { status, stderr, error } = runOverSsh(ssh, privateKey(stack), ["true"], {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (error?.code === "ENOENT") return undefined;
  if (error) throw error;
  // Another status is that of the command: we are in.
  return status === 255 ? stderr.trim().split("\n").at(-1) : undefined;
}

/** Whether a resource is the folder of a host (components/host/tritonHost.ts). */
function isFolder(urn, parent) {
  const host = parent?.split("::").at(-2)?.split("$").at(-1) === "xsched-triton:index:TritonHost";
  return host && urn.split("::").at(-1) === `${parent.split("::").at(-1)}-directory`;
}
