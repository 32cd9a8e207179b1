"""Which engines are being built on this host: `engines/building/MODEL` says so while one is, for whoever asks."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

from .directory import HostDirectory, write_file
from .errors import HostError


class Build(NamedTuple):
    """An engine that is being built."""

    model: str
    version: str
    #: Whether the builder is in the server's scheduling domain, below the models.
    below: bool
    #: By a clock that nobody sets, which counts from the boot.
    began: float


def lock_name(model: str) -> str:
    """Who builds engines of a model holds the lock of this name."""
    return f"engines-{model}"


def note(directory: HostDirectory, build: Build) -> None:
    """Notes a build, or what has changed about it."""
    file = _file(directory, build.model)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, json.dumps(build._asdict()) + "\n")


@contextlib.contextmanager
def noted(directory: HostDirectory, model: str, version: str, *, below: bool) -> Iterator[Build]:
    """Notes a build for as long as it takes."""
    build = Build(model, version, below, now())
    note(directory, build)
    try:
        yield build
    finally:
        with contextlib.suppress(FileNotFoundError):
            _file(directory, model).unlink()


def describe_builds(directory: HostDirectory) -> List[Dict[str, Any]]:
    """The engines that are being built at this moment."""
    found = []
    for file in sorted((directory.path / "engines/building").glob("[!.]*")):
        # A reader may come when it is gone again, and one that was killed has left it.
        with contextlib.suppress(OSError, ValueError, TypeError):
            build = Build(**json.loads(file.read_text("utf-8")))
            if _holds(directory, lock_name(build.model)):
                seconds = max(0, int(now() - build.began))
                found.append(
                    {"model": build.model, "version": build.version, "below": build.below, "seconds": seconds}
                )
    return found


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _holds(directory: HostDirectory, name: str) -> bool:
    try:
        with directory.lock(name, shared=True, seconds=0):
            return False
    except HostError:
        return True


def _file(directory: HostDirectory, model: str) -> Path:
    return directory.path / "engines/building" / model
