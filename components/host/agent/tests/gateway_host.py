"""A host with a gateway before the stand-in of Triton, and clients that come through it."""

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from agent.gateway.proxy import INSTALL, Proxy
from agent.processes import process_start
from agent.server.supervision import GATEWAY, read_supervisor
from free_ports import free_ports
from grpc_channel import SERVICE, Channel
from stand_in_host import Host, eventually


def require_haproxy() -> None:
    """These tests are nothing without it, so they fail rather than pass unseen."""
    assert shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin"), f"HAProxy is missing: {INSTALL}"


class Response(NamedTuple):
    #: 0: the connection ended without an answer.
    status: int
    body: bytes
    headers: Dict[str, str]

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])


class GatewayHost:
    """Deploys a gateway before the server of a host."""

    def __init__(self, host: Host) -> None:
        require_haproxy()
        self.host = host
        self.directory = host.directory
        http_port, grpc_port, metrics_port = free_ports(3)
        self.settings: Dict[str, Any] = {
            "address": "127.0.0.1",
            "httpPort": http_port,
            "grpcPort": grpc_port,
            "metricsPort": None,
            "upstream": {
                "http": host.settings["httpPort"],
                "grpc": host.settings["grpcPort"],
                "metrics": host.settings["metricsPort"],
            },
            "tls": {"mode": "off"},
            "clientCa": "",
            "tokens": [],
            "limits": {
                "bodyMegabytes": 64,
                "jsonKilobytes": 1024,
                "headerKilobytes": 16,
                "connections": 1000,
                "requestSeconds": 300,
            },
            "accessLog": True,
            "uncheckedStreams": False,
        }
        self.metrics_port = metrics_port

    @property
    def http_port(self) -> int:
        return int(self.settings["httpPort"])

    @property
    def grpc_port(self) -> int:
        return int(self.settings["grpcPort"])

    def deploy(self, **changes: Any) -> Dict[str, Any]:
        """Runs the command with these settings, which stay."""
        wanted = {**self.settings, **changes}
        answer = self.host.run("gateway", body=wanted)
        self.settings = wanted
        return dict(answer)

    def limits(self, **changes: int) -> Dict[str, int]:
        return {**self.settings["limits"], **changes}

    def serve(self) -> None:
        """Starts the server, a model and the gateway."""
        self.host.start(gateway=True)
        self.host.serve(self.host.store("scale"))
        self.deploy()

    @property
    def proxy(self) -> Proxy:
        found = Proxy(self.directory)
        assert found.find(), self.log
        return found

    @property
    def supervisor_pid(self) -> int:
        found = read_supervisor(self.directory, GATEWAY)
        assert found is not None
        return found.pid

    @property
    def log(self) -> str:
        path = self.directory.gateway / "logs/gateway.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def log_with(self, text: str) -> str:
        """The log, once it has this."""
        eventually(lambda: text in self.log)
        return self.log

    def ask(
        self,
        method: str,
        path: str,
        body: Optional[bytes] = None,
        headers: Optional[Dict[str, str]] = None,
        *,
        port: int = 0,
        tls: Optional[ssl.SSLContext] = None,
        **more: Any,
    ) -> Response:
        """A request on a connection of its own."""
        connection = self.connection(port, tls)
        with contextlib.closing(connection):
            return exchange(connection, method, path, body, headers, **more)

    def connection(self, port: int = 0, tls: Optional[ssl.SSLContext] = None) -> http.client.HTTPConnection:
        where = port or self.http_port
        if tls is None:
            return http.client.HTTPConnection("127.0.0.1", where, timeout=120)
        return http.client.HTTPSConnection("localhost", where, timeout=120, context=tls)

    def infer(self, body: bytes = b"{}", headers: Optional[Dict[str, str]] = None, **more: Any) -> Response:
        return self.ask("POST", "/v2/models/scale/infer", body, headers, **more)

    def channel(self, tls: Optional[ssl.SSLContext] = None) -> Channel:
        return Channel(self.grpc_port, tls)

    def raw(self, data: bytes, port: int = 0, seconds: float = 60) -> bytes:
        """What comes back for these bytes, until the gateway closes or is silent."""
        with socket.create_connection(("127.0.0.1", port or self.http_port), timeout=seconds) as connection:
            answer = b""
            with contextlib.suppress(OSError):
                connection.sendall(data)
                # Who closes before the answer has given up: HAProxy says nothing to a client that
                # ends in the middle of a body.
                answer = connection.recv(65536)
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while True:
                    received = connection.recv(65536)
                    if not received:
                        break
                    answer += received
            return answer


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Optional[bytes] = None,
    headers: Optional[Dict[str, str]] = None,
    **more: Any,
) -> Response:
    # It may answer before it has read all, and close.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, path, body=body, headers=headers or {}, **more)
    # Nor does it answer where it has ended before the request was sent.
    if connection.sock is None:
        return Response(0, b"", {})
    try:
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, answer.read(), found)
    except (OSError, http.client.HTTPException):
        return Response(0, b"", {})


def token(name: str, secret: str, rate: int = 0) -> Dict[str, Any]:
    return {
        "name": name,
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "requestsPerSecond": rate,
    }


def bearer(secret: str) -> Dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


class Authority(NamedTuple):
    """One that signs certificates."""

    certificate: Path
    key: Path

    def sign(self, name: str) -> "tuple[str, str]":
        """PEM of a certificate and of its key."""
        folder = self.key.parent
        key, request, certificate, extensions = (
            folder / f"{name}.{suffix}" for suffix in ("key", "csr", "pem", "ext")
        )
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request)),
        )
        openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self.key)),
            *("-CAcreateserial", "-days", "30", "-extfile", str(extensions), "-out", str(certificate)),
        )
        return certificate.read_text(), key.read_text()

    def trusted(self) -> ssl.SSLContext:
        """What a client has that trusts it."""
        return ssl.create_default_context(cafile=str(self.certificate))


def make_authority(folder: Path, name: str = "authority") -> Authority:
    made = Authority(folder / f"{name}.pem", folder / f"{name}.key")
    openssl(
        *("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "30"),
        *("-subj", f"/CN={name}", "-keyout", str(made.key), "-out", str(made.certificate)),
    )
    return made


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Load:
    """Clients that ask at a steady rate over kept connections, by HTTP and gRPC in turn, until they are told to end."""

    #: An inference of the model that is served; the stand-in takes anything.
    body = b"{}"
    message = b""

    def __init__(
        self, gateway: GatewayHost, rate: int, tls: Callable[[], Optional[ssl.SSLContext]], secret: str
    ) -> None:
        self._gateway = gateway
        self._tls = tls
        self._headers = bearer(secret) if secret else {}
        self._clients = 8
        self._interval = self._clients / rate
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.sent = 0
        self.failures: List[str] = []
        self._threads = [threading.Thread(target=self._run, args=(index,)) for index in range(self._clients)]

    def __enter__(self) -> "Load":
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.monotonic() - self._began

    def wait_for(self, more: int) -> None:
        """Until so many more requests have been answered, however long that takes on a busy machine."""
        enough = self.sent + more
        eventually(lambda: self.sent >= enough, "the load has stopped")

    def _run(self, index: int) -> None:
        ask = self._grpc if index % 2 else self._http
        state: Dict[str, Any] = {}
        due = self._began + index * self._interval / self._clients
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += self._interval
            problem = ask(state)
            with self._lock:
                self.sent += 1
                if problem:
                    self.failures.append(problem)

    def _http(self, state: Dict[str, Any]) -> str:
        connection = state.setdefault("connection", self._gateway.connection(tls=self._tls()))
        try:
            connection.request("POST", "/v2/models/scale/infer", body=self.body, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            del state["connection"]
            return f"HTTP: {error!r}"
        if answer.getheader("Connection", "").lower() == "close":
            connection.close()
            del state["connection"]
        return "" if answer.status == 200 else f"HTTP: {answer.status} {body!r}"

    def _grpc(self, state: Dict[str, Any]) -> str:
        channel = state.setdefault("channel", Channel(self._gateway.grpc_port, self._tls()))
        try:
            called = channel.call(f"{SERVICE}/ModelInfer", self.message, self._headers)
        except (OSError, AssertionError) as error:
            channel.close()
            del state["channel"]
            return f"gRPC: {error!r}"
        return "" if called.status == 0 else f"gRPC: {called}"


def processes_end(pids: List[int]) -> bool:
    return all(process_start(pid) is None for pid in pids)


def gateway_hosts(host: Host) -> Iterator[GatewayHost]:
    """For a fixture: nothing of it is left."""
    made = GatewayHost(host)
    yield made
    with contextlib.suppress(Exception):
        host.run("remove-gateway")
