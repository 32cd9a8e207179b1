import assert from "node:assert/strict";

import { engineOptions } from "../../../components/models/engine";

describe("engineOptions", () => {
  it("writes one option per line, each shape with its three sizes", () => {
    assert.equal(
      engineOptions({
        precision: "fp16",
        workspaceMiB: 4096,
        builder: "nvcr.io/nvidia/tensorrt:22.06-py3",
        shared: "s3://team/engines",
        shapes: [
          { input: "input_ids", min: [1, 384], opt: [4, 384], max: [8, 384] },
          { input: "length", min: [1], opt: [4], max: [8] },
        ],
      }),
      "builder nvcr.io/nvidia/tensorrt:22.06-py3\nprecision fp16\nworkspaceMiB 4096\nshared s3://team/engines\n" +
        "shape input_ids 1x384 4x384 8x384\nshape length 1 4 8\n",
    );
  });
});
