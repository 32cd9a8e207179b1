"""A registry of containers in this process, as far as an engine's image needs one."""

import base64
import hashlib
import http.server
import json
import re
import threading
from typing import Dict, List, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

LOGIN = ("deployer", "of the test")
_BASIC = f"Basic {base64.b64encode(':'.join(LOGIN).encode()).decode()}"
_BEARER = "Bearer of the test"


class StandInRegistry:
    """Answers on a loopback address until it is closed."""

    def __init__(self, *, tokens: bool = False) -> None:
        """:param tokens: whether it wants a token for the login, as most registries do"""
        self.tokens = tokens
        self.blobs: Dict[str, bytes] = {}
        #: Kind and text of each manifest, by its tag.
        self.manifests: Dict[str, Tuple[str, bytes]] = {}
        #: Method and path of each request.
        self.requests: List[str] = []
        #: What the next requests of a method are answered with in place of an answer.
        self.faults: List[Tuple[str, int]] = []
        handler = type("Handler", (_Handler,), {"registry": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def uploads(self) -> int:
        """How many blobs have been sent."""
        return sum(request.startswith("PUT /v2/team/models/blobs/") for request in self.requests)


class _Handler(http.server.BaseHTTPRequestHandler):
    registry: StandInRegistry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/token":
            self._token()
        elif self._may():
            self._show()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        if self._may():
            # Relative, as the specification allows.
            self._answer(202, headers={"Location": "/v2/team/models/blobs/uploads/1?state=x"})

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._may():
            return
        place = urlsplit(self.path)
        if "/blobs/" in place.path:
            [digest] = parse_qs(place.query)["digest"]
            assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
            self.registry.blobs[digest] = body
        else:
            tag = place.path.rsplit("/", 1)[1]
            assert tag not in self.registry.manifests, f"{tag} is overwritten"
            self.registry.manifests[tag] = (self.headers["Content-Type"], body)
        self._answer(201)

    def _token(self) -> None:
        self.registry.requests.append(f"GET {self.path}")
        if self.headers["Authorization"] == _BASIC:
            self._answer(200, json.dumps({"token": _BEARER.split(" ", 1)[1]}).encode())
        else:
            self._answer(401)

    def _show(self) -> None:
        kind, name = re.findall(r"/(blobs|manifests)/(.+)$", self.path)[0]
        if kind == "blobs":
            self._answer(200 if name in self.registry.blobs else 404)
        elif name in self.registry.manifests:
            media, text = self.registry.manifests[name]
            self._answer(200, text, {"Content-Type": media})
        else:
            self._answer(404)

    def _may(self) -> bool:
        self.registry.requests.append(f"{self.command} {self.path}")
        for fault in self.registry.faults:
            if fault[0] == self.command:
                self.registry.faults.remove(fault)
                self._answer(fault[1], b'{"errors": [{"code": "OF_THE_TEST", "message": "not now"}]}')
                return False
        if self.headers["Authorization"] == (_BEARER if self.registry.tokens else _BASIC):
            return True
        realm = f"http://{self.registry.address}/token"
        scope = "repository:team/models:pull,push"
        challenge = (
            f'Bearer realm="{realm}",service="test",scope="{scope}"'
            if self.registry.tokens
            else 'Basic realm="x"'
        )
        self._answer(401, b'{"errors": [{"code": "UNAUTHORIZED"}]}', {"WWW-Authenticate": challenge})
        return False

    def _answer(self, status: int, text: bytes = b"", headers: Optional[Dict[str, str]] = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
