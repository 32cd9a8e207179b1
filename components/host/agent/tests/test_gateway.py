"""The gateway with a real HAProxy before the stand-in of Triton: deployed, changed, gone wrong, removed."""

import grp
import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.gateway import lifecycle, proxy
from agent.gateway.proxy import INSTALL, Proxy, find_program
from agent.gateway.record import configured
from agent.gateway.rendering import CONFIG, KEEP_IDLE
from agent.gateway.settings import parse_gateway
from agent.inspection import find_faults
from agent.processes import command_line, executable, process_ids
from agent.server.ports import listens
from agent.units import SystemUnit, unit_name
from free_ports import free_ports
from gateway_host import GatewayHost, processes_end, token
from grpc_channel import SERVICE
from stand_in_host import eventually, lose
from stand_in_machine import Machine


def answers(gateway: GatewayHost) -> bool:
    try:
        return gateway.infer().status == 200
    except OSError:
        return False


def test_lets_inference_health_and_metadata_through(gateway: GatewayHost) -> None:
    gateway.serve()
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/scale", "/v2/models/scale/ready"):
        assert gateway.ask("GET", path).status == 200, path
    for path in (
        "config",
        "stats",
        "versions/1",
        "versions/1/ready",
        "versions/1/config",
        "versions/1/stats",
    ):
        assert gateway.ask("GET", f"/v2/models/scale/{path}").status == 200, path
    assert gateway.infer().status == 200
    assert gateway.ask("POST", "/v2/models/scale/versions/1/infer", b"{}").status == 200
    # The stand-in has none of these, but is asked.
    for path in ("generate", "generate_stream"):
        assert gateway.ask("POST", f"/v2/models/scale/{path}", b"{}").status == 200, path
    channel = gateway.channel()
    for method in ("ServerLive", "ServerReady", "ModelInfer"):
        assert channel.call(f"{SERVICE}/{method}").status == 0, method
    assert channel.connections == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/repository/index"),
        ("POST", "/v2/repository/models/scale/load"),
        ("POST", "/v2/repository/models/scale/unload"),
        ("POST", "/v2/logging"),
        ("GET", "/v2/logging"),
        ("GET", "/v2/trace/setting"),
        ("POST", "/v2/models/scale/trace/setting"),
        ("GET", "/v2/systemsharedmemory/status"),
        ("POST", "/v2/cudasharedmemory/region/a/register"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("GET", "/v3"),
        ("HEAD", "/v2/health/live"),
        ("PUT", "/v2/models/scale/infer"),
        ("GET", "/v2/models/scale/infer"),
        ("POST", "/v2/models/scale"),
        ("POST", "//v2/models/scale/infer"),
        ("POST", "/v2/models/../repository/index"),
        ("POST", "/v2/models/scale/../../repository/models/scale/load"),
        ("POST", "/v2/models/scale/infer/../../../repository/index"),
        ("POST", "/v2/models/%2e%2e/infer"),
        ("POST", "/v2%2frepository/index"),
        ("POST", "/v2/models/scale/infer;/v2/repository/index"),
        ("POST", "/v2/models/scale/infer%0d%0a"),
        ("GET", "http://localhost/v2/repository/index"),
        ("CONNECT", "localhost:80"),
        ("OPTIONS", "*"),
    ],
)
def test_lets_nothing_else_through(lone_gateway: GatewayHost, method: str, path: str) -> None:
    # Nothing stands behind it: whatever were let through would be answered with 503.
    answer = lone_gateway.raw(f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"404", b"400"), answer


def test_lets_no_other_call_through(gateway: GatewayHost) -> None:
    gateway.deploy()
    channel = gateway.channel()
    for path in (
        f"{SERVICE}/RepositoryIndex",
        f"{SERVICE}/RepositoryModelLoad",
        f"{SERVICE}/RepositoryModelUnload",
        f"{SERVICE}/SystemSharedMemoryRegister",
        f"{SERVICE}/CudaSharedMemoryStatus",
        f"{SERVICE}/TraceSetting",
        f"{SERVICE}/LogSettings",
        f"{SERVICE}/ModelInfer/",
        f"/{SERVICE}/ModelInfer",
        # Triton would never answer.
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ):
        called = channel.call(path)
        assert (called.status, called.message) == (12, "not let through by the gateway"), path
    # What is let through is answered with HTTP's 503, since nothing stands behind it.
    assert channel.call(f"{SERVICE}/ModelInfer").http_status == "503"


def test_metrics_go_through_where_they_are_asked_for(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(metricsPort=gateway.metrics_port)
    answer = gateway.ask("GET", "/metrics", port=gateway.metrics_port)
    assert (answer.status, answer.body) == (200, b"nv_inference_count 1\n")
    assert gateway.ask("GET", "/v2", port=gateway.metrics_port).status == 404
    gateway.deploy(metricsPort=None)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.metrics_port))


def test_a_client_cannot_use_the_deployments_key(gateway: GatewayHost) -> None:
    gateway.serve()
    key = {"xsched-triton-control": (gateway.directory.server / "control-key").read_text().strip()}
    answer = gateway.ask("POST", "/v2/repository/index", b"", key)
    assert answer.status == 404
    called = gateway.channel().call(
        f"{SERVICE}/RepositoryModelUnload",
        b"",
        {"triton-grpc-protocol-xsched-triton-control": key["xsched-triton-control"]},
    )
    assert called.status == 12
    assert gateway.host.ready("scale")


def test_the_same_settings_change_nothing(gateway: GatewayHost) -> None:
    assert gateway.deploy() == {"state": "started", "warnings": [], "certificate": ""}
    pids = gateway.proxy.processes()
    assert gateway.deploy() == {"state": "unchanged", "warnings": [], "certificate": ""}
    assert gateway.proxy.processes() == pids


def test_other_settings_keep_the_process(gateway: GatewayHost) -> None:
    gateway.serve()
    master = gateway.proxy.pid
    assert gateway.deploy(limits=gateway.limits(bodyMegabytes=1)) == {
        "state": "reloaded",
        "warnings": [],
        "certificate": "",
    }
    assert gateway.proxy.pid == master
    assert gateway.infer().status == 200
    assert len(list(gateway.directory.gateway.glob("config-*"))) == 1


def test_a_master_that_executes_itself_anew_is_found(
    gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.deploy()
    master = gateway.proxy.pid
    # As on a machine so busy that one look takes longer.
    monkeypatch.setattr(proxy, "_REEXEC_SECONDS", 0)
    looks = iter([[], [], []])
    monkeypatch.setattr(
        proxy,
        "command_line",
        lambda pid: next(looks, command_line(pid)) if pid == master else command_line(pid),
    )
    assert Proxy(gateway.directory).find()
    assert next(looks, None) is None


def test_nobody_else_can_read_its_files(gateway: GatewayHost) -> None:
    gateway.deploy()
    assert gateway.directory.gateway.stat().st_mode & 0o777 == 0o700
    paths = [*gateway.directory.gateway.glob("config-*/*"), *gateway.directory.gateway.glob("*.*")]
    assert len(paths) > 4
    assert [path.name for path in paths if path.lstat().st_mode & 0o077] == []


def test_nothing_is_left_of_a_gateway_that_is_removed(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.infer()
    gateway.host.run("remove-gateway")
    assert not gateway.directory.gateway.exists()
    own = str(gateway.directory.path)
    assert [pid for pid in process_ids() if any(f"{own}/gateway" in word for word in command_line(pid))] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.http_port))
    gateway.host.run("remove-gateway")


def test_a_host_that_is_removed_takes_its_gateway_along(gateway: GatewayHost) -> None:
    gateway.serve()
    pids = gateway.proxy.processes()
    gateway.host.run("stop")
    gateway.host.run("remove")
    assert processes_end(pids)
    assert not gateway.directory.path.exists()


def test_a_server_without_a_gateway_gets_its_ports(gateway: GatewayHost) -> None:
    gateway.serve()
    ports = {"httpPort": gateway.http_port, "grpcPort": gateway.grpc_port}
    gateway.host.start(**ports)
    assert not gateway.directory.gateway.exists()
    assert gateway.host.ready("scale")
    assert gateway.ask("POST", "/v2/repository/index", b"").status == 403


def test_a_server_that_does_not_start_without_a_gateway_leaves_it(gateway: GatewayHost) -> None:
    gateway.serve()
    with pytest.raises(HostError, match="runs again with its previous settings"):
        gateway.host.start("refused", httpPort=gateway.http_port, grpcPort=gateway.grpc_port)
    eventually(lambda: answers(gateway))


def test_a_server_stays_where_it_is_while_haproxy_is_missing(
    gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.host.start()
    former = gateway.host.server_pid
    http_port = gateway.host.settings["httpPort"]
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("agent.gateway.proxy._USUAL", "/nowhere/haproxy")
    with pytest.raises(HostError, match="the gateway needs HAProxy, which this host does not have") as error:
        gateway.host.start(gateway=True, httpPort=free_ports(1)[0])
    assert error.value.fix == INSTALL
    assert gateway.host.server_pid == former
    assert gateway.ask("GET", "/v2/health/live", port=http_port).status == 200


def test_a_taken_port_is_named(gateway: GatewayHost) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(HostError) as caught:
            gateway.deploy(grpcPort=port)
        assert f"the port {port} (grpcPort) is in use by process {os.getpid()}: " in caught.value.what
        assert caught.value.fix == "stop what uses them, or choose free ports: server.grpcPort"
        assert not gateway.directory.gateway.exists()
        # One that runs is not touched.
        gateway.deploy()
        pids = gateway.proxy.processes()
        with pytest.raises(HostError, match=r"\(httpPort\) is in use"):
            gateway.host.run("gateway", body={**gateway.settings, "httpPort": port})
        assert gateway.proxy.processes() == pids
    assert gateway.ask("GET", "/v3").status == 404


def test_an_address_that_is_not_the_hosts_is_one_error(gateway: GatewayHost) -> None:
    refused = pytest.raises(
        HostError, match=r"the gateway cannot have the address 192\.0\.2\.1: Cannot assign"
    )
    with refused:
        gateway.deploy(address="192.0.2.1")
    assert not gateway.directory.gateway.exists()
    gateway.serve()
    pids = gateway.proxy.processes()
    with refused:
        gateway.host.run("gateway", body={**gateway.settings, "address": "192.0.2.1"})
    # The one that runs has not noticed.
    assert gateway.proxy.processes() == pids
    assert gateway.infer().status == 200
    assert gateway.deploy()["state"] == "unchanged"


def test_new_rules_hold_for_each_connection_from_then_on(
    gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.serve()
    large = b"{}".ljust(2_000_000)
    binary = {"Inference-Header-Content-Length": "2"}
    assert gateway.infer(large, binary).status == 200
    # HAProxy 2.4 does so: the new worker answers, and the former one still takes connections.
    monkeypatch.setattr(Proxy, "serving", lambda _: configured(gateway.directory))
    gateway.deploy(limits=gateway.limits(bodyMegabytes=1))
    assert gateway.infer(large, binary).status == 413


def test_a_former_worker_that_does_not_hear_is_told_again(
    gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.serve()
    (former,) = gateway.proxy.workers()
    told: List[tuple[List[int], int]] = []
    monkeypatch.setattr(lifecycle, "_HANDOVER_SECONDS", 0)
    monkeypatch.setattr(lifecycle, "listens", lambda pid: not told if pid == former else listens(pid))
    monkeypatch.setattr(lifecycle, "send_signal", lambda pids, number: told.append((pids, number)))
    gateway.deploy(limits=gateway.limits(bodyMegabytes=1))
    assert told == [([former], signal.SIGUSR1)]


def test_a_master_that_does_not_hear_is_asked_again(
    gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.serve()
    asked: List[Proxy] = []
    reload = Proxy.reload

    def reload_when_asked_twice(proxy: Proxy) -> None:
        asked.append(proxy)
        if len(asked) > 1:
            reload(proxy)

    monkeypatch.setattr(lifecycle, "_REPEAT_SECONDS", 0.5)
    monkeypatch.setattr(Proxy, "reload", reload_when_asked_twice)
    assert gateway.deploy(limits=gateway.limits(bodyMegabytes=1))["state"] == "reloaded"
    assert len(asked) > 1


def test_what_only_haproxy_finds_wrong_leaves_the_gateway_as_it_was(
    gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lifecycle, "_require_address", lambda _: None)
    refused = pytest.raises(
        HostError, match=r"the gateway does not start with these settings: .*192\.0\.2\.1"
    )
    with refused:
        gateway.deploy(address="192.0.2.1")
    assert not gateway.directory.gateway.exists()
    gateway.serve()
    with refused:
        gateway.host.run("gateway", body={**gateway.settings, "address": "192.0.2.1"})
    # HAProxy 2.4 lets go of its ports while it tries.
    eventually(lambda: answers(gateway))
    assert gateway.infer().status == 200
    assert gateway.deploy()["state"] == "unchanged"
    assert "warning" not in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_what_clients_talk_to_has_neither_the_user_nor_the_group_of_root(gateway: GatewayHost) -> None:
    gateway.deploy()
    user, group = proxy.unprivileged_account()
    (worker,) = gateway.proxy.workers()
    rights = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines())
    assert set(rights["Uid"].split()) == {str(pwd.getpwnam(user).pw_uid)}
    assert set(rights["Gid"].split()) == {str(grp.getgrnam(group).gr_gid)}
    assert rights["Groups"].split() in ([], [str(grp.getgrnam(group).gr_gid)])
    assert "0" not in (rights["Uid"].split()[0], rights["Gid"].split()[0])


def test_no_two_of_its_proxies_have_one_name(gateway: GatewayHost) -> None:
    """HAProxy refuses that since 3.3, also of a frontend and a backend."""
    gateway.deploy(tokens=[token("batch", "one")], metricsPort=gateway.metrics_port)
    text = (gateway.proxy.current / CONFIG).read_text("utf-8")
    names = re.findall(r"^(?:frontend|backend|listen) (\S+)$", text, re.MULTILINE)
    assert len(names) == 9 and len(set(names)) == len(names), names


def test_comes_back_after_its_end(gateway: GatewayHost) -> None:
    gateway.serve()
    master = gateway.proxy.pid
    for pid in gateway.proxy.processes():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes_end([master]))
    eventually(lambda: answers(gateway))
    assert "supervisor: HAProxy ended with signal 9" in gateway.log


def test_comes_back_after_the_end_of_its_master(gateway: GatewayHost) -> None:
    gateway.serve()
    master = gateway.proxy.pid
    os.kill(master, signal.SIGKILL)
    eventually(lambda: processes_end([master]))
    eventually(lambda: answers(gateway))
    assert gateway.proxy.pid != master


def test_a_supervisor_that_was_killed_is_replaced(gateway: GatewayHost) -> None:
    gateway.serve()
    pids = gateway.proxy.processes()
    supervisor = gateway.supervisor_pid
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: processes_end([supervisor]))
    # Without it, more than a pipe holds is logged, and nobody waits.
    for _ in range(30):
        assert gateway.ask("GET", f"/v3/{'a' * 4000}").status == 404
    assert gateway.deploy()["state"] == "unchanged"
    assert gateway.proxy.processes() == pids
    assert gateway.supervisor_pid != supervisor
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: answers(gateway))


def test_an_interruption_leaves_what_the_next_deployment_puts_right(gateway: GatewayHost) -> None:
    gateway.serve()
    changed = {**gateway.settings, "limits": gateway.limits(bodyMegabytes=1)}
    for delay in (0.02, 0.1, 0.2, 0.3):
        process = gateway.host.spawn("gateway", body=changed)
        time.sleep(delay)
        process.kill()
        process.communicate()
        assert gateway.infer().status == 200
    gateway.deploy(**changed)
    assert gateway.infer(b"{}".ljust(1_100_000), {"Inference-Header-Content-Length": "2"}).status == 413
    assert len(list(gateway.directory.gateway.glob("config-*"))) == 1
    assert list(gateway.directory.gateway.glob(".new-*")) == []


def faults(gateway: GatewayHost) -> Dict[str, str]:
    return find_faults(gateway.directory)


def break_nothing(_: GatewayHost) -> None:
    """As it should be."""


def end_all(gateway: GatewayHost) -> None:
    pids = [gateway.supervisor_pid, *gateway.proxy.processes()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes_end(pids))


def end_supervisor(gateway: GatewayHost) -> None:
    pid = gateway.supervisor_pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes_end([pid]))


def edit(gateway: GatewayHost) -> None:
    [file] = gateway.directory.gateway.glob("config-*/haproxy.cfg")
    file.write_text(file.read_text().replace("maxconn 1000", "maxconn 1001"))


def lose_link(gateway: GatewayHost) -> None:
    (gateway.directory.gateway / "current").unlink()


def lose_folder(gateway: GatewayHost) -> None:
    pids = [gateway.supervisor_pid, *gateway.proxy.processes()]
    lose(gateway.directory.gateway)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes_end(pids))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (break_nothing, None),
        (end_all, "the gateway does not run"),
        (end_supervisor, "the gateway's supervisor does not run"),
        (edit, "the gateway's files have been changed on the host"),
        (lose_link, "the record of the gateway is lost"),
        (lose_folder, "the gateway is gone from the host"),
    ],
)
def test_what_is_wrong_is_noticed_and_put_right(
    gateway: GatewayHost, fault: Callable[[GatewayHost], None], said: Optional[str]
) -> None:
    gateway.serve()
    assert faults(gateway) == {}
    fault(gateway)
    assert faults(gateway) == ({} if said is None else {"gateway": said})
    gateway.deploy()
    assert faults(gateway) == {}
    assert gateway.infer().status == 200


def test_a_machine_that_has_started_again_has_its_gateway(gateway: GatewayHost) -> None:
    gateway.serve()
    end_all(gateway)
    gateway.host.run("resume")
    eventually(lambda: answers(gateway))


def test_status_tells_of_it(gateway: GatewayHost) -> None:
    gateway.host.start(gateway=True)
    assert gateway.host.run("status")["gateway"] is None
    gateway.deploy(tokens=[token("batch", "one", 5)])
    told = gateway.host.run("status")["gateway"]
    assert told == {
        "address": "127.0.0.1",
        "httpPort": gateway.http_port,
        "grpcPort": gateway.grpc_port,
        "metricsPort": None,
        "tls": "off",
        "clientCertificates": False,
        "tokens": ["batch"],
        "running": True,
        "pid": gateway.proxy.pid,
    }
    end_supervisor(gateway)
    end_proxy(gateway)
    told = gateway.host.run("status")["gateway"]
    assert (told["running"], told["pid"]) == (False, None)


def end_proxy(gateway: GatewayHost) -> None:
    pids = gateway.proxy.processes()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes_end(pids))


def test_its_log_stays_within_its_limit(gateway: GatewayHost) -> None:
    gateway.host.start(gateway=True, logMegabytes=1)
    gateway.deploy()
    connection = gateway.connection()
    for _ in range(1500):
        connection.request("GET", f"/v3/{'a' * 1000}")
        connection.getresponse().read()
    connection.close()
    logs = gateway.directory.gateway / "logs"
    eventually((logs / "gateway.log.1").exists)
    sizes = [path.stat().st_size for path in logs.iterdir()]
    assert sum(sizes) <= 1024 * 1024 + 65536
    assert b"\0" not in (logs / "gateway.log").read_bytes()


def test_no_log_of_requests_where_none_is_wanted(gateway: GatewayHost) -> None:
    gateway.deploy(accessLog=False)
    assert gateway.ask("GET", "/v3").status == 404
    gateway.deploy(accessLog=True)
    assert gateway.ask("GET", "/v3/second").status == 404
    eventually(lambda: "/v3/second" in gateway.log)
    assert gateway.log.count("GET") == 1


def test_an_updated_program_takes_over(
    gateway: GatewayHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "haproxy"
    shutil.copy(find_program(), program)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    gateway.serve()
    assert executable(gateway.proxy.pid) == str(program)
    former = gateway.proxy.processes()
    shutil.copy(program, programs / "new")
    (programs / "new").replace(program)
    eventually(lambda: "HAProxy was updated; going on with the new one" in gateway.log)
    eventually(lambda: not gateway.proxy.replaced and gateway.proxy.processes() != former)
    assert gateway.infer().status == 200


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("", "the gateway needs HAProxy, which this host does not have"),
        (
            "#!/bin/sh\necho 'HA-Proxy version 1.8.27'",
            "the gateway needs HAProxy 2.4 or newer, and .* is 1.8",
        ),
        ("#!/bin/sh\nexit 3", ".*haproxy does not tell its version: status 3"),
    ],
)
def test_a_host_without_a_fit_haproxy(
    gateway: GatewayHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    if program:
        (tmp_path / "haproxy").write_text(program)
        (tmp_path / "haproxy").chmod(0o755)
    monkeypatch.setattr(proxy, "_USUAL", "/nonexistent/haproxy")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match=f"{said}") as caught:
        gateway.deploy()
    assert "install" in caught.value.fix
    assert not gateway.directory.gateway.exists()


def test_a_haproxy_that_closes_idle_connections_serves_as_well(
    gateway: GatewayHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first updates of 2.4 do not know the option that keeps them."""
    assert proxy.knows(find_program(), KEEP_IDLE)
    assert not proxy.knows(find_program(), "option of-a-later-release")
    program = tmp_path / "haproxy"
    # As HAProxy, but for the option.
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in *-c*-f*/dev/stdin*) echo "[ALERT] (1) : config : unknown option" >&2; exit 1 ;; esac\n'
        f'exec {find_program()} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    gateway.serve()
    assert KEEP_IDLE not in (gateway.directory.gateway / "current" / CONFIG).read_text("utf-8")
    assert gateway.infer().status == 200


CHANGES = {
    "address": ("localhost", "the gateway setting address is 'localhost'"),
    "httpPort": (0, "the gateway setting httpPort is 0"),
    "grpcPort": (None, "the gateway setting grpcPort is missing"),
    "metricsPort": (True, "the gateway setting metricsPort is True"),
    "upstream": ([], "the gateway setting upstream is a list"),
    "tls": ({"mode": "on"}, "the gateway setting tls.mode is 'on'"),
    "clientCa": ("a", "the gateway setting clientCa is no PEM file of a certificate"),
    "tokens": ([{"name": "a b"}], r"the gateway setting tokens\[0\].name is 'a b'"),
    "limits": ({"bodyMegabytes": 5000}, "the gateway setting limits.bodyMegabytes is 5000"),
    "accessLog": ("yes", "the gateway setting accessLog is 'yes'"),
    "uncheckedStreams": (1, "the gateway setting uncheckedStreams is 1"),
    "more": (1, "unknown gateway setting 'more'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_settings_that_are_none(gateway: GatewayHost, name: str) -> None:
    value, said = CHANGES[name]
    with pytest.raises(HostError, match=said):
        gateway.deploy(**{name: value})


def test_further_settings_that_are_none(gateway: GatewayHost) -> None:
    body = gateway.settings
    one = token("a", "secret")
    pem = "-----BEGIN CERTIFICATE-----\n"
    for changes, said in (
        ({"grpcPort": body["httpPort"]}, "two of the gateway's ports are the same"),
        (
            {"metricsPort": 9, "upstream": {**body["upstream"], "metrics": None}},
            "upstream.metrics is missing",
        ),
        ({"tokens": [one, {**one, "name": "b"}]}, "two tokens have the same secret"),
        ({"tokens": [one, token("a", "other")]}, "two tokens have the same name"),
        ({"tokens": [{**one, "sha256": "secret"}]}, r"tokens\[0\].sha256 is no SHA-256"),
        ({"tokens": {}}, "the gateway setting tokens is a dict"),
        ({"clientCa": pem}, "certificates of clients are asked for without TLS"),
        ({"tls": {"mode": "certificate", "certificate": pem, "key": ""}}, "tls.key is missing"),
        ({"address": 4}, "the gateway setting address is 4"),
    ):
        with pytest.raises(HostError, match=said) as caught:
            parse_gateway({**body, **changes})
        assert "secret" not in str(caught.value).replace("the same secret", "")


def test_knows_which_requests_wait_for_an_answer(gateway: GatewayHost) -> None:
    """A machine with such requests is not idle, although Triton counts a request only when it has ended."""
    with socket.create_server(("127.0.0.1", 0)) as triton:
        upstream = {**gateway.settings["upstream"], "http": triton.getsockname()[1]}
        gateway.deploy(upstream=upstream)
        proxy = gateway.proxy
        assert proxy.in_flight() == 0
        connection = gateway.connection()
        connection.request("POST", "/v2/models/scale/infer", body=b"{}")
        answering, _ = triton.accept()
        assert answering.recv(65536).startswith(b"POST ")
        assert proxy.in_flight() == 1
        answering.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        assert connection.getresponse().read() == b"{}"
        # The client keeps its connection.
        eventually(lambda: proxy.in_flight() == 0)
        connection.close()
        answering.close()
    assert Proxy(HostDirectory(gateway.directory.path / "none")).in_flight() == 0, "there is no gateway"


def test_it_listens_at_ipv6_as_well(gateway: GatewayHost) -> None:
    gateway.host.start(gateway=True)
    gateway.deploy(address="::")
    for host in ("::1", "127.0.0.1"):
        connection = http.client.HTTPConnection(host, gateway.http_port, timeout=60)
        connection.request("GET", "/v2/health/live")
        assert connection.getresponse().status == 200, host
        connection.close()


def test_it_is_a_unit_of_systemd_where_that_runs(machine: Machine) -> None:
    words = [str(machine.directory.agent), "supervise-gateway"]
    SystemUnit(machine.directory, "gateway").install(words)
    name = unit_name(machine.directory, "gateway")
    assert machine.units() == [name]
    text = machine.unit(name)
    assert "supervise-gateway" in text and "Restart=always" in text and "KillMode=process" in text
    SystemUnit(machine.directory, "gateway").remove()
    assert machine.units() == []
