#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Shows that the tests notice when an important line is wrong.

Applies each mutation of mutations.txt to a copy of the sources, builds the plain tests that it names, and runs them.
A mutation is caught if a test fails, crashes or does not end in time; the script fails if fewer than 95 % are.

usage: run.py [--check] [--scratch FOLDER] [--jobs N] [PART OF A NAME ...]
  --check: only says which mutations are of lines that have changed
"""

import argparse
import collections
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CORE = HERE.parent.parent
LIST = HERE / "mutations.txt"
# Several times what the slowest test needs on a busy machine.
TEST_SECONDS = 60
LEAST_CAUGHT = 0.95
FOLDERS = ("cmake", "ctl", "bench", "include", "run", "shim", "src", "tests")

Mutation = collections.namedtuple("Mutation", "name file old new tests")


def read_mutations(text):
    """Returns the mutations of a list: see the head of mutations.txt."""
    mutations = []
    for block in text.split("\n== ")[1:]:
        lines = block.rstrip("\n").split("\n")
        name, file, tests = lines[0], lines[1], lines[2].removeprefix("tests: ").split()
        old = "\n".join(line[1:] for line in lines[3:] if line.startswith("-"))
        new = "\n".join(line[1:] for line in lines[3:] if line.startswith("+"))
        if not old or old == new or not tests:
            sys.exit(f"{LIST.name}: {name}: nothing changes, or no test is named")
        mutations.append(Mutation(name, file, old, new, tests))
    return mutations


def run(words, seconds=None):
    """Returns the exit status; None if it took too long."""
    try:
        return subprocess.run(
            [str(word) for word in words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def build(folder, tests, jobs):
    return run(["cmake", "--build", folder, "--parallel", jobs, "--target", *tests])


def place_fault(folder, mutation):
    """What keeps the mutation from being made; None if nothing does."""
    times = (folder / mutation.file).read_text(encoding="utf-8").count(mutation.old)
    return None if times == 1 else f"{mutation.name}: {mutation.file} has its lines {times} times, not once"


def verdict(folder, mutation, jobs):
    built = build(folder, mutation.tests, jobs)
    if built.returncode != 0:
        return "does not compile\n" + built.stdout.decode()[-2000:]
    for test in mutation.tests:
        result = run([folder / "tests" / test, "--gtest_brief=1"], TEST_SECONDS)
        if result is None:
            return f"caught by {test}: it does not end"
        if result.returncode != 0:
            failed = [
                line for line in result.stdout.decode(errors="replace").splitlines() if "[  FAILED  ]" in line
            ]
            return f"caught by {failed[0].split('] ')[1].split(' ')[0] if failed else test + ': it crashes'}"
    return "SURVIVED"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--scratch", type=pathlib.Path, default=CORE / "build" / "mutations")
    parser.add_argument("--jobs", default="2")
    options = parser.parse_args()
    mutations = [
        each
        for each in read_mutations(LIST.read_text(encoding="utf-8"))
        if not options.names or any(name in each.name for name in options.names)
    ]
    misplaced = [each for each in (place_fault(CORE, mutation) for mutation in mutations) if each]
    if misplaced:
        sys.exit("\n".join(misplaced))
    if options.check:
        print(f"mutations: {len(mutations)} can be made")
        return
    source, folder = options.scratch / "source", options.scratch / "build"
    shutil.rmtree(source, ignore_errors=True)
    for name in FOLDERS:
        # With times of now: what was built of an earlier copy is out of date.
        shutil.copytree(CORE / name, source / name, copy_function=shutil.copy)
    shutil.copy(CORE / "CMakeLists.txt", source)
    # A program need not be linked again when only a library under it changes.
    configured = run(
        ["cmake", "-S", source, "-B", folder, "-DXSCHED_BUILD_TESTS=ON", "-DCMAKE_BUILD_TYPE=Debug",
         "-DCMAKE_LINK_DEPENDS_NO_SHARED=ON"]
    )  # fmt: skip
    tests = sorted({test for each in mutations for test in each.tests})
    built = build(folder, tests, options.jobs)
    if configured.returncode != 0 or built.returncode != 0:
        sys.exit((configured.stdout + built.stdout).decode()[-4000:])
    for test in tests:
        result = run([folder / "tests" / test, "--gtest_brief=1"], TEST_SECONDS)
        if result is None or result.returncode != 0:
            sys.exit(f"{test} fails without any mutation")
    caught = 0
    for mutation in mutations:
        path = source / mutation.file
        text = path.read_text(encoding="utf-8")
        begin = time.monotonic()
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        result = verdict(folder, mutation, options.jobs)
        path.write_text(text, encoding="utf-8")
        caught += result.startswith("caught")
        print(f"{mutation.name}: {result} ({time.monotonic() - begin:.0f} s)", flush=True)
    print(f"{caught} of {len(mutations)} mutations caught")
    sys.exit(0 if caught >= LEAST_CAUGHT * len(mutations) else 1)


if __name__ == "__main__":
    main()
