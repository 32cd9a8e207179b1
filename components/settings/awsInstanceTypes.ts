import { computeCapabilities, releasesFor } from "../image/tritonReleases";

/*
 * EC2 instance types with an accelerator, and which of them a release of Triton can use.
 * Sizes: https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
 * of g7 and g7e also https://github.com/kubernetes/autoscaler/issues/9854
 * Compute capabilities: https://developer.nvidia.com/cuda-gpus
 */

/** A family of instance types with NVIDIA GPUs on x86-64. */
export interface GpuFamily {
  readonly gpu: string;
  /** As NVIDIA writes it without the point: 75 is sm_75. */
  readonly computeCapability: number;
  /**
   * Kernel modules that drive the GPU. The open ones need Turing or newer, and only they are on the AMI that is used by
   * default: https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/kernel-modules.html
   */
  readonly driver: "open" | "proprietary";
  readonly sizes: readonly string[];
}

const ONE_TO_48 = ["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"];

const G7_SIZES = ["2xlarge", "4xlarge", "8xlarge", "12xlarge", "24xlarge", "48xlarge"];

export const GPU_FAMILIES: Readonly<Record<string, GpuFamily>> = {
  g4dn: {
    gpu: "T4",
    computeCapability: 75,
    driver: "open",
    sizes: ["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "metal"],
  },
  g5: { gpu: "A10G", computeCapability: 86, driver: "open", sizes: ONE_TO_48 },
  p4d: { gpu: "A100", computeCapability: 80, driver: "open", sizes: ["24xlarge"] },
  p4de: { gpu: "A100", computeCapability: 80, driver: "open", sizes: ["24xlarge"] },
  p3: {
    gpu: "V100",
    computeCapability: 70,
    driver: "proprietary",
    sizes: ["2xlarge", "8xlarge", "16xlarge"],
  },
  p3dn: { gpu: "V100", computeCapability: 70, driver: "proprietary", sizes: ["24xlarge"] },
  g6: { gpu: "L4", computeCapability: 89, driver: "open", sizes: ONE_TO_48 },
  gr6: { gpu: "L4", computeCapability: 89, driver: "open", sizes: ["4xlarge", "8xlarge"] },
  g6e: { gpu: "L40S", computeCapability: 89, driver: "open", sizes: ONE_TO_48 },
  p5: { gpu: "H100", computeCapability: 90, driver: "open", sizes: ["4xlarge", "48xlarge"] },
  p5e: { gpu: "H200", computeCapability: 90, driver: "open", sizes: ["48xlarge"] },
  p5en: { gpu: "H200", computeCapability: 90, driver: "open", sizes: ["48xlarge"] },
  g7: { gpu: "RTX PRO 4500", computeCapability: 120, driver: "open", sizes: G7_SIZES },
  g7e: { gpu: "RTX PRO 6000", computeCapability: 120, driver: "open", sizes: G7_SIZES },
  "p6-b200": { gpu: "B200", computeCapability: 100, driver: "open", sizes: ["48xlarge"] },
  "p6-b300": { gpu: "B300", computeCapability: 103, driver: "open", sizes: ["48xlarge"] },
};

/** Families that look usable, and why they are not. */
const OTHER_ACCELERATORS: Readonly<Record<string, string>> = {
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
