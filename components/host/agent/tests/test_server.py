"""The server: started, stopped, started again with other settings, taken over."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from agent.errors import HostError
from agent.processes import process_start
from agent.server.settings import read_settings
from agent.server.supervision import read_supervisor
from free_ports import free_ports
from stand_in_host import RUNTIME, Host, eventually


def test_starts_serves_and_stops(host: Host) -> None:
    model = host.store("scale")
    started = host.start()
    assert started == {"pid": host.server_pid, "version": "2.51.0", "notReady": []}
    assert host.serve(model) == {"models": [{"name": "scale", "version": "1"}]}
    assert host.infer("scale")
    host.run("stop")
    assert host.servers == []
    assert not host.directory.server.exists()
    assert not list(Path("/dev/shm").glob(f"xsched-triton-{host.directory.identity}-*"))
    host.run("stop")


def test_a_folder_whose_name_needs_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped_agent: Path
) -> None:
    monkeypatch.setenv("XSCHED_TRITON_SYSTEMD", str(tmp_path / "none"))
    host = Host(tmp_path / "the user's host", shipped_agent)
    monkeypatch.setattr("sys.argv", [str(host.directory.agent)])
    try:
        host.start()
        host.serve(host.store("scale"))
        assert host.infer("scale")
    finally:
        host.clean()


def test_a_second_start_changes_nothing(host: Host) -> None:
    host.start()
    before = host.server_pid, host.supervisor_pid
    # How long to wait for it is nothing that it has to be started for.
    assert host.start(loadTimeoutSeconds=61)["pid"] == before[0]
    assert (host.server_pid, host.supervisor_pid) == before
    settings = read_settings(host.directory)
    assert settings is not None and settings.load_timeout_seconds == 61


def test_other_settings_are_another_server_with_the_same_models(host: Host) -> None:
    host.start()
    host.serve(host.store("scale"))
    former = host.server_pid
    [port] = free_ports(1)
    host.start(httpPort=port)
    assert host.server_pid != former
    assert host.ready("scale")


def test_settings_that_triton_refuses_leave_the_server_as_it_was(
    host: Host, capfd: pytest.CaptureFixture
) -> None:
    host.start()
    host.serve(host.store("scale"))
    with pytest.raises(HostError, match="runs again with its previous settings"):
        host.start("refused")
    assert "unrecognized option" in capfd.readouterr().err
    assert host.ready("scale")
    with pytest.raises(HostError, match="runs again with its previous settings"):
        host.start("poisoned")
    assert "the model scale does not load any more" in capfd.readouterr().err
    assert host.ready("scale")
    assert host.aside() == []


def test_a_server_that_is_dead_though_its_ports_are_open(host: Host) -> None:
    host.start()
    host.serve(host.store("scale"))
    # With the longest time to wait that there is: what Triton says is final.
    with pytest.raises(HostError, match="runs again with its previous settings"):
        host.start("dead", loadTimeoutSeconds=999_999)
    assert host.ready("scale")


def test_a_first_server_that_does_not_start_leaves_nothing(host: Host) -> None:
    with pytest.raises(HostError, match="Triton does not start with these settings"):
        host.start("refused")
    assert not host.directory.server.exists()
    assert host.servers == []


def test_a_model_that_is_bad_already_does_not_keep_back_new_settings(
    host: Host, capfd: pytest.CaptureFixture
) -> None:
    host.start()
    good, bad = host.store("good"), host.store("bad", {"ends_at_load": 9})
    with pytest.raises(HostError):
        host.serve(good, bad)
    (host.directory.repository / "bad").symlink_to(f"../store/bad/{bad['digest']}")
    [port] = free_ports(1)
    assert host.start(httpPort=port)["notReady"] == ["bad"]
    assert (
        "warning: the model bad is not ready: it ended the server while it was loaded"
        in capfd.readouterr().err
    )
    assert host.ready("good")


def test_ports_that_others_have_are_named(host: Host) -> None:
    host.start()
    pid = host.server_pid
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(HostError) as raised:
            host.start(grpcPort=port)
    assert f"the port {port} (grpcPort) is in use by process {os.getpid()}: " in raised.value.what
    assert raised.value.fix == "stop what uses them, or choose free ports: server.grpcPort"
    assert host.server_pid == pid


def _bind(entry: socket.socket, port: int) -> bool:
    with contextlib.suppress(OSError):
        entry.bind(("127.0.0.1", port))
        return True
    return False


def test_a_port_taken_while_the_server_was_down(host: Host) -> None:
    host.start()
    host.kill_supervisor()
    os.kill(host.server_pid, signal.SIGKILL)
    eventually(lambda: not host.servers)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A process that is about to end shows no program any more, and has its sockets still.
        eventually(lambda: _bind(other, host.settings["httpPort"]))
        other.listen()
        with pytest.raises(HostError, match="httpPort"):
            host.run("resume")
    host.run("resume")
    assert host.servers


def test_nothing_starts_without_a_runtime(host: Host) -> None:
    (host.directory.path / "runtime/current").unlink()
    with pytest.raises(HostError, match="Triton is not installed"):
        host.start()
    with pytest.raises(HostError, match="'plane' is not a runtime"):
        host.start(kind="plane")
    with pytest.raises(HostError, match="has no digest"):
        host.start(kind="container", image="triton:latest")


def test_an_upgrade_removes_what_it_replaced(host: Host) -> None:
    host.start()
    host.install("triton-0.0.2-stand-in")
    host.start()
    assert not (host.directory.path / "runtime" / RUNTIME).exists()
    assert host.server_pid


def test_drained_and_resumed(host: Host) -> None:
    host.run("drain", "5")
    host.start()
    host.serve(host.store("scale"))
    host.run("drain", "5")
    assert host.servers == []
    assert host.run("status")["running"] is False
    host.run("resume")
    assert host.ready("scale")
    pid = host.server_pid
    assert host.run("resume")["pid"] == pid


def test_a_server_that_does_not_end_is_killed(host: Host, capfd: pytest.CaptureFixture) -> None:
    host.start("stubborn")
    host.run("drain", "0")
    assert host.servers == []
    assert "Triton did not end within 0 s; killing it" in capfd.readouterr().err


def test_a_crash_is_followed_by_a_start(host: Host) -> None:
    host.start()
    host.serve(host.store("scale"))
    host.kill_server()
    assert host.ready("scale")
    assert "supervisor: tritonserver ended with signal 9" in host.log


def test_a_supervisor_that_was_killed_is_replaced(host: Host) -> None:
    host.start()
    host.serve(host.store("scale"))
    pid = host.server_pid
    host.kill_supervisor()
    host.start()
    assert host.server_pid == pid
    assert host.supervisor_pid
    # The new one watches a server that is not its child.
    host.kill_server()
    assert host.ready("scale")


def test_another_program_takes_over_from_the_supervisor(host: Host) -> None:
    host.start()
    pid, supervisor = host.server_pid, host.supervisor_pid
    with host.directory.agent.open("ab") as agent:
        agent.write(b" ")
    host.start()
    assert host.server_pid == pid
    assert host.supervisor_pid != supervisor


def test_a_supervisor_that_is_told_to_leave_does_not_wait_for_a_load(host: Host, tmp_path: Path) -> None:
    host.start()
    (tmp_path / "open").touch()
    host.serve(host.store("slow", {"hold": str(tmp_path / "open")}))
    (tmp_path / "open").unlink()
    pid = host.server_pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: host.phase == "loading" and (host.directory.server / "loading/slow").exists())
    supervisor = host.supervisor_pid
    os.kill(supervisor, signal.SIGTERM)
    eventually(lambda: process_start(supervisor) is None, "the supervisor ends")


def test_a_supervisor_killed_during_a_load(host: Host, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    gate.touch()
    host.start()
    host.serve(host.store("slow", {"hold": str(gate)}), host.store("quick"))
    gate.unlink()
    os.kill(host.server_pid, signal.SIGKILL)
    eventually(lambda: (host.directory.server / "loading/slow").exists() and host.ready("quick"))
    pid = host.server_pid
    host.kill_supervisor()
    gate.touch()
    host.start()
    assert host.server_pid == pid
    assert host.ready("slow", "quick")
    assert host.aside() == []


@pytest.mark.parametrize("name", ["run.json", "conduct.json", "settings.json", "supervisor", "loading/scale"])
@pytest.mark.parametrize(
    "text", ["", "{", "5", "[[1]]", '{"scale": 1}', '{"number": "x", "phase": 3}', "\x00\xff"]
)
def test_scribbled_state_is_no_end(host: Host, name: str, text: str) -> None:
    file = host.directory.server / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode("latin-1"))
    assert host.run("status")["running"] is False
    host.run("stop")
    assert not host.directory.server.exists()


def test_lost_settings_of_a_server_that_runs(host: Host) -> None:
    host.start()
    host.serve(host.store("scale"))
    (host.directory.server / "settings.json").write_text("{")
    host.start()
    assert len(host.servers) == 1
    assert host.ready("scale")
    (host.directory.server / "settings.json").write_text("{")
    host.run("stop")
    assert host.servers == []


FORMER_SUPERVISOR = """#!/bin/bash
# As a release before the agent: ends its server with itself.
trap 'kill -TERM $server; wait $server; exit 0' TERM
"{program}" {arguments} >>"$1/server/logs/triton.log" 2>&1 &
server=$!
start() {{ local stat; stat=$(<"/proc/$1/stat"); set -- ${{stat##*) }}; echo "${{20}}"; }}
printf '%s %s %s\\n' $$ "$(start $$)" "$(</proc/sys/kernel/random/boot_id)" >"$1/server/supervisor"
wait $server
"""


def test_takes_over_the_server_of_a_release_before_the_agent(host: Host, tmp_path: Path) -> None:
    model = host.store("scale")
    (host.directory.server / "logs").mkdir(parents=True)
    host.directory.repository.joinpath("scale").symlink_to(f"../store/scale/{model['digest']}")
    keys = [*host.settings]
    lines = [f"{key} {host.settings[key]}" for key in keys if key != "arguments"]
    lines.insert(1, f"runtime {RUNTIME}")
    (host.directory.server / "settings").write_text("\n".join(lines) + "\narg --log-verbose=0\n")
    settings = read_settings(host.directory)
    assert settings is not None
    program = host.directory.path / "runtime" / RUNTIME / "tritonserver/bin/tritonserver"
    arguments = [
        f"--model-repository={host.directory.repository}",
        *(f"--{name}-address=127.0.0.1" for name in ("http", "grpc", "metrics")),
        *(f"--{name}-port={host.settings[f'{name}Port']}" for name in ("http", "grpc", "metrics")),
    ]
    script = tmp_path / "supervise-server.sh"
    script.write_text(FORMER_SUPERVISOR.format(program=program, arguments=" ".join(arguments)))
    former = subprocess.Popen(["bash", str(script), str(host.directory.path)])
    with contextlib.ExitStack() as stack:
        stack.callback(former.kill)
        eventually(
            lambda: read_supervisor(host.directory) and host.triton.request("GET", "/v2/health/live").ok
        )
        assert host.triton.load("scale", 60) == (True, "", False, False)
        pid = host.server_pid
        host.run("start", body={**host.settings, "arguments": ["--log-verbose=0"]})
        assert host.server_pid == pid
        assert former.wait() == -signal.SIGKILL
    assert host.infer("scale")
    assert not (host.directory.server / "settings").exists()
    assert json.loads((host.directory.server / "settings.json").read_text())["runtime"] == RUNTIME
    assert host.run("status")["models"][0]["ready"] is True
    host.kill_server()
    assert host.ready("scale")
