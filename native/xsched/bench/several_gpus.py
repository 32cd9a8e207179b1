#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures priorities on two GPUs, and prints Markdown tables: each GPU has an order of its own.

Urgent and background work run a model in the shape of BERT-large (processes_worker.py), urgent as a CUDA graph
every 20 ms, background eagerly and back to back at batch 32. First all in one process, as in a tritonserver with
instances on both GPUs, then in processes of one scheduling domain, one of which sees GPU 1 alone, one GPU 0 alone
and one both. Last, work that goes back and forth between the GPUs, each waiting for the other by events, below
saturating urgent work on both: its results are counted, and how many are wrong. Needs two GPUs and PyTorch.

All processes are started twice, without the core and with it, and take turns. Figures are medians over the rounds
of ratios within a round: P50 of urgent work against alone without the core; throughput of the background against
alone without the core.

usage: several_gpus.py PACKAGE [ROUNDS]
  PACKAGE: where the core is installed, with lib/libcuda.so.1
  ROUNDS: default 5, of a minute each
Exits with 1 if a result is wrong.
"""

import contextlib
import os
import pathlib
import statistics
import sys
import tempfile
import time

import processes
import run

WORKER = run.HERE / "several_gpus_worker.py"
PERIOD_S, SECONDS = 0.02, 1.0
BATCH = 32
NO_CORE, CORE, AHEAD = "without the core", "with", "running ahead"
START_S = 120.0

#: Processes: the GPUs that each one sees, its priority if it has one for all, and its parts as ROLE@DEVICE.
PROCESSES = {
    "one": ("0,1", None, ["urgent@0", "background@0", "urgent@1", "background@1"]),
    "urgent 1": ("1", 255, ["urgent@0"]),
    "background 1": ("0,1", -255, ["background@1"]),
    "background 0": ("0", -255, ["background@0"]),
    "ring": ("0,1", -255, ["ring@0"]),
}
URGENT, SATURATED, BACKGROUND = {"period": PERIOD_S}, {"period": 0.0}, {"batch": BATCH}
#: What runs together: of each process, the jobs of its parts by their number.
ARMS = {
    "one: urgent 0": {"one": {0: URGENT}},
    "one: urgent 1": {"one": {2: URGENT}},
    "one: background 0": {"one": {1: BACKGROUND}},
    "one: background 1": {"one": {3: BACKGROUND}},
    "one: same GPU": {"one": {0: URGENT, 1: BACKGROUND}},
    "one: other GPU": {"one": {0: URGENT, 3: BACKGROUND}},
    "one: below another GPU's": {"one": {0: SATURATED, 3: BACKGROUND}},
    "one: all": {"one": {0: URGENT, 1: BACKGROUND, 2: URGENT, 3: BACKGROUND}},
    "urgent": {"urgent 1": {0: URGENT}},
    "background 0": {"background 0": {0: BACKGROUND}},
    "background 1": {"background 1": {0: BACKGROUND}},
    "same GPU": {"urgent 1": {0: URGENT}, "background 1": {0: BACKGROUND}},
    "other GPU": {"urgent 1": {0: URGENT}, "background 0": {0: BACKGROUND}},
    "below another GPU's": {"urgent 1": {0: SATURATED}, "background 0": {0: BACKGROUND}},
    "all": {"urgent 1": {0: URGENT}, "background 0": {0: BACKGROUND}, "background 1": {0: BACKGROUND}},
}
RING = {"one": {0: SATURATED}, "urgent 1": {0: SATURATED}, "ring": {0: {}}}

#: Lines of the table: what is shown of an arm's part, against which arm.
LINES = [
    ("one process: urgent, beside background of its GPU", "one: same GPU", ("one", 0), "one: urgent 0"),
    ("urgent, beside background of the other GPU", "one: other GPU", ("one", 0), "one: urgent 0"),
    ("urgent of GPU 0, with urgent and background on both", "one: all", ("one", 0), "one: urgent 0"),
    ("urgent of GPU 1, with urgent and background on both", "one: all", ("one", 2), "one: urgent 1"),
    ("background alone", "one: background 1", ("one", 3), "one: background 1"),
    ("background, beside urgent of its GPU", "one: same GPU", ("one", 1), "one: background 0"),
    ("background, below saturating work of the other GPU", "one: below another GPU's", ("one", 3), "one: background 1"),
    ("processes: urgent, beside background of its GPU", "same GPU", ("urgent 1", 0), "urgent"),
    ("urgent, beside background of the other GPU", "other GPU", ("urgent 1", 0), "urgent"),
    ("urgent, beside background on both", "all", ("urgent 1", 0), "urgent"),
    ("background alone", "background 0", ("background 0", 0), "background 0"),
    ("background, beside urgent of its GPU", "same GPU", ("background 1", 0), "background 1"),
    ("background, below saturating work of the other GPU", "below another GPU's", ("background 0", 0), "background 0"),
]  # fmt: skip


class Machine(contextlib.ExitStack):
    """All processes, without the core and with it."""

    def __init__(self, package):
        super().__init__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        plain = {name: value for name, value in os.environ.items() if not name.startswith("XSCHED_")}
        core = {
            **plain,
            "LD_LIBRARY_PATH": f"{package / 'lib'}:{plain.get('LD_LIBRARY_PATH', '')}",
            "XSCHED_SCHEDULER": "GLB",
            "XSCHED_DOMAIN_DIR": str(self.folder / "domain"),
            "XSCHED_CONTROL": "OFF",
            "XSCHED_AUTO_XQUEUE": "ON",
        }
        self.workers = {}
        for name in PROCESSES:
            self._start(name, NO_CORE, plain)
            self._start(name, CORE, core)
        self._start("ring", AHEAD, {**core, "XSCHED_RUN_AHEAD": "1024"})
        deadline = time.monotonic() + START_S
        for (_, setting), each in self.workers.items():
            self.facts = each.answer(deadline)
            if self.facts.pop("shim") == (setting == NO_CORE):
                raise processes.WorkerError(f"the process '{each.name}' runs with the wrong libcuda.so.1")

    def _start(self, name, setting, environment):
        visible, priority, parts = PROCESSES[name]
        environment = {**environment, "CUDA_VISIBLE_DEVICES": visible}
        if setting != NO_CORE and priority is not None:
            environment["XSCHED_AUTO_XQUEUE_PRIORITY"] = str(priority)
        log = self.folder / f"{name}-{setting}.log"
        each = processes.Worker(f"{name}, {setting}", parts, environment, log, WORKER)
        self.workers[name, setting] = each
        self.callback(lambda: each.end(time.monotonic() + 5))

    def run(self, arm, settings):
        """What each part answers, by process and number."""
        begin = time.monotonic() + processes.AHEAD_S
        times = {"start": begin - processes.AHEAD_S, "begin": begin, "end": begin + SECONDS}
        told = []
        for name, jobs in arm.items():
            each = self.workers[name, settings.get(name, settings[""])]
            each.tell({index: {**times, **job} for index, job in jobs.items()})
            told.append((name, each))
        answers = {}
        for name, each in told:
            answer = each.answer(times["end"] + processes.GRACE_S)
            if len(answer) != len(arm[name]):
                raise processes.WorkerError(f"the process '{each.name}' failed:\n{each.log()[-3000:]}")
            answers.update({(name, int(index)): part for index, part in answer.items()})
        time.sleep(processes.PAUSE_S)
        return answers


def figure(answer):
    """P50 in µs, or inferences a second."""
    if "latencies_us" in answer:
        return statistics.median(answer["latencies_us"])
    return answer["background_per_s"]


def measure(machine, rounds):
    """The figures of each arm, setting and part, one a round."""
    found = {}
    for number in range(rounds):
        plan = [(name, setting) for name in ARMS for setting in (NO_CORE, CORE)]
        for name, setting in plan if number % 2 == 0 else reversed(plan):
            for part, answer in machine.run(ARMS[name], {"": setting}).items():
                found.setdefault((name, setting, part), []).append(figure(answer))
    return found


def show(found):
    print(f"| | {NO_CORE} | {CORE} |\n|---|---|---|")
    for title, arm, part, alone in LINES:
        cells = []
        for setting in (NO_CORE, CORE):
            pairs = zip(found[arm, setting, part], found[alone, NO_CORE, part])
            ratio = statistics.median(value / base for value, base in pairs)
            cells.append(f"{ratio:.2f}" if "urgent" in PARTS[part] else f"{100 * ratio:.0f} %")
        print(f"| {title} | {' | '.join(cells)} |")


#: The role of each part.
PARTS = {
    (name, index): part
    for name, (_, _, parts) in PROCESSES.items()
    for index, part in enumerate(parts)
}  # fmt: skip


def main():
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    wrong = 0
    with Machine(pathlib.Path(sys.argv[1]).resolve()) as machine:
        print(f"{machine.facts['gpu']}, PyTorch {machine.facts['torch']}, {rounds} rounds\n", flush=True)
        show(measure(machine, rounds))
        print("\n| between the GPUs, below urgent work on both | results | wrong |\n|---|---|---|")
        for setting in (NO_CORE, CORE, AHEAD):
            settings = {"": CORE if setting == AHEAD else setting, "ring": setting}
            answers = [machine.run(RING, settings)["ring", 0] for _ in range(rounds)]
            counts = [sum(answer[key] for answer in answers) for key in ("rounds", "wrong")]
            wrong += counts[1] + (counts[0] == 0)
            print(f"| {setting} | {counts[0]} | {counts[1]} |", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
