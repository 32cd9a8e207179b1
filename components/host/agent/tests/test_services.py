"""The services of a host."""

import pytest
from agent.commands import run
from agent.errors import HostError
from agent.units import unit_name, unit_word
from stand_in_machine import Machine
from test_units import verified


@pytest.fixture(autouse=True)
def no_disks(machine: Machine) -> None:
    machine.program("lsblk", "#!/bin/bash\n")


def names(machine: Machine, *services: str) -> "list[str]":
    return [unit_name(machine.directory, service) for service in services]


def test_are_the_requested_ones_and_no_others(machine: Machine) -> None:
    run(machine.directory, "install-services", ["boot", "spot", "metrics"])
    assert machine.units() == names(machine, "boot", "metrics", "resume", "spot")
    assert [order for order in machine.orders() if order.startswith("restart")] == [
        f"restart {unit}" for unit in names(machine, "boot", "resume", "spot", "metrics")
    ]
    run(machine.directory, "install-services", ["boot"])
    assert machine.units() == names(machine, "boot", "resume")
    run(machine.directory, "remove-services", [])
    assert machine.units() == []
    assert f"disable --quiet --now {unit_name(machine.directory, 'boot')}" in machine.orders()


def test_are_only_touched_if_they_have_changed_or_do_not_run(machine: Machine) -> None:
    spot = unit_name(machine.directory, "spot")
    run(machine.directory, "install-services", ["boot", "spot"])
    machine.orders()
    run(machine.directory, "install-services", ["boot", "spot"])
    assert machine.orders() == []
    (machine.folder / f"active-{spot}").unlink()
    run(machine.directory, "install-services", ["boot", "spot"])
    assert machine.orders() == ["daemon-reload", f"enable --quiet {spot}", f"restart {spot}"]


def test_that_run_for_long_are_those_of_the_installed_agent(machine: Machine) -> None:
    run(machine.directory, "install-services", ["boot", "spot", "metrics"])
    machine.orders()
    machine.stand_in_agent("another release")
    run(machine.directory, "install-services", ["boot", "spot", "metrics"])
    assert [order for order in machine.orders() if order.startswith("restart")] == [
        f"restart {unit}" for unit in names(machine, "spot", "metrics")
    ]
    for name in names(machine, "spot", "metrics"):
        assert verified(machine.folder / "units", name) == []


def test_of_an_earlier_release_are_replaced_in_place(machine: Machine) -> None:
    spot = unit_name(machine.directory, "spot")
    directory = machine.directory.path
    (machine.folder / "units" / spot).write_text(
        f"[Service]\nExecStart=/bin/bash {unit_word(f'{directory}/bin/watch-spot.sh')} {unit_word(str(directory))}\n"
    )
    (machine.folder / f"active-{spot}").touch()
    run(machine.directory, "install-services", ["spot"])
    assert machine.units() == [spot]
    assert f'ExecStart=/usr/bin/env {unit_word(str(machine.directory.agent))} "watch-spot"\n' in machine.unit(
        spot
    )
    assert machine.orders() == [
        f"disable --quiet --now {spot}",
        "daemon-reload",
        f"enable --quiet {spot}",
        f"restart {spot}",
    ]


def test_pass_the_check_of_systemd_and_run_in_the_right_order(machine: Machine) -> None:
    run(machine.directory, "install-services", ["boot", "spot", "metrics"])
    unit = {
        service: machine.unit(unit_name(machine.directory, service)).splitlines()
        for service in ("boot", "resume", "spot", "metrics")
    }
    assert "Before=docker.service" in unit["boot"]
    assert "After=network-online.target local-fs.target dlami-nvme.service" in unit["boot"]
    assert f'ExecStart=/usr/bin/env {unit_word(str(machine.directory.agent))} "boot"' in unit["boot"]
    assert not any(line.startswith("User=") for line in unit["boot"])
    assert f"After=docker.service {unit_name(machine.directory, 'boot')}" in unit["resume"]
    # Not as root: the deploying user could not stop the processes that it starts.
    for service in ("resume", "spot", "metrics"):
        assert any(line.startswith("User=") for line in unit[service]), service
    # A server that they started survives them.
    for service in ("resume", "spot"):
        assert "KillMode=process" in unit[service], service
    for service in ("boot", "resume"):
        assert "RemainAfterExit=yes" in unit[service], service
    for name in machine.units():
        assert verified(machine.folder / "units", name) == []


def test_of_a_machine_that_stops_itself_come_and_go(machine: Machine) -> None:
    run(machine.directory, "install-services", ["boot", "idle=30", "shutdown"])
    assert machine.units() == names(machine, "boot", "idle", "resume", "shutdown")
    agent = unit_word(str(machine.directory.agent))
    idle, shutdown = (machine.unit(name).splitlines() for name in names(machine, "idle", "shutdown"))
    assert f'ExecStart=/usr/bin/env {agent} "watch-idle" "30"' in idle
    # Why it stops is for those who cannot ask it any more.
    assert {"StandardOutput=journal+console", "StandardError=journal+console"} <= set(idle)
    # What it starts again, should the machine go on, survives it.
    assert "KillMode=process" in idle
    # Requests in flight end before Docker does, and before nobody says any more that the machine stops.
    assert "After=network-online.target docker.service dbus.service" in shutdown
    assert f'ExecStop=/usr/bin/env {agent} "drain-at-shutdown" "100"' in shutdown
    assert any(line.startswith("User=") for line in [*idle, *shutdown])
    for name in machine.units():
        assert verified(machine.folder / "units", name) == []
    machine.orders()
    run(machine.directory, "install-services", ["boot", "idle=45", "shutdown"])
    assert machine.orders() == [
        f"disable --quiet --now {unit_name(machine.directory, 'idle')}",
        "daemon-reload",
        f"enable --quiet {unit_name(machine.directory, 'idle')}",
        f"restart {unit_name(machine.directory, 'idle')}",
    ]
    run(machine.directory, "install-services", ["boot"])
    assert machine.units() == names(machine, "boot", "resume")


@pytest.mark.parametrize("word", ["idle", "idle=", "idle=0", "idle=1.5", "idle=30m"])
def test_of_a_machine_that_stops_itself_need_a_number_of_minutes(machine: Machine, word: str) -> None:
    with pytest.raises(HostError, match="is not a service"):
        run(machine.directory, "install-services", [word])


def test_that_are_unknown_are_refused_before_anything_is_touched(machine: Machine) -> None:
    with pytest.raises(HostError) as caught:
        run(machine.directory, "install-services", ["boot", "sport"])
    assert (
        str(caught.value)
        == "error: 'sport' is not a service\nfix: choose from boot, spot, metrics, idle=MINUTES, shutdown"
    )
    assert machine.units() == []
    assert machine.orders() == []


def test_need_systemd(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.services.shutil.which", lambda _: None)
    with pytest.raises(HostError, match="this host has no systemd"):
        run(machine.directory, "install-services", ["boot"])


def test_of_a_folder_that_is_gone_need_no_removal(machine: Machine) -> None:
    machine.directory.agent.parent.rmdir()
    machine.directory.path.rmdir()
    run(machine.directory, "remove-services", [])
    assert machine.orders() == []
