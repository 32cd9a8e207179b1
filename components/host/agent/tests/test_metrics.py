"""What a host says about its server."""

import http.client
import queue
import socket
import textwrap
import threading
from http.server import ThreadingHTTPServer
from typing import Callable, Iterator, List, Optional, Tuple

import pytest
from agent import metrics as module
from agent.commands import run
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.exposition import server_of
from agent.metrics import Metrics, port_of, text_of
from agent.server.status import ModelState
from test_spot import until

SCHEDULER = 'xsched_queue_blocked_total{name="a/a_0"} 7\n'


class Server:
    """A server with one model, as `server.status` sees it."""

    def __init__(self, directory: HostDirectory) -> None:
        directory.server.mkdir()
        self.live = True
        self.models = [ModelState("scale", ready=True, aside="")]
        self.fault = ""
        self.metrics = Metrics(
            directory,
            models=self.model_states,
            ready=lambda _: self.live,
            scheduler=lambda _: SCHEDULER,
        )

    def model_states(self, _: HostDirectory) -> List[ModelState]:
        if self.fault:
            raise HostError(self.fault, "see the log")
        return self.models

    @property
    def text(self) -> str:
        self.metrics.compute()
        return self.metrics.text or ""


@pytest.fixture
def server(directory: HostDirectory) -> Server:
    return Server(directory)


def test_all_of_them() -> None:
    models = [
        ModelState("scale", ready=True, aside=""),
        ModelState('a "b"\\', ready=False, aside="it ends the server"),
    ]
    assert text_of(models, True, SCHEDULER) == textwrap.dedent(
        """\
        # TYPE xsched_triton_model_ready gauge
        xsched_triton_model_ready{model="scale"} 1
        xsched_triton_model_ready{model="a \\"b\\"\\\\"} 0
        # TYPE xsched_triton_model_set_aside gauge
        xsched_triton_model_set_aside{model="scale"} 0
        xsched_triton_model_set_aside{model="a \\"b\\"\\\\"} 1
        # TYPE xsched_triton_ready gauge
        xsched_triton_ready 0
        xsched_queue_blocked_total{name="a/a_0"} 7
        """
    )


def test_triton_counts_as_ready_only_with_all_its_models(server: Server) -> None:
    assert "\nxsched_triton_ready 1\n" in server.text
    server.live = False
    assert "\nxsched_triton_ready 0\n" in server.text
    server.live = True
    server.models = [*server.models, ModelState("late", ready=False, aside="")]
    assert "\nxsched_triton_ready 0\n" in server.text
    server.models = []
    assert "\nxsched_triton_ready 1\n" in server.text


def test_a_host_without_a_server_says_nothing(server: Server, directory: HostDirectory) -> None:
    assert server.text != ""
    directory.server.rmdir()
    assert server.text == ""


def test_what_cannot_be_known_is_not_said_and_the_reason_once(
    server: Server, capsys: pytest.CaptureFixture
) -> None:
    assert server.text != ""
    server.fault = "Docker does not answer"
    assert server.text == ""
    assert server.text == ""
    assert capsys.readouterr().err == "error: Docker does not answer\nfix: see the log\n"
    server.fault = ""
    assert server.text != ""
    server.fault = "Docker does not answer"
    assert server.text == ""
    assert "Docker does not answer" in capsys.readouterr().err


def test_what_is_too_old_is_not_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    server.metrics.compute()
    now[0] += module.LONGEST
    assert server.metrics.text is not None
    now[0] += 1
    assert server.metrics.text is None


def test_they_are_computed_again_and_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: List[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        server.live = False
        if len(pauses) == 2:
            raise EOFError

    monkeypatch.setattr(module.time, "sleep", sleep)
    with pytest.raises(EOFError):
        server.metrics.keep_computing()
    assert pauses == [15, 15]
    assert "xsched_triton_ready 0" in (server.metrics.text or "")


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    with server_of(lambda: server.metrics.text, "127.0.0.1", 0) as http_server:
        threading.Thread(target=http_server.serve_forever, args=(0.01,), daemon=True).start()
        yield http_server.server_port
        http_server.shutdown()


def get(port: int, *paths: str) -> "list[Tuple[int, str]]":
    """Answers on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answers = []
    for path in paths:
        connection.request("GET", path)
        answer = connection.getresponse()
        answers.append((answer.status, answer.read().decode()))
    connection.close()
    return answers


def test_they_are_served_over_http(server: Server, port: int, capsys: pytest.CaptureFixture) -> None:
    assert get(port, "/metrics.txt") == [(404, "")]
    text = server.text
    assert get(port, "/metrics.txt", "/metrics", "/metrics?name=x", "/", "/metrics.txt/..") == [
        *[(200, text)] * 3,
        *[(404, "")] * 2,
    ]
    assert capsys.readouterr().err == ""


def test_a_port_that_is_taken_is_named(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(HostError) as caught:
            server_of(lambda: server.metrics.text, "127.0.0.1", taken)
    assert str(caught.value) == (
        f"error: nothing can listen at port {taken}: Address already in use\n"
        f"fix: see what uses the port: ss -ltnp 'sport = :{taken}'"
    )


def test_the_port_is_a_number() -> None:
    assert port_of([]) == 9464
    assert port_of(["8080"]) == 8080
    for word in ("http", "65536", "-1", ""):
        with pytest.raises(HostError, match="is not a port"):
            port_of([word])


def test_the_command_asks_the_server(
    server: Server, directory: HostDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "model_states", server.model_states)
    monkeypatch.setattr(module, "server_ready", lambda _: server.live)
    monkeypatch.setattr(module, "scheduler_metrics", lambda _: SCHEDULER)
    listening: queue.Queue[ThreadingHTTPServer] = queue.Queue()

    def listen(text: Callable[[], Optional[str]], address: str, port: int) -> ThreadingHTTPServer:
        found = server_of(text, address, port)
        listening.put(found)
        return found

    monkeypatch.setattr(module, "server_of", listen)
    command = threading.Thread(target=run, args=(directory, "serve-metrics", ["0"]))
    command.start()
    http_server = listening.get(timeout=120)
    until(lambda: get(http_server.server_port, "/metrics.txt") == [(200, server.text)])
    http_server.shutdown()
    command.join(120)
    assert not command.is_alive()
