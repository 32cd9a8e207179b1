#!/usr/bin/env python3
"""Builds a TensorRT engine in FP16 for this machine's GPU from model.onnx.

python3 tensorrt_engine.py models/high/1      writes model.plan beside it, and removes what it was made of
"""

import pathlib
import sys

import tensorrt


def main():
    folder, batch = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    builder = tensorrt.Builder(logger)
    network = builder.create_network()
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(folder / "model.onnx")):
        sys.exit("\n".join(str(parser.get_error(number)) for number in range(parser.num_errors)))
    config = builder.create_builder_config()
    config.set_flag(tensorrt.BuilderFlag.FP16)
    profile = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        shape = [batch, *tensor.shape[1:]]
        profile.set_shape(tensor.name, shape, shape, shape)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        sys.exit("TensorRT built no engine; its reason is above")
    (folder / "model.plan").write_bytes(engine)
    for source in ("model.onnx", "weights.bin"):
        (folder / source).unlink()


if __name__ == "__main__":
    main()
