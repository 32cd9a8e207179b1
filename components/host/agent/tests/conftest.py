"""Fixtures of the agent's tests. They need no Pulumi, no root and no network."""

import sys
from pathlib import Path
from typing import Iterator

import pytest

AGENT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(AGENT))

from agent.directory import HostDirectory  # noqa: E402
from s3_server import S3Server, serve_s3  # noqa: E402
from stand_in_machine import Machine  # noqa: E402


@pytest.fixture
def directory(tmp_path: Path) -> HostDirectory:
    """An empty folder of a host whose name needs quotes, because users have such."""
    path = tmp_path / "the host's directory"
    path.mkdir()
    return HostDirectory(path)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that a test may change."""
    return Machine(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """S3, started when the first test asks for it."""
    with serve_s3() as server:
        yield server
