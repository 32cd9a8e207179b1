#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs a small program of one framework and prints results that must not depend on the shim.

usage: frameworks.py torch|jax|cupy
  With EXPECT_SHIM set, it fails unless the shim is loaded.
"""

import os
import pathlib
import sys
import threading


def torch_program():
    import torch

    torch.manual_seed(0)
    model = torch.nn.TransformerEncoderLayer(256, 4, batch_first=True).cuda().eval()
    data = torch.randn(8, 64, 256, device="cuda")
    low, high = torch.cuda.Stream(), torch.cuda.Stream(priority=-5)
    sums = {}

    def infer(name, stream, count):
        with torch.no_grad(), torch.cuda.stream(stream):
            for _ in range(count):
                result = model(data)
            stream.synchronize()
        sums[name] = result.double().sum().item()

    torch.cuda.synchronize()
    threads = [
        threading.Thread(target=infer, args=arguments)
        for arguments in (("low", low, 200), ("high", high, 50))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        captured = model(data)
    graph.replay()
    torch.cuda.synchronize()
    # Training uses the caching allocator, autograd's own threads and an optimizer.
    trained = torch.nn.Linear(256, 1).cuda()
    optimizer = torch.optim.SGD(trained.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        loss = trained(data).square().mean()
        loss.backward()
        optimizer.step()
    print(sums["low"], sums["high"], captured.double().sum().item(), loss.item())


def jax_program():
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    # By default JAX picks its kernels by timing them, so the order of a sum would change from run to run.
    os.environ["XLA_FLAGS"] = "--xla_gpu_autotune_level=0 --xla_gpu_deterministic_ops=true"
    import jax
    import jax.numpy as jnp

    data = jnp.sin(jnp.arange(512.0 * 256).reshape(512, 256))
    gradient = jax.jit(jax.grad(lambda weights: jnp.tanh(data @ weights).sum()))(jnp.ones((256, 64)))
    print(float(gradient.sum()), float(jnp.linalg.norm(jnp.fft.fft(data[0]))))


def cupy_program():
    import cupy

    data = cupy.sin(cupy.arange(1 << 20, dtype=cupy.float64))
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        total = (data * 2 + 1).sum()
        ordered = cupy.sort(data)[:1000].sum()
    stream.synchronize()
    print(float(total), float(ordered), float(cupy.linalg.norm(cupy.fft.fft(data[:4096]))))


def main():
    {"torch": torch_program, "jax": jax_program, "cupy": cupy_program}[sys.argv[1]]()
    if os.environ.get("EXPECT_SHIM"):
        maps = pathlib.Path("/proc/self/maps").read_text(encoding="utf-8")
        if "libshimcuda" not in maps:
            sys.exit("the shim is not loaded in this process")


if __name__ == "__main__":
    main()
