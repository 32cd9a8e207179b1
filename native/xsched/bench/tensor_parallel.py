#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures models that are spread over two GPUs, and prints a Markdown table.

Each model has the shape of BERT-large and a process for each GPU, its rank, as in vLLM; after each half of a layer the
ranks add up their parts with NCCL, so that each waits on its GPU for the other. "Urgent" is a CUDA graph every 20 ms
at batch 1 and priority 255, "low" and "other low" work eagerly and back to back at batch 32 and -255. "One GPU's" is an
urgent model of the first GPU alone (several_gpus_worker.py). Needs two GPUs, PyTorch and NCCL.

All processes are started three times, without the core, with it, and with it as gangs (XSCHED_GANG), and take turns.
Figures are medians over the rounds of ratios within a round: P50 and P90 of urgent models against P50 alone without the
core; throughput of low ones against alone without the core. A rank's latency is that of the model if it is the later
one. Who cannot keep up with its requests is the later with each.

usage: tensor_parallel.py PACKAGE [ROUNDS]
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

WORKER = run.HERE / "tensor_parallel_worker.py"
WORKER_OF_ONE_GPU = run.HERE / "several_gpus_worker.py"
RANKS = (0, 1)
PERIOD_S, SECONDS = 0.02, 1.0
NO_CORE, CORE, GANGS = SETTINGS = ("without the core", "with", "as gangs")
START_S = 150.0

#: The role of each model's ranks, and its priority.
MODELS = {"urgent": ("urgent", 255), "low": ("background", -255), "other low": ("background", -255)}
ONE_GPU = "one GPU's"
#: What runs together.
ARMS = {
    "urgent": ["urgent"],
    "low": ["low"],
    "other low": ["other low"],
    ONE_GPU: [ONE_GPU],
    "beside low": ["urgent", "low"],
    "beside both low": ["urgent", "low", "other low"],
    "equals": ["low", "other low"],
    "one GPU's beside low": [ONE_GPU, "low"],
    "one GPU's without a pause": [ONE_GPU],
    "below one GPU's without a pause": [ONE_GPU, "low"],
}
#: Those in which one GPU's urgent model does not wait for requests. What counts is how many it has done.
BUSY = ("one GPU's without a pause", "below one GPU's without a pause")
#: Lines of the table: which model of which arm.
LINES = [
    ("urgent alone", "urgent", "urgent"),
    ("urgent, beside a low one", "beside low", "urgent"),
    ("urgent, beside two low ones", "beside both low", "urgent"),
    ("one GPU's urgent model, beside a low one", "one GPU's beside low", ONE_GPU),
    ("low alone", "low", "low"),
    ("low, beside an urgent one", "beside low", "low"),
    ("low, beside another low one", "equals", "low"),
    ("other low, beside the low one", "equals", "other low"),
    ("low, beside an urgent one and another low one", "beside both low", "low"),
    ("other low, beside these", "beside both low", "other low"),
    ("low, beside one GPU's urgent model", "one GPU's beside low", "low"),
    ("one GPU's urgent model without a pause, above a low one", BUSY[1], ONE_GPU),
    ("low, below that", BUSY[1], "low"),
]


class Machine(contextlib.ExitStack):
    """All processes in all settings."""

    def __init__(self, package):
        super().__init__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        self.plain = {name: value for name, value in os.environ.items() if not name.startswith("XSCHED_")}
        self.core = {
            **self.plain,
            "LD_LIBRARY_PATH": f"{package / 'lib'}:{self.plain.get('LD_LIBRARY_PATH', '')}",
            "XSCHED_SCHEDULER": "GLB",
            "XSCHED_CONTROL": "OFF",
            "XSCHED_AUTO_XQUEUE": "ON",
        }
        self.workers = {}
        for number, setting in enumerate(SETTINGS):
            for name, (role, priority) in MODELS.items():
                store = str(self.folder / f"{name} {number}".replace(" ", "-"))
                for rank in RANKS:
                    words = [role, str(rank), store]
                    self._start(name, setting, rank, priority, WORKER, words)
            self._start(ONE_GPU, setting, 0, 255, WORKER_OF_ONE_GPU, ["urgent@0"])
        deadline = time.monotonic() + START_S
        for (name, setting, _), each in self.workers.items():
            facts = each.answer(deadline)
            if facts.pop("shim") == (setting == NO_CORE):
                raise processes.WorkerError(f"the process '{each.name}' runs with the wrong libcuda.so.1")
            self.facts = facts if name in MODELS else self.facts

    def _start(self, name, setting, rank, priority, program, words):
        environment = self.plain
        if setting != NO_CORE:
            environment = {
                **self.core,
                # What is one's own in one setting is not there in the other.
                "XSCHED_DOMAIN_DIR": str(self.folder / f"domain-{SETTINGS.index(setting)}"),
                "XSCHED_AUTO_XQUEUE_NAME": name,
                "XSCHED_AUTO_XQUEUE_PRIORITY": str(priority),
                **({"XSCHED_GANG": name} if setting == GANGS else {}),
            }
        environment = {**environment, "CUDA_VISIBLE_DEVICES": str(rank)}
        log = self.folder / f"{name}-{setting}-{rank}.log"
        each = processes.Worker(f"{name}, {setting}, rank {rank}", words, environment, log, program)
        self.workers[name, setting, rank] = each
        self.callback(lambda: each.end(time.monotonic() + 5))

    def run(self, arm, setting):
        """The figures of each model, and how many results were wrong."""
        begin = time.monotonic() + processes.AHEAD_S
        job = {"start": begin - processes.AHEAD_S, "begin": begin, "end": begin + SECONDS}
        job["period"] = 0.0 if arm in BUSY else PERIOD_S
        told = [key for key in self.workers if key[0] in ARMS[arm] and key[1] == setting]
        for key in told:
            self.workers[key].tell({"0": job} if key[0] == ONE_GPU else job)
        answers = {}
        for key in told:
            answer = self.workers[key].answer(job["end"] + 3 * processes.GRACE_S)
            answers.setdefault(key[0], []).append(answer["0"] if key[0] == ONE_GPU else answer)
        time.sleep(processes.PAUSE_S)
        wrong = sum(answer.get("wrong", 0) for each in answers.values() for answer in each)
        return {name: figures(each, arm in BUSY) for name, each in answers.items()}, wrong


def figures(answers, busy):
    """P50 and P90 in µs of the later rank's latencies, or inferences a second."""
    if "latencies_us" not in answers[0]:
        return [answers[0]["background_per_s"]]
    if busy:
        return [len(answers[0]["latencies_us"]) / SECONDS]
    latencies = sorted(max(each) for each in zip(*(answer["latencies_us"] for answer in answers)))
    return [statistics.median(latencies), latencies[int(0.9 * (len(latencies) - 1))]]


def measure(machine, rounds):
    """The figures of each arm, setting and model, one a round; and how many results were wrong."""
    found, wrong = {}, 0
    for number in range(rounds):
        plan = [(arm, setting) for arm in ARMS for setting in SETTINGS]
        for arm, setting in plan if number % 2 == 0 else reversed(plan):
            of_models, wrong_now = machine.run(arm, setting)
            wrong += wrong_now
            for name, each in of_models.items():
                found.setdefault((arm, setting, name), []).append(each)
    return found, wrong


def show(found):
    print(f"| | {' | '.join(SETTINGS)} |\n|---|{'---|' * len(SETTINGS)}")
    for title, arm, name in LINES:
        cells = []
        for setting in SETTINGS:
            alone = BUSY[0] if (arm, name) == (BUSY[1], ONE_GPU) else name
            pairs = list(zip(found[arm, setting, name], found[alone, NO_CORE, name]))
            ratios = [
                statistics.median(values[index] / base[0] for values, base in pairs)
                for index in range(len(pairs[0][0]))
            ]
            cells.append(
                ", ".join(f"{ratio:.2f}" for ratio in ratios)
                if len(ratios) > 1
                else f"{100 * ratios[0]:.0f} %"
            )
        print(f"| {title} | {' | '.join(cells)} |")


def main():
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with Machine(pathlib.Path(sys.argv[1]).resolve()) as machine:
        facts = machine.facts
        print(
            f"{facts['gpu']}, PyTorch {facts['torch']}, NCCL {facts['nccl']}, {rounds} rounds\n", flush=True
        )
        found, wrong = measure(machine, rounds)
    show(found)
    print(f"\n{wrong} results are wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
