"""The certificate that a gateway makes for itself, as clients need it."""

import ssl
from typing import Iterator

import pytest
from agent.errors import HostError
from gateway_host import GatewayHost, gateway_hosts
from stand_in_host import Host

SELF_SIGNED = {"mode": "selfSigned"}


@pytest.fixture
def gateway(host: Host) -> Iterator[GatewayHost]:
    yield from gateway_hosts(host)


def names_in(pem: str, gateway: GatewayHost) -> "set[str]":
    file = gateway.directory.path / "shown.pem"
    file.write_text(pem, "ascii")
    found = ssl._ssl._test_decode_cert(str(file))  # type: ignore[attr-defined]
    return {value for _, value in found["subjectAltName"]}


def test_is_answered_without_its_key_and_lies_beside(gateway: GatewayHost) -> None:
    gateway.serve()
    pem = gateway.deploy(tls=SELF_SIGNED, names=["gpu.example", "203.0.113.9", "2001:DB8::9"])["certificate"]
    assert pem.startswith("-----BEGIN CERTIFICATE-----\n")
    assert "PRIVATE" not in pem
    file = gateway.directory.gateway / "certificate.pem"
    assert file.read_text("ascii") == pem
    assert file.stat().st_mode & 0o777 == 0o600
    names = names_in(pem, gateway)
    assert {"gpu.example", "localhost", "203.0.113.9", "127.0.0.1", "2001:DB8:0:0:0:0:0:9"} <= names
    trusting = ssl.create_default_context(cadata=pem)
    assert gateway.ask("GET", "/v2/health/ready", tls=trusting).status == 200


def test_stays_the_same_until_clients_call_the_host_otherwise(gateway: GatewayHost) -> None:
    gateway.serve()
    first = gateway.deploy(tls=SELF_SIGNED, names=["2001:db8::9", "GPU.example"])["certificate"]
    again = gateway.deploy(limits=gateway.limits(bodyMegabytes=1), names=["gpu.example"])
    assert (again["state"], again["certificate"]) == ("reloaded", first)
    assert gateway.deploy() == {"state": "unchanged", "warnings": again["warnings"], "certificate": first}
    renamed = gateway.deploy(names=["other.example"])
    assert renamed["state"] == "reloaded"
    assert "other.example" in names_in(renamed["certificate"], gateway)


def test_is_not_there_with_another_kind_of_tls(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(tls=SELF_SIGNED)
    assert gateway.deploy(tls={"mode": "off"})["certificate"] == ""
    assert not (gateway.directory.gateway / "certificate.pem").exists()


@pytest.mark.parametrize("name", ["", "a,DNS:b", "a b", "a/b", 7])
def test_has_no_name_that_is_none(gateway: GatewayHost, name: object) -> None:
    with pytest.raises(HostError, match=r"names\[0\]"):
        gateway.deploy(tls=SELF_SIGNED, names=[name])
