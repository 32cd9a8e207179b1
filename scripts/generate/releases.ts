import {
  computeCapabilities,
  factsOf,
  glibcOf,
  RELEASES,
  TRITON_RELEASES,
} from "../../components/image/tritonReleases";

function gpusOf(release: string): readonly string[] {
  return computeCapabilities(release)?.map((each) => `${Math.floor(each / 10)}.${each % 10}`) ?? [];
}

/** What the image's entrypoint knows of the releases of Triton. */
export function releasesForEntrypoint(): string {
  return [
    "# Written by `npm run generate` from components/image/tritonReleases.ts, which has the sources. Of each release of Triton:",
    "# the oldest branch of NVIDIA's driver, and the compute capabilities of the GPUs that it supports.",
    ...RELEASES.map((release) => [release, factsOf(release)?.driver, ...gpusOf(release)].join(" ")),
    "",
  ].join("\n");
}

/** The table of the releases for people. */
export function releasesDocumentation(): string {
  const rows = Object.entries(TRITON_RELEASES).map(([release, facts]) => {
    const { cuda, tensorRt = "–", ubuntu, gpus, driver, sources } = facts;
    const links = sources.map((source, index) => `[${index + 1}](${source})`).join(" ");
    return [release, cuda, tensorRt, `${ubuntu}, ${glibcOf(ubuntu)}`, gpus.join(", "), driver, links];
  });
  const heads = ["Triton", "CUDA", "TensorRT", "Ubuntu, glibc", "GPUs", "driver, at least", "sources"];
  return [
    "<!-- Written by `npm run generate` from components/image/tritonReleases.ts. -->",
    "",
    "# Releases of Triton",
    "",
    "What NVIDIA's images contain and run on. The settings and the image's entrypoint are checked against this table; a release that is",
    "not in it is taken for the newest one before it. The driver is the oldest branch without the image's compatibility package, with",
    "which GPUs in data centers run on some older ones. A dash: no source of NVIDIA's was found for the image `-py3`.",
    "",
    ...[heads, heads.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`),
    "",
  ].join("\n");
}
