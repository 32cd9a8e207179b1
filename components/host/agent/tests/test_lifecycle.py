"""Waiting for a server, with a clock and records that do as they are told."""

from typing import Iterator, List

import pytest
from agent.directory import HostDirectory
from agent.server import lifecycle
from agent.server.lifecycle import await_service
from agent.server.record import ENDED, LOADING, SERVING, STARTING, Run
from agent.server.settings import Settings, parse_settings
from agent.server.supervision import Supervising
from agent.triton import Health

SETTINGS = parse_settings(
    {
        "kind": "process",
        "httpPort": 1,
        "grpcPort": 2,
        "metricsPort": 3,
        "address": "127.0.0.1",
        "exitTimeoutSeconds": 5,
        "logMegabytes": 2,
        "loadTimeoutSeconds": 3,
    }
)


class DownTriton:
    def health(self) -> Health:
        return Health.DOWN


class Records:
    """What the supervisor has written down, one second after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, runs: List[Run]) -> None:
        self._runs: Iterator[Run] = iter(runs)
        self._run = next(self._runs)
        self._now = 1000.0
        monkeypatch.setattr(lifecycle, "time", self)
        monkeypatch.setattr(lifecycle, "read_run", lambda _: self._run)
        monkeypatch.setattr(lifecycle, "read_supervisor", lambda _: Supervising(1, ""))
        monkeypatch.setattr(Settings, "triton", lambda *_: DownTriton())

    def monotonic(self) -> float:
        return self._now

    def sleep(self, _: float) -> None:
        self._now += 1
        self._run = next(self._runs)


def test_a_server_that_starts_again_has_the_whole_time_again(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had ended while it loaded a model."""
    Records(
        monkeypatch,
        [
            *[Run(1, LOADING, lived=True)] * 9,
            *[Run(1, ENDED, reason="status 1", lived=True)] * 2,
            *[Run(2, STARTING)] * 2,
            Run(2, SERVING, lived=True),
        ],
    )
    assert await_service(directory, SETTINGS) is None


def test_a_server_that_does_not_answer(directory: HostDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    Records(monkeypatch, [Run(1, STARTING)] * 9)
    assert await_service(directory, SETTINGS) == "it did not answer in time"
