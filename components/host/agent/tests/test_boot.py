"""What happens after each start of a machine."""

import os
import pwd
from typing import Any, Dict, List, Optional

import pytest
from agent import boot
from agent.commands import Request, run
from agent.directory import HostDirectory
from agent.errors import HostError
from stand_in_machine import Machine

RUNUSER = """#!/bin/bash
echo "$*" >>"$MACHINE/runuser"
exit "$(cat "$MACHINE/status")"
"""


#: As a release before the agent has left them.
FORMER_SETTINGS = """kind process
runtime triton-1
httpPort 8000
grpcPort 8001
metricsPort 8002
address 127.0.0.1
exitTimeoutSeconds 30
logMegabytes 2
loadTimeoutSeconds 60
"""


class Commands:
    """Records which commands are called; some fail."""

    def __init__(self, *failing: str) -> None:
        self.called: List[str] = []
        self.failing = set(failing)
        #: What "status" says.
        self.models: List[Dict[str, Any]] = []
        #: What a model needs before it can be loaded.
        self.needs: Dict[str, str] = {}

    def __call__(
        self, directory: HostDirectory, name: str, words: List[str], text: Optional[str] = None
    ) -> Any:
        if name == "status":
            return {"models": self.models}
        call = " ".join([name, *words])
        self.called.append(call)
        if call in self.failing or self.needs.get(call, call) not in self.called:
            raise HostError(f"{call} does not work", "try again")
        return None


@pytest.fixture(autouse=True)
def no_disks(machine: Machine) -> None:
    machine.program("lsblk", "#!/bin/bash\n")


def test_boot_mounts_and_refills(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands()
    mounted: List[HostDirectory] = []
    monkeypatch.setattr(boot, "run", commands)
    monkeypatch.setattr(boot.instance_store, "mount", mounted.append)
    run(machine.directory, "boot", [])
    assert mounted == [machine.directory]
    assert commands.called == ["refill"]


def test_boot_refills_as_the_owner(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = pwd.getpwuid(machine.directory.path.stat().st_uid)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    machine.program("runuser", RUNUSER)
    (machine.folder / "status").write_text("0")
    run(machine.directory, "boot", [])
    agent = machine.directory.agent
    assert machine.lines("runuser") == [f"-u {owner.pw_name} -- env HOME={owner.pw_dir} {agent} refill"]
    (machine.folder / "status").write_text("3")
    with pytest.raises(SystemExit) as ended:
        run(machine.directory, "boot", [])
    assert ended.value.code == 3


@pytest.fixture
def commands(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands of a machine with a server."""
    machine.directory.server.mkdir()
    (machine.directory.server / "settings").write_text(FORMER_SETTINGS)
    found = Commands()
    monkeypatch.setattr(boot, "run", found)
    return found


def resume(machine: Machine) -> None:
    boot.resume(Request(machine.directory, []))


def deploy(machine: Machine, *names: str) -> "list[dict[str, Any]]":
    """Models that are stored and linked, and not ready."""
    for name in names:
        (machine.directory.repository / name).mkdir(parents=True)
    return [{"name": name, "ready": False, "setAside": False} for name in names]


def test_resume_without_a_server_does_nothing(machine: Machine, commands: Commands) -> None:
    (machine.directory.server / "settings").unlink()
    resume(machine)
    assert commands.called == []


def test_resume_starts_the_server_although_a_model_is_lost(
    machine: Machine, commands: Commands, capsys: pytest.CaptureFixture
) -> None:
    commands.failing = {"refill"}
    with pytest.raises(HostError, match="refill does not work"):
        resume(machine)
    assert commands.called == ["refill", "resume"]
    commands.failing = {"refill", "resume"}
    with pytest.raises(HostError, match="resume does not work"):
        resume(machine)
    assert "error: refill does not work\n" in capsys.readouterr().err


def test_resume_loads_what_has_come_back_since_the_server_started(
    machine: Machine, commands: Commands
) -> None:
    commands.models = [
        *deploy(machine, "ensemble", "late"),
        {"name": "ready", "ready": True, "setAside": False},
        {"name": "harmful", "ready": False, "setAside": True},
        {"name": "lost", "ready": False, "setAside": False},
    ]
    commands.needs = {"reload ensemble": "reload late"}
    resume(machine)
    assert commands.called == ["refill", "resume", "reload ensemble", "reload late", "reload ensemble"]


def test_resume_says_which_model_cannot_be_loaded(
    machine: Machine, commands: Commands, capsys: pytest.CaptureFixture
) -> None:
    commands.models = deploy(machine, "a", "b", "c")
    commands.failing = {"reload a", "reload c"}
    with pytest.raises(HostError, match="reload c does not work"):
        resume(machine)
    assert "error: reload a does not work\n" in capsys.readouterr().err
