/*
 * What NVIDIA's images of Triton contain and run on: the one table that settings, hosts and the image's entrypoint (through
 * `npm run generate`) are checked against. A release that is not listed is taken for the newest one listed before it.
 *
 * Of each release, `notes` are NVIDIA's release notes, which say CUDA, driver and GPUs, and `build` is the script that
 * builds the image, which says Ubuntu. Where neither could be found, the release is left out.
 */

/** Generations of NVIDIA's GPUs for data centers, with their compute capabilities, 75 being sm_75: https://developer.nvidia.com/cuda-gpus */
const COMPUTE_CAPABILITIES = {
  Pascal: [60, 61],
  Volta: [70],
  Turing: [75],
  Ampere: [80, 86],
  "Ada Lovelace": [89],
  Hopper: [90],
  Blackwell: [100, 103, 120],
} as const;

export type GpuGeneration = keyof typeof COMPUTE_CAPABILITIES;

/** The C library of each Ubuntu: https://packages.ubuntu.com/search?keywords=libc6&searchon=names&exact=1 */
const GLIBC = { "20.04": "2.31", "22.04": "2.35", "24.04": "2.39" } as const;

export type Ubuntu = keyof typeof GLIBC;

export interface TritonRelease {
  readonly cuda: string;
  /** Absent where no source of NVIDIA's for the image `-py3` was found. */
  readonly tensorRt?: string;
  readonly ubuntu: Ubuntu;
  readonly gpus: readonly GpuGeneration[];
  /**
   * Oldest branch of NVIDIA's driver, without the image's package for compatibility with older ones. The notes of releases
   * with CUDA 13 repeat an older branch, or none; there, it is CUDA's:
   * https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
   */
  readonly driver: number;
  readonly sources: readonly string[];
}

const TO_AMPERE: readonly GpuGeneration[] = ["Pascal", "Volta", "Turing", "Ampere"];
const FROM_TURING: readonly GpuGeneration[] = ["Turing", "Ampere", "Ada Lovelace", "Hopper", "Blackwell"];

const NOTES = "https://docs.nvidia.com/deeplearning/triton-inference-server/release-notes";
const SERVER = "https://github.com/triton-inference-server/server/blob";
const notes = (name: string): string => `${NOTES}/${name}.html`;
const build = (tag: string): string => `${SERVER}/${tag}/build.py`;

/** Oldest first. */
export const TRITON_RELEASES: Readonly<Record<string, TritonRelease>> = {
  "22.06": {
    cuda: "11.7.1",
    tensorRt: "8.2.5.1",
    ubuntu: "20.04",
    gpus: TO_AMPERE,
    driver: 515,
    sources: [notes("rel_22-06"), build("v2.23.0"), "https://github.com/NVIDIA/TensorRT/issues/2727"],
  },
  "22.09": {
    cuda: "11.8.0",
    ubuntu: "20.04",
    gpus: [...TO_AMPERE, "Hopper"],
    driver: 520,
    sources: [notes("rel-22-09"), build("v2.26.0")],
  },
  "23.04": {
    cuda: "12.1.0",
    ubuntu: "20.04",
    gpus: [...TO_AMPERE, "Ada Lovelace", "Hopper"],
    driver: 530,
    sources: [notes("rel-23-04"), build("v2.33.0")],
  },
  "24.08": {
    cuda: "12.6",
    tensorRt: "10.3.0.26",
    ubuntu: "22.04",
    gpus: [...TO_AMPERE, "Ada Lovelace", "Hopper"],
    driver: 560,
    sources: [`${SERVER}/766932158/docs/introduction/release_notes.md`, build("v2.49.0")],
  },
  "24.10": {
    cuda: "12.6.2",
    tensorRt: "10.5.0.18",
    ubuntu: "22.04",
    gpus: [...TO_AMPERE, "Ada Lovelace", "Hopper"],
    driver: 560,
    sources: [notes("rel-24-10"), `${SERVER}/c89a66f2a/docs/introduction/release_notes.md`, build("v2.51.0")],
  },
  "24.12": {
    cuda: "12.6.3",
    tensorRt: "10.7.0.23",
    ubuntu: "24.04",
    gpus: [...TO_AMPERE, "Ada Lovelace", "Hopper"],
    driver: 560,
    sources: [`${SERVER}/v2.53.0/docs/introduction/release_notes.md`, build("v2.53.0")],
  },
  "25.01": {
    cuda: "12.8.0",
    ubuntu: "24.04",
    gpus: FROM_TURING,
    driver: 560,
    sources: [notes("rel-25-01"), build("v2.54.0")],
  },
  "25.06": {
    cuda: "12.9.1",
    ubuntu: "24.04",
    gpus: FROM_TURING,
    driver: 575,
    sources: [notes("rel-25-06"), build("v2.59.0")],
  },
  "25.08": {
    cuda: "13.0.0",
    ubuntu: "24.04",
    gpus: FROM_TURING,
    driver: 580,
    sources: [notes("rel-25-08"), build("v2.60.0")],
  },
  "26.02": {
    cuda: "13.1.1",
    ubuntu: "24.04",
    gpus: FROM_TURING,
    driver: 580,
    sources: [notes("rel-26-02"), build("v2.66.0")],
  },
  "26.04": {
    cuda: "13.2.1",
    ubuntu: "24.04",
    gpus: FROM_TURING,
    driver: 580,
    sources: [notes("rel-26-04"), build("v2.68.0")],
  },
  "26.06": {
    cuda: "13.3.0",
    ubuntu: "24.04",
    gpus: FROM_TURING,
    driver: 580,
    sources: [notes("rel-26-06"), build("v2.70.0")],
  },
  "26.09": {
    cuda: "13.4.1",
    ubuntu: "24.04",
    gpus: FROM_TURING,
    driver: 580,
    // The branch of the release has no tag in what we could read.
    sources: [notes("rel-26-09"), build("e1db8a603")],
  },
};

/** The release that the patched image is made of. */
export const PATCHED_RELEASE = "22.06";

/** The releases that are listed, oldest first. */
export const RELEASES: readonly string[] = Object.keys(TRITON_RELEASES);

/** What is known of a release: what the newest one says that is listed and not newer. Undefined for an older one. */
export function factsOf(release: string): TritonRelease | undefined {
  return TRITON_RELEASES[RELEASES.findLast((each) => each <= release) ?? ""];
}

/** Compute capabilities of the GPUs that a release supports; undefined if that is not known. */
export function computeCapabilities(release: string): readonly number[] | undefined {
  return factsOf(release)?.gpus.flatMap((generation) => COMPUTE_CAPABILITIES[generation]);
}

/** The releases that are listed and support a compute capability, oldest first. */
export function releasesFor(computeCapability: number): readonly string[] {
  return RELEASES.filter((release) => computeCapabilities(release)?.includes(computeCapability));
}

/** The version of an Ubuntu's C library; undefined for one that no release is built on. */
export function glibcOf(ubuntu: string): string | undefined {
  return Object.hasOwn(GLIBC, ubuntu) ? GLIBC[ubuntu as Ubuntu] : undefined;
}

/** The release that an image is of, if its name says so as NVIDIA's do: `…/tritonserver:YY.MM-py3`. */
export function releaseOf(image: unknown): string | undefined {
  return typeof image === "string"
    ? /(?:^|\/)tritonserver:([0-9]{2}\.[0-9]{2})\b/.exec(image)?.[1]
    : undefined;
}
