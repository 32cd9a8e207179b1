"""Nobody but the deployment controls a server: the lock, its key, and who can see it."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.processes import command_line
from agent.server import concealed, control
from agent.server.concealed import ConcealError, spawn
from agent.server.control import read_key, renew_key
from agent.server.settings import require_settings
from agent.triton import Triton
from stand_in_host import RUNTIME, Host, eventually

#: Tells its arguments and its variables, one a line.
_TELLS = "import os, sys; print(*sys.argv[1:], *sorted(os.environ), sep='\\n')"


def _stranger(host: Host) -> Triton:
    """A client that knows the ports."""
    settings = require_settings(host.directory)
    return Triton(settings.http_address, f"127.0.0.1:{settings.grpc_port}")


def test_a_client_cannot_change_what_the_server_runs(host: Host) -> None:
    model = host.store("scale")
    host.start()
    host.serve(model)
    stranger = _stranger(host)
    assert stranger.request("POST", "/v2/repository/index").status == 403
    assert stranger.request("POST", "/v2/logging", body='{"log_file": "/tmp/anywhere"}').status == 403
    answer = stranger.load("scale", 10, '{"backend": "python"}')
    assert (answer.ok, answer.lost) == (False, False)
    assert "restricted" in answer.reason
    assert not stranger.unload("scale", 10).ok
    assert host.ready("scale")
    assert host.infer("scale")
    # The deployment can.
    assert [entry["name"] for entry in host.triton.index()] == ["scale"]
    assert host.run("ask", "POST", "/v2/repository/index")["status"] == 200


def test_each_start_of_the_server_has_a_key_of_its_own(host: Host) -> None:
    model = host.store("scale")
    host.start()
    host.serve(model)
    first = read_key(host.directory)
    host.kill_server()
    eventually(lambda: host.phase == "serving" and read_key(host.directory) != first)
    assert host.ready("scale")
    assert [entry["state"] for entry in host.triton.index()] == ["READY"]


def test_nobody_else_sees_the_key(host: Host) -> None:
    host.start()
    key = read_key(host.directory)
    assert len(key) == 64
    assert (host.directory.server / "control-key").stat().st_mode & 0o777 == 0o600
    pid = host.run("status")["pid"]
    assert not [word for word in command_line(pid) if key in word]
    written = [path for path in host.directory.path.glob("**/*") if path.is_file() and not path.is_symlink()]
    assert [path.name for path in written if key.encode() in path.read_bytes()] == ["control-key"]


def test_a_release_that_does_not_answer_is_not_started_without_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_HELP_SECONDS", 0.1)
    program = tmp_path / "tritonserver"
    program.write_text("#!/bin/sh\nexec sleep 30\n", "utf-8")
    program.chmod(0o755)
    with pytest.raises(HostError, match="did not answer within"):
        control.can_lock(program, dict(os.environ))


def test_a_release_without_the_lock_serves_without_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    program = host.directory.path / "runtime" / RUNTIME / "tritonserver/bin/tritonserver"
    program.write_text(
        program.read_text("utf-8").replace("--grpc-restricted-protocol <", "--other <"), "utf-8"
    )
    model = host.store("scale")
    host.start()
    host.serve(model)
    assert read_key(host.directory) == ""
    assert host.ready("scale")


def test_a_server_that_was_started_without_the_lock_goes_on_with_a_warning(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    program = host.directory.path / "runtime" / RUNTIME / "tritonserver/bin/tritonserver"
    knows = program.read_text("utf-8")
    program.write_text(knows.replace("--grpc-restricted-protocol <", "--other <"), "utf-8")
    host.start()
    assert read_key(host.directory) == ""
    program.write_text(knows, "utf-8")
    pid = host.run("status")["pid"]
    assert host.start()["pid"] == pid
    assert "warning: an earlier release has started this server" in capsys.readouterr().err


def test_a_system_that_does_not_conceal_shows_the_key_but_locks(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The supervisor is a process of its own: this one takes its place.
    from agent.server import process  # noqa: PLC0415
    from agent.server.runtime import runtime_of  # noqa: PLC0415

    def refuse(*_: Any, **__: Any) -> None:
        raise ConcealError("Operation not permitted")

    host.start()
    host.run("drain", "5")
    monkeypatch.setattr(process, "spawn", refuse)
    runtime = runtime_of(host.directory, require_settings(host.directory))
    runtime.launch()
    try:
        eventually(lambda: host.triton.health().name == "LIVE")
        assert _stranger(host).request("POST", "/v2/repository/index").status == 403
        assert host.triton.index() == []
        assert "the process list shows the key" in "\n".join(runtime.log_tail(50))
    finally:
        runtime.kill()


def test_a_full_disk_keeps_the_former_key(directory: HostDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.server.mkdir()
    former = renew_key(directory)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(control, "write_file", full)
    assert renew_key(directory) == former
    (directory.server / "control-key").unlink()
    with pytest.raises(OSError, match="No space left"):
        renew_key(directory)


@pytest.mark.parametrize(
    "secrets", [[], ["--key=a b", "", "--other=é"], [f"--n={number}" for number in range(40)]]
)
def test_concealed_arguments_arrive_and_are_not_inherited(secrets: List[str], tmp_path: Path) -> None:
    seen: Dict[str, str] = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "EMPTY": ""}
    process = spawn(
        [sys.executable, "-c", _TELLS, "visible", ""],
        secrets,
        seen,
        stdout=subprocess.PIPE,
        cwd=str(tmp_path),
    )
    out, _ = process.communicate()
    lines = out.decode().split("\n")
    assert lines[: 2 + len(secrets)] == ["visible", "", *secrets]
    assert {"EMPTY", "LC_ALL", "PATH"} >= set(lines[2 + len(secrets) : -1])
    assert process.returncode == 0


def test_no_moment_shows_a_concealed_argument(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    watcher = subprocess.Popen(
        [sys.executable, "-c", _WATCHES, str(os.getpid())], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == b"watching\n"
    for _ in range(3):
        assert spawn(program, ["--key=hidden-word"], {"PATH": "/usr/bin"}).wait() == 0
    out, _ = watcher.communicate(b"")
    looks, shown = out.decode().split()
    assert int(looks) > 0
    assert shown == "False"


#: Looks at the arguments of all children of a process, as often as it can, until standard input ends.
_WATCHES = """
import pathlib, select, sys
parent = pathlib.Path(f"/proc/{sys.argv[1]}/task")
looks, shown = 0, False
print("watching", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for file in parent.glob("*/children"):
        for pid in file.read_text().split():
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            looks += b"concealed" in words
            shown = shown or b"hidden" + b"-word" in words
print(looks, shown)
"""


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spawn([str(tmp_path / "none")], ["--key=1"], {})


@pytest.mark.parametrize(
    ("fault", "replacement"),
    [
        ("_strings", lambda *_: {0: b"PATH=x"}),
        ("_stack_start", lambda *_: (_ for _ in ()).throw(ConcealError("x"))),
    ],
)
def test_a_program_whose_stack_is_unknown_never_runs(
    fault: str, replacement: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(concealed, fault, replacement)
    ran = tmp_path / "ran"
    with pytest.raises(ConcealError):
        spawn(["/bin/sh", "-c", f"touch '{ran}'"], ["--key=1"], {"PATH": "/usr/bin:/bin"})
    time.sleep(0.1)
    assert not ran.exists()
