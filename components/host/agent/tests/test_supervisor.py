"""What the supervisor does, look by look, with a server and a clock that do as they are told."""

import contextlib
import json
import os
import threading
import time as real_time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Set

import pytest
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.models.loader import Loaded
from agent.models.wanted import Wanted, write_wanted
from agent.processes import process_start
from agent.server import supervisor as module
from agent.server.model_processes import ModelProcesses
from agent.server.record import (
    ENDED,
    FAILED,
    SERVING,
    STARTING,
    ConductBook,
    Mark,
    Run,
    clear_marks,
    read_marks,
    read_run,
    write_mark,
    write_run,
)
from agent.server.settings import Settings, parse_settings, write_settings
from agent.server.supervision import claim
from agent.server.supervisor import Supervisor, supervise
from agent.triton import Health
from agent.triton.http import Answer

SETTINGS: Dict[str, Any] = {
    "kind": "process",
    "httpPort": 1,
    "grpcPort": 2,
    "metricsPort": 3,
    "address": "127.0.0.1",
    "exitTimeoutSeconds": 5,
    "logMegabytes": 2,
    "loadTimeoutSeconds": 60,
}


class StandInTriton:
    def __init__(self) -> None:
        self.live = Health.LIVE
        self.loaded: Set[str] = set()
        self.busy: List[str] = []
        self.worked: Dict[str, int] = {}
        #: Models of the Python backend.
        self.apart: Set[str] = set()
        #: Where it is not one.
        self.several: Dict[str, int] = {}
        #: Level of verbosity, if Triton lets it be changed.
        self.verbosity: Optional[int] = None

    def health(self) -> Health:
        return self.live

    def ready(self, model: str) -> bool:
        return model in self.loaded

    def instances(self, model: str) -> Optional[int]:
        return self.several.get(model, 1) if self.ready(model) else None

    def runs_apart(self, model: str) -> bool:
        return model in self.apart and self.ready(model)

    def loading(self) -> List[str]:
        return self.busy

    def request(self, _: str, path: str, __: float, body: str = "") -> Answer:
        if path == "/v2/logging":
            if self.verbosity is None:
                return Answer(404)
            self.verbosity = json.loads(body)["log_verbose_level"]
            return Answer(200)
        stats = [
            {"name": name, "inference_stats": {"success": {"count": count}}}
            for name, count in self.worked.items()
        ]
        return Answer(200, json.dumps({"model_stats": stats}))

    control = request


class StandInRuntime:
    """A server that runs until it is told to end."""

    def __init__(self, triton: StandInTriton) -> None:
        self.triton = triton
        self.identity = ""
        self.launches = 0
        self.refusals: List[Exception] = []
        self.ended: Optional[str] = None
        self.found = False
        self.released = False
        #: What the server writes down while somebody listens.
        self.log = ""
        #: How many processes of its own each model has.
        self.processes: Dict[str, int] = {}

    def log_mark(self) -> str:
        return "now"

    def log_since(self, mark: str) -> str:
        assert mark == "now"
        return self.log

    def stub_fault(self, model: str) -> str:
        return ""

    def adopt(self) -> bool:
        return self.found

    def launch(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.launches += 1
        self.identity = f"run {self.launches}"
        self.ended, self.found = None, True
        self.triton.loaded = set()
        self.triton.worked = {}

    def poll(self) -> Optional[str]:
        return self.ended

    def end(self, how: str = "status 9") -> None:
        self.ended, self.found = how, False

    def housekeep(self) -> bool:
        return False

    def model_processes(self) -> Dict[str, int]:
        return dict(self.processes)

    def release(self) -> None:
        self.released = True


class Scene:
    """A supervisor, and what happens between its looks."""

    def __init__(self, directory: HostDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.now = 1000.0
        self.triton = StandInTriton()
        self.runtime = StandInRuntime(self.triton)
        #: What each load does, by model; it may end the server.
        self.loads: Dict[str, Callable[[], None]] = {}
        self.tried: List[str] = []
        #: How long each load was allowed to take, in seconds.
        self.timeouts: List[int] = []
        self.monkeypatch = monkeypatch
        self._play: Iterator[None] = iter(())
        monkeypatch.setattr(module, "time", self)
        monkeypatch.setattr(Settings, "triton", lambda *_: self.triton)
        monkeypatch.setattr(module, "Loader", self.loader)
        directory.server.mkdir(parents=True)
        write_settings(directory, parse_settings(SETTINGS))
        claim(directory)

    # The clock.
    strftime = staticmethod(real_time.strftime)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if threading.current_thread() is not threading.main_thread():
            real_time.sleep(0.001)
            return
        self.now += seconds
        real_time.sleep(0.0002)
        try:
            next(self._play)
        except StopIteration:
            self.supervisor.leave()

    # What loads.
    def loader(self, _: HostDirectory, settings: Settings, *__: Any) -> "Scene":
        self.timeouts.append(settings.load_timeout_seconds)
        return self

    def load_all(self, models: List[Wanted], last: Set[str], done: Callable[..., None]) -> None:
        for model in sorted(models, key=lambda model: (model.name in last, model.name)):
            self.tried.append(model.name)
            if model.name in self.loads:
                self.loads[model.name]()
                if self.runtime.ended:
                    return
            self.triton.loaded.add(model.name)
            ConductBook(self.directory).update(model.name, model.digest, served=True)

    def load(self, model: Wanted, whole: bool) -> Loaded:
        assert whole
        self.tried.append(f"{model.name} again")
        self.loads.get(model.name, lambda: None)()
        return Loaded(True)

    def models(self, *names: str) -> None:
        self.directory.repository.mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.directory.repository / name).symlink_to(f"../store/{name}/1")
        write_wanted(self.directory, [Wanted(name, "1") for name in names])

    def play(self, steps: Iterator[None]) -> None:
        self._play = steps
        self.supervisor = Supervisor(self.directory, parse_settings(SETTINGS), self.runtime)
        self.supervisor.supervise()
        assert self.runtime.released

    def until(self, condition: Callable[[], Any]) -> Iterator[None]:
        for _ in range(30_000):
            if condition():
                return
            yield
        raise AssertionError("it has not come about")

    def after(self, seconds: float) -> Iterator[None]:
        end = self.now + seconds
        return self.until(lambda: self.now >= end)

    def phase(self, phase: str, launches: int = 0) -> Iterator[None]:
        return self.until(lambda: self.run.phase == phase and self.runtime.launches >= launches)

    @property
    def run(self) -> Run:
        return read_run(self.directory) or Run(0, "")

    @property
    def conduct(self) -> ConductBook:
        return ConductBook(self.directory)

    @property
    def aside(self) -> List[str]:
        return sorted(self.conduct.aside())

    @property
    def log(self) -> str:
        return (self.directory.server / "logs/triton.log").read_text("utf-8")


@pytest.fixture
def scene(directory: HostDirectory, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(directory, monkeypatch)


def test_starts_and_loads(scene: Scene) -> None:
    scene.models("one", "two")

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        assert scene.run == Run(1, SERVING, "run 1", "", True)

    scene.play(steps())
    assert scene.tried == ["one", "two"]
    assert "supervisor: leaving tritonserver as it is" in scene.log


def test_waits_longer_after_each_end_and_no_longer_after_a_steady_run(scene: Scene) -> None:
    delays: List[float] = []

    def steps() -> Iterator[None]:
        for launches in range(1, 9):
            yield from scene.phase(SERVING, launches)
            if launches == 8:
                scene.now += 60
            ended = scene.now
            scene.runtime.end()
            yield from scene.until(lambda: scene.runtime.launches > launches)  # noqa: B023
            delays.append(scene.now - ended)

    scene.play(steps())
    assert delays == sorted(delays[:7]) + delays[7:]
    assert delays[6] == pytest.approx(10, abs=0.5)
    assert delays[7] == pytest.approx(0.25, abs=0.5)


def test_a_server_that_cannot_be_launched_is_tried_again(scene: Scene) -> None:
    scene.runtime.refusals = [HostError("Docker is away", "start it"), OSError(28, "No space left on device")]
    seen: List[str] = []

    def steps() -> Iterator[None]:
        yield from scene.until(lambda: seen.append(scene.run.reason) or scene.run.phase == SERVING)

    scene.play(steps())
    assert {"Docker is away", "[Errno 28] No space left on device"} <= set(seen)


def test_a_server_that_is_not_live_has_failed(scene: Scene) -> None:
    scene.triton.live = Health.FAILED

    def steps() -> Iterator[None]:
        yield from scene.phase(FAILED)
        for _ in range(20):
            yield

    scene.play(steps())
    assert scene.run.reason == "Triton says that it is not live"
    assert scene.runtime.launches == 1


def test_a_server_that_ends_before_it_answers_has_a_reason(scene: Scene) -> None:
    scene.triton.live = Health.DOWN

    def steps() -> Iterator[None]:
        yield from scene.phase(STARTING)
        scene.runtime.end("status 1")
        yield from scene.phase(ENDED)
        assert scene.run == Run(1, ENDED, "run 1", "status 1", False)

    scene.play(steps())


@pytest.mark.parametrize("phase", [SERVING, FAILED])
def test_takes_over_where_the_former_supervisor_was(scene: Scene, phase: str) -> None:
    scene.runtime.found, scene.runtime.identity = True, "run 7"
    write_run(scene.directory, Run(7, phase, "run 7", "", True))

    def steps() -> Iterator[None]:
        yield
        assert scene.run == Run(7, phase, "run 7", "", True)

    scene.play(steps())
    assert scene.runtime.launches == 0


def test_takes_over_a_server_that_nobody_has_noted(scene: Scene) -> None:
    scene.models("one", "two")
    scene.triton.loaded = {"one"}
    scene.runtime.found, scene.runtime.identity = True, "run 7"

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)

    scene.play(steps())
    assert scene.runtime.launches == 0
    # What it serves already is not loaded again.
    assert scene.tried == ["two"]


def test_leaves_to_another_supervisor(scene: Scene) -> None:
    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        (scene.directory.server / "supervisor").write_text("1 2 3 4\n")
        for _ in range(1000):
            yield
        raise AssertionError("it goes on")

    scene.play(steps())


def mark(scene: Scene, name: str, late: bool = False) -> Callable[[], None]:
    """A load that ends the server."""

    def load() -> None:
        write_mark(scene.directory, Mark(name, "1", os.getpid(), "0", late))
        scene.runtime.end("status 7")

    return load


def test_a_model_that_ends_the_server_at_its_first_load_is_set_aside_at_once(scene: Scene) -> None:
    scene.models("bad", "good")
    scene.loads["bad"] = mark(scene, "bad")

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        assert scene.aside == ["bad"]
        assert scene.triton.loaded == {"good"}
        assert scene.runtime.launches == 2

    scene.play(steps())
    assert "the model bad stays aside: it ended the server while it was loaded: status 7\n" in scene.log
    assert read_marks(scene.directory) == []


def test_a_model_that_the_python_backend_gave_up_gets_a_second_chance(scene: Scene) -> None:
    """As on a machine that is too busy to start its process in time."""
    scene.models("late", "good")
    first = mark(scene, "late")

    def load() -> None:
        if scene.runtime.launches > 1:
            return
        scene.runtime.log = (
            "terminate called after throwing an instance of 'boost::interprocess::lock_exception'\n"
        )
        first()

    scene.loads["late"] = load

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        assert scene.aside == []
        assert scene.triton.loaded == {"late", "good"}
        assert scene.runtime.launches == 2

    scene.play(steps())


def test_a_model_that_has_served_gets_a_second_chance_last_and_alone(scene: Scene) -> None:
    scene.models("bad", "good")
    scene.conduct.update("bad", "1", served=True)
    scene.loads["bad"] = mark(scene, "bad")

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        assert scene.runtime.launches == 3

    scene.play(steps())
    assert scene.tried == ["bad", "good", "bad", "good"]
    assert scene.conduct.aside()["bad"].aside == "it ended the server while it was loaded twice: status 7"


def test_of_several_loads_at_once_none_is_to_blame_yet(scene: Scene) -> None:
    scene.models("a", "bad", "c")

    def together() -> None:
        write_mark(scene.directory, Mark("c", "1", 1, "0"))
        mark(scene, "bad")()
        scene.loads["bad"] = mark(scene, "bad")

    scene.loads["bad"] = together

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)

    scene.play(steps())
    assert scene.aside == ["bad"]
    assert scene.triton.loaded == {"a", "c"}


def test_a_limit_of_loads_that_was_changed_meanwhile_applies_to_the_next(scene: Scene) -> None:
    scene.models("one")

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        settings = parse_settings(SETTINGS)
        write_settings(scene.directory, settings._replace(load_timeout_seconds=7))
        scene.runtime.end()
        yield from scene.phase(SERVING, launches=2)

    scene.play(steps())
    assert scene.timeouts == [parse_settings(SETTINGS).load_timeout_seconds, 7]


def test_a_load_that_never_ends_is_to_blame_whatever_else_was_loaded(scene: Scene) -> None:
    scene.models("bad", "good")

    def late() -> None:
        write_mark(scene.directory, Mark("good", "1", 1, "0"))
        mark(scene, "bad", late=True)()

    scene.loads["bad"] = late

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)

    scene.play(steps())
    assert scene.conduct.aside()["bad"].aside == "it did not finish loading"
    assert scene.aside == ["bad"]


def test_models_that_are_certain_never_to_load_cost_one_restart_together(scene: Scene) -> None:
    scene.models("bad", "good", "worse")

    def ended() -> None:
        why = ": its process ended with status 3"
        for name in ("bad", "worse"):
            write_mark(scene.directory, Mark(name, "1", 1, "0", late=True, why=why, certain=True))
        write_mark(scene.directory, Mark("good", "1", 1, "0", late=True))
        scene.runtime.end("signal 9")

    scene.loads["bad"] = ended

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        assert scene.runtime.launches == 2
        assert scene.triton.loaded == {"good"}

    scene.play(steps())
    assert scene.aside == ["bad", "worse"]
    assert (
        scene.conduct.aside()["worse"].aside == "it did not finish loading: its process ended with status 3"
    )


def test_the_model_that_ends_a_server_at_work_is_found_among_many(scene: Scene) -> None:
    """Whichever it is, also the least likely: the one that was changed first and answers often."""
    names = [f"model{number}" for number in range(5)]
    scene.models(*names)
    for number, name in enumerate(names):
        scene.conduct.update(name, "1", since=float(number))
    accused: List[str] = []

    def steps() -> Iterator[None]:
        for launches in range(1, 9):
            yield from scene.phase(SERVING, launches)
            if "model0" in scene.aside:
                return
            scene.triton.worked = {"model0": 5}
            scene.now += 3
            for _ in range(3):
                yield
            scene.runtime.end()
            yield from scene.phase(ENDED)
            accused.extend(scene.aside)

    scene.play(steps())
    assert accused == ["model4", "model3", "model2", "model1", "model0"]
    assert scene.aside == ["model0"]
    assert "the model model4 comes back: without it the server ended as well" in scene.log


def test_a_model_that_has_answered_since_is_less_likely(scene: Scene) -> None:
    scene.models("new", "old")
    scene.conduct.update("old", "1", since=1.0)
    scene.conduct.update("new", "1", since=2.0)

    def steps() -> Iterator[None]:
        for launches in (1, 2):
            yield from scene.phase(SERVING, launches)
            scene.triton.worked = {"new": 1, "old": 0}
            scene.now += 3
            for _ in range(3):
                yield
            scene.runtime.end()
            yield from scene.phase(ENDED)

    scene.play(steps())
    assert scene.aside == ["old"]


BEGINS = 'python_be.cc:1310] "model {0}, instance {0}_0_0, executing 1 requests"\n'
ENDS = 'python_be.cc:2369] "TRITONBACKEND_ModelInstanceExecute: model instance name {0}_0_0 released 1 requests"\n'


def ends_twice(scene: Scene, log: str, how: str) -> Iterator[None]:
    """A server that ends twice while it serves, with this in its log the second time."""
    for launches in (1, 2):
        yield from scene.phase(SERVING, launches)
        assert scene.triton.verbosity in (None, launches - 1)
        scene.triton.worked = {"busy": 5}
        scene.runtime.log = log
        scene.now += 3
        for _ in range(3):
            yield
        scene.runtime.end(how)
        yield from scene.phase(ENDED)


@pytest.mark.parametrize("how", ["signal 9", "signal 11", "status 137"])
def test_the_model_that_was_at_work_is_set_aside(scene: Scene, how: str) -> None:
    scene.models("busy", "idle", "guilty")
    scene.conduct.update("idle", "1", since=9.0)
    scene.triton.verbosity = 0
    log = BEGINS.format("busy") + ENDS.format("busy") + BEGINS.format("guilty")
    scene.play(ends_twice(scene, log, how))
    assert scene.aside == ["guilty"]


def test_of_several_at_work_the_one_that_never_answers_is_set_aside(scene: Scene) -> None:
    scene.models("busy", "idle", "guilty")
    scene.triton.verbosity = 0
    scene.play(ends_twice(scene, BEGINS.format("guilty") + BEGINS.format("busy"), "signal 11"))
    assert scene.aside == ["guilty"]


def test_nobody_is_to_blame_for_the_end_of_an_idle_server(scene: Scene) -> None:
    scene.models("busy", "idle")
    scene.triton.verbosity = 0
    scene.play(ends_twice(scene, BEGINS.format("busy") + ENDS.format("busy"), "signal 11"))
    assert scene.aside == []


def test_without_a_witness_nobody_is_to_blame_for_an_end_that_was_ordered(scene: Scene) -> None:
    scene.models("busy", "idle")
    scene.play(ends_twice(scene, "", "signal 9"))
    assert scene.aside == []


def test_triton_writes_down_its_work_only_while_an_end_is_recent(scene: Scene) -> None:
    scene.models("busy")
    scene.triton.verbosity = 0

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING, 1)
        scene.runtime.end()
        yield from scene.phase(SERVING, 2)
        assert scene.triton.verbosity == 1
        scene.now += 121
        for _ in range(3):
            yield
        assert scene.triton.verbosity == 0

    scene.play(steps())


def test_ends_that_are_far_apart_have_nothing_to_do_with_each_other(scene: Scene) -> None:
    scene.models("one")

    def steps() -> Iterator[None]:
        for launches in (1, 2, 3):
            yield from scene.phase(SERVING, launches)
            scene.now += 601
            scene.runtime.end()
            yield from scene.phase(ENDED)

    scene.play(steps())
    assert scene.aside == []


def test_a_server_without_models_ends_without_a_culprit(scene: Scene) -> None:
    def steps() -> Iterator[None]:
        for launches in (1, 2, 3):
            yield from scene.phase(SERVING, launches)
            scene.runtime.end()
            yield from scene.phase(ENDED)

    scene.play(steps())
    assert scene.aside == []


def test_a_model_that_has_lost_a_process_is_loaded_again(scene: Scene) -> None:
    scene.models("a", "b", "c")
    scene.triton.several = {"a": 2}
    scene.runtime.processes = {"a": 2, "b": 1}

    def heal() -> None:
        scene.runtime.processes["a"] = 2

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        yield from scene.after(10)
        assert scene.tried == ["a", "b", "c"]
        scene.loads["a"] = heal
        scene.runtime.processes["a"] = 1
        yield from scene.until(lambda: scene.tried[3:] == ["a again"])
        yield from scene.after(20)
        # One that ends again is loaded again.
        scene.runtime.processes["a"] = 0
        yield from scene.until(lambda: scene.tried[3:] == ["a again", "a again"])

    scene.play(steps())
    assert "the model a has lost a process of its own, so it is loaded again" in scene.log


def test_a_model_whose_first_request_ends_its_process_is_loaded_again(scene: Scene) -> None:
    scene.models("a", "b")
    scene.triton.apart = {"a"}

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        yield from scene.until(lambda: "a again" in scene.tried)

    scene.play(steps())
    assert "b again" not in scene.tried


def test_a_model_whose_process_ends_at_once_is_loaded_again_and_again(scene: Scene) -> None:
    """As a client can make it, who sends the same again as soon as the model is back."""
    scene.models("a")
    scene.runtime.processes = {"a": 1}

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        yield from scene.after(10)
        scene.runtime.processes = {}
        yield from scene.until(lambda: scene.tried[1:] == ["a again"] * 3)

    scene.play(steps())


class Looks:
    """What is there at each look."""

    def __init__(self) -> None:
        self.count = 1
        self.instances: Optional[int] = 1
        #: Runs whenever Triton is asked.
        self.meanwhile: Callable[[], None] = lambda: None
        #: Whether it is one of the Python backend.
        self.apart = False
        self.processes = ModelProcesses(
            lambda: {"a": self.count} if self.count else {}, self.ask, lambda _: self.apart
        )

    def ask(self, model: str) -> Optional[int]:
        assert model == "a"
        self.meanwhile()
        return self.instances

    def lost(self, looks: int, digest: str = "1", load_digest: str = "") -> List[int]:
        """After which of so many looks the model had lost a process."""
        model = Wanted("a", digest, load_digest=load_digest)
        told = [self.processes.look([model]) for _ in range(looks)]
        assert all(models in ([], [model]) for models in told)
        return [look for look, models in enumerate(told, 1) if models]


def test_a_lost_process_is_missed_although_the_model_was_changed_in_the_scheduler_meanwhile() -> None:
    looks = Looks()
    assert looks.lost(1, "1", "same") == []
    looks.count = 0
    assert looks.lost(1, "1", "same") == []
    assert looks.lost(1, "2", "same") == [1]


def test_a_model_that_does_not_get_its_process_back_is_loaded_ever_less_often() -> None:
    looks = Looks()
    assert looks.lost(1) == []
    looks.count = 0
    assert looks.lost(199) == [2, 6, 14, 30, 62, 126, 190]
    looks.count = 1
    assert looks.lost(1) == []
    looks.count = 0
    assert looks.lost(2) == [2]


def test_a_process_that_ends_before_the_first_look_is_lost() -> None:
    looks = Looks()
    looks.count = 0
    assert looks.lost(20) == []
    looks.apart = True
    assert looks.lost(7, digest="2") == [3, 7]
    looks.count = 1
    assert looks.lost(20, digest="3") == []


def test_processes_of_a_former_state_that_end_later_are_not_lost() -> None:
    """As when the benchmark has loaded the model anew: both states have theirs for a while."""
    looks = Looks()
    looks.count = 2
    assert looks.lost(5) == []
    looks.count = 1
    assert looks.lost(20) == []
    looks.count = 0
    assert looks.lost(2) == [2]


def test_a_model_that_somebody_unloads_and_loads_has_lost_nothing() -> None:
    looks = Looks()
    assert looks.lost(1) == []
    looks.count, looks.instances = 0, None
    assert looks.lost(20) == []

    def load() -> None:
        looks.count, looks.instances = 1, 1

    looks.meanwhile = load
    assert looks.lost(20) == []

    def unload() -> None:
        looks.count = 0
        if looks.instances == 1:
            looks.meanwhile = lambda: setattr(looks, "instances", None)

    looks.meanwhile, looks.count = unload, 0
    assert looks.lost(20) == []
    looks.meanwhile, looks.instances = lambda: None, 1
    assert looks.lost(2) == [2]


def test_a_model_that_is_loaded_by_somebody_has_not_lost_its_process(scene: Scene) -> None:
    scene.models("a", "b")
    scene.runtime.processes = {"a": 1, "b": 1}

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        yield from scene.after(10)
        write_mark(scene.directory, Mark("a", "1", os.getpid(), process_start(os.getpid()) or ""))
        scene.runtime.processes = {"b": 1}
        yield from scene.after(10)
        clear_marks(scene.directory)
        # Unloaded.
        scene.triton.loaded.discard("b")
        scene.runtime.processes = {}
        yield from scene.after(10)

    scene.play(steps())
    assert scene.tried == ["a", "b"]


def test_a_new_state_of_a_model_may_have_fewer_processes() -> None:
    looks = Looks()
    looks.count, looks.instances = 4, 4
    assert looks.lost(1) == []
    looks.count, looks.instances = 1, 1
    assert looks.lost(3, "2") == []
    looks.count = 0
    assert looks.lost(2, "2") == [2]


def test_marks_of_loads_that_nobody_waits_for_any_more(scene: Scene) -> None:
    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        write_mark(scene.directory, Mark("going", "1", 1, "another"))
        write_mark(scene.directory, Mark("gone", "1", 1, "another"))
        scene.triton.busy = ["going"]
        yield from scene.until(lambda: [entry.model for entry in read_marks(scene.directory)] == ["going"])
        scene.triton.busy = []
        yield from scene.until(lambda: not read_marks(scene.directory))

    scene.play(steps())


def test_the_mark_of_a_load_that_took_too_long_waits_for_the_end_of_the_server(scene: Scene) -> None:
    """Whoever loaded it has written the mark, and is about to end the server."""

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        write_mark(scene.directory, Mark("slow", "1", 0, "", late=True))
        write_mark(scene.directory, Mark("gone", "1", 1, "another"))
        yield from scene.until(lambda: [entry.model for entry in read_marks(scene.directory)] == ["slow"])
        scene.runtime.end()
        yield from scene.until(lambda: not read_marks(scene.directory))

    scene.play(steps())
    assert ConductBook(scene.directory).of("slow", "1").load_crashes == 1


def test_what_a_full_disk_has_kept_back_is_written_later(scene: Scene) -> None:
    full = [True]
    write = module.write_run
    scene.monkeypatch.setattr(module, "write_run", lambda *arguments: not full[0] and write(*arguments))

    def steps() -> Iterator[None]:
        for _ in range(50):
            yield
        full[0] = False
        yield from scene.phase(SERVING)

    scene.play(steps())


def test_a_full_disk_ends_no_supervisor(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.models("bad", "good")
    scene.loads["bad"] = mark(scene, "bad")
    full = [True]

    def refuse(*arguments: Any, **named: Any) -> Any:
        if full[0]:
            raise OSError(28, "No space left on device")
        return update(*arguments, **named)

    update = ConductBook.update
    monkeypatch.setattr(ConductBook, "update", refuse)

    def steps() -> Iterator[None]:
        yield from scene.until(lambda: scene.runtime.launches >= 3)
        full[0] = False
        yield from scene.phase(SERVING)

    scene.play(steps())
    assert scene.triton.loaded == {"good"}
    assert "No space left on device; going on" in scene.log


def test_loads_that_could_not_be_begun_are_tried_again(scene: Scene) -> None:
    scene.models("one")
    failures = [OSError(28, "No space left on device"), HostError("no room", "make some")]

    def load() -> None:
        if failures:
            raise failures.pop()

    scene.loads["one"] = load

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)

    scene.play(steps())
    assert scene.tried == ["one"] * 3
    assert scene.triton.loaded == {"one"}


def test_a_deployment_that_somebody_has_stopped_keeps_nobody_waiting(scene: Scene) -> None:
    scene.models("one")
    scene.monkeypatch.setattr(module, "_LOCK_SECONDS", 0)

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)

    with scene.directory.lock("loads"):
        scene.play(steps())
    assert scene.triton.loaded == {"one"}
    assert f"(process {os.getpid()})" in scene.log


def test_notes_go_into_a_file_of_their_own_beside_a_container(scene: Scene) -> None:
    settings = parse_settings({**SETTINGS, "kind": "container", "image": "a@sha256:b"})
    Supervisor(scene.directory, settings, scene.runtime).note("hello")
    assert (scene.directory.server / "supervisor.log").read_text().endswith("supervisor: hello\n")


def test_a_note_on_a_full_disk_is_lost(scene: Scene) -> None:
    (scene.directory.server / "logs/triton.log").mkdir(parents=True)
    Supervisor(scene.directory, parse_settings(SETTINGS), scene.runtime).note("hello")


def test_statistics_that_are_none_say_nothing() -> None:
    for text in (
        "",
        "5",
        "{}",
        '{"model_stats": [5]}',
        '{"model_stats": [{"name": "x", "inference_stats": [1]}]}',
    ):
        assert module._successful(text) == set()


def test_the_command(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: Dict[int, Any] = {}
    monkeypatch.setattr(module.signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(module, "runtime_of", lambda *_: scene.runtime)
    folder = Path.cwd()

    def steps() -> Iterator[None]:
        yield from scene.phase(SERVING)
        handlers[module.signal.SIGTERM]()
        for _ in range(1000):
            yield
        raise AssertionError("it goes on")

    scene._play = steps()
    made: List[Supervisor] = []

    class Noted(Supervisor):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(module, "Supervisor", Noted)
    request = module.Request(scene.directory, [])
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, folder)
        supervise(request)
    assert not made[0].loading
    (scene.directory.server / "settings.json").unlink()
    assert supervise(request) is None
