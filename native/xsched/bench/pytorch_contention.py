#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs two PyTorch models in two threads, each in its own stream: one every PERIOD, one back to back.

usage: pytorch_contention.py alone|background|native|priority|xsched
  priority and xsched give the foreground's stream the highest CUDA priority. For xsched, the caller
  sets LD_LIBRARY_PATH and XSCHED_AUTO_XQUEUE, so that the shim turns each stream into an XQueue.
Prints one line of JSON.
"""

import json
import sys
import threading
import time

import torch

SECONDS = 3.0
PERIOD = 0.030
LAYERS, HIDDEN, HEADS, SEQUENCE = 12, 1024, 16, 384
FOREGROUND_BATCH, BACKGROUND_BATCH = 1, 8


class Model:
    def __init__(self, batch, priority):
        layer = torch.nn.TransformerEncoderLayer(
            HIDDEN, HEADS, 4 * HIDDEN, batch_first=True, dtype=torch.float16
        )
        self.network = torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).cuda().eval()
        self.data = torch.randn(batch, SEQUENCE, HIDDEN, device="cuda", dtype=torch.float16)
        self.stream = torch.cuda.Stream(priority=priority)

    def infer(self):
        with torch.no_grad(), torch.cuda.stream(self.stream):
            self.network(self.data)
        self.stream.synchronize()


def main():
    mode = sys.argv[1]
    urgent = mode in ("priority", "xsched")
    foreground = Model(FOREGROUND_BATCH, -5 if urgent else 0)
    background = Model(BACKGROUND_BATCH, 0)
    torch.cuda.synchronize()
    for _ in range(10):
        foreground.infer()
        background.infer()
    stop = threading.Event()
    completions = []

    def load():
        while not stop.is_set():
            background.infer()
            completions.append(time.monotonic())

    thread = threading.Thread(target=load)
    if mode != "alone":
        thread.start()
        time.sleep(0.3)
    latencies = []
    begin = time.monotonic()
    if mode == "background":
        time.sleep(SECONDS)
    else:
        for request in range(int(SECONDS / PERIOD)):
            due = begin + (request + 1) * PERIOD
            time.sleep(max(0.0, due - time.monotonic()))
            foreground.infer()
            latencies.append(round(1e6 * (time.monotonic() - due), 1))
    end = time.monotonic()
    stop.set()
    if mode != "alone":
        thread.join()
    within = [each for each in completions if begin <= each <= end]
    per_second = (len(within) - 1) / (within[-1] - within[0]) if len(within) > 1 else 0.0
    print(
        json.dumps(
            {
                "phase": mode,
                "latencies_us": latencies,
                "background_per_s": per_second,
                "period_us": 1e6 * PERIOD,
            }
        )
    )


if __name__ == "__main__":
    main()
