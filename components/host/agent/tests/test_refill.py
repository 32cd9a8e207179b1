"""What a host gets back after a stop of the instance, which empties its instance store."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Iterator

import pytest
from agent.commands import run
from agent.directory import point_link
from agent.errors import HostError
from s3_server import S3Server
from stand_in_machine import Machine
from test_instance_store import INSTANCE_STORE, Disks

BUCKET = "instance-store-models"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


def md5(content: str) -> str:
    return hashlib.md5(content.encode()).hexdigest()


@pytest.fixture(scope="module")
def s3(s3_server: S3Server) -> S3Server:
    """A bucket that keeps versions."""
    s3_server.create_bucket(BUCKET)
    s3_server.keep_versions(BUCKET)
    return s3_server


class Host:
    """A machine whose models are on an instance store."""

    def __init__(self, machine: Machine, disks: Disks, s3: S3Server) -> None:
        self.directory = machine.directory
        self.store = machine.directory.store
        self.kept = machine.directory.models / "kept"
        self.source = machine.folder / "source"
        self.stop = disks.stop_instance
        self.s3 = s3

    def boot(self) -> None:
        run(self.directory, "boot", [])

    def _store(self, model: str, digest: str, files: str, source: str) -> None:
        body = {
            "model": model,
            "digest": digest,
            "filesDigest": files,
            "source": source,
            "config": f"of {digest}",
        }
        run(self.directory, "store", [], json.dumps(body))

    def store_from_s3(self, digest: str, files: str, content: str) -> None:
        self.s3.put(BUCKET, "chat/1/weights", content.encode())
        source = f"s3://{BUCKET}/chat"
        objects = [
            {"path": "1/weights", "etag": md5(content), "bytes": len(content)},
            {"path": "1/empty/", "etag": md5(""), "bytes": 0},
        ]
        body = {"model": "chat", "filesDigest": files, "source": source, "objects": objects}
        run(self.directory, "fetch", [], json.dumps(body))
        self._store("chat", digest, files, source)

    def store_from_folder(self, digest: str, files: str, content: str) -> None:
        (self.source / "1").mkdir(parents=True, exist_ok=True)
        (self.source / "1/model.py").write_text(content)
        self._store("small", digest, files, str(self.source))

    def activate(self, model: str, digest: str) -> None:
        point_link(self.directory.repository / model, f"../store/{model}/{digest}")

    def read(self, model: str, digest: str, name: str) -> str:
        return (self.store / model / digest / name).read_text()


@pytest.fixture
def host(machine: Machine, s3: S3Server) -> Iterator[Host]:
    for variable, value in s3.environment.items():
        machine.set(variable, value)
    machine.set("PATH", f"{machine.folder / 'programs'}:{s3.programs}:{os.environ['PATH']}")
    disks = Disks(machine)
    disks.add(INSTANCE_STORE)
    found = Host(machine, disks, s3)
    found.boot()
    yield found
    s3.mischief.clear()
    disks.remove()


def test_comes_from_s3_if_it_came_from_there_otherwise_from_the_root_disk(host: Host) -> None:
    host.store_from_s3("d1", "f1", "first weights")
    host.activate("chat", "d1")
    host.store_from_folder("e1", "g1", "code")
    host.activate("small", "e1")
    host.stop()
    assert not (host.store / "chat").exists()
    shutil.rmtree(host.source)
    host.boot()
    assert host.read("chat", "d1", "1/weights") == "first weights"
    assert (host.store / "chat/d1/1/empty").is_dir()
    assert host.read("chat", "d1", "config.pbtxt") == "of d1"
    assert host.read("small", "e1", "1/model.py") == "code"
    assert host.read("small", "e1", "config.pbtxt") == "of e1"
    host.s3.fetched.clear()
    host.boot()
    assert host.s3.fetched == []


def test_is_the_version_that_served_although_the_bucket_has_a_newer_one(host: Host) -> None:
    host.store_from_s3("d1", "f1", "what serves")
    host.activate("chat", "d1")
    host.s3.put(BUCKET, "chat/1/weights", b"what will be deployed tomorrow")
    host.stop()
    host.boot()
    assert host.read("chat", "d1", "1/weights") == "what serves"


def test_is_what_serves_and_what_was_stored_last_and_nothing_older(host: Host) -> None:
    host.store_from_folder("e1", "g1", "one")
    host.activate("small", "e1")
    host.store_from_folder("e2", "g2", "two")
    host.store_from_folder("e3", "g3", "three")
    host.stop()
    host.boot()
    assert host.read("small", "e1", "1/model.py") == "one"
    assert host.read("small", "e3", "1/model.py") == "three"
    assert not (host.store / "small/e2").exists()
    assert names(host.kept / "small") == ["e1", "e3", "files-g1", "files-g3"]


def names(folder: Path) -> "list[str]":
    return sorted(path.name for path in folder.iterdir())


def test_is_all_but_a_model_that_cannot_be_restored_which_is_named(
    host: Host, capsys: pytest.CaptureFixture
) -> None:
    host.store_from_s3("d1", "f1", "weights")
    host.activate("chat", "d1")
    host.store_from_folder("e1", "g1", "code")
    host.stop()
    host.s3.mischief["chat/1/weights"] = "deny"
    with pytest.raises(HostError, match="some models could not be restored: chat\n"):
        host.boot()
    host.s3.mischief.clear()
    assert "denies this host access to s3://instance-store-models/chat/1/weights" in capsys.readouterr().err
    assert host.read("small", "e1", "1/model.py") == "code"
    host.boot()
    assert host.read("chat", "d1", "1/weights") == "weights"


def test_is_no_model_that_was_removed(host: Host) -> None:
    host.store_from_folder("e1", "g1", "code")
    assert names(host.kept / "small") == ["e1", "files-g1"]
    run(host.directory, "remove-model", ["small"])
    assert not (host.kept / "small").exists()
    assert not (host.store / "small").exists()
