"""Calls over gRPC, to servers that are within the standard and to some that are not."""

import contextlib
import re
import socket
import struct
import threading
from typing import Callable, Iterator, List, Optional, Tuple

import pytest
from agent.triton import grpc
from agent.triton.grpc import Answer, call
from agent.triton.hpack import encode_literal

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
STATUS = encode_literal(":status", "200")


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")
        assert self._file.read(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def send(self, kind: int, flags: int = 0, payload: bytes = b"", stream: int = 1) -> None:
        head = struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream)
        self.socket.sendall(head + payload)

    def receive(self) -> Tuple[int, int, int, bytes]:
        head = self._file.read(9)
        payload = self._file.read(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:9], "big"), payload

    def next(self, kind: int) -> Tuple[int, bytes]:
        """The next frame of this kind; flags and payload."""
        while True:
            found, flags, _, payload = self.receive()
            if found == kind:
                return flags, payload

    def request(self) -> bytes:
        """Reads the request to its end."""
        body = b""
        while True:
            flags, payload = self.next(DATA)
            body += payload
            if flags & 1:
                return body

    def finish(self, status: int = 0, message: str = "") -> None:
        trailers = encode_literal("grpc-status", str(status))
        if message:
            trailers += encode_literal("grpc-message", message)
        self.send(HEADERS, 5, trailers)

    def until_hung_up(self) -> None:
        with contextlib.suppress(OSError):
            while self._file.read(1):
                pass


@contextlib.contextmanager
def serving(behave: Callable[[Peer], None]) -> Iterator[str]:
    """The address of a server that behaves so in one connection."""
    failed: List[BaseException] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            # As gRPC's servers. Else the kernel may keep back what is sent last, and drop it when this side hangs up.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                try:
                    behave(Peer(connection))
                except BaseException as error:
                    failed.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(30)
    assert not failed, failed


def ask(behave: Callable[[Peer], None], message: bytes = b"x", seconds: float = 30) -> Answer:
    with serving(behave) as address:
        return call(address, "/package.Service/Method", message, seconds)


def test_a_plain_answer() -> None:
    seen: List[bytes] = []

    def behave(peer: Peer) -> None:
        peer.send(SETTINGS, 0, b"", 0)
        seen.append(peer.request())
        peer.send(HEADERS, 4, STATUS)
        peer.send(DATA, 0, b"\0\0\0\0\3abc")
        peer.finish()
        peer.until_hung_up()

    answer = ask(behave, b"hello")
    assert (answer.status, answer.body, answer.lost) == (grpc.OK, b"abc", False)
    assert seen == [b"\0\0\0\0\5hello"]


def test_a_reason_with_spaces_and_more() -> None:
    def behave(peer: Peer) -> None:
        peer.request()
        # Nothing but trailers.
        peer.send(
            HEADERS,
            5,
            STATUS
            + encode_literal("grpc-status", "13")
            + encode_literal("grpc-message", "it%27s gone%3A %C3%A9"),
        )
        peer.until_hung_up()

    answer = ask(behave)
    assert (answer.status, answer.message, answer.lost) == (13, "it's gone: é", False)


def test_pings_padding_and_headers_in_pieces() -> None:
    def behave(peer: Peer) -> None:
        peer.send(SETTINGS, 0, struct.pack("!HI", 1, 0), 0)
        flags, _ = peer.next(SETTINGS)
        assert flags == 0
        peer.send(PING, 0, b"12345678", 0)
        assert peer.next(PING) == (1, b"12345678")
        # An answer to a ping that nobody sent, and a kind of frame that nobody knows.
        peer.send(PING, 1, b"12345678", 0)
        peer.send(77, 255, b"?", 0)
        trailers = encode_literal("grpc-status", "9") + encode_literal("grpc-message", "in%20pieces")
        # With priority and padding.
        peer.send(HEADERS, 8 | 32, b"\2" + b"\0\0\0\0\1" + STATUS[:5] + b"\0\0")
        peer.send(CONTINUATION, 4, STATUS[5:])
        peer.send(DATA, 8, b"\3" + b"\0\0\0\0\0" + b"\0\0\0")
        peer.send(HEADERS, 1, trailers[:4])
        peer.send(CONTINUATION, 0, trailers[4:9])
        peer.send(CONTINUATION, 4, trailers[9:])
        peer.until_hung_up()

    answer = ask(behave)
    assert (answer.status, answer.message, answer.body) == (9, "in pieces", b"")


def test_a_message_larger_than_the_windows() -> None:
    """The client may only send what the server has allowed, on the stream and on the connection."""
    message = bytes(range(256)) * 256
    received: List[int] = []

    def behave(peer: Peer) -> None:
        peer.send(SETTINGS, 0, struct.pack("!HI", 4, 1000), 0)
        body = b""
        while len(body) < len(message) + 5:
            _, payload = peer.next(DATA)
            body += payload
            received.append(len(payload))
            peer.send(WINDOW_UPDATE, 0, struct.pack("!I", len(payload)), 1)
            peer.send(WINDOW_UPDATE, 0, struct.pack("!I", len(payload)), 0)
        assert body[5:] == message
        peer.finish()
        peer.until_hung_up()

    assert ask(behave, message).status == grpc.OK
    assert max(received) <= 16384


def test_an_answer_before_the_request_has_been_sent() -> None:
    def behave(peer: Peer) -> None:
        peer.send(SETTINGS, 0, struct.pack("!HI", 4, 10), 0)
        peer.next(DATA)
        peer.finish(8, "too%20large")
        peer.until_hung_up()

    assert ask(behave, b"x" * 200_000).message == "too large"


def test_an_answer_followed_by_the_end_of_the_connection() -> None:
    def behave(peer: Peer) -> None:
        peer.request()
        peer.send(PING, 0, b"12345678", 0)
        peer.send(HEADERS, 4, STATUS)
        peer.finish()

    assert ask(behave).status == grpc.OK


@pytest.mark.parametrize(
    ("behave", "message"),
    [
        (
            lambda peer: peer.send(RST_STREAM, 0, struct.pack("!I", 7)),
            r"the server ended the call \(HTTP/2 error 7\)",
        ),
        (lambda peer: peer.send(GOAWAY, 0, struct.pack("!II", 0, 0), 0), "takes no calls any more"),
        (lambda peer: None, "hung up"),
        (lambda peer: peer.send(DATA, 8, b""), "the connection broke"),
        (lambda peer: peer.send(HEADERS, 5, b"\xff\xff"), "the connection broke"),
        (lambda peer: peer.send(SETTINGS, 0, b"abc", 0), "the connection broke"),
        (lambda peer: peer.send(WINDOW_UPDATE, 0, b"", 0), "the connection broke"),
        (lambda peer: peer.send(HEADERS, 5, encode_literal("grpc-status", "x")), "the connection broke"),
        (lambda peer: peer.send(DATA, 0, b"x" * 16385), "does not speak HTTP/2"),
    ],
    ids=["rst", "goaway", "hangs up", "padding", "headers", "settings", "window", "status", "frame"],
)
def test_an_answer_that_does_not_come(behave: Callable[[Peer], None], message: str) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        behave(peer)

    answer = ask(serve)
    assert answer.lost
    assert answer.status == grpc.UNAVAILABLE
    assert re.search(message, answer.message)


def test_going_away_after_this_call_is_no_end() -> None:
    def behave(peer: Peer) -> None:
        peer.request()
        peer.send(GOAWAY, 0, struct.pack("!II", 1, 0), 0)
        peer.send(HEADERS, 4, STATUS)
        peer.finish()
        peer.until_hung_up()

    assert ask(behave).status == grpc.OK


def test_a_server_of_another_protocol() -> None:
    """It must not be mistaken for one that works for long: the server would be ended for it."""

    def behave(peer: Peer) -> None:
        peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.until_hung_up()

    answer = ask(behave)
    assert (answer.status, answer.lost) == (grpc.UNAVAILABLE, True)


def test_a_server_without_grpc() -> None:
    def behave(peer: Peer) -> None:
        peer.request()
        peer.send(HEADERS, 5, encode_literal(":status", "404"))
        peer.until_hung_up()

    answer = ask(behave)
    assert (answer.status, answer.lost) == (grpc.UNAVAILABLE, False)
    assert "HTTP status 404" in answer.message


class Clock:
    """Time passes as the client asks for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
        self.now = 0.0
        self.step = step
        monkeypatch.setattr(grpc.time, "monotonic", self)

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Stuck:
    """A connection on which nothing moves any more once so many bytes were sent."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __enter__(self) -> "Stuck":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def settimeout(self, seconds: float) -> None:
        assert 0 < seconds <= 1

    def send(self, data: bytes) -> int:
        sent = min(len(data), self.room)
        if sent == 0:
            raise socket.timeout("timed out")
        self.room -= sent
        return sent

    def recv(self, _: int) -> bytes:
        raise socket.timeout("timed out")


@pytest.mark.parametrize("room", [10_000, 10], ids=["does not answer", "does not read"])
def test_a_server_on_which_nothing_moves_is_late(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    waited: List[float] = []
    monkeypatch.setattr(grpc.socket, "create_connection", lambda *_, **__: Stuck(room))
    Clock(monkeypatch, 2)
    answer = call("127.0.0.1:1", "/package.Service/Method", b"x", 30, waited.append)
    assert (answer.status, answer.lost) == (grpc.DEADLINE_EXCEEDED, True)
    assert answer.message == "no answer within 30 s"
    assert waited == sorted(waited)
    assert len(waited) > 3


@pytest.mark.parametrize("error", [socket.timeout("timed out"), ConnectionRefusedError(111, "refused")])
def test_a_connection_that_does_not_come_about_is_no_deadline(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """In Python 3.10 and later a socket's timeout is a TimeoutError."""

    def refuse(*_: object, **__: object) -> Optional[socket.socket]:
        raise error

    monkeypatch.setattr(grpc.socket, "create_connection", refuse)
    answer = call("127.0.0.1:1", "/package.Service/Method", b"x", 30)
    assert (answer.status, answer.lost) == (grpc.UNAVAILABLE, True)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:8001", ("::1", 8001)),
        ("host.example:1", ("host.example", 1)),
    ],
)
def test_addresses(address: str, parts: Tuple[str, int]) -> None:
    assert grpc.split_address(address) == parts


def test_fields_of_protocol_buffers() -> None:
    assert grpc.string_field(2, "testing") == b"\x12\x07testing"
    assert grpc.bytes_field(3, b"x" * 300) == b"\x1a\xac\x02" + b"x" * 300
