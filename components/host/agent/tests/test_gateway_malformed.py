"""Malformed requests harm nobody: neither the gateway, nor the server, nor other clients."""

import os
import time
from pathlib import Path

import pytest
from gateway_host import GatewayHost, Load
from malformed import attack, grpc_request, http_request

#: More of them: GATEWAY_REQUESTS=10000. A failure names the seed of its request.
REQUESTS = int(os.environ.get("GATEWAY_REQUESTS", "1000"))


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
