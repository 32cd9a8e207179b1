"""What is known of the processes that a load starts."""

import subprocess
import sys
from typing import Callable, Iterator, List

import pytest
from agent.processes import process_state
from agent.server import load_watch
from agent.server.load_watch import LoadWatch
from stand_in_host import eventually

Start = Callable[[str], int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python code in a process that nobody collects."""
    running: List[subprocess.Popen[bytes]] = []

    def begin(code: str) -> int:
        running.append(subprocess.Popen([sys.executable, "-ISc", code], stdin=subprocess.DEVNULL))
        return running[-1].pid

    yield begin
    for process in running:
        process.kill()
        process.wait()


def _has_ended(pid: int) -> None:
    eventually(lambda: process_state(pid) == "Z")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os._exit(3)", "its process ended with status 3"),
        ("import os; os.kill(os.getpid(), 11)", "its process ended with signal 11 (SIGSEGV)"),
    ],
)
def test_an_end_that_nobody_has_noticed_is_told_after_a_while(
    start: Start, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    found: List[int] = []
    watch = LoadWatch(lambda: found)
    found.append(start(code))
    watch.look()
    _has_ended(found[0])
    watch.look()
    assert watch.ended(alone=False) == ""
    assert said.endswith(watch.last_end)
    monkeypatch.setattr(load_watch, "PATIENCE", 0)
    assert watch.ended(alone=False) == said


def test_a_process_that_is_collected_has_told_triton(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_watch, "PATIENCE", 0)
    found: List[int] = []
    watch = LoadWatch(lambda: found)
    process = subprocess.Popen([sys.executable, "-ISc", "input()"], stdin=subprocess.PIPE)
    found.append(process.pid)
    watch.look()
    process.communicate()
    assert watch.ended(alone=True) == ""


def test_processes_of_the_state_that_serves_are_none_of_the_load(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_watch, "PATIENCE", 0)
    serving, lost = start("input()"), start("pass")
    _has_ended(lost)
    watch = LoadWatch(lambda: [serving], lambda: [lost])
    watch.look()
    assert watch.ended(alone=True) == ""


def test_a_process_that_ended_before_it_was_seen_is_of_the_only_load(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_watch, "PATIENCE", 0)
    ended: List[int] = []
    watch, other = LoadWatch(list, lambda: ended), LoadWatch(lambda: [start("input()")], lambda: ended)
    ended.append(start("import os; os._exit(3)"))
    _has_ended(ended[0])
    assert watch.ended(alone=False) == ""
    assert watch.ended(alone=True) == "its process ended with status 3"
    # Its own process lives.
    assert other.ended(alone=True) == ""


def test_code_that_waits_is_told_from_code_that_works(start: Start) -> None:
    found: List[int] = []
    watch = LoadWatch(lambda: found)
    assert watch.unfinished() == "if it needs longer, raise server.loadTimeoutSeconds"
    found.append(start("import time; time.sleep(1000)"))
    watch.look()
    eventually(lambda: watch.unfinished() == "its code waits for something that does not come")
    found.append(start("while True: pass"))
    watch.look()
    eventually(lambda: watch.unfinished() == "if it needs longer, raise server.loadTimeoutSeconds")


def test_it_looks_by_itself(start: Start) -> None:
    found: List[int] = []
    with LoadWatch(lambda: found).watching() as watch:
        found.append(start("import time; time.sleep(0.5)"))
        eventually(lambda: watch.last_end == "status 0")
