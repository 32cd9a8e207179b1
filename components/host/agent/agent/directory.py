"""The folder of a host: what every other module shares."""

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import Iterator, List, Optional

from .console import progress
from .errors import HostError

#: Seconds that a command waits for another one that works in the same folder.
LONGEST_WAIT = 900


class HostDirectory:
    """A host's folder. Its path is absolute and has no control characters."""

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        text = os.fspath(path)
        if not text.startswith("/") or text.rstrip("/") == "":
            raise HostError(
                f"the host directory must be an absolute path, not '{text}'", "set host.directory to one"
            )
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            raise HostError("the host directory contains a control character", "choose another path")
        self.path = Path(text)

    @property
    def identity(self) -> str:
        """A short name for this folder, for what must be unique on the machine: shared memory, containers, units."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]

    @property
    def agent(self) -> Path:
        """This program, as units of systemd and other commands start it."""
        return self.path / "bin/agent"

    @property
    def models(self) -> Path:
        """`store/MODEL/DIGEST` holds what is stored, `repository/MODEL` links to what serves."""
        return self.path / "models"

    @property
    def store(self) -> Path:
        return self.models / "store"

    @property
    def repository(self) -> Path:
        return self.models / "repository"

    @property
    def server(self) -> Path:
        """State of the server: exists while one is deployed."""
        return self.path / "server"

    @property
    def gateway(self) -> Path:
        """State of the gateway: exists while one is deployed."""
        return self.path / "gateway"

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False, seconds: Optional[float] = None) -> Iterator[None]:
        """Holds the lock of this name. The kernel releases it when the process ends, however it ends.

        :param seconds: the longest wait
        :raises HostError: if another process holds it for longer
        """
        folder = self.path / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        # Not inheritable: a server that we start must not hold it on.
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            self._wait_for(descriptor, mode, LONGEST_WAIT if seconds is None else seconds)
            yield
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int, mode: int, longest: float) -> None:
        began = time.monotonic()
        announced = 0
        while True:
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                waited = time.monotonic() - began
            if waited >= longest:
                raise HostError(
                    f"another deployment has been using {self.path} for {longest:.0f} s"
                    + _describe_holder(descriptor),
                    "wait for it to end, or end it, then try again",
                )
            if waited >= announced + 5:
                announced = int(waited)
                progress(f"waiting for another deployment that uses {self.path} ({announced} s)")
            time.sleep(0.02 if waited < 1 else 0.2)


def _describe_holder(descriptor: int) -> str:
    """Which process holds the lock of a file, if the kernel tells: proc_locks(5)."""
    status = os.fstat(descriptor)
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            fields = line.split()
            if "->" not in fields and fields[1] == "FLOCK" and fields[5] == file:
                return f" (process {fields[4]})"
    return ""


def require_path_segment(what: str, value: str) -> str:
    """Returns a value that becomes part of a path which we may remove: it must be one plain segment."""
    if value == "" or value.startswith(".") or "/" in value or not value.isprintable():
        raise HostError(
            f"'{value}' is not a {what}", "use letters, digits, '_', '-' and '.', not starting with '.'"
        )
    return value


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a file so that a reader sees the old content or the new, never half, whenever the machine stops."""
    try:
        _write_file(path, text, mode)
    except OSError as error:
        # The system does not say which file it was, or names the one that takes its place.
        error.filename = str(path)
        raise


def rewrite_file(path: Path, text: str) -> None:
    """As `write_file`, for a small record that has to be right on a full disk as well: there, what the file has of it
    is written over. A reader may then see half of it, for an instant, and must know that from the whole."""
    try:
        write_file(path, text)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not path.is_file():
            raise
        with path.open("r+b", buffering=0) as file:
            file.write(text.encode("utf-8"))
            file.truncate()
            os.fsync(file.fileno())


def _write_file(path: Path, text: str, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def unfinished_writes(path: Path) -> List[Path]:
    """What commands have left that were killed while they wrote a file or a link, before it had its name."""
    return list(path.parent.glob(f".{path.name}.*"))


def point_link(link: Path, target: str) -> None:
    """Makes a symbolic link, or points an existing one elsewhere, in one step."""
    staging = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        staging.unlink()
    staging.symlink_to(target)
    staging.replace(link)
