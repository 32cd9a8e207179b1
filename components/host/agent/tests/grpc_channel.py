"""A client of gRPC that keeps its connection, as clients of Triton do. The agent's own makes one for each call."""

import select
import socket
import ssl
import struct
from typing import Dict, List, NamedTuple, Optional
from urllib.parse import unquote

from agent.triton.hpack import Decoder, encode_literal

SERVICE = "/inference.GRPCInferenceService"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_FRAME_BYTES = 16384


class Called(NamedTuple):
    """How a call ended."""

    #: gRPC's status; -1 if HTTP's is not 200.
    status: int
    message: str
    #: What was answered, without the five bytes before each.
    messages: List[bytes]
    http_status: str


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def message(data: bytes) -> bytes:
    return b"\0" + struct.pack("!I", len(data)) + data


class Channel:
    """One connection at a time, and one call on it at a time. A server that wants to end the connection gets another
    one for the next call, not for one that is under way: who fails then has failed."""

    def __init__(self, port: int, tls: Optional[ssl.SSLContext] = None, seconds: float = 120) -> None:
        self._port = port
        self._tls = tls
        self._seconds = seconds
        self._socket: Optional[socket.socket] = None
        #: How many connections there have been.
        self.connections = 0

    @property
    def first_window(self) -> int:
        """Bytes of a call that the server takes before it has to say that it takes more."""
        return self._first_window

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, path: str, body: bytes = b"", metadata: Optional[Dict[str, str]] = None) -> Called:
        self.open(path, metadata)
        self.send(body, last=True)
        return self.finish()

    def open(self, path: str, metadata: Optional[Dict[str, str]] = None) -> None:
        self._ready()
        self._stream += 2
        self._buffer = b""
        self._answer: Dict[str, str] = {}
        self._ended = False
        self._window = self._first_window
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
            **(metadata or {}),
        }
        block = b"".join(encode_literal(name, value) for name, value in headers.items())
        self._write(frame(_HEADERS, 4, self._stream, block))

    def send(self, body: bytes, *, last: bool = False) -> None:
        self.send_bytes(message(body), last=last)

    def send_bytes(self, data: bytes, *, last: bool = False) -> None:
        """A part of a message."""
        while data and not self._ended:
            room = min(_FRAME_BYTES, self._window, self._connection_window)
            if room <= 0:
                self._read_frame()
                continue
            part, data = data[:room], data[room:]
            self._window -= len(part)
            self._connection_window -= len(part)
            self._write(frame(_DATA, 0 if data or not last else 1, self._stream, part))

    def start(self, length: int) -> None:
        """Announces a message, and does not send it."""
        self._write(frame(_DATA, 0, self._stream, b"\0" + struct.pack("!I", length)))

    def end(self) -> None:
        """No further message follows."""
        self._write(frame(_DATA, 1, self._stream, b""))

    def receive(self) -> bytes:
        """The next message of a stream."""
        while True:
            found = self._take()
            if found is not None:
                return found
            assert not self._ended, self._answer
            self._read_frame()

    def finish(self) -> Called:
        while not self._ended:
            self._read_frame()
        messages = []
        while True:
            found = self._take()
            if found is None:
                break
            messages.append(found)
        status = int(self._answer.get("grpc-status", "-1"))
        return Called(
            status, unquote(self._answer.get("grpc-message", "")), messages, self._answer[":status"]
        )

    def _take(self) -> Optional[bytes]:
        if len(self._buffer) < 5:
            return None
        length = 5 + int.from_bytes(self._buffer[1:5], "big")
        if len(self._buffer) < length:
            return None
        found, self._buffer = self._buffer[5:length], self._buffer[length:]
        return found

    def _ready(self) -> None:
        """A connection that takes another call."""
        if self._socket is not None:
            # What has arrived since the last call counts.
            while self._socket is not None and (
                self._pending() or select.select([self._socket], [], [], 0)[0]
            ):
                try:
                    self._read_frame()
                except ConnectionError:
                    self.close()
            if self._socket is not None and (self._going or self._stream > 2**30):
                self.close()
        if self._socket is None:
            self._connect()

    def _pending(self) -> bool:
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=self._seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = (
            plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname="localhost")
        )
        self._decoder = Decoder()
        self._going = False
        self._stream = -1
        self._first_window = self._connection_window = self._window = 65535
        self.connections += 1
        settings = struct.pack("!HIHI", 1, 0, 4, 2**31 - 1)
        self._write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(_SETTINGS, 0, 0, settings))
        self._write(frame(_WINDOW_UPDATE, 0, 0, struct.pack("!I", 2**30)))

    def _write(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.sendall(data)

    def _read(self, length: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < length:
            received = self._socket.recv(length - len(data))
            if not received:
                raise ConnectionError("the server hung up")
            data += received
        return data

    def _read_frame(self) -> None:
        head = self._read(9)
        payload = self._read(int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
        if kind == _SETTINGS and not flags & 1:
            self._settings(payload)
            self._write(frame(_SETTINGS, 1, 0, b""))
        elif kind == _PING and not flags & 1:
            self._write(frame(_PING, 1, 0, payload))
        elif kind == _GOAWAY:
            self._going = True
            if int.from_bytes(payload[:4], "big") < self._stream:
                raise ConnectionError("the server takes no further call")
        elif kind == _WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload, "big"))
        elif stream == self._stream:
            self._of_the_call(kind, flags, payload)

    def _settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack("!HI", payload):
            if name == 4:
                self._window += value - self._first_window
                self._first_window = value

    def _widen(self, stream: int, by: int) -> None:
        if stream == 0:
            self._connection_window += by
        elif stream == self._stream:
            self._window += by

    def _of_the_call(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _RST_STREAM:
            code = int.from_bytes(payload, "big")
            # NO_ERROR after a whole answer: what is left of the request is not wanted.
            if code == 0 and self._ended:
                return
            raise ConnectionError(f"the server ended the call with {code}")
        if kind == _HEADERS:
            self._answer.update(self._decoder.decode(payload))
        elif kind == _DATA:
            self._buffer += payload
        self._ended = self._ended or bool(flags & 1)
