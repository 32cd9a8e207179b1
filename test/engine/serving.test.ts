import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { parse } from "yaml";

import { renderModelConfig } from "../../components/models/config";
import { execute, type Finished, requireSuccess } from "./workspace";

const SERVING = path.resolve(__dirname, "../../examples/serving");

/** Two layers with all operators, run in ONNX's own reference implementation. */
const EVALUATE = `
import json, sys
import numpy as np, onnx
from onnx.reference import ReferenceEvaluator

model = onnx.load(sys.argv[1])
evaluator = ReferenceEvaluator(model)

def logits(ids, kept):
    mask = np.zeros(ids.shape, np.int32)
    mask[:, :kept] = 1
    inputs = {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": mask}
    return evaluator.run(None, inputs)[0]

ids = np.arange(32, dtype=np.int32)[None]
other = ids.copy()
other[0, 20] = 99
both = logits(np.concatenate([ids, other, ids]), 32)
alone = np.concatenate([logits(ids, 32), logits(other, 32), logits(ids, 32)])
print(json.dumps({
    "opset": model.opset_import[0].version,
    "operators": sorted({node.op_type for node in model.graph.node}),
    "inputs": [[dim.dim_param or dim.dim_value for dim in of.type.tensor_type.shape.dim] for of in model.graph.input],
    "shape": logits(ids, 32).shape,
    "batch": both.shape,
    "apart": float(abs(both - alone).max()),
    "finite": bool(np.isfinite(logits(ids, 32)).all()),
    "seen": float(abs(logits(ids, 32) - logits(other, 32))[:, :16].max()),
    "masked": float(abs(logits(ids, 16) - logits(other, 16))[:, :16].max()),
}))
`;

describe("the serving example", () => {
  let folder: string;

  const python = (...words: string[]): Promise<Finished> =>
    execute(path.join(folder, "python/bin/python"), words, folder);

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-serving-"));
    const made = await execute("python3", ["-m", "venv", path.join(folder, "python")], folder);
    requireSuccess(made);
    const words = [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--require-hashes",
      "--requirement",
      path.join(SERVING, "requirements.txt"),
    ];
    const { code, output } = await python(...words);
    requireSuccess({ code, output });
  });

  after(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("writes a BERT whose answers depend on the unmasked tokens, in operators that TensorRT 8.2 supports", async () => {
    const small = [
      "--layers",
      "2",
      "--hidden",
      "64",
      "--heads",
      "4",
      "--vocabulary",
      "100",
      "--sequence",
      "32",
    ];
    const written = await python(path.join(SERVING, "write_bert.py"), "1", ...small);
    requireSuccess(written);
    const { code, output } = await python("-c", EVALUATE, path.join(folder, "1/model.onnx"));
    requireSuccess({ code, output });
    const found = JSON.parse(output) as Record<string, unknown> & { seen: number; apart: number };
    assert.ok(found.seen > 1e-6, output);
    assert.ok(found.apart < 1e-5, `each text of a batch has its own answer: ${output}`);
    assert.deepEqual(
      { ...found, seen: 0, apart: 0 },
      {
        ...{ opset: 13, operators: OPERATORS, shape: [1, 32, 2], finite: true, seen: 0, masked: 0 },
        ...{ inputs: Array(3).fill(["batch", 32]), batch: [3, 32, 2], apart: 0 },
      },
    );
  });

  it("refuses impossible sizes", async () => {
    const { code, output } = await python(
      path.join(SERVING, "write_bert.py"),
      "2",
      "--hidden",
      "100",
      "--heads",
      "16",
    );
    assert.equal(code, 2);
    assert.match(output, /--heads is 16; it must divide --hidden, 100/);
    assert.ok(!fs.existsSync(path.join(folder, "2")));
  });

  it("has the same three models on both stacks, with the same inputs and outputs", () => {
    const models = (stack: string) =>
      (
        parse(fs.readFileSync(path.join(SERVING, `models.${stack}.yaml`), "utf8")) as Record<
          string,
          { name: string; priority: string; source: string }[]
        >
      )["xsched-triton:models"]!;
    const classes = (stack: string) => models(stack).map(({ name, priority }) => [name, priority]);
    assert.deepEqual(classes("local"), [
      ["bert-high", "max"],
      ["bert-norm", "default"],
      ["bert-low", "min"],
    ]);
    assert.deepEqual(classes("dev"), classes("local"));
    const tensors = (stack: string) => {
      const { name, source } = models(stack)[0]!;
      const text = fs.readFileSync(path.resolve(SERVING, "../..", source, "config.pbtxt"), "utf8");
      const rendered = renderModelConfig(text, { name, source, priority: 255 });
      return rendered.slice(
        rendered.indexOf("max_batch_size"),
        rendered.indexOf("\n]", rendered.indexOf("output [")),
      );
    };
    assert.equal(tensors("dev"), tensors("local"));
  });

  it("builds one engine, for every batch that the model takes", () => {
    const text = fs.readFileSync(path.join(SERVING, "models/bert-large/config.pbtxt"), "utf8");
    const [, most] = /^max_batch_size: (\d+)$/m.exec(text) ?? [];
    const inputs = [...text.slice(0, text.indexOf("output [")).matchAll(/name: "(\w+)"/g)].map(
      ([, name]) => name,
    );
    assert.deepEqual([most, inputs.length], ["8", 3]);
    const { "xsched-triton:models": models } = parse(
      fs.readFileSync(path.join(SERVING, "models.dev.yaml"), "utf8"),
    ) as Record<string, { engine: unknown }[]>;
    for (const { engine } of models!) {
      assert.deepEqual(engine, {
        precision: "fp16",
        shapes: inputs.map((input) => ({ input, min: [1, 384], opt: [1, 384], max: [Number(most), 384] })),
      });
    }
  });
});

/** All of them are on the list of TensorRT 8.2's ONNX parser. */
const OPERATORS = [
  "Add",
  "Cast",
  "Div",
  "Erf",
  "Gather",
  "Identity",
  "MatMul",
  "Mul",
  "ReduceMean",
  "Reshape",
  "Softmax",
  "Sqrt",
  "Sub",
  "Transpose",
];
