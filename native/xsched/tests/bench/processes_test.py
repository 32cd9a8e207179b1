#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests bench/processes.py with a stand-in for PyTorch on the simulated driver.

Each process has a simulated device of its own, so without the core they do not slow each other down, and
what one takes from the other in the domain is the gate's doing.

usage: processes_test.py CORE DRIVER
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BENCH = HERE.parents[1] / "bench"
PERIOD_MS = 20.0


def command(*words):
    return [sys.executable, "-B", BENCH / "processes.py", "--core", CORE, *map(str, words)]


def execute(words, **more):
    """The benchmark, run to its end, and the folders that it leaves."""
    with subprocess.Popen(
        words, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, stdout, stderr), folders_of(process.pid)


def environment(**more):
    return dict(
        os.environ,
        PYTHONPATH=str(HERE / "stand_in"),
        PYTHONDONTWRITEBYTECODE="1",
        STAND_IN_DRIVER=DRIVER,
        XSCHED_CUDA_LIB=DRIVER,
        **more,
    )


def workers_of(pid):
    """The processes that one has started and that have not ended."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            words = (process / "cmdline").read_text()
        except OSError:
            continue
        if parent == pid and "processes_worker.py" in words:
            found.append(int(process.name))
    return found


def is_there(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def folders_of(pid):
    return list(pathlib.Path("/dev/shm").glob(f"xsched-bench-{pid}-*"))


class ProcessesTest(unittest.TestCase):
    def test_shows_what_the_domain_does_to_the_background(self):
        # The foreground, 24 layers of 0.4 ms, holds the background back for half of the time; without a domain nobody
        # does. On a busy machine both get less, so no figure is compared with a time, and the two are less alike the
        # longer they are looked at.
        for seconds in (0.6, 2, 5):
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder, "results.json")
                words = ("--batches", 8, "--rounds", 2, "--seconds", seconds, "--limit", 500, "--json", file)
                result, left = execute(command(*words), STAND_IN_LAYER_US="400")
                self.assertEqual(result.returncode, 0, result.stderr)
                found = json.loads(file.read_text())
            summary = found["summary"]
            free = summary["no scheduler, batch 8"]["background_per_s"]
            held = summary["domain, batch 8"]["background_per_s"]
            if held < free:
                break
        self.assertGreater(summary["alone"]["p50_ms"], 9.6)
        self.assertGreater(held, 0)
        self.assertLess(held, free)
        for arm in ("no scheduler, batch 8", "domain, batch 8"):
            row = summary[arm]
            # Below zero where the machine is so busy that a request alone takes longer than the period.
            self.assertNotEqual(row["of_the_bound"], 0)
            self.assertEqual(row["samples"], sum(len(each["latencies_us"]) for each in found["rounds"][arm]))
        self.assertEqual(summary["alone"]["p50"], 1)
        self.assertEqual([len(rows) for rows in found["rounds"].values()], [2] * 9)
        self.assertGreater(summary["background (bounded), batch 8"]["of_alone"], 0)
        queues = found["counters"]["background"]
        self.assertTrue(any(queue["blocked"] > 0 for queue in queues["queues"]), queues)
        self.assertGreater(summary["background (ahead), batch 8"]["of_alone"], 0)
        self.assertRegex(found["kept"], r"^by at most [1-9]\d* calls: kept [1-9]\d*, of which 0 failed;")
        self.assertIn("cuEventSynchronize", found["kept"])
        self.assertIn(found["kept"], result.stdout)
        for column in ("| alone |", "| no scheduler |", "| domain |", "of the bound"):
            self.assertIn(column, result.stdout)
        self.assertEqual(left, [])

    def test_compares_with_the_server_of_xsched(self):
        with tempfile.TemporaryDirectory() as folder:
            # Takes XSched's place: its shim is a driver that schedules nothing, and its server only listens.
            pathlib.Path(folder, "bin").mkdir()
            pathlib.Path(folder, "lib").mkdir()
            shutil.copy(DRIVER, f"{folder}/lib/libcuda.so.1")
            server = pathlib.Path(folder, "bin/xserver")
            server.write_text(
                f"#!{sys.executable}\n"
                "import socket, sys\n"
                "assert sys.argv[1] == 'HPF'\n"
                "with socket.create_server(('127.0.0.1', int(sys.argv[2]))) as listening:\n"
                "    while True:\n"
                "        listening.accept()[0].close()\n"
            )
            server.chmod(0o755)
            file = pathlib.Path(folder, "results.json")
            words = command("--batches", 8, "--rounds", 1, "--seconds", 0.3, "--json", file)
            result, left = execute([*words, "--xsched", folder])
            self.assertEqual(result.returncode, 0, result.stderr)
            summary = json.loads(file.read_text())["summary"]
            self.assertGreater(summary["XSched's server, batch 8"]["background_per_s"], 0)
            self.assertIn("| XSched's server |", result.stdout)
            self.assertEqual(left, [])
            server.write_text("#!/bin/sh\necho no port; exit 3\n")
            result, left = execute([*words, "--xsched", folder])
            self.assertEqual(result.returncode, 1)
            self.assertIn("does not serve", result.stderr)
            self.assertIn("no port", result.stderr)
            self.assertEqual(left, [])

    def test_begins_no_round_that_would_not_end_in_time(self):
        # A busy machine may take longer than the shortest to start the processes.
        for limit in (8, 40, 160):
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder, "results.json")
                words = ("--batches", 8, "--rounds", 50, "--seconds", 0.2, "--limit", limit, "--json", file)
                began = time.monotonic()
                result, _ = execute(command(*words))
                in_time = time.monotonic() - began < 2 * limit
            if result.returncode == 0 and in_time:
                break
        self.assertEqual((result.returncode, in_time), (0, True), result.stderr)
        self.assertIn("of 50 rounds: no time for more.", result.stdout)

    def test_says_which_process_failed_and_leaves_none(self):
        result, left = execute(command(), STAND_IN_FAILS="background")
        self.assertEqual(result.returncode, 1)
        self.assertIn("the process 'background, no core' ended with status 1", result.stderr)
        self.assertIn("this stand-in fails", result.stderr)
        self.assertEqual(left, [])

    def test_refuses_a_process_without_the_core_where_it_should_have_it(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "libcuda.so.1").symlink_to(DRIVER)
            words = command()
            words[words.index("--core") + 1] = folder
            result, _ = execute(words)
        self.assertEqual(result.returncode, 1)
        self.assertIn("the process 'foreground, domain' runs without the core", result.stderr)

    def test_leaves_no_process_behind_when_it_is_ended(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            process = subprocess.Popen(
                command("--rounds", 50), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            with process:
                process.stdout.readline()  # they are ready
                workers = workers_of(process.pid)
                self.assertEqual(len(workers), 6)
                self.assertEqual(len(folders_of(process.pid)), 1)
                process.send_signal(number)
                process.wait(120)
            deadline = time.monotonic() + 120
            while any(is_there(each) for each in workers) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual([each for each in workers if is_there(each)], [])
            if number == signal.SIGTERM:
                self.assertEqual(folders_of(process.pid), [])
            for folder in folders_of(process.pid):  # nobody is left to do it
                shutil.rmtree(folder)


if __name__ == "__main__":
    CORE, DRIVER = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
