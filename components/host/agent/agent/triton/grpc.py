"""Unary calls over gRPC: HTTP/2 (RFC 9113) without TLS, one request a connection.

Triton answers a load over HTTP on the worker that took it, and every other connection of that worker waits as long.
Over gRPC nobody waits.
"""

import contextlib
import socket
import struct
import time
from typing import Callable, Dict, List, Optional, Tuple
from urllib.parse import unquote

from .hpack import Decoder, encode_literal

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
#: RFC 9113, section 4.2: what every peer takes.
_FRAME_BYTES = 16384
_FIRST_WINDOW = 65535

#: gRPC status codes that tell the caller something: https://grpc.io/docs/guides/status-codes/
OK, DEADLINE_EXCEEDED, UNAVAILABLE = 0, 4, 14


class Answer:
    """How a call ended."""

    def __init__(self, status: int, message: str, body: bytes = b"", *, lost: bool = False) -> None:
        #: gRPC's status code; UNAVAILABLE also if the connection broke, DEADLINE_EXCEEDED if the time was over.
        self.status = status
        self.message = message
        #: Whether the server did not answer: nobody knows what has happened.
        self.lost = lost
        #: The message that was answered, as protocol buffers encode it.
        self.body = body


def string_field(number: int, text: str) -> bytes:
    """A field of a protocol buffer with a string or an embedded message in it."""
    return bytes_field(number, text.encode("utf-8"))


def bytes_field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A number of variable length, as protocol buffers encode it; `value` is not negative."""
    encoded = bytearray()
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def call(
    address: str,
    method: str,
    message: bytes,
    seconds: float,
    waiting: Optional[Callable[[float], None]] = None,
    metadata: Optional[Dict[str, str]] = None,
) -> Answer:
    """Calls `/package.Service/Method` and waits for its answer.

    :param address: `host:port`; IPv6 in brackets
    :param seconds: the deadline
    :param waiting: is told about once a second how long it has taken
    :param metadata: headers of the call
    """
    try:
        return _Call(address, seconds, waiting).run(method, message, metadata or {})
    except _DeadlineError:
        return Answer(DEADLINE_EXCEEDED, f"no answer within {seconds:.0f} s", lost=True)
    except (OSError, ValueError, IndexError, struct.error) as error:
        return Answer(UNAVAILABLE, f"the connection broke: {error}", lost=True)


class _DeadlineError(Exception):
    """The time is over. Not TimeoutError, which is also what a socket raises, in Python 3.10 and later."""


def split_address(address: str) -> Tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


class _Call:
    def __init__(self, address: str, seconds: float, waiting: Optional[Callable[[float], None]]) -> None:
        self._address = address
        self._began = self._told = time.monotonic()
        self._end = self._began + seconds
        self._waiting = waiting
        self._buffer = b""
        # What the peer allows us to send, on the stream and on the connection.
        self._windows = [_FIRST_WINDOW, _FIRST_WINDOW]
        self._first_window = _FIRST_WINDOW
        self._decoder = Decoder()
        self._block: List[bytes] = []
        self._block_ends_stream = False
        self._headers: List[Tuple[str, str]] = []
        self._body = b""
        self._ended = False

    def run(self, method: str, message: bytes, metadata: Dict[str, str]) -> Answer:
        with socket.create_connection(split_address(self._address), timeout=10) as self._socket:
            # No table for headers, no push, a window larger than any answer.
            settings = struct.pack("!HIHIHI", 1, 0, 2, 0, 4, 2**31 - 1)
            self._send(_PREFACE + _frame(_SETTINGS, 0, 0, settings))
            headers = {
                ":method": "POST",
                ":scheme": "http",
                ":path": method,
                ":authority": self._address,
                "te": "trailers",
                "content-type": "application/grpc",
                "user-agent": "xsched-triton",
                **metadata,
            }
            block = b"".join(encode_literal(name, value) for name, value in headers.items())
            self._send(_frame(_HEADERS, _END_HEADERS, 1, block))
            self._send_data(b"\0" + struct.pack("!I", len(message)) + message)
            while not self._ended:
                self._read_frame()
            return self._answer()

    def _send_data(self, data: bytes) -> None:
        while data:
            room = min(_FRAME_BYTES, *self._windows)
            if room <= 0:
                self._read_frame()
                if self._ended:
                    return
                continue
            part, data = data[:room], data[room:]
            self._windows = [window - len(part) for window in self._windows]
            self._send(_frame(_DATA, 0 if data else _END_STREAM, 1, part))

    def _send(self, data: bytes) -> None:
        """Sends all of it, or until the time is over: a peer that does not read lets us wait."""
        while data:
            self._await()
            with contextlib.suppress(socket.timeout):
                data = data[self._socket.send(data) :]

    def _reply(self, data: bytes) -> None:
        """Answers a frame. A peer that has answered the call may have hung up since: what it has sent counts."""
        with contextlib.suppress(OSError):
            self._send(data)

    def _await(self) -> None:
        """Lets the next operation on the socket wait for a while, and tells how long it has taken."""
        now = time.monotonic()
        if now >= self._end:
            raise _DeadlineError
        if self._waiting is not None and now - self._told >= 1:
            self._told = now
            self._waiting(now - self._began)
        self._socket.settimeout(min(1.0, self._end - now))

    def _receive(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._await()
            try:
                received = self._socket.recv(65536)
            except socket.timeout:
                continue
            if not received:
                raise ConnectionError("the server hung up")
            self._buffer += received
        data, self._buffer = self._buffer[:length], self._buffer[length:]
        return data

    def _read_frame(self) -> None:
        head = self._receive(9)
        length = int.from_bytes(head[:3], "big")
        if length > _FRAME_BYTES:
            raise ConnectionError("what answers does not speak HTTP/2")
        kind, flags = head[3], head[4]
        stream = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        payload = self._receive(length)
        if kind == _SETTINGS and not flags & _ACK:
            self._take_settings(payload)
            self._reply(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._reply(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE:
            self._windows[0 if stream else 1] += struct.unpack("!I", payload)[0] & 0x7FFFFFFF
        elif kind == _DATA and stream == 1:
            self._body += _without_padding(payload, flags)
            if length:
                self._reply(_frame(_WINDOW_UPDATE, 0, 0, struct.pack("!I", length)))
            self._ended = flags & _END_STREAM != 0
        elif kind in (_HEADERS, _CONTINUATION) and stream == 1:
            self._take_headers(kind, flags, payload)
        elif kind == _RST_STREAM and stream == 1:
            raise ConnectionError(
                f"the server ended the call (HTTP/2 error {struct.unpack('!I', payload)[0]})"
            )
        elif kind == _GOAWAY and int.from_bytes(payload[:4], "big") & 0x7FFFFFFF < 1:
            raise ConnectionError("the server takes no calls any more")

    def _take_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack("!HI", payload):
            if name == 4:
                self._windows[0] += value - self._first_window
                self._first_window = value

    def _take_headers(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _HEADERS:
            payload = _without_padding(payload, flags)
            self._block = [payload[5:] if flags & _PRIORITY else payload]
            self._block_ends_stream = flags & _END_STREAM != 0
        else:
            self._block.append(payload)
        if flags & _END_HEADERS:
            self._headers += self._decoder.decode(b"".join(self._block))
            self._ended = self._block_ends_stream

    def _answer(self) -> Answer:
        headers = dict(self._headers)
        if "grpc-status" not in headers:
            return Answer(
                UNAVAILABLE, f"no gRPC server answers there (HTTP status {headers.get(':status', 'unknown')})"
            )
        message = unquote(headers.get("grpc-message", ""))
        return Answer(int(headers["grpc-status"]), message, self._body[5:])


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def _without_padding(payload: bytes, flags: int) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
