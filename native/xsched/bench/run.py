#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds the core and the benchmarks, runs them on a GPU and prints Markdown tables.

Needs a GPU, nvcc with cuBLAS, CMake and a C++ compiler. The part 'frameworks' also needs PyTorch, JAX
and CuPy.

usage: run.py [--cycles N] [--only PART ...] [--build FOLDER] [--raw FOLDER]
  PART: contention, overhead or frameworks (default: all)
  --raw keeps the measurements of each phase, one line of JSON each
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CORE = HERE.parent
BATCHES = (1, 8, 32)
# Processes differ from each other by more than the effects measured. So all phases of a table take turns in
# one process, each value is compared within its cycle, and the table shows the median of several processes.
PROCESSES = 6
PERIOD_MS = 10.0
PARTS = ("contention", "overhead", "frameworks")


def run(words, **options):
    return subprocess.run([str(word) for word in words], check=True, **options)


def build_core(sources, core):
    """Builds the core whose sources are in 'sources' and returns the folder of its shim."""
    jobs = str(os.cpu_count() or 1)
    run(["cmake", "-S", sources, "-B", core, "-DCMAKE_BUILD_TYPE=Release"], stdout=subprocess.DEVNULL)
    run(["cmake", "--build", core, "-j", jobs], stdout=subprocess.DEVNULL)
    return core


def build(folder):
    """Builds the programs in 'folder' and returns the folder of the shim."""
    folder.mkdir(parents=True, exist_ok=True)
    core = build_core(CORE, folder / "core")
    include = ["-I", CORE / "include"]
    run(
        [
            "nvcc",
            "-O3",
            "-std=c++17",
            "-cudart=shared",
            "-arch=native",
            *include,
            "-o",
            folder / "contention",
            HERE / "contention.cu",
            "-lcublas",
            "-lcublasLt",
            "-ldl",
        ]
    )
    run(["g++", "-O2", "-std=c++17", "-pthread", "-o", folder / "cpu_gaps", HERE / "cpu_gaps.cc"])
    run(
        [
            "g++",
            "-O2",
            "-std=c++17",
            *include,
            "-I",
            CORE / "src",
            "-o",
            folder / "launch_overhead",
            HERE / "launch_overhead.cc",
            "-L",
            core,
            "-l:libcuda.so.1",
            "-lhalcuda",
            "-lpreempt",
            "-ldl",
        ]
    )
    return core


def with_shim(shim, **settings):
    path = f"{shim}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    return dict(os.environ, LD_LIBRARY_PATH=path, XSCHED_LOG_LEVEL="WARN", **settings)


def measure(words, environment, raw=None):
    """Runs a program that prints lines of JSON and returns them by phase."""
    result = subprocess.run(
        [str(word) for word in words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
    )
    if raw:
        raw.write_text(result.stdout)
    if result.returncode != 0:
        sys.exit(f"{words} failed:\n{result.stdout[-2000:]}{result.stderr}")
    phases = {}
    for line in result.stdout.splitlines():
        row = json.loads(line)
        phases.setdefault(row["phase"], []).append(row)
    return phases


def percentile(rows, share):
    """A percentile of the latencies of all cycles together."""
    values = sorted(value for row in rows for value in row["latencies_us"])
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def median_of(rows, key):
    return statistics.median(row[key] for row in rows)


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def paired(rows, base, value):
    """The median over the cycles of a value's ratio to the same value of another phase in that cycle."""
    return statistics.median(value(one) / value(other) for one, other in zip(rows, base))


def against(processes, phase, base, value):
    """That of each process."""
    return [paired(each[phase], each[base], value) for each in processes]


def of_the_bound(process, phase):
    """The background's throughput, relative to what the foreground alone leaves of it in the same cycle."""
    shares = [
        row["background_per_s"]
        / (load["background_per_s"] * (1 - percentile([request], 0.5) / 1000 / PERIOD_MS))
        for row, load, request in zip(process[phase], process["background"], process["alone"])
    ]
    return statistics.median(shares)


def listed(values, digits):
    return ", ".join(f"{value:.{digits}f}" for value in values)


def latency(share):
    return lambda row: percentile([row], share)


def contention(folder, shim, cycles, raw):
    print(
        f"Foreground batch 1 every {PERIOD_MS:g} ms; {cycles} cycles through all phases of a batch,", end=" "
    )
    print(f"in {PROCESSES} processes; a quarter of that where planned.")
    print("P50, P90 and the bound: each value against its own cycle, the median over the cycles", end=" ")
    print("of a process, then the median over the processes;", end=" ")
    print("P99 is over all samples.\n")
    for batch in BATCHES:
        contention_with(folder, shim, cycles, raw, batch, False)
    for batch in BATCHES:
        contention_with(folder, shim, max(6, cycles // 4), raw, batch, True)


def contention_with(folder, shim, cycles, raw, batch, planned):
    plan = ["alone=0.3", "xsched=0.52", "background=0.25", "bounded=0.2", "priority=0.15"]
    if batch == 8:
        plan += ["churn=0.25", "xsched-churn=0.3", "early-churn=0.15", "xsched-early-churn=0.15"]
    if batch != 32:  # native cannot keep up with the period at 32
        plan += ["native=0.15"]
    words = [folder / "contention", "--background", batch, "--period", PERIOD_MS, *plan]
    words += ["--cycles", -(-cycles // PROCESSES)] + ["--planned"] * planned
    name = f"contention-{batch}{'-planned' if planned else ''}"
    processes = [
        measure(words, with_shim(shim), raw and raw / f"{name}-{process}.jsonl")
        for process in range(PROCESSES)
    ]
    phases = {phase: [row for each in processes for row in each[phase]] for phase in processes[0]}
    alone = phases["alone"]
    rows = []
    for phase, found in phases.items():
        base = phase.replace("xsched-", "") if "churn" in phase else "alone"
        row = [phase] + ["–"] * 8
        if found[0]["latencies_us"]:
            row[1] = str(sum(len(each["latencies_us"]) for each in found))
            row[2] = f"{percentile(found, 0.5) / 1000:.3f}"
            for column, share in ((3, 0.5), (4, 0.9)):
                row[column] = f"{statistics.median(against(processes, phase, base, latency(share))):.2f}"
            row[5] = f"{percentile(found, 0.99) / percentile(phases[base], 0.99):.2f}"
        if found[0]["background_per_s"]:
            row[6] = f"{median_of(found, 'background_per_s'):.1f}"
            row[8] = f"{100 * median_of(found, 'background_cpu'):.0f} %"
            if phase == "bounded":
                rates = against(processes, phase, "background", lambda each: each["background_per_s"])
                row[7] = f"{100 * statistics.median(rates):.0f} % of alone"
            elif found[0]["latencies_us"] and "churn" not in phase:
                row[7] = f"{100 * statistics.median(of_the_bound(each, phase) for each in processes):.0f} %"
        rows.append(row)
    launch = median_of(alone, "launch_us") / 1000
    print(f"Background batch {batch}, {'planned' if planned else 'cuBLAS chooses at each call'};", end=" ")
    print(f"the CPU launches an inference of the foreground in {launch:.3f} ms.", end=" ")
    print("In each process, of xsched:", end=" ")
    print("P50", listed(against(processes, "xsched", "alone", latency(0.5)), 3), end="; ")
    print("P90", listed(against(processes, "xsched", "alone", latency(0.9)), 3), end="; ")
    print("of the bound", listed([of_the_bound(each, "xsched") for each in processes], 3), end=". ")
    # What P90 can say depends on this.
    steady = [percentile(each["alone"], 0.9) / percentile(each["alone"], 0.5) for each in processes]
    print(f"Stand-alone P90 against its P50: {listed(steady, 2)}.\n")
    table(
        ["phase", "samples", "P50 ms", "P50", "P90", "P99", "background /s", "of the bound", "its CPU"], rows
    )


def overhead(folder, shim, cycles, raw):
    domain = {"XSCHED_SCHEDULER": "GLB", "XSCHED_DOMAIN_DIR": str(folder / "domain")}
    for what, options, settings in (
        ("in a process by itself", [], {}),
        ("alone in a scheduling domain", [], domain),
        ("in a domain, beside a process that is idle", ["--neighbour"], domain),
    ):
        words = [folder / "launch_overhead", *options]
        result = run(words, env=with_shim(shim, **settings), capture_output=True, text=True)
        print(f"{what}: {result.stdout}")
    pair = ["back-to-back=0.2", "back-to-back-queue=0.2"]
    words = [folder / "contention", "--background", 1, "--cycles"]
    phases = measure([*words, 2 * cycles, *pair], with_shim(shim), raw and raw / "overhead.jsonl")
    ratios = [
        without["foreground_per_s"] / queued["foreground_per_s"]
        for without, queued in zip(phases["back-to-back"], phases["back-to-back-queue"])
    ]
    # Processes with and without the shim take turns: this is what the shim costs without any XQueue.
    shimmed, plain = [], []
    for _ in range(max(3, cycles // 7)):
        for environment, results in ((with_shim(shim), shimmed), (dict(os.environ), plain)):
            phases = measure([*words, 3, pair[0]], environment)
            results.append(median_of(phases["back-to-back"], "foreground_per_s"))
    table(
        ["back to back, time of an inference", "ratio", "runs"],
        [
            [
                "one XQueue, against none in the same process",
                f"{statistics.median(ratios):.4f}",
                str(len(ratios)),
            ],
            [
                "shim without XQueues, against no shim (processes in turn)",
                f"{statistics.median(a / b for a, b in zip(plain, shimmed)):.4f}",
                str(len(plain)),
            ],
        ],
    )


def frameworks(folder, shim, cycles, raw):
    program = HERE / "frameworks.py"
    rows = []
    for name in ("torch", "jax", "cupy"):
        words = [sys.executable, program, name]
        plain = subprocess.run(words, capture_output=True, text=True, check=False)
        shimmed = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            env=with_shim(shim, XSCHED_AUTO_XQUEUE="ON", EXPECT_SHIM="1"),
        )
        same = "same" if plain.stdout == shimmed.stdout and plain.stdout else "DIFFERENT"
        if plain.returncode != 0 or shimmed.returncode != 0:
            same = f"failed: {(plain.stderr + shimmed.stderr)[-300:]}"
        rows.append([name, plain.stdout.strip().replace("\n", "; "), same])
    table(["framework", "results without the shim", "with the shim, every stream an XQueue"], rows)

    phases = {}
    for cycle in range(max(2, cycles // 20)):
        for mode in ("alone", "background", "native", "priority", "xsched"):
            environment = with_shim(shim, XSCHED_AUTO_XQUEUE="ON") if mode == "xsched" else dict(os.environ)
            found = measure(
                [sys.executable, HERE / "pytorch_contention.py", mode],
                environment,
                raw and raw / f"pytorch-{mode}-{cycle}.jsonl",
            )
            for name, results in found.items():
                phases.setdefault(name, []).extend(results)
    free = 1 - percentile(phases["alone"], 0.5) / phases["alone"][0]["period_us"]
    bound = median_of(phases["background"], "background_per_s") * free
    rows = []
    for name, found in phases.items():
        row = [name, "–", "–", "–", "–", "–"]
        if found[0]["latencies_us"]:
            row[1] = f"{percentile(found, 0.5) / 1000:.3f}"
            row[2:4] = [
                f"{percentile(found, share) / percentile(phases['alone'], share):.2f}" for share in (0.5, 0.9)
            ]
        if found[0]["background_per_s"]:
            row[4] = f"{median_of(found, 'background_per_s'):.2f}"
            row[5] = (
                f"{100 * median_of(found, 'background_per_s') / bound:.0f} %" if name != "background" else "–"
            )
        rows.append(row)
    table(
        ["PyTorch, two models in two threads", "P50 ms", "P50", "P90", "background /s", "of the bound"], rows
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=42)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--build", type=pathlib.Path, default=HERE / "build")
    parser.add_argument("--raw", type=pathlib.Path)
    options = parser.parse_args()
    shim = build(options.build)
    if options.raw:
        options.raw.mkdir(parents=True, exist_ok=True)
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    print(run(query, capture_output=True, text=True).stdout)
    gaps = json.loads(run([options.build / "cpu_gaps"], capture_output=True, text=True).stdout)
    print(f"In {gaps['seconds']:g} s, two pinned threads lost their processors for over 0.5 ms", end=" ")
    print(f"{gaps['gaps']} times: {gaps['ms']} ms in all, {gaps['longest_ms']} ms at most.", end=" ")
    print("Where that is much, ignore P90.\n", flush=True)
    for part in PARTS:
        if part in options.only:
            globals()[part](options.build, shim, options.cycles, options.raw)


if __name__ == "__main__":
    main()
