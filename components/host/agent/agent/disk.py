"""Disks that are full or read-only: which one, and what of ours lies on it."""

import contextlib
import errno
import os
import pwd
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

from .directory import HostDirectory
from .errors import HostError
from .programs import call

#: What is smaller is not worth a word.
SMALLEST = 1_000_000

#: How many things a message names.
MOST_NAMED = 3

#: What programs say when a disk, or the user's share of it, is full.
FULL_MESSAGES = ("No space left", "no space left", "Errno 28", "Disk quota exceeded", "disk quota exceeded")


class Thing(NamedTuple):
    """Something of this deployment that could go."""

    bytes: int
    name: str
    #: What happens, or what to do.
    remark: str

    def __str__(self) -> str:
        return f"{self.name} ({megabytes(self.bytes)}; {self.remark})"


def megabytes(size: int) -> str:
    """A size for a person, rounded up."""
    return f"{-(-size // 1_000_000)} MB"


def says_full(message: str) -> bool:
    """Whether this is a program's way to say that a disk is full."""
    return any(text in message for text in FULL_MESSAGES)


def is_full(error: OSError) -> bool:
    """Whether an operation failed because the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_read_only(error: OSError) -> bool:
    """Whether an operation failed because the file system may not be written to."""
    return error.errno == errno.EROFS


def free_bytes(path: Path) -> int:
    """What this user may still write where this path is, or would be."""
    found = os.statvfs(_nearest(path))
    return found.f_bavail * found.f_frsize


def mount_point(path: Path) -> Path:
    """Where the disk with this path is mounted."""
    nearest = _nearest(path).resolve()
    while not nearest.is_mount():
        nearest = nearest.parent
    return nearest


def free_inodes(path: Path) -> Optional[int]:
    """How many files this user may still make where this path is, or would be; None where the file system makes inodes
    as it needs them, and counts none."""
    found = os.statvfs(_nearest(path))
    return found.f_favail if found.f_files > 0 else None


def no_space(directory: HostDirectory, path: Path, what: str, error: Optional[OSError] = None) -> HostError:
    """The error of a full disk: `what` was to be written to `path`.

    :param error: how the system has said so, if it has
    """
    disk = mount_point(path)
    free = megabytes(free_bytes(path))
    if error is not None and error.errno == errno.EDQUOT:
        user = _user_name()
        return HostError(
            f"the quota of {user} on the disk {disk} leaves no room for {what} ({free} are free for others)",
            f"raise it (sudo edquota {user}), or free some space or inodes there (quota -s)",
        )
    if free_inodes(path) == 0:
        return HostError(
            f"there are no inodes left on the disk {disk} for {what} ({free} are free, but no further file fits)",
            f"remove files on {disk} that are not needed (df -i; du --inodes -x {disk} | sort -n), then deploy again",
        )
    return HostError(
        f"there is no space left on the disk {disk} for {what} ({free} are free)", room(directory, path)
    )


def read_only(path: Path, what: str) -> HostError:
    """The error of a read-only file system: `what` was to be written to `path`."""
    disk = mount_point(path)
    return HostError(
        f"the file system {disk} is read-only, so {what} cannot write to {path}",
        f"mount it for writing (sudo mount -o remount,rw {disk}); if the kernel made it read-only because of a fault, "
        "dmesg says which, and the disk has to be checked first; then deploy again",
    )


def disk_error(directory: HostDirectory, error: OSError, path: Path, what: str) -> Optional[HostError]:
    """What the failure of a full or read-only disk means; None if it is another.

    :param path: where `what` was to be written, if the failure does not tell
    """
    place = Path(os.fsdecode(error.filename or path))
    if is_read_only(error):
        return read_only(place, what)
    return no_space(directory, place, what, error) if is_full(error) else None


def _user_name() -> str:
    """The name of this user, or the number if it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def room(directory: HostDirectory, path: Path) -> str:
    """What to do on a disk that is full: names the largest things of this deployment on it."""
    fix = f"free some space on {mount_point(path)}, or give the host a larger disk"
    things = largest(directory, path)
    if not things:
        return f"{fix}; nothing of this deployment there could go"
    return f"{fix}; of this deployment these are the largest there: {', '.join(map(str, things))}"


@contextlib.contextmanager
def explained(directory: HostDirectory, path: Path, what: str) -> Iterator[None]:
    """Turns the failure of a full or read-only disk into an error that says which disk, and what to do."""
    try:
        yield
    except OSError as error:
        explanation = disk_error(directory, error, path, what)
        if explanation is None:
            raise
        raise explanation from error


def largest(directory: HostDirectory, path: Path) -> List[Thing]:
    """The largest things of this deployment that can be removed from the disk with this path."""
    device = _nearest(path).stat().st_dev
    seen: Set[Tuple[int, int]] = set()
    things = [
        Thing(_size(entry, device, seen), str(entry), remark)
        # What is in two places counts where it comes first.
        for folder, remark in (
            (directory.store, "remove the model from the stack"),
            (directory.path / "engines/cache", "an engine; built again if it is needed"),
            (
                directory.path / "engines/sources",
                "an ONNX model; needed to build its engine with other options",
            ),
            (directory.path / "uploads", "left by a deployment that was interrupted"),
            (directory.models / "kept", "remove the model from the stack"),
        )
        for entry in _entries(folder)
    ]
    things += _unused_images(directory, device)
    things = [thing for thing in things if thing.bytes >= SMALLEST]
    return sorted(things, key=lambda thing: -thing.bytes)[:MOST_NAMED]


def _unused_images(directory: HostDirectory, device: int) -> List[Thing]:
    """Images that we pulled, but for the one in use, if Docker keeps them on this disk."""
    try:
        *unused, _ = (directory.path / "images").read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return []
    root = call(["docker", "info", "--format", "{{.DockerRootDir}}"], seconds=10).out.strip()
    if not unused or not root.startswith("/") or _nearest(Path(root)).stat().st_dev != device:
        return []
    sizes = [(image, _image_size(image)) for image in unused]
    return [Thing(size, image, "docker image rm") for image, size in sizes if size is not None]


def _image_size(image: str) -> Optional[int]:
    found = call(["docker", "image", "inspect", "--format", "{{.Size}}", image], seconds=10)
    return int(found.out) if found.ok and found.out.strip().isdigit() else None


def _entries(folder: Path) -> List[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _size(entry: Path, device: int, seen: Set[Tuple[int, int]]) -> int:
    """Bytes that a file or folder takes on a device, each file once."""
    total = 0
    pending = [os.fspath(entry)]
    while pending:
        name = pending.pop()
        with contextlib.suppress(OSError):
            status = os.lstat(name)
            if status.st_dev != device or (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
            if os.path.isdir(name) and not os.path.islink(name):  # noqa: PTH112, PTH114
                pending += [each.path for each in os.scandir(name)]
    return total


def _nearest(path: Path) -> Path:
    """The path, or what exists above it."""
    while not path.exists():
        path = path.parent
    return path
