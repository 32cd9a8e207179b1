#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds the core and the contention benchmark, runs every arm several times in turn and prints a table.

Needs a GPU, nvcc with cuBLAS, CMake. Usage: run.py [--repeats N] [--seconds S] [--build FOLDER]
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
BATCHES = (1, 8, 32)
PERIOD_MS = 10.0


def run(words, **options):
    subprocess.run([str(word) for word in words], check=True, **options)


def build(folder):
    """Returns the benchmark and the folder of the shim."""
    folder.mkdir(parents=True, exist_ok=True)
    run(["cmake", "-S", HERE.parent, "-B", folder / "core", "-DCMAKE_BUILD_TYPE=Release"], stdout=subprocess.DEVNULL)
    run(["cmake", "--build", folder / "core", "-j", os.cpu_count() or 1], stdout=subprocess.DEVNULL)
    program = folder / "contention"
    run(["nvcc", "-O3", "-std=c++17", "-cudart=shared", "-o", program, HERE / "contention.cu", "-lcublas"])
    return program, folder / "core"


def measure(program, words, shim=None, **settings):
    environment = dict(os.environ, **settings)
    if shim:
        environment["LD_LIBRARY_PATH"] = f"{shim}:{environment.get('LD_LIBRARY_PATH', '')}"
    result = subprocess.run(
        [str(program), *map(str, words)], env=environment, capture_output=True, text=True, timeout=120
    )
    if result.returncode != 0:
        raise SystemExit(f"{words} failed:\n{result.stdout}{result.stderr}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=7.0)
    parser.add_argument("--build", type=pathlib.Path, default=HERE / "build")
    options = parser.parse_args()
    program, shim = build(options.build)
    names = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True
    ).stdout.strip()
    print(f"{names}; foreground batch 1 every {PERIOD_MS:g} ms; medians of {options.repeats} runs of {options.seconds:g} s")

    seconds = ["--seconds", options.seconds, "--period", PERIOD_MS]
    scheduled = {"shim": shim, "XSCHED_AUTO_XQUEUE": "ON", "XSCHED_POLICY": "HPF"}
    one, none = ["--foreground", 1], ["--foreground", 0]
    results = {}

    def arm(name, words, **settings):
        results.setdefault(name, []).append(measure(program, [*words, *seconds], **settings))

    for _ in range(options.repeats):
        arm("alone", one)
        arm("alone, shim without queues", one, shim=shim)
        arm("alone, one queue", [*one, "--priority"], **scheduled)
        for batch in BATCHES:
            pair = [*one, "--background", batch]
            arm(f"background {batch} alone", [*none, "--background", batch])
            arm(f"native {batch}", pair)
            arm(f"stream priority {batch}", [*pair, "--priority"])
            arm(f"xsched {batch}", [*pair, "--priority"], **scheduled)
        arm("xsched 8, churn", [*one, "--background", 8, "--priority", "--churn"], **scheduled)
        arm("alone, churn", [*one, "--churn"])

    alone = {key: median(results["alone"], key) for key in ("p50", "p90", "p99")}
    print(f"| arm | samples | P50 ms | P50 | P90 | P99 | background /s | of the bound |")
    print("|---|---|---|---|---|---|---|---|")
    for name, rows in results.items():
        base = alone if "churn" not in name else {key: median(results["alone, churn"], key) for key in alone}
        batch = next((word for word in name.replace(",", "").split() if word.isdigit()), None)
        row = [name, sum(each["samples"] for each in rows), f"{median(rows, 'p50'):.3f}"]
        row += [f"{median(rows, key) / base[key]:.2f}" if rows[0]["samples"] else "–" for key in ("p50", "p90", "p99")]
        background = median(rows, "background")
        bound = ""
        if batch and "alone" not in name:
            possible = median(results[f"background {batch} alone"], "background") * (1 - base["p50"] / PERIOD_MS)
            bound = f"{100 * background / possible:.0f} %"
        row += [f"{background:.2f}" if background else "–", bound]
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
