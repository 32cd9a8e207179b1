"""The notice of a spot interruption."""

import os
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Iterator, Optional

import pytest
from agent import spot
from agent.commands import run
from agent.spot import Metadata, Watch, run_within
from stand_in_machine import SOURCE, Machine

NOTICE = '{"action":"stop","time":"2026-11-25T10:00:00Z"}'
AGENT = """#!/bin/bash
echo "$*" >>"$MACHINE/done"
[ ! -e "$MACHINE/fails-$1" ]
"""


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


class MetadataService:
    """Stands in for the metadata service of a spot instance, version 2."""

    def __init__(self) -> None:
        #: Requests with a valid token, without one, and for a token.
        self.polls = self.refused = self.tokens = 0
        self.token = "first"
        #: The announced action of AWS, if any.
        self.notice: Optional[str] = None
        self.port = 0
        self._server: Optional[ThreadingHTTPServer] = None
        self.start()

    def start(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def do_PUT(self) -> None:
                if (
                    self.path != "/latest/api/token"
                    or self.headers["X-aws-ec2-metadata-token-ttl-seconds"] != "21600"
                ):
                    self.answer(400, "")
                    return
                service.tokens += 1
                self.answer(200, service.token)

            def do_GET(self) -> None:
                if self.headers["X-aws-ec2-metadata-token"] != service.token:
                    service.refused += 1
                    self.answer(401, "")
                elif self.path != "/latest/meta-data/spot/instance-action" or service.notice is None:
                    service.polls += 1
                    self.answer(404, "<html>404</html>")
                else:
                    service.polls += 1
                    self.answer(200, service.notice)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataService]:
    # No proxy is asked: nothing listens there.
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    service = MetadataService()
    yield service
    service.stop()


@pytest.fixture
def watcher(machine: Machine, metadata: MetadataService) -> "Iterator[subprocess.Popen[str]]":
    """`watch-spot`, as its unit starts it."""
    machine.stand_in_agent(AGENT)
    machine.set("XSCHED_TRITON_METADATA", metadata.address)
    machine.set("XSCHED_TRITON_SPOT_SECONDS", "0.05")
    machine.set("XSCHED_TRITON_SPOT_GIVE_UP", "1")
    program = f"""
import sys
sys.path.insert(0, {str(SOURCE)!r})
from agent.commands import main
sys.exit(main([{str(machine.directory.agent)!r}, "watch-spot"]))
"""
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    yield process
    process.terminate()
    assert process.wait(120) == 143
    assert process.stderr is not None
    process.stderr.close()


def done(machine: Machine) -> "list[str]":
    file = machine.folder / "done"
    return file.read_text().splitlines() if file.exists() else []


def test_drains_the_server_once_and_restarts_it_if_the_machine_stays(
    machine: Machine, metadata: MetadataService, watcher: "subprocess.Popen[str]"
) -> None:
    until(lambda: metadata.polls > 3)
    assert done(machine) == []
    assert metadata.tokens == 1
    metadata.notice = NOTICE
    until(lambda: done(machine) != [])
    polls = metadata.polls
    until(lambda: metadata.polls > polls + 5)
    assert done(machine) == ["drain 100"]
    assert watcher.stderr is not None
    assert watcher.stderr.readline() == f"AWS takes this instance back: {NOTICE}\n"
    assert re.fullmatch(r"the server is drained after \d+ s\n", watcher.stderr.readline())
    metadata.notice = None
    until(lambda: len(done(machine)) > 1)
    assert done(machine) == ["drain 100", "resume-host"]
    assert watcher.stderr.readline() == "the instance still runs; the server starts again\n"
    # It is over: the next notice counts anew.
    polls = metadata.polls
    until(lambda: metadata.polls > polls + 5)
    assert len(done(machine)) == 2
    metadata.notice = NOTICE
    until(lambda: done(machine) == ["drain 100", "resume-host", "drain 100"])


def test_is_awaited_after_a_stop_with_a_new_token_and_through_an_outage(
    machine: Machine, metadata: MetadataService, watcher: "subprocess.Popen[str]"
) -> None:
    until(lambda: metadata.polls > 0)
    metadata.token = "second"
    until(lambda: metadata.refused > 0)
    polls = metadata.polls
    until(lambda: metadata.polls > polls)
    assert metadata.tokens == 2
    metadata.stop()
    time.sleep(0.3)
    metadata.notice = '{"action":"terminate"}'
    metadata.start()
    until(lambda: done(machine) != [])
    assert watcher.poll() is None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "list[float]":
    now = [1000.0]
    monkeypatch.setattr(spot.time, "monotonic", lambda: now[0])
    return now


def test_a_token_is_renewed_before_it_ends(metadata: MetadataService, clock: "list[float]") -> None:
    service = Metadata(metadata.address)
    for now, tokens in [(1000, 1), (20999, 1), (21000, 2), (40999, 2), (41000, 3)]:
        clock[0] = now
        assert service.notice() is None
        assert metadata.tokens == tokens, now
    assert metadata.refused == 0


def test_no_service_is_no_notice(metadata: MetadataService) -> None:
    metadata.stop()
    assert Metadata(metadata.address).notice() is None
    metadata.start()


@pytest.fixture
def watch(machine: Machine, metadata: MetadataService) -> Watch:
    machine.stand_in_agent(AGENT)
    return Watch(machine.directory, Metadata(metadata.address), longest_drain=7, give_up=600)


def test_a_drain_that_fails_is_said_and_not_repeated(
    machine: Machine, metadata: MetadataService, watch: Watch, capsys: pytest.CaptureFixture
) -> None:
    (machine.folder / "fails-drain").touch()
    metadata.notice = NOTICE
    watch.look()
    watch.look()
    assert done(machine) == ["drain 7"]
    assert "the server is not drained (the reason is above)\n" in capsys.readouterr().err


def test_a_resume_that_fails_is_tried_again(
    machine: Machine, metadata: MetadataService, watch: Watch, clock: "list[float]"
) -> None:
    metadata.notice = NOTICE
    watch.look()
    metadata.notice = None
    clock[0] += 599
    watch.look()
    assert done(machine) == ["drain 7"]
    clock[0] += 1
    (machine.folder / "fails-resume-host").touch()
    watch.look()
    (machine.folder / "fails-resume-host").unlink()
    watch.look()
    watch.look()
    assert done(machine) == ["drain 7", "resume-host", "resume-host"]


def test_a_program_that_takes_too_long_is_ended_with_all_its_children(machine: Machine) -> None:
    machine.program(
        "hang",
        '#!/bin/bash\nsleep 600 &\necho $! >"$MACHINE/new"\nmv "$MACHINE/new" "$MACHINE/child"\nwait\n',
    )
    number = machine.folder / "child"
    # A busy machine may take longer until it has one.
    for seconds in (0.5, 5, 60):
        began = time.monotonic()
        assert not run_within(["hang"], seconds)
        assert time.monotonic() - began < seconds + 300
        if number.exists():
            break
    child = int(number.read_text())

    def ended() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    until(ended)


def test_a_program_that_ends_at_the_last_moment_is_no_fault(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(pid: int, number: int) -> None:
        os.kill(pid, number)
        raise ProcessLookupError

    monkeypatch.setattr(spot.os, "killpg", gone)
    assert not run_within(["sleep", "600"], 0.1)


def test_the_command_looks_again_and_again(
    machine: Machine, metadata: MetadataService, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise EOFError

    monkeypatch.setattr(spot.time, "sleep", sleep)
    machine.set("XSCHED_TRITON_METADATA", metadata.address)
    with pytest.raises(EOFError):
        run(machine.directory, "watch-spot", [])
    assert pauses == [5, 5]
    assert metadata.polls == 2
