#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""One rank of a model of tensor_parallel.py: its half of a model in the shape of BERT-large, on the GPU that it sees.

usage: tensor_parallel_worker.py urgent|background RANK STORE
  urgent: an inference is a CUDA graph, one each period, at batch 1
  background: eager, back to back, at batch 32, with one inference ahead of the one that it waits for
  STORE: the file in which the ranks of a model meet

Writes a line of JSON once it is ready. Then each line of JSON on standard input is a job, and is answered by a line.
Times are those of the monotonic clock. Each result is compared with the first one.
"""

import gc
import json
import os
import sys
import time

import processes_worker
import torch
import torch.distributed as ranks
from torch.nn import functional

RANKS = 2
LAYERS, HIDDEN, HEADS, SEQUENCE = 24, 1024, 16, 128
BATCHES = {"urgent": 1, "background": 32}
WARM_UP = 3


class Layer:
    """The rank's half of the heads and of the hidden units. Both ranks have the same sums."""

    def __init__(self, rank):
        generator = torch.Generator("cuda").manual_seed(1 + rank)

        def weights(outputs, inputs):
            drawn = torch.randn(outputs, inputs, device="cuda", generator=generator)
            return (drawn / inputs**0.5).half()

        self.attend = weights(3 * HIDDEN // RANKS, HIDDEN)
        self.join = weights(HIDDEN, HIDDEN // RANKS)
        self.widen = weights(4 * HIDDEN // RANKS, HIDDEN)
        self.narrow = weights(HIDDEN, 4 * HIDDEN // RANKS)

    def __call__(self, data):
        batch = data.shape[0]
        parts = functional.linear(functional.layer_norm(data, (HIDDEN,)), self.attend)
        parts = parts.view(batch, SEQUENCE, 3, HEADS // RANKS, HIDDEN // HEADS).transpose(1, 3)
        seen = functional.scaled_dot_product_attention(*parts.unbind(2))
        data = data + self._sum(seen.transpose(1, 2).reshape(batch, SEQUENCE, -1), self.join)
        wide = functional.gelu(functional.linear(functional.layer_norm(data, (HIDDEN,)), self.widen))
        return data + self._sum(wide, self.narrow)

    @staticmethod
    def _sum(data, weights):
        part = functional.linear(data, weights)
        ranks.all_reduce(part)
        return part


class Model:
    def __init__(self, rank, batch, priority):
        self.layers = [Layer(rank) for _ in range(LAYERS)]
        self.stream = torch.cuda.Stream(priority=priority)
        generator = torch.Generator("cuda").manual_seed(0)
        self.data = torch.randn(batch, SEQUENCE, HIDDEN, device="cuda", generator=generator).half()
        self.wrong = torch.zeros(1, device="cuda", dtype=torch.int64)
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self.expected = self.network()
        torch.cuda.synchronize()

    def network(self):
        data = self.data
        for layer in self.layers:
            data = layer(data)
        return data

    def compare(self, result):
        self.wrong.add_((result != self.expected).any())

    def forget_wrong(self):
        self.wrong.zero_()
        torch.cuda.synchronize()


class Urgent(Model):
    def __init__(self, rank, batch):
        super().__init__(rank, batch, priority=-1)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"):
            self.result = self.network()

    def work(self, job):
        """The latencies count from the time at which a request was due. All ranks do all that are due."""
        self.forget_wrong()
        latencies = []
        for number in range(round((job["end"] - job["begin"]) / job["period"])):
            due = job["begin"] + number * job["period"]
            processes_worker.wait_until(due)
            with torch.cuda.stream(self.stream):
                self.graph.replay()
                self.compare(self.result)
            self.stream.synchronize()
            latencies.append(round(1e6 * (time.monotonic() - due), 1))
        return {"latencies_us": latencies, "wrong": int(self.wrong.item())}


class Background(Model):
    def __init__(self, rank, batch):
        super().__init__(rank, batch, priority=0)
        self.over = torch.zeros(1, device="cuda")
        self.known_over = [torch.zeros(1).pin_memory() for _ in range(2)]

    def infer(self, number, over):
        """Also tells all ranks whether one of them has seen the end."""
        known = self.known_over[number % 2]
        done = torch.cuda.Event()
        with torch.cuda.stream(self.stream):
            self.over.fill_(float(over))
            ranks.all_reduce(self.over, op=ranks.ReduceOp.MAX)
            self.compare(self.network())
            known.copy_(self.over, non_blocking=True)
            done.record(self.stream)
        return done, known

    def work(self, job):
        """Infers from 'start' to 'end', and counts what ends between 'begin' and 'end'."""
        self.forget_wrong()
        processes_worker.wait_until(job["start"])
        ends, over = [], False
        ahead = self.infer(0, over=False)
        while not over:
            (done, known), ahead = ahead, self.infer(len(ends) + 1, time.monotonic() >= job["end"])
            done.synchronize()
            ends.append(time.monotonic())
            over = known.item() > 0
        ahead[0].synchronize()
        counted = [each for each in ends if job["begin"] <= each <= job["end"]]
        per_s = (len(counted) - 1) / (counted[-1] - counted[0]) if len(counted) > 1 else 0.0
        return {"background_per_s": per_s, "wrong": int(self.wrong.item())}


def main():
    role, rank, store = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.cuda.set_device(0)
    ranks.init_process_group("nccl", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    with torch.no_grad():
        model = {"urgent": Urgent, "background": Background}[role](rank, BATCHES[role])
        torch.cuda.synchronize()
        # No collection during a request: the objects made so far stay.
        gc.collect()
        gc.freeze()
        facts = {
            "shim": processes_worker.has_shim(),
            "gpu": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "nccl": ".".join(str(part) for part in torch.cuda.nccl.version()),
        }
        print(json.dumps(facts), flush=True)
        for line in sys.stdin:
            print(json.dumps(model.work(json.loads(line))), flush=True)
    # NCCL's own end would wait for ranks that have ended before.
    os._exit(0)


if __name__ == "__main__":
    main()
