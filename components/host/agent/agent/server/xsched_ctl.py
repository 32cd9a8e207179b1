"""xsched-ctl in the server's container."""

from typing import List

from ..directory import HostDirectory
from ..errors import HostError
from .container import ContainerRuntime
from .scheduling import control_words
from .settings import read_settings


def scheduler_words(directory: HostDirectory, words: List[str]) -> List[str]:
    """The command that runs xsched-ctl for the server.

    :raises HostError: if there is nothing to schedule
    """
    settings = read_settings(directory)
    if settings is None or settings.kind != "container":
        raise HostError(
            "this server runs as a process, on the CPU, where there is nothing to schedule",
            "use a container on a GPU",
        )
    runtime = ContainerRuntime(directory, settings)
    if not runtime.find():
        raise HostError(f"the container {runtime.name} does not run", "deploy the stack")
    return ["docker", "exec", runtime.name, *control_words(words)]
