import { computeCapabilities, RELEASES, TRITON_RELEASES } from "../../components/image/tritonReleases";

/** What the image's entrypoint knows of the releases of Triton. */
export function releasesForEntrypoint(): string {
  const lines = RELEASES.map((release) => {
    const gpus = computeCapabilities(release)?.map((each) => `${Math.floor(each / 10)}.${each % 10}`) ?? [];
    return [release, TRITON_RELEASES[release]?.driver, ...gpus].join(" ");
  });
  return [
    "# Written by `npm run generate` from components/image/tritonReleases.ts, which has the sources. Of each release of Triton:",
    "# the oldest branch of NVIDIA's driver, and the compute capabilities of the GPUs that it supports.",
    ...lines,
    "",
  ].join("\n");
}
