"""The folder of a host: locks, files, links, names."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from agent import directory as module
from agent.directory import HostDirectory, point_link, require_path_segment, write_file
from agent.errors import HostError


@pytest.mark.parametrize("path", ["", "/", "relative", "/a\nb", "/a\x7f"])
def test_refuses_what_is_no_folder_of_a_host(path: str) -> None:
    with pytest.raises(HostError):
        HostDirectory(path)


def test_identity_differs_between_folders() -> None:
    # As in releases before the agent: containers and shared memory of theirs have this name.
    assert HostDirectory("/opt/xsched-triton").identity == _sha("/opt/xsched-triton")
    assert HostDirectory("/a").identity != HostDirectory("/b").identity


def _sha(text: str) -> str:
    return subprocess.run(["sha256sum"], input=text, stdout=subprocess.PIPE, text=True, check=True).stdout[
        :12
    ]


def test_a_lock_excludes_and_ends_with_its_process(directory: HostDirectory) -> None:
    program = """
import sys, time
sys.path.insert(0, sys.argv[2])
from agent.directory import HostDirectory
with HostDirectory(sys.argv[1]).lock("server"):
    print("held", flush=True)
    time.sleep(600)
"""
    source = Path(module.__file__).parent.parent
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(directory.path), str(source)], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    entered = threading.Event()

    def enter() -> None:
        with directory.lock("server"):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.3)
    holder.kill()
    holder.wait()
    assert entered.wait(120)
    thread.join()


def test_shared_locks_do_not_exclude_each_other(directory: HostDirectory) -> None:
    with directory.lock("server", shared=True), directory.lock("server", shared=True):
        pass


def test_a_lock_that_is_never_freed_is_an_error(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.1)
    with directory.lock("server"), pytest.raises(HostError, match="another deployment"), directory.lock(
        "server"
    ):
        pass


def test_waiting_for_a_lock_is_said(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda _: clock.__setitem__(0, clock[0] + 6))
    with directory.lock("server"), pytest.raises(HostError), directory.lock("server"):
        pass
    assert "waiting for another deployment that uses" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["", ".hidden", "a/b", "..", "a\nb"])
def test_refuses_what_is_no_path_segment(value: str) -> None:
    with pytest.raises(HostError, match="is not a model name"):
        require_path_segment("model name", value)


def test_a_failed_write_leaves_the_old_file(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = directory.path / "state"
    write_file(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_file(file, "new")
    assert file.read_text() == "old"
    assert [entry.name for entry in directory.path.iterdir()] == ["state"]


def test_a_link_is_replaced_in_one_step(directory: HostDirectory) -> None:
    link = directory.path / "link"
    point_link(link, "one")
    point_link(link, "two")
    assert os.readlink(link) == "two"
    assert [entry.name for entry in directory.path.iterdir()] == ["link"]
