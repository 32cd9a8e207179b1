"""What a gateway is told: where it listens, who may come, and how much."""

import ipaddress
import re
from typing import Any, Dict, List, NamedTuple, Optional

from ..errors import HostError

#: Smallest and largest value of each limit.
_LIMITS = {
    "bodyMegabytes": (1, 4096),
    "jsonKilobytes": (1, 16384),
    "headerKilobytes": (1, 64),
    "connections": (1, 100_000),
    "requestSeconds": (1, 86_400),
}
_TLS_MODES = ("off", "selfSigned", "certificate")
_HIGHEST_PORT = 65535
_HIGHEST_RATE = 1_000_000


class Token(NamedTuple):
    """A secret that a client shows. Only what it hashes to is known here."""

    #: For the access log.
    name: str
    #: In lower case.
    sha256: str
    #: 0: no limit.
    requests_per_second: int


class Ports(NamedTuple):
    http: int
    grpc: int
    #: None: metrics are not let through.
    metrics: Optional[int]


class Tls(NamedTuple):
    #: "off", "selfSigned" or "certificate".
    mode: str
    #: PEM: the certificate, then those that vouch for it.
    certificate: str
    key: str


class Limits(NamedTuple):
    body_megabytes: int
    #: Of what a request says in JSON, which is all of it but for binary tensors.
    json_kilobytes: int
    header_kilobytes: int
    connections: int
    #: How long a client waits for an answer at most, and how long a stream may be silent.
    request_seconds: int


class GatewaySettings(NamedTuple):
    #: An IP address without brackets.
    address: str
    ports: Ports
    #: Where Triton listens, on 127.0.0.1.
    upstream: Ports
    tls: Tls
    #: PEM of the authority whose certificates clients must have; empty if they need none.
    client_ca: str
    #: Empty: no token is asked for.
    tokens: List[Token]
    limits: Limits
    access_log: bool
    #: Whether gRPC streams pass where HAProxy is too old to look into them.
    unchecked_streams: bool
    #: By what else clients call the host, for a certificate that is made here.
    names: List[str]

    @property
    def encrypted(self) -> bool:
        return self.tls.mode != "off"

    @property
    def knows_clients(self) -> bool:
        """Whether not everybody has the right to use it."""
        return bool(self.tokens) or self.client_ca != ""


def parse_gateway(body: Dict[str, Any]) -> GatewaySettings:
    """
    :raises HostError: on a value that is none
    """
    _refuse_others(body, GatewaySettings._fields, "", also=("httpPort", "grpcPort", "metricsPort"))
    ports = _ports(body, ("httpPort", "grpcPort", "metricsPort"), "")
    upstream = _ports(_object(body, "upstream"), ("http", "grpc", "metrics"), "upstream.")
    settings = GatewaySettings(
        _address(_text(body, "address")),
        ports,
        upstream,
        _tls(_object(body, "tls")),
        _pem(_text(body, "clientCa"), "clientCa", "CERTIFICATE"),
        _tokens(body.get("tokens")),
        _limits(_object(body, "limits")),
        _boolean(body, "accessLog"),
        _boolean({"uncheckedStreams": False, **body}, "uncheckedStreams"),
        _names(body.get("names", [])),
    )
    if ports.metrics is not None and upstream.metrics is None:
        raise _fault("upstream.metrics", None, "give the port of Triton's metrics")
    if settings.client_ca and not settings.encrypted:
        raise HostError(
            "certificates of clients are asked for without TLS", "set gateway.tls, or remove gateway.clientCa"
        )
    return settings


def _fault(name: str, value: Any, fix: str) -> HostError:
    if value is None:
        return HostError(f"the gateway setting {name} is missing", fix)
    shown = repr(value) if isinstance(value, (int, str)) else f"a {type(value).__name__}"
    return HostError(f"the gateway setting {name} is {shown}", fix)


def _refuse_others(
    body: Dict[str, Any], fields: "tuple[str, ...]", prefix: str, also: "tuple[str, ...]" = ()
) -> None:
    camel = {re.sub(r"_(.)", lambda found: found.group(1).upper(), name) for name in fields}
    for name in body:
        if name not in camel and name not in also:
            raise HostError(
                f"unknown gateway setting '{prefix}{name}'", "use an agent of the same release as the stack"
            )


def _object(body: Dict[str, Any], name: str) -> Dict[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise _fault(name, value, "pass an object")
    return value


def _text(body: Dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise _fault(name, value, "pass a text")
    return value


def _boolean(body: Dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool):
        raise _fault(name, value, "pass true or false")
    return value


def _number(value: Any, name: str, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise _fault(name, value, f"use a whole number from {lowest} to {highest}")
    return value


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise _fault("address", text, "use an IP address of the host, or 0.0.0.0") from None


def _ports(body: Dict[str, Any], names: "tuple[str, str, str]", prefix: str) -> Ports:
    http, grpc, metrics = (body.get(name) for name in names)
    found = Ports(
        _number(http, f"{prefix}{names[0]}", 1, _HIGHEST_PORT),
        _number(grpc, f"{prefix}{names[1]}", 1, _HIGHEST_PORT),
        None if metrics is None else _number(metrics, f"{prefix}{names[2]}", 1, _HIGHEST_PORT),
    )
    if len(set(found)) < len(found):
        raise HostError(f"two of the gateway's ports are the same: {found}", "use three ports")
    return found


def _names(body: Any) -> List[str]:
    """Names and addresses of the host. What is neither would become part of another option of openssl."""
    if not isinstance(body, list):
        raise _fault("names", body, "pass a list")
    for index, name in enumerate(body):
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", name):
            raise _fault(f"names[{index}]", name, "pass a host's name or IP address")
    return body


def _pem(text: str, name: str, *kinds: str) -> str:
    """A PEM file. What is none would end up somewhere in an error of the proxy; what is secret must not."""
    if text and not any(
        re.search(f"^-----BEGIN [A-Z0-9 ]*{kind}-----$", text, re.MULTILINE) for kind in kinds
    ):
        raise HostError(
            f"the gateway setting {name} is no PEM file of a {' or '.join(kinds).lower()}", "check it"
        )
    return text if not text or text.endswith("\n") else f"{text}\n"


def _tls(body: Dict[str, Any]) -> Tls:
    mode = body.get("mode")
    if mode not in _TLS_MODES:
        raise _fault("tls.mode", mode, f"use one of: {', '.join(_TLS_MODES)}")
    if mode != "certificate":
        return Tls(mode, "", "")
    return Tls(
        mode,
        _pem(_text(body, "certificate"), "tls.certificate", "CERTIFICATE") or _missing("tls.certificate"),
        _pem(_text(body, "key"), "tls.key", "PRIVATE KEY") or _missing("tls.key"),
    )


def _missing(name: str) -> str:
    raise _fault(name, None, "pass a PEM file")


def _tokens(body: Any) -> List[Token]:
    if not isinstance(body, list) or not all(isinstance(entry, dict) for entry in body):
        raise _fault("tokens", body, "pass a list of objects")
    tokens = []
    for index, entry in enumerate(body):
        where = f"tokens[{index}]"
        name, digest = entry.get("name"), entry.get("sha256")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
            raise _fault(f"{where}.name", name, "use 1 to 64 letters, digits, '_', '-' and '.'")
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            # A secret passed by mistake must not be shown.
            raise HostError(f"the gateway setting {where}.sha256 is no SHA-256", "pass 64 hexadecimal digits")
        rate = _number(entry.get("requestsPerSecond"), f"{where}.requestsPerSecond", 0, _HIGHEST_RATE)
        tokens.append(Token(name, digest.lower(), rate))
    for what, values in (
        ("name", [token.name for token in tokens]),
        ("secret", [token.sha256 for token in tokens]),
    ):
        if len(set(values)) < len(values):
            raise HostError(f"two tokens have the same {what}", "give each its own")
    return tokens


def _limits(body: Dict[str, Any]) -> Limits:
    _refuse_others(body, Limits._fields, "limits.")
    return Limits(
        *(
            _number(body.get(name), f"limits.{name}", lowest, highest)
            for name, (lowest, highest) in _LIMITS.items()
        )
    )
