"""The configuration of HAProxy, 2.4 or newer, and the files it names.

What is not listed here is not let through. A request is answered by the gateway itself as Triton would: with JSON over
HTTP, with a status in a header over gRPC.
"""

import hashlib
import json
from typing import Dict, Iterable, List, NamedTuple, Tuple

from ..triton import GRPC_KEY_HEADER, KEY_HEADER
from . import grpc_messages, json_depth, json_shapes
from .json_depth import DEEPEST, HEAD_BYTES
from .settings import GatewaySettings

CONFIG = "haproxy.cfg"
#: What may be shown of the settings.
FACTS = "gateway.json"
#: Below the folder of the gateway, where HAProxy is started: a path from there is short enough for a socket.
CONTROL_SOCKET = "control.sock"

_MODEL = "/v2/models/[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_VERSION = "(/versions/[0-9]{1,18})?"
_READS = f"^/v2(/health/(live|ready)|/models/stats|{_MODEL[3:]}{_VERSION}(/(ready|config|stats))?)?$"
_INFERS = f"^{_MODEL}{_VERSION}/infer$"
_GENERATES = f"^{_MODEL}{_VERSION}/generate(_stream)?$"
_HEALTH = ("/v2/health/live", "/v2/health/ready")

_SERVICE = "/inference.GRPCInferenceService"
_GRPC_HEALTH = (
    f"{_SERVICE}/ServerLive",
    f"{_SERVICE}/ServerReady",
    # Not Watch: Triton never answers it. A client that hears so of it goes on without.
    "/grpc.health.v1.Health/Check",
)
_GRPC_OTHER = tuple(
    f"{_SERVICE}/{name}"
    for name in (
        "ModelReady",
        "ServerMetadata",
        "ModelMetadata",
        "ModelConfig",
        "ModelStatistics",
        "ModelInfer",
        "ModelStreamInfer",
    )
)

#: A client may send its next request just when the configuration changes. The first updates of 2.4 lack it.
KEEP_IDLE = "option idle-close-on-response"
#: Since which HAProxy a TLS handshake has a deadline of its own.
HANDSHAKE_DEADLINE = (2, 9)

#: gRPC's status codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
_INVALID_ARGUMENT, _RESOURCE_EXHAUSTED, _UNIMPLEMENTED, _UNAUTHENTICATED = 3, 8, 12, 16

#: Seconds in which the headers of a request must be there, and the part of its body that is looked at.
_HEADER_SECONDS = 10
_BODY_SECONDS = 30
#: Bytes of a call that asks for health: it names a service at most.
_HEALTH_BYTES = 1024
#: What part of all connections those may take that come from one address which has shown no right, and the fewest. A
#: client may open hundreds at once before the first one has shown its token.
_PART_OF_A_STRANGER, _FEWEST_OF_A_STRANGER = 2, 16
#: Seconds that a connection of before a change of the configuration may last: the longest life of a stream under it.
_FORMER_SECONDS = 3600
#: More threads than these would only wait for each other.
_MOST_THREADS = 4
#: When, at which port, who, what, and how it ended.
_LOG_FORMAT = (
    "%[date,utime(%Y-%m-%dT%H:%M:%SZ)] %f %ci:%cp %{+Q}[var(txn.client)] %HM %{+Q,+E}[var(txn.path)] %ST"
    " grpc-status=%[var(txn.grpc_status)] bytes-in=%U bytes-out=%B ms=%Ta %ts"
)
#: The name of the token that a request shows.
_CLIENT = "req.fhdr(authorization),word(2,' '),sha2(256),hex,lower,map_str(tokens.map)"
#: What is known of each token's rate.
_TOKENS = (
    "backend tokens",
    "  stick-table type string len 64 size 10k expire 10s store gpc0,gpc0_rate(1s)",
    "",
)
#: What is known of each address, or of a network of 64 bits in IPv6: how many connections it has, and whether one of
#: them has shown a right. It is forgotten an hour after the last one.
_SOURCES = (
    "backend sources",
    "  stick-table type ipv6 size 100k expire 1h store conn_cur,gpt0",
    "",
)
#: Bytes of a large message of gRPC in which all but its raw contents has to be.
_HEAD_OF_MESSAGE = 65536
#: Bytes of a stream that HTTP/2 lets a client send before it is told otherwise.
_SMALLEST_WINDOW = 65535
#: Stands for the digest while that is computed.
_DIGEST = "DIGEST"


class Rendered(NamedTuple):
    """A configuration."""

    digest: str
    #: Name and content.
    files: Dict[str, str]


def render(
    settings: GatewaySettings,
    certificate: str,
    *,
    threads: int,
    user: str,
    group: str,
    keeps_idle: bool = True,
    has_filters: bool = True,
    limits_handshakes: bool = False,
) -> Rendered:
    """
    :param certificate: PEM of the certificate and its key; empty without TLS
    :param threads: how many processors there are
    :param user: whose rights HAProxy keeps; empty: those of whoever starts it
    :param group: of that user
    :param keeps_idle: whether HAProxy knows `KEEP_IDLE`
    :param has_filters: whether it lets Lua look at messages as they pass
    :param limits_handshakes: whether it is as new as `HANDSHAKE_DEADLINE`
    """
    config = [
        *_global(settings, min(threads, _MOST_THREADS), user, group),
        *_defaults(settings, keeps_idle, limits_handshakes),
        *_http(settings),
        *_grpc(settings, has_filters),
        *(_metrics(settings) if settings.ports.metrics is not None else []),
        *(_TOKENS if settings.tokens else []),
        *(_SOURCES if settings.knows_clients else []),
    ]
    files = {
        CONFIG: "\n".join(config) + "\n",
        "grpc_messages.lua": grpc_messages.SCRIPT,
        "json_depth.lua": json_depth.SCRIPT,
        "json_shapes.lua": json_shapes.SCRIPT,
        FACTS: json.dumps(_facts(settings), indent=2) + "\n",
    }
    if certificate:
        files["tls.pem"] = certificate
    if settings.client_ca:
        files["client-ca.pem"] = settings.client_ca
    if settings.tokens:
        files["tokens.map"] = _map((token.sha256, token.name) for token in settings.tokens)
        files["rates.map"] = _map((token.name, token.requests_per_second) for token in settings.tokens)
    digest = digest_of(files)
    files[CONFIG] = files[CONFIG].replace(f"description {_DIGEST}", f"description {digest}")
    return Rendered(digest, files)


def digest_of(files: Dict[str, str]) -> str:
    """Names a configuration, also one that says its own digest."""
    total = hashlib.sha256()
    for name, content in sorted(files.items()):
        text = content
        if name == CONFIG:
            head, found, rest = content.partition("  description ")
            text = f"{head}{found}{_DIGEST}\n{rest.partition(chr(10))[2]}" if found else content
        total.update(f"{name}\0{len(text)}\0{text}".encode())
    return total.hexdigest()[:16]


def _facts(settings: GatewaySettings) -> Dict[str, object]:
    return {
        "address": settings.address,
        "httpPort": settings.ports.http,
        "grpcPort": settings.ports.grpc,
        "metricsPort": settings.ports.metrics,
        "tls": settings.tls.mode,
        "clientCertificates": settings.client_ca != "",
        "tokens": [token.name for token in settings.tokens],
    }


def _map(entries: Iterable[Tuple[str, object]]) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries)


def _global(settings: GatewaySettings, threads: int, user: str, group: str) -> List[str]:
    limits = settings.limits
    # A request's headers, or the JSON of its body, must fit into one buffer.
    room = max(limits.json_kilobytes, HEAD_BYTES // 1024) * 1024
    buffer = room + (limits.header_kilobytes + 16) * 1024
    # What a client may send of a call before HAProxy has answered. With HTTP/2's own 64 KB, a client 20 ms away sends
    # 3 MB/s at most. It must fit into a stream's buffer, or a call that is slow to pass would hold up others of its
    # connection.
    window = max(room, _SMALLEST_WINDOW)
    lines = [
        "global",
        "  default-path config",
        f"  description {_DIGEST}",
        f"  stats socket unix@{CONTROL_SOCKET} mode 600 level operator expose-fd listeners",
        f"  maxconn {limits.connections}",
        f"  nbthread {threads}",
        f"  hard-stop-after {_FORMER_SECONDS}s",
        "  mworker-max-reloads 16",
        f"  tune.bufsize {buffer}",
        f"  tune.maxrewrite {8 * 1024}",
        f"  tune.h2.initial-window-size {window}",
        "  lua-load json_depth.lua",
        "  lua-load json_shapes.lua",
        "  lua-load grpc_messages.lua",
        # Mozilla's "intermediate": https://wiki.mozilla.org/Security/Server_Side_TLS
        "  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        "  ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20",
    ]
    if user:
        # Without the group, that of root would stay.
        lines += [f"  user {user}", f"  group {group}"]
    if settings.access_log:
        lines.append("  log stdout len 2048 format raw local0 info")
    return [*lines, ""]


def _defaults(settings: GatewaySettings, keeps_idle: bool, limits_handshakes: bool) -> List[str]:
    seconds = settings.limits.request_seconds
    lines = [
        "defaults",
        "  mode http",
        f"  maxconn {settings.limits.connections}",
        "  timeout connect 5s",
        "  timeout queue 5s",
        f"  timeout http-request {_HEADER_SECONDS}s",
        f"  timeout http-keep-alive {seconds}s",
        f"  timeout client {seconds}s",
        *([f"  timeout client-hs {_HEADER_SECONDS}s"] if limits_handshakes else []),
        # HAProxy 3.4 waits so long for the client of an idle connection to end it as well.
        f"  timeout client-fin {_BODY_SECONDS}s",
        f"  timeout server {seconds}s",
        *([f"  {KEEP_IDLE}"] if keeps_idle else []),
        # An answer of a stream must not wait for the next one.
        "  option http-no-delay",
    ]
    if settings.access_log:
        # Without the query and without headers: either may hold what is secret.
        lines += [
            "  log global",
            "  option dontlognull",
            f"  log-format '{_LOG_FORMAT}'",
        ]
    errors = {
        400: "the request is malformed",
        408: "the request did not arrive in time",
        500: "the gateway failed",
        502: "the server gave no valid answer",
        503: "the server does not take requests now",
        504: "the server did not answer in time",
    }
    lines += [f"  http-error status {status} {_json(what)}" for status, what in errors.items()]
    return [*lines, ""]


def _json(error: str) -> str:
    return f"content-type application/json string '{json.dumps({'error': error})}'"


def _answer(status: int, error: str, condition: str) -> str:
    return f"  http-request return status {status} {_json(error)} {condition}"


def _grpc_answer(status: int, error: str, condition: str) -> str:
    """As gRPC answers without a message: "Trailers-Only" of
    https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md"""
    return f"  http-request return status 200 hdr grpc-status {status} hdr grpc-message '{error}' {condition}"


def _bind(settings: GatewaySettings, port: int, protocol: str) -> str:
    address = f"[{settings.address}]" if ":" in settings.address else settings.address
    words = [f"  bind {address}:{port}", f"proto {protocol}"]
    if settings.address == "::":
        words.append("v4v6")
    if settings.encrypted:
        words.append(f"ssl crt tls.pem alpn {'h2' if protocol == 'h2' else 'http/1.1'}")
    if settings.client_ca:
        words.append("ca-file client-ca.pem verify required")
    return " ".join(words)


def _sources(settings: GatewaySettings) -> List[str]:
    """How many connections come from one address. Whoever shows no right must not hold those of all others: HAProxy
    before 2.9 waits for a TLS handshake as long as for an answer, and each one for the first byte of HTTP/2."""
    if not settings.knows_clients:
        return []
    most = max(_FEWEST_OF_A_STRANGER, settings.limits.connections // _PART_OF_A_STRANGER)
    return [
        # An address of IPv4 is taken as such, also where IPv6 listens for it.
        "  tcp-request connection track-sc1 src,ipmask(32,64) table sources",
        "  acl stranger sc_get_gpt0(1,sources) eq 0",
        f"  tcp-request connection reject if stranger {{ sc_conn_cur(1,sources) gt {most} }}",
        # Only after a handshake, and so with a certificate.
        *([] if settings.tokens else ["  tcp-request session sc-set-gpt0(1) 1"]),
    ]


def _admission(settings: GatewaySettings, *, grpc: bool, free: str) -> List[str]:
    """Who may come, and how often.

    :param free: a condition of requests that need no token
    """
    if not settings.tokens:
        return []
    unknown, many = "no valid token", "too many requests for this token"
    if grpc:
        refusals = [
            _grpc_answer(_UNAUTHENTICATED, unknown, f"if !{free} !known"),
            _grpc_answer(_RESOURCE_EXHAUSTED, many, f"if !{free} limited over"),
        ]
    else:
        bearer = "hdr www-authenticate Bearer"
        refusals = [
            f"  http-request return status 401 {bearer} {_json(unknown)} if !{free} !known",
            f"  http-request return status 429 hdr retry-after 1 {_json(many)} if !{free} limited over",
        ]
    return [
        f"  http-request set-var(txn.rate) var(txn.client),map_str_int(rates.map,0) if !{free} known",
        "  acl limited var(txn.rate) -m int gt 0",
        f"  http-request track-sc0 var(txn.client) table tokens if !{free} limited",
        "  acl over sc_gpc0_rate(0,tokens),sub(txn.rate) -m int ge 0",
        *refusals,
        # Only what is let through counts: a client that goes on too fast gets its limit, not nothing.
        f"  http-request sc-inc-gpc0(0) if !{free} limited",
        "  http-request del-header authorization",
    ]


def _start(settings: GatewaySettings, *, grpc: bool) -> List[str]:
    """What holds for each connection and each request."""
    return [
        *_sources(settings),
        "  http-request set-var(txn.path) path",
        # Headers that control Triton are the deployment's own.
        f"  http-request del-header {KEY_HEADER}",
        f"  http-request del-header {GRPC_KEY_HEADER}",
        *_recognition(settings, grpc=grpc),
    ]


def _recognition(settings: GatewaySettings, *, grpc: bool) -> List[str]:
    """Whose token a request shows, and what follows for its connection and its address."""
    if not settings.tokens:
        return []
    return [
        "  acl one_bearer req.fhdr(authorization) -m reg -i '^bearer +[^ ]+ *$'",
        f"  http-request set-var(txn.client) {_CLIENT} if one_bearer {{ req.fhdr_cnt(authorization) eq 1 }}",
        "  acl known var(txn.client) -m found",
        "  acl proven var(sess.proven) -m bool",
        "  http-request sc-set-gpt0(1) 1 if known !proven",
        "  http-request set-var(sess.proven) bool(true) if known !proven",
        # Nobody else's connection is kept for the next request. With HTTP/2 HAProxy has no means for that.
        *([] if grpc else ["  http-after-response set-header connection close if !proven"]),
    ]


def _header_condition(settings: GatewaySettings) -> str:
    return f"if {{ req.hdrs,length gt {settings.limits.header_kilobytes * 1024} }}"


def _compressed(header: str) -> str:
    # A condition on a header is true if any of its values fulfils it, so there may be only one.
    several, one = f"{{ req.hdr_cnt({header}) gt 1 }}", f"{{ req.hdr_cnt({header}) eq 1 }}"
    return f"if {several} or {one} !{{ req.hdr({header}) -i identity }}"


def _server(port: int, protocol: str) -> str:
    return f"  server triton 127.0.0.1:{port} proto {protocol}"


def _http(settings: GatewaySettings) -> List[str]:
    limits = settings.limits
    json_bytes = limits.json_kilobytes * 1024
    too_large = f"the JSON part of a request may have {limits.json_kilobytes} KB"
    return [
        "frontend http",
        _bind(settings, settings.ports.http, "h1"),
        *_start(settings, grpc=False),
        f"  acl health path {' '.join(_HEALTH)}",
        f"  acl reads path -m reg '{_READS}'",
        f"  acl infers path -m reg '{_INFERS}'",
        f"  acl generates path -m reg '{_GENERATES}'",
        "  acl get method GET",
        "  acl post method POST",
        # HTTP/0.9, to which Triton has no answer.
        _answer(400, "this port speaks HTTP/1.1", "unless { req.ver 1.0 1.1 }"),
        _answer(
            431,
            f"the headers of a request may have {limits.header_kilobytes} KB",
            _header_condition(settings),
        ),
        _answer(404, "not found", "unless get reads or post infers or post generates"),
        *_admission(settings, grpc=False, free="health"),
        # What Triton reads is what was checked: no query, no host in the address.
        "  http-request set-uri %[path]",
        _answer(411, "a request needs a Content-Length", "if { req.hdr_cnt(transfer-encoding) gt 0 }"),
        _answer(411, "a request needs a Content-Length", "if post !{ req.hdr(content-length) -m found }"),
        _answer(400, "this request has no body", "if get { req.hdr_val(content-length) gt 0 }"),
        _answer(
            415,
            "compressed requests are not taken: nobody knows how large they are",
            _compressed("content-encoding"),
        ),
        _answer(
            413,
            f"a request may have {limits.body_megabytes} MB",
            f"if {{ req.hdr_val(content-length) gt {limits.body_megabytes * 1024 * 1024} }}",
        ),
        # Only an inference can have a binary part.
        "  http-request del-header inference-header-content-length unless infers",
        "  acl binary req.hdr(inference-header-content-length) -m found",
        _answer(
            400,
            "Inference-Header-Content-Length is not a number within the body",
            "if binary !{ req.fhdr(inference-header-content-length) -m reg '^[0-9]{1,9}$' }",
        ),
        _answer(
            400,
            "Inference-Header-Content-Length is there twice",
            "if { req.hdr_cnt(inference-header-content-length) gt 1 }",
        ),
        "  http-request set-var(txn.json_bytes) req.hdr_val(content-length) if post",
        "  http-request set-var(txn.body_bytes) req.hdr_val(content-length) if post",
        "  http-request set-var(txn.json_bytes) req.hdr_val(inference-header-content-length) if binary",
        _answer(
            400,
            "Inference-Header-Content-Length is larger than the body",
            "if binary { var(txn.json_bytes),sub(txn.body_bytes) -m int gt 0 }",
        ),
        _answer(413, too_large, f"if post {{ var(txn.json_bytes) -m int gt {json_bytes} }}"),
        f"  acl small var(txn.json_bytes) -m int le {HEAD_BYTES}",
        f"  http-request wait-for-body time {_BODY_SECONDS}s at-least {HEAD_BYTES} if post small",
        f"  http-request wait-for-body time {_BODY_SECONDS}s if post !small",
        f"  http-request set-var(txn.head) req.body,bytes(0,{HEAD_BYTES}) if post small",
        _answer(
            400,
            f"the JSON of a request may be nested {DEEPEST} levels deep",
            f"if post {{ lua.json_deeper({DEEPEST}) -m bool }}",
        ),
        _answer(
            400,
            "a shape has more elements than the request has bytes, or two dimensions of 0, or one where a"
            " classification is asked for; or a key is written with escapes",
            "if infers { lua.shapes_wrong -m bool }",
        ),
        "  default_backend triton-http",
        "",
        "backend triton-http",
        _server(settings.upstream.http, "h1"),
        "",
    ]


def _grpc(settings: GatewaySettings, has_filters: bool) -> List[str]:
    limits = settings.limits
    most = limits.body_megabytes * 1024 * 1024
    # Smaller messages are there as a whole, in the room that there is for JSON.
    large = max(limits.json_kilobytes * 1024, HEAD_BYTES)
    head = min(large, _HEAD_OF_MESSAGE)
    too_large = f"a message may have {limits.body_megabytes} MB"
    return [
        "frontend grpc",
        _bind(settings, settings.ports.grpc, "h2"),
        *_start(settings, grpc=True),
        f"  acl health path {' '.join(_GRPC_HEALTH)}",
        f"  acl other path {' '.join(_GRPC_OTHER)}",
        f"  acl infers path {_SERVICE}/ModelInfer",
        f"  acl streams path {_SERVICE}/ModelStreamInfer",
        "  acl grpc req.hdr(content-type) -m beg application/grpc",
        _answer(415, "this port speaks gRPC", "unless grpc { method POST }"),
        _grpc_answer(
            _RESOURCE_EXHAUSTED,
            f"the headers of a request may have {limits.header_kilobytes} KB",
            _header_condition(settings),
        ),
        _grpc_answer(_UNIMPLEMENTED, "not let through by the gateway", "unless health or other"),
        *_admission(settings, grpc=True, free="health"),
        "  http-request set-uri %[path]",
        _grpc_answer(
            _UNIMPLEMENTED,
            "compressed requests are not taken: nobody knows how large they are",
            _compressed("grpc-encoding"),
        ),
        _grpc_answer(_RESOURCE_EXHAUSTED, too_large, f"if {{ req.hdr_val(content-length) gt {most + 5} }}"),
        # Nobody has shown a token yet, and Triton waits for the end of a message.
        f"  http-request wait-for-body time {_BODY_SECONDS}s at-least {_HEALTH_BYTES + 1} if health",
        _grpc_answer(
            _RESOURCE_EXHAUSTED,
            f"a request for health may have {_HEALTH_BYTES} bytes",
            f"if health {{ req.body_len gt {_HEALTH_BYTES} }}",
        ),
        # A message begins with a byte and its length. A stream may begin long before its first message.
        f"  http-request wait-for-body time {_BODY_SECONDS}s at-least 5 if infers",
        "  http-request set-var(txn.message_bytes) req.body,bytes(1,4),hex,hex2i if infers",
        _grpc_answer(
            _RESOURCE_EXHAUSTED, too_large, f"if infers {{ var(txn.message_bytes) -m int gt {most} }}"
        ),
        f"  acl large var(txn.message_bytes) -m int gt {large}",
        "  acl whole req.body_len,sub(txn.message_bytes) -m int ge 5",
        f"  http-request wait-for-body time {_BODY_SECONDS}s if infers !large !whole",
        f"  http-request wait-for-body time {_BODY_SECONDS}s at-least {head} if infers large",
        f"  http-request set-var(txn.fault) lua.grpc_fault({most}) if infers",
        _grpc_answer(_INVALID_ARGUMENT, "%[var(txn.fault)]", "if infers { var(txn.fault) -m len gt 0 }"),
        *_streams(settings, has_filters),
        "  acl answered res.hdr(grpc-status) -m found",
        # An answer without a body is not given a type.
        "  http-after-response set-header content-type application/grpc if answered",
        "  http-after-response set-var(txn.grpc_status) res.hdr(grpc-status) if answered",
        "  use_backend triton-streams if streams",
        "  default_backend triton-grpc",
        "",
        "backend triton-grpc",
        _server(settings.upstream.grpc, "h2"),
        "",
        "backend triton-streams",
        *([f"  filter lua.{grpc_messages.FILTER} {most}"] if has_filters else []),
        _server(settings.upstream.grpc, "h2"),
        "",
    ]


def _streams(settings: GatewaySettings, has_filters: bool) -> List[str]:
    if has_filters or settings.unchecked_streams:
        return []
    return [
        _grpc_answer(
            _UNIMPLEMENTED,
            "the gateway lets no streams through: the HAProxy of this host cannot look into them",
            "if streams",
        )
    ]


def _metrics(settings: GatewaySettings) -> List[str]:
    assert settings.ports.metrics is not None and settings.upstream.metrics is not None
    return [
        "frontend metrics",
        _bind(settings, settings.ports.metrics, "h1"),
        *_start(settings, grpc=False),
        _answer(
            431,
            f"the headers of a request may have {settings.limits.header_kilobytes} KB",
            _header_condition(settings),
        ),
        _answer(404, "not found", "unless { method GET } { path /metrics }"),
        _answer(
            400,
            "this request has no body",
            "if { req.hdr_cnt(transfer-encoding) gt 0 } or { req.hdr_val(content-length) gt 0 }",
        ),
        "  acl never always_false",
        *_admission(settings, grpc=False, free="never"),
        "  http-request set-uri %[path]",
        "  default_backend triton-metrics",
        "",
        "backend triton-metrics",
        _server(settings.upstream.metrics, "h1"),
        "",
    ]
