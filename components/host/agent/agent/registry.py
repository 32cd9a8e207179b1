"""A repository of a container registry, through the API that all of them have: `OCI Distribution
<https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>`_."""

import base64
import contextlib
import email.message
import hashlib
import http.client
import ipaddress
import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO, Callable, ContextManager, Dict, NamedTuple, Optional, Tuple, Union
from urllib.parse import urlencode, urljoin, urlsplit

from .errors import HostError
from .trtexec import sha256_of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"

#: What a manifest can be that somebody else has pushed.
_MANIFESTS = (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")

#: Where Docker's own registry is; its name leads to a web page.
_DOCKER_HUB = "registry-1.docker.io"

_ANSWER_SECONDS = 60

#: How often something is tried that may go better the next time, and the seconds before the second try.
_TRIES = 4
_PAUSE = 2.0


class Login(NamedTuple):
    """What a registry knows somebody by."""

    username: str
    password: str

    @property
    def basic(self) -> str:
        """As the value of the header `Authorization`."""
        return f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode()}"


class Manifest(NamedTuple):
    """An image's manifest, byte for byte."""

    kind: str
    text: bytes


class _Answer(NamedTuple):
    status: int
    headers: email.message.Message
    text: bytes


class Repository:
    """A repository of a registry."""

    def __init__(self, name: str, login: Login) -> None:
        """:param name: with the registry's address, as Docker writes it"""
        address, _, rest = name.partition("/")
        if not rest or (not re.search(r"[.:]", address) and address != "localhost"):
            address, rest = "docker.io", name if rest else f"library/{name}"
        self._name = name
        self._login = login
        host = _DOCKER_HUB if address == "docker.io" else address
        self._base = f"{'http' if is_loopback(host) else 'https'}://{host}/v2/{rest}/"
        #: Where a login is given in full.
        self._host = host
        self._token: Optional[str] = None

    def manifest(self, tag: str) -> Optional[Manifest]:
        """The manifest that has a tag, if one has."""
        answer = self._ask(
            "GET", f"manifests/{tag}", headers={"Accept": ", ".join(_MANIFESTS)}, fine=(200, 404)
        )
        if answer.status == 404:
            return None
        return Manifest(answer.headers.get_content_type(), answer.text)

    def put_manifest(self, tag: str, manifest: Manifest) -> None:
        """Gives a manifest a tag that is free. What has the tag already keeps it."""
        if self.manifest(tag) is None:
            self._ask("PUT", f"manifests/{tag}", manifest.text, {"Content-Type": manifest.kind}, fine=(201,))

    def put_blob(self, content: Union[bytes, Path], digest: str) -> None:
        """Puts a blob there, unless it is there.

        :param digest: its SHA-256, as `sha256:…`
        """
        if self._ask("HEAD", f"blobs/{digest}", fine=(200, 404)).status == 200:
            return

        def begin() -> str:
            place = urljoin(
                self._base, self._ask("POST", "blobs/uploads/", b"", fine=(202,)).headers["Location"]
            )
            return f"{place}{'&' if urlsplit(place).query else '?'}{urlencode({'digest': digest})}"

        # An upload that broke off begins anew.
        self._send("PUT", begin, content, {"Content-Type": "application/octet-stream"}, fine=(201,))

    def _ask(
        self,
        method: str,
        path: str,
        content: Optional[bytes] = None,
        headers: Optional[Dict[str, str]] = None,
        *,
        fine: Tuple[int, ...],
    ) -> _Answer:
        return self._send(method, lambda: urljoin(self._base, path), content, headers or {}, fine=fine)

    def _send(
        self,
        method: str,
        find_place: Callable[[], str],
        content: Union[bytes, Path, None],
        headers: Dict[str, str],
        *,
        fine: Tuple[int, ...],
    ) -> _Answer:
        """Tries until the answer is one that is fine, or can't become so."""
        renewed = False
        attempt = 0
        while True:
            place = find_place()
            answer = self._try(method, place, content, headers)
            if not isinstance(answer, str):
                if answer.status in fine:
                    return answer
                if answer.status == 401 and not renewed:
                    # One token, and if that is refused, so is the login.
                    renewed = True
                    self._token = self._new_token(answer)
                    continue
            attempt += 1
            if attempt == _TRIES or not _may_pass(answer):
                raise self._refusal(method, place, answer)
            time.sleep(_PAUSE * 2 ** (attempt - 1))

    def _try(
        self, method: str, place: str, content: Union[bytes, Path, None], headers: Dict[str, str]
    ) -> Union[_Answer, str]:
        """:returns: what the registry says, or why it says nothing"""
        request = urllib.request.Request(place, method=method, headers=headers)
        if urlsplit(place).netloc == urlsplit(self._base).netloc:
            # Not for whom it may lead to.
            request.add_unredirected_header("Authorization", self._token or self._login.basic)
        with contextlib.ExitStack() as stack:
            if isinstance(content, Path):
                request.data = stack.enter_context(_opened(content))
                request.add_unredirected_header("Content-Length", str(content.stat().st_size))
            elif content is not None:
                request.data = content
            try:
                with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:
                    return _Answer(response.status, response.headers, response.read())
            except urllib.error.HTTPError as error:
                with error:
                    return _Answer(error.code, error.headers, error.read())
            except urllib.error.URLError as error:
                return str(error.reason)
            except (OSError, http.client.HTTPException) as error:
                return str(error) or type(error).__name__

    def _new_token(self, refused: _Answer) -> str:
        """The value of the header `Authorization` that the registry wants."""
        challenge = refused.headers.get("WWW-Authenticate", "")
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return self._login.basic
        asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = asked.pop("realm", "")
        if urlsplit(realm).scheme != "https" and not is_loopback(urlsplit(realm).netloc):
            raise HostError(
                f"the registry of {self._name} wants the login at {realm or 'no address'}, without TLS",
                "use a registry that has TLS",
            )
        query = urlencode({key: asked[key] for key in ("service", "scope") if key in asked})
        request = urllib.request.Request(f"{realm}?{query}")
        request.add_unredirected_header("Authorization", self._login.basic)
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:
                answer = json.loads(response.read())
            return f"Bearer {answer.get('token') or answer['access_token']}"
        except (OSError, http.client.HTTPException, ValueError, KeyError, AttributeError) as error:
            raise HostError(
                f"{realm} gives no token for {self._name}: {error}",
                "check registry, whose login must be allowed to push there",
            ) from None

    def _refusal(self, method: str, place: str, answer: Union[_Answer, str]) -> HostError:
        where = f"{method} {urlsplit(place)._replace(query='').geturl()}"
        if isinstance(answer, str):
            return HostError(
                f"the registry of {self._name} does not answer: {where}: {answer}",
                "pods must reach it, through the cluster's network policies and by TLS that they trust",
            )
        fix = "check modelImageRepository"
        if answer.status in (401, 403):
            fix = "check registry, whose login must be allowed to push there"
        return HostError(
            f"the registry of {self._name} refuses: {where}: {answer.status} {_reason(answer.text)}".rstrip(),
            fix,
        )


def digest_of(content: Union[bytes, Path]) -> str:
    """As registries name it."""
    if isinstance(content, Path):
        return f"sha256:{sha256_of(content)}"
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_loopback(netloc: str) -> bool:
    """Whether an address, with or without a port, is this machine: where Docker, too, asks without TLS."""
    host = urlsplit(f"//{netloc}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _opened(file: Path) -> ContextManager[BinaryIO]:
    return file.open("rb")


def _may_pass(answer: Union[_Answer, str]) -> bool:
    """Whether another try can go better."""
    return isinstance(answer, str) or answer.status == 429 or answer.status >= 500


def _reason(text: bytes) -> str:
    """What a registry's answer says is wrong."""
    try:
        return "; ".join(f"{each['code']}: {each.get('message', '')}" for each in json.loads(text)["errors"])[
            :500
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return text.decode("utf-8", "replace").strip()[:200]
