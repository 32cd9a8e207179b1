"""Malformed requests harm nobody: neither the gateway, nor the server, nor other clients."""

import os
import time
from pathlib import Path

import pytest
from gateway_host import GatewayHost, Load
from malformed import ATTACKS, attack

#: More of them: GATEWAY_REQUESTS=10000. A failure names the seed of its request.
REQUESTS = int(os.environ.get("GATEWAY_REQUESTS", "500"))


@pytest.mark.parametrize("kind", ATTACKS)
def test_malformed_requests_harm_nobody(gateway: GatewayHost, kind: str) -> None:
    gateway.serve()
    server, proxies = gateway.host.server_pid, gateway.proxy.processes()
    with Load(gateway, 50, lambda: None, "") as load:
        faults = attack(gateway, kind, REQUESTS)
        time.sleep(0.5)
    assert load.failures == []
    assert load.sent > 10
    assert faults == []
    assert gateway.host.server_pid == server
    assert gateway.proxy.processes() == proxies
    assert "segmentation fault" not in Path(gateway.directory.server / "logs/triton.log").read_text(
        "utf-8", "replace"
    )
