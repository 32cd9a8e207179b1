"""Faults of the machine: killed processes, a full disk, a flooded log, a folder that is gone."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from agent import directory as directory_module
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.models.store import store_model
from free_ports import free_ports
from stand_in_host import Host, eventually, lose

MEGABYTE = 1 << 20


def converges(host: Host, models: List[Dict[str, Any]]) -> None:
    """A deployment, whatever the one before has left, and what must be true after it."""
    host.start()
    host.serve(*models)
    assert len(host.servers) == 1
    assert sorted(host.triton.serving()) == sorted(model["name"] for model in models)
    assert host.run("inspect")["repairs"].keys() <= {"server", "models"}
    assert host.aside() == []


@pytest.mark.parametrize("command", ["start", "serve", "stop"])
def test_killed_at_any_moment_and_finished_by_the_next(host: Host, command: str) -> None:
    """The moments follow the system calls that change something, so that none is left out for its shortness."""
    models = [host.store("one"), host.store("two")]
    other = [models[0], host.store("three")]
    for moment in range(10):
        converges(host, models)
        arguments = ["--stand-in="] if moment % 2 else []
        bodies = {
            "start": {**host.settings, "arguments": arguments},
            "serve": {"models": other},
            "stop": None,
        }
        killed_at(host, command, bodies[command], random.Random(f"{command} {moment}").randrange(1, 40))
    converges(host, models)
    host.run("stop")
    assert host.servers == []


#: Runs a command of the agent and kills it before its n-th change of a file or a process.
KILLER = """
import os, signal, sys
sys.argv[0], moment = sys.argv[1], int(sys.argv[3])
sys.path.insert(0, sys.argv[1])
left = [moment]
CHANGES = ("os.rename", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "os.kill", "os.fork", "subprocess.Popen",
           "socket.connect")
mine = os.getpid()
def audit(event, arguments):
    if event in CHANGES and os.getpid() == mine:
        left[0] -= 1
        if left[0] == 0:
            os.kill(mine, signal.SIGKILL)
sys.addaudithook(audit)
sys.argv[1:] = sys.argv[2:3]
from agent.commands import main
sys.exit(main(sys.argv))
"""


def killed_at(host: Host, command: str, body: Any, moment: int) -> None:
    agent = str(host.directory.agent)
    process = subprocess.Popen(
        [str(Path(sys.executable).resolve()), "-I", "-c", KILLER, agent, command, str(moment)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, err = process.communicate(b"" if body is None else json.dumps(body).encode(), timeout=300)
    assert process.returncode in (0, -signal.SIGKILL), err


def test_a_folder_that_is_gone_is_deployed_anew(host: Host, shipped_agent: Path) -> None:
    host.start()
    host.serve(host.store("scale"))
    pid = host.server_pid
    lose(host.directory.path)
    host.directory.agent.parent.mkdir(parents=True)
    shutil.copy(shipped_agent, host.directory.agent)
    host.install("triton-0.0.3-stand-in")
    converges(host, [host.store("scale")])
    assert host.server_pid != pid


def test_a_flood_that_nobody_can_ask_about_stays_within_the_limit(host: Host) -> None:
    """A server that floods its log and never answers: who waits for an answer must not forget the log."""
    deployment = host.spawn("start", body={**host.settings, "arguments": ["--stand-in=flood,mute"]})
    logs = host.directory.server / "logs"
    older = logs / "triton.log.1"
    try:
        eventually(older.exists)
        # While one question is open, for five seconds, the log is turned over many times.
        inodes = set()
        sizes = []

        def turned() -> bool:
            with contextlib.suppress(OSError):
                inodes.add(older.stat().st_mtime_ns)
                sizes.append(sum(path.stat().st_size for path in logs.iterdir()))
            return len(inodes) > 20

        eventually(turned)
        # In the five seconds, 200 MB/s would be 1 GB. They are 100 MB in half a second, for which a busy machine may
        # forget us.
        assert sorted(sizes)[len(sizes) // 2] <= (host.settings["logMegabytes"] + 100) * MEGABYTE
    finally:
        deployment.kill()
        deployment.communicate()


def test_a_log_that_somebody_removes_keeps_its_limit_and_can_be_read(host: Host) -> None:
    host.start("flood")
    logs = host.directory.server / "logs"
    (logs / "triton.log").unlink()
    eventually((logs / "triton.log").exists)
    output = Path(f"/proc/{host.server_pid}/fd/1")
    assert (logs / "triton.log").samefile(output)
    largest = 0

    def shrinks() -> bool:
        """The file that has no name any more is emptied."""
        nonlocal largest
        size = output.stat().st_size
        largest = max(largest, size)
        return size < largest

    eventually(shrinks)
    eventually(lambda: host.log)
    host.kill_server()
    assert not (logs / "triton.log").is_symlink()
    assert host.log


#: Before a command that only root may run, or sudo as CI machines have it.
ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


def mount(folder: Path, options: str) -> None:
    subprocess.run([*ROOT, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes and files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount(folder, f"size=12m,nr_inodes=500,mode=0755,uid={os.geteuid()}")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run([*ROOT, "umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    file = folder / "filler"
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    return file


def test_a_full_disk_then_a_crash_then_room_again(
    small_disk: Path,
    shipped_agent: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    monkeypatch.setenv("XSCHED_TRITON_SYSTEMD", str(tmp_path / "none"))
    host = Host(small_disk / "host", shipped_agent)
    monkeypatch.setattr("sys.argv", [str(host.directory.agent)])
    try:
        host.start()
        scale, other = host.store("scale"), host.store("other")
        host.serve(scale, other)
        filler = fill(small_disk)
        former = host.server_pid
        supervisor = host.supervisor_pid
        os.kill(former, signal.SIGKILL)
        # It serves even on the full disk, though nothing can be written down.
        eventually(lambda: host.servers and host.servers != [former] and host.ready("scale", "other"))
        assert host.supervisor_pid == supervisor
        # Records of a fixed size are written over, so that even other settings can be deployed.
        _, port, _ = free_ports(3)
        changing = host.spawn("start", body={**host.settings, "httpPort": port})
        _, err = changing.communicate(timeout=300)
        assert changing.returncode == 0, err
        assert host.ready("scale", "other")
        assert host.phase == "serving"
        # What needs room says so, and which disk it is.
        storing = host.spawn("store", body={**host.stored, "digest": "x", "filesDigest": "x"})
        _, err = storing.communicate(timeout=300)
        assert storing.returncode == 1
        assert f"space left on the disk {small_disk}" in err.decode()
        assert "Traceback" not in err.decode()
        filler.unlink()
        eventually(lambda: host.phase == "serving" and host.ready("scale", "other"))
        converges(host, [scale, other])
    finally:
        host.clean()


def test_a_disk_without_inodes_says_so(small_disk: Path, tmp_path: Path) -> None:
    host = HostDirectory(small_disk / "host")
    host.path.mkdir()
    source = tmp_path / "source"
    (source / "1").mkdir(parents=True)
    (source / "1/model.py").write_text("pass")
    former = store_of(host, source, "d1")
    with contextlib.suppress(OSError):
        for number in range(1000):
            (small_disk / f"file{number}").touch()
    with pytest.raises(HostError, match="no inodes left") as raised:
        store_of(host, source, "d2")
    assert re.fullmatch(
        rf"there are no inodes left on the disk {small_disk} for the model scale \(\d+ MB are free, .*\)",
        raised.value.what,
    )
    assert former.is_dir()
    assert not (host.store / "scale/d2").exists()
    for file in small_disk.glob("file*"):
        file.unlink()
    assert (store_of(host, source, "d2") / "config.pbtxt").is_file()


def store_of(host: HostDirectory, source: Path, digest: str) -> Path:
    store_model(host, "scale", digest, f"f-{digest}", str(source), "platform: 'python'")
    return host.store / "scale" / digest


def test_a_file_system_that_becomes_read_only_then_a_crash_then_writable_again(
    small_disk: Path, shipped_agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XSCHED_TRITON_SYSTEMD", str(tmp_path / "none"))
    host = Host(small_disk / "host", shipped_agent)
    monkeypatch.setattr("sys.argv", [str(host.directory.agent)])
    try:
        host.start()
        scale = host.store("scale")
        host.serve(scale)
        former, supervisor = host.server_pid, host.supervisor_pid
        # Nobody may have a file open for writing, as the kernel itself would not mind.
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(former, signal.SIGKILL)
        eventually(lambda: former not in host.servers)
        mount(small_disk, "remount,ro")
        os.kill(supervisor, signal.SIGCONT)
        # It serves, though nothing can be written down, its log included.
        eventually(lambda: host.servers and host.servers != [former] and host.ready("scale"))
        assert host.supervisor_pid == supervisor
        assert host.infer("scale")
        changing = host.spawn("serve", body={"models": [scale]})
        _, err = changing.communicate(timeout=300)
        assert changing.returncode == 1
        assert (
            f"error: the file system {small_disk} is read-only, so the command serve cannot write to"
            in err.decode()
        )
        assert "Traceback" not in err.decode()
        assert host.ready("scale")
        mount(small_disk, "remount,rw")
        converges(host, [scale])
    finally:
        subprocess.run([*ROOT, "mount", "-o", "remount,rw", str(small_disk)], check=True)
        host.clean()


def test_a_lock_that_a_stopped_process_holds_is_named(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = tmp_path / "open"
    host.start()
    deployment = host.spawn("serve", body={"models": [host.store("slow", {"hold": str(gate)})]})
    try:
        eventually(lambda: host.triton.loading() == ["slow"])
        deployment.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(directory_module, "LONGEST_WAIT", 0)
        with pytest.raises(
            HostError, match=rf"another deployment has been using .* \(process {deployment.pid}\)"
        ):
            host.run("stop")
    finally:
        gate.touch()
        deployment.send_signal(signal.SIGCONT)
        deployment.communicate(timeout=300)
    monkeypatch.undo()
    assert host.ready("slow")


def test_a_clock_that_jumps_changes_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever measures a time uses a clock that does not."""
    host.start()
    first = host.store("first")
    host.serve(first)
    monkeypatch.setattr("time.time", lambda: 0.0)
    second = host.store("second")
    host.serve(first, second)
    monkeypatch.setattr("time.time", lambda: 9e9)
    converges(host, [first, second])


def test_another_stack_beside_this_one_is_not_touched(
    host: Host, tmp_path: Path, shipped_agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one folder's name begins with the other's.
    neighbour = Host(tmp_path / "host2", shipped_agent)
    try:
        host.start()
        monkeypatch.setattr("sys.argv", [str(neighbour.directory.agent)])
        neighbour.start()
        neighbour.serve(neighbour.store("scale"))
        pid = neighbour.server_pid
        monkeypatch.setattr("sys.argv", [str(host.directory.agent)])
        host.run("stop")
        assert neighbour.servers == [pid]
        assert neighbour.infer("scale")
    finally:
        neighbour.clean()
