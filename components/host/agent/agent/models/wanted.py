"""Which models are to be served, and in which order."""

import json
import os
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from ..directory import HostDirectory, require_path_segment, write_file
from ..errors import HostError
from ..triton import ModelFacts, Scheduling


class LoadedState(NamedTuple):
    """What Triton has loaded of a model that was changed in the running scheduler since."""

    #: Of its files, which it may still open.
    digest: str
    #: What its configuration says.
    scheduling: Scheduling


class Wanted(NamedTuple):
    """A model that is to be served."""

    name: str
    #: Names what is stored below `models/store/NAME`.
    digest: str
    priority: int = 0
    #: Models that must be ready before, such as the steps of an ensemble.
    depends_on: Tuple[str, ...] = ()
    #: Share of a GPU's time that it gets at least, in percent; 0: none.
    floor: int = 0
    #: What it shares a GPU's time by with models of its priority, 1 to 100; 0: nothing.
    weight: int = 0
    #: The same for states that differ in the priority, the floor and the weight alone; empty if that is not known.
    load_digest: str = ""
    #: None where Triton has loaded this state.
    loaded: Optional[LoadedState] = None

    @property
    def scheduling(self) -> Scheduling:
        return Scheduling(self.priority, self.floor, self.weight)

    def served(self, facts: ModelFacts) -> Scheduling:
        """What it is served with: as Triton's configuration says, but for what was changed in the scheduler since."""
        return self.scheduling if self.is_loaded_before(facts) else facts.scheduling

    def is_loaded_before(self, facts: ModelFacts) -> bool:
        """Whether Triton still has what it had loaded before the model was changed in the scheduler."""
        return self.loaded is not None and facts.scheduling == self.loaded.scheduling

    def with_digest(self, digest: str) -> "Wanted":
        """The same in another state, of which nothing else is known."""
        return self if digest == self.digest else self._replace(digest=digest, load_digest="", loaded=None)

    def served_otherwise(self, facts: ModelFacts) -> bool:
        """Whether somebody has loaded it with other values, such as through Triton's API."""
        pairs = zip(self.served(facts), self.scheduling)
        return any(value not in (None, own) for value, own in pairs)


def parse_wanted(entries: Iterable[Dict[str, Any]]) -> List[Wanted]:
    """
    :raises HostError: on an entry that is none, and where models wait for each other in a circle
    """
    models = [
        Wanted(
            require_path_segment("model name", str(entry.get("name", ""))),
            require_path_segment("digest", str(entry.get("digest", ""))),
            int(entry.get("priority", 0)),
            tuple(str(name) for name in entry.get("dependsOn", ())),
            int(entry.get("floor", 0)),
            int(entry.get("weight", 0)),
            require_path_segment("digest", str(entry["loadDigest"])) if "loadDigest" in entry else "",
            _parse_loaded(entry["loaded"]) if "loaded" in entry else None,
        )
        for entry in entries
    ]
    load_order(models)
    return models


def _parse_loaded(entry: Dict[str, Any]) -> LoadedState:
    values = Scheduling(*(int(entry[key]) for key in Scheduling._fields))
    return LoadedState(require_path_segment("digest", str(entry["digest"])), values)


def load_order(models: Iterable[Wanted]) -> List[Wanted]:
    """The models so that each comes after those that it depends on, and the most urgent first where that is free.

    :raises HostError: where models wait for each other in a circle
    """
    waiting = sorted(models, key=lambda model: (-model.priority, model.name))
    names = {model.name for model in waiting}
    ordered: List[Wanted] = []
    done: Set[str] = set()
    while waiting:
        ready = next(
            (
                model
                for model in waiting
                if all(name in done or name not in names for name in model.depends_on)
            ),
            None,
        )
        if ready is None:
            raise HostError(
                f"these models depend on each other in a circle: {', '.join(model.name for model in waiting)}",
                "remove one of their dependsOn, or of the steps of an ensemble",
            )
        waiting.remove(ready)
        ordered.append(ready)
        done.add(ready.name)
    return ordered


def dependents(model: str, models: Iterable[Wanted]) -> List[str]:
    """The models that depend on this one, directly or not; the last in the order first."""
    ordered = load_order(models)
    affected = {model}
    for candidate in ordered:
        if affected & set(candidate.depends_on):
            affected.add(candidate.name)
    return [candidate.name for candidate in reversed(ordered) if candidate.name in affected - {model}]


def link_target(name: str, digest: str) -> str:
    """What `models/repository/NAME` leads to."""
    return f"../store/{name}/{digest}"


def linked(directory: HostDirectory) -> Dict[str, str]:
    """What Triton's repository holds: the digest of each model."""
    try:
        entries = sorted(directory.repository.iterdir())
    except OSError:
        return {}
    targets = {path.name: os.readlink(path) for path in entries if path.is_symlink()}
    # Only what this program has made: somebody's own link may lead anywhere.
    return {
        name: digest
        for name, digest in ((name, Path(target).name) for name, target in targets.items())
        if targets[name] == link_target(name, digest) and "." not in (name[0], digest[0])
    }


def _note(directory: HostDirectory) -> Path:
    return directory.models / "wanted.json"


def read_noted(directory: HostDirectory) -> List[Wanted]:
    """The models that the last deployment has left; none if it noted nothing, or not in this form."""
    try:
        entries = json.loads(_note(directory).read_text("utf-8"))["models"]
        return parse_wanted(entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, HostError):
        return []


def has_note(directory: HostDirectory) -> bool:
    """Whether a deployment has noted which models it has left, if any."""
    return _note(directory).exists()


def read_wanted(directory: HostDirectory) -> List[Wanted]:
    """The models that the repository links, with what is known of them. A release before the agent left links only."""
    known = {model.name: model for model in read_noted(directory)}
    return [
        known.get(name, Wanted(name, digest)).with_digest(digest)
        for name, digest in linked(directory).items()
    ]


def write_wanted(directory: HostDirectory, models: Iterable[Wanted]) -> None:
    entries = [
        {
            "name": model.name,
            "digest": model.digest,
            "priority": model.priority,
            "dependsOn": list(model.depends_on),
            "floor": model.floor,
            "weight": model.weight,
            **({"loadDigest": model.load_digest} if model.load_digest else {}),
            **(
                {"loaded": {"digest": model.loaded.digest, **model.loaded.scheduling._asdict()}}
                if model.loaded is not None
                else {}
            ),
        }
        for model in models
    ]
    write_file(_note(directory), json.dumps({"models": entries}, indent=2) + "\n")
