"""The lock on Triton's control: whoever reaches its ports may not change what it runs.

Triton would let everybody load a model with code in the request. Releases that can are started with a key that changes
with each start of the server, and only whoever may read this folder has it.
"""

import contextlib
import secrets
from pathlib import Path
from typing import Dict, List

from ..directory import HostDirectory, write_file
from ..errors import HostError
from ..programs import TIMED_OUT, call
from ..triton import KEY_HEADER

#: Triton's names of what is locked: loads, unloads and the list of models; shared memory, through which a client could
#: read what is not its own; settings of the log and of traces, which name files that Triton writes.
_LOCKED = "model-repository,shared-memory,logging,trace"
#: Starting tritonserver reads hundreds of megabytes of libraries, on a cold disk.
_HELP_SECONDS = 60
_FLAGS = ("--http-restricted-api", "--grpc-restricted-protocol")


def _file(directory: HostDirectory) -> Path:
    return directory.server / "control-key"


def read_key(directory: HostDirectory) -> str:
    """The key of the server that runs; empty if its control is not locked."""
    try:
        return _file(directory).read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def forget_key(directory: HostDirectory) -> None:
    with contextlib.suppress(FileNotFoundError):
        # A file system that is read-only refuses that also where there is no such file.
        if _file(directory).exists():
            _file(directory).unlink()


def renew_key(directory: HostDirectory) -> str:
    """A new key, for a server that is about to start. On a disk that is full or read-only, the former one has to do.

    :raises OSError: if there is no former one, either
    """
    key = secrets.token_hex(32)
    try:
        write_file(_file(directory), f"{key}\n", 0o600)
    except OSError:
        key = read_key(directory)
        if not key:
            raise
    return key


def tells_of_lock(usage: str) -> bool:
    """Whether a release with this usage knows the lock. `--grpc-restricted-protocol` came with 23.05,
    `--http-restricted-api` with 23.12."""
    return all(flag in usage for flag in _FLAGS)


def can_lock(tritonserver: Path, environment: Dict[str, str]) -> bool:
    """Whether this release knows the lock.

    :raises HostError: if it does not say so in time: a server must not start without its lock for that
    """
    shown = call([str(tritonserver), "--help"], seconds=_HELP_SECONDS, environment=environment)
    if shown.status == TIMED_OUT:
        raise HostError(
            f"`{tritonserver} --help` did not answer within {_HELP_SECONDS} s",
            "make room on this machine, or see why it hangs",
        )
    return tells_of_lock(shown.out + shown.err)


def locking_arguments(key: str) -> List[str]:
    """Arguments of tritonserver that nobody else may see."""
    return [f"{flag}={_LOCKED}:{KEY_HEADER}={key}" for flag in _FLAGS]
