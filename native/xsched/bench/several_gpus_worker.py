#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""One process of several_gpus.py. It has parts, which work side by side when they are told to.

usage: several_gpus_worker.py ROLE@DEVICE ...
  urgent, background: as of processes_worker.py, urgent in a stream of the highest priority
  ring: integers that device 0 and device 1 multiply in turn

Writes a line of JSON once it is ready. Then each line of JSON on standard input has jobs by the number of their part,
and is answered by a line of answers. Times are those of the monotonic clock.
"""

import json
import sys
import threading
import time

import processes_worker
import torch

BATCH = 32


class Ring:
    """Each device waits for the other by events."""

    SIZE, HOPS, STARTS = 512, 20, 32

    def __init__(self):
        self.streams = [torch.cuda.Stream(device=device) for device in (0, 1)]
        self.events = [torch.cuda.Event() for _ in self.streams]
        shape = (self.SIZE, self.SIZE)
        factor = torch.randint(0, 3, shape).float()
        self.factors = [factor.to(f"cuda:{device}") for device in (0, 1)]
        self.values = [torch.empty(shape, device=f"cuda:{device}") for device in (0, 1)]
        self.starts = [torch.randint(0, 3, shape).float().to("cuda:0") for _ in range(self.STARTS)]
        self.expected = [self._alone(start) for start in self.starts]
        self.wrong = torch.zeros(1, device="cuda:0", dtype=torch.int64)

    def _alone(self, value):
        """On one device, one step at a time. The products are below 2^24, so they are exact."""
        for _ in range(2 * self.HOPS):
            value = (value @ self.factors[0]).remainder_(3)
            torch.cuda.synchronize()
        return value

    def _hop(self, device):
        """The device multiplies; then the other one gets the product."""
        other = 1 - device
        own, others = self.streams[device], self.streams[other]
        with torch.cuda.stream(own):
            self.values[device].copy_((self.values[device] @ self.factors[device]).remainder_(3))
            self.events[device].record(own)
        others.wait_event(self.events[device])
        with torch.cuda.stream(own), torch.cuda.stream(others):
            self.values[other].copy_(self.values[device], non_blocking=True)
            self.events[other].record(others)
        # It must not write to its own before the other one has read it.
        own.wait_event(self.events[other])

    def work(self, job):
        """Counts results, and those that are wrong."""
        processes_worker.wait_until(job["start"])
        self.wrong.zero_()
        torch.cuda.synchronize(0)
        rounds = 0
        while time.monotonic() < job["end"]:
            index = rounds % self.STARTS
            with torch.cuda.stream(self.streams[0]):
                self.values[0].copy_(self.starts[index])
            for _ in range(self.HOPS):
                self._hop(0)
                self._hop(1)
            with torch.cuda.stream(self.streams[0]):
                self.wrong.add_((self.values[0] != self.expected[index]).any())
            rounds += 1
        for device in (0, 1):
            torch.cuda.synchronize(device)
        return {"rounds": rounds, "wrong": int(self.wrong.item())}


def make(role):
    """On the current device."""
    if role == "ring":
        return Ring()
    if role == "urgent":
        return processes_worker.Foreground(processes_worker.make_network(), [1], priority=-1)
    return processes_worker.Background(processes_worker.make_network(), [BATCH])


def work(device, part, job, answers, index):
    # Both are a thread's own.
    torch.cuda.set_device(device)
    with torch.no_grad():
        answers[index] = part.work(job)


def main():
    made = []
    for each in sys.argv[1:]:
        role, _, device = each.partition("@")
        with torch.cuda.device(int(device)), torch.no_grad():
            made.append((int(device), make(role)))
            torch.cuda.synchronize()
    facts = {
        "shim": processes_worker.has_shim(),
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
    }
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        answers = {}
        threads = [
            threading.Thread(target=work, args=(*made[int(index)], job, answers, index))
            for index, job in json.loads(line).items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
