"""The builder of an engine as a member of the server's scheduling domain, below all models.

The image that builds is NVIDIA's and has no core. It gets the core of the server's image, and the volume in which the
domain's processes meet. A domain belongs to one user, so the builder runs as the server's, who need not be able to
read or write what belongs to the user of this deployment.
"""

import json
import os
import stat
from pathlib import Path
from typing import List, NamedTuple, Optional

from .directory import HostDirectory
from .errors import HostError
from .images import has_image
from .models.store import readable
from .programs import Finished, call, outward_environment
from .server.container import CONTAINER_DIRECTORY, DOMAIN, ContainerRuntime
from .server.settings import read_settings
from .trtexec import entered_in

#: Where the builder's container has the core.
CORE = f"{CONTAINER_DIRECTORY}/core"

#: Where the server's image has it.
_INSTALLED = "/opt/xsched"

#: What `xsched-ctl` calls the builder. Not after the model, whose floor it would share.
NAME = "engine-builder"

#: The core says so in the builder's log, then goes on by itself.
_NOT_JOINED = "is not in a scheduling domain: "

#: Images are large, and what is asked for may not have been read from the disk before.
_ASK_SECONDS = 120

#: Seconds for an answer that is only wanted for a remark.
_SOON = 10


class OutsideError(Exception):
    """Why a builder cannot be a member."""


class Member(NamedTuple):
    """How a container of the builder's image becomes a member."""

    image: str
    #: The domain's volume.
    volume: str
    #: A copy of the core on this host.
    core: Path
    #: The user of the domain, by the numbers that the server's image has.
    user: int
    group: int

    @property
    def options(self) -> List[str]:
        """Of `docker run`."""
        return [
            *("--user", f"{self.user}:{self.group}"),
            # As the server's, with which it shares a volume.
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--env", f"XSCHED_DOMAIN_DIR={DOMAIN}/gpus"),
            *("--mount", f'type=bind,"source={quoted(self.core)}",target={CORE},readonly'),
            *("--mount", f"type=volume,source={self.volume},target={DOMAIN}"),
        ]

    def command(self, program: str) -> List[str]:
        """The end of the options of `docker run`, the image, and what comes before the program's arguments."""
        run = [f"{CORE}/bin/xsched-run", "--priority", "min", "--name", NAME]
        return entered_in(self.image, *run, "--", program)

    def reads(self, folder: Path) -> bool:
        """Whether the domain's user can read all of a folder, by its mode. Without capabilities, root is as others."""
        entries = [
            Path(above) / name for above, folders, names in os.walk(folder) for name in [*folders, *names]
        ]
        return all(self._reads(entry) for entry in [folder, *entries])

    def _reads(self, entry: Path) -> bool:
        status = entry.stat()
        needed = 0o5 if stat.S_ISDIR(status.st_mode) else 0o4
        if status.st_uid == self.user:
            needed <<= 6
        elif status.st_gid == self.group:
            needed <<= 3
        return status.st_mode & needed == needed


def domain_of(directory: HostDirectory) -> Optional[ContainerRuntime]:
    """The server of this folder, whether it runs or not, if it has a domain. As a process, it serves on the CPU."""
    settings = read_settings(directory)
    if settings is None or settings.kind != "container":
        return None
    runtime = ContainerRuntime(directory, settings)
    return runtime if runtime.domain else None


def join(runtime: ContainerRuntime, image: str, place: Path, container: str) -> Member:
    """
    Prepares a container of an image as a member, and tries whether CUDA starts there.

    :param place: a folder that only this user can enter
    :param container: a name that is free
    :raises OutsideError: if it cannot be one
    """
    server = runtime.image
    if not has_image(server):
        raise OutsideError(f"this host does not have the server's image {server}")
    try:
        runtime.make_domain()
    except HostError as error:
        raise OutsideError(error.what) from None
    core = place / "core"
    _copy_core(server, core, container)
    member = Member(image, runtime.domain, core, *_user_of(server))
    _try(member, container)
    return member


def _copy_core(server: str, core: Path, container: str) -> None:
    _docker("create", "--name", container, "--network", "none", server, "true")
    try:
        _docker("cp", f"{container}:{_INSTALLED}", str(core))
    except OutsideError as error:
        raise OutsideError(f"the server's image gives no {_INSTALLED}: {error}") from None
    finally:
        call(["docker", "rm", "--force", container])
    if not (core / "bin/xsched-run").is_file():
        raise OutsideError("the server's image is of a release without xsched-run")
    readable(core)


def _user_of(server: str) -> "tuple[int, int]":
    words = ("--network", "none", "--cap-drop", "ALL", "--entrypoint", "sh", server, "-c", "id -u && id -g")
    said = _docker("run", "--rm", *words).out.split()
    if len(said) != 2 or not all(number.isdecimal() for number in said):
        raise OutsideError(f"the server's image does not tell its user: {' '.join(said)}")
    return int(said[0]), int(said[1])


def _try(member: Member, container: str) -> None:
    """The builder's image may have an older C library than the one that the core was compiled with, for instance."""
    words = ["--rm", "--name", container, "--gpus", "all", "--network", "none", *member.options]
    tried = call(
        ["docker", "run", *words, *member.command(f"{CORE}/bin/xsched-ctl"), "check"],
        environment=outward_environment(),
        seconds=_ASK_SECONDS,
    )
    if tried.ok:
        return
    # One that took too long may run on.
    call(["docker", "rm", "--force", container])
    lines = tried.out.splitlines()
    refusals = [line.partition("no: ")[2] for line in lines if line.startswith("scheduled ")]
    why = (refusals or [tried.reason])[-1]
    raise OutsideError(f"the core of the server's image does not work in {member.image}: {why}")


def waits(container: str) -> bool:
    """Whether a launch of the builder waits for others in the domain at this moment, as far as is known."""
    asked = call(["docker", "exec", container, f"{CORE}/bin/xsched-ctl", "stats", "--json"], seconds=_SOON)
    try:
        return any(queue["state"] == "blocked" for queue in json.loads(asked.out)["queues"])
    except (ValueError, KeyError, TypeError):
        return False


def why_not_joined(log: str) -> str:
    """Why the core has not joined after all, by what it wrote; empty if it says nothing of the kind."""
    found = [line.partition(_NOT_JOINED)[2] for line in log.splitlines() if _NOT_JOINED in line]
    return found[0].partition(";")[0] if found else ""


def quoted(path: Path) -> str:
    """A path in a field of Docker's --mount, which is CSV."""
    return str(path).replace('"', '""')


def _docker(*words: str) -> Finished:
    done = call(["docker", *words], environment=outward_environment(), seconds=_ASK_SECONDS)
    if not done.ok:
        raise OutsideError(done.reason)
    return done
