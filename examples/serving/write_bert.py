#!/usr/bin/env python3
"""Writes a BERT-shaped ONNX model with random weights, as a model version for Triton.

    python3 write_bert.py models/bert-large/1

The defaults give BERT-large with a question-answering head: 24 layers of width 1024, 16 heads, sequence
length 384, any batch size; 335 million parameters, 1.3 GB. The time of an inference does not depend on the
values of the weights. The answers mean nothing.

The model uses ONNX opset 13, which TensorRT 8.2 (Triton 22.06) supports. The weights are stored as FP32 in
a file next to model.onnx; TensorRT converts them to FP16 where it is allowed to.
"""

import argparse
import math
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

OPSET = 13
# The version of the file format that belongs to that opset.
IR_VERSION = 7
WEIGHTS = "weights.bin"
# ONNX wants the tensors in a file of external data to be page-aligned.
ALIGNMENT = 4096
# Added to the scores of masked tokens: far below any score, and finite in FP16.
MASKED = -10000.0
# The name of the extent that each request decides.
BATCH = "batch"
# An extent that Reshape takes from its input.
AS_BEFORE = 0


class Bert:
    """The graph, and the file that its weights are written to while it is built."""

    def __init__(self, arguments, weights):
        self.sizes = arguments
        self.weights = weights
        self.random = np.random.default_rng(arguments.seed)
        self.nodes, self.initializers = [], []
        self.constants = {}

    def weight(self, name, *shape, mean=0.0, deviation=0.02):
        """A tensor of normally distributed values, as in BERT's own initialisation."""
        values = self.random.standard_normal(shape, dtype=np.float32) * np.float32(deviation) + np.float32(
            mean
        )
        self.weights.seek(-(-self.weights.tell() // ALIGNMENT) * ALIGNMENT)
        tensor = TensorProto(
            name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL
        )
        places = {"location": WEIGHTS, "offset": self.weights.tell(), "length": values.nbytes}
        for key, value in places.items():
            tensor.external_data.add(key=key, value=str(value))
        self.weights.write(values.astype("<f4", copy=False).data)
        self.initializers.append(tensor)
        return name

    def constant(self, value, data_type=TensorProto.FLOAT):
        """A small tensor stored in the model itself; equal values share one."""
        key = (str(value), data_type)
        if key not in self.constants:
            name = f"constant_{len(self.constants)}"
            shape = np.shape(value)
            tensor = helper.make_tensor(name, data_type, shape, np.ravel(value).tolist())
            self.initializers.append(tensor)
            self.constants[key] = name
        return self.constants[key]

    def node(self, operator, *inputs, **attributes):
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def shaped(self, tensor, *shape):
        """The texts of a batch in another shape; the number of texts stays as it is."""
        return self.node("Reshape", tensor, self.constant((AS_BEFORE, *shape), TensorProto.INT64))

    def dense(self, tensor, name, size_in, size_out):
        product = self.node("MatMul", tensor, self.weight(f"{name}.weight", size_in, size_out))
        return self.node("Add", product, self.weight(f"{name}.bias", size_out))

    def normalized(self, tensor, name):
        """Layer normalisation, composed: opset 13 has no operator for it."""
        centred = self.node("Sub", tensor, self.node("ReduceMean", tensor, axes=[-1], keepdims=1))
        variance = self.node("ReduceMean", self.node("Mul", centred, centred), axes=[-1], keepdims=1)
        deviation = self.node("Sqrt", self.node("Add", variance, self.constant(1e-6)))
        scaled = self.node(
            "Mul",
            self.node("Div", centred, deviation),
            self.weight(f"{name}.scale", self.sizes.hidden, mean=1.0),
        )
        return self.node("Add", scaled, self.weight(f"{name}.shift", self.sizes.hidden))

    def gelu(self, tensor):
        erf = self.node("Erf", self.node("Div", tensor, self.constant(math.sqrt(2))))
        return self.node(
            "Mul", self.node("Mul", tensor, self.node("Add", erf, self.constant(1.0))), self.constant(0.5)
        )

    def embedded(self, ids, types):
        sizes = self.sizes
        tokens = self.node("Gather", self.weight("embedding.token", sizes.vocabulary, sizes.hidden), ids)
        kinds = self.node("Gather", self.weight("embedding.type", 2, sizes.hidden), types)
        places = self.weight("embedding.position", 1, sizes.sequence, sizes.hidden)
        return self.normalized(self.node("Add", self.node("Add", tokens, kinds), places), "embedding.norm")

    def mask(self, attention_mask):
        """The values added to the scores: 0 for tokens that count."""
        kept = self.node(
            "Cast",
            self.shaped(attention_mask, 1, 1, self.sizes.sequence),
            to=TensorProto.FLOAT,
        )
        return self.node("Mul", self.node("Sub", self.constant(1.0), kept), self.constant(MASKED))

    def attention(self, tensor, mask, name):
        sizes = self.sizes
        width = sizes.hidden // sizes.heads

        def heads(part, order):
            projected = self.dense(tensor, f"{name}.{part}", sizes.hidden, sizes.hidden)
            return self.node(
                "Transpose",
                self.shaped(projected, sizes.sequence, sizes.heads, width),
                perm=order,
            )

        scores = self.node("MatMul", heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]))
        scores = self.node("Add", self.node("Div", scores, self.constant(math.sqrt(width))), mask)
        context = self.node("MatMul", self.node("Softmax", scores, axis=-1), heads("value", [0, 2, 1, 3]))
        joined = self.shaped(self.node("Transpose", context, perm=[0, 2, 1, 3]), sizes.sequence, sizes.hidden)
        return self.dense(joined, f"{name}.output", sizes.hidden, sizes.hidden)

    def layer(self, tensor, mask, name):
        hidden, inner = self.sizes.hidden, 4 * self.sizes.hidden
        tensor = self.normalized(
            self.node("Add", tensor, self.attention(tensor, mask, f"{name}.attention")), f"{name}.norm1"
        )
        wide = self.gelu(self.dense(tensor, f"{name}.wide", hidden, inner))
        return self.normalized(
            self.node("Add", tensor, self.dense(wide, f"{name}.narrow", inner, hidden)), f"{name}.norm2"
        )

    def model(self):
        sizes = self.sizes
        shape = [BATCH, sizes.sequence]
        names = ["input_ids", "token_type_ids", "attention_mask"]
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name in names]
        tensor = self.embedded("input_ids", "token_type_ids")
        mask = self.mask("attention_mask")
        for number in range(sizes.layers):
            tensor = self.layer(tensor, mask, f"layer{number}")
        # The start and the end of the answer.
        logits = self.dense(tensor, "answer", sizes.hidden, 2)
        self.nodes.append(helper.make_node("Identity", [logits], ["logits"], name="logits"))
        output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*shape, 2])
        graph = helper.make_graph(self.nodes, "bert", inputs, [output], self.initializers)
        imports = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="write_bert.py"
        )


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=pathlib.Path, help="the model's version folder")
    for name, value, what in [
        ("layers", 24, "layers"),
        ("hidden", 1024, "hidden size"),
        ("heads", 16, "attention heads, a divisor of the hidden size"),
        ("sequence", 384, "tokens per text"),
        ("vocabulary", 30522, "size of the vocabulary"),
    ]:
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{what} (default: {value})")
    parser.add_argument("--seed", type=int, default=1, help="seed of the weights (default: 1)")
    arguments = parser.parse_args()
    sizes = ("layers", "hidden", "heads", "sequence", "vocabulary")
    for name in sizes:
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} is {getattr(arguments, name)}; it must be at least 1")
    if arguments.hidden % arguments.heads:
        parser.error(f"--heads is {arguments.heads}; it must divide --hidden, {arguments.hidden}")
    return arguments


def main():
    arguments = parse_arguments()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    # An interrupted run leaves no model.onnx, so nothing that looks like a model.
    (folder / "model.onnx").unlink(missing_ok=True)
    with (folder / WEIGHTS).open("wb") as weights:
        model = Bert(arguments, weights).model()
    onnx.save(model, folder / "model.onnx")
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    size = sum(file.stat().st_size for file in (folder / "model.onnx", folder / WEIGHTS))
    print(
        f"{folder / 'model.onnx'}: {arguments.layers} layers of {arguments.hidden}, {size / 1e9:.2f} GB",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
