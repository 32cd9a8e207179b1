// `npm run bench:up -- --models N [ROUNDS]`: how long the first `npm run up` with N small Python models takes, and one
// without changes after it. Works in a folder of its own, on free ports, with the Triton of this checkout's local stack, so
// run `npm run up` once before.
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { freePorts } from "./ports.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");

/** Returns what it gets. */
export const MODEL = `import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        def answer(request):
            values = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()
            return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", values)])

        return [answer(request) for request in requests]
`;

export const CONFIG = `backend: "python"
max_batch_size: 8
input [ { name: "INPUT", data_type: TYPE_FP32, dims: [ 16 ] } ]
output [ { name: "OUTPUT", data_type: TYPE_FP32, dims: [ 16 ] } ]
instance_group [ { kind: KIND_CPU, count: 1 } ]
`;

/** Measures and prints; `rounds` of each. */
export async function benchModels(models, rounds) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-models-"));
  const host = path.join(folder, ".local/hosts/local");
  try {
    await project(folder, models);
    const first = [];
    const unchanged = [];
    for (let round = 1; round <= rounds; round++) {
      linkTriton(host);
      const row = [seconds("up", folder), seconds("up", folder), seconds("up", folder)];
      first.push(row[0]);
      unchanged.push(...row.slice(1));
      const shown = row.map((value) => value.toFixed(1)).join(", ");
      console.log(
        `${models} models: ${shown} s (first, without changes, again), load ${os.loadavg()[0].toFixed(1)}`,
      );
      seconds("down", folder);
    }
    console.log(
      `median of ${rounds}, first up: ${median(first).toFixed(1)} s; without changes: ${median(unchanged).toFixed(1)} s`,
    );
  } finally {
    spawnSync("npm", ["run", "--silent", "down"], { cwd: folder, stdio: "ignore" });
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** A copy of this checkout whose local stack has these models. */
async function project(folder, models) {
  const files = execFileSync("git", ["ls-files", "-coz", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  for (const file of files
    .split("\0")
    .filter((name) => name !== "" && fs.existsSync(path.join(ROOT, name)))) {
    fs.cpSync(path.join(ROOT, file), path.join(folder, file));
  }
  execFileSync("cp", ["-al", path.join(ROOT, "node_modules"), folder]);
  const [httpPort, grpcPort, metricsPort] = await freePorts(3);
  const entries = Array.from({ length: models }, (_, index) => {
    const name = `model-${index + 1}`;
    const source = path.join("bench-models", name);
    fs.mkdirSync(path.join(folder, source, "1"), { recursive: true });
    fs.writeFileSync(path.join(folder, source, "config.pbtxt"), CONFIG);
    fs.writeFileSync(path.join(folder, source, "1/model.py"), MODEL);
    return { name, source, priority: (index % 511) - 255 };
  });
  const config = {
    "xsched-triton:host": { kind: "local" },
    "xsched-triton:runtime": { kind: "process" },
    "xsched-triton:server": { exitTimeoutSeconds: 5, httpPort, grpcPort, metricsPort },
    "xsched-triton:models": entries,
  };
  // JSON is YAML.
  fs.writeFileSync(path.join(folder, "Pulumi.local.yaml"), JSON.stringify({ config }));
}

/** A host's folder with nothing but an installed Triton, as an earlier release had it. */
function linkTriton(host) {
  copyTriton(host);
  fs.mkdirSync(path.join(host, "bin"), { recursive: true });
  fs.writeFileSync(path.join(host, "bin/host-directory.sh"), "");
}

/** Puts this checkout's Triton into a host's folder. */
export function copyTriton(host) {
  const installed = path.join(ROOT, ".local/hosts/local/runtime");
  if (!fs.existsSync(installed)) throw new Error("there is no Triton to copy\nfix: npm run up");
  fs.mkdirSync(host, { recursive: true });
  execFileSync("cp", ["-al", installed, host]);
}

function seconds(command, folder) {
  const started = process.hrtime.bigint();
  const { status, stdout, stderr, error } = spawnSync("npm", ["run", "--silent", command], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 1024 ** 3,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`npm run ${command} failed:\n${stdout}${stderr}`);
  return Number(process.hrtime.bigint() - started) / 1e9;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
