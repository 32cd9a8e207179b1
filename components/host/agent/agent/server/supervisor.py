"""What keeps a server running: starts it, loads its models, starts it again when it ends, and sets a model aside that
ends it."""

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from ..commands import Request
from ..directory import HostDirectory
from ..errors import HostError
from ..models.loader import Loaded, Loader
from ..models.wanted import Wanted, load_order, read_wanted
from ..triton import Health
from .log import exception_in
from .model_processes import ModelProcesses
from .record import (
    ENDED,
    FAILED,
    LOADING,
    SERVING,
    STARTING,
    ConductBook,
    Mark,
    Run,
    clear_marks,
    read_marks,
    read_run,
    write_run,
)
from .runtime import Runtime, runtime_of
from .settings import Settings, read_settings
from .supervision import claim, read_supervisor
from .witness import Witness

#: Seconds between two looks at the server.
_LOOK = 0.1
#: Seconds between two looks at a log that grows fast. It must not grow far beyond its limit meanwhile.
_LOOK_AT_FLOOD = 0.002
#: Seconds between the end of a server and the start of the next; twice as many after each further end.
_FIRST_DELAY = 0.25
#: Triton's Python backend looks every second whether the process of a model is well. It gives up one that did not get a
#: processor in time, and while it cleans up after it, this exception ends the server (seen with r24.10, load 40).
_GAVE_UP = "boost::interprocess::lock_exception"
#: A server that has run this long starts again at once.
_STEADY_SECONDS = 60
_LONGEST_DELAY = 10
#: Ends of a server that belong together.
_SERIES_SECONDS = 600
#: How long after such an end Triton writes down which models work.
_WITNESS_SECONDS = 120
#: Ends that somebody else has ordered, such as the kernel when memory is short.
_ORDERED = ("signal 9", "signal 15", "status 137", "status 143")
#: Seconds between two looks at which models work.
_SAMPLE_SECONDS = 2
#: Seconds to wait for a deployment that loads models as well. It gives up when its server has ended, unless somebody
#: has stopped it, and then nobody shall wait for it.
_LOCK_SECONDS = 60


class Supervisor:
    """Supervises one server. However it ends, the server runs on, and the next supervisor takes it over."""

    def __init__(self, directory: HostDirectory, settings: Settings, runtime: Runtime) -> None:
        self._directory = directory
        self._settings = settings
        self._runtime = runtime
        self._triton = settings.triton(directory)
        self._conduct = ConductBook(directory)
        former = read_run(directory)
        self._run = former or Run(0, ENDED)
        self._told = False
        self._delay = _FIRST_DELAY
        self._began = time.monotonic()
        #: Where the log of the server that runs begins, or what of it this supervisor has seen.
        self._log_mark = runtime.log_mark()
        #: Whether the record of the run is written: a disk may have been full.
        self._written = True
        #: Models that were being loaded when the server ended: they come last, one at a time.
        self._suspects: Set[str] = set()
        self._ends: List[float] = []
        self._witness = Witness(runtime, self._triton, settings.arguments)
        self._listens = False
        #: Models that have answered a request since the first of these ends.
        self._worked: Set[str] = set()
        self._loading: Optional[threading.Thread] = None
        #: Whether every model was tried.
        self._loaded = False
        self._processes = ModelProcesses(runtime.model_processes, self._triton.instances, self._runs_apart)
        self._healing: Optional[threading.Thread] = None

    def leave(self) -> None:
        """Ends, and leaves the server running. May be called from a signal's handler."""
        self._told = True

    def note(self, text: str) -> None:
        """Writes a line into the log."""
        line = f"{time.strftime('%m%d %H:%M:%S')} supervisor: {text}\n"
        path = self._log_path
        try:
            if path.is_symlink() and not path.exists():
                # It led to what a process had open that has ended.
                path.unlink()
            with path.open("a", encoding="utf-8") as log:
                log.write(line)
        except OSError:
            # A full disk.
            return

    @property
    def _log_path(self) -> Path:
        if self._settings.kind == "process":
            return self._directory.server / "logs/triton.log"
        return self._directory.server / "supervisor.log"

    @property
    def loading(self) -> bool:
        """Whether a model is being loaded."""
        return self._loading is not None or (self._healing is not None and self._healing.is_alive())

    def supervise(self) -> None:
        """Until told to leave, or until another supervisor has taken over."""
        keeper = threading.Thread(target=self._keep_log, daemon=True)
        keeper.start()
        while self._goes_on:
            try:
                self._supervise()
            except (HostError, OSError) as error:
                # A disk that is full, or no room for another process: it must not end us, of all things.
                self.note(f"{_what(error)}; going on")
                self._pause(1)
        if self._listens:
            self._witness.rest()
        self._runtime.release()
        self.note("leaving tritonserver as it is")

    def _supervise(self) -> None:
        """Until told to leave, or until something goes wrong that has nothing to do with the server."""
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        adopted = self._runtime.adopt()
        while self._goes_on:
            if adopted:
                self.note("taking over a tritonserver that runs")
                # Its supervisor may have been listening.
                self._witness.rest()
                if self._run.identity != self._runtime.identity:
                    self._begin()
                    self._enter(STARTING)
                else:
                    self._enter(self._run.phase)
            elif not self._launch():
                continue
            adopted = False
            ended = self._attend()
            if ended is not None:
                self._after_end(ended)

    def _keep_log(self) -> None:
        """Keeps the log within its limit, whatever else is waited for. One that grows fast is watched closely."""
        while not self._told:
            hurry = self._runtime.housekeep()
            time.sleep(_LOOK_AT_FLOOD if hurry else _LOOK)

    @property
    def _goes_on(self) -> bool:
        return not self._told and self._is_current()

    def _is_current(self) -> bool:
        """Whether nobody has removed the state or put another supervisor in place."""
        current = read_supervisor(self._directory)
        return current is not None and current.pid == os.getpid()

    def _begin(self) -> None:
        self._run = Run(self._run.number + 1, STARTING, self._runtime.identity)

    def _enter(self, phase: str, reason: str = "") -> None:
        lived = self._run.lived or phase in (LOADING, SERVING)
        self._run = self._run._replace(phase=phase, reason=reason, lived=lived)
        self._written = write_run(self._directory, self._run)

    def _launch(self) -> bool:
        self.note("starting tritonserver")
        self._began = time.monotonic()
        self._log_mark = self._runtime.log_mark()
        try:
            self._runtime.launch()
        except (HostError, OSError) as error:
            self._begin()
            self._enter(FAILED, _what(error))
            self.note(f"cannot start tritonserver: {self._run.reason}; trying again in {self._delay:.0f} s")
            self._pause(self._delay)
            self._delay = min(self._delay * 2, _LONGEST_DELAY)
            return False
        self._begin()
        self._enter(STARTING)
        return True

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._goes_on and time.monotonic() < end:
            time.sleep(_LOOK)

    def _attend(self) -> Optional[str]:
        """Looks after the server until it ends, which it tells; None if there is something else to do."""
        looked = 0.0
        while self._goes_on:
            ended = self._runtime.poll()
            if ended is not None:
                if self._loading is not None:
                    self._loading.join()
                    self._loading = None
                return ended
            if not self._written:
                self._written = write_run(self._directory, self._run)
            if self._run.phase == STARTING:
                self._look_at_start()
            elif self._run.phase == LOADING:
                self._look_at_loading()
            elif time.monotonic() - looked >= _SAMPLE_SECONDS:
                looked = time.monotonic()
                self._look_at_service()
            time.sleep(_LOOK)
        return None

    def _look_at_start(self) -> None:
        health = self._triton.health()
        if health == Health.FAILED:
            # Final: `--exit-on-error=false` among the user's flags, or of an earlier release.
            self._enter(FAILED, "Triton says that it is not live")
        elif health == Health.LIVE:
            # Before the first request can come.
            self._listen()
            self._enter(LOADING)

    def _look_at_loading(self) -> None:
        if self._loading is None:
            self._loaded = False
            self._loading = threading.Thread(target=self._load_models, daemon=True)
            self._loading.start()
        elif not self._loading.is_alive():
            self._loading = None
            if self._loaded and self._runtime.poll() is None:
                self._suspects = set()
                self._enter(SERVING)

    def _loader(self) -> Loader:
        """How long a load may take can be changed while the server and this supervisor go on."""
        current = read_settings(self._directory) or self._settings
        settings = self._settings._replace(load_timeout_seconds=current.load_timeout_seconds)
        return Loader(self._directory, settings, self._runtime, self.note)

    def _load_models(self) -> None:
        loader = self._loader()

        def done(model: Wanted, loaded: Loaded) -> None:
            if not loaded.ok:
                self.note(f"the model {model.name} is not loaded: {loaded.reason}")

        try:
            with self._loads_alone():
                clear_marks(self._directory)
                models = [
                    model for model in load_order(read_wanted(self._directory)) if self._may_load(model)
                ]
                loader.load_all(models, self._suspects, done)
        except (HostError, OSError) as error:
            self.note(f"cannot load all models: {_what(error)}; trying again")
            time.sleep(1)
            return
        self._loaded = True

    @contextlib.contextmanager
    def _loads_alone(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._directory.lock("loads", seconds=_LOCK_SECONDS))
            except (HostError, OSError) as error:
                self.note(f"loading models beside another process: {_what(error)}")
            yield

    def _may_load(self, model: Wanted) -> bool:
        conduct = self._conduct.of(model.name, model.digest)
        if conduct.aside:
            self.note(f"the model {model.name} stays aside: {conduct.aside}")
            return False
        # A server that we have taken over serves most of them already.
        return not self._triton.ready(model.name)

    def _listen(self) -> None:
        """Lets Triton write down what its models do while an end is recent, and no longer."""
        recent = bool(self._ends) and time.monotonic() - self._ends[-1] < _WITNESS_SECONDS
        if recent and not self._listens:
            self._witness.listen()
        elif self._listens and not recent:
            self._witness.rest()
        self._listens = recent

    def _look_at_service(self) -> None:
        """Notes who has worked: a model that has never answered since the server ended is more likely to have ended it.
        Also forgets marks of a deployment that was killed after its load."""
        self._listen()
        if self._ends:
            answer = self._triton.request("GET", "/v2/models/stats", 5)
            if answer.ok:
                self._worked |= _successful(answer.body)
        self._look_at_processes()
        marks = read_marks(self._directory)
        for mark in marks:
            if mark.settled:
                # Meanwhile, the model may go on as another state.
                if self._conduct.of(mark.model, mark.digest).load_crashes:
                    self._conduct.update(mark.model, mark.digest, load_crashes=0)
                clear_marks(self._directory, [mark.model])
        # A late one is for the end that is about to come.
        left = [mark.model for mark in marks if not (mark.late or mark.loaded or mark.loader_lives)]
        if left:
            # Triton itself goes on with a load whose client has gone.
            going = self._triton.loading()
            clear_marks(self._directory, [model for model in left if model not in going])

    def _look_at_processes(self) -> None:
        """Loads models again that have lost a process of theirs, which Triton itself does not notice."""
        if self._healing is not None and self._healing.is_alive():
            return
        if any(not mark.loaded for mark in read_marks(self._directory)):
            # A model that is loaded anew changes its processes.
            self._processes.forget()
            return
        lost = self._processes.look(read_wanted(self._directory))
        if lost:
            self._healing = threading.Thread(target=self._heal, args=(lost,), daemon=True)
            self._healing.start()

    def _runs_apart(self, model: str) -> bool:
        """Whether a model runs in processes that this runtime can count."""
        return self._settings.kind == "process" and self._triton.runs_apart(model)

    def _heal(self, models: List[Wanted]) -> None:
        loader = self._loader()
        for model in models:
            self.note(f"the model {model.name} has lost a process of its own, so it is loaded again")
            try:
                with self._loads_alone():
                    loaded = loader.load(model, whole=True)
            except (HostError, OSError) as error:
                self.note(f"the model {model.name} is not loaded again: {_what(error)}")
                return
            if not loaded.ok:
                self.note(f"the model {model.name} is not loaded again: {loaded.reason}")

    def _after_end(self, ended: str) -> None:
        """Finds out which model did it, and waits a little."""
        marks = [mark for mark in read_marks(self._directory) if not mark.settled]
        if ended in _ORDERED:
            # Nobody who has been loaded did it.
            marks = [mark for mark in marks if not mark.loaded]
        clear_marks(self._directory)
        self._processes.forget()
        self.note(f"tritonserver ended with {ended}; starting it again in {self._delay:.0f} s")
        at_work = self._witness.at_work()
        self._listens = False
        # A request may end a server while other models are being loaded.
        if self._run.phase in (LOADING, SERVING):
            tried = any(mark.late or mark.model in self._suspects for mark in marks)
            if marks and (not at_work or tried):
                self._blame_loads(marks, ended)
                if all(mark.loaded for mark in marks):
                    # It may have been a request as well.
                    self._count_end()
            elif at_work or self._run.phase == SERVING:
                self._blame_work(ended, at_work)
        self._enter(ENDED, ended)
        if time.monotonic() - self._began >= _STEADY_SECONDS:
            self._delay = _FIRST_DELAY
        self._pause(self._delay)
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def _blame_loads(self, marks: List[Mark], ended: str) -> None:
        late = [mark for mark in marks if mark.late]
        certain = [mark for mark in late if mark.certain]
        # Suspects are loaded after all others, one at a time.
        suspects = late or [mark for mark in marks if mark.model in self._suspects] or marks
        self._suspects |= {mark.model for mark in suspects}
        # Of several of which none is certain, each is tried alone.
        for mark in certain or (suspects if len(suspects) == 1 else []):
            self._blame_load(mark, ended)

    def _blame_load(self, mark: Mark, ended: str) -> None:
        conduct = self._conduct.of(mark.model, mark.digest)
        crashes = conduct.load_crashes + 1
        when = "a moment after" if mark.loaded else "while"
        what = "did not finish loading" if mark.late else f"ended the server {when} it was loaded"
        # One that has served before gets a second chance: the fault may lie elsewhere, for instance in full memory. So
        # do one whose load had ended well, and one that the Python backend has given up on a busy machine.
        log = self._runtime.log_since(self._log_mark)
        chance = conduct.served or _GAVE_UP in log
        why = mark.why if mark.late else f": {ended}{exception_in(log)}"
        aside = f"it {what}{' twice' if crashes > 1 else ''}{why}" if crashes > 1 or not chance else ""
        self._conduct.update(mark.model, mark.digest, load_crashes=crashes, aside=aside)
        self.note(f"the model {mark.model} {what}{why}" + ("; it is set aside" if aside else ""))

    def _count_end(self) -> int:
        """How many ends belong together with the one that has just been."""
        now = time.monotonic()
        self._ends = [end for end in self._ends if now - end < _SERIES_SECONDS]
        self._ends.append(now)
        if len(self._ends) == 1:
            self._worked = set()
        return len(self._ends)

    def _blame_work(self, ended: str, at_work: Optional[Set[str]]) -> None:
        """The second time that a server ends while it serves, the model that is the likeliest cause is set aside: of
        those that had a request in work one that has not answered since the first time, and of those the one that was
        changed last. If the server ends again, it was another one: this one comes back, and is the last to be
        suspected again. Nobody is to blame for the end of a server without a request."""
        if self._count_end() < 2:
            return
        models = read_wanted(self._directory)
        accused = {name for name, conduct in self._conduct.aside().items() if conduct.crashes}
        candidates = [model for model in models if not self._conduct.of(model.name, model.digest).aside]
        if at_work is not None:
            candidates = [model for model in candidates if model.name in at_work]
        elif ended in _ORDERED:
            candidates = []
        if not candidates:
            self.note("no model was seen at work when the server ended, so none is set aside")
            return
        conducts = {model.name: self._conduct.of(model.name, model.digest) for model in candidates}

        def suspicion(model: Wanted) -> Tuple[int, bool, float, str]:
            conduct = conducts[model.name]
            return (-conduct.crashes, model.name not in self._worked, conduct.since, model.name)

        culprit = max(candidates, key=suspicion)
        for model in models:
            if model.name in accused:
                self._conduct.update(model.name, model.digest, aside="")
                self.note(f"the model {model.name} comes back: without it the server ended as well")
        self._conduct.update(
            culprit.name,
            culprit.digest,
            crashes=conducts[culprit.name].crashes + 1,
            aside=f"it is the likeliest cause why the server ended {len(self._ends)} times while it served",
        )
        self.note(f"the model {culprit.name} is set aside as the likeliest cause")


def _what(error: Exception) -> str:
    return error.what if isinstance(error, HostError) else str(error)


def _successful(statistics: str) -> Set[str]:
    """The models that have answered a request, from Triton's statistics."""
    try:
        entries: List[Dict[str, Any]] = json.loads(statistics)["model_stats"]
        return {
            entry["name"]
            for entry in entries
            if int(entry["inference_stats"]["success"].get("count", 0) or 0) > 0
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def supervise(request: Request) -> None:
    """The command `supervise`."""
    directory = request.directory
    settings = read_settings(directory)
    if settings is None:
        return
    # Whoever starts us may have left files open; nothing of a session may stay open in the server.
    os.chdir(directory.path)
    # What a model writes is for this user alone.
    os.umask(0o077)
    supervisor = Supervisor(directory, settings, runtime_of(directory, settings))
    signal.signal(signal.SIGTERM, lambda *_: supervisor.leave())
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    claim(directory)
    supervisor.supervise()
    if supervisor.loading:
        # A load may go on for minutes, and Python would wait for the thread that waits for its answer.
        os._exit(0)
