#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs a program whose processes are stopped at random, for up to 150 ms each time.

The program leads a session of its own. It is stopped again and again, and half of the time another process of the
session with it. That one never by itself: a test stops its children as well, and one that it has just stopped must stay
stopped.

usage: stop_at_random.py SECONDS PROGRAM [ARGUMENT ...]
Exits as the program does, or with 124 if it was still running after SECONDS. Nothing of the session is left.
"""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

LONGEST_STOP_SECONDS = 0.15
LONGEST_RUN_SECONDS = 0.06
LOOK_SECONDS = 0.001
# What a look into /proc says of a process that has ended.
GONE = (FileNotFoundError, ProcessLookupError)
SIGSTOP_BIT = 1 << (signal.SIGSTOP - 1)


def fields(stat):
    """Returns the fields of a stat file behind the name: state, parent, process group, session, ..."""
    return stat.rpartition(")")[2].split()


def session_of(leader):
    """Returns the ids of the session's processes other than its leader."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(*GONE):
            if fields(path.read_text())[3] == str(leader):
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != leader]


def thread_states(pid):
    """Returns the state of each of its threads; none if it is gone."""
    states = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(*GONE):
            states.append(fields(path.read_text())[0])
    return states


def stop_is_pending(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    masks = (line.split()[1] for line in status.splitlines() if line.startswith(("ShdPnd:", "SigPnd:")))
    return any(int(mask, 16) & SIGSTOP_BIT for mask in masks)


def runs(pid):
    """Returns whether it has neither ended nor been stopped, if nobody stops it just now.

    In this order: a signal is pending until a thread takes it, and that thread is in the stopped state before the
    pending signals can be read again. The others follow one by one, so one stopped thread is a stop.
    """
    try:
        if stop_is_pending(pid):
            return False
    except GONE:
        return False
    states = thread_states(pid)
    return bool(states) and all(state in "RSDI" for state in states)


def send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def stop_for_a_moment(leader):
    send(leader, signal.SIGSTOP)
    # Every thread of it: one that goes on may be about to stop a child.
    while any(state in "RSDI" for state in thread_states(leader)):
        time.sleep(LOOK_SECONDS)
    other = None
    others = session_of(leader)
    if others and random.random() < 0.5:
        other = random.choice(others)
        if not runs(other):
            other = None
    if other:
        send(other, signal.SIGSTOP)
    time.sleep(random.uniform(0, LONGEST_STOP_SECONDS))
    # Before the leader goes on, which may want it to be stopped.
    if other:
        send(other, signal.SIGCONT)
    send(leader, signal.SIGCONT)


def has_ended(pid):
    """Returns whether the child has ended. It stays a zombie, so that its id is that of the session."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end_session(leader):
    send(leader, signal.SIGKILL)
    while True:
        others = session_of(leader)
        for pid in others:
            send(pid, signal.SIGKILL)
        if not others:
            return
        time.sleep(LOOK_SECONDS)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip().rpartition("\n\n")[2])
    end = time.monotonic() + float(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    process = subprocess.Popen(sys.argv[2:], start_new_session=True)
    late = False
    try:
        while not has_ended(process.pid) and not late:
            stop_for_a_moment(process.pid)
            time.sleep(random.uniform(0, LONGEST_RUN_SECONDS))
            late = time.monotonic() > end
        late = late and not has_ended(process.pid)
    finally:
        end_session(process.pid)
        status = process.wait()
    return 124 if late else status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
