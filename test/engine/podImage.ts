import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { linkTriton } from "./ready";
import { execute, requireSuccess } from "./processes";

const ROOT = path.resolve(__dirname, "../..");

/** What is in a pod's image, and on its node: a real Triton for the CPU, this project's part, and a simulated GPU. */
export interface PodImage {
  /** Folder of the runtime: Triton and its Python. */
  readonly triton: string;
  /** In place of the image's `/opt/xsched`. */
  readonly xsched: string;
  /** The library of the simulated driver. */
  readonly driver: string;
  /** A folder with stand-ins for nvidia-smi, and for the trtexec of a builder's image. */
  readonly tools: string;
  readonly remove: () => void;
}

/** Builds what images/triton/Dockerfile puts into an image of the variant `hooked`. */
export async function makePodImage(): Promise<PodImage> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-image-"));
  const xsched = path.join(folder, "xsched");
  const built = await execute("bash", [path.join(ROOT, "native/package.sh"), xsched], folder);
  requireSuccess(built);
  for (const file of ["entrypoint.sh", "healthcheck.sh"]) {
    fs.copyFileSync(path.join(ROOT, "images/triton", file), path.join(xsched, "bin", file));
    fs.chmodSync(path.join(xsched, "bin", file), 0o755);
  }
  fs.copyFileSync(path.join(ROOT, "images/triton/releases.txt"), path.join(xsched, "releases.txt"));
  const source = path.join(ROOT, "native/http_status/http_status.cc");
  requireSuccess(await execute("g++", ["-o", path.join(xsched, "bin/http-status"), source], folder));
  const tools = path.join(folder, "tools");
  fs.mkdirSync(tools);
  fs.copyFileSync(path.join(ROOT, "test/fixtures/simulatedGpu/nvidia-smi"), path.join(tools, "nvidia-smi"));
  fs.copyFileSync(path.join(ROOT, "test/fixtures/engineBuilder/image/trtexec"), path.join(tools, "trtexec"));
  await linkTriton(folder);
  const runtime = path.join(folder, "runtime");
  const triton = path.join(runtime, fs.readdirSync(runtime)[0] ?? "");
  const tensorrt = path.join(triton, "tritonserver/backends/tensorrt");
  fs.mkdirSync(tensorrt);
  fs.copyFileSync(path.join(ROOT, "test/fixtures/tensorrtBackend/model.py"), path.join(tensorrt, "model.py"));
  return {
    triton,
    xsched,
    driver: built.output.trim().split("\n").at(-1) ?? "",
    tools,
    remove: () => {
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}
