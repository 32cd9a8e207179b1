"""What the gateway does not let through of requests it would let through otherwise: too large, too deep, too slow."""

import contextlib
import json
import random
import socket
import time
from typing import Callable, List

import pytest
from agent.gateway import rendering
from agent.gateway.json_depth import DEEPEST, HEAD_BYTES
from agent.triton.grpc import bytes_field
from crash_requests import crash_requests
from gateway_host import GatewayHost, exchange
from grpc_channel import SERVICE, frame
from stand_in_host import eventually

INFER = "/v2/models/scale/infer"
MEGABYTE = 1024 * 1024


def nested(levels: int, filling: bytes = b"") -> bytes:
    return b"[" * levels + filling + b"]" * levels


def test_a_body_has_a_limit(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(limits=gateway.limits(bodyMegabytes=2))
    binary = {"Inference-Header-Content-Length": "2"}
    assert gateway.infer(b"{}".ljust(2 * MEGABYTE), binary).status == 200
    answer = gateway.infer(b"{}".ljust(2 * MEGABYTE + 1), binary)
    assert (answer.status, answer.error) == (413, "a request may have 2 MB")


def test_the_json_of_a_body_has_a_limit_of_its_own(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(limits=gateway.limits(jsonKilobytes=20))
    fits, exceeds = b"{}".ljust(20 * 1024), b"{}".ljust(20 * 1024 + 1)
    refusal = (413, "the JSON part of a request may have 20 KB")
    assert gateway.infer(fits).status == 200
    answer = gateway.infer(exceeds)
    assert (answer.status, answer.error) == refusal
    # A tensor in binary does not count.
    many = b"[" * (4 * MEGABYTE)
    assert gateway.infer(fits + many, {"Inference-Header-Content-Length": str(len(fits))}).status == 200
    answer = gateway.infer(exceeds + many, {"Inference-Header-Content-Length": str(len(exceeds))})
    assert (answer.status, answer.error) == refusal
    # Only an inference has such a part.
    for method in ("generate", "generate_stream"):
        answer = gateway.ask(
            "POST", f"/v2/models/scale/{method}", exceeds, {"Inference-Header-Content-Length": "2"}
        )
        assert (answer.status, answer.error) == refusal


@pytest.mark.parametrize(("kilobytes", "window"), [(1024, MEGABYTE), (2048, 2 * MEGABYTE), (1, 65535)])
def test_a_distant_client_need_not_wait_for_each_64_kb_of_a_large_call(
    gateway: GatewayHost, kilobytes: int, window: int
) -> None:
    gateway.deploy(limits=gateway.limits(jsonKilobytes=kilobytes))
    with contextlib.closing(gateway.channel()) as channel:
        channel.call(f"{SERVICE}/ServerLive")
        assert channel.first_window == window


@pytest.mark.parametrize("value", ["", "-1", "1e3", "0x2", "2, 2", " ", "99999999999999999999", "3"])
def test_a_length_that_is_none(lone_gateway: GatewayHost, value: str) -> None:
    answer = lone_gateway.infer(b"{}", {"Inference-Header-Content-Length": value})
    assert (answer.status, answer.error.split(" is ")[0]) == (400, "Inference-Header-Content-Length")


def test_a_length_that_is_there_twice(lone_gateway: GatewayHost) -> None:
    twice = "Inference-Header-Content-Length: 2\r\n" * 2
    head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n{twice}\r\n"
    assert lone_gateway.raw(head.encode() + b"{}").startswith(b"HTTP/1.1 400 ")


def test_bodies_without_a_length(lone_gateway: GatewayHost) -> None:
    start = f"POST {INFER} HTTP/1.1\r\nHost: a\r\n"
    for head in (
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "",
    ):
        answer = lone_gateway.raw(f"{start}{head}\r\n".encode() + b"1\r\nA\r\n" * 1000)
        assert answer.split(b" ")[1] in (b"411", b"400", b"422"), (head, answer)
    assert lone_gateway.raw(f"{start}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}".encode()).startswith(
        b"HTTP/1.1 400 "
    )
    # Only a request that has one has a body.
    head = "GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    assert lone_gateway.raw(head.encode()).startswith(b"HTTP/1.1 400 ")


def test_compressed_requests_are_refused(shared_gateway: GatewayHost) -> None:
    for encoding in ("gzip", "deflate", "identity, gzip"):
        assert shared_gateway.infer(headers={"Content-Encoding": encoding}).status == 415, encoding
    assert shared_gateway.infer(headers={"Content-Encoding": "identity"}).status == 200
    called = shared_gateway.channel().call(f"{SERVICE}/ModelInfer", b"", {"grpc-encoding": "gzip"})
    assert called.status == 12 and called.message.startswith("compressed requests are not taken")
    assert (
        shared_gateway.channel().call(f"{SERVICE}/ModelInfer", b"", {"grpc-encoding": "identity"}).status == 0
    )


#: JSON, or what looks like it, and the answer.
DEPTHS = {
    "as deep as it may be": (nested(DEEPEST), 200),
    "deeper": (nested(DEEPEST + 1), 400),
    "very deep": (nested(500_000), 400),
    "objects": (b'{"a":' * (DEEPEST + 1), 400),
    "beside each other": (b"[" + b",".join([nested(DEEPEST - 1)] * 50) + b"]", 200),
    "the last is deeper": (b"[" + b",".join([nested(DEEPEST - 1)] * 50 + [nested(DEEPEST)]) + b"]", 400),
    "in texts": (json.dumps(["[" * 5000, '"[' * 100, "\\" * 7, "[" * 5000]).encode(), 200),
    "after a text that ends with a backslash": (b'["\\\\"' + b"[" * DEEPEST, 400),
    "in a text that does not end": (b'["\\\\\\"' + b"[" * DEEPEST, 200),
    "beyond what is read at first": (b"[" + b" " * HEAD_BYTES + nested(DEEPEST) + b"]", 400),
    "at the end": (b"[" + b" " * 900_000 + nested(DEEPEST) + b"]", 400),
    "as deep as it may be, at the end": (b"[" + b" " * 900_000 + nested(DEEPEST - 1) + b"]", 200),
}


@pytest.mark.parametrize("name", DEPTHS)
def test_json_has_a_depth(shared_gateway: GatewayHost, name: str) -> None:
    body, status = DEPTHS[name]
    answer = shared_gateway.infer(body)
    assert answer.status == status
    if status != 200:
        assert answer.error == "the JSON of a request may be nested 64 levels deep"
    # What follows it in binary does not count.
    binary = {"Inference-Header-Content-Length": str(len(body))}
    assert shared_gateway.infer(body + b"[" * 100_000, binary).status == status


def deepest(text: bytes) -> int:
    """The levels that a parser reaches before its first fault with quotes, if it has one."""
    depth = most = 0
    quoted = escaped = False
    for byte in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped = byte == ord("\\")
            quoted = byte != ord('"')
        elif byte == ord('"'):
            quoted = True
        elif byte in b"[{":
            depth += 1
            most = max(most, depth)
        elif byte in b"]}":
            depth -= 1
    return most


def test_generated_json_is_as_deep_as_it_is(shared_gateway: GatewayHost) -> None:
    generator = random.Random(13)
    connection = shared_gateway.connection()
    seen = set()
    for _ in range(400):
        alphabet = generator.choice([b'[]{}"\\', b"[[[[{]", b'[[[[[["\\ab', b"[{1,"])
        body = bytes(generator.choices(alphabet, k=generator.choice([70, 300, 3000])))
        answer = exchange(connection, "POST", INFER, body)
        if answer.headers.get("connection") == "close":
            connection.close()
        assert answer.status == (400 if deepest(body) > DEEPEST else 200), body
        seen.add(answer.status)
    assert seen == {200, 400}
    connection.close()


def test_headers_have_a_limit(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(limits=gateway.limits(headerKilobytes=4))
    assert gateway.ask("GET", "/v2", headers={"x": "a" * 3800}).status == 200
    answer = gateway.ask("GET", "/v2", headers={"x": "a" * 4096})
    assert (answer.status, answer.error) == (431, "the headers of a request may have 4 KB")
    for head in (
        f"GET /v2 HTTP/1.1\r\nHost: a\r\nX: {'a' * 3 * MEGABYTE}\r\n\r\n",
        "GET /v2 HTTP/1.1\r\n" + "A: b\r\n" * 500,
    ):
        assert gateway.raw(head.encode()).split(b" ")[1] in (b"400", b"431")
    called = gateway.channel().call(f"{SERVICE}/ServerReady", b"", {"x": "a" * 4096})
    assert (called.status, called.message) == (8, "the headers of a request may have 4 KB")


def test_a_message_of_grpc_has_a_limit(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(limits=gateway.limits(bodyMegabytes=2))
    # Four bytes say what the others are.
    largest = bytes_field(7, bytes(2 * MEGABYTE - 4))
    assert len(largest) == 2 * MEGABYTE
    assert gateway.channel().call(f"{SERVICE}/ModelInfer", largest).status == 0
    # It is refused by what it says of itself.
    channel = gateway.channel()
    channel.open(f"{SERVICE}/ModelInfer")
    channel.start(2 * MEGABYTE + 1)
    called = channel.finish()
    assert (called.status, called.message) == (8, "a message may have 2 MB")
    channel = gateway.channel()
    channel.open(f"{SERVICE}/ModelInfer", {"content-length": str(3 * MEGABYTE)})
    assert channel.finish().status == 8


@pytest.mark.parametrize("version", ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/x", ""])
def test_only_http_1_comes_to_its_port(lone_gateway: GatewayHost, version: str) -> None:
    # Nothing stands behind it: whatever were let through would be answered with 503.
    assert lone_gateway.raw(f"GET /v2 {version}\r\nHost: a\r\n\r\n".encode()).startswith(b"HTTP/1.1 400 ")


def test_only_grpc_comes_to_its_port(shared_gateway: GatewayHost) -> None:
    for kind in ("application/json", "text/plain", "grpc"):
        assert (
            shared_gateway.channel().call(f"{SERVICE}/ModelInfer", b"", {"content-type": kind}).http_status
            == "415"
        )
    assert (
        shared_gateway.raw(b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n", shared_gateway.grpc_port)[:5] != b"HTTP/"
    )
    # And no HTTP/2 to the other.
    assert b"HTTP/1.1 400" in shared_gateway.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))


def test_requests_that_crash_triton_do_not_reach_it(lone_gateway: GatewayHost) -> None:
    # Whatever is let through is answered with 503, since nothing stands behind it.
    for name, data in crash_requests("scale").items():
        answer = lone_gateway.raw(data)
        assert answer.split(b" ")[1] in (b"400", b"411", b"413"), (name, answer)


@pytest.fixture
def impatient(gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch) -> GatewayHost:
    """A gateway with short deadlines."""
    monkeypatch.setattr(rendering, "_HEADER_SECONDS", 1)
    monkeypatch.setattr(rendering, "_BODY_SECONDS", 1)
    gateway.serve()
    return gateway


def drip(gateway: GatewayHost, head: bytes, more: Callable[[], bytes]) -> bytes:
    """Sends one byte at a time until the gateway answers."""
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=0.1) as connection:
        connection.sendall(head)
        began = time.monotonic()
        while time.monotonic() - began < 120:
            with contextlib.suppress(socket.timeout):
                return connection.recv(65536)
            connection.sendall(more())
    return b""


def test_a_request_that_arrives_slowly(impatient: GatewayHost) -> None:
    assert drip(impatient, b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: ", lambda: b"a").startswith(b"HTTP/1.1 408 ")
    head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n"
    assert drip(impatient, head.encode(), lambda: b" ").startswith(b"HTTP/1.1 408 ")
    head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n"
    assert drip(impatient, head.encode() + b" " * 20000, lambda: b" ").startswith(b"HTTP/1.1 408 ")
    # A connection without a request is closed.
    with socket.create_connection(("127.0.0.1", impatient.http_port), timeout=120) as connection:
        assert not connection.recv(1000).startswith(b"HTTP/1.1 2")
    # This process itself may be too slow, on a busy machine.
    eventually(lambda: impatient.infer().status == 200)


def test_an_answer_that_takes_too_long(gateway: GatewayHost) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        upstream = {**gateway.settings["upstream"], "http": mute.getsockname()[1]}
        gateway.deploy(limits=gateway.limits(requestSeconds=1), upstream=upstream)
        answer = gateway.infer()
        assert (answer.status, answer.error) == (504, "the server did not answer in time")


def test_a_server_that_is_down(gateway: GatewayHost) -> None:
    gateway.deploy()
    answer = gateway.infer()
    assert (answer.status, answer.error) == (503, "the server does not take requests now")


def test_connections_have_a_limit(impatient: GatewayHost) -> None:
    impatient.deploy(limits=impatient.limits(connections=4))
    idle: List[socket.socket] = []
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            made = socket.create_connection(("127.0.0.1", impatient.http_port))
            idle.append(stack.enter_context(made))
        # It waits until those that say nothing are sent away, after a second.
        assert impatient.infer().status == 200
        assert time.monotonic() - began > 0.9
