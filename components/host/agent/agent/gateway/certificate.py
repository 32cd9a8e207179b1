"""The certificate that a gateway shows."""

import contextlib
import hashlib
import shutil
import socket
import ssl
import tempfile
from pathlib import Path
from typing import List, Optional

from ..directory import HostDirectory, write_file
from ..errors import HostError
from ..programs import call
from .settings import GatewaySettings

#: Clients are told to trust it: another one would be a change for each of them.
_DAYS = 3650
#: Seconds before its end from which a certificate is warned of.
_SOON = 14 * 24 * 3600


def certificate_of(directory: HostDirectory, settings: GatewaySettings) -> str:
    """PEM of the certificate and its key; empty without TLS."""
    if not settings.encrypted:
        return ""
    if settings.tls.mode == "certificate":
        return settings.tls.certificate + settings.tls.key
    return _self_signed(directory, settings.address)


def self_signed_file(directory: HostDirectory) -> Path:
    return directory.gateway / "self-signed.pem"


def warnings_of(settings: GatewaySettings, pem: str) -> List[str]:
    """What the person who deploys should know."""
    found = []
    if settings.tls.mode == "selfSigned":
        found.append(
            "the gateway's certificate is self-signed: clients have to trust it, and see who they talk to only if they "
            f"compare its SHA-256 fingerprint, {fingerprint(pem)}"
        )
    if pem and _ends_soon(pem):
        found.append("the gateway's certificate has ended or ends within 14 days")
    return found


def fingerprint(pem: str) -> str:
    """As browsers and openssl show it."""
    end = "-----END CERTIFICATE-----"
    start = pem.index("-----BEGIN CERTIFICATE-----")
    first = pem[start : pem.index(end, start) + len(end)]
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest().upper()
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))


def _ends_soon(pem: str) -> bool:
    openssl = shutil.which("openssl")
    if openssl is None:
        return False
    shown = call([openssl, "x509", "-noout", "-checkend", str(_SOON)], text=pem, seconds=20)
    return "will expire" in shown.out


def _self_signed(directory: HostDirectory, address: str) -> str:
    """The one that was made before, as long as it lasts."""
    file = self_signed_file(directory)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = file.read_text("ascii")
        if "PRIVATE KEY" in text and "BEGIN CERTIFICATE" in text and not _ends_soon(text):
            return text
    pem = _make(directory, address)
    write_file(file, pem, 0o600)
    return pem


def _make(directory: HostDirectory, address: str) -> str:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise HostError(
            "the gateway needs openssl to make a self-signed certificate, which this host does not have",
            "sudo apt-get install openssl",
        )
    host = socket.gethostname() or "localhost"
    names = ",".join(
        f"DNS:{name}" for name in dict.fromkeys([host, socket.getfqdn(), "localhost"]) if _is_name(name)
    )
    addresses = ",".join(
        f"IP:{each}" for each in dict.fromkeys([*_own_addresses(address), "127.0.0.1", "::1"])
    )
    # Not where temporary files usually are: the key is for this user alone.
    with tempfile.TemporaryDirectory(dir=directory.gateway) as folder:
        certificate, key = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
        words = [
            *(openssl, "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-days", str(_DAYS), "-subj", "/CN=xsched-triton gateway"),
            *("-addext", f"subjectAltName={names},{addresses}"),
            *("-addext", "extendedKeyUsage=serverAuth", "-addext", "keyUsage=critical,digitalSignature"),
            *("-keyout", str(key), "-out", str(certificate)),
        ]
        made = call(words, seconds=60)
        if not made.ok:
            raise HostError(
                f"openssl cannot make a self-signed certificate: {made.reason}",
                "set gateway.tls to a certificate of your own",
            )
        return certificate.read_text("ascii") + key.read_text("ascii")


def _is_name(name: str) -> bool:
    return name.isascii() and "," not in name and name != ""


def _own_addresses(address: str) -> List[str]:
    """Those that clients are likely to use: the one that is listened at, or those that the host reaches others from."""
    if address not in ("0.0.0.0", "::"):
        return [address]
    found = [_source_of(socket.AF_INET, "192.0.2.1"), _source_of(socket.AF_INET6, "2001:db8::1")]
    return [each for each in found if each is not None]


def _source_of(family: int, remote: str) -> Optional[str]:
    """The address of this host on the way to another one. Nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((remote, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
