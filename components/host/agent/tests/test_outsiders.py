"""Programs on a GPU that nothing holds back, with real processes and a stand-in for the container."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest
from agent.directory import HostDirectory
from agent.metrics import outsiders_text
from agent.server import outsiders as module
from agent.server.outsiders import GpuProgram, describe_outsiders, gpu_programs, outsiders
from agent.server.settings import parse_settings, write_settings
from stand_in_machine import Machine
from test_container import SETTINGS

in_container = module._in_container


class Gpu:
    """A host with a GPU, and a server in a container there. A file says how its xsched-ctl answers."""

    container = "c" * 64

    def __init__(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine = machine
        self.directory: HostDirectory = machine.directory
        self.directory.server.mkdir()
        self.processes: Dict[int, subprocess.Popen[bytes]] = {}
        state = {"Running": True, "Restarting": False, "Pid": 77, "StartedAt": "now"}
        shown = json.dumps({"Id": self.container, "LogPath": "", "State": state})
        machine.program(
            "docker",
            f"#!/bin/sh\n[ $1 != inspect ] || {{ echo '{shown}'; exit; }}\n"
            f'echo "$*" >>{machine.folder}/asked\n'
            f"cat {machine.folder}/answer; exit $(cat {machine.folder}/status)\n",
        )
        self.nvidia_smi("")
        self.members([])
        self.settings()
        monkeypatch.setattr(module, "_in_container", self._in_container)
        self.contained: List[int] = []

    def _in_container(self, pid: int, container: str) -> bool:
        assert container == self.container[:12]
        return pid in self.contained

    def settings(self, **changes: Any) -> None:
        write_settings(self.directory, parse_settings({**SETTINGS, **changes}))

    def nvidia_smi(self, text: str, status: int = 0) -> None:
        self.machine.program("nvidia-smi", f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {status}\n")

    def answer(self, text: str, status: int = 0) -> None:
        (self.machine.folder / "answer").write_text(text)
        (self.machine.folder / "status").write_text(str(status))

    def members(self, pids: List[int]) -> None:
        processes = [{"pid": pid, "models": [], "work": None} for pid in pids]
        devices = [{"device": "gpu-1", "processes": processes}, {"device": "gpu-2", "processes": processes}]
        self.answer(json.dumps({"devices": devices}))

    def start(self, *words: str) -> int:
        """A process that uses the GPU."""
        process = subprocess.Popen(words or ("sleep", "60"))
        self.processes[process.pid] = process
        self.list(*self.processes)
        return process.pid

    def list(self, *pids: int) -> None:
        self.nvidia_smi("".join(f"{pid}, /usr/bin/a program, {pid}\n" for pid in pids))

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def outside(self) -> Optional[List[int]]:
        found = outsiders(self.directory)
        return None if found is None else [program.pid for program in found]


@pytest.fixture
def gpu(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    found = Gpu(machine, monkeypatch)
    yield found
    found.end()


def test_lists_each_program_once(gpu: Gpu) -> None:
    gpu.nvidia_smi(
        "7, /usr/bin/python3\n9, /opt/a, b\n7, /usr/bin/python3\n[N/A], [Insufficient Permissions]\n"
    )
    assert gpu_programs() == [GpuProgram(7, "/usr/bin/python3"), GpuProgram(9, "/opt/a, b")]
    gpu.nvidia_smi("No devices were found\n", status=6)
    assert gpu_programs() == []


def test_names_those_that_take_no_part(gpu: Gpu) -> None:
    member, other = gpu.start(), gpu.start()
    gpu.members([member])
    assert describe_outsiders(gpu.directory) == [{"pid": other, "name": f"/usr/bin/a program, {other}"}]
    asked = gpu.machine.lines("asked")[-1]
    assert asked.endswith(" xsched-ctl list --domain --json")
    gpu.members([member, other])
    assert describe_outsiders(gpu.directory) == []


def test_a_process_in_a_container_is_known_by_the_number_that_it_has_there(gpu: Gpu) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make a PID namespace")
    child = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sleep", "60"])
    gpu.processes[child.pid] = child
    inside = 0
    while not inside:
        inside = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text() or 0)
    gpu.list(inside)
    gpu.members([inside])
    assert gpu.outside() == [inside]
    gpu.members([1])
    assert gpu.outside() == []


def test_a_process_in_a_container_is_known_by_its_control_group() -> None:
    own = Path("/proc/self/cgroup").read_text().splitlines()[0]
    assert in_container(os.getpid(), own)
    assert not in_container(os.getpid(), "c" * 64)
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert not in_container(ended.pid, own)


def test_one_that_has_ended_is_none(gpu: Gpu) -> None:
    gpu.start()
    ended = subprocess.Popen(["true"])
    ended.wait()
    gpu.list(ended.pid)
    gpu.members([1])
    assert gpu.outside() == []


def test_without_a_domain_the_servers_own_processes_are_scheduled(gpu: Gpu) -> None:
    own, other = gpu.start(), gpu.start()
    gpu.contained.append(own)
    gpu.answer("", status=3)
    assert gpu.outside() == [other]
    # In a domain, they have to take part, too.
    gpu.members([1])
    assert gpu.outside() == [own, other]


@pytest.mark.parametrize(("text", "status"), [("", 2), ("no JSON", 0), ("[]", 0), ('{"devices": [{}]}', 0)])
def test_what_cannot_be_known_is_not_said(gpu: Gpu, text: str, status: int) -> None:
    gpu.start()
    gpu.answer(text, status)
    assert gpu.outside() is None
    assert outsiders_text(gpu.directory) == ""


def test_says_nothing_where_scheduling_is_not_required(gpu: Gpu) -> None:
    gpu.start()
    gpu.settings(schedulerRequired="never")
    assert gpu.outside() is None
    gpu.settings(kind="process")
    assert gpu.outside() is None
    gpu.settings()
    gpu.machine.program("docker", "#!/bin/sh\nexit 1\n")
    assert gpu.outside() is None
    gpu.directory.server.joinpath("settings.json").unlink()
    assert gpu.outside() is None


def test_their_number_is_a_metric(gpu: Gpu) -> None:
    gpu.start()
    gpu.members([1])
    name = "xsched_triton_gpu_programs_unscheduled"
    assert outsiders_text(gpu.directory) == f"# TYPE {name} gauge\n{name} 1\n"
