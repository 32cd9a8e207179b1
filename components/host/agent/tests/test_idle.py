"""A machine that stops itself when nobody asks for anything."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import pytest
from agent import deployments, idle
from agent.commands import Request, main, run
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.idle import (
    Done,
    Look,
    Watch,
    has_new,
    launches_done,
    look_at,
    requests_done,
    work_in,
)
from agent.processes import command_line
from stand_in_host import Host, eventually
from stand_in_machine import Machine

AGENT = """#!/bin/bash
echo "$*" >>"$MACHINE/done"
[ ! -e "$MACHINE/fails-$1" ]
"""
MINUTE = 60.0
MODEL = ("a", "1")


def seen(count: int, busy: str = "", last: int = 0) -> Look:
    return Look({MODEL: Done(count, last)}, busy)


class Machinery:
    """A machine whose time and server do as they are told."""

    def __init__(self, machine: Machine) -> None:
        self.now = 5000.0
        self.server: Union[Look, Exception, None] = seen(7)
        self.machine = machine
        machine.stand_in_agent(AGENT)
        self.watch = Watch(
            machine.directory,
            idle_seconds=30 * MINUTE,
            look=self.look,
            clock=lambda: self.now,
            # 2026-11-29, 12:00:00 UTC.
            wall=lambda: 1795953600.0,
        )

    def look(self, _: HostDirectory) -> Optional[Look]:
        if isinstance(self.server, Exception):
            raise self.server
        return self.server

    def minutes(self, count: float) -> None:
        """Time goes by, with a look at its end."""
        self.now += count * MINUTE
        self.watch.look()

    @property
    def done(self) -> List[str]:
        return [*self.machine.lines("done"), *(line for line in self.machine.orders() if line == "poweroff")]


@pytest.fixture
def machinery(machine: Machine) -> Machinery:
    return Machinery(machine)


def begin(machinery: Machinery) -> None:
    """The first look knows nothing of before; the clock runs from the second on."""
    machinery.watch.look()
    machinery.watch.look()


def stops_after_the_whole_time(machinery: Machinery) -> None:
    begin(machinery)
    machinery.minutes(29)
    assert machinery.done == []
    machinery.minutes(1)
    assert machinery.done == ["drain 100", "poweroff"]


def test_stops_after_the_whole_time_drained_and_says_why(
    machinery: Machinery, capsys: pytest.CaptureFixture
) -> None:
    begin(machinery)
    machinery.minutes(29.9)
    assert machinery.done == []
    machinery.minutes(0.1)
    assert machinery.done == ["drain 100", "poweroff"]
    assert capsys.readouterr().err == (
        "xsched-triton stops this machine: no inference request for 30 min (2026-11-29T12:00:00Z)\n"
    )
    machinery.minutes(1)
    assert machinery.done == [], "once"


@pytest.mark.parametrize(
    "server",
    [
        seen(8),
        # As after a reload, which counts anew.
        seen(1),
        seen(7, last=1795950000000),
        seen(7, busy="requests wait in Triton"),
        Look({MODEL: Done(7), ("new", "1"): Done(1)}, ""),
        None,
        HostError("Docker does not answer", "see its log"),
        ValueError("no JSON"),
    ],
)
def test_starts_the_time_again_at_each_request_and_whenever_nothing_is_known(
    machinery: Machinery, server: Any
) -> None:
    begin(machinery)
    machinery.minutes(29)
    machinery.server = server
    machinery.minutes(0.5)
    machinery.server = seen(7)
    # A server that tells nothing may have been asked meanwhile.
    machinery.minutes(0.5)
    machinery.minutes(0.5)
    machinery.minutes(29)
    assert machinery.done == []
    machinery.minutes(1)
    assert machinery.done == ["drain 100", "poweroff"]


def test_does_not_count_what_only_looks_or_loads(machinery: Machinery) -> None:
    begin(machinery)
    machinery.server = Look({MODEL: Done(7), ("loaded", "1"): Done(0)}, "")
    machinery.minutes(15)
    # Loaded again, and not asked since; another is gone.
    machinery.server = Look({MODEL: Done(0)}, "")
    machinery.minutes(15)
    assert machinery.done == ["drain 100", "poweroff"]


def test_never_stops_a_machine_whose_server_is_down(
    machinery: Machinery, capsys: pytest.CaptureFixture
) -> None:
    machinery.server = HostError("Docker does not answer", "see its log")
    for _ in range(5):
        machinery.minutes(60)
    assert machinery.done == []
    said = capsys.readouterr().err
    assert said.count("Docker does not answer") == 1, "once, not with each look"


def test_a_drain_that_fails_is_said_and_the_machine_stops_all_the_same(
    machinery: Machinery, capsys: pytest.CaptureFixture
) -> None:
    (machinery.machine.folder / "fails-drain").touch()
    begin(machinery)
    machinery.minutes(30)
    assert machinery.done == ["drain 100", "poweroff"]
    assert "the server is not drained (the reason is above)\n" in capsys.readouterr().err


def test_a_machine_that_may_not_stop_serves_again(
    machinery: Machinery, capsys: pytest.CaptureFixture
) -> None:
    (machinery.machine.folder / "refuses-poweroff").touch()
    begin(machinery)
    machinery.minutes(30)
    assert machinery.done == ["drain 100", "resume-host", "poweroff"]
    assert "the machine does not stop: See the journal.; the server starts again\n" in capsys.readouterr().err
    (machinery.machine.folder / "refuses-poweroff").unlink()
    stops_after_the_whole_time(machinery)


def test_a_machine_that_goes_on_serves_again(machinery: Machinery) -> None:
    begin(machinery)
    machinery.minutes(30)
    assert machinery.done == ["drain 100", "poweroff"]
    machinery.minutes(9)
    assert machinery.done == []
    (machinery.machine.folder / "fails-resume-host").touch()
    machinery.minutes(1)
    (machinery.machine.folder / "fails-resume-host").unlink()
    machinery.minutes(1)
    assert machinery.done == ["resume-host", "resume-host"]
    stops_after_the_whole_time(machinery)


def test_a_machine_that_somebody_deploys_to_during_the_drain_goes_on(
    machinery: Machinery, capsys: pytest.CaptureFixture
) -> None:
    directory = machinery.machine.directory
    deployments.heed(directory)
    os.utime(directory.path / "last-deployment", (0, 0))
    # The first command of a deployment is over before the drain is.
    machinery.machine.stand_in_agent(f"""{AGENT.splitlines()[0]}
[ "$1" != drain ] || [ ! -e "$MACHINE/deploys" ] || touch "$(dirname "$(dirname "$0")")/last-deployment"
{AGENT}""")
    (machinery.machine.folder / "deploys").touch()
    begin(machinery)
    machinery.minutes(30)
    assert machinery.done == ["drain 100", "resume-host"]
    assert "somebody deploys; the machine goes on, and the server starts again\n" in capsys.readouterr().err
    (machinery.machine.folder / "deploys").unlink()
    stops_after_the_whole_time(machinery)


def test_counts_answered_failed_and_cancelled_requests_of_each_version() -> None:
    statistics = {
        "model_stats": [
            {
                "name": "a",
                "version": "1",
                "last_inference": 1795950000000,
                # As over gRPC's mapping to JSON, which writes 64 bits as a text.
                "inference_stats": {
                    "success": {"count": "5", "ns": 1},
                    "fail": {"count": 2},
                    "queue": {"count": 9},
                },
            },
            {"name": "a", "version": "2", "inference_stats": {"cancel": {"count": 1}}},
            {"name": "b"},
        ]
    }
    assert requests_done(statistics) == {
        ("a", "1"): Done(7, 1795950000000),
        ("a", "2"): Done(1),
        ("b", ""): Done(0),
    }
    for wrong in (None, [], {"model_stats": 1}, {"model_stats": [3]}):
        with pytest.raises(ValueError, match="not to be understood"):
            requests_done(wrong)


def test_a_launch_of_a_model_is_work_although_its_request_has_not_ended() -> None:
    before, now = ({"queues": [{"id": 3, "name": "a/a_0", "launches": count}]} for count in (10, 11))
    assert has_new(launches_done(before), launches_done(now))
    assert not has_new(launches_done(now), launches_done(now))
    assert launches_done(None) == {}


@pytest.mark.parametrize(
    ("metrics", "work"),
    [
        ('nv_inference_pending_request_count{model="a",version="1"} 0\n', ""),
        (
            'nv_inference_pending_request_count{model="a"} 0\nnv_inference_pending_request_count{model="b"} 2\n',
            "requests wait in Triton",
        ),
        ('nv_gpu_utilization{gpu_uuid="GPU-1"} 0.000000\n', ""),
        (
            'nv_gpu_utilization{gpu_uuid="GPU-1"} 0.000000\nnv_gpu_utilization{gpu_uuid="GPU-2"} 0.040000\n',
            "a GPU is in use",
        ),
        ('nv_gpu_utilization{gpu_uuid="GPU-1"} nonsense\n', ""),
        ('nv_inference_request_success{model="a"} 12\n', ""),
    ],
)
def test_work_under_way_is_in_the_metrics(metrics: str, work: str) -> None:
    assert work_in(metrics) == work


@pytest.mark.parametrize(
    ("metrics", "driver", "work"),
    [
        ("", "0\n37\n", "a GPU is in use"),
        ("", "0\n", ""),
        # As of a GPU in parts.
        ("", "[N/A]\n", ""),
        ('nv_gpu_utilization{gpu_uuid="GPU-1"} 0.000000\n', "37\n", ""),
    ],
)
def test_work_on_gpus_that_triton_does_not_see_is_known_from_the_driver(
    machine: Machine, metrics: str, driver: str, work: str
) -> None:
    machine.program("nvidia-smi", f"#!/bin/bash\nprintf '{driver}'\n")
    assert work_in(metrics) == work


@pytest.fixture
def serving(host: Host) -> Iterator[Host]:
    host.start()
    host.serve(host.store("scale"))
    yield host


def test_sees_inferences_and_nothing_else_at_the_server(serving: Host) -> None:
    directory = serving.directory

    def done() -> Dict[Tuple[str, str], Done]:
        found = look_at(directory)
        assert found is not None
        assert found.busy == ""
        return found.done

    before = done()
    # Health checks, a look by `npm run status`, statistics and metrics.
    assert serving.ready("scale")
    assert serving.run("status")["running"]
    assert serving.run("measure")["statistics"] is not None
    assert not has_new(before, done())
    assert serving.infer("scale")
    assert has_new(before, done())
    serving.run("stop")
    assert look_at(directory) is None


def test_requests_in_flight_at_the_gateway_are_work(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "configured", lambda _: "digest")
    monkeypatch.setattr(idle.Proxy, "in_flight", lambda _: 1)
    found = look_at(serving.directory)
    assert found is not None
    assert found.busy == "requests are in flight at the gateway"


def sleeper(directory: HostDirectory, *words: str) -> "subprocess.Popen[bytes]":
    """A process with the command line of the agent."""
    code = "import sys; sys.stdin.read()"
    return subprocess.Popen([sys.executable, "-c", code, str(directory.agent), *words], stdin=subprocess.PIPE)


@pytest.mark.parametrize(
    ("command", "deploys"),
    [("build-engines", True), ("resume-host", True), ("serve-metrics", False), ("measure", False)],
)
def test_a_deployment_is_work_and_a_look_is_none(
    directory: HostDirectory, command: str, deploys: bool
) -> None:
    process = sleeper(directory, command, "word")
    eventually(lambda: str(directory.agent) in command_line(process.pid))
    try:
        assert deployments.under_way(directory) is deploys
        if deploys:
            assert look_at(directory) == Look({}, "a deployment is under way")
        else:
            assert look_at(directory) is None, "nothing is deployed"
    finally:
        process.communicate()


@pytest.mark.parametrize(("command", "deploys"), [("inspect", True), ("unserve", True), ("status", False)])
def test_a_deployment_counts_however_short_its_commands_are(
    serving: Host, capsys: pytest.CaptureFixture, command: str, deploys: bool
) -> None:
    directory = serving.directory
    agent = str(directory.agent)
    sign = directory.path / "last-deployment"
    assert main([agent, command]) == 0
    assert not sign.exists(), "nobody heeds it"
    deployments.heed(directory)
    os.utime(sign, (0, 0))
    before = look_at(directory)
    assert main([agent, command]) == 0
    now = look_at(directory)
    assert before is not None
    assert now is not None
    assert now.busy == ""
    assert has_new(before.done, now.done) is deploys


def test_the_command_looks_again_and_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.stand_in_agent(AGENT)
    pauses: List[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if machine.lines("done"):
            raise EOFError

    machine.set("XSCHED_TRITON_IDLE_MINUTE", "0")
    # Its own pauses, not those of a wait for a program.
    own = SimpleNamespace(sleep=sleep, gmtime=time.gmtime, strftime=time.strftime)
    monkeypatch.setattr(idle, "time", own)
    monkeypatch.setattr(
        Watch.__init__, "__kwdefaults__", {**Watch.__init__.__kwdefaults__, "look": lambda _: seen(7)}
    )
    with pytest.raises(EOFError):
        run(machine.directory, "watch-idle", ["10"])
    assert pauses == [30, 30, 30]
    assert machine.orders() == ["poweroff"]
    for word in ("0", "-1", "soon", "1.5"):
        with pytest.raises(HostError, match="is not a number of minutes"):
            run(machine.directory, "watch-idle", [word])


@pytest.mark.parametrize(("state", "drains"), [("stopping", True), ("running", False), ("degraded", False)])
def test_a_shutdown_drains_and_a_change_of_the_unit_does_not(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, state: str, drains: bool
) -> None:
    machine.program("systemctl", f"#!/bin/bash\necho {state}\n[ {state} = running ]\n")
    drained: List[str] = []
    monkeypatch.setattr("agent.server.lifecycle.drain", lambda request: drained.extend(request.words))
    idle.drain_at_shutdown(Request(machine.directory, ["100"]))
    assert drained == (["100"] if drains else [])
