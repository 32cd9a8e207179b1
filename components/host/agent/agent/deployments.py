"""Whether somebody deploys to a host, or has just done so: a machine that stops itself must not do that meanwhile.

A deployment is many commands with pauses between them, most of them too short to be seen by somebody who looks every
now and then. So each leaves a sign that it was there, where there is somebody to see it.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Iterator

from .directory import HostDirectory

#: Commands of the agent that only look. `inspect` is none of them: it is what an update begins with, and a preview.
_LOOKING = ("probe", "status", "measure", "ask", "scheduler")
#: Commands that systemd or a supervisor runs, for as long as the machine does or at its end.
_SERVING = ("supervise", "supervise-gateway", "serve-metrics", "watch-spot", "watch-idle", "follow")
_ENDING = ("drain", "drain-at-shutdown")
#: Whoever runs any other command of the agent deploys.
BESIDE_DEPLOYMENTS = frozenset([*_LOOKING, *_SERVING, *_ENDING])


def _sign(directory: HostDirectory) -> Path:
    return directory.path / "last-deployment"


def heed(directory: HostDirectory) -> None:
    """From now on, deployments leave signs."""
    _sign(directory).touch()


@contextlib.contextmanager
def noted(directory: HostDirectory, command: str) -> Iterator[None]:
    """Leaves a sign at the beginning and at the end of a command, if that is one of a deployment."""
    _note(directory, command)
    try:
        yield
    finally:
        _note(directory, command)


def _note(directory: HostDirectory, command: str) -> None:
    if command not in BESIDE_DEPLOYMENTS:
        # Nobody heeds it, or the host was removed just now.
        with contextlib.suppress(OSError):
            os.utime(_sign(directory))


def under_way(directory: HostDirectory) -> bool:
    """Whether a command of this folder's agent runs that deploys."""
    from .processes import command_line, process_ids  # noqa: PLC0415

    agent = str(directory.agent)
    for pid in process_ids():
        words = command_line(pid)
        if agent in words[:-1] and words[words.index(agent) + 1] not in BESIDE_DEPLOYMENTS:
            return True
    return False


def last_sign(directory: HostDirectory) -> int:
    """When somebody deployed last, in milliseconds since 1970; 0 for never."""
    if under_way(directory):
        return int(time.time() * 1000)
    try:
        return _sign(directory).stat().st_mtime_ns // 1_000_000
    except OSError:
        return 0
