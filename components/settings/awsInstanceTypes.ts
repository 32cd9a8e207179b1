import { computeCapabilities, releasesFor } from "../image/tritonReleases";
import { GPU_INSTANCES } from "./generated/gpuInstances";

/*
 * EC2 instance types with an accelerator, and which of them a release of Triton can use.
 * Compute capabilities: https://developer.nvidia.com/cuda-gpus
 */

/**
 * NVIDIA's drivers. The open kernel modules need Turing or newer; only they are on the AMI that is used by default:
 * https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/kernel-modules.html
 * A fraction of a GPU needs the driver for virtual GPUs:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/install-nvidia-driver.html
 */
export type GpuDriver = "open" | "proprietary" | "vGPU (GRID)";

/** A family of instance types with NVIDIA GPUs on x86-64. */
export interface GpuFamily {
  readonly gpu: string;
  /** As NVIDIA writes it without the point: 75 is sm_75. */
  readonly computeCapability: number;
  readonly driver: GpuDriver;
  /** How many GPUs an instance can have; 0 is a fraction of one. */
  readonly counts: readonly number[];
  readonly sizes: readonly string[];
}

type Gpu = (typeof GPU_INSTANCES)[keyof typeof GPU_INSTANCES]["gpu"];

/** A GPU that EC2 has and that is missing here does not compile. */
const COMPUTE_CAPABILITIES: Readonly<Record<Gpu, number>> = {
  V100: 70,
  T4: 75,
  A100: 80,
  A10G: 86,
  L4: 89,
  L40S: 89,
  H100: 90,
  H200: 90,
  B200: 100,
  B300: 103,
  "RTX PRO 4500": 120,
  "RTX PRO Server 6000": 120,
};

/** The first generation that the open kernel modules drive: Turing. */
const FIRST_WITH_OPEN_DRIVER = 75;

export const GPU_FAMILIES: Readonly<Record<string, GpuFamily>> = Object.fromEntries(
  Object.entries(GPU_INSTANCES)
    .map(([family, { gpu, whole, counts, sizes }]): [string, GpuFamily] => {
      const computeCapability = COMPUTE_CAPABILITIES[gpu];
      const driver = computeCapability < FIRST_WITH_OPEN_DRIVER ? "proprietary" : "open";
      return [family, { gpu, computeCapability, driver: whole ? driver : "vGPU (GRID)", counts, sizes }];
    })
    .sort(([, one], [, other]) => one.computeCapability - other.computeCapability),
);

/** Families that look usable, and why they are not. */
const OTHER_ACCELERATORS: Readonly<Record<string, string>> = {
  p3: "is no longer offered by AWS",
  g4ad: "has AMD GPUs",
  g5g: "has Arm processors, and the image is for x86-64",
  g3: "has M60 GPUs, which are older than Triton's TensorRT supports",
  g3s: "has an M60 GPU, which is older than Triton's TensorRT supports",
  p2: "has K80 GPUs, which are older than Triton's TensorRT supports",
  dl1: "has Gaudi accelerators",
  dl2q: "has Qualcomm accelerators",
  inf1: "has Inferentia accelerators",
  inf2: "has Inferentia accelerators",
  trn1: "has Trainium accelerators",
  trn1n: "has Trainium accelerators",
  trn2: "has Trainium accelerators",
  vt1: "has video transcoders",
};

/** The name of an instance type's family: `g5` of `g5.xlarge`. */
export function familyOf(instanceType: string): string {
  return instanceType.split(".")[0] ?? "";
}

/** The family of an instance type; undefined if it has no NVIDIA GPUs on x86-64. */
export function gpuFamily(instanceType: string): GpuFamily | undefined {
  const family = familyOf(instanceType);
  return Object.hasOwn(GPU_FAMILIES, family) ? GPU_FAMILIES[family] : undefined;
}

/** Why an instance type that looks usable is not. */
export function otherAccelerator(instanceType: string): string | undefined {
  const family = familyOf(instanceType);
  return Object.hasOwn(OTHER_ACCELERATORS, family) ? OTHER_ACCELERATORS[family] : undefined;
}

/** Whether an instance type exists and has NVIDIA GPUs on x86-64. */
export function isGpuType(instanceType: string): boolean {
  const size = instanceType.slice(familyOf(instanceType).length + 1);
  return gpuFamily(instanceType)?.sizes.includes(size) ?? false;
}

/** The listed releases of Triton that support the GPUs of an instance type, oldest first. */
export function releasesOn(instanceType: string): readonly string[] {
  return releasesFor(gpuFamily(instanceType)?.computeCapability ?? 0);
}

/** Names of the families whose GPUs a release supports; all of them if nothing is known of the release. */
export function familiesFor(release: string): readonly string[] {
  const supported = computeCapabilities(release);
  return Object.entries(GPU_FAMILIES)
    .filter(([, { computeCapability }]) => supported?.includes(computeCapability) ?? true)
    .map(([family]) => family);
}
