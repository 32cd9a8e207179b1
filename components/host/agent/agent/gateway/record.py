"""What is deployed of a gateway, told from its files: `current` links to the configuration, named after its digest."""

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional

from ..directory import HostDirectory
from ..server.supervision import GATEWAY, program_digest, read_supervisor
from .proxy import Proxy
from .rendering import FACTS, digest_of

_PREFIX = "config-"


def folder_of(directory: HostDirectory, digest: str) -> Path:
    return directory.gateway / f"{_PREFIX}{digest}"


def configured(directory: HostDirectory) -> Optional[str]:
    """The digest of the configuration that is deployed; None if there is none, or if the record is lost."""
    try:
        target = os.readlink(directory.gateway / "current")
    except OSError:
        return None
    return target[len(_PREFIX) :] if target.startswith(_PREFIX) else None


def is_whole(directory: HostDirectory, digest: str) -> bool:
    """Whether the files of a configuration are as they were written."""
    try:
        files = {path.name: path.read_text("utf-8") for path in folder_of(directory, digest).iterdir()}
    except (OSError, UnicodeDecodeError):
        return False
    return digest_of(files) == digest


def find_fault(directory: HostDirectory, wanted: bool) -> Optional[str]:
    """What is wrong with the gateway.

    :param wanted: whether the server was deployed with one
    """
    if not directory.gateway.is_dir():
        return "the gateway is gone from the host" if wanted else None
    digest = configured(directory)
    if digest is None:
        return "the record of the gateway is lost"
    if not is_whole(directory, digest):
        return "the gateway's files have been changed on the host"
    return _find_fault_of_process(directory, digest)


def _find_fault_of_process(directory: HostDirectory, digest: str) -> Optional[str]:
    proxy = Proxy(directory)
    if not proxy.find():
        return "the gateway does not run"
    if proxy.serving() != digest:
        return "the gateway runs with another configuration"
    supervisor = read_supervisor(directory, GATEWAY)
    if supervisor is None:
        return "the gateway's supervisor does not run"
    if supervisor.program != program_digest():
        return "the gateway's supervisor is another program"
    return None


def describe(directory: HostDirectory) -> Optional[Dict[str, Any]]:
    """For `status`: where it listens, and whether it runs; None without one."""
    digest = configured(directory)
    if digest is None:
        return None
    proxy = Proxy(directory)
    running = proxy.find() and proxy.serving() != ""
    try:
        facts = json.loads((folder_of(directory, digest) / FACTS).read_text("utf-8"))
    except (OSError, ValueError):
        facts = {}
    return {**facts, "running": running, "pid": proxy.pid if running else None}


def other_folders(directory: HostDirectory, digest: Optional[str]) -> List[Path]:
    """Configurations of before."""
    return [path for path in directory.gateway.glob(f"{_PREFIX}*") if path.name != f"{_PREFIX}{digest}"]
