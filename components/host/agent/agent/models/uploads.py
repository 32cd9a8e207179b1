"""What is uploaded of models, on its way into the store."""

import os
import shutil
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

from ..commands import Request
from ..directory import HostDirectory, require_path_segment
from ..disk import free_bytes, free_inodes, megabytes, mount_point, room
from ..errors import HostError
from .store import damaged


class Upload(NamedTuple):
    """Files that a deployment sends."""

    model: str
    #: Of the files.
    digest: str
    bytes: int
    #: Files and folders.
    files: int


def make_room(request: Request) -> None:
    """
    The command `make-room [MODEL DIGEST BYTES FILES]…`: removes what interrupted deployments have left of other uploads
    than these, and refuses these if those that are not stored yet have no room. SFTP says "Failure" of a disk that is
    full.
    """
    directory = request.directory
    uploads = list(_uploads(request.words))
    _remove_others(directory, uploads)
    missing = [each for each in uploads if not _is_stored(directory, each)]
    # Each is uploaded, and then copied into the store.
    needed: List[Tuple[Path, Upload, int, int]] = []
    for each in missing:
        there, files = _measure(directory.path / "uploads" / each.model / each.digest)
        needed += [
            (directory.path / "uploads", each, max(0, each.bytes - there), max(0, each.files - files)),
            (directory.store, each, each.bytes, each.files),
        ]
    for disk in sorted({mount_point(place) for place, *_ in needed}):
        _require(directory, [entry for entry in needed if mount_point(entry[0]) == disk])


def _require(directory: HostDirectory, needed: List[Tuple[Path, Upload, int, int]]) -> None:
    """Refuses what does not fit on one disk."""
    place = needed[0][0]
    disk = mount_point(place)
    names = list(dict.fromkeys(upload.model for _, upload, *_ in needed))
    models = f"the files of {'the model' if len(names) == 1 else 'the models'} {', '.join(names)}"
    size, files = sum(entry[2] for entry in needed), sum(entry[3] for entry in needed)
    free, inodes = free_bytes(place), free_inodes(place)
    if size > free:
        raise HostError(
            f"there is no room for {models}: until they are stored, they take {megabytes(size)} on the disk {disk}, "
            f"and {megabytes(free)} are free",
            room(directory, place),
        )
    if inodes is not None and files > inodes:
        raise HostError(
            f"there is no room for {models}: until they are stored, they take {files} inodes on the disk {disk}, "
            f"and {inodes} are free",
            f"remove files on {disk} that are not needed (df -i; du --inodes -x {disk} | sort -n)",
        )


def _uploads(words: List[str]) -> Iterator[Upload]:
    for model, digest, size, files in zip(*[iter(words)] * 4):
        require_path_segment("model name", model)
        require_path_segment("digest", digest)
        yield Upload(model, digest, int(size), int(files))


def _is_stored(directory: HostDirectory, upload: Upload) -> bool:
    stored = directory.store / upload.model / f"files-{upload.digest}"
    return stored.is_dir() and not damaged(stored)


def _remove_others(directory: HostDirectory, uploads: List[Upload]) -> None:
    """One of these may be complete, and is then not sent again."""
    kept = {(each.model, each.digest) for each in uploads}
    for entry in (directory.path / "uploads").glob("*/*"):
        if (entry.parent.name, entry.name) not in kept:
            shutil.rmtree(entry, ignore_errors=True)


def _measure(folder: Path) -> Tuple[int, int]:
    """Bytes, and files and folders, in a folder that may not be there."""
    size = count = 0
    for above, folders, files in os.walk(folder):
        count += len(folders) + len(files)
        size += sum((Path(above) / name).lstat().st_size for name in files)
    return size, count
