#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests the installed xsched-run on the simulated driver. usage: xsched_run_test.py INSTALLED DRIVER"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

# Launches kernels of 1 ms, without end once it is told to; what it has done by then it says at each line. It launches
# many at a time, since a busy machine keeps it long from the next ones, and then it is the others' turn.
PROGRAM = """
import ctypes, sys, threading
driver = ctypes.CDLL("libcuda.so.1")
def call(name, *arguments):
    result = getattr(driver, name)(*arguments)
    assert result == 0, (name, result)
call("cuInit", 0)
call("cuCtxCreate_v2", ctypes.byref(ctypes.c_void_p()), 0, 0)
stream, none, kernel = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p(1 << 32 | 1000)
call("cuStreamCreate", ctypes.byref(stream), 1)
count = 0
def work():
    global count
    while True:
        for _ in range(20):
            call("cuLaunchKernel", kernel, 1, 1, 1, 1, 1, 1, 0, stream, none, none)
        call("cuStreamSynchronize", stream)
        count += 20
print("ready", flush=True)
for line in sys.stdin:
    if line == "work\\n":
        threading.Thread(target=work, daemon=True).start()
    print(count, flush=True)
"""


class XSchedRunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = {
            "PATH": os.environ["PATH"],
            "XSCHED_CUDA_LIB": DRIVER,
            "XSCHED_DOMAIN_DIR": str(self.folder / "domain"),
            "XSCHED_CONTROL_DIR": str(self.folder / "control"),
        }

    def execute(self, *words, program="xsched-run"):
        return subprocess.run(
            [INSTALLED / "bin" / program, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *words):
        process = subprocess.Popen(
            [INSTALLED / "bin/xsched-run", *words, "--", sys.executable, "-c", PROGRAM],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def end():
            process.kill()
            with process:
                pass

        self.addCleanup(end)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def say(self, process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def queues(self, process):
        found = self.execute("--pid", str(process.pid), "stats", "--json", program="xsched-ctl")
        return [(queue["name"], queue["priority"]) for queue in json.loads(found.stdout)["queues"]]

    def test_a_program_is_below_all_others_under_its_own_name(self):
        process = self.start()
        self.assertEqual(self.queues(process), [(pathlib.Path(sys.executable).name, -255)])

    def test_a_program_has_the_name_and_the_priority_that_it_is_given(self):
        for given, priority in (("-7", -7), ("max", 255), ("default", 0)):
            process = self.start("--priority", given, "--name", "night training")
            self.assertEqual(self.queues(process), [("night training", priority)])

    def test_a_more_urgent_program_holds_it_back_until_its_priority_is_changed(self):
        low = self.start("--name", "low")
        high = self.start("--priority", "9", "--name", "high")

        def progress(process, until):
            # However busy the machine is: as many looks as it takes the other one to do something.
            other = high if process is low else low
            before, begin = self.say(process, ""), self.say(other, "")
            while self.say(other, "") < begin + until:
                pass
            return self.say(process, "") - before

        def held_back(process):
            # The kernel that was under way, and what comes between two launches of the other one: that is more where a
            # busy machine stops it, but not each time.
            return any(progress(process, 200) < 100 for _ in range(10))

        self.say(low, "work")
        self.say(high, "work")
        self.assertTrue(held_back(low))
        changed = self.execute("priority", "low", "10", program="xsched-ctl")
        self.assertEqual(changed.returncode, 0, changed.stderr)
        self.assertTrue(held_back(high))

    def test_a_program_with_a_floor_goes_on_below_a_more_urgent_one(self):
        low = self.start("--name", "low", "--floor", "20")
        high = self.start("--priority", "9", "--name", "high")
        found = self.execute("--pid", str(low.pid), "stats", "--json", program="xsched-ctl")
        self.assertEqual([queue["floor_percent"] for queue in json.loads(found.stdout)["queues"]], [20])
        self.say(low, "work")
        self.say(high, "work")
        begin = self.say(low, "")
        while self.say(low, "") < begin + 500:
            pass
        # By name, in whichever process has it.
        changed = self.execute("floor", "low", "30", program="xsched-ctl")
        self.assertEqual(changed.returncode, 0, changed.stderr)
        self.assertIn("30 %", changed.stdout)

    def test_a_programs_weight_is_told_and_changed(self):
        program = self.start("--name", "heavy", "--weight", "3")
        found = self.execute("--pid", str(program.pid), "stats", "--json", program="xsched-ctl")
        self.assertEqual([queue["weight"] for queue in json.loads(found.stdout)["queues"]], [3])
        changed = self.execute("weight", "heavy", "7", program="xsched-ctl")
        self.assertEqual(changed.returncode, 0, changed.stderr)
        self.assertRegex(changed.stdout, r"heavy .*7")

    def test_the_command_is_run_as_it_is(self):
        result = self.execute("--", "sh", "-c", "printf '%s|' \"$@\"; exit 7", "-", "--priority", "a b")
        self.assertEqual((result.returncode, result.stdout), (7, "--priority|a b|"))
        self.environment["LD_LIBRARY_PATH"] = "/before"
        result = self.execute("sh", "-c", "echo $LD_LIBRARY_PATH")
        self.assertEqual(result.stdout, f"{INSTALLED}/lib:/before\n")

    def test_a_program_runs_ahead_as_it_is_told(self):
        self.environment["XSCHED_RUN_AHEAD"] = "7"
        for words, expected in (((), "7"), (("--run-ahead", "1024"), "1024"), (("--run-ahead", "0"), "0")):
            result = self.execute(*words, "sh", "-c", "echo $XSCHED_RUN_AHEAD")
            self.assertEqual(result.stdout, f"{expected}\n")

    def test_the_processes_of_a_run_are_a_gang(self):
        words = ("--name", "train", "sh", "-c", "echo $XSCHED_GANG; sh -c 'echo $XSCHED_GANG'")
        gangs = [self.execute(*words).stdout.split() for _ in range(2)]
        for first, child in gangs:
            self.assertRegex(first, r"^train\.\d+\.\d+\.\d+$")
            self.assertEqual(child, first)
        self.assertNotEqual(gangs[0], gangs[1])
        self.environment["XSCHED_GANG"] = "ours"
        self.assertEqual(self.execute(*words).stdout, "ours\nours\n")

    def test_says_what_is_wrong(self):
        for words, code, message in (
            ((), 125, "no command was given"),
            (("--priority", "300", "true"), 125, "300"),
            (("--priority",), 125, "--priority needs a value"),
            (("--floor", "51", "true"), 125, 'the floor "51" is not allowed'),
            (("--weight", "101", "true"), 125, 'the weight "101" is not allowed'),
            (
                ("--run-ahead", "65537", "true"),
                125,
                'the number of calls to run ahead by "65537" is not allowed',
            ),
            (("--name", "x" * 64, "true"), 125, "a name has at most 63 bytes"),
            (("--fast", "true"), 125, 'unknown option "--fast"'),
            (("nothing-of-that-name",), 127, "nothing-of-that-name: No such file or directory"),
            (("/",), 126, "/: Permission denied"),
        ):
            result = self.execute(*words)
            self.assertEqual(result.returncode, code, words)
            self.assertRegex(result.stderr, f"^xsched-run: .*{message}", words)
        self.assertIn("usage: xsched-run", self.execute("--help").stdout)
        self.assertRegex(self.execute("--version").stdout, r"^xsched-run \d")

    def test_it_does_not_run_a_command_without_the_shim(self):
        bare = self.folder / "bin"
        bare.mkdir()
        (bare / "xsched-run").write_bytes((INSTALLED / "bin/xsched-run").read_bytes())
        (bare / "xsched-run").chmod(0o755)
        result = subprocess.run([bare / "xsched-run", "true"], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 125)
        self.assertIn(f"there is no {self.folder}/lib/libcuda.so.1", result.stderr)


if __name__ == "__main__":
    INSTALLED, DRIVER = pathlib.Path(sys.argv[1]).resolve(), str(pathlib.Path(sys.argv[2]).resolve())
    unittest.main(argv=sys.argv[:1])
