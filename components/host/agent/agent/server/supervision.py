"""Who supervises the supervisor: systemd where it runs, otherwise nobody."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List, NamedTuple, Optional

from ..directory import HostDirectory, rewrite_file
from ..errors import HostError
from ..processes import boot_id, process_start, send_signal
from ..units import Supervision, choose

#: Seconds that a new supervisor has to say that it is there.
_START_SECONDS = 20


class Supervising(NamedTuple):
    """The supervisor that is at work."""

    pid: int
    #: Digest of its program. Empty for one of a release before the agent.
    program: str


def _file(directory: HostDirectory) -> Path:
    return directory.server / "supervisor"


def program_digest() -> str:
    """Names this program: another one takes over from it."""
    try:
        return hashlib.sha256(Path(sys.argv[0]).read_bytes()).hexdigest()[:16]
    except OSError:
        return "unknown"


def claim(directory: HostDirectory) -> None:
    """Says that this process is the supervisor. On a disk that is full it waits: the server runs meanwhile."""
    text = f"{os.getpid()} {process_start(os.getpid())} {boot_id()} {program_digest()}\n"
    while directory.server.is_dir():
        try:
            rewrite_file(_file(directory), text)
            return
        except OSError:
            time.sleep(1)


def read_supervisor(directory: HostDirectory) -> Optional[Supervising]:
    """None if there is none: it has ended, or its number belongs to another process by now."""
    try:
        pid, start, boot, *rest = _file(directory).read_text("utf-8").split()
        number = int(pid)
    except (OSError, ValueError):
        return None
    if boot != boot_id() or process_start(number) != start:
        return None
    return Supervising(number, rest[0] if rest else "")


class Daemon(Supervision):
    """Nobody: a process of its own, which does not survive the machine's next start."""

    def __init__(self, directory: HostDirectory) -> None:
        self._directory = directory

    def install(self, words: List[str]) -> None:
        self._words = words

    def start(self) -> None:
        if not self.running():
            _detach(self._words)

    def stop(self) -> None:
        dismiss(self._directory)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """There is nothing to undo."""

    def running(self) -> bool:
        return read_supervisor(self._directory) is not None


def supervision(directory: HostDirectory) -> Supervision:
    """What supervises the supervisor of this folder."""
    return choose(directory) or Daemon(directory)


def ensure_supervisor(directory: HostDirectory) -> None:
    """Makes this program supervise the server of this folder. A server that runs is taken over as it is.

    :raises HostError: if it does not come up
    """
    keeper = supervision(directory)
    current = read_supervisor(directory)
    ours = current is not None and current.program == program_digest()
    if ours and keeper.running():
        return
    if current is not None and not (keeper.running() and current.program):
        # Nobody keeps it running, or it is of a release before the agent.
        dismiss(directory)
    keeper.install([str(directory.agent), "supervise"])
    if keeper.running():
        keeper.restart()
    else:
        keeper.start()
    end = time.monotonic() + _START_SECONDS
    while read_supervisor(directory) is None:
        if time.monotonic() >= end:
            raise HostError(
                f"the supervisor of {directory.path} does not start",
                f"see {directory.server}/logs and the disk's free space, then deploy again",
            )
        time.sleep(0.02)


def end_supervisor(directory: HostDirectory) -> None:
    """Ends the supervisor, whoever keeps it running, and leaves the server as it is."""
    supervision(directory).stop()
    dismiss(directory)


def dismiss(directory: HostDirectory) -> None:
    """Ends the process of the supervisor, and leaves the server running."""
    current = read_supervisor(directory)
    if current is None:
        return
    # One of a release before the agent ends its server with itself, unless it cannot.
    send_signal([current.pid], signal.SIGTERM if current.program else signal.SIGKILL)
    end = time.monotonic() + 10
    while read_supervisor(directory) is not None:
        if time.monotonic() >= end:
            send_signal([current.pid], signal.SIGKILL)
        time.sleep(0.02)


def _detach(words: List[str]) -> None:
    """Starts a program in a session of its own. Nothing of this session may stay open in it, or the SSH or Pulumi
    that called us would wait for the server."""
    # Twice, so that it is nobody's child: whoever called us need not collect it.
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    try:
        subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            close_fds=True,
            start_new_session=True,
        )
    finally:
        os._exit(0)
