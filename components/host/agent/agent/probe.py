"""What a host has."""

import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any, Dict, List

from .commands import Request
from .programs import SMI_SECONDS, call


def gpus() -> List[str]:
    """The name of each NVIDIA GPU. Triton cannot use one without a driver that works."""
    if shutil.which("nvidia-smi") is None:
        return []
    found = call(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], seconds=SMI_SECONDS)
    return [line.strip() for line in found.out.splitlines() if line.strip()] if found.ok else []


def has_docker() -> bool:
    """Whether this user can run containers."""
    return call(["docker", "version", "--format", "{{.Server.Version}}"], seconds=10).ok


def system_name() -> str:
    """The name of the distribution, as it calls itself."""
    try:
        text = Path("/etc/os-release").read_text("utf-8")
    except OSError:
        return ""
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)"?$', text, re.MULTILINE)
    return found.group(1) if found else ""


def glibc() -> str:
    """Version of the C library, such as 2.36; "unknown" for another library."""
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        name = ""
    return name[len("glibc ") :] if name.startswith("glibc ") else "unknown"


def probe(request: Request) -> Dict[str, Any]:
    """The command `probe`."""
    return {
        "directory": str(request.directory.path),
        "os": system_name(),
        "arch": platform.machine(),
        "glibc": glibc(),
        "python": platform.python_version(),
        "gpus": gpus(),
        "docker": has_docker(),
    }
