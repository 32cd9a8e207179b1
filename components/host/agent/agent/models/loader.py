"""Loading models into a server that runs, each with a deadline, in the order in which they depend on each other."""

import concurrent.futures
import contextlib
import os
import re
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set

from ..console import progress
from ..directory import HostDirectory
from ..disk import is_read_only
from ..server.load_watch import SHORT_PATIENCE, LoadWatch
from ..server.log import poll_reason
from ..server.record import (
    SETTLING_SECONDS,
    ConductBook,
    Mark,
    clear_marks,
    mark_load,
    read_marks,
    write_mark,
)
from ..server.settings import Settings
from ..triton import Health, LoadAnswer
from .store import restored_note
from .wanted import Wanted

#: Loads side by side: of independent models, since one of gigabytes mostly waits for a disk.
SIDE_BY_SIDE = 4

#: What Python itself did while it imported a model's code. The Python backend names every frame.
_FRAME = re.compile(r"^[ \t]*<frozen importlib\.[^>\n]*>\(\d+\): .*\n?", re.MULTILINE)

#: What the Python backend says of a process that has ended.
_NOT_HEALTHY = "is not healthy"

#: What the Python backend says where /dev/shm is full, when it starts a process and when that begins.
_NO_SHARED_MEMORY = re.compile(
    r"shared memory.*No space left on device|Failed to preinitialize Python stub|Failed to increase the shared memory",
    re.DOTALL,
)

#: What Triton (r24.10) says of each archive after one that it could not unpack, whose place is taken.
_PLACE_TAKEN = re.compile(
    r"Failed to create environment directory for '(/tmp/python_env_[A-Za-z0-9]{6}/\d+)'"
)

#: Seconds that a load has to end after its model's processes were ended.
_AFTER_END = 10


class Loaded(NamedTuple):
    """How a load ended."""

    ok: bool
    reason: str = ""
    #: The server ended, or was ended, meanwhile.
    lost: bool = False


class _HopelessError(Exception):
    """A load that Triton will never end, and why."""


class Loader:
    """Loads into one server."""

    def __init__(
        self,
        directory: HostDirectory,
        settings: Settings,
        runtime: Any,
        say: Callable[[str], None] = progress,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._runtime = runtime
        self._triton = settings.triton(directory)
        self._conduct = ConductBook(directory)
        self._say = say
        #: Those of the loads that are under way.
        self._watches: Dict[Wanted, LoadWatch] = {}

    def load(self, model: Wanted, config: Optional[str] = None, whole: bool = False) -> Loaded:
        """Loads one model from the repository. If it fails, Triton keeps what it served before.

        :param config: a model configuration, as JSON, in place of the model's own
        :param whole: starts its instances anew, which Triton keeps where only the configuration is newer
        """
        fault = self._runtime.stub_fault(model.name)
        if fault:
            return Loaded(False, fault)
        mark = mark_load(self._directory, model.name, model.digest)
        if whole:
            touch_versions(self._directory, model.name)
        loaded = self._load(model, config)
        taken = _PLACE_TAKEN.search(loaded.reason)
        if taken is not None and self._runtime.clear_unpacked(taken.group(1)):
            loaded = self._load(model, config)
        # For the supervisor: the mark of a load in which the server ended, and of one that has just ended well.
        if loaded.ok:
            write_mark(self._directory, mark._replace(loaded=time.time()))
        elif not loaded.lost:
            clear_marks(self._directory, [model.name])
        return loaded

    def _load(self, model: Wanted, config: Optional[str]) -> Loaded:
        seconds = self._settings.load_timeout_seconds
        mark = self._runtime.log_mark()
        touch_config(self._directory, model.name)
        late: List[str] = []
        said = [0.0]

        def waiting(waited: float) -> None:
            ended = watch.ended(alone=not self._others_load(model.name))
            if ended:
                raise _HopelessError(ended)
            if waited >= seconds and not late:
                late.append(f" within {seconds} s: {watch.unfinished()}")
                self._runtime.end_model(model.name)
            elif waited >= said[0] + 5:
                said[0] = waited
                self._say(f"loading the model {model.name} ({waited:.0f} s)")

        # Ends the model's processes when its time is over; a load that then does not end, either, ends the server.
        try:
            with self._watched(model) as watch:
                answer = self._triton.load(model.name, seconds + _AFTER_END, config, waiting)
        except _HopelessError as error:
            return self._end_server(model, f": {error}", certain=True)
        if answer.late:
            return self._end_server(model, late[0] if late else f" within {seconds} s")
        if late and not answer.ok:
            return Loaded(False, f"it did not finish loading{late[0]}", lost=answer.lost)
        loaded = self._outcome(model, answer, mark)
        if _NOT_HEALTHY in loaded.reason and watch.last_end:
            return Loaded(False, f"its process ended with {watch.last_end} while it was loaded")
        return loaded

    def _outcome(self, model: Wanted, answer: LoadAnswer, mark: str) -> Loaded:
        """How a load has ended that Triton has answered."""
        if answer.lost:
            return Loaded(False, "the server ended while it was loaded", lost=True)
        if answer.ok and self._triton.ready(model.name):
            self._conduct.update(model.name, model.digest, served=True, aside="")
            with contextlib.suppress(FileNotFoundError):
                restored_note(self._directory, model.name, model.digest).unlink()
            return Loaded(True)
        if answer.ok and self._triton.health() == Health.DOWN:
            return Loaded(False, "the server ended when it had loaded it", lost=True)
        return Loaded(False, self._reason(model, answer.reason, mark))

    def _others_load(self, model: str) -> bool:
        return any(mark.model != model and not mark.loaded for mark in read_marks(self._directory))

    def _reason(self, model: Wanted, answered: str, mark: str) -> str:
        """Why a load failed. What Triton finds while it reads a configuration is in its log only."""
        # Triton ends what it says of each version of a model with a semicolon.
        told = _FRAME.sub("", answered or self._triton.reason(model.name)).rstrip("; \n")
        reason = told or "Triton does not say why"
        if _NO_SHARED_MEMORY.search(reason):
            # Triton names an option of Docker, which is not to be given here.
            return f"its process finds no room in shared memory: {self._runtime.shared_memory_left()}"
        if "failed to poll" in reason:
            # The log may come a moment later than the answer.
            for _ in range(5):
                found = poll_reason(self._runtime.log_since(mark), model.name)
                if found:
                    return found
                time.sleep(0.1)
        return reason

    @contextlib.contextmanager
    def _watched(self, model: Wanted) -> Iterator[LoadWatch]:
        with self._runtime.watch_load(model.name).watching() as watch:
            self._watches[model] = watch
            try:
                yield watch
            finally:
                del self._watches[model]

    def _end_server(self, model: Wanted, why: str, certain: bool = False) -> Loaded:
        """
        :param why: what follows "it did not finish loading"
        """
        self._say(
            f"the model {model.name} does not finish loading{why}; ending the server, which starts again"
        )
        write_mark(
            self._directory, Mark(model.name, model.digest, 0, "", late=True, why=why, certain=certain)
        )
        # Not one restart for each of them.
        for other, watch in list(self._watches.items()):
            ended = watch.ended(alone=False, patience=SHORT_PATIENCE)
            if ended:
                mark = Mark(other.name, other.digest, 0, "", late=True, why=f": {ended}", certain=True)
                write_mark(self._directory, mark)
        self._runtime.kill()
        return Loaded(False, f"it did not finish loading{why}", lost=True)

    def load_all(
        self,
        models: Iterable[Wanted],
        last: Set[str],
        done: Callable[[Wanted, Loaded], None],
        before: Callable[[Wanted], None] = lambda _: None,
    ) -> None:
        """Loads models side by side, each after those that it depends on, until the server ends. One that waits for a
        model which failed is tried as well: only Triton knows whether it can do without.

        :param last: these are loaded after all others, one at a time, since one of them may end the server
        :param done: is told how each load ended, before the next begins
        :param before: is told of each load that begins
        """
        ordered = list(models)
        names = {model.name for model in ordered}
        careful = [model for model in ordered if self._touches(model, last, ordered)]
        waiting = [model for model in ordered if model not in careful]
        running: Dict[concurrent.futures.Future[Loaded], Wanted] = {}
        finished: Set[str] = {model.name for model in careful}
        lost = False
        with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            while (waiting and not lost) or running:
                for model in [] if lost else list(waiting):
                    free = all(name in finished or name not in names for name in model.depends_on)
                    if free and len(running) < SIDE_BY_SIDE:
                        waiting.remove(model)
                        before(model)
                        running[pool.submit(self.load, model)] = model
                ended, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in ended:
                    model, loaded = running.pop(future), future.result()
                    finished.add(model.name)
                    lost = lost or loaded.lost
                    done(model, loaded)
        for model in careful:
            if lost:
                return
            before(model)
            loaded = self.load(model)
            lost = loaded.lost
            done(model, loaded)
            if loaded.ok:
                lost = not self._settles()

    def _settles(self) -> bool:
        """Whether the server lives on after a load, so that nobody else is suspected of what it does."""
        end = time.monotonic() + SETTLING_SECONDS
        while time.monotonic() < end:
            if self._triton.health() == Health.DOWN:
                return False
            time.sleep(0.1)
        return True

    @staticmethod
    def _touches(model: Wanted, last: Set[str], models: List[Wanted]) -> bool:
        """Whether a model, or one that it depends on, is among the last."""
        by_name = {entry.name: entry for entry in models}
        open_names, seen = [model.name], set()
        while open_names:
            name = open_names.pop()
            if name in last:
                return True
            if name not in seen and name in by_name:
                seen.add(name)
                open_names += by_name[name].depends_on
        return False

    def unload(self, model: str, seconds: float = 60) -> Loaded:
        """Unloads a model and waits until requests in flight are finished."""
        answer = self._triton.unload(model, seconds)
        if not answer.ok:
            return Loaded(False, answer.reason, answer.lost)
        end = time.monotonic() + seconds
        while self._triton.ready(model):
            if time.monotonic() >= end:
                return Loaded(False, f"it has not been unloaded for {seconds:.0f} s")
            time.sleep(0.05)
        return Loaded(True)


def touch_versions(directory: HostDirectory, model: str) -> None:
    """Triton takes the files of a model for newer if their folder is. The files themselves are shared between entries
    of the store."""
    for path in (directory.repository / model).glob("*/"):
        _touch(path)


def touch_config(directory: HostDirectory, model: str) -> None:
    """Triton skips a reload if nothing in the model's folder is newer than at its last load. Files are shared between
    entries of the store, the config is not."""
    path = directory.repository / model / "config.pbtxt"
    if path.exists():
        _touch(path)


def _touch(path: Path) -> None:
    """On a file system that has become read-only nothing can be made newer. A server that has just started loads it all
    the same."""
    try:
        os.utime(path)
    except OSError as error:
        if not is_read_only(error):
            raise
