"""The gateway with a real HAProxy before the stand-in of Triton: deployed, changed, gone wrong, removed."""

import os
import signal
import socket

import pytest
from agent.errors import HostError
from agent.processes import command_line, process_ids
from gateway_host import GatewayHost, processes_end
from grpc_channel import SERVICE
from stand_in_host import eventually


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
def test_lets_nothing_else_through(gateway: GatewayHost, method: str, path: str) -> None:
    gateway.deploy()
    # Nothing stands behind it: whatever were let through would be answered with 503.
    answer = gateway.raw(f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
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
    with pytest.raises(HostError, match=r"the gateway does not start with these settings: .*192\.0\.2\.1"):
        gateway.deploy(address="192.0.2.1")
    assert not gateway.directory.gateway.exists()
    gateway.serve()
    with pytest.raises(HostError, match=r"the gateway does not start with these settings: .*192\.0\.2\.1"):
        gateway.host.run("gateway", body={**gateway.settings, "address": "192.0.2.1"})
    assert gateway.infer().status == 200
    assert gateway.deploy()["state"] == "unchanged"


def test_comes_back_after_its_end(gateway: GatewayHost) -> None:
    gateway.serve()
    master = gateway.proxy.pid
    for pid in gateway.proxy.processes():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes_end([master]))
    eventually(lambda: answers(gateway))
    assert "supervisor: HAProxy ended with signal 9" in gateway.log
