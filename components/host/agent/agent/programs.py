"""Other programs that the agent calls."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import IO, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Union
from urllib.parse import urlsplit

from .console import proxies
from .errors import HostError

#: The status of a program that took too long, as of timeout(1).
TIMED_OUT = 124

#: Seconds for an answer of nvidia-smi. Without NVIDIA's persistence daemon, it first starts each GPU, eight of them one
#: after another.
SMI_SECONDS = 60


class Finished:
    """How a program ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        #: Exit status, or `TIMED_OUT`.
        self.status = status
        self.out = out
        self.err = err

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def reason(self) -> str:
        """The last line that it printed, of its messages if there are any."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1].strip() if lines else f"status {self.status}"


def call(
    words: Sequence[str],
    *,
    text: Optional[str] = None,
    seconds: Optional[float] = None,
    environment: Optional[Mapping[str, str]] = None,
    cwd: Optional[str] = None,
) -> Finished:
    """Runs a program to its end and returns what it printed. A program that is missing ends with status 127."""
    try:
        finished = subprocess.run(
            list(words),
            # Never this command's own standard input, which the program would use up.
            **({"stdin": subprocess.DEVNULL} if text is None else {"input": text}),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env=None if environment is None else dict(environment),
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError:
        return Finished(127, "", f"{words[0]}: not found")
    except PermissionError:
        return Finished(126, "", f"{words[0]}: not executable for this user")
    except subprocess.TimeoutExpired as expired:
        out = expired.stdout or ""
        return Finished(
            TIMED_OUT,
            out if isinstance(out, str) else out.decode("utf-8", "replace"),
            f"no answer in {seconds} s",
        )
    return Finished(finished.returncode, finished.stdout, finished.stderr)


def await_end(
    process: "subprocess.Popen[bytes]",
    describe: Callable[[int], None],
    *,
    every: float = 5,
    poll: float = 0.2,
) -> int:
    """Waits for a child, calls `describe(seconds)` every few seconds, and returns its exit status."""
    began = time.monotonic()
    announced = 0.0
    while True:
        try:
            return process.wait(timeout=poll)
        except subprocess.TimeoutExpired:
            waited = time.monotonic() - began
            if waited - announced >= every:
                announced = waited
                describe(int(waited))


#: What is never asked through a proxy: this machine, and the services that tell an instance who it is.
DIRECT = (
    "localhost",
    "127.0.0.1",
    "::1",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
)


def outward_environment(changes: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
    """
    The environment of a program that speaks to the outside: it honours the user's proxy, but never asks it for what
    only this machine can reach.
    """
    environment = dict(os.environ)
    given = f"{environment.get('no_proxy', '')},{environment.get('NO_PROXY', '')}".split(",")
    names = [name.strip() for name in given if name.strip()]
    # Programs disagree on which of the two they read.
    # A * beside others is no wildcard to many of them.
    direct = "*" if "*" in names else ",".join(dict.fromkeys([*names, *DIRECT]))
    environment["no_proxy"] = environment["NO_PROXY"] = direct
    environment.update(changes or {})
    return environment


def require_proxies() -> None:
    """
    :raises HostError: if the URL of a proxy is none, mostly for a password in it. A program that cannot read it would
        print it, or take a part of the password for the proxy's name.
    """
    for name, url in proxies().items():
        with contextlib.suppress(ValueError):
            parts = urlsplit(url if "://" in url else f"http://{url}")
            fits = parts.hostname and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
            # A port that is no number raises an error.
            if fits and parts.port != 0:
                continue
        login, at, place = url.rpartition("@")
        shown = f"{login.rpartition('://')[0] or 'http'}://***@{place}" if at else url
        raise HostError(
            f"{name} of the user on this host is not the URL of a proxy: {shown}",
            "write it as http://USER:PASSWORD@HOST:PORT; in the password, write / as %2F, # as %23, ? as %3F and @ "
            "as %40",
        )


#: Asks the kernel to end a program with the one that started it (PR_SET_PDEATHSIG), then becomes that program. Not a
#: function between fork and exec: in a process with threads none is safe there.
TIED = """
import os, signal, sys
# Python ignores these two, and an ignored signal stays so.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
except (ImportError, OSError, AttributeError):
    pass
if os.getppid() != int(sys.argv[1]):
    sys.exit(137)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""


def tied(words: Sequence[str]) -> List[str]:
    """A command line whose program ends with this process, however that ends."""
    return [sys.executable, "-I", "-S", "-c", TIED, str(os.getpid()), *words]


class EndedError(Exception):
    """A program was ended, or not started any more, because all were."""


class Children:
    """Programs that run side by side, called by threads, and that can all be ended at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Set[subprocess.Popen[str]] = set()
        self._ended = False

    def call(self, words: Sequence[str], *, environment: Optional[Mapping[str, str]] = None) -> Finished:
        """As the function of this name. Raises `EndedError` after `end`."""
        with self._lock:
            if self._ended:
                raise EndedError
            process = subprocess.Popen(
                tied(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env=None if environment is None else dict(environment),
            )
            self._running.add(process)
        try:
            out, err = process.communicate()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            with self._lock:
                self._running.discard(process)
                ended = self._ended
        if ended:
            raise EndedError
        return Finished(process.returncode, out, err)

    def end(self) -> None:
        """Ends those that run, and starts no other."""
        with self._lock:
            self._ended = True
            for process in self._running:
                process.kill()


@contextlib.contextmanager
def running(
    words: Sequence[str], output: "Union[IO[bytes], int]", *, environment: Optional[Mapping[str, str]] = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """A program that takes long and is watched meanwhile; it ends with this process, and with the `with`."""
    process = subprocess.Popen(
        tied(words),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=None if environment is None else dict(environment),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
