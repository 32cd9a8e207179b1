#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures what a stream that nobody synchronises costs those below it, on the simulated driver.

The foreground has two streams, as Triton's TensorRT backend has: every 20 ms it copies its input in one and
runs kernels of 2 ms in the other, and synchronises only the second. The background launches kernels of 0.5 ms
back to back, eight at a time. Each core that is given runs in a process of its own, in turn:

  bash native/package.sh /tmp/core                         prints the path of the simulated driver
  python3 native/xsched/bench/unsynchronized.py DRIVER /tmp/core/lib [CORE...]

Prints a Markdown table: the foreground's P50 beside the background, divided by alone, and the background's
throughput as a share of its throughput alone x (1 - P50 of the foreground alone / 20 ms); medians over the
rounds. The simulated driver runs in real time, so a busy machine shows.

usage: unsynchronized.py [--rounds N] DRIVER CORE...
  CORE: a folder with the core's libcuda.so.1
"""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import threading
import time

PERIOD_S = 0.02
KERNEL_US = 500
FOREGROUND_KERNELS = 4
BACKGROUND_KERNELS = 8
ALONE_S, BOTH_S = 1.5, 4.0
# The simulated driver takes a kernel's duration from its handle.
KERNEL = ctypes.c_void_p(1 << 32 | KERNEL_US)


class Device:
    def __init__(self):
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.context = ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuCtxCreate_v2", ctypes.byref(self.context), 0, 0)
        least, greatest = ctypes.c_int(), ctypes.c_int()
        self.call("cuCtxGetStreamPriorityRange", ctypes.byref(least), ctypes.byref(greatest))
        self.inputs, self.compute = self.stream(greatest), self.stream(greatest)
        self.background = self.stream(least)
        self.memory, self.buffer = ctypes.c_void_p(), ctypes.create_string_buffer(64)
        self.call("cuMemAlloc_v2", ctypes.byref(self.memory), len(self.buffer))

    def call(self, name, *arguments):
        result = getattr(self.driver, name)(*arguments)
        if result != 0:
            raise RuntimeError(f"{name}: {result}")

    def stream(self, priority):
        stream = ctypes.c_void_p()
        self.call("cuStreamCreateWithPriority", ctypes.byref(stream), 1, priority)
        return stream

    def run(self, stream, kernels):
        for _ in range(kernels):
            self.call("cuLaunchKernel", KERNEL, 1, 1, 1, 1, 1, 1, 0, stream, None, None)
        self.call("cuStreamSynchronize", stream)

    def request(self):
        """Seconds that a request of the foreground takes."""
        began = time.monotonic()
        size = ctypes.c_size_t(len(self.buffer))
        self.call("cuMemcpyHtoDAsync_v2", self.memory, self.buffer, size, self.inputs)
        self.run(self.compute, FOREGROUND_KERNELS)
        return time.monotonic() - began


def phase(device, seconds, foreground, background):
    """P50 of the foreground in seconds, and kernels of the background a second."""
    ended, done, latencies = threading.Event(), 0, []

    def work():
        nonlocal done
        device.call("cuCtxSetCurrent", device.context)
        while not ended.is_set():
            device.run(device.background, BACKGROUND_KERNELS)
            done += BACKGROUND_KERNELS

    thread = threading.Thread(target=work)
    if background:
        thread.start()
    began = time.monotonic()
    for request in range(1, int(seconds / PERIOD_S) + 1):
        if foreground:
            latencies.append(device.request())
        time.sleep(max(0.0, began + request * PERIOD_S - time.monotonic()))
    took = time.monotonic() - began
    ended.set()
    if background:
        thread.join()
    return statistics.median(latencies or [0.0]), done / took


def measure():
    device = Device()
    alone_s, _ = phase(device, ALONE_S, True, False)
    _, alone_rate = phase(device, ALONE_S, False, True)
    both_s, both_rate = phase(device, BOTH_S, True, True)
    return both_s / alone_s, both_rate / (alone_rate * (1 - alone_s / PERIOD_S))


def measured(driver, core):
    environment = dict(
        os.environ,
        LD_LIBRARY_PATH=core,
        XSCHED_CUDA_LIB=driver,
        XSCHED_AUTO_XQUEUE="ON",
        XSCHED_POLICY="HPF",
        XSCHED_CONTROL="OFF",
        XSCHED_LOG_LEVEL="WARN",
    )
    words = [sys.executable, __file__, "--one", driver, core]
    result = subprocess.run(words, env=environment, stdout=subprocess.PIPE, timeout=120, check=True)
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("driver")
    parser.add_argument("cores", nargs="+", metavar="CORE")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure()))
        return
    found = {core: [] for core in arguments.cores}
    for _ in range(arguments.rounds):
        for core, results in found.items():
            results.append(measured(arguments.driver, core))
    print("| core | foreground, P50 | background, of the bound |\n|---|---|---|")
    for core, results in found.items():
        latency, share = (statistics.median(column) for column in zip(*results))
        print(f"| {core} | {latency:.2f} | {100 * share:.0f} % |")


if __name__ == "__main__":
    main()
