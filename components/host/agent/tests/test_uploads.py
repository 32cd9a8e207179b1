"""Room for what is about to be uploaded."""

import re
from pathlib import Path
from typing import List

import pytest
from agent.commands import run
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.models import uploads
from agent.models.store import store_model


def upload(directory: HostDirectory, model: str, digest: str, size: int = 1000) -> Path:
    """What a deployment has sent."""
    folder = directory.path / "uploads" / model / digest
    (folder / "1").mkdir(parents=True)
    (folder / "1/weights").write_bytes(bytes(size))
    return folder


def make_room(directory: HostDirectory, *words: str) -> None:
    assert run(directory, "make-room", list(words)) is None


def left(directory: HostDirectory) -> List[str]:
    folder = directory.path / "uploads"
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> "type[Disk]":
    monkeypatch.setattr(uploads, "free_bytes", lambda _: Disk.bytes)
    monkeypatch.setattr(uploads, "free_inodes", lambda _: Disk.inodes)
    Disk.bytes, Disk.inodes = 10_000_000, 100
    return Disk


class Disk:
    bytes = 0
    inodes = 0


def test_what_interrupted_deployments_have_left_goes_and_what_is_wanted_stays(
    directory: HostDirectory, disk: Disk
) -> None:
    for model, digest in (("scale", "d1"), ("scale", "d2"), ("gone", "d1"), ("built", "d1"), ("built", "d2")):
        upload(directory, model, digest)
    make_room(directory, "scale", "d2", "1000", "2", "built", "d2", "0", "0")
    assert left(directory) == ["built/d2", "scale/d2"]
    make_room(directory)
    assert left(directory) == []


def test_models_that_do_not_fit_are_refused_together(directory: HostDirectory, disk: Disk) -> None:
    # Each of them twice: as it was sent, and as it is stored.
    fitting = ("one", "d1", "2000000", "3", "two", "d1", "2999999", "3")
    make_room(directory, *fitting)
    with pytest.raises(HostError) as refused:
        make_room(directory, *fitting, "three", "d1", "2", "1")
    assert re.fullmatch(
        r"there is no room for the files of the models one, two, three: until they are stored, they take 11 MB on the "
        r"disk /\S*, and 10 MB are free",
        refused.value.what,
    )
    assert re.match(r"free some space on /\S*, or give the host a larger disk", refused.value.fix)
    disk.inodes = 11
    with pytest.raises(HostError, match=r"they take 12 inodes on the disk /.*, and 11 are free"):
        make_room(directory, *fitting)


def test_what_is_stored_or_already_sent_takes_no_room(directory: HostDirectory, disk: Disk) -> None:
    sent = upload(directory, "scale", "d1", 6_000_000)
    # Its copy in the store.
    make_room(directory, "scale", "d1", "6000000", "2")
    with pytest.raises(HostError, match="the model scale: until they are stored, they take 11 MB"):
        make_room(directory, "scale", "d1", "8000001", "2")
    store_model(directory, "scale", "c1", "d1", str(sent), "")
    disk.bytes = disk.inodes = 0
    make_room(directory, "scale", "d1", "6000000", "2")
    # What was stored has been damaged since.
    (directory.store / "scale/files-d1/1/weights").write_bytes(b"other")
    with pytest.raises(HostError, match="the model scale"):
        make_room(directory, "scale", "d1", "6000000", "2")
