#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares several versions of the core on a GPU, and prints a Markdown table.

Processes differ from each other by more than most changes do, and so do the minutes of a machine. So the
versions take turns, process by process, in another order each round; a version's values are the median of
its processes, and the interval beside it is where that median is in 90 % of the draws from them.

usage: compare.py [--batch N] [--planned] [--rounds N] [--cycles N] [--raw FOLDER] NAME=SOURCES ...
  SOURCES: a copy of native/xsched, e.g. of git archive COMMIT native/xsched
"""

import argparse
import pathlib
import random
import statistics

import run

# Also what costs the background its part of the bound: the requests it waits for, and being counted.
PLAN = ("alone=0.3", "xsched=0.5", "background=0.25", "bounded=0.25")
DRAWS = 2000


def interval(values):
    """A value's median and its 90 % interval, by drawing the processes again."""
    draws = random.Random(1)
    medians = sorted(statistics.median(draws.choices(values, k=len(values))) for _ in range(DRAWS))
    low, high = medians[DRAWS // 20], medians[-DRAWS // 20]
    return f"{statistics.median(values):.3f} ({low:.3f} to {high:.3f})"


def ratios(process):
    """Of one process: each ratio, the median over its cycles."""
    cycles = list(zip(process["alone"], process["xsched"], process["background"], process["bounded"]))

    def mean(row):
        return statistics.mean(row["latencies_us"])

    def free(latency_us):
        return 1 - latency_us / 1000 / run.PERIOD_MS

    found = {"P50": [], "P90": [], "of the bound": [], "of what requests leave": [], "counted": []}
    for alone, xsched, background, bounded in cycles:
        for name, share in (("P50", 0.5), ("P90", 0.9)):
            found[name].append(run.percentile([xsched], share) / run.percentile([alone], share))
        rate = xsched["background_per_s"] / background["background_per_s"]
        found["of the bound"].append(rate / free(run.percentile([alone], 0.5)))
        found["of what requests leave"].append(rate / free(mean(xsched)))
        found["counted"].append(bounded["background_per_s"] / background["background_per_s"])
    return {name: statistics.median(values) for name, values in found.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cores", nargs="+", metavar="NAME=SOURCES")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--planned", action="store_true")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--cycles", type=int, default=6)
    parser.add_argument("--build", type=pathlib.Path, default=run.HERE / "build")
    parser.add_argument("--raw", type=pathlib.Path)
    options = parser.parse_args()
    run.build(options.build)
    shims = {}
    for word in options.cores:
        name, _, sources = word.partition("=")
        shims[name] = run.build_core(pathlib.Path(sources), options.build / f"core-{name}")
    if options.raw:
        options.raw.mkdir(parents=True, exist_ok=True)
    words = [options.build / "contention", "--background", options.batch, "--period", run.PERIOD_MS, *PLAN]
    words += ["--cycles", options.cycles] + ["--planned"] * options.planned
    measured = {name: [] for name in shims}
    order = list(shims)
    for turn in range(options.rounds):
        for name in order:
            raw = options.raw and options.raw / f"{name}-{options.batch}-{turn}.jsonl"
            measured[name].append(ratios(run.measure(words, run.with_shim(shims[name]), raw)))
        order = order[1:] + order[:1]
    print(f"Background batch {options.batch}{', planned' * options.planned};", end=" ")
    print(f"{options.rounds} processes of each core in turn, {options.cycles} cycles each.\n")
    columns = list(next(iter(measured.values()))[0])
    rows = [
        [name, *(interval([process[column] for process in processes]) for column in columns)]
        for name, processes in measured.items()
    ]
    run.table(["core", *columns], rows)


if __name__ == "__main__":
    main()
