"""Who may come through the gateway, and how often: tokens, rates, TLS, certificates of clients."""

import hashlib
import ssl
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from agent.errors import HostError
from agent.gateway.certificate import fingerprint
from agent.triton.grpc import string_field
from gateway_host import GatewayHost, Load, bearer, make_authority, openssl, token
from grpc_channel import SERVICE, Channel

#: Of the issue that asked for a gateway.
RATE = 200


def certificate(pem: "tuple[str, str]") -> Dict[str, str]:
    return {"mode": "certificate", "certificate": pem[0], "key": pem[1]}


def test_a_token_is_asked_for(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(tokens=[token("batch", "one"), token("web", "two")])
    for headers in (
        {},
        bearer("three"),
        bearer(""),
        {"authorization": "Basic b25lOg=="},
        {"authorization": "one"},
        {"authorization": "Bearer one two"},
        {"authorization": "Bearer one, Bearer one"},
        # What is stored must be of no use.
        bearer(hashlib.sha256(b"one").hexdigest()),
    ):
        answer = gateway.infer(headers=headers)
        assert (answer.status, answer.error) == (401, "no valid token"), headers
        assert answer.headers["www-authenticate"] == "Bearer"
        called = gateway.channel().call(f"{SERVICE}/ModelInfer", b"", headers)
        assert (called.status, called.message, called.http_status) == (16, "no valid token", "200"), headers
    for headers in (bearer("one"), bearer("two"), {"authorization": "bearer  two"}):
        assert gateway.infer(headers=headers).status == 200, headers
        assert gateway.channel().call(f"{SERVICE}/ModelInfer", b"", headers).status == 0, headers


def test_health_needs_no_token(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(tokens=[token("batch", "one", 1)])
    for _ in range(3):
        assert gateway.ask("GET", "/v2/health/live").status == 200
        assert gateway.ask("GET", "/v2/health/ready").status == 200
        assert gateway.channel().call(f"{SERVICE}/ServerReady").status == 0
    assert gateway.ask("GET", "/v2").status == 401
    assert gateway.ask("GET", "/v2/models/scale/ready").status == 401
    assert gateway.channel().call(f"{SERVICE}/ModelReady").status == 16


def test_two_headers_with_a_token_are_none(gateway: GatewayHost) -> None:
    gateway.deploy(tokens=[token("batch", "one")])
    lines = "GET /v2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer one\r\nAuthorization: Bearer one\r\n\r\n"
    assert gateway.raw(lines.encode()).startswith(b"HTTP/1.1 401 ")


def test_a_token_has_a_rate_over_http_and_grpc(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(tokens=[token("slow", "one", 4), token("free", "two")])
    channel = gateway.channel()
    began = time.monotonic()
    through = limited = 0
    # Until it was asked for much more than is let through, which takes longer on a busy machine.
    while time.monotonic() - began < 4 or limited <= 20:
        assert time.monotonic() - began < 180, (through, limited)
        answer = gateway.infer(headers=bearer("one"))
        called = channel.call(f"{SERVICE}/ModelInfer", b"", bearer("one"))
        through += (answer.status == 200) + (called.status == 0)
        if answer.status != 200:
            limited += 1
            assert (answer.status, answer.error) == (429, "too many requests for this token")
            assert answer.headers["retry-after"] == "1"
        if called.status != 0:
            limited += 1
            assert (called.status, called.message) == (8, "too many requests for this token")
    # It goes on with its rate, however often it asks: the first second's requests come at once.
    seconds = time.monotonic() - began
    assert 4 * 4 * 0.7 <= through <= 4 * (seconds + 1) * 1.3, (through, limited, seconds)
    # The other token is not concerned.
    assert gateway.infer(headers=bearer("two")).status == 200


def test_a_token_is_written_nowhere(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(tokens=[token("batch", "a-secret-word")])
    assert gateway.ask("GET", "/v2?key=another-word", headers=bearer("a-secret-word")).status == 200
    gateway.host.run("status")
    while "/v2" not in gateway.log:
        time.sleep(0.01)
    for path in gateway.directory.path.glob("**/*"):
        if path.is_file():
            assert b"a-secret-word" not in path.read_bytes(), path
    assert '"batch" GET "/v2" 200' in gateway.log
    assert "another-word" not in gateway.log


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_tls_with_a_certificate(gateway: GatewayHost, tmp_path: Path) -> None:
    gateway.serve()
    authority = make_authority(tmp_path)
    assert gateway.deploy(tls=certificate(authority.sign("gateway")))["warnings"] == []
    trusted = authority.trusted()
    assert gateway.infer(tls=trusted).status == 200
    assert Channel(gateway.grpc_port, trusted).call(f"{SERVICE}/ModelInfer").status == 0
    # Nobody is served in plain text any more.
    assert gateway.infer().status in (0, 400)
    with pytest.raises(ssl.SSLCertVerificationError):
        gateway.infer(tls=ssl.create_default_context())
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        gateway.infer(tls=old)


def test_a_self_signed_certificate_stays(gateway: GatewayHost) -> None:
    gateway.serve()
    deployed = gateway.deploy(tls={"mode": "selfSigned"})
    file = gateway.directory.gateway / "self-signed.pem"
    pem = file.read_text()
    [warning] = deployed["warnings"]
    assert "self-signed" in warning and fingerprint(pem) in warning
    assert file.stat().st_mode & 0o777 == 0o600
    trusted = ssl.create_default_context(cafile=str(file))
    assert gateway.infer(tls=trusted).status == 200
    assert Channel(gateway.grpc_port, trusted).call(f"{SERVICE}/ModelInfer").status == 0
    # Clients have been told of it.
    assert gateway.deploy()["state"] == "unchanged"
    gateway.deploy(limits=gateway.limits(connections=50))
    assert file.read_text() == pem


def test_a_certificate_that_ends_soon_is_warned_of(gateway: GatewayHost, tmp_path: Path) -> None:
    made = make_authority(tmp_path)
    openssl(
        *("req", "-x509", "-key", str(made.key), "-subj", "/CN=localhost", "-days", "3"),
        *("-out", str(made.certificate)),
    )
    deployed = gateway.deploy(tls=certificate((made.certificate.read_text(), made.key.read_text())))
    assert deployed["warnings"] == ["the gateway's certificate has ended or ends within 14 days"]


def test_a_key_of_another_certificate_is_refused(gateway: GatewayHost, tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    first, second = authority.sign("one"), authority.sign("two")
    gateway.deploy(tls=certificate(first))
    with pytest.raises(HostError) as caught:
        gateway.host.run("gateway", body={**gateway.settings, "tls": certificate((first[0], second[1]))})
    assert "HAProxy refuses the gateway's settings: " in caught.value.what
    assert "PRIVATE" not in caught.value.what
    assert gateway.deploy()["state"] == "unchanged"


def test_clients_have_to_show_a_certificate(gateway: GatewayHost, tmp_path: Path) -> None:
    gateway.serve()
    ours, theirs = make_authority(tmp_path, "ours"), make_authority(tmp_path, "theirs")
    gateway.deploy(tls=certificate(ours.sign("gateway")), clientCa=theirs.certificate.read_text())

    def client(*, authority: Any) -> ssl.SSLContext:
        context = ours.trusted()
        if authority is not None:
            authority.sign("client")
            context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        return context

    assert gateway.infer(tls=client(authority=theirs)).status == 200
    assert Channel(gateway.grpc_port, client(authority=theirs)).call(f"{SERVICE}/ModelInfer").status == 0
    for stranger in (None, ours):
        assert refused(gateway, client(authority=stranger)), stranger


def refused(gateway: GatewayHost, tls: ssl.SSLContext) -> bool:
    """With TLS 1.3 a client hears of it with its first answer."""
    try:
        return gateway.infer(tls=tls).status == 0
    except OSError:
        return True


def test_a_change_under_load_fails_no_request(gateway: GatewayHost, tmp_path: Path) -> None:
    """Certificate, token and limit."""
    gateway.serve()
    authority = make_authority(tmp_path)
    one, two = token("batch", "one", 100_000), token("web", "two")
    gateway.deploy(tls=certificate(authority.sign("first")), tokens=[one, two])
    trusted = authority.trusted()
    changes: List[Dict[str, Any]] = [
        {"tls": certificate(authority.sign("second"))},
        {"tokens": [one]},
        {"tokens": [one, token("web", "three")]},
        {"limits": gateway.limits(bodyMegabytes=8)},
        {"limits": gateway.limits(jsonKilobytes=64, connections=500)},
        {"tokens": [{**one, "requestsPerSecond": 90_000}]},
    ]
    with Load(gateway, RATE, lambda: trusted, "one") as load:
        for change in changes:
            load.wait_for(RATE)
            assert gateway.deploy(**change)["state"] == "reloaded"
        load.wait_for(RATE)
    assert load.failures == []
    assert gateway.infer(tls=trusted, headers=bearer("two")).status == 401
    shown = ssl.get_server_certificate(("127.0.0.1", gateway.http_port), ca_certs=None)
    assert fingerprint(shown) == fingerprint((tmp_path / "second.pem").read_text())


def test_a_stream_outlives_a_change(gateway: GatewayHost) -> None:
    gateway.serve()
    channel = gateway.channel()
    channel.open(f"{SERVICE}/ModelStreamInfer")
    first, *others = (string_field(3, text) for text in ("first", "second", "third"))
    channel.send(first)
    assert channel.receive() == first
    gateway.deploy(limits=gateway.limits(bodyMegabytes=8))
    for message in others:
        channel.send(message)
        assert channel.receive() == message
    channel.end()
    assert channel.finish().status == 0
    assert gateway.host.run("status")["gateway"]["running"] is True
