"""Malformed requests harm nobody: neither the gateway, nor the server, nor other clients."""

import contextlib
import os
import random
import socket
import threading
import time
from pathlib import Path
from typing import Callable, List

import pytest
from gateway_host import GatewayHost, Load
from malformed import grpc_request, http_request

#: More of them: GATEWAY_REQUESTS=10000. A failure names the seed of its request.
REQUESTS = int(os.environ.get("GATEWAY_REQUESTS", "1000"))
CLIENTS = 8


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


def attack(port: int, request: Callable[[random.Random], bytes], count: int) -> List[str]:
    """Sends so many; returns what was answered as if the gateway or the server had failed."""
    faults: List[str] = []

    def client(first: int) -> None:
        for seed in range(first, count, CLIENTS):
            answer = send(port, request(random.Random(seed)))
            if answer.startswith((b"HTTP/1.1 500", b"HTTP/1.1 502", b"HTTP/1.1 504")):
                faults.append(f"seed {seed}: {answer[:200]!r}")

    threads = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_malformed_requests_harm_nobody(gateway: GatewayHost, kind: str) -> None:
    gateway.serve()
    server, proxies = gateway.host.server_pid, gateway.proxy.processes()
    port, request = (gateway.http_port, http_request) if kind == "http" else (gateway.grpc_port, grpc_request)
    with Load(gateway, 50, lambda: None, "") as load:
        faults = attack(port, request, REQUESTS)
        time.sleep(0.5)
    assert load.failures == []
    assert load.sent > 10
    assert faults == []
    assert gateway.host.server_pid == server
    assert gateway.proxy.processes() == proxies
    assert "segmentation fault" not in Path(gateway.directory.server / "logs/triton.log").read_text(
        "utf-8", "replace"
    )
