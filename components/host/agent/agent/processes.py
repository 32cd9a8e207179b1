"""Processes of this machine, told apart for certain."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Iterable, Iterator, List, Optional


def process_start(pid: int) -> Optional[str]:
    """When a process began, in clock ticks since boot: with the pid it names one process for certain. None if it has
    ended, also if nobody has collected it yet, as happens where process 1 is not a real init."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The second field, the name, may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def parent_process(pid: int) -> int:
    """0 if the process has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return ""


def process_ids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def executable(pid: int) -> str:
    """Path of a process's program; empty if it has ended or is somebody else's."""
    try:
        path = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""
    # What Linux appends when the file was replaced.
    return path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path


def command_line(pid: int) -> List[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return []


def send_signal(pids: Iterable[int], number: signal.Signals) -> None:
    """Signals processes; one that has ended meanwhile is as good."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def how_ended(child: "Optional[subprocess.Popen[bytes]]", pid: int, start: Optional[str]) -> Optional[str]:
    """How a process ended; None while it runs.

    :param child: the process, if this one has started it. How somebody else's ended is not to be known.
    :param start: what `process_start` said of it
    """
    if child is None:
        return None if start is not None and process_start(pid) == start else "an unknown status"
    status = child.poll()
    if status is None:
        return None
    return f"signal {-status}" if status < 0 else f"status {status}"
