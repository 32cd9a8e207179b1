"""What happens after each start of a machine."""

import os
import pwd
from typing import List, Optional

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


class Commands:
    """Records which commands are called; some fail."""

    def __init__(self, *failing: str) -> None:
        self.called: List[str] = []
        self._failing = failing

    def __call__(
        self, directory: HostDirectory, name: str, words: List[str], text: Optional[str] = None
    ) -> None:
        self.called.append(" ".join([name, *words]))
        if name in self._failing:
            raise HostError(f"{name} does not work", "try again")


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


def test_resume_without_a_server_does_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands()
    monkeypatch.setattr(boot, "run", commands)
    boot.resume(Request(machine.directory, []))
    assert commands.called == []


def test_resume_starts_the_server_although_a_model_is_lost(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.directory.server.mkdir()
    (machine.directory.server / "settings").touch()
    commands = Commands("refill")
    monkeypatch.setattr(boot, "run", commands)
    with pytest.raises(HostError, match="refill does not work"):
        boot.resume(Request(machine.directory, []))
    assert commands.called == ["refill", "resume"]
