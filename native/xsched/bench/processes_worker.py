#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""One process of processes.py: infers when it is told to, with a PyTorch model in the shape of BERT-large.

usage: processes_worker.py foreground|background|bounded BATCH ...
  foreground: the inference is a CUDA graph, one each period
  background: eager, back to back, with one inference ahead of the one that it waits for
  bounded: the same beside a stream of the highest priority, which has no work any more

Writes a line of JSON once it is ready. Then each line of JSON on standard input is a job, and is answered
by a line. Times are those of the monotonic clock, which all processes of a machine share.
"""

import ctypes
import gc
import json
import signal
import sys
import time

# Its end must not depend on whoever started it still being there to end it.
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

import torch  # noqa: E402

LAYERS, HIDDEN, HEADS, SEQUENCE = 24, 1024, 16, 384
WARM_UP = 5
# Sleeping until a request is due would add the time that an idle processor needs to wake up.
SPIN_S = 0.002


def has_shim():
    try:
        return hasattr(ctypes.CDLL("libcuda.so.1"), "xsched_shim_version")
    except OSError:
        return False


def wait_until(due):
    time.sleep(max(0.0, due - SPIN_S - time.monotonic()))
    while time.monotonic() < due:
        pass


class Foreground:
    def __init__(self, network, batches, priority=0):
        self.stream = torch.cuda.Stream(priority=priority)
        self.data = torch.randn(batches[0], SEQUENCE, HIDDEN, device="cuda", dtype=torch.float16)
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                network(self.data)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            network(self.data)
        torch.cuda.synchronize()
        for _ in range(WARM_UP):
            self.infer()

    def infer(self):
        with torch.cuda.stream(self.stream):
            self.graph.replay()
        self.stream.synchronize()

    def work(self, job):
        """Infers each period; with 0, back to back. The latencies count from the time at which a request was due."""
        latencies = []
        due = job["begin"]
        # If it cannot keep up, what is overdue at the end is left out.
        while due < job["end"] and time.monotonic() < job["end"] + job["period"]:
            wait_until(due)
            self.infer()
            latencies.append(round(1e6 * (time.monotonic() - due), 1))
            due += job["period"]
        return {"latencies_us": latencies}


class Background:
    def __init__(self, network, batches):
        self.network = network
        self.stream = torch.cuda.Stream()
        self.data = {
            batch: torch.randn(batch, SEQUENCE, HIDDEN, device="cuda", dtype=torch.float16)
            for batch in batches
        }
        for batch in batches:
            for _ in range(WARM_UP):
                self.infer(batch).synchronize()

    def infer(self, batch):
        done = torch.cuda.Event()
        with torch.cuda.stream(self.stream):
            self.network(self.data[batch])
            done.record(self.stream)
        return done

    def work(self, job):
        """Infers from 'start' to 'end', and counts what ends between 'begin' and 'end'."""
        wait_until(job["start"])
        ends = []
        ahead = self.infer(job["batch"])
        while time.monotonic() < job["end"]:
            current, ahead = ahead, self.infer(job["batch"])
            current.synchronize()
            ends.append(time.monotonic())
        ahead.synchronize()
        counted = [each for each in ends if job["begin"] <= each <= job["end"]]
        if len(counted) < 2:
            return {"background_per_s": 0.0}
        return {"background_per_s": (len(counted) - 1) / (counted[-1] - counted[0])}


class Bounded(Background):
    def __init__(self, network, batches):
        self.urgent = torch.cuda.Stream(priority=-1)
        with torch.cuda.stream(self.urgent):
            network(torch.randn(1, SEQUENCE, HIDDEN, device="cuda", dtype=torch.float16))
        self.urgent.synchronize()
        super().__init__(network, batches)


def make_network():
    """On the current device."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(HIDDEN, HEADS, 4 * HIDDEN, batch_first=True, dtype=torch.float16)
    return torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).cuda().eval()


def main():
    role = {"foreground": Foreground, "background": Background, "bounded": Bounded}[sys.argv[1]]
    batches = [int(each) for each in sys.argv[2:]]
    with torch.no_grad():
        worker = role(make_network(), batches)
        torch.cuda.synchronize()
        # No collection during a request: the objects made so far stay.
        gc.collect()
        gc.freeze()
        ready = {"shim": has_shim(), "torch": torch.__version__, "gpu": torch.cuda.get_device_name()}
        print(json.dumps(ready), flush=True)
        for line in sys.stdin:
            print(json.dumps(worker.work(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
