"""Other programs that the agent calls, and that end with it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from agent.console import PROXIES, concealed
from agent.errors import HostError
from agent.programs import (
    Children,
    EndedError,
    Finished,
    await_end,
    call,
    outward_environment,
    require_proxies,
    running,
    tied,
)

SOURCE = Path(__file__).resolve().parent.parent


def gone(pid: int) -> bool:
    """Whether a process ends by itself."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            # A zombie has no command line.
            if not (Path("/proc") / str(pid) / "cmdline").read_bytes():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_what_a_program_says() -> None:
    assert Finished(0, "", "").ok
    assert Finished(3, "", "").reason == "status 3"
    assert Finished(3, "one\ntwo\n", "").reason == "two"
    assert Finished(3, "one\ntwo\n", "three\n").reason == "three"


def test_a_program_has_its_own_input_and_ends_in_time(tmp_path: Path) -> None:
    assert call(["cat"]).out == ""
    assert call(["cat"], text="a line\n").out == "a line\n"
    assert call(["pwd"], cwd=str(tmp_path)).out == f"{tmp_path}\n"
    assert call(["printenv", "A"], environment={"A": "b", "PATH": os.environ["PATH"]}).out == "b\n"
    assert call(["sleep", "10"], seconds=0.1).status == 124
    assert call(["no-such-program-here"]).status == 127
    plain = tmp_path / "plain"
    plain.touch()
    assert call([str(plain)]).status == 126


def test_waiting_for_a_program_is_described() -> None:
    # It ends once that is done.
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert await_end(process, lambda _: process.stdin.close(), every=0.1, poll=0.05) == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_tied_program_ends_with_the_one_that_started_it(number: signal.Signals) -> None:
    program = """
import subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from agent.programs import tied
print(subprocess.Popen(tied(["sleep", "600"])).pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program, str(SOURCE)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + 120
    while (Path("/proc") / str(child) / "cmdline").read_bytes() != b"sleep\x00600\0":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    parent.send_signal(number)
    parent.wait()
    assert gone(child)


def test_a_tied_program_whose_parent_is_gone_does_not_begin() -> None:
    words = tied(["echo", "begun"])
    words[words.index(str(os.getpid()))] = "1"
    finished = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    assert (finished.returncode, finished.stdout) == (137, b"")


def test_a_tied_program_that_is_missing_says_so() -> None:
    finished = Children().call(["no-such-program-here"])
    assert not finished.ok
    assert finished.reason == "no-such-program-here: No such file or directory"


def test_a_tied_program_is_ended_by_a_reader_that_goes() -> None:
    # Python ignores SIGPIPE, and what it starts would do the same.
    finished = Children().call(["bash", "-c", "yes | head -n 1; echo ${PIPESTATUS[0]}"])
    assert finished.out == "y\n141\n"


def test_all_children_end_at_once() -> None:
    children = Children()
    raised = []

    def work() -> None:
        try:
            children.call(["sleep", "600"])
        except EndedError:
            raised.append(True)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    children.end()
    for thread in threads:
        thread.join(120)
    assert raised == [True, True]
    with pytest.raises(EndedError):
        children.call(["true"])


def test_a_child_ends_when_its_caller_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def interrupted(process: "subprocess.Popen[str]", *_: object) -> None:
        begun.append(process.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Children().call(["sleep", "600"])
    assert gone(begun[0])


def test_a_watched_program_ends_with_its_block() -> None:
    with tempfile.TemporaryFile() as log, pytest.raises(KeyboardInterrupt), running(
        ["sleep", "600"], log
    ) as process:
        raise KeyboardInterrupt
    assert gone(process.pid)


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("http://proxy.example:3128", True),
        ("http://proxy.example:3128/", True),
        ("proxy.example:3128", True),
        ("https://user:p%40ss%2Fword@[::1]:3128", True),
        ("socks5h://user:p@ss@proxy.example", True),
        ("http://user:pass/word@proxy.example:3128", False),
        ("http://user:12/word@proxy.example:3128", False),
        ("http://user:pass#word@proxy.example:3128", False),
        ("user:pass?word@proxy.example:3128", False),
        ("http://user:password@proxy.example:port", False),
        ("http://user:pass[word@proxy.example:3128", False),
        ("http://:3128", False),
    ],
)
def test_the_url_of_a_proxy(url: str, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ALL_PROXY", url)
    if fits:
        require_proxies()
        return
    with pytest.raises(HostError, match="ALL_PROXY of the user on this host is") as refused:
        require_proxies()
    assert not re.search("user:|word", refused.value.what)
    assert "write / as %2F" in refused.value.fix


def test_a_message_conceals_the_login_of_a_proxy_in_each_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:p%40ssword@proxy.example:3128")
    said = "tried http://user:p%40ssword@proxy.example:3128 as user with p@ssword or p%40ssword"
    assert concealed(said) == "tried http://***@proxy.example:3128 as user with *** or ***"
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert concealed(said) == said


def test_the_user_s_exceptions_of_a_proxy_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("NO_PROXY", raising=False)
    environment = outward_environment({"A": "b"})
    assert environment["no_proxy"] == environment["NO_PROXY"] == "*"
    assert environment["A"] == "b"
