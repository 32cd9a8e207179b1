"""What the server's modules read and write: settings, records, logs, ports, processes."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from agent import directory as directory_module
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.processes import boot_id, command_line, executable, process_start, send_signal
from agent.server import own_memory, ports, supervision
from agent.server.log import ProcessLog, exception_in, poll_reason, without_usage
from agent.server.process import ProcessRuntime, plain_folder
from agent.server.record import (
    SERVING,
    ConductBook,
    Mark,
    Run,
    clear_marks,
    forget_run,
    mark_load,
    read_marks,
    read_run,
    write_mark,
    write_run,
)
from agent.server.settings import (
    parse_former_settings,
    parse_settings,
    read_settings,
    require_settings,
    write_settings,
)
from agent.triton import Health
from free_ports import free_ports
from stand_in_host import RUNTIME, Host, eventually
from stand_in_machine import SOURCE

BODY: Dict[str, Any] = {
    "kind": "process",
    "httpPort": 8000,
    "grpcPort": 8001,
    "metricsPort": 8002,
    "address": "127.0.0.1",
    "exitTimeoutSeconds": 30,
    "logMegabytes": 20,
    "loadTimeoutSeconds": 60,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"httpPort": None}, "'httpPort' is missing"),
        ({"httpPort": "80"}, "httpPort is '80'"),
        ({"httpPort": True}, "httpPort is 'True'"),
        ({"grpcPort": -1}, "grpcPort is '-1'"),
        ({"address": ""}, "'address' is missing"),
        ({"address": 5}, "address is '5'"),
        ({"kind": []}, r"kind is '\[\]'"),
        ({"arguments": "--x"}, "arguments is '--x'"),
        ({"arguments": [5]}, r"arguments is '\[5\]'"),
        ({"schedulerDomain": True}, "schedulerDomain is 'True'"),
        ({"schedulerRequired": "perhaps"}, "schedulerRequired is 'perhaps'"),
        ({"colour": "red"}, "unknown server setting 'colour'"),
    ],
)
def test_settings_that_are_none(change: Dict[str, Any], message: str) -> None:
    with pytest.raises(HostError, match=message):
        parse_settings({**BODY, **change})


@pytest.mark.parametrize("text", ["", "5", "[]", "{}", "null", '"text"', "\x00"])
def test_a_scribbled_record_of_settings_is_none(directory: HostDirectory, text: str) -> None:
    directory.server.mkdir()
    (directory.server / "settings.json").write_text(text)
    assert read_settings(directory) is None
    with pytest.raises(HostError, match="no Triton server is deployed"):
        require_settings(directory)


def test_settings_survive_being_written(directory: HostDirectory) -> None:
    settings = parse_settings(
        {**BODY, "arguments": ["--a", "--b=ä"], "image": "x@sha256:y", "drainSeconds": 3}
    )
    write_settings(directory, settings)
    assert read_settings(directory) == settings


def test_settings_that_are_written_already_need_no_room(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = parse_settings(BODY)
    write_settings(directory, settings)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directory_module, "_write_file", full)
    write_settings(directory, settings)
    # Others take the place of what is there.
    write_settings(directory, settings._replace(http_port=9))
    assert read_settings(directory) == settings._replace(http_port=9)
    (directory.server / "settings.json").unlink()
    with pytest.raises(OSError, match=r"settings\.json"):
        write_settings(directory, settings)


FORMER = "\n".join(f"{key} {value}" for key, value in BODY.items())


def test_settings_of_a_release_before_the_agent(directory: HostDirectory) -> None:
    text = f"{FORMER}\nruntime triton-1\narg --log-verbose=1\narg --x=a b\n"
    settings = parse_former_settings(text)
    assert settings.runtime == "triton-1"
    assert settings.arguments == ["--log-verbose=1", "--x=a b"]
    directory.server.mkdir()
    (directory.server / "settings").write_text(text)
    assert read_settings(directory) == settings
    write_settings(directory, settings)
    assert not (directory.server / "settings").exists()
    with pytest.raises(HostError):
        parse_former_settings(FORMER.replace("8000", "x"))


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("0.0.0.0", "127.0.0.1:8000"),
        ("::", "[::1]:8000"),
        ("[::]", "[::1]:8000"),
        ("fe80::1", "[fe80::1]:8000"),
    ],
)
def test_where_clients_of_this_host_find_the_server(address: str, reached: str) -> None:
    settings = parse_settings({**BODY, "address": address})
    assert settings.http_address == reached
    assert settings.metrics_address == reached.replace("8000", "8002")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"number": "1", "phase": "serving"}',
        '{"number": true, "phase": "serving"}',
        '{"number": 1}',
        '{"number": 1, "phase": "serving", "colour": 1}',
    ],
)
def test_a_scribbled_record_of_a_run_is_none(directory: HostDirectory, text: str) -> None:
    directory.server.mkdir()
    (directory.server / "run.json").write_text(text)
    assert read_run(directory) is None


def test_the_record_of_a_run(directory: HostDirectory) -> None:
    assert not write_run(directory, Run(1, SERVING))
    directory.server.mkdir()
    assert write_run(directory, Run(1, SERVING))
    assert read_run(directory) == Run(1, SERVING)
    forget_run(directory)
    forget_run(directory)
    assert read_run(directory) is None


def test_marks(directory: HostDirectory) -> None:
    assert read_marks(directory) == []
    directory.server.mkdir()
    mark_load(directory, "one", "1")
    [mark] = read_marks(directory)
    assert mark.loader_lives
    write_mark(directory, Mark("two", "1", 1, "another process", late=True))
    assert not read_marks(directory)[1].loader_lives
    clear_marks(directory, ["one"])
    assert [entry.model for entry in read_marks(directory)] == ["two"]
    clear_marks(directory)
    assert read_marks(directory) == []


def test_a_scribbled_mark_leads_nowhere(directory: HostDirectory) -> None:
    precious = directory.server / "precious"
    (directory.server / "loading").mkdir(parents=True)
    precious.touch()
    (directory.server / "loading/x").write_text(json.dumps(Mark("../precious", "1", 1, "1")._asdict()))
    (directory.server / "loading/y").write_text("{")
    clear_marks(directory)
    assert precious.exists()


@pytest.mark.parametrize(
    "text", ["", "5", '{"scale": 5}', '{"scale": {"digest": "1", "load_crashes": "many"}}']
)
def test_a_scribbled_book_of_conduct_is_empty(directory: HostDirectory, text: str) -> None:
    directory.server.mkdir()
    (directory.server / "conduct.json").write_text(text)
    book = ConductBook(directory)
    assert book.of("scale", "1").load_crashes == 0
    assert book.update("scale", "1", load_crashes=1).load_crashes == 1
    assert book.aside() == {}


def test_conduct_needs_no_lock_on_a_full_disk(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    directory.server.mkdir()
    monkeypatch.setattr(HostDirectory, "lock", full)
    assert ConductBook(directory).update("scale", "1", served=True).served


MEGABYTE = 1 << 20


def test_a_log_within_its_limit_stays(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "triton.log", 2)
    assert not log.rotate()
    (tmp_path / "triton.log").write_bytes(b"x" * 1000)
    assert not log.rotate()
    assert log.mark() == 1000


def test_a_flooded_log_stays_within_its_limit_and_is_watched_closely(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "triton.log", 2)
    with (tmp_path / "triton.log").open("ab") as file:
        for burst in range(1, 30):
            file.write(bytes([burst]) * 20 * MEGABYTE)
            file.flush()
            assert log.rotate()
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * MEGABYTE
            # What came last is what is kept.
            assert (tmp_path / "triton.log.1").read_bytes() == bytes([burst]) * MEGABYTE
            file.write(b"x" * (MEGABYTE // 4))
            file.flush()
            assert log.rotate()
            assert not log.rotate()


def test_on_a_full_disk_the_older_half_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ProcessLog(tmp_path / "triton.log", 2)
    (tmp_path / "triton.log").write_bytes(b"x" * 2 * MEGABYTE)
    # A folder of the name, so that it cannot be opened.
    (tmp_path / "triton.log.1").mkdir()
    assert log.rotate()
    assert (tmp_path / "triton.log").stat().st_size == 0


def test_what_was_written_since_a_mark(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "triton.log", 2)
    assert log.since(0) == ""
    file = tmp_path / "triton.log"
    file.write_text("before\n")
    mark = log.mark()
    file.write_text("before\nafter\n")
    assert log.since(mark) == "after\n"
    # Rotated since.
    file.write_text("new\n")
    assert log.since(mark) == "new\n"


def test_the_last_lines_are_those_of_the_last_start(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "triton.log", 2)
    (tmp_path / "triton.log").write_text(
        "old\n1127 10:00:00 supervisor: starting tritonserver\nbad flag\nUsage: tritonserver\n  --a\n"
        "1127 10:00:01 supervisor: tritonserver ended\n"
    )
    assert log.tail(9) == [
        "1127 10:00:00 supervisor: starting tritonserver",
        "bad flag",
        "1127 10:00:01 supervisor: tritonserver ended",
    ]
    assert without_usage("a\n\nUsage: tritonserver\nb") == ["a"]


def test_the_last_lines_of_a_server_that_is_started_again(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "triton.log", 2)
    start = "1127 10:00:00 supervisor: starting tritonserver\n"
    ended = "bad flag\n1127 10:00:01 supervisor: tritonserver ended with status 1; starting it again in 1 s\n"
    (tmp_path / "triton.log").write_text(start + ended + start)
    assert "bad flag" in log.tail(9)
    (tmp_path / "triton.log").write_text(start + ended + start + "another flag\n")
    assert log.tail(9)[1:] == ["another flag"]
    # One that was stopped for this one had other settings.
    (tmp_path / "triton.log").write_text(start + "at work\n" + start)
    assert log.tail(9) == [start.strip()]


def test_why_triton_could_not_read_a_configuration() -> None:
    """Lines of Triton 24.10."""
    text = (
        "[libprotobuf ERROR /tmp/tritonbuild/text_format.cc:337] Error parsing text-format inference.ModelConfig: "
        '5:17: Message type "inference.ModelConfig" has no field named "instance_groups".\n'
        "E1127 17:04:05.1 9 manager.cc:1460] \"Poll failed for model directory 'a': failed to read "
        'text proto from /models/a/config.pbtxt"\n'
        "E1127 17:04:05.2 9 manager.cc:1460] \"Poll failed for model directory 'b.c': dynamic batching "
        'preferred size must be <= max batch size for b.c"\n'
    )
    assert poll_reason(text, "a").startswith("5:17: Message type")
    assert poll_reason(text, "b.c") == "dynamic batching preferred size must be <= max batch size for b.c"
    assert poll_reason("", "a") == ""


def test_which_sockets_listen(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    table.write_text(
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n"
        "   1: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1\n"
    )
    assert list(ports.listening_inodes(8080, [table, tmp_path / "none"])) == ["4711"]


def test_who_holds_a_port_is_described() -> None:
    assert ports.describe_holder(None) == "a process of another user"
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        mine.listen()
        [inode] = ports.listening_inodes(mine.getsockname()[1])
        assert ports.socket_holder(inode) == os.getpid()
    assert ports.socket_holder("0") is None
    with subprocess.Popen([sys.executable, "-c", "input()", "x" * 500], stdin=subprocess.PIPE) as process:
        eventually(lambda: ports.describe_holder(process.pid).endswith("…"))
        process.communicate(b"\n")


def test_a_process_that_ends_gives_up_its_port_before_it_counts_as_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listening = [["1"], ["1"], []]
    monkeypatch.setattr(ports, "listening_inodes", lambda port: listening.pop(0))
    monkeypatch.setattr(ports, "socket_holder", lambda inode: None)
    ports.require_ports({"httpPort": 8000}, set())
    assert listening == []


def test_a_port_of_a_process_that_stays_unseen_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_LOOK", 0)
    monkeypatch.setattr(ports, "listening_inodes", lambda port: ["1"])
    monkeypatch.setattr(ports, "socket_holder", lambda inode: None)
    with pytest.raises(HostError, match=r"the port 8000 \(httpPort\) is in use by a process of another user"):
        ports.require_ports({"httpPort": 8000}, set())


def test_ports_that_our_container_publishes_are_free_for_its_successor(directory: HostDirectory) -> None:
    [port] = free_ports(1)
    current = parse_settings({**BODY, "kind": "container", "httpPort": port})
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", port))
        mine.listen()
        ports.require_free_ports(directory, current, current)
        with pytest.raises(HostError, match="httpPort"):
            ports.require_free_ports(directory, current, None)


def test_processes() -> None:
    assert process_start(2**22 + 1) is None
    assert executable(2**22 + 1) == ""
    assert command_line(2**22 + 1) == []
    assert executable(os.getpid()) == os.path.realpath(sys.executable)
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    send_signal([2**22 + 1], signal.SIGTERM)
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        # Ended, though nobody has collected it yet.
        assert process_start(child.pid) is None


def test_a_program_that_was_replaced_is_still_ours(directory: HostDirectory) -> None:
    program = directory.path / "runtime/x/sleep"
    program.parent.mkdir(parents=True)
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([str(program), "60"]) as process:
        program.unlink()
        assert executable(process.pid) == str(program)
        runtime = ProcessRuntime(directory, parse_settings(BODY))
        assert runtime.remains() == [process.pid]
        runtime.clear()
        assert process.wait() == -9


@pytest.mark.parametrize(
    ("path", "seen"), [("/srv/models", "/srv/models"), ("/srv/my models", "."), ("/a'b", ".")]
)
def test_the_folder_as_triton_sees_it(path: str, seen: str) -> None:
    assert plain_folder(HostDirectory(path)) == seen


@pytest.mark.parametrize("text", ["", "1", "x y z", "1 2 3 4 5 6", "\x00"])
def test_a_scribbled_record_of_the_supervisor_is_none(directory: HostDirectory, text: str) -> None:
    directory.server.mkdir()
    (directory.server / "supervisor").write_text(text)
    assert supervision.read_supervisor(directory) is None


def test_a_supervisor_of_another_boot_or_of_a_reused_number_is_none(directory: HostDirectory) -> None:
    directory.server.mkdir()
    file = directory.server / "supervisor"
    start = process_start(os.getpid())
    file.write_text(f"{os.getpid()} {start} another-boot x\n")
    assert supervision.read_supervisor(directory) is None
    file.write_text(f"{os.getpid()} 1 {boot_id()} x\n")
    assert supervision.read_supervisor(directory) is None
    file.write_text(f"{os.getpid()} {start} {boot_id()}\n")
    assert supervision.read_supervisor(directory) == (os.getpid(), "")


def test_a_supervisor_waits_for_room_to_say_that_it_is_there(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.server.mkdir()
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            monkeypatch.setattr(supervision, "rewrite_file", write)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write = supervision.rewrite_file
    monkeypatch.setattr(supervision, "rewrite_file", full)
    monkeypatch.setattr(supervision.time, "sleep", sleep)
    supervision.claim(directory)
    found = supervision.read_supervisor(directory)
    assert found is not None and found.pid == os.getpid()
    assert len(waited) == 3


def test_a_supervisor_that_does_not_come_up_is_an_error(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XSCHED_TRITON_SYSTEMD", str(tmp_path / "none"))
    monkeypatch.setattr(supervision, "_START_SECONDS", 0)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "none")])
    with pytest.raises(HostError, match="does not start"):
        supervision.ensure_supervisor(directory)
    assert supervision.program_digest() == "unknown"


def test_the_process_of_a_server(host: Host) -> None:
    settings = parse_settings({**host.settings, "runtime": RUNTIME})
    runtime = ProcessRuntime(host.directory, settings)
    assert runtime.identity == ""
    assert not runtime.find()
    runtime.terminate()
    runtime.kill()
    left = Path("/dev/shm") / f"{runtime.shared_memory_prefix}left"
    left.touch()
    host.directory.repository.mkdir(parents=True)
    runtime.launch()
    assert not left.exists()
    assert runtime.poll() is None
    eventually(lambda: settings.triton(host.directory).health() == Health.LIVE)
    other = ProcessRuntime(host.directory, settings)
    assert other.adopt()
    assert other.identity == runtime.identity
    assert other.poll() is None
    assert runtime.housekeep() is False
    runtime.release()
    # It listens a moment before it says so.
    eventually(lambda: "Started the stand-in" in runtime.log_since("0"))
    assert int(runtime.log_mark()) > 0
    runtime.terminate()
    assert eventually(runtime.poll) == "status 0"
    assert other.poll() == "an unknown status"
    runtime.launch()
    # Whatever is ours and still runs is killed before the next start.
    runtime.launch()
    eventually(lambda: runtime.remains() == [runtime.pid])
    runtime.kill()
    assert eventually(runtime.poll) == "signal 9"
    runtime.clear()


def test_a_server_has_shared_memory_of_its_own(host: Host) -> None:
    runtime = ProcessRuntime(host.directory, parse_settings({**host.settings, "runtime": RUNTIME}))
    host.directory.repository.mkdir(parents=True)
    runtime.launch()
    eventually(lambda: "Started the stand-in" in runtime.log_since("0"))
    memory, common = (Path(path).stat() for path in (f"/proc/{runtime.pid}/root/dev/shm", "/dev/shm"))
    if own_memory.own_memory() is None:
        # This system lets nobody have that.
        assert memory.st_dev == common.st_dev
    else:
        assert memory.st_dev != common.st_dev
        assert memory.st_mode & 0o777 == 0o700
        assert memory.st_uid == os.geteuid()
    runtime.kill()
    eventually(runtime.poll)
    runtime.clear()


#: In a mount namespace whose mounts are shared, as on a machine with systemd. Prints what a process with memory of its
#: own sees of a file system before and after it was unmounted here.
SHARED_MOUNTS = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from agent.server.own_memory import own_memory
place = sys.argv[2]
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
enter = own_memory()
print(enter is not None)
with subprocess.Popen(["cat"], stdin=subprocess.PIPE, preexec_fn=enter) as process:
    mounts = Path(f"/proc/{process.pid}/mountinfo")
    print(place in mounts.read_text())
    subprocess.run(["umount", place], check=True)
    print(place in mounts.read_text())
    process.stdin.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_disk_that_is_unmounted_is_free_although_a_server_has_memory_of_its_own(tmp_path: Path) -> None:
    words = ["unshare", "--mount", "--propagation", "shared", sys.executable, "-c", SHARED_MOUNTS]
    found = subprocess.run(
        [*words, str(SOURCE), str(tmp_path)], stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    assert found.stdout.split() == ["True", "True", "False"]


@pytest.mark.parametrize(
    ("mounts", "allowed"),
    [
        ("23 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n24 23 0:22 / /sys rw - sysfs sysfs rw\n", True),
        ("23 1 8:1 / / rw - ext4 /dev/sda1 rw\n", False),
        (
            "23 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n30 23 7:0 / /data rw master:1 - ext4 /dev/loop0 rw\n",
            False,
        ),
    ],
)
def test_shared_memory_of_its_own_keeps_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, allowed: bool
) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(mounts)
    monkeypatch.setattr(own_memory, "_MOUNTS", file)
    monkeypatch.setattr(own_memory, "_works", lambda _: True)
    assert (own_memory.own_memory() is not None) is allowed
    file.unlink()
    assert own_memory.own_memory() is None


def test_a_system_that_lets_nobody_have_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_memory, "_gives_disks_back", lambda: True)
    monkeypatch.setattr(own_memory, "_PLACE", b"/nonexistent")
    assert own_memory.own_memory() is None


@pytest.mark.parametrize("brought", [False, True], ids=["runtime's stub", "model's own stub"])
def test_the_processes_of_a_model_end_with_it(host: Host, brought: bool) -> None:
    settings = parse_settings({**host.settings, "runtime": RUNTIME})
    runtime = ProcessRuntime(host.directory, settings)
    stub = host.directory.path / "runtime" / RUNTIME / "py/triton_python_backend_stub"
    if brought:
        own = host.directory.store / "scale/1234" / stub.name
        own.parent.mkdir(parents=True)
        shutil.copy2(stub, own)
        stub = own
    words = [str(stub), "-ISBc", "input()"]
    with contextlib.ExitStack() as stack:
        mine, other = (
            stack.enter_context(
                subprocess.Popen([*words, f"/x/repository/{name}/1/model.py"], stdin=subprocess.PIPE)
            )
            for name in ("scale", "scale2")
        )
        eventually(lambda: len(runtime.remains()) == 2)
        assert runtime.end_model("scale")
        assert mine.wait() == -signal.SIGKILL
        assert not runtime.end_model("scale")
        assert runtime.remains() == [other.pid]
        runtime.clear()


def test_code_is_compiled_before_it_is_loaded(host: Host, tmp_path: Path) -> None:
    """What Python wrote during the load would be a change of the model for Triton."""
    (tmp_path / "model/1").mkdir(parents=True)
    (tmp_path / "model/1/model.py").write_text("print()")
    (tmp_path / "weights/1").mkdir(parents=True)
    runtime = ProcessRuntime(host.directory, parse_settings({**host.settings, "runtime": RUNTIME}))
    runtime.prepare([tmp_path / "model", tmp_path / "weights"])
    assert list((tmp_path / "model/1/__pycache__").iterdir())
    assert not (tmp_path / "weights/1/__pycache__").exists()


def test_the_exception_that_has_ended_a_server_is_found_in_its_log() -> None:
    assert exception_in("I1130 loading: a:1\n") == ""
    assert (
        exception_in(
            "I1130 x\nterminate called after throwing an instance of 'std::out_of_range'\n  what():  stoll\nSignal (6)"
        )
        == ", std::out_of_range: stoll"
    )
    assert exception_in("terminate called after throwing an instance of 'int'\n") == ", int"
