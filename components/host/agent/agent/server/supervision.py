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


class Supervised(NamedTuple):
    """What a supervisor looks after."""

    #: Also of the folder with its state, which exists while it is deployed.
    name: str
    #: The agent's command that supervises it.
    command: str

    def folder(self, directory: HostDirectory) -> Path:
        return directory.path / self.name


SERVER = Supervised("server", "supervise")
GATEWAY = Supervised("gateway", "supervise-gateway")


class Supervising(NamedTuple):
    """The supervisor that is at work."""

    pid: int
    #: Digest of its program. Empty for one of a release before the agent.
    program: str


def _file(directory: HostDirectory, supervised: Supervised) -> Path:
    return supervised.folder(directory) / "supervisor"


def program_digest() -> str:
    """Names this program: another one takes over from it."""
    try:
        return hashlib.sha256(Path(sys.argv[0]).read_bytes()).hexdigest()[:16]
    except OSError:
        return "unknown"


def claim(directory: HostDirectory, supervised: Supervised = SERVER) -> None:
    """Says that this process is the supervisor. On a disk that is full it waits: what it supervises runs meanwhile."""
    text = f"{os.getpid()} {process_start(os.getpid())} {boot_id()} {program_digest()}\n"
    while supervised.folder(directory).is_dir():
        try:
            rewrite_file(_file(directory, supervised), text)
            return
        except OSError:
            time.sleep(1)


def read_supervisor(directory: HostDirectory, supervised: Supervised = SERVER) -> Optional[Supervising]:
    """None if there is none: it has ended, or its number belongs to another process by now."""
    try:
        pid, start, boot, *rest = _file(directory, supervised).read_text("utf-8").split()
        number = int(pid)
    except (OSError, ValueError):
        return None
    if boot != boot_id() or process_start(number) != start:
        return None
    return Supervising(number, rest[0] if rest else "")


class Daemon(Supervision):
    """Nobody: a process of its own, which does not survive the machine's next start."""

    def __init__(self, directory: HostDirectory, supervised: Supervised) -> None:
        self._directory = directory
        self._supervised = supervised

    def install(self, words: List[str]) -> None:
        self._words = words

    def start(self) -> None:
        if not self.running():
            _detach(self._words)

    def stop(self) -> None:
        dismiss(self._directory, self._supervised)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """There is nothing to undo."""

    def running(self) -> bool:
        return read_supervisor(self._directory, self._supervised) is not None


def supervision(directory: HostDirectory, supervised: Supervised = SERVER) -> Supervision:
    """What supervises the supervisor of this folder."""
    return choose(directory, supervised.name) or Daemon(directory, supervised)


def ensure_supervisor(directory: HostDirectory, supervised: Supervised = SERVER) -> None:
    """Makes this program supervise what runs in this folder. What runs already is taken over as it is.

    :raises HostError: if it does not come up
    """
    keeper = supervision(directory, supervised)
    current = read_supervisor(directory, supervised)
    ours = current is not None and current.program == program_digest()
    if ours and keeper.running():
        return
    if current is not None and not (keeper.running() and current.program):
        # Nobody keeps it running, or it is of a release before the agent.
        dismiss(directory, supervised)
    keeper.install([str(directory.agent), supervised.command])
    if keeper.running():
        keeper.restart()
    else:
        keeper.start()
    end = time.monotonic() + _START_SECONDS
    while read_supervisor(directory, supervised) is None:
        if time.monotonic() >= end:
            raise HostError(
                f"the supervisor of {directory.path} does not start",
                f"see {supervised.folder(directory)}/logs and the disk's free space, then deploy again",
            )
        time.sleep(0.02)


def end_supervisor(directory: HostDirectory, supervised: Supervised = SERVER) -> None:
    """Ends the supervisor, whoever keeps it running, and leaves what it supervises as it is."""
    supervision(directory, supervised).stop()
    dismiss(directory, supervised)


def dismiss(directory: HostDirectory, supervised: Supervised = SERVER) -> None:
    """Ends the process of the supervisor, and leaves running what it supervises."""
    current = read_supervisor(directory, supervised)
    if current is None:
        return
    # One of a release before the agent ends its server with itself, unless it cannot.
    send_signal([current.pid], signal.SIGTERM if current.program else signal.SIGKILL)
    end = time.monotonic() + 10
    while read_supervisor(directory, supervised) is not None:
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
