import assert from "node:assert/strict";

import {
  computeCapabilities,
  factsOf,
  PATCHED_RELEASE,
  RELEASES,
  releaseOf,
  releasesFor,
  TRITON_RELEASES,
} from "../../../components/image/tritonReleases";

describe("the table of Triton's releases", () => {
  it("lists each once, oldest first, with its sources", () => {
    assert.deepEqual(RELEASES, [...new Set(RELEASES)].sort());
    assert.equal(RELEASES[0], PATCHED_RELEASE);
    for (const [release, { sources, gpus, cuda, driver }] of Object.entries(TRITON_RELEASES)) {
      assert.match(release, /^\d\d\.(0[1-9]|1[0-2])$/);
      assert.ok(sources.length >= 2, release);
      for (const source of sources) {
        assert.match(
          source,
          /^https:\/\/(docs\.nvidia\.com|github\.com\/(NVIDIA|triton-inference-server))\//,
        );
      }
      assert.ok(gpus.length > 0);
      // https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
      const [major = ""] = cuda.split(".");
      assert.ok(driver >= { 11: 450, 12: 525, 13: 580 }[Number(major)]!, release);
    }
  });

  it("takes a release that is not listed for the newest one before it", () => {
    assert.equal(factsOf("22.05"), undefined);
    assert.equal(factsOf("22.08"), TRITON_RELEASES["22.06"]);
    assert.equal(factsOf("24.11"), TRITON_RELEASES["24.10"]);
    assert.equal(factsOf("99.12"), TRITON_RELEASES[RELEASES.at(-1)!]);
  });

  it("knows which GPUs each supports", () => {
    assert.deepEqual(computeCapabilities("22.06"), [60, 61, 70, 75, 80, 86]);
    assert.ok(!computeCapabilities("22.12")?.includes(89));
    assert.ok(computeCapabilities("23.04")?.includes(89));
    assert.ok(computeCapabilities("24.12")?.includes(70));
    assert.ok(!computeCapabilities("25.01")?.includes(70));
    assert.equal(releasesFor(100)[0], "25.01");
    assert.deepEqual(releasesFor(35), []);
  });

  it("reads a release from the name of an image", () => {
    for (const [image, release] of [
      ["nvcr.io/nvidia/tritonserver:22.06-py3", "22.06"],
      ["tritonserver:24.10", "24.10"],
      [`mirror:5000/a/tritonserver:26.09-py3@sha256:${"a".repeat(64)}`, "26.09"],
      ["nvcr.io/nvidia/my-tritonserver:24.10-py3", undefined],
      ["nvcr.io/nvidia/tritonserver:latest", undefined],
      [`nvcr.io/nvidia/tritonserver@sha256:${"a".repeat(64)}`, undefined],
      [undefined, undefined],
    ] as const) {
      assert.equal(releaseOf(image), release, image);
    }
  });
});
