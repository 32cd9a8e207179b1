# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""What bench/processes_worker.py uses of PyTorch, on the simulated driver.

A layer is one kernel, which takes STAND_IN_LAYER_US at batch 1 and no less at a larger one. The driver is the one
under the core, if the process has it, else the simulated one itself (STAND_IN_DRIVER).
"""

import contextlib
import ctypes
import os
import sys
import types

__version__ = "stand-in"
float16 = "float16"

LAYER_US = int(os.environ.get("STAND_IN_LAYER_US", "200"))

_under_core = "XSCHED_SCHEDULER" in os.environ
_driver = ctypes.CDLL("libcuda.so.1" if _under_core else os.environ["STAND_IN_DRIVER"])
_in_stream = []


def _call(name, *arguments):
    result = getattr(_driver, name)(*arguments)
    assert result == 0, f"{name}: {result}"


def _start():
    _call("cuInit", 0)
    _call("cuCtxCreate_v2", ctypes.byref(ctypes.c_void_p()), 0, 0)


def _launch(microseconds):
    none = ctypes.c_void_p()
    kernel = ctypes.c_void_p(1 << 32 | microseconds)
    _call("cuLaunchKernel", kernel, 1, 1, 1, 1, 1, 1, 0, _in_stream[-1].handle, none, none)


class _Stream:
    def __init__(self, priority=0):
        self.handle = ctypes.c_void_p()
        _call("cuStreamCreateWithPriority", ctypes.byref(self.handle), 1, priority)

    def synchronize(self):
        _call("cuStreamSynchronize", self.handle)


class _Event:
    def __init__(self):
        self.handle = ctypes.c_void_p()
        _call("cuEventCreate", ctypes.byref(self.handle), 2)

    def record(self, stream):
        _call("cuEventRecord", self.handle, stream.handle)

    def synchronize(self):
        _call("cuEventSynchronize", self.handle)

    def __del__(self):
        _call("cuEventDestroy_v2", self.handle)


@contextlib.contextmanager
def _stream(stream):
    _in_stream.append(stream)
    yield
    _in_stream.pop()


class _Graph:
    """All that is launched during its capture, as one kernel."""

    def __init__(self):
        self.microseconds = 0

    def replay(self):
        _launch(self.microseconds)


_capturing = []


@contextlib.contextmanager
def _capture(graph, stream):
    _capturing.append(graph)
    with _stream(stream):
        yield
    _capturing.pop()


class _Network:
    def __init__(self, _, layers, enable_nested_tensor):
        self.layers = layers

    def cuda(self):
        return self

    eval = cuda

    def __call__(self, batch):
        for _ in range(self.layers):
            microseconds = LAYER_US * max(1, batch // 8)
            if _capturing:
                _capturing[-1].microseconds += microseconds
            else:
                _launch(microseconds)


def manual_seed(_):
    pass


no_grad = contextlib.nullcontext


def randn(batch, *_, **__):
    return batch


nn = types.SimpleNamespace(TransformerEncoderLayer=lambda *_, **__: None, TransformerEncoder=_Network)
cuda = types.SimpleNamespace(
    CUDAGraph=_Graph,
    Event=_Event,
    Stream=_Stream,
    get_device_name=lambda: "simulated",
    graph=_capture,
    stream=_stream,
    synchronize=lambda: _call("cuCtxSynchronize"),
)

if os.environ.get("STAND_IN_FAILS") in sys.argv:
    sys.exit("this stand-in fails")
_start()
