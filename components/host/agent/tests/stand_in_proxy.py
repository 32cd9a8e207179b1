"""An HTTP proxy that a network's users have to log in to, as curl and the AWS CLI use one."""

import base64
import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator, List
from urllib.parse import unquote, urlsplit


class StandInProxy(ThreadingHTTPServer):
    """Leads every request to one server of this machine, whatever its URL names."""

    daemon_threads = True

    def __init__(self, login: str, port: int) -> None:
        """
        :param login: USER:PASSWORD, as in a URL
        :param port: that of the server
        """
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wanted = f"Basic {base64.b64encode(unquote(login).encode()).decode()}"
        self.port = port
        #: The hosts that were asked for.
        self.asked: List[str] = []
        #: After so many bytes of an answer, its connection ends.
        self.cuts_at = 1 << 40


class _Handler(BaseHTTPRequestHandler):
    server: StandInProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        self.server.asked.append(place.netloc)
        if self.headers.get("Proxy-Authorization") != self.server.wanted:
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="the network"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        server = http.client.HTTPConnection("127.0.0.1", self.server.port)
        headers = {
            name: value for name, value in self.headers.items() if not name.lower().startswith("proxy")
        }
        server.request(self.command, f"{place.path}?{place.query}".rstrip("?"), headers=headers)
        answer = server.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers["Content-Length"] or str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cuts_at])
        if len(body) > self.server.cuts_at:
            self.close_connection = True
        server.close()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def proxy_to(port: int, login: str) -> Iterator[StandInProxy]:
    """A proxy to a server of this machine, for as long as the block."""
    with StandInProxy(login, port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
