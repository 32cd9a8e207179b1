#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures priorities between two processes on a GPU, and prints Markdown tables.

The foreground, in a process of its own, is an inference of a model in the shape of BERT-large as a CUDA
graph, every 20 ms. The background, in another process, runs the same model eagerly, back to back, at batch 8
and 32. Needs a GPU and PyTorch; without --core also CMake and a C++ compiler, but neither nvcc nor a
network. With a core that is built:

  make -C native/xsched cuda
  python3 native/xsched/bench/processes.py --core native/xsched/output/lib --json processes.json

All processes are started once: with the core in one scheduling domain (XSCHED_SCHEDULER=GLB), without it,
and a background with the core by itself (LCL), which has an urgent stream, too, without any work. The arms of
a round take turns, in the opposite order in every second round:

  alone, background         one side alone, without the core
  alone (domain), background (domain)   the same under the core
  background (bounded)      the background by itself: held to the limit in flight, as in the domain
  no scheduler              both, without the core
  domain                    both under the core, at 255 and -255
  domain (ahead), background (ahead)    the same where the background runs ahead (XSCHED_RUN_AHEAD)
  XSched's server           with --xsched: both under XSched's own shim, with its server as the scheduler

P50, P90, throughput and the bound are medians over the rounds, each against its own round; P99 is over all
samples. The bound of the background is its throughput alone x (1 - P50 of the foreground alone / period).

A run takes at most --limit seconds, not counting the build of the core: it begins no round that would not
end in time, and says so. It leaves no process behind, whatever ends it.

usage: processes.py [--core FOLDER] [--batches N ...] [--rounds N] [--seconds N] [--period MS] [--ahead N]
                    [--xsched FOLDER] [--limit N] [--json FILE]
  --core: the folder of the core's libcuda.so.1 (default: builds it, in bench/build/core)
  --ahead: by how many calls the background may run ahead
  --xsched: what "make cuda" of XSched (github.com/XpuOS/xsched) has put into "output", for the arm with its
            server: highest priority first, level 1, and its defaults for how much may be launched ahead
"""

import argparse
import contextlib
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import run

WORKER = run.HERE / "processes_worker.py"
PRIORITIES = {"foreground": 255, "background": -255}
# What a process runs with.
NO_CORE, DOMAIN, AHEAD, BOUNDED, XSCHED = "no core", "domain", "ahead", "bounded", "XSched's server"
IN_DOMAIN = (DOMAIN, AHEAD)
# How long the background runs before the foreground begins, and the pause after an arm.
AHEAD_S, PAUSE_S = 0.25, 0.1
# What an answer may come late by: kernels under way, and a busy machine.
GRACE_S = 10.0
# Of the limit: what is left for the end of the processes and the tables.
END_S = 3.0


class WorkerError(Exception):
    pass


class Worker:
    """A process that answers each job, a line of JSON, with a line of JSON."""

    def __init__(self, name, words, environment, log, program=WORKER):
        self.name = name
        self._log = log
        self._answers = queue.Queue()
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, program, *words],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self._process.pid

    def _read(self):
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def tell(self, job):
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._failure(f"ended: {error}") from error

    def answer(self, deadline):
        """The next answer, which must come by 'deadline'."""
        try:
            line = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise self._failure("does not answer") from None
        if line is None:
            raise self._failure(f"ended with status {self._process.wait()}")
        try:
            return json.loads(line)
        except ValueError as error:
            raise self._failure(f"answered {line!r}") from error

    def _failure(self, what):
        return WorkerError(f"the process '{self.name}' {what}; its output ends with:\n{self.log()[-3000:]}")

    def hang_up(self):
        """It ends by itself when no job can come any more."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def end(self, deadline):
        self.hang_up()
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1)
        self._process.stdout.close()


class XschedServer:
    """XSched's own server, which decides for the processes under its shim."""

    def __init__(self, folder, log):
        self.libraries = folder / "lib"
        program = folder / "bin/xserver"
        for needed in (program, self.libraries / "libcuda.so.1"):
            if not needed.exists():
                raise WorkerError(f"there is no {needed}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with log.open("wb") as output:
            self._process = subprocess.Popen([program, "HPF", str(port)], stdout=output, stderr=output)
        deadline = time.monotonic() + GRACE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.end()
                    raise WorkerError(
                        f"{program} does not serve; its output ends with:\n{log.read_text(errors='replace')[-3000:]}"
                    ) from None
                time.sleep(0.05)

    def end(self):
        self._process.kill()
        self._process.wait()


class Fleet:
    """The foreground and the background, each with and without the core. Used as a context."""

    def __init__(self, core, batches, ahead, xsched=None):
        self._core = core
        self._ahead = ahead
        self._xsched = xsched
        self._server = None
        self._batches = [str(each) for each in batches]
        self._workers = {}

    def __enter__(self):
        # The domain is in memory, and nobody else's.
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix=f"xsched-bench-{os.getpid()}-", dir="/dev/shm"))
        try:
            plain = {
                name: value
                for name, value in os.environ.items()
                if not name.startswith("XSCHED_") or name == "XSCHED_CUDA_LIB"
            }
            if self._xsched:
                self._server = XschedServer(self._xsched, self._folder / "xserver.log")
            for role, priority in PRIORITIES.items():
                words = [role, *(self._batches if role == "background" else ["1"])]
                scheduled = dict(
                    plain,
                    LD_LIBRARY_PATH=f"{self._core}:{plain.get('LD_LIBRARY_PATH', '')}",
                    XSCHED_SCHEDULER="GLB",
                    XSCHED_DOMAIN_DIR=str(self._folder / "domain"),
                    XSCHED_CONTROL_DIR=str(self._folder / "control"),
                    XSCHED_AUTO_XQUEUE="ON",
                    XSCHED_AUTO_XQUEUE_PRIORITY=str(priority),
                )
                self._start(role, NO_CORE, words, plain)
                self._start(role, DOMAIN, words, scheduled)
                if self._server:
                    libraries = f"{self._server.libraries}:{plain.get('LD_LIBRARY_PATH', '')}"
                    others = dict(plain, LD_LIBRARY_PATH=libraries, XSCHED_SCHEDULER="GLB")
                    others.update(XSCHED_AUTO_XQUEUE="ON", XSCHED_AUTO_XQUEUE_PRIORITY=str(priority))
                    self._start(role, XSCHED, words, others)
            self._start("background", AHEAD, words, dict(scheduled, XSCHED_RUN_AHEAD=str(self._ahead)))
            # Its streams have the priorities that they have for CUDA.
            bounded = dict(scheduled, XSCHED_SCHEDULER="LCL")
            del bounded["XSCHED_AUTO_XQUEUE_PRIORITY"]
            self._start("background", BOUNDED, ["bounded", *self._batches], bounded)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, role, setting, words, environment):
        log = self._folder / f"{role}-{setting}.log"
        self._workers[role, setting] = Worker(f"{role}, {setting}", words, environment, log)

    def __exit__(self, *_):
        deadline = time.monotonic() + 5
        for worker in self._workers.values():
            worker.hang_up()
        for worker in self._workers.values():
            worker.end(deadline)
        if self._server:
            self._server.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait_until_ready(self, deadline):
        """Returns what they run on. Fails unless exactly those that should be are in one domain."""
        domains = set()
        for (_, setting), worker in self._workers.items():
            facts = worker.answer(deadline)
            shim = facts.pop("shim")
            if setting == XSCHED:
                if (
                    str(self._server.libraries.resolve())
                    not in pathlib.Path(f"/proc/{worker.pid}/maps").read_text()
                ):
                    raise WorkerError(f"the process '{worker.name}' runs without XSched's shim")
                continue
            if shim == (setting == NO_CORE):
                raise WorkerError(
                    f"the process '{worker.name}' runs {'under' if setting == NO_CORE else 'without'} the core"
                )
            if setting in IN_DOMAIN:
                joined = re.search(r"is in the scheduling domain (\S+)", worker.log())
                if not joined:
                    raise WorkerError(f"the process '{worker.name}' is in no domain:\n{worker.log()[-3000:]}")
                domains.add(joined[1])
        if len(domains) != 1:
            raise WorkerError(f"the processes are in different domains: {', '.join(sorted(domains))}")
        return facts

    def measure(self, arm, seconds, period):
        begin = time.monotonic() + AHEAD_S
        job = {"begin": begin, "end": begin + seconds, "start": begin - AHEAD_S}
        jobs = []
        if arm.batch is not None:
            jobs.append((self._workers["background", arm.setting], dict(job, batch=arm.batch)))
        if arm.has_foreground:
            setting = DOMAIN if arm.setting == AHEAD else arm.setting
            jobs.append((self._workers["foreground", setting], dict(job, period=period)))
        for worker, each in jobs:
            worker.tell(each)
        row = {}
        for worker, _ in jobs:
            row.update(worker.answer(job["end"] + GRACE_S))
        time.sleep(PAUSE_S)
        return row

    def kept(self, deadline):
        """What the core says at the end of the background that ran ahead: what was kept, and what waited for it."""
        worker = self._workers["background", AHEAD]
        worker.end(deadline)
        said = re.search(r"ran ahead (.*)", worker.log())
        return said[1] if said else "nothing"

    def counters(self):
        """What the core counted in each process, for the record."""
        command = next(
            (
                path
                for path in (self._core / "xsched-ctl", self._core.parent / "bin/xsched-ctl")
                if path.exists()
            ),
            None,
        )
        found = {}
        for role in PRIORITIES if command else ():
            words = [command, "--pid", str(self._workers[role, DOMAIN].pid), "stats", "--json"]
            environment = dict(os.environ, XSCHED_CONTROL_DIR=str(self._folder / "control"))
            with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
                result = subprocess.run(
                    words, env=environment, capture_output=True, text=True, timeout=6, check=True
                )
                found[role] = json.loads(result.stdout)
        return found


class Arm:
    def __init__(self, name, batch, has_foreground, setting):
        self.name = name
        self.batch = batch
        self.has_foreground = has_foreground
        self.setting = setting

    @property
    def key(self):
        return self.name if self.batch is None else f"{self.name}, batch {self.batch}"


def arms(batches, with_xsched):
    found = [Arm("alone", None, True, NO_CORE), Arm("alone (domain)", None, True, DOMAIN)]
    for batch in batches:
        found += [
            Arm("background", batch, False, NO_CORE),
            Arm("no scheduler", batch, True, NO_CORE),
            Arm("domain", batch, True, DOMAIN),
            Arm("background (domain)", batch, False, DOMAIN),
            Arm("domain (ahead)", batch, True, AHEAD),
            Arm("background (ahead)", batch, False, AHEAD),
            Arm("background (bounded)", batch, False, BOUNDED),
        ]
        if with_xsched:
            found.append(Arm(XSCHED, batch, True, XSCHED))
            found.append(Arm(f"background ({XSCHED})", batch, False, XSCHED))
    return found


def measure_rounds(fleet, plan, options, deadline):
    """The rows of each arm, one a round."""
    rows = {arm.key: [] for arm in plan}
    longest = len(plan) * (AHEAD_S + options.seconds + PAUSE_S)
    for number in range(options.rounds):
        began = time.monotonic()
        if number > 0 and began + longest > deadline:
            print(f"{number} of {options.rounds} rounds: no time for more.\n", flush=True)
            break
        for arm in plan if number % 2 == 0 else reversed(plan):
            rows[arm.key].append(fleet.measure(arm, options.seconds, options.period / 1000))
        longest = max(longest, time.monotonic() - began)
    return rows


def ratio(rows, base, share):
    """The median over the rounds of a percentile against that of another arm in the same round."""
    return run.paired(rows, base, run.latency(share))


def of_the_bound(rows, background, alone, period):
    return statistics.median(
        row["background_per_s"]
        / (load["background_per_s"] * (1 - run.percentile([request], 0.5) / 1000 / period))
        for row, load, request in zip(rows, background, alone)
    )


def summarize(rows, plan, period):
    """What the tables show, of each arm."""
    alone = rows["alone"]
    result = {}
    for arm in plan:
        found = rows[arm.key]
        summary = {}
        if arm.has_foreground:
            own = rows["alone (domain)"] if arm.setting in IN_DOMAIN else alone
            summary["samples"] = sum(len(row["latencies_us"]) for row in found)
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
                summary[f"{name}_ms"] = run.percentile(found, share) / 1000
                summary[name] = ratio(found, alone, share)
                summary[f"{name}_own"] = ratio(found, own, share)
            summary["p99"] = run.percentile(found, 0.99) / run.percentile(alone, 0.99)
            summary["p99_own"] = run.percentile(found, 0.99) / run.percentile(own, 0.99)
        if arm.batch is not None:
            summary["background_per_s"] = run.median_of(found, "background_per_s")
            background = rows[f"background, batch {arm.batch}"]
            if arm.has_foreground:
                summary["of_the_bound"] = of_the_bound(found, background, alone, period)
            else:
                summary["of_alone"] = run.paired(found, background, lambda row: row["background_per_s"])
        result[arm.key] = summary
    return result


def show(summary, plan, batches):
    head = [
        "arm",
        "samples",
        "P50 ms",
        "P90 ms",
        "P99 ms",
        "P50",
        "P90",
        "P99",
        "P50, P90, P99 against own process",
    ]
    head += ["background /s", "of the bound"]
    for batch in batches:
        print(f"Background: PyTorch, eager, batch {batch}, in another process\n")
        rows = []
        for arm in plan:
            if arm.batch not in (None, batch):
                continue
            found = summary[arm.key]
            row = [arm.name] + ["–"] * (len(head) - 1)
            if arm.has_foreground:
                row[1] = str(found["samples"])
                row[2:5] = [f"{found[name]:.3f}" for name in ("p50_ms", "p90_ms", "p99_ms")]
                row[5:8] = [f"{found[name]:.2f}" for name in ("p50", "p90", "p99")]
                row[8] = ", ".join(f"{found[name]:.2f}" for name in ("p50_own", "p90_own", "p99_own"))
            if arm.batch is not None:
                row[9] = f"{found['background_per_s']:.2f}"
                row[10] = (
                    f"{100 * found['of_the_bound']:.1f} %"
                    if arm.has_foreground
                    else f"{100 * found['of_alone']:.1f} % of alone"
                )
            rows.append(row)
        run.table(head, rows)


def driver_version():
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.split()[0]
    return "unknown"


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=pathlib.Path)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.4, help="length of an arm")
    parser.add_argument("--period", type=float, default=20.0, help="of the foreground, in ms")
    parser.add_argument("--ahead", type=int, default=1024, help="XSCHED_RUN_AHEAD of the background")
    parser.add_argument("--xsched", type=pathlib.Path, help="XSched's own build, for an arm with its server")
    parser.add_argument("--limit", type=float, default=90.0, help="of the whole run, in seconds")
    parser.add_argument("--json", type=pathlib.Path, default=run.HERE / "build/processes.json")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    core = (options.core or run.build_core(run.CORE, run.HERE / "build/core")).resolve()
    if not (core / "libcuda.so.1").exists():
        raise WorkerError(f"there is no libcuda.so.1 in {core}")
    deadline = time.monotonic() + options.limit - END_S
    plan = arms(options.batches, options.xsched is not None)
    with Fleet(core, options.batches, options.ahead, options.xsched) as fleet:
        facts = fleet.wait_until_ready(deadline)
        facts["driver"] = driver_version()
        print(f"{facts['gpu']}, driver {facts['driver']}, torch {facts['torch']};", end=" ")
        print(
            f"the foreground infers every {options.period:g} ms, {options.seconds:g} s an arm.\n", flush=True
        )
        rows = measure_rounds(fleet, plan, options, deadline)
        counters = fleet.counters()
        kept = fleet.kept(time.monotonic() + GRACE_S)
    summary = summarize(rows, plan, options.period)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    settings = {name: getattr(options, name) for name in ("batches", "seconds", "period", "ahead")}
    options.json.write_text(
        json.dumps(
            {**facts, **settings, "summary": summary, "rounds": rows, "counters": counters, "kept": kept},
            indent=1,
        )
    )
    show(summary, plan, options.batches)
    print(f"The background that may run ahead by {options.ahead} calls did so {kept}")


if __name__ == "__main__":
    # The end by a signal, for example of 'timeout', is to end the processes, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except WorkerError as failure:
        sys.exit(f"processes.py: {failure}")
