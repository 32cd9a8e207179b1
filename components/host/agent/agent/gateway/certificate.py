"""The certificate that a gateway shows."""

import contextlib
import hashlib
import ipaddress
import re
import shutil
import socket
import ssl
import tempfile
from pathlib import Path
from typing import List, Optional, Set

from ..directory import HostDirectory, write_file
from ..errors import HostError
from ..programs import call
from .settings import GatewaySettings

#: Clients are told to trust it: another one would be a change for each of them.
_DAYS = 3650
#: Addresses that stand for all of the host's.
_EVERY = ("0.0.0.0", "::")
#: Seconds before its end from which a certificate is warned of.
_SOON = 14 * 24 * 3600


def certificate_of(directory: HostDirectory, settings: GatewaySettings) -> str:
    """PEM of the certificate and its key; empty without TLS."""
    if not settings.encrypted:
        return ""
    if settings.tls.mode == "certificate":
        return settings.tls.certificate + settings.tls.key
    return _self_signed(directory, settings)


def self_signed_file(directory: HostDirectory) -> Path:
    return directory.gateway / "self-signed.pem"


def show_certificate(directory: HostDirectory, settings: GatewaySettings, pem: str) -> str:
    """PEM of a certificate that was made here, for clients to trust; empty without one. It is also in
    `certificate.pem`, without the key."""
    file = directory.gateway / "certificate.pem"
    if settings.tls.mode != "selfSigned":
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        return ""
    text = f"{_first(pem)}\n"
    write_file(file, text, 0o600)
    return text


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
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first(pem))).hexdigest().upper()
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))


def _first(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    start = pem.index("-----BEGIN CERTIFICATE-----")
    return pem[start : pem.index(end, start) + len(end)]


def _ends_soon(pem: str) -> bool:
    openssl = shutil.which("openssl")
    if openssl is None:
        return False
    shown = call([openssl, "x509", "-noout", "-checkend", str(_SOON)], text=pem, seconds=20)
    return "will expire" in shown.out


def _self_signed(directory: HostDirectory, settings: GatewaySettings) -> str:
    """The one that was made before, as long as it lasts and has the names by which clients call the host."""
    file = self_signed_file(directory)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = file.read_text("ascii")
        whole = "PRIVATE KEY" in text and "BEGIN CERTIFICATE" in text
        if whole and not _ends_soon(text) and _named(settings) <= _names_in(text):
            return text
    pem = _make(directory, settings)
    write_file(file, pem, 0o600)
    return pem


def _named(settings: GatewaySettings) -> Set[str]:
    """What somebody has named. Other addresses of the host may change without a reason for another certificate."""
    own = [] if settings.address in _EVERY else [settings.address]
    return {_canonical(name) for name in [*own, *settings.names]}


def _names_in(pem: str) -> Set[str]:
    openssl = shutil.which("openssl")
    if openssl is None:
        return set()
    shown = call([openssl, "x509", "-noout", "-ext", "subjectAltName"], text=pem, seconds=20)
    return {_canonical(name) for name in re.findall(r"(?:DNS|IP Address):([^,\s]+)", shown.out)}


def _canonical(name: str) -> str:
    """An IPv6 address can be written in many ways."""
    return str(ipaddress.ip_address(name)) if _is_address(name) else name.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _make(directory: HostDirectory, settings: GatewaySettings) -> str:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise HostError(
            "the gateway needs openssl to make a self-signed certificate, which this host does not have",
            "sudo apt-get install openssl",
        )
    host = socket.gethostname() or "localhost"
    called = [*settings.names, host, socket.getfqdn(), "localhost"]
    names = [f"DNS:{name}" for name in dict.fromkeys(called) if _is_name(name)]
    numbers = [*_own_addresses(settings.address), *filter(_is_address, settings.names), "127.0.0.1", "::1"]
    addresses = [f"IP:{each}" for each in dict.fromkeys(map(_canonical, numbers))]
    # Not where temporary files usually are: the key is for this user alone.
    with tempfile.TemporaryDirectory(dir=directory.gateway) as folder:
        certificate, key = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
        words = [
            *(openssl, "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-days", str(_DAYS), "-subj", "/CN=xsched-triton gateway"),
            *("-addext", f"subjectAltName={','.join([*names, *addresses])}"),
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
    return name.isascii() and "," not in name and name != "" and not _is_address(name)


def _own_addresses(address: str) -> List[str]:
    """Those that clients are likely to use: the one that is listened at, or those that the host reaches others from."""
    if address not in _EVERY:
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
