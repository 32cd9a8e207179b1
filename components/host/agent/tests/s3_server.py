"""S3 for tests: moto on the loopback interface, asked by the real AWS CLI."""

import contextlib
import functools
import hashlib
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple
from urllib.parse import unquote, urlsplit

from agent.programs import tied
from free_ports import free_ports

ROOT = Path(__file__).resolve().parents[4]
REQUIREMENTS = ROOT / "test/fixtures/aws/requirements.txt"

#: moto allows requests with any key.
SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"

#: Each byte as a spoiled object has it.
SPOILED = bytes(byte ^ 1 for byte in range(256))


@functools.lru_cache(None)
def aws_python() -> str:
    """Not the one that runs these tests: the AWS CLI needs a newer one than the agent."""
    asked = subprocess.run(
        ["python3", "-c", "import sys; print(sys.executable)"], stdout=subprocess.PIPE, text=True, check=True
    )
    return asked.stdout.strip()


@functools.lru_cache(None)
def aws_tools() -> Path:
    """
    A folder with the programs `aws` and `moto_server`, installed once, into the user's cache. The tests in TypeScript
    use the same one: test/aws/pythonTools.ts.
    """
    python = aws_python()
    digest = hashlib.sha256(python.encode() + REQUIREMENTS.read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xsched-triton"
    folder = cache / f"aws-tools-{digest}"
    if (folder / "programs").exists():
        return folder / "programs"
    cache.mkdir(parents=True, exist_ok=True)
    # Installed aside and renamed, so that two runs at once and an interrupted one do no harm.
    staging = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=cache))
    subprocess.run(
        [
            *(python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
            *("--disable-pip-version-check", "--root-user-action=ignore"),
            *("--target", str(staging), "-r", str(REQUIREMENTS)),
        ],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    (staging / "programs").mkdir()
    for program, module in (("aws", "awscli"), ("moto_server", "moto.server")):
        file = staging / "programs" / program
        file.write_text(f"#!/bin/bash\nPYTHONPATH='{folder}' exec '{python}' -m {module} \"$@\"\n")
        file.chmod(0o755)
    # Another run may have finished first.
    with contextlib.suppress(OSError):
        staging.rename(folder)
    shutil.rmtree(staging, ignore_errors=True)
    return folder / "programs"


class S3Server:
    """moto behind a proxy that counts fetched objects and can spoil them."""

    def __init__(self, moto_port: int, programs: Path) -> None:
        #: The folder of the program `aws` that is loaded once, for PATH.
        self.programs = programs
        #: Keys of the objects whose content was requested, in order.
        self.fetched: List[str] = []
        #: How to spoil the answer to a request for an object, by key: "corrupt", "corrupt once", "deny", "hang".
        self.mischief: Dict[str, str] = {}
        self.moto_port = moto_port
        self.proxy = _Proxy(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()

    @property
    def environment(self) -> Dict[str, str]:
        """For programs that use AWS, but for PATH."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.proxy.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing-secret",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def create_bucket(self, bucket: str) -> None:
        self._expect("PUT", f"/{bucket}")

    def keep_versions(self, bucket: str) -> None:
        self._expect(
            "PUT",
            f"/{bucket}?versioning",
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        )

    def put(self, bucket: str, key: str, body: bytes, headers: Optional[Dict[str, str]] = None) -> None:
        self._expect("PUT", f"/{bucket}/{key}", body, headers)

    def remove(self, bucket: str, key: str) -> None:
        self._expect("DELETE", f"/{bucket}/{key}")

    def put_in_parts(self, bucket: str, key: str, parts: Sequence[bytes]) -> None:
        """Uploads an object in parts, so that its ETag is not a digest of its content alone."""
        begun = self._expect("POST", f"/{bucket}/{key}?uploads")
        upload = begun.split("<UploadId>")[1].split("<")[0]
        listed = ""
        for number, part in enumerate(parts, start=1):
            self._expect("PUT", f"/{bucket}/{key}?partNumber={number}&uploadId={upload}", part)
            etag = hashlib.md5(part).hexdigest()
            listed += f'<Part><PartNumber>{number}</PartNumber><ETag>"{etag}"</ETag></Part>'
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        self._expect("POST", f"/{bucket}/{key}?uploadId={upload}", body)

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: Optional[Dict[str, str]] = None
    ) -> Tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.moto_port)
        try:
            connection.request(method, target, body, {"authorization": SIGNED, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def _expect(
        self, method: str, target: str, body: bytes = b"", headers: Optional[Dict[str, str]] = None
    ) -> str:
        status, text = self.ask(method, target, body, headers)
        assert status < 300, f"{method} {target}: {status} {text}"
        return text


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that is killed is no error."""


@contextlib.contextmanager
def serve_s3() -> Iterator[S3Server]:
    """Starts the server, and a folder with the AWS CLI; ends both."""
    [port] = free_ports(1)
    with contextlib.ExitStack() as stack:
        # Short, for the path of a socket.
        programs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aws-")))
        moto = [str(aws_tools() / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
        # So that an upload in parts need not be large.
        stack.enter_context(_background(moto, {"S3_UPLOAD_PART_MIN_SIZE": "1024"}))
        stack.enter_context(_aws_cli(programs))
        server = S3Server(port, programs)
        stack.callback(server.proxy.server_close)
        stack.callback(server.proxy.shutdown)
        _until(lambda: server.ask("GET", "/"), "moto starts")
        yield server


@contextlib.contextmanager
def _aws_cli(programs: Path) -> Iterator[None]:
    """Makes the program `aws`, which asks a process that has loaded the AWS CLI: see aws_cli_server.py."""
    module = Path(__file__).with_name("aws_cli_server.py")
    address = str(programs / "socket")
    program = programs / "aws"
    program.write_text(
        f"#!{aws_python()} -IBS\n"
        f"import sys\nsys.path.insert(0, {str(module.parent)!r})\n"
        f"from aws_cli import call\nsys.exit(call({address!r}))\n"
    )
    program.chmod(0o755)
    words = [aws_python(), str(module), address]
    with _background(words, {"PYTHONPATH": str(aws_tools().parent)}), socket.socket(
        socket.AF_UNIX, socket.SOCK_SEQPACKET
    ) as probe:
        _until(lambda: probe.connect(address), "the AWS CLI is loaded")
        yield


@contextlib.contextmanager
def _background(words: Sequence[str], environment: Dict[str, str]) -> Iterator[None]:
    """A program that runs for as long as the block, and no longer than this process."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(tied(words), stdout=quiet, stderr=quiet, env={**os.environ, **environment})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _until(attempt: Callable[[], object], what: str) -> None:
    """Waits until something can be done."""
    deadline = time.monotonic() + 120
    while True:
        try:
            attempt()
            return
        except OSError:
            assert time.monotonic() < deadline, what
            time.sleep(0.02)


def _handler(server: S3Server) -> type:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def _pass(self) -> None:
            path = urlsplit(self.path).path
            key = unquote("/".join(path.split("/")[2:]))
            mischief = server.mischief.get(key)
            if self.command == "GET" and key:
                server.fetched.append(key)
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            if mischief == "deny":
                denial = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
                self._answer(403, {"content-type": "application/xml"}, denial)
                return
            connection = http.client.HTTPConnection("127.0.0.1", server.moto_port)
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            if mischief is not None and self.command == "GET":
                # Without anything that would tell the client of wrong content.
                headers = {
                    name: value for name, value in headers.items() if not name.startswith("x-amz-checksum")
                }
                if mischief == "hang":
                    self._head(answer.status, headers, len(content))
                    self.wfile.write(content[:1])
                    while server.mischief.get(key) == "hang":
                        time.sleep(0.05)
                    self.close_connection = True
                    return
                if mischief == "corrupt once":
                    del server.mischief[key]
                content = content.translate(SPOILED)
            self._answer(answer.status, headers, content)

        def _answer(self, status: int, headers: Dict[str, str], content: bytes) -> None:
            size = headers.get("content-length") if self.command == "HEAD" else None
            self._head(status, headers, len(content) if size is None else int(size))
            if self.command != "HEAD":
                self.wfile.write(content)

        def _head(self, status: int, headers: Dict[str, str], size: int) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("content-length", str(size))
            self.end_headers()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

    return Handler
