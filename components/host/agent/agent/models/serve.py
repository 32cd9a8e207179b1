"""What is served: exactly the models that the deployment names."""

import time
from typing import Any, Dict, Iterable, Iterator, List, Optional

from ..commands import Request
from ..console import progress
from ..directory import HostDirectory, point_link, require_path_segment
from ..errors import HostError
from ..server.lifecycle import await_service
from ..server.record import ConductBook, Run, carry_marks, read_run
from ..server.runtime import runtime_of
from ..server.scheduling import Refusal, put_scheduling
from ..server.settings import Settings, read_settings, require_settings
from ..server.status import control_scheduler, live_scheduling, running_server
from ..server.supervision import ensure_supervisor, read_supervisor
from ..triton import Health
from .loader import Loaded, Loader
from .store import keep_times, require_stored, restored_note
from .wanted import (
    LoadedState,
    Wanted,
    dependents,
    link_target,
    linked,
    load_order,
    parse_wanted,
    read_noted,
    read_wanted,
    write_wanted,
)

#: Seconds that a server has to start again after a model has ended it, beside the time of its loads.
_RESTART_SECONDS = 60


def serve(request: Request) -> Dict[str, Any]:
    """The command `serve`: makes the server serve exactly these models. One that serves goes on without a failed
    request, also if its new state cannot be loaded."""
    directory = request.directory
    models = parse_wanted(request.body["models"])
    for model in models:
        require_stored(directory, model.name, model.digest)
    # A restart of the server would read the links while they change.
    with directory.lock("server", shared=True), directory.lock("serve"):
        settings = require_settings(directory)
        _require_server(directory, settings)
        change = Change(directory, settings, models)
        change.apply()
    if change.failures:
        raise HostError("\n".join(change.failures), change.advice)
    triton = settings.triton(directory)
    return {"models": [{"name": model.name, "version": triton.model_version(model.name)} for model in models]}


def _served_last(directory: HostDirectory) -> List[Wanted]:
    """The models that the repository links. Where the last deployment was killed before it noted what it had loaded,
    the state that served before, if it is still stored."""
    noted = {model.name: model for model in read_noted(directory)}
    return [
        noted[model.name]
        if model.name in noted and (directory.store / model.name / noted[model.name].digest).is_dir()
        else model
        for model in read_wanted(directory)
    ]


def _require_server(directory: HostDirectory, settings: Settings) -> None:
    # One that has just ended is about to be started again by its supervisor.
    if not runtime_of(directory, settings).find() and read_supervisor(directory) is None:
        raise HostError(
            f"Triton does not answer at {settings.http_address}",
            f"see the log in {directory.server}/logs; 'npm run up' starts it again",
        )
    ensure_supervisor(directory)
    problem = await_service(directory, settings)
    if problem is not None:
        raise HostError(f"Triton does not serve: {problem}", f"see the log in {directory.server}/logs")


class Change:
    """From the models that are served to those that are wanted."""

    def __init__(self, directory: HostDirectory, settings: Settings, models: List[Wanted]) -> None:
        self._directory = directory
        self._settings = settings
        self._triton = settings.triton(directory)
        self._conduct = ConductBook(directory)
        self._wanted = models
        self._linked = linked(directory)
        self._before = {model.name: model for model in _served_last(directory)}
        self._served = {name for name in self._before if self._triton.ready(name)}
        names = {model.name for model in models}
        #: Those of the models before that stay.
        self._staying = [model for model in self._before.values() if model.name in names]
        differing = [model for model in models if self._differs(model)]
        #: Those that are changed in the running scheduler, without a load.
        self._scheduled = self._without_load(differing)
        self._changing = {model.name: model for model in differing if model not in self._scheduled}
        #: Those that are set aside and not tried again.
        self._unusable: List[Wanted] = []
        #: Those whose wanted state does not serve.
        self._failed: List[Wanted] = []
        #: What is wrong, one sentence a model.
        self.failures: List[str] = []
        self._still_served = True
        #: Whether the server has ended meanwhile, because of one of them.
        self._server_ended = False

    @property
    def advice(self) -> str:
        if self._still_served:
            outcome = "the version that served before still serves"
        elif self._server_ended:
            outcome = "it does not serve"
        else:
            outcome = "it does not serve; the other models are not affected"
        if self._server_ended:
            outcome += "; the server had to start again, and the other models serve again"
        return f"correct the model and deploy again; {outcome}"

    def apply(self) -> None:
        """Makes the change, as far as it can be made."""
        names = {model.name for model in self._wanted}
        waiting = [model for model in load_order(self._changing.values()) if self._may_load(model)]
        # Before they are linked: what compiles code makes its folder newer.
        runtime_of(self._directory, self._settings).prepare(
            [self._directory.store / model.name / model.digest for model in [*waiting, *self._scheduled]]
        )
        with self._directory.lock("loads"):
            self._remove([name for name in self._before if name not in names])
            # What a deployment has left that was killed after it had removed the link.
            for name in self._triton.serving():
                if name not in names and name not in self._before:
                    self._unload(name)
            # One that was set aside at its first load has never been linked.
            for name in self._conduct.aside():
                if name not in names:
                    self._conduct.forget(name)
            self._unload_dependents([model.name for model in waiting])
            self._change_scheduling()
        # Each round ends the list, or one model of it ends the server.
        while waiting:
            run = read_run(self._directory)
            ended = self._load(waiting)
            self._settle([model for model in waiting if ended.get(model.name, _WHOLE).lost], run)
            waiting = [model for model in waiting if model.name not in ended]
        for model in self._unusable:
            self._keep_former(model)
        self._go_back_together()
        self._put_scheduling_back()
        self._note()

    def _differs(self, model: Wanted) -> bool:
        before = self._before.get(model.name)
        if before is None or before.digest != model.digest or model.name not in self._served:
            return True
        if self._linked.get(model.name) != model.digest:
            return True
        if restored_note(self._directory, model.name, model.digest).exists():
            return True
        facts = self._triton.facts(model.name)
        # Changed live, by somebody.
        return facts is not None and model._replace(loaded=before.loaded).served_otherwise(facts)

    def _without_load(self, models: List[Wanted]) -> List[Wanted]:
        """Those of which only what the scheduler follows has changed, and whose queues it knows by name. A load would
        take a large model minutes, and the memory of two of it."""
        candidates = [model for model in models if self._differs_in_scheduling_alone(model)]
        known = live_scheduling(self._directory).priorities if candidates else {}
        # An ensemble has no queue: it runs nothing itself.
        return [model for model in candidates if model.name in known or self._is_ensemble(model)]

    def _differs_in_scheduling_alone(self, model: Wanted) -> bool:
        """Whether Triton serves the state before as it was deployed, and a load would find no other file of it."""
        before = self._before.get(model.name)
        if before is None or "" in (before.load_digest, model.load_digest):
            return False
        facts = self._triton.facts(model.name) if model.name in self._served else None
        return (
            facts is not None
            and not before.served_otherwise(facts)
            and before.load_digest == model.load_digest
            and before.digest == self._linked.get(model.name)
            and not any(
                restored_note(self._directory, model.name, digest).exists()
                for digest in (before.digest, model.digest)
            )
        )

    def _is_ensemble(self, model: Wanted) -> bool:
        facts = self._triton.facts(model.name)
        return facts is not None and facts.ensemble

    def _change_scheduling(self) -> None:
        """Changes models in the running scheduler. The server loads their new states when it starts again."""
        if not self._scheduled:
            return
        for model in self._scheduled:
            progress(f"the model {model.name} is changed in the running scheduler, without a load")
            before = self._before[model.name]
            keep_times(self._directory, model.name, before.digest, model.digest)
            self._link(model)
            self._conduct.carry(model.name, before.digest, model.digest)
            carry_marks(self._directory, model.name, before.digest, model.digest)
            self._before[model.name] = model._replace(loaded=self._loaded_of(before))
        # Noted at once: the loads that follow may take minutes.
        write_wanted(self._directory, self._before.values())
        # What there is no room for yet is put in at the end, and told then.
        list(self._put_scheduling(self._scheduled))

    def _may_load(self, model: Wanted) -> bool:
        """A model that has ended the server is tried again once: the fault may have been elsewhere."""
        conduct = self._conduct.of(model.name, model.digest)
        if conduct.aside and (conduct.load_crashes > 1 or conduct.crashes > 1):
            self._unusable.append(model)
            return False
        if conduct.aside:
            self._conduct.update(model.name, model.digest, aside="")
        return True

    def _loader(self) -> Loader:
        runtime = runtime_of(self._directory, self._settings)
        runtime.find()
        return Loader(self._directory, self._settings, runtime)

    def _remove(self, names: List[str]) -> None:
        """What depends on a model goes before it."""
        order = [model.name for model in reversed(load_order(self._before.values()))]
        for name in sorted(names, key=order.index):
            # The link goes first: a server that ends now comes back without the model.
            self._unlink(name)
            self._conduct.forget(name)
            self._unload(name)

    def _unload(self, name: str) -> None:
        unloaded = self._loader().unload(name)
        if not unloaded.ok and not unloaded.lost:
            self.failures.append(f"Triton does not unload the model {name}: {unloaded.reason}")

    def _unload_dependents(self, names: List[str]) -> None:
        """Unloads what changes together with a model that it depends on: Triton would check its former state against
        the model's new one."""
        for name in [model.name for model in reversed(load_order(self._staying))]:
            above = {entry for model in names for entry in dependents(model, self._staying)}
            if name in above and name in self._changing and name in self._served:
                self._loader().unload(name)

    def _unlink(self, name: str) -> None:
        link = self._directory.repository / name
        if link.is_symlink():
            link.unlink()

    def _load(self, models: List[Wanted]) -> Dict[str, Loaded]:
        """Loads models until all are, or the server ends. Those that did not work are back at what they were."""
        ended: Dict[str, Loaded] = {}

        def done(model: Wanted, loaded: Loaded) -> None:
            ended[model.name] = loaded
            if loaded.lost:
                return
            replaced = loaded.ok
            if loaded.ok:
                broken = [
                    name
                    for name in dependents(model.name, self._staying)
                    if name in self._served and name not in self._changing and not self._triton.ready(name)
                ]
                if not broken:
                    return
                if self._triton.health() == Health.DOWN:
                    # It was not this model that broke them.
                    ended[model.name] = Loaded(False, "the server ended", lost=True)
                    return
                # Of a model that it has unloaded for that, Triton says why when it is loaded again.
                first = broken[-1]
                reason = loader.load(self._before[first]).reason or self._triton.reason(first)
                reason = f"{', '.join(broken)} cannot work with it: {reason}"
                ended[model.name] = loaded = Loaded(False, reason)
            self._fail(model, loaded.reason, model.name in self._served)
            self._go_back(model, replaced)

        with self._directory.lock("loads"):
            loader = self._loader()
            loader.load_all(models, set(), done, before=self._link)
        return ended

    def _link(self, model: Wanted) -> None:
        # Somebody may have removed it.
        self._directory.repository.mkdir(parents=True, exist_ok=True)
        point_link(self._directory.repository / model.name, link_target(model.name, model.digest))

    def _settle(self, lost: List[Wanted], run: Optional[Run]) -> None:
        """After the server has ended while these were loaded. It starts again, with the other models, and tries each of
        these alone.

        :param run: the one in which the loads began
        """
        if not lost:
            return
        progress(
            f"the server ended while it loaded {', '.join(model.name for model in lost)}; it starts again"
        )
        self._await_restart(run)
        self._server_ended = self._server_ended or read_run(self._directory) != run
        with self._directory.lock("loads"):
            for model in lost:
                conduct = self._conduct.of(model.name, model.digest)
                if self._triton.ready(model.name) and not conduct.aside:
                    continue
                reason = conduct.aside or "the server ended while it was loaded"
                self._fail(model, reason, model.name in self._served)
                self._go_back(model, False)

    def _await_restart(self, run: Optional[Run]) -> None:
        """Waits until the supervisor has noticed the end of a run, and then for its next one. If only the connection
        broke, there is nothing to wait for."""
        end = time.monotonic() + _RESTART_SECONDS
        while read_run(self._directory) == run and time.monotonic() < end:
            if read_supervisor(self._directory) is None:
                ensure_supervisor(self._directory)
            if run is not None and self._goes_on(run):
                break
            time.sleep(0.02)
        problem = await_service(self._directory, self._settings)
        if problem is not None:
            raise HostError(
                f"Triton does not serve any more: {problem}", f"see the log in {self._directory.server}/logs"
            )

    def _goes_on(self, run: Run) -> bool:
        """Whether the server of a run still answers."""
        runtime = runtime_of(self._directory, self._settings)
        return runtime.find() and runtime.identity == run.identity and self._triton.health() == Health.LIVE

    def _fail(self, model: Wanted, reason: str, served: bool) -> None:
        self._failed.append(model)
        self.failures.append(f"Triton cannot load the model {model.name}: {reason}")
        self._still_served = self._still_served and served

    def _go_back(self, model: Wanted, replaced: bool) -> None:
        """After a load that failed, or that was given up.

        :param replaced: Triton serves the new state
        """
        previous = self._before.get(model.name)
        if previous is None:
            self._unlink(model.name)
        else:
            self._link(previous)
        loader = self._loader()
        if previous is None or model.name not in self._served:
            loader.unload(model.name)
        elif replaced or not self._triton.ready(model.name):
            loader.load(previous)
        for name in reversed(dependents(model.name, self._staying)):
            if name in self._served and name not in self._changing and not self._triton.ready(name):
                loader.load(self._before[name])

    def _go_back_together(self) -> None:
        """A model may not have come back alone: its former state does not fit the new one of a model that it depends
        on. Then those that changed together with it go back as well."""
        lost = self._lost()
        group = self._together(lost)
        if len(group) > len(lost):
            loader = self._loader()
            former = [self._before[model.name] for model in group if model.name in self._before]
            with self._directory.lock("loads"):
                for model in reversed(load_order(group)):
                    loader.unload(model.name)
                    self._unlink(model.name)
                for model in load_order(former):
                    self._link(model)
                    loader.load(model)
            failed = {model.name for model in self._failed}
            self.failures.extend(
                f"the change of the model {model.name} is undone, too: {', '.join(lost)} cannot come back without that"
                for model in group
                if model.name not in failed
            )
        self._still_served = self._still_served and not self._lost()

    def _lost(self) -> List[str]:
        """Models that served before, are still wanted, and do not serve now."""
        return [
            model.name
            for model in self._staying
            if model.name in self._served and not self._triton.ready(model.name)
        ]

    def _together(self, lost: List[str]) -> List[Wanted]:
        """These models, and all that change and are tied to them by what depends on what."""
        states = [*self._staying, *self._changing.values()]
        pairs = [
            {model.name, other}
            for model in states
            for other in model.depends_on
            if other in self._changing and (model.name in self._changing or model.name in lost)
        ]
        group = set(lost)
        for _ in pairs:
            group = group.union(*(pair for pair in pairs if group & pair))
        return [model for model in self._wanted if model.name in group]

    def _keep_former(self, model: Wanted) -> None:
        """Fails a model that is set aside. A deployment that was killed while the model ended the server has left its
        link at that state, or the next one has put the link back and no more: the one that served before comes back."""
        previous = self._before.get(model.name)
        if (
            previous is not None
            and previous.digest != model.digest
            and not (self._linked.get(model.name) == previous.digest and self._triton.ready(model.name))
        ):
            self._link(previous)
            with self._directory.lock("loads"):
                if self._loader().load(previous).ok:
                    self._served.add(model.name)
        aside = self._conduct.of(model.name, model.digest).aside
        self._fail(model, f"it is set aside: {aside}", model.name in self._served)

    def _kept(self) -> List[Wanted]:
        """What is linked after the change: of a model that could not be loaded, the state before."""
        every = [*self._before.values(), *self._wanted]
        by_name = {model.name: model for model in every}
        by_state = {(model.name, model.digest): model for model in every}
        return [
            by_state.get((name, digest)) or by_name.get(name, Wanted(name, digest)).with_digest(digest)
            for name, digest in linked(self._directory).items()
        ]

    def _put_scheduling_back(self) -> None:
        """What somebody has set in the running scheduler ends with the next deployment, without a reload. So does a
        floor that there was no room for while a model had its former one, and what a state that failed to load has
        brought to the instances that still serve."""
        self.failures.extend(map(str, self._put_scheduling(self._kept())))

    def _put_scheduling(self, models: Iterable[Wanted]) -> Iterator[Refusal]:
        live = live_scheduling(self._directory)
        # What the scheduler knew a moment ago is told in any case, also if it does not say now what it has.
        also = {model.name for model in self._scheduled if not self._is_ensemble(model)}
        return put_scheduling(models, live, lambda words: control_scheduler(self._directory, words), also)

    def _note(self) -> None:
        """Notes what is linked now: that is what a server which starts again loads."""
        kept = [model._replace(loaded=self._loaded(model)) for model in self._kept()]
        write_wanted(self._directory, kept)

    def _loaded_of(self, before: Wanted) -> LoadedState:
        """What Triton has loaded of a model that serves as it was deployed: what it had loaded before it was changed in
        the scheduler, or this state, with a start of the server or by somebody."""
        facts = self._triton.facts(before.name)
        if before.loaded is not None and facts is not None and before.is_loaded_before(facts):
            return before.loaded
        return LoadedState(before.digest, before.scheduling)

    def _loaded(self, model: Wanted) -> Optional[LoadedState]:
        """What Triton has loaded of a model that was changed in the scheduler; None of one that was loaded since."""
        before = self._before.get(model.name)
        loaded = before.loaded if before is not None else None
        if loaded is None or loaded.digest == model.digest:
            return None
        facts = self._triton.facts(model.name)
        return loaded if facts is not None and facts.scheduling == loaded.scheduling else None


#: Stands for a load that has not begun.
_WHOLE = Loaded(True)


def unserve(request: Request) -> None:
    """The command `unserve`: no model is served any more."""
    directory = request.directory
    if not directory.path.is_dir():
        return
    with directory.lock("server", shared=True), directory.lock("serve"):
        settings = read_settings(directory)
        if settings is not None and running_server(directory) is not None:
            change = Change(directory, settings, [])
            change.apply()
            if change.failures:
                raise HostError(
                    "\n".join(change.failures), f"see the log in {directory.server}/logs and try again"
                )
            return
        for name in linked(directory):
            (directory.repository / name).unlink()
        if directory.models.is_dir():
            write_wanted(directory, [])


def reload(request: Request) -> None:
    """The command `reload MODEL`: loads a model that is served again, as it is deployed or, if there is anything on
    standard input, with the model configuration (JSON) that stands there, until it is loaded the next time. A load that
    fails changes nothing."""
    directory = request.directory
    name = require_path_segment("model name", request.word(0, "model name"))
    config = request.text.strip()
    with directory.lock("server", shared=True), directory.lock("serve"):
        settings = require_settings(directory)
        found = [model for model in read_wanted(directory) if model.name == name]
        if not found:
            raise HostError(
                f"the model {name} is not deployed in {directory.path}", "add it to the stack's models"
            )
        runtime = runtime_of(directory, settings)
        runtime.find()
        with directory.lock("loads"):
            loaded = Loader(directory, settings, runtime).load(found[0], config or None)
    if not loaded.ok:
        raise HostError(
            f"Triton cannot load the model {name}: {loaded.reason}",
            f"see the log in {directory.server}/logs; what was served before is still served",
        )
