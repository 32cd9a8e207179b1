"""Whether the server's ports are free, told from /proc/net, which every Linux has."""

import contextlib
import os
import time
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set

from ..directory import HostDirectory
from ..errors import HostError
from ..processes import command_line, process_ids
from .process import runtime_processes
from .settings import Settings

#: A whole command line would fill the screen.
_SHOWN = 120
#: How often, and after how many seconds each, somebody is looked for whom we cannot see.
_LOOKS, _LOOK = 20, 0.1


def listening_inodes(port: Optional[int], tables: Optional[List[Path]] = None) -> Iterator[str]:
    """The sockets that listen on a port, or on any."""
    for table in tables or [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and port in (None, int(fields[1].rpartition(":")[2], 16)):
                yield fields[9]


def socket_holder(inode: str) -> Optional[int]:
    """A process that has a socket open, if we may see it."""
    return next((pid for pid in process_ids() if inode in sockets(pid)), None)


def sockets(pid: int) -> Iterator[str]:
    """The inodes of the sockets that a process has open, as far as we may see them."""
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for entry in entries:
        with contextlib.suppress(OSError):
            kind, _, inode = os.readlink(entry).partition(":")
            if kind == "socket":
                yield inode.strip("[]")


def listens(pid: int) -> bool:
    """Whether a process takes connections of others."""
    inodes = set(listening_inodes(None))
    return any(inode in inodes for inode in sockets(pid))


def describe_holder(pid: Optional[int]) -> str:
    """Who holds a port, so that a person recognizes it."""
    if pid is None:
        return "a process of another user"
    command = " ".join(command_line(pid)).strip()
    return f"process {pid}: {command if len(command) <= _SHOWN else command[: _SHOWN - 1] + '…'}"


def require_free_ports(directory: HostDirectory, settings: Settings, current: Optional[Settings]) -> None:
    """
    :raises HostError: if other programs have some of the ports, and names all of them. Our own server's do not count:
        it is about to stop.
    """
    # Of a container, it is Docker that listens, so its processes do not tell.
    published: Set[int] = set()
    if current is not None and current.kind == "container":
        published = {current.http_port, current.grpc_port, current.metrics_port}
    ports = {
        "httpPort": settings.http_port,
        "grpcPort": settings.grpc_port,
        "metricsPort": settings.metrics_port,
    }
    require_ports(
        {key: port for key, port in ports.items() if port not in published}, set(runtime_processes(directory))
    )


def _foreign_holders(port: int, ours: Set[int]) -> List[Optional[int]]:
    """Who else listens at a port. A process that was killed shows nothing of itself any more while its sockets still
    close, so one that we cannot see gets a moment."""
    for _ in range(_LOOKS):
        foreign = [
            pid for pid in (socket_holder(inode) for inode in listening_inodes(port)) if pid not in ours
        ]
        if foreign != [None] * len(foreign) or not foreign:
            return foreign
        time.sleep(_LOOK)
    return foreign


def require_ports(ports: Dict[str, int], ours: Set[int]) -> None:
    """
    :param ports: by their key in the settings of the server
    :param ours: processes that may have them
    :raises HostError: if other programs have some of them, and names all of them
    """
    taken: List[str] = []
    keys: List[str] = []
    for key, port in ports.items():
        foreign = _foreign_holders(port, ours)
        if foreign:
            taken.append(f"the port {port} ({key}) is in use by {describe_holder(foreign[0])}")
            keys.append(f"server.{key}")
    if taken:
        raise HostError("; ".join(taken), f"stop what uses them, or choose free ports: {', '.join(keys)}")
