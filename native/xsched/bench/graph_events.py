#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Counts wrong results where a CUDA graph records an event by itself and another stream waits for that event.

One process at priority -255 does this, beside one at 255 that keeps the GPU busy with matrices, so that the first
has to wait. It is measured as it is, and where it runs ahead: a launch that is kept for later must not let the event
pass. Needs a GPU and PyTorch 2.6 or newer.

usage: graph_events.py PACKAGE [SECONDS]
  PACKAGE: where the core is installed, with bin/xsched-run
  SECONDS: how long to do each (default: 10)
Exits with 1 if a result is wrong.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import torch

AHEAD = 1024
MOST_ROUNDS = 100_000


def high(seconds):
    """Prints a line when it is at work."""
    matrix = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
    torch.cuda.synchronize()
    print("busy", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(40):
            matrix @ matrix
        torch.cuda.synchronize()
        time.sleep(0.01)


def low(seconds):
    """Prints how many results it has, and how many are wrong."""
    counter = torch.zeros(1, device="cuda", dtype=torch.int64)
    matrix = torch.randn(2048, 2048, device="cuda")
    working, reading = torch.cuda.Stream(), torch.cuda.Stream()
    counted, read = torch.cuda.Event(external=True), torch.cuda.Event()
    with torch.cuda.stream(working):
        matrix @ matrix
    working.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=working):
        for _ in range(8):
            matrix @ matrix
        counter.add_(1)
        counted.record(torch.cuda.current_stream())
    torch.cuda.synchronize()
    counter.zero_()
    results = torch.zeros(MOST_ROUNDS, device="cuda", dtype=torch.int64)
    torch.cuda.synchronize()
    end = time.monotonic() + seconds
    rounds = 0
    while rounds < MOST_ROUNDS and time.monotonic() < end:
        with torch.cuda.stream(working):
            graph.replay()
        reading.wait_event(counted)
        with torch.cuda.stream(reading):
            results[rounds : rounds + 1].copy_(counter, non_blocking=True)
        read.record(reading)
        working.wait_event(read)
        rounds += 1
    torch.cuda.synchronize()
    expected = torch.arange(1, rounds + 1, device="cuda")
    print(rounds, int((results[:rounds] != expected).sum()))


def measure(package, seconds, ahead):
    """Returns how many results there are, and how many are wrong."""
    runner = str(pathlib.Path(package) / "bin/xsched-run")
    with tempfile.TemporaryDirectory() as domain:
        environment = {**os.environ, "XSCHED_DOMAIN_DIR": domain, "XSCHED_LOG_LEVEL": "ERROR"}

        def command(role, length, *options):
            return [runner, *options, "--", sys.executable, __file__, role, str(length)]

        # It goes on until the other one has ended.
        busy = subprocess.Popen(
            command("high", seconds + 120, "--priority", "255"),
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            if busy.stdout.readline().strip() != "busy":
                sys.exit("the process at 255 has ended")
            words = command("low", seconds, "--priority", "-255", "--run-ahead", str(ahead))
            answer = subprocess.run(
                words, stdout=subprocess.PIPE, text=True, env=environment, timeout=seconds + 100, check=True
            )
        finally:
            busy.kill()
            busy.wait()
    rounds, wrong = answer.stdout.split()
    return int(rounds), int(wrong)


def main():
    if len(sys.argv) > 2 and sys.argv[1] in ("high", "low"):
        (high if sys.argv[1] == "high" else low)(float(sys.argv[2]))
        return
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    failed = False
    for ahead in (0, AHEAD):
        rounds, wrong = measure(sys.argv[1], seconds, ahead)
        print(f"run ahead {ahead}: {rounds} results, {wrong} wrong", flush=True)
        failed = failed or wrong > 0 or rounds == 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
