"""HAProxy as a process of this host.

A process is ours if it is a HAProxy that was told to read this folder's configuration. One that is ours and no other's
child is the master: it starts workers, and a new one beside the old for each change of the configuration. Sockets are
handed on, so that no connection is refused meanwhile, and an old worker ends with its last connection.
"""

import contextlib
import fcntl
import grp
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import List, Optional, Tuple

from ..directory import HostDirectory
from ..errors import HostError
from ..processes import (
    command_line,
    executable,
    how_ended,
    parent_process,
    process_ids,
    process_start,
    send_signal,
)
from ..programs import call
from .rendering import CONFIG, CONTROL_SOCKET

#: The oldest that has what the configuration uses: that of Ubuntu 22.04.
OLDEST = (2, 4)
#: Where distributions put it; not every login has the folder in its PATH.
_USUAL = "/usr/sbin/haproxy"
#: The user that the package of Debian and Ubuntu makes for it.
_USER = "haproxy"
#: The longest that a master is not to be told from another program, and how often it is looked for at least.
_REEXEC_SECONDS = 0.5
_REEXEC_LOOKS = 10
#: Room of the pipe between HAProxy and its log.
PIPE_BYTES = 1 << 20
#: fcntl.F_SETPIPE_SZ, which Python has since 3.10.
_F_SETPIPE_SZ = 1031
#: Memory that HAProxy keeps for the next requests.
_HOT_BYTES = 64 << 20
INSTALL = "sudo apt-get install haproxy (Debian, Ubuntu), or sudo dnf install haproxy (Red Hat)"


def find_program() -> str:
    """The path of HAProxy.

    :raises HostError: if it is missing or too old
    """
    program = shutil.which("haproxy") or (_USUAL if os.access(_USUAL, os.X_OK) else None)
    if program is None:
        raise HostError("the gateway needs HAProxy, which this host does not have", INSTALL)
    version = version_of(program)
    if version < OLDEST:
        raise HostError(
            f"the gateway needs HAProxy {'.'.join(map(str, OLDEST))} or newer, and {program} is "
            f"{'.'.join(map(str, version))}",
            "install a newer one, such as that of Ubuntu 22.04 or Debian 12",
        )
    return program


def version_of(program: str) -> Tuple[int, int]:
    """
    :raises HostError: if it does not tell
    """
    shown = call([program, "-v"], seconds=20)
    found = re.search(r"HA-?Proxy version (\d+)\.(\d+)", shown.out)
    if found is None:
        raise HostError(f"{program} does not tell its version: {shown.reason}", INSTALL)
    return int(found.group(1)), int(found.group(2))


def unprivileged_account() -> Tuple[str, str]:
    """The user and group whose rights the workers of a HAProxy that root starts have; empty if root does not."""
    if os.geteuid() != 0:
        return "", ""
    for name in (_USER, "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_name, grp.getgrgid(found.pw_gid).gr_name
    return "", ""


def knows(program: str, option: str) -> bool:
    """Whether it knows an option of a `defaults` section, which an update of the same release may have brought."""
    found = call([program, "-c", "-f", "/dev/stdin"], seconds=60, text=f"defaults\n  mode http\n  {option}\n")
    return "unknown option" not in found.err


def check(program: str, folder: Path) -> Optional[str]:
    """What HAProxy has against a configuration; None if nothing."""
    found = call([program, "-c", "-f", str(folder / CONFIG)], seconds=60, cwd=str(folder))
    return None if found.ok else complaints(found.err + found.out) or found.reason


def complaints(text: str) -> str:
    """What HAProxy says is wrong, in one line and without its own process and file."""
    found = re.findall(r"^\[ALERT\] +\(\d+\) : (.*)$", text, re.MULTILINE)
    own = re.compile(r"^config : |\[[^\]]*/haproxy\.cfg:\d+\] ?:? ?")
    lines = [
        own.sub("", line).strip() for line in found if not re.search(r"Fatal errors|error\(s\) found", line)
    ]
    return "; ".join(dict.fromkeys(lines))


class Proxy:
    """The HAProxy of this folder."""

    def __init__(self, directory: HostDirectory) -> None:
        self._folder = directory.gateway
        #: What points to the configuration.
        self.current = self._folder / "current"
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._pid = 0
        self._start: Optional[str] = None

    @property
    def pid(self) -> int:
        """Of the master; 0 without one."""
        return self._pid

    def processes(self) -> List[int]:
        """Ours, the master and its workers."""
        config = str(self.current / CONFIG)
        return [
            pid
            for pid in process_ids()
            if config in command_line(pid)
            and Path(executable(pid)).name == "haproxy"
            and process_start(pid) is not None
        ]

    def workers(self) -> List[int]:
        """Those of the master."""
        return [pid for pid in self.processes() if pid != self._pid]

    def find(self) -> bool:
        """Takes over a master that runs already."""
        end = time.monotonic() + _REEXEC_SECONDS
        for look in itertools.count(1):
            found = self.processes()
            for pid in found:
                start = process_start(pid)
                # A worker that has outlived its master is the child of init, as a master may be; but it has no worker.
                if start is not None and parent_process(pid) not in found and self._has_worker(pid, found):
                    self._pid, self._start = pid, start
                    return True
            # After a change of the configuration a master executes itself anew, and has no arguments for an instant. A
            # look can take that long where the machine is busy.
            if not found or (time.monotonic() >= end and look >= _REEXEC_LOOKS):
                break
            time.sleep(0.01)
        return False

    def _has_worker(self, pid: int, found: List[int]) -> bool:
        return any(parent_process(other) == pid for other in found)

    def launch(self, program: str) -> None:
        """Starts a master. A worker that has outlived its own gives its ports up to this one."""
        words = [program, "-W", "-f", str(self.current / CONFIG)]
        left = self.processes()
        if left:
            words += ["-sf", *map(str, left)]
        output = self.open_log()
        try:
            self._child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # The path of its control socket is relative.
                cwd=str(self._folder),
                env={
                    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "LANG": "C.UTF-8",
                    # mallopt(3): a buffer of a megabyte, which the JSON of a request may need, would be given back
                    # to the kernel after each request otherwise, and cost its page faults with each.
                    "MALLOC_MMAP_THRESHOLD_": str(_HOT_BYTES),
                    "MALLOC_TRIM_THRESHOLD_": str(_HOT_BYTES),
                },
                # A signal for the supervisor is none for it.
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._pid = self._child.pid
        self._start = process_start(self._pid)

    def open_log(self) -> int:
        """The pipe that all of its output goes through, to whoever supervises it. Always open at both ends: a
        supervisor may end, and HAProxy then goes on without its log. Not a file: HAProxy would not append to it."""
        path = self._folder / "log.pipe"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        # The most that a user may have without root; with less, some lines of a busy gateway are lost.
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, _F_SETPIPE_SZ, PIPE_BYTES)
        return pipe

    def poll(self) -> Optional[str]:
        """How the master ended; None while it runs."""
        return how_ended(self._child, self._pid, self._start)

    def reload(self) -> None:
        """Lets the master read the configuration again."""
        send_signal([self._pid], signal.SIGUSR2)

    @property
    def replaced(self) -> bool:
        """Whether the program is another one by now than the one that runs, for instance after a security update."""
        try:
            return os.readlink(f"/proc/{self._pid}/exe").endswith(" (deleted)")
        except OSError:
            return False

    def serving(self) -> str:
        """The digest of the configuration that new connections get; empty if nothing answers."""
        found = re.search(r"^description: *(\S+)$", self._ask("show info"), re.MULTILINE)
        return found.group(1) if found is not None else ""

    def in_flight(self) -> int:
        """How many requests wait for an answer of Triton's, as far as new connections go. A client that only keeps its
        connection has none."""
        lines = self._ask("show stat").splitlines()
        names = lines[0].lstrip("# ").split(",") if lines else []
        rows = [dict(zip(names, line.split(","))) for line in lines[1:]]
        counts = [
            row.get(name, "")
            for row in rows
            # A configuration of before may still run, whose backends had other names.
            if row.get("svname") == "BACKEND" and "metrics" not in row.get("pxname", "")
            for name in ("scur", "qcur")
        ]
        return sum(int(count) for count in counts if count.isdecimal())

    def _ask(self, command: str) -> str:
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return ""
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                # The path of the folder itself may be too long for a socket.
                connection.connect(f"/proc/self/fd/{folder}/{CONTROL_SOCKET}")
                connection.sendall(f"{command}\n".encode())
                while True:
                    received = connection.recv(65536)
                    if not received:
                        break
                    answer += received
        except OSError:
            return ""
        finally:
            os.close(folder)
        return answer.decode("utf-8", "replace")

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        send_signal(self.processes(), number)
