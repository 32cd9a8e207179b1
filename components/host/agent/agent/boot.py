"""What a host needs after each start of the machine."""

import os
import pwd
import subprocess
import sys
from typing import Optional

from . import instance_store
from .commands import Request, run
from .errors import HostError


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
    if not (directory.server / "settings").exists():
        # Nothing is deployed yet, or nothing any more.
        return
    failure: Optional[HostError] = None
    try:
        run(directory, "refill", [])
    except HostError as error:
        # The other models are there.
        failure = error
    run(directory, "resume", [])
    if failure is not None:
        raise failure
