"""What a host needs after each start of the machine."""

import os
import pwd
import subprocess
import sys
from typing import Dict, List

from . import instance_store
from .commands import Request, run
from .console import progress
from .directory import HostDirectory
from .errors import HostError
from .server.settings import read_settings


def boot(request: Request) -> None:
    """The command `boot`, before Docker: the instance store, and the models on it. systemd runs it as root."""
    directory = request.directory
    instance_store.mount(directory)
    owner = directory.path.stat().st_uid
    if owner == os.geteuid():
        run(directory, "refill", [])
        return
    user = pwd.getpwuid(owner)
    refill = [str(directory.agent), "refill"]
    finished = subprocess.run(
        ["runuser", "-u", user.pw_name, "--", "env", f"HOME={user.pw_dir}", *refill],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if finished.returncode != 0:
        # It has said why.
        sys.exit(finished.returncode)


def resume(request: Request) -> None:
    """The command `resume-host`: the server runs again, with all its models. Docker brings a container back only if
    nobody has stopped it, and does not know of models that were added later."""
    directory = request.directory
    if read_settings(directory) is None:
        # Nothing is deployed yet, or nothing any more.
        return
    failures = []
    try:
        run(directory, "refill", [])
    except HostError as error:
        # The other models are there.
        failures.append(error)
    try:
        run(directory, "resume", [])
    except HostError as error:
        failures.append(error)
    else:
        failures += _load_the_rest(directory)
    for failure in failures[:-1]:
        progress(str(failure))
    if failures:
        raise failures[-1]


def _load_the_rest(directory: HostDirectory) -> List[HostError]:
    """Loads the models that the server was started without, because they were restored later. Returns what failed."""
    waiting = [
        model["name"]
        for model in run(directory, "status", [])["models"]
        # A link without an end belongs to a model that could not be restored.
        if not model["ready"] and not model["setAside"] and (directory.repository / model["name"]).is_dir()
    ]
    while True:
        failed: Dict[str, HostError] = {}
        for name in waiting:
            try:
                run(directory, "reload", [name], "")
            except HostError as error:
                failed[name] = error
        if len(failed) in {0, len(waiting)}:
            return list(failed.values())
        # One that depends on another may have come first.
        waiting = list(failed)
