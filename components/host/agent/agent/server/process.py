"""The process runtime: tritonserver as a process of this user.

A process is ours if its executable lies in this folder's runtime, or is a stub in its store, whatever a file says.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Optional

from ..directory import HostDirectory
from ..disk import mount_point
from ..models.store import STUB
from ..processes import (
    command_line,
    executable,
    how_ended,
    parent_process,
    process_ids,
    process_start,
    process_state,
    send_signal,
)
from ..programs import Finished, call
from .concealed import ConcealError, spawn
from .control import can_lock, forget_key, locking_arguments, read_key, renew_key
from .load_watch import LoadWatch
from .log import ProcessLog
from .own_memory import own_memory
from .settings import Settings
from .stub import Place, stub_fault

#: Where Triton's Python backend makes its folder.
TEMPORARY = Path("/tmp")

_REPOSITORY = "--model-repository="


def runtime_processes(directory: HostDirectory, pattern: str = "*") -> List[int]:
    """Our processes whose program's name matches: the runtime's, and stubs that models bring themselves."""
    runtime, store = f"{directory.path}/runtime/", f"{directory.store}/"
    found = ((pid, executable(pid)) for pid in process_ids())
    return [
        pid
        for pid, path in found
        if (path.startswith(runtime) or (path.startswith(store) and Path(path).name == STUB))
        and fnmatch(Path(path).name, pattern)
    ]


class ProcessRuntime:
    """A tritonserver that the supervisor starts, or finds running."""

    def __init__(self, directory: HostDirectory, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._pid = 0
        self._start: Optional[str] = None
        self.log = ProcessLog(directory.server / "logs/triton.log", settings.log_megabytes)

    @property
    def identity(self) -> str:
        """Names the process that runs; empty without one."""
        return f"{self._pid} {self._start}" if self._pid else ""

    @property
    def pid(self) -> int:
        return self._pid

    def find(self) -> bool:
        """Takes over a server that runs already."""
        for pid in runtime_processes(self._directory, "tritonserver"):
            start = process_start(pid)
            if start is not None:
                self._pid, self._start = pid, start
                return True
        return False

    adopt = find

    @property
    def astray(self) -> bool:
        """Whether it was started for a folder that has been moved since: what it is to load would not be found."""
        found = [word for word in command_line(self._pid) if word.startswith(_REPOSITORY)]
        if not found:
            return False
        folder = found[0][len(_REPOSITORY) : -len("/models/repository")]
        try:
            # Relative to where it was started.
            return not (Path(f"/proc/{self._pid}/cwd") / folder).samefile(self._directory.path)
        except OSError:
            return True

    def launch(self) -> None:
        """Starts the server. What an earlier one has left is removed first."""
        # Stubs of a server that was killed hold the shared memory that is removed next.
        send_signal(runtime_processes(self._directory), signal.SIGKILL)
        self.remove_shared_memory()
        with self.log.opened() as log:
            self._child = self._spawn(log)
        self._pid = self._child.pid
        self._start = process_start(self._pid)

    def _spawn(self, log: "IO[bytes]") -> "subprocess.Popen[bytes]":
        words = [str(self._program), *self.arguments()]
        options: Dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": log,
            # Relative paths in the arguments start here.
            "cwd": str(self._directory.path),
        }
        environment = self.environment()
        before = own_memory()
        if not self._can_lock():
            forget_key(self._directory)
            return subprocess.Popen(words, env=environment, preexec_fn=before, **options)  # noqa: PLW1509
        locking = locking_arguments(renew_key(self._directory))
        try:
            return spawn(words, locking, environment, before=before, **options)
        except ConcealError as error:
            # Better a lock whose key the users of this machine can see than none.
            log.write(f"the process list shows the key to this server's control: {error}\n".encode())
            log.flush()
            return subprocess.Popen([*words, *locking], env=environment, preexec_fn=before, **options)  # noqa: PLW1509

    @property
    def lacks_lock(self) -> bool:
        """Whether its control is open to everybody, although this release knows the lock."""
        return not read_key(self._directory) and self._can_lock()

    def _can_lock(self) -> bool:
        return can_lock(self._program, self.environment())

    @property
    def _program(self) -> Path:
        return self._runtime / "tritonserver/bin/tritonserver"

    @property
    def _runtime(self) -> Path:
        return self._directory.path / "runtime" / self._settings.runtime

    def environment(self) -> Dict[str, str]:
        """A clean one: what a login happens to set must not change how models run."""
        return {
            "PATH": f"{self._runtime}/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def arguments(self) -> List[str]:
        settings = self._settings
        folder = plain_folder(self._directory)
        return [
            f"{_REPOSITORY}{folder}/models/repository",
            *settings.common_arguments,
            f"--backend-directory={folder}/runtime/{settings.runtime}/tritonserver/backends",
            f"--backend-config=python,shm-region-prefix-name={self.shared_memory_prefix}",
            f"--http-address={settings.address}",
            f"--http-port={settings.http_port}",
            f"--grpc-address={settings.address}",
            f"--grpc-port={settings.grpc_port}",
            f"--metrics-address={settings.address}",
            f"--metrics-port={settings.metrics_port}",
            *settings.arguments,
        ]

    def poll(self) -> Optional[str]:
        """How the server ended; None while it runs."""
        return how_ended(self._child, self._pid, self._start)

    def housekeep(self) -> bool:
        """Keeps the log within its limit, and tensors from other users; returns whether the log grows fast."""
        # What is there is of a server without memory of its own, which everybody may read (own_memory.py).
        for path in self._shared_memory():
            with contextlib.suppress(OSError):
                if path.stat().st_mode & 0o077:
                    path.chmod(0o600)
        if self._pid and self._directory.server.is_dir():
            self.log.recover(Path(f"/proc/{self._pid}/fd/1"))
        return self.log.rotate()

    def release(self) -> None:
        """Leaves the server to the next supervisor."""

    def terminate(self) -> None:
        """Asks the server to end. A second time would make it drop its requests."""
        send_signal([self._pid] if self._pid else [], signal.SIGTERM)

    def kill(self) -> None:
        send_signal([self._pid] if self._pid else [], signal.SIGKILL)

    def _model_processes(self) -> Iterator["tuple[str, int]"]:
        """The processes in which models' code runs, and whose it is."""
        for pid in runtime_processes(self._directory, STUB):
            found = re.search(r"/repository/([^/]+)/", " ".join(command_line(pid)))
            if found is not None:
                yield found.group(1), pid

    def watch_load(self, model: str) -> LoadWatch:
        """Watches the processes that a load of this model starts."""
        return LoadWatch(
            lambda: [pid for name, pid in self._model_processes() if name == model], self._uncollected
        )

    def _uncollected(self) -> List[int]:
        """The processes that the server has started, and not collected since they ended."""
        return [
            pid for pid in process_ids() if process_state(pid) == "Z" and parent_process(pid) == self._pid
        ]

    def end_model(self, model: str) -> bool:
        """Ends the processes in which a model's code runs, if it has some."""
        stubs = [pid for name, pid in self._model_processes() if name == model]
        send_signal(stubs, signal.SIGKILL)
        return bool(stubs)

    def model_processes(self) -> Dict[str, int]:
        """How many processes of its own each model's code has, if it has some."""
        return dict(Counter(name for name, _ in self._model_processes()))

    def remains(self) -> List[int]:
        """Processes of ours that are left."""
        return runtime_processes(self._directory)

    def clear(self) -> None:
        send_signal(self.remains(), signal.SIGKILL)
        self.remove_shared_memory()

    def prepare(self, folders: List[Path]) -> None:
        """Compiles the Python code of models before they are loaded. Python would do it while they are, and then, for
        Triton, the models would have changed since: the load of an ensemble would load them again."""
        code = [str(folder.resolve()) for folder in folders if any(folder.glob("*/*.py"))]
        if code:
            call(
                [str(self._runtime / "python/bin/python3"), "-I", "-m", "compileall", "-q", *code],
                seconds=120,
            )

    def stub_fault(self, model: str) -> str:
        """Why the process in which a model's code is to run cannot start; empty if nothing is known."""
        fault = self._temporary_fault(model)
        if fault:
            return fault
        folder = plain_folder(self._directory)
        backend = f"{folder}/runtime/{self._settings.runtime}/tritonserver/backends/python"

        def run(script: str, seconds: float) -> Finished:
            return call(
                ["bash", "-c", script],
                seconds=seconds,
                environment=self.environment(),
                cwd=str(self._directory.path),
            )

        return stub_fault(
            self._directory.repository / model,
            f"{folder}/models/repository/{model}",
            Place(run, backend, self._settings.runtime),
            self._directory.server / "tried" / model,
        )

    def _temporary_fault(self, model: str) -> str:
        """With its first model, Triton's Python backend makes a folder in /tmp, whatever TMPDIR says. Where it cannot,
        it ends the server, once for each model (seen with r24.10)."""
        has_code = any((self._directory.repository / model).glob("*/model.py"))
        if not has_code or any(self._model_processes()):
            return ""
        try:
            Path(tempfile.mkdtemp(prefix="xsched-triton-", dir=TEMPORARY)).rmdir()
        except OSError as error:
            return (
                f"Triton's Python backend cannot make a folder in {TEMPORARY} on this host: {error.strerror}; make it "
                f"writable, with space and inodes (df -h, df -i; sudo mount -o remount,rw {mount_point(TEMPORARY)}), "
                "and deploy again"
            )
        return ""

    def clear_unpacked(self, place: str) -> bool:
        """Takes away what an environment has left that Triton could not unpack. The folder stays, under another name:
        Triton works in it since."""
        away = Path(f"{place}.{time.time_ns()}")
        with contextlib.suppress(OSError):
            Path(place).rename(away)
            for path in away.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
            return True
        return False

    def log_mark(self) -> str:
        return str(self.log.mark())

    def log_since(self, mark: str) -> str:
        return self.log.since(int(mark or 0))

    def log_tail(self, lines: int) -> List[str]:
        return self.log.tail(lines)

    def shared_memory_left(self) -> str:
        """How much there is, and what to do about it."""
        left = ""
        with contextlib.suppress(OSError):
            # It may be the server's own.
            memory = os.statvfs(f"/proc/{self._pid}/root/dev/shm")
            free, size = (blocks * memory.f_frsize // 2**20 for blocks in (memory.f_bavail, memory.f_blocks))
            left = f" has {free} of {size} MB left"
        return (
            f"/dev/shm{left}; remove files there that nobody uses, serve fewer instances of Python models, or make it "
            "larger with 'mount -o remount,size=SIZE /dev/shm' and start the server again"
        )

    @property
    def shared_memory_prefix(self) -> str:
        return f"xsched-triton-{self._directory.identity}-"

    def _shared_memory(self) -> Iterator[Path]:
        return Path("/dev/shm").glob(f"{self.shared_memory_prefix}*")

    def remove_shared_memory(self) -> None:
        for path in self._shared_memory():
            with contextlib.suppress(OSError):
                path.unlink()


def plain_folder(directory: HostDirectory) -> str:
    """The host's folder as tritonserver is to see it, seen from the folder itself. Triton's Python backend pastes paths
    into a shell command without quotes, so one that needs quotes must not appear; an absolute path is better where it
    can be had, since a model may change its working directory."""
    path = str(directory.path)
    return path if re.fullmatch(r"[A-Za-z0-9/_.,:+@-]+", path) else "."
