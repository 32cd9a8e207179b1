"""Units of systemd, and the supervision of a server by one."""

import os
import subprocess
from pathlib import Path
from typing import Callable, List

import pytest
from agent import units
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.units import SystemUnit, UserUnit, choose, unit_name, unit_text, unit_word, user_name
from stand_in_machine import Machine

SUPERVISE = ["supervise"]


def verified(folder: Path, name: str) -> List[str]:
    """What systemd's own check says about a unit."""
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(folder / name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout
    return [line for line in said.splitlines() if f"{name}:" in line]


@pytest.fixture
def user(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose systemd runs, of a user who may not become root."""
    monkeypatch.setattr(units, "may_become_root", lambda: False)
    (machine.folder / "systemd").mkdir()
    machine.set("XSCHED_TRITON_SYSTEMD", machine.folder / "systemd")
    machine.set("HOME", machine.folder / "home")
    machine.program("loginctl", '#!/bin/bash\necho "Linger=$(cat "$MACHINE/linger")"\n')
    (machine.folder / "linger").write_text("yes")
    return machine


def test_a_word_of_a_command_is_what_it_was() -> None:
    assert unit_word('a "b" \\ %n $HOME') == '"a \\"b\\" \\\\ %%n $$HOME"'


@pytest.mark.parametrize("name", ["plain", "the user's", 'a "b"', "50 % $HOME", "a\\b"])
def test_systemd_accepts_any_folder(tmp_path: Path, name: str) -> None:
    directory = HostDirectory(tmp_path / name)
    directory.path.mkdir()
    text = unit_text(
        f"server of {directory.path}", [str(directory.agent), "x"], unit=[], service=[], target="a"
    )
    (tmp_path / "a.service").write_text(text)
    assert verified(tmp_path, "a.service") == []


def test_a_user_without_a_name_has_a_number() -> None:
    assert user_name(0) == "root"
    assert user_name(54321) == "54321"


def test_root_is_needed_or_refused_clearly(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    machine.program("sudo", "#!/bin/bash\necho 'a password is required' >&2\nexit 1\n")
    with pytest.raises(HostError) as caught:
        units.require_root()
    assert str(caught.value) == (
        "error: 54321 may not become root on this host\nfix: allow 54321 to use sudo without a password"
    )
    machine.program("sudo", '#!/bin/bash\necho "$*" >>"$MACHINE/sudo"\n')
    units.require_root()
    assert machine.lines("sudo") == ["-n true"]


def test_the_supervisor_is_a_unit_of_the_machine(machine: Machine) -> None:
    supervision = SystemUnit(machine.directory)
    name = unit_name(machine.directory, "server")
    words = [str(machine.directory.agent), *SUPERVISE]
    supervision.install(words)
    assert machine.units() == [name]
    assert machine.orders() == ["daemon-reload", f"enable --quiet {name}"]
    assert not supervision.running()
    supervision.start()
    assert supervision.running()
    assert machine.orders() == [f"start {name}"]
    supervision.install(words)
    assert machine.orders() == []
    supervision.restart()
    assert machine.orders() == [f"restart {name}"]
    text = machine.unit(name)
    lines = text.splitlines()
    for line in [
        f'ExecStart=/usr/bin/env {unit_word(words[0])} "supervise"',
        f"User={user_name(machine.directory.path.stat().st_uid)}",
        "KillMode=process",
        "OOMPolicy=continue",
        "Restart=always",
        "RestartSec=2",
        "StartLimitIntervalSec=0",
        "WantedBy=multi-user.target",
        f"After=network-online.target docker.service {unit_name(machine.directory, 'boot')}",
    ]:
        assert line in lines, text
    assert verified(machine.folder / "units", name) == []
    supervision.stop()
    assert not supervision.running()
    assert machine.orders() == [f"stop {name}"]
    supervision.remove()
    assert machine.units() == []
    assert machine.orders() == [f"disable --quiet --now {name}", "daemon-reload"]
    supervision.stop()
    supervision.remove()
    assert machine.orders() == []


def test_another_command_ends_the_supervisor_that_runs(machine: Machine) -> None:
    supervision = SystemUnit(machine.directory)
    name = unit_name(machine.directory, "server")
    supervision.install(["/bin/old"])
    supervision.start()
    machine.orders()
    supervision.install(["/bin/new"])
    assert machine.orders() == [f"disable --quiet --now {name}", "daemon-reload", f"enable --quiet {name}"]
    assert not supervision.running()


def test_an_interrupted_change_is_completed(machine: Machine) -> None:
    supervision = SystemUnit(machine.directory)
    name = unit_name(machine.directory, "server")
    supervision.install(["/bin/old"])
    supervision.start()
    (machine.folder / "refuses-daemon-reload").touch()
    machine.orders()
    with pytest.raises(
        HostError, match="systemd refuses 'daemon-reload': Failed to daemon-reload: no room\n"
    ):
        supervision.install(["/bin/new"])
    (machine.folder / "refuses-daemon-reload").unlink()
    machine.orders()
    supervision.install(["/bin/new"])
    supervision.start()
    assert machine.orders() == ["daemon-reload", f"enable --quiet {name}", f"start {name}"]


def test_a_disk_without_room_is_an_error(machine: Machine) -> None:
    machine.program("tee", "#!/bin/bash\necho 'No space left on device' >&2\nexit 1\n")
    with pytest.raises(HostError, match=r"cannot write .*: No space left on device"):
        SystemUnit(machine.directory).install(SUPERVISE)


def test_the_supervisor_is_a_unit_of_a_user_who_lingers(user: Machine) -> None:
    supervision = choose(user.directory)
    assert isinstance(supervision, UserUnit)
    user.orders()
    name = unit_name(user.directory, "server")
    supervision.install(SUPERVISE)
    supervision.start()
    assert supervision.running()
    assert user.orders() == ["--user daemon-reload", f"--user enable --quiet {name}", f"--user start {name}"]
    folder = user.folder / "home/.config/systemd/user"
    text = (folder / name).read_text()
    assert "WantedBy=default.target\n" in text
    assert "User=" not in text
    assert verified(folder, name) == []
    supervision.remove()
    assert not (folder / name).exists()


def test_the_users_systemd_is_found_without_a_session(user: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    user.program("systemctl", '#!/bin/bash\necho "$XDG_RUNTIME_DIR" >>"$MACHINE/runtime"\n')
    assert UserUnit(user.directory).permitted()
    assert user.lines("runtime") == [f"/run/user/{os.geteuid()}"]


def without_linger(machine: Machine) -> None:
    (machine.folder / "linger").write_text("no")


def without_answer(machine: Machine) -> None:
    (machine.folder / "refuses-show-environment").touch()


def without_systemd(machine: Machine) -> None:
    (machine.folder / "systemd").rmdir()


@pytest.mark.parametrize("change", [without_linger, without_answer, without_systemd])
def test_without_systemd_nothing_is_chosen(user: Machine, change: Callable[[Machine], None]) -> None:
    change(user)
    assert choose(user.directory) is None


def test_a_folder_of_somebody_else_has_no_unit_of_ours(
    user: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert choose(user.directory) is None


def test_what_is_installed_stays_the_choice(user: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    UserUnit(user.directory).install(SUPERVISE)
    monkeypatch.setattr(units, "may_become_root", lambda: True)
    without_linger(user)
    assert isinstance(choose(user.directory), UserUnit)
    UserUnit(user.directory).remove()
    assert isinstance(choose(user.directory), SystemUnit)
