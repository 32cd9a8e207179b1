"""Ports of tests that run at the same time."""

import itertools
from pathlib import Path
from typing import Set

import free_ports
import pytest


def all_ports(monkeypatch: pytest.MonkeyPatch, place: int, worker: int) -> Set[int]:
    monkeypatch.setenv("TEST_PLACE", str(place))
    monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{worker}")
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "4")
    return set(itertools.islice(free_ports.ports_of_this_process(), 1000))


def test_no_two_processes_have_a_port_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [all_ports(monkeypatch, place, worker) for place in (0, 3) for worker in range(4)]
    assert sum(map(len, found)) == len(set().union(*found))
    # As test/engine/ports.ts takes those of its place.
    assert {port % 16 for port in found[-1]} == {3}
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(14_999 < port < ephemeral for ports in found for port in ports)
    assert min(map(len, found)) > 100
