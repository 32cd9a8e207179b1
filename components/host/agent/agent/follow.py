"""What runs beside tritonserver in each pod of a fleet (components/fleet): gives its models the priorities, floors and
weights of a file, which is changed while they serve."""

import contextlib
import json
import os
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List, NoReturn, Optional, Tuple

from .commands import Request
from .console import progress
from .errors import HostError
from .exposition import merged_metrics, server_of
from .models.wanted import Wanted
from .programs import call
from .server.scheduling import Control, Refusal, control_words, put_scheduling, read_queues, scheduling_of
from .triton.http import request as http_request

#: Seconds between two looks at the file.
INTERVAL = 1
#: Seconds between two looks at what the scheduler has, if the file stays as it is.
LONGEST = 10
#: Seconds that xsched-ctl has for an answer.
_ANSWER_SECONDS = 20

#: Seconds after which a file of metrics is of a process that has ended: the core writes it every five seconds.
STALE = 30

#: Of tritonserver, as the image's entrypoint writes it down at each start: which file that is, and where it answers.
Server = Tuple[Tuple[int, int], str]


def read_file(path: Path) -> List[Wanted]:
    """The models in the file, `{models: [{name, priority, floor, weight}]}`.

    :raises HostError: if it is something else
    """
    try:
        entries: List[Dict[str, Any]] = json.loads(path.read_text("utf-8"))["models"]
        return [
            Wanted(
                str(entry["name"]),
                "",
                priority=_number(entry["priority"]),
                floor=_number(entry["floor"]),
                weight=_number(entry["weight"]),
            )
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HostError(
            f"{path} does not say what the models are to have ({type(error).__name__}: {error})",
            "put it right: npm run up, or pulumi up, writes it anew",
        ) from None


def _number(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{json.dumps(value)} is not a whole number")
    return value


def read_server() -> Optional[Server]:
    """The tritonserver that runs, or is about to."""
    path = Path(os.environ.get("XSCHED_TRITON_STATE", "/tmp/xsched-triton")) / "server"
    try:
        status = path.stat()
        _, host, port = path.read_text("utf-8").splitlines()[:3]
    except (OSError, ValueError):
        return None
    return (status.st_ino, status.st_mtime_ns), f"{f'[{host}]' if ':' in host else host}:{port}"


def is_ready(address: str) -> bool:
    return http_request(address, "GET", "/v2/health/ready", 5).ok


class Follower:
    """Keeps the scheduler at what the file says."""

    def __init__(
        self,
        file: Path,
        *,
        control: Control,
        server: Callable[[], Optional[Server]] = read_server,
        ready: Callable[[str], bool] = is_ready,
        say: Callable[[str], None] = progress,
    ) -> None:
        self._file = file
        self._control = control
        self._read_server = server
        self._ready = ready
        self._say = say
        self._models: List[Wanted] = []
        self._server: Optional[Server] = None
        #: What the server has been told of each model, and what of that it has taken.
        self._told: Dict[str, Wanted] = {}
        self._taken: Dict[str, Wanted] = {}
        #: What was said last of each thing that does not go.
        self._said: Dict[str, str] = {}
        self._looked = -float("inf")

    def look(self) -> None:
        """Looks at the file, and does what has to be done."""
        try:
            self._models = read_file(self._file)
            self._settle("file")
        except HostError as error:
            self._complain("file", f"{error.what}; the models keep what they have")
        server = self._read_server()
        if server != self._server:
            # It begins with what its models' configurations say.
            self._server, self._told, self._taken = server, {}, {}
        # Before its models are loaded, the scheduler knows none of them.
        if server is None or not self._ready(server[1]):
            return
        untold = any(self._told.get(model.name) != model for model in self._models)
        if not untold and time.monotonic() - self._looked < LONGEST:
            return
        self._looked = time.monotonic()
        self._told = {model.name: model for model in self._models}
        self._put()

    def _put(self) -> None:
        finished = self._control(["stats", "--json"])
        queues = read_queues(finished)
        if queues is None:
            self._complain("scheduler", f"the scheduler does not answer: {finished.reason}")
            return
        self._settle("scheduler")
        changed = {model.name for model in self._models if self._taken.get(model.name) != model}
        refused: Dict[str, Refusal] = {}
        for refusal in put_scheduling(self._models, scheduling_of(queues), self._control, changed):
            refused.setdefault(refusal.model, refusal)
        for model in self._models:
            if model.name in refused:
                self._taken.pop(model.name, None)
                self._complain(model.name, f"{refused[model.name]}; trying again")
                continue
            self._settle(model.name)
            if model.name in changed:
                self._taken[model.name] = model
                self._say(
                    f"{model.name} has priority {model.priority}, floor {model.floor} %, weight {model.weight}"
                )

    def _complain(self, about: str, text: str) -> None:
        """Says something once, not each second."""
        if self._said.get(about) != text:
            self._said[about] = text
            self._say(f"error: {text}")

    def _settle(self, about: str) -> None:
        self._said.pop(about, None)


def counted(file: str) -> str:
    """What the schedulers of the pod's processes count. Each has a file of its own, whose name has its process id in
    place of `%p`; another container's processes can't be seen, so an old file says that its process has ended."""
    texts = []
    before, _, behind = Path(file).name.partition("%p")
    for path in sorted(Path(file).parent.glob(f"{before}*{behind}")):
        if not path.name[len(before) : len(path.name) - len(behind)].isdecimal():
            continue  # One that is being written.
        # One that is removed meanwhile has ended.
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime <= STALE:
                texts.append(path.read_text("utf-8"))
    return merged_metrics("".join(texts))


def serve_counters(file: str, address: str) -> ThreadingHTTPServer:
    """Answers at `HOST:PORT` with what the schedulers count.

    :raises HostError: if nothing can listen there
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 65536):
        raise HostError(f"'{address}' is not an address", "give it as HOST:PORT")
    server = server_of(lambda: counted(file), host, int(port))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def follow(request: Request) -> NoReturn:
    """The command `follow FILE [HOST:PORT]`; with an address, it serves there what `XSCHED_METRICS_FILE` has."""
    for address in request.words[1:2]:
        serve_counters(os.environ.get("XSCHED_METRICS_FILE", ""), address)
    follower = Follower(
        Path(request.word(0, "file")),
        control=lambda words: call(control_words(words), seconds=_ANSWER_SECONDS),
    )
    while True:
        follower.look()
        time.sleep(INTERVAL)
