#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures two vLLM engines that share a GPU, or several GPUs by tensor parallelism, and prints a Markdown table.

"Urgent" answers short requests of a small model at priority 255, "low" always has 64 long ones of a larger model at
-255 (vllm_engines_worker.py). Weights are random, so nothing is downloaded. Needs a GPU with 80 GiB, and vLLM 0.22.

Both engines are started twice, without the core and with it as the hooks do for a model of the Python backend
(native/triton_hooks/README.md), and take turns. Figures are medians over the rounds of ratios within a round, against
alone without the core: of urgent requests the median and the 90th percentile of the time to the first token, and of the
time from each token to the next one; of low ones the tokens a second.

usage: vllm_engines.py PACKAGE [--gpus N] [--rounds N] [--seconds N]
  PACKAGE: where the core is installed, with lib/libcuda.so.1
  --gpus: over how many GPUs each model is spread (default: 1)
  --rounds: default 5, each of 6 times --seconds and the 2 s before each that a low engine has to fill up
  --seconds: default 6
Exits with 1 if an answer to an urgent request is not the one that it had at first.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import sys
import tempfile
import time

import processes
import run

WORKER = run.HERE / "vllm_engines_worker.py"
PERIOD_S = 0.2
# Until a low engine works with all of its requests.
FILL_S = 2.0
# vLLM compiles a model at its first start.
START_S = 300.0
NO_CORE, CORE = SETTINGS = ("without the core", "with")
PRIORITIES = {"urgent": 255, "low": -255}
ARMS = {"urgent": ["urgent"], "low": ["low"], "both": ["urgent", "low"]}
LINES = [
    ("urgent alone, first token", "urgent", "urgent", "first"),
    ("urgent alone, between tokens", "urgent", "urgent", "between"),
    ("urgent, beside the low one, first token", "both", "urgent", "first"),
    ("urgent, beside the low one, between tokens", "both", "urgent", "between"),
    ("low alone", "low", "low", "rate"),
    ("low, beside the urgent one", "both", "low", "rate"),
]


class Machine(contextlib.ExitStack):
    """Both engines in both settings."""

    def __init__(self, package, gpus, seconds):
        super().__init__()
        self.seconds = seconds
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        self.workers = {}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("XSCHED_")}
        core = {
            **plain,
            "LD_LIBRARY_PATH": f"{package / 'lib'}:{plain.get('LD_LIBRARY_PATH', '')}",
            "XSCHED_SCHEDULER": "GLB",
            "XSCHED_CONTROL": "OFF",
            "XSCHED_AUTO_XQUEUE": "ON",
            "XSCHED_DOMAIN_DIR": str(self.folder / "domain"),
        }
        # One after the other: vLLM measures how much of the memory is free, and finds what another one has compiled.
        for setting in SETTINGS:
            for name, priority in PRIORITIES.items():
                own = {
                    "XSCHED_AUTO_XQUEUE_NAME": name,
                    "XSCHED_AUTO_XQUEUE_PRIORITY": str(priority),
                    "XSCHED_GANG": name,
                }
                environment = plain if setting == NO_CORE else {**core, **own}
                log = self.folder / f"{name} {setting}.log"
                each = processes.Worker(f"{name}, {setting}", [name, str(gpus)], environment, log, WORKER)
                self.workers[name, setting] = each
                self.callback(lambda each=each: each.end(time.monotonic() + 20))
                self.facts = each.answer(time.monotonic() + START_S)
                drivers = self.facts.pop("drivers")
                with_core = [used for used in drivers if any(str(package) in driver for driver in used)]
                if len(with_core) < gpus * (setting == CORE) or (setting == NO_CORE and with_core):
                    raise processes.WorkerError(f"'{each.name}' runs with the wrong libcuda.so.1: {drivers}")

    def run(self, arm, setting):
        """The figures of each engine, and how many answers were wrong."""
        begin = time.monotonic() + FILL_S
        job = {"start": begin - FILL_S, "begin": begin, "end": begin + self.seconds, "period": PERIOD_S}
        for name in ARMS[arm]:
            self.workers[name, setting].tell(job)
        answers = {
            name: self.workers[name, setting].answer(job["end"] + 6 * processes.GRACE_S) for name in ARMS[arm]
        }
        time.sleep(processes.PAUSE_S)
        return answers


def percentiles(values):
    ordered = sorted(values)
    return [statistics.median(ordered), ordered[int(0.9 * (len(ordered) - 1))]]


def figures(answer):
    if "tokens_per_s" in answer:
        return {"rate": [answer["tokens_per_s"]]}
    return {"first": percentiles(answer["first_ms"]), "between": percentiles(answer["between_ms"])}


def measure(machine, rounds):
    """The figures of each arm, setting and engine, one a round; and how many answers were wrong."""
    found, wrong = {}, 0
    for number in range(rounds):
        plan = [(arm, setting) for arm in ARMS for setting in SETTINGS]
        for arm, setting in plan if number % 2 == 0 else reversed(plan):
            for name, answer in machine.run(arm, setting).items():
                wrong += answer.get("wrong", 0)
                found.setdefault((arm, setting, name), []).append(figures(answer))
    return found, wrong


def show(found):
    print(f"| | alone, without the core | {' | '.join(SETTINGS)} |\n|---|---|{'---|' * len(SETTINGS)}")
    for title, arm, name, what in LINES:
        base = [each[what] for each in found[name, NO_CORE, name]]
        unit = "/s" if what == "rate" else " ms"
        cells = [f"{statistics.median(values[0] for values in base):.1f}{unit}"]
        for setting in SETTINGS:
            pairs = list(zip((each[what] for each in found[arm, setting, name]), base))
            # Percentiles are against the median alone.
            ratios = [
                statistics.median(values[index] / alone[0] for values, alone in pairs)
                for index in range(len(base[0]))
            ]
            cells.append(", ".join(f"{ratio:.2f}" for ratio in ratios))
        print(f"| {title} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("package", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    given = parser.parse_args()
    with Machine(given.package, given.gpus, given.seconds) as machine:
        print(f"vLLM {machine.facts['vllm']}, {given.gpus} GPUs, {given.rounds} rounds\n", flush=True)
        found, wrong = measure(machine, given.rounds)
    show(found)
    print(f"\n{wrong} answers are wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
