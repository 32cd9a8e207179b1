"""Processes of this machine, told apart for certain."""

import os
import signal
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
