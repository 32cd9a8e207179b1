"""What the supervisor writes down for everybody else: how the server is doing, and which models did harm."""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Type, TypeVar, get_type_hints

from ..directory import HostDirectory, rewrite_file, write_file
from ..processes import process_start

STARTING, LOADING, SERVING, ENDED, FAILED = "starting", "loading", "serving", "ended", "failed"


Record = TypeVar("Record")


class Run(NamedTuple):
    """One run of tritonserver, as its supervisor sees it."""

    #: Counts the runs of this deployment.
    number: int
    #: STARTING until it answers, LOADING until every model was tried, SERVING; ENDED if it ended and will be started
    #: again; FAILED if it cannot serve.
    phase: str
    #: Names the process or container of this run for certain.
    identity: str = ""
    #: Why it ended or failed.
    reason: str = ""
    #: Whether Triton has answered in this run: if it never did, its settings are to blame.
    lived: bool = False


def read_run(directory: HostDirectory) -> Optional[Run]:
    """None before the first run, or where it cannot be read."""
    return _restore(Run, _read_json(directory.server / "run.json"))


def write_run(directory: HostDirectory, run: Run) -> bool:
    """Returns whether it is written: a disk that is full must not end a supervisor, which tries again."""
    try:
        rewrite_file(directory.server / "run.json", json.dumps(run._asdict()))
        return True
    except OSError:
        return False


def forget_run(directory: HostDirectory) -> None:
    """The next run is another server's. The file stays: on a disk that is full there is no room for another."""
    with contextlib.suppress(FileNotFoundError):
        os.truncate(directory.server / "run.json", 0)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _restore(kind: Type[Record], found: Any) -> Optional[Record]:
    """What was written down; None if that is something else, since anybody may have changed the file."""
    types = get_type_hints(kind)
    if not isinstance(found, dict) or not all(_fits(value, types.get(key)) for key, value in found.items()):
        return None
    try:
        return kind(**found)
    except TypeError:
        return None


def _fits(value: Any, kind: Any) -> bool:
    if kind is None or isinstance(value, bool) != (kind is bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


#: A server that ends within so many seconds of a load may have ended because of it.
SETTLING_SECONDS = 3.0


class Mark(NamedTuple):
    """A load that is under way, or has ended well a moment ago."""

    model: str
    digest: str
    #: Who loads.
    pid: int
    start: str
    #: The load does not end, so the server is ended.
    late: bool = False
    #: When the load ended well, in seconds since 1970; 0 while it is under way.
    loaded: float = 0
    #: What follows "it did not finish loading".
    why: str = ""
    #: Whether it is this load that does not end, and not another one in its way.
    certain: bool = False

    @property
    def settled(self) -> bool:
        """Whether the server has lived with the model for long enough."""
        return self.loaded > 0 and not 0 <= time.time() - self.loaded < SETTLING_SECONDS

    @property
    def loader_lives(self) -> bool:
        return process_start(self.pid) == self.start


def _marks(directory: HostDirectory) -> Path:
    return directory.server / "loading"


def mark_load(directory: HostDirectory, model: str, digest: str) -> Mark:
    """Leaves a mark while a model is loaded, so that a server which ends meanwhile tells who did it."""
    mark = Mark(model, digest, os.getpid(), process_start(os.getpid()) or "")
    write_mark(directory, mark)
    return mark


def write_mark(directory: HostDirectory, mark: Mark) -> None:
    with contextlib.suppress(OSError):
        _marks(directory).mkdir(parents=True, exist_ok=True)
        write_file(_marks(directory) / mark.model, json.dumps(mark._asdict()))


def read_marks(directory: HostDirectory) -> List[Mark]:
    try:
        paths = sorted(path for path in _marks(directory).iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    marks = []
    for path in paths:
        mark = _restore(Mark, _read_json(path))
        # The name becomes part of a path again.
        if mark is not None and mark.model == path.name:
            marks.append(mark)
    return marks


def carry_marks(directory: HostDirectory, model: str, former: str, digest: str) -> None:
    """A model goes on as another state, which ends the server if the former one's load does."""
    for mark in read_marks(directory):
        if (mark.model, mark.digest) == (model, former):
            write_mark(directory, mark._replace(digest=digest))


def clear_marks(directory: HostDirectory, models: "List[str] | None" = None) -> None:
    for mark in read_marks(directory):
        if models is None or mark.model in models:
            with contextlib.suppress(OSError):
                (_marks(directory) / mark.model).unlink()


class Conduct(NamedTuple):
    """What one state of a model has done to the server."""

    digest: str
    #: Whether it has been ready once.
    served: bool = False
    #: How often the server ended while this was loaded, or was ended because the load never did.
    load_crashes: int = 0
    #: How often the server ended while this probably worked.
    crashes: int = 0
    #: Why it is not loaded any more; empty if it may be.
    aside: str = ""
    #: When it was last made to serve, in seconds since 1970.
    since: float = 0


class ConductBook:
    """The conduct of every model, on disk. A model that changes starts with a clean record."""

    def __init__(self, directory: HostDirectory) -> None:
        self._directory = directory
        self._path = directory.server / "conduct.json"

    def of(self, model: str, digest: str) -> Conduct:
        entry = self._read().get(model)
        return entry if entry is not None and entry.digest == digest else Conduct(digest)

    def aside(self) -> Dict[str, Conduct]:
        """The models that are set aside."""
        return {model: entry for model, entry in self._read().items() if entry.aside}

    def update(self, model: str, digest: str, **changes: Any) -> Conduct:
        with self._locked():
            entries = self._read()
            former = entries.get(model)
            if former is None or former.digest != digest:
                former = Conduct(digest, since=time.time())
            entries[model] = former._replace(**changes)
            self._write(entries)
            return entries[model]

    def carry(self, model: str, former: str, digest: str) -> None:
        """A model goes on as another state, which has done what the former one has."""
        with self._locked():
            entries = self._read()
            entry = entries.get(model)
            if entry is not None and entry.digest == former:
                entries[model] = entry._replace(digest=digest)
                self._write(entries)

    def forget(self, model: str) -> None:
        with self._locked():
            entries = self._read()
            if entries.pop(model, None) is not None:
                self._write(entries)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """On a disk that is full there may be no room for the lock: a supervisor goes on without."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                stack.enter_context(self._directory.lock("conduct"))
            yield

    def _read(self) -> Dict[str, Conduct]:
        found = _read_json(self._path)
        restored = (
            (model, _restore(Conduct, entry))
            for model, entry in (found if isinstance(found, dict) else {}).items()
        )
        return {model: entry for model, entry in restored if entry is not None}

    def _write(self, entries: Dict[str, Conduct]) -> None:
        with contextlib.suppress(OSError):
            write_file(
                self._path, json.dumps({model: entry._asdict() for model, entry in entries.items()}, indent=2)
            )
