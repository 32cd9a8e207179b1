"""Processes of this machine, told apart for certain."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Iterable, Iterator, List, Optional


def _stat(pid: int) -> List[str]:
    """What proc(5) says of a process from its third field, the state, on; empty if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    # The second field, the name, may itself hold spaces and parentheses.
    return text.rpartition(")")[2].split()


def process_start(pid: int) -> Optional[str]:
    """When a process began, in clock ticks since boot: with the pid it names one process for certain. None if it has
    ended, also if nobody has collected it yet, as happens where process 1 is not a real init."""
    fields = _stat(pid)
    return None if not fields or fields[0] in ("Z", "X") else fields[19]


def process_state(pid: int) -> str:
    """Its letter in proc(5), Z for a process that has ended and that its parent has not collected; empty if there is
    none."""
    return (_stat(pid) or [""])[0]


def remaining_status(pid: int) -> int:
    """How a process has ended that its parent has not collected, as wait(2) tells; 0 where the kernel does not say."""
    fields = _stat(pid)
    return int(fields[49]) if len(fields) > 49 else 0


def busy_share(pid: int) -> float:
    """The part of its life in which a process has computed, more than 1 with several threads; 0 if there is none."""
    fields = _stat(pid)
    try:
        uptime = float(Path("/proc/uptime").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    if not fields:
        return 0
    ticks = uptime * os.sysconf("SC_CLK_TCK") - int(fields[19])
    return (int(fields[11]) + int(fields[12])) / max(1.0, ticks)


def parent_process(pid: int) -> int:
    """0 if the process has ended."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


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
