"""Other programs that the agent calls."""

import shutil
import subprocess
import time
from typing import Callable, Mapping, Optional, Sequence

from .errors import HostError


class Finished:
    """How a program ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        #: Exit status; 124 if it took too long, as of timeout(1).
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
            124, out if isinstance(out, str) else out.decode("utf-8", "replace"), f"no answer in {seconds} s"
        )
    return Finished(finished.returncode, finished.stdout, finished.stderr)


def require_program(name: str, fix: str) -> str:
    """The path of a program that must be installed."""
    found = shutil.which(name)
    if found is None:
        raise HostError(f"{name} is not installed on this host", fix)
    return found


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
