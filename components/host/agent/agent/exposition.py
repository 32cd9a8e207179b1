"""Metrics in Prometheus' text format: those of several processes as one text, and a text over HTTP."""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, Dict, Optional

from .errors import HostError


def merged_metrics(text: str) -> str:
    """The metrics of several processes, one after the other, as one text: each metric has its lines together, and says
    only once what it is."""
    lines: Dict[str, Dict[str, None]] = {}
    for line in text.splitlines():
        words = line.split(" ", 3)
        name = words[2] if words[0] == "#" and len(words) > 2 else line.partition("{")[0].partition(" ")[0]
        lines.setdefault(name, {})[line] = None
    return "".join(f"{line}\n" for each in lines.values() for line in each)


def server_of(text: Callable[[], Optional[str]], address: str, port: int) -> ThreadingHTTPServer:
    """Answers with a text as it is when somebody asks; with 404 while there is none.

    :raises HostError: if nothing can listen there
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        #: A client that says nothing does not hold a thread forever.
        timeout = 60

        def do_GET(self) -> None:
            found = text() if self.path.partition("?")[0] in {"/metrics", "/metrics.txt"} else None
            body = b"" if found is None else found.encode()
            self.send_response(HTTPStatus.NOT_FOUND if found is None else HTTPStatus.OK)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A request a minute is no news."""

    try:
        return ThreadingHTTPServer((address, port), Handler)
    except OSError as error:
        raise HostError(
            f"nothing can listen at port {port}: {error.strerror}",
            f"see what uses the port: ss -ltnp 'sport = :{port}'",
        ) from None
