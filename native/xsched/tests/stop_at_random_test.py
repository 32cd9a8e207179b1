#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests stop_at_random.py, which the soak relies on. usage: stop_at_random_test.py"""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

import stop_at_random

HERE = pathlib.Path(__file__).resolve().parent
SELF = pathlib.Path(__file__).resolve()
THREADS = 24
ROUNDS = 20


def child():
    """Many threads, each of which stops by itself."""
    for _ in range(THREADS):
        threading.Thread(target=lambda: [time.sleep(0.0005) for _ in iter(int, 1)], daemon=True).start()
    print("ready", flush=True)
    signal.pause()


def leader():
    """Stops a child again and again, and sees it stay stopped."""
    process = subprocess.Popen([sys.executable, SELF, "child"], stdout=subprocess.PIPE)
    process.stdout.readline()

    def is_stopped():
        return set(stop_at_random.thread_states(process.pid)) == {"T"}

    continued = 0
    for _ in range(ROUNDS):
        process.send_signal(signal.SIGSTOP)
        # Its threads follow one by one, each when it gets a processor; never if somebody has continued them.
        end = time.monotonic() + 60
        while not is_stopped() and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.02)
        continued += not is_stopped()
        process.send_signal(signal.SIGCONT)
        time.sleep(0.002)
    process.kill()
    return min(continued, 1)


def command_line(process):
    try:
        return (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""  # it has ended meanwhile


def left_behind(name):
    return [process for process in pathlib.Path("/proc").glob("[0-9]*") if name in command_line(process)]


class StopAtRandomTest(unittest.TestCase):
    def run_stopped(self, seconds, *words):
        return subprocess.run(
            [sys.executable, "-B", HERE / "stop_at_random.py", str(seconds), *map(str, words)], check=False
        ).returncode

    def test_exits_as_the_program_does(self):
        self.assertEqual(self.run_stopped(240, "true"), 0)
        self.assertEqual(self.run_stopped(240, "bash", "-c", "exit 7"), 7)
        self.assertEqual(self.run_stopped(240, "bash", "-c", "kill -SEGV $$"), 128 + signal.SIGSEGV)

    def test_program_that_does_not_end_is_ended_with_its_children(self):
        name = f"left-behind-{os.getpid()}"
        begun = time.monotonic()
        program = f"exec -a {name} sleep 300 & wait"
        self.assertEqual(self.run_stopped(1, "bash", "-c", program), 124)
        self.assertLess(time.monotonic() - begun, 240)
        self.assertEqual(left_behind(name.encode()), [])

    def test_what_a_program_leaves_behind_is_ended(self):
        name = f"left-behind-{os.getpid()}"
        self.assertEqual(self.run_stopped(240, "bash", "-c", f"exec -a {name} sleep 300 & exit 3"), 3)
        self.assertEqual(left_behind(name.encode()), [])

    def test_child_that_the_program_stops_stays_stopped(self):
        self.assertEqual(self.run_stopped(300, sys.executable, "-B", SELF, "leader"), 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["child"]:
        child()
    elif sys.argv[1:] == ["leader"]:
        sys.exit(leader())
    else:
        unittest.main()
