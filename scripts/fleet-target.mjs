// A fleet (TritonFleet) that a program in another folder has deployed: what its stack's state says of it, and its cluster,
// which kubectl asks as the stack's provider does.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { MAX_STATE_BYTES, UsageError } from "./stack-target.mjs";
import { ensureTools } from "./toolchain.mjs";

const FOLDER = "--cwd=";

/** Takes `--cwd=FOLDER` from the words of a command: the folder of the program, or undefined, and the other words. */
export function takeFolder(words) {
  const given = words.findLast((word) => word.startsWith(FOLDER))?.slice(FOLDER.length);
  const others = words.filter((word) => !word.startsWith(FOLDER));
  // npm runs its scripts in this repository.
  const folder = given === undefined ? undefined : path.resolve(process.env.INIT_CWD ?? "", given);
  if (folder !== undefined && !fs.existsSync(path.join(folder, "Pulumi.yaml"))) {
    throw new UsageError(
      `${folder} has no Pulumi.yaml.\nfix: give the folder of the fleet's program: ${FOLDER}…`,
    );
  }
  return { folder, words: others };
}

/**
 * The fleet of a stack, a `DeployedFleet` (triton/deployedFleet.ts). Its `close` removes what it has written.
 *
 * @throws UsageError if there is none, or several
 */
export async function openFleet(folder, stack) {
  const { path: tools } = await ensureTools();
  const env = {
    ...process.env,
    PATH: [tools, process.env.PATH].join(path.delimiter),
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const words = ["--stack", stack, "--cwd", folder, "--non-interactive"];
  const { deployment } = JSON.parse(run("pulumi", ["stack", "export", "--show-secrets", ...words], env));
  const resources = deployment.resources ?? [];
  const fleets = resources.filter(({ type }) => type === "xsched-triton:index:TritonFleet");
  if (fleets.length !== 1) {
    const names = fleets.map(({ urn }) => urn.split("::").at(-1));
    throw new UsageError(
      fleets.length === 0
        ? `The stack "${stack}" in ${folder} has no fleet.\nfix: pulumi up --stack ${stack} --cwd ${folder}`
        : `The stack "${stack}" in ${folder} has several fleets: ${names.join(", ")}.\nfix: give each a stack of its own, or use kubectl`,
    );
  }
  const parts = resources.filter(({ parent }) => parent === fleets[0].urn);
  // Its guard is another one.
  const called = fleets[0].urn.split("::").at(-1);
  const made = parts.find(({ urn }) => urn.endsWith(`$kubernetes:apps/v1:Deployment::${called}`));
  if (made === undefined) {
    throw new UsageError(
      `The fleet of the stack "${stack}" has not been deployed to its end.\nfix: pulumi up --stack ${stack} --cwd ${folder}`,
    );
  }
  const provider = resources.find(({ urn, id }) => `${urn}::${id}` === made.provider)?.inputs ?? {};
  const { words: access, close } = accessOf(provider);
  const kubectl = (...given) => run("kubectl", [...access, ...given], env);
  const { name, namespace } = made.outputs.metadata;
  return {
    stack,
    folder,
    name,
    namespace,
    get: (place) => JSON.parse(kubectl("get", "--raw", place)),
    text: (place) => kubectl("get", "--raw", place),
    kubectl: (given, input) =>
      spawnSync("kubectl", [...access, ...given], {
        env,
        input,
        encoding: "utf8",
        maxBuffer: MAX_STATE_BYTES,
      }),
    // Ctrl-C is for this process alone, which has to tidy up first.
    startKubectl: (given) =>
      spawn("kubectl", [...access, ...given], { env, stdio: ["ignore", "pipe", "pipe"], detached: true }),
    change: (configMap, data) => {
      const patch = JSON.stringify({ data });
      kubectl("patch", "configmap", configMap, "--namespace", namespace, "--type", "merge", "--patch", patch);
      // So that Pulumi knows, and the next `up` puts it back.
      const values = parts.find(
        ({ type, outputs }) =>
          type === "kubernetes:core/v1:ConfigMapPatch" && outputs.metadata.name === configMap,
      );
      const target = values === undefined ? [] : ["--target", values.urn];
      run("pulumi", ["refresh", "--yes", "--skip-preview", ...target, ...words], env);
    },
    close,
  };
}

/** How kubectl reaches the cluster of a provider with these inputs. */
function accessOf({ kubeconfig, context, cluster }) {
  const chosen = [
    ...(context === undefined ? [] : ["--context", context]),
    ...(cluster === undefined ? [] : ["--cluster", cluster]),
  ];
  if (kubeconfig === undefined) return { words: chosen, close: () => {} };
  const text = plain(kubeconfig);
  // A file's path, or what is in one.
  if (!text.trimStart().startsWith("{") && !text.includes("\n")) {
    return { words: ["--kubeconfig", text, ...chosen], close: () => {} };
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-fleet-"));
  const file = path.join(folder, "kubeconfig");
  fs.writeFileSync(file, text, { mode: 0o600 });
  return {
    words: ["--kubeconfig", file, ...chosen],
    close: () => fs.rmSync(folder, { recursive: true, force: true }),
  };
}

/** A secret's text in an exported state; any other value as it is. */
function plain(value) {
  return typeof value === "object" && typeof value.plaintext === "string"
    ? JSON.parse(value.plaintext)
    : value;
}

function run(program, words, env) {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    env,
    encoding: "utf8",
    maxBuffer: MAX_STATE_BYTES,
  });
  if (error?.code === "ENOENT") {
    throw new UsageError(`${program} is not installed.\nfix: https://kubernetes.io/docs/tasks/tools/`);
  }
  if (error) throw error;
  if (status !== 0) {
    const reason = (stderr.trim() || stdout.trim()).replace(/^error: /, "");
    throw new UsageError(`${program} ${words.slice(0, 2).join(" ")} has failed: ${reason}`);
  }
  return stdout;
}
