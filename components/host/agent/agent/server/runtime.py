"""What a server runs as."""

from typing import Union

from ..directory import HostDirectory
from .container import ContainerRuntime
from .process import ProcessRuntime
from .settings import Settings

Runtime = Union[ProcessRuntime, ContainerRuntime]


def runtime_of(directory: HostDirectory, settings: Settings) -> Runtime:
    """The runtime of these settings. `find()` takes over a server that runs."""
    if settings.kind == "container":
        return ContainerRuntime(directory, settings)
    return ProcessRuntime(directory, settings)
