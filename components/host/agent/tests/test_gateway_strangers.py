"""What a client can hold of the gateway that has shown no right to use it."""

import contextlib
import http.client
import select
import socket
import ssl
from pathlib import Path
from typing import Iterator, Optional

import pytest
from agent.gateway import rendering
from agent.gateway.rendering import CONFIG, render
from agent.gateway.settings import parse_gateway
from gateway_host import GatewayHost, bearer, exchange, make_authority, token
from grpc_channel import SERVICE
from stand_in_host import eventually

#: All connections, and how many of them an address may have that has shown no right.
CONNECTIONS, PART = 80, 40
#: More than a part, and fewer than all.
MANY = 60
#: Another address of the loopback interface.
ELSEWHERE = "127.0.0.2"
ONE = bearer("one")


@pytest.fixture
def patient(gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch) -> GatewayHost:
    """A gateway that asks for tokens, and waits for a connection's first request longer than any test takes."""
    monkeypatch.setattr(rendering, "_HEADER_SECONDS", 3600)
    gateway.serve()
    gateway.deploy(tokens=[token("batch", "one")], limits=gateway.limits(connections=CONNECTIONS))
    return gateway


@contextlib.contextmanager
def held(count: int, *ports: int, left: int) -> Iterator[None]:
    """So many connections that send nothing, to the ports in turn, once no more than these are left of them."""
    with contextlib.ExitStack() as stack:
        made = []
        for index in range(count):
            # One that is refused may end before it is there.
            with contextlib.suppress(ConnectionResetError):
                where = ("127.0.0.1", ports[index % len(ports)])
                made.append(stack.enter_context(socket.create_connection(where, timeout=120)))
        eventually(lambda: sum(map(lasts, made)) <= left)
        yield
        assert sum(map(lasts, made)) == left


def lasts(connection: socket.socket) -> bool:
    """Whether the gateway has not ended it. It has nothing else to say."""
    return not select.select([connection], [], [], 0)[0]


def ask(
    gateway: GatewayHost,
    source: str,
    *,
    host: str = "127.0.0.1",
    tls: Optional[ssl.SSLContext] = None,
) -> int:
    """The status of a request with a token from this address; 0 if its connection is not taken."""
    where, address = (host, gateway.http_port), (source, 0)
    connection = http.client.HTTPConnection(*where, timeout=120, source_address=address)
    if tls is not None:
        connection = http.client.HTTPSConnection(*where, timeout=120, source_address=address, context=tls)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        return exchange(connection, "GET", "/v2", headers=ONE).status
    return 0


def test_only_a_client_with_a_token_keeps_its_connection(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(tokens=[token("batch", "one")], metricsPort=gateway.metrics_port)
    for port, path, status in (
        (0, "/v2", 401),
        (0, "/v2/health/ready", 200),
        (0, "/v2/nothing", 404),
        (gateway.metrics_port, "/metrics", 401),
    ):
        with contextlib.closing(gateway.connection(port)) as connection:
            answer = exchange(connection, "GET", path)
            assert (answer.status, answer.headers["connection"]) == (status, "close"), path
            assert connection.sock is None, path
    with contextlib.closing(gateway.connection()) as connection:
        for headers, path, status in (
            (ONE, "/v2", 200),
            ({}, "/v2", 401),
            ({}, "/v2/health/ready", 200),
            ({}, "/v2/nothing", 404),
            (ONE, "/v2", 200),
        ):
            answer = exchange(connection, "GET", path, headers=headers)
            assert (answer.status, answer.headers.get("connection")) == (status, None), path
    # Whatever it sends after that.
    head = b"POST /v2/models/scale/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    assert b"\r\nconnection: close\r\n" in gateway.raw(head)


def test_where_no_token_is_asked_for_connections_are_kept(shared_gateway: GatewayHost) -> None:
    with contextlib.closing(shared_gateway.connection()) as connection:
        for path, status in (("/v2", 200), ("/v2/nothing", 404), ("/v2/health/ready", 200)):
            answer = exchange(connection, "GET", path)
            assert (answer.status, answer.headers.get("connection")) == (status, None), path


def test_an_address_without_a_token_does_not_hold_all_connections(patient: GatewayHost) -> None:
    with held(CONNECTIONS, patient.http_port, patient.grpc_port, left=PART):
        assert ask(patient, ELSEWHERE) == 200
        # Nobody looks at the token of a connection that is not taken.
        assert ask(patient, "127.0.0.1") == 0
    eventually(lambda: ask(patient, "127.0.0.1") == 200)
    # Many clients may have one address.
    with held(MANY, patient.http_port, patient.grpc_port, left=MANY):
        assert ask(patient, "127.0.0.1") == 200
        assert patient.channel().call(f"{SERVICE}/ModelInfer", b"", ONE).status == 0


def test_a_token_over_grpc_counts_as_well(patient: GatewayHost) -> None:
    channel, other = patient.channel(), patient.channel()
    # Neither counts as a right.
    assert other.call(f"{SERVICE}/ModelInfer", b"", bearer("two")).status == 16
    assert channel.call(f"{SERVICE}/ServerReady").status == 0
    with held(MANY, patient.http_port, left=PART - 2):
        assert ask(patient, "127.0.0.1") == 0
        # The connection that was there before is kept.
        assert channel.call(f"{SERVICE}/ModelInfer", b"", ONE).status == 0
        assert channel.connections == 1
        assert ask(patient, "127.0.0.1") == 200


def test_addresses_of_ipv4_are_told_apart_where_ipv6_listens(patient: GatewayHost) -> None:
    patient.deploy(address="::")
    with held(CONNECTIONS, patient.http_port, left=PART):
        assert ask(patient, "127.0.0.1") == 0
        assert ask(patient, ELSEWHERE) == 200
        assert ask(patient, "::1", host="::1") == 200


def test_a_certificate_is_a_right(patient: GatewayHost, tmp_path: Path) -> None:
    ours = make_authority(tmp_path)
    pem, key = ours.sign("gateway")
    patient.deploy(
        tls={"mode": "certificate", "certificate": pem, "key": key},
        clientCa=ours.certificate.read_text(),
        tokens=[],
    )
    client = ours.trusted()
    ours.sign("client")
    client.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    # They never begin the handshake.
    with held(CONNECTIONS, patient.http_port, left=PART):
        assert ask(patient, "127.0.0.1", tls=client) == 0
        assert ask(patient, ELSEWHERE, tls=client) == 200
    eventually(lambda: ask(patient, "127.0.0.1", tls=client) == 200)
    with held(MANY, patient.http_port, left=MANY):
        assert ask(patient, "127.0.0.1", tls=client) == 200


def test_a_call_that_needs_no_token_is_short(gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_BODY_SECONDS", 1)
    gateway.serve()
    gateway.deploy(tokens=[token("batch", "one")])
    for call in (f"{SERVICE}/ServerLive", f"{SERVICE}/ServerReady"):
        channel = gateway.channel()
        channel.open(call)
        # Its message begins, and does not end.
        channel.start(100)
        assert channel.finish().http_status == "408", call
    called = gateway.channel().call(f"{SERVICE}/ServerReady", bytes(1025))
    assert (called.status, called.message) == (8, "a request for health may have 1024 bytes")


@pytest.mark.parametrize("newer", [False, True])
def test_deadlines_that_haproxy_has_of_its_own(gateway: GatewayHost, newer: bool) -> None:
    """HAProxy before 2.9 takes no configuration with one for handshakes."""
    settings = parse_gateway(gateway.settings)
    rendered = render(settings, "", threads=1, user="", group="", limits_handshakes=newer)
    lines = [line.strip() for line in rendered.files[CONFIG].splitlines()]
    assert ("timeout client-hs 10s" in lines) is newer
    # For the end of a connection, which HAProxy 3.4 waits for.
    assert "timeout client-fin 30s" in lines
