"""Malformed requests, generated: HTTP/1.1 and HTTP/2 as a client in error, or one with bad intent, might send them."""

import contextlib
import random
import socket
import struct
import threading
from typing import Callable, Dict, List, Optional

from agent.triton.hpack import encode_literal
from gateway_host import GatewayHost
from grpc_channel import SERVICE, frame, message
from malformed_inferences import ask_grpc, ask_http

CLIENTS = 8
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_METHODS = [b"GET", b"POST", b"HEAD", b"PUT", b"TRACE", b"get", b"", b"G T", b"\x00", b"PRI", b"A" * 200]
_PATHS = [
    b"/v2",
    b"/v2/health/live",
    b"/v2/models/scale/infer",
    b"/v2/models/scale/generate",
    b"/v2/repository/index",
    b"/v2/models/%00/infer",
    b"/v2/models/\xff\xfe/infer",
    b"/v2/models/" + b"a" * 5000 + b"/infer",
    b"/v2/models/../../infer",
    b"http://[::1/v2",
    b"*",
    b"",
    b" ",
    b"/v2?" + b"%" * 3000,
    b"/v2#/repository",
]
_VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9", b"http/1.1", b"", b"HTTP/1.1 x"]
_HEADERS = [
    b"Host: a",
    b"Host: a\r\nHost: b",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: +5",
    b"Content-Length: 5, 6",
    b"Content-Length: 99999999999999999999999",
    b"Content-Length: 4294967297",
    b"Content-Length : 5",
    b"Content-Length: 0x5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: chunked, identity",
    b"Inference-Header-Content-Length: 18446744073709551615",
    b"Inference-Header-Content-Length: 1\r\nInference-Header-Content-Length: 4",
    b"Expect: 100-continue",
    b"Connection: close, upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA",
    b"Content-Encoding: gzip",
    b"Authorization: Bearer \x01",
    b": empty",
    b"no colon",
    b" folded: line",
    b"A: \x00",
    b"A: b\rC: d",
    b"A: b\nC: d",
    b"X: " + b"y" * 20000,
    b"\xff: a",
]
_BODIES = [
    b"",
    b"{}",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nx",
    b"-5\r\nhello",
    b"1;" + b"x" * 9000 + b"\r\nA\r\n",
    b"1\r\nA\r\n" * 2000,
    b"[" * 70000,
    b'{"inputs":[{"name":"\xff","shape":[-1],"datatype":"?"}]}',
    b"\x00" * 500,
]


def http_request(generator: random.Random) -> bytes:
    head = b" ".join([generator.choice(_METHODS), generator.choice(_PATHS), generator.choice(_VERSIONS)])
    lines = [head, *generator.choices(_HEADERS, k=generator.randrange(5))]
    end = generator.choice([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])
    return _damaged(generator, end.join(lines) + end * 2 + generator.choice(_BODIES))


def grpc_request(generator: random.Random) -> bytes:
    frames = [_FRAMES[generator.randrange(len(_FRAMES))](generator) for _ in range(generator.randrange(1, 8))]
    opening = generator.choice([_PREFACE, _PREFACE, _PREFACE, _PREFACE, b"", _PREFACE[:-3]])
    return _damaged(generator, opening + frame(4, 0, 0, b"") + b"".join(frames))


def _damaged(generator: random.Random, data: bytes) -> bytes:
    """As it is, cut off, or with a few wrong bytes."""
    kind = generator.randrange(4)
    if kind == 0:
        return data[: generator.randrange(len(data) + 1)]
    changed = bytearray(data)
    for _ in range(generator.randrange(1, 6) if kind == 1 and changed else 0):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    return bytes(changed)


def _block(generator: random.Random) -> bytes:
    headers = [
        (":method", generator.choice(["POST", "GET", "", "CONNECT"])),
        (":scheme", generator.choice(["http", "", "\0"])),
        (
            ":path",
            generator.choice([f"{SERVICE}/ModelInfer", f"{SERVICE}/RepositoryIndex", "", "x", "/" * 3000]),
        ),
        (":authority", generator.choice(["a", "", "a b"])),
        ("content-type", generator.choice(["application/grpc", "a"])),
        ("te", generator.choice(["trailers", "gzip"])),
        ("grpc-timeout", generator.choice(["1S", "-1S", "99999999999H"])),
        ("content-length", generator.choice(["0", "5", "-1", "4294967296"])),
        ("Upper", "a"),
        ("transfer-encoding", "chunked"),
        ("a\0b", "c\r\nd"),
    ]
    generator.shuffle(headers)
    chosen = headers[: generator.randrange(len(headers) + 1)]
    return b"".join(encode_literal(name, value) for name, value in chosen)


def _bytes(generator: random.Random, count: int) -> bytes:
    return bytes(generator.choices(range(256), k=count))


def _stream(generator: random.Random) -> int:
    return generator.choice([0, 1, 1, 1, 2, 3, 5, 2**31 - 1])


#: One of each kind of frame, and then some that say something else than they are.
_FRAMES: List[Callable[[random.Random], bytes]] = [
    lambda g: frame(0, g.randrange(16), _stream(g), message(_bytes(g, g.randrange(200)))),
    lambda g: frame(
        0, g.choice([0, 1, 8]), _stream(g), b"\0" + struct.pack("!I", g.choice([2**32 - 1, 2**31, 7]))
    ),
    lambda g: frame(1, g.choice([4, 5, 0, 0x2C]), _stream(g), _block(g)),
    lambda g: frame(1, 5, 1, _bytes(g, g.randrange(300))),
    lambda g: frame(2, 0, _stream(g), _bytes(g, g.choice([4, 5, 6]))),
    lambda g: frame(3, 0, _stream(g), _bytes(g, g.choice([3, 4, 5]))),
    lambda g: frame(4, g.choice([0, 1]), g.choice([0, 1]), _bytes(g, g.choice([0, 5, 6, 600]))),
    lambda g: frame(5, 4, _stream(g), _bytes(g, 10)),
    lambda g: frame(6, 0, g.choice([0, 1]), _bytes(g, g.choice([7, 8, 9]))),
    lambda g: frame(7, 0, g.choice([0, 1]), _bytes(g, g.choice([3, 8, 50]))),
    lambda g: frame(8, 0, _stream(g), struct.pack("!I", g.choice([0, 1, 2**31 - 1, 2**31]))),
    lambda g: frame(9, 4, _stream(g), _block(g)),
    lambda g: frame(g.randrange(10, 256), g.randrange(256), _stream(g), _bytes(g, g.randrange(50))),
    lambda g: struct.pack("!I", 2**24 - 1)[1:] + bytes([g.randrange(10), 0, 0, 0, 0, 1]),
]


def send(port: int, data: bytes) -> bytes:
    """What comes back at once."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(
        ("127.0.0.1", port), timeout=10
    ) as connection:
        connection.settimeout(0.05)
        connection.sendall(data)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        while len(answer) < 1 << 20:
            received = connection.recv(65536)
            if not received:
                break
            answer += received
    return answer


def ask(port: int, request: Callable[[random.Random], bytes], generator: random.Random) -> Optional[str]:
    """Sends one; returns what was answered if the gateway or the server had failed."""
    answer = send(port, request(generator))
    failed = answer.startswith((b"HTTP/1.1 500", b"HTTP/1.1 502", b"HTTP/1.1 504"))
    return repr(answer[:200]) if failed else None


#: By what they are: HTTP and gRPC are told apart by the first word.
ATTACKS: Dict[str, Callable[[int, random.Random], Optional[str]]] = {
    "HTTP requests": lambda port, generator: ask(port, http_request, generator),
    "HTTP inferences": ask_http,
    "gRPC requests": lambda port, generator: ask(port, grpc_request, generator),
    "gRPC inferences": ask_grpc,
}


def attack(gateway: GatewayHost, name: str, count: int) -> List[str]:
    """Sends so many of a kind; returns what was answered as if the gateway or the server had failed."""
    faults: List[str] = []
    port = gateway.http_port if name.startswith("HTTP") else gateway.grpc_port

    def client(first: int) -> None:
        for seed in range(first, count, CLIENTS):
            fault = ATTACKS[name](port, random.Random(seed))
            if fault is not None:
                faults.append(f"seed {seed}: {fault}")

    threads = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults
