"""The log of a process, within its limit."""

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import IO, Iterator, List

from ..disk import is_full, is_read_only

#: What Triton prints when it refuses an argument, up to the supervisor's next line: pages of usage.
_USAGE = re.compile(
    r"^Usage: tritonserver.*?(?=^\d{4} \d\d:\d\d:\d\d supervisor: |\Z)", re.MULTILINE | re.DOTALL
)
_STARTED = re.compile(r"^\d{4} \d\d:\d\d:\d\d supervisor: starting tritonserver$", re.MULTILINE)
_ENDED = re.compile(r"^\d{4} \d\d:\d\d:\d\d supervisor: tritonserver ended with ", re.MULTILINE)


class ProcessLog:
    """`triton.log` and, before it, `triton.log.1`. Both together stay below the limit.

    Triton keeps the file open, so its content moves, not the file. Lines written in that instant may be lost.
    """

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        self._limit = megabytes * 1024 * 1024 // 2
        #: Its size at the last look.
        self._seen = 0

    def prepare(self) -> None:
        """Before a process starts that writes to it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_symlink():
            self.path.unlink()

    @contextlib.contextmanager
    def opened(self) -> "Iterator[IO[bytes]]":
        """The file, for a process that is about to start. A server without a log is better than none: where the file
        can be neither opened nor made, as on a file system that has become read-only, its output is lost."""
        with contextlib.ExitStack() as stack:
            try:
                self.prepare()
                log = stack.enter_context(self.path.open("ab"))
            except OSError as error:
                if not (is_read_only(error) or is_full(error)):
                    raise
                log = stack.enter_context(Path(os.devnull).open("ab"))
            yield log

    def recover(self, output: Path) -> None:
        """Somebody may have removed the file, which the process goes on to fill: it stays within its limit, and can be
        read, by a link to what the process has open.

        :param output: that of the process in /proc
        """
        with contextlib.suppress(OSError):
            if not self.path.exists() and stat.S_ISREG(output.stat().st_mode):
                self.prepare()
                self.path.symlink_to(output)

    def rotate(self) -> bool:
        """Moves the content away if there is too much. A disk that is full loses the older half.

        :returns: whether the log grows fast, so that it has to be looked at again soon
        """
        size = self.mark()
        grown, self._seen = size - self._seen, size
        if size < self._limit:
            return grown * 10 > self._limit
        self._seen = 0
        older = self.path.with_name(f"{self.path.name}.1")
        try:
            with self.path.open("rb") as source, older.open("wb") as target:
                source.seek(max(0, size - self._limit))
                left = self._limit
                while left > 0:
                    data = source.read(min(left, 1 << 20))
                    if not data:
                        break
                    target.write(data)
                    left -= len(data)
        except OSError:
            with contextlib.suppress(OSError):
                older.unlink()
        with contextlib.suppress(OSError):
            os.truncate(self.path, 0)
        return True

    def mark(self) -> int:
        """A place in the log: what is written from now on comes after it."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def since(self, mark: int) -> str:
        try:
            with self.path.open("rb") as file:
                # It has been rotated meanwhile.
                if file.seek(0, os.SEEK_END) < mark:
                    mark = 0
                file.seek(max(mark, file.tell() - (1 << 20)))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def tail(self, lines: int) -> List[str]:
        """The last lines of the server that was started last, not of the one that was stopped for it."""
        text = self.since(0)
        starts = [start.start() for start in _STARTED.finditer(text)]
        servers = [text[begin:end] for begin, end in zip(starts, [*starts[1:], len(text)])] or [text]
        last = without_usage(servers[-1])
        # It has ended and is being started again: what it said is what the one before it has said.
        if len(last) == 1 and len(servers) > 1 and _ENDED.search(servers[-2]):
            last = without_usage(servers[-2])
        return last[-lines:]


def without_usage(text: str) -> List[str]:
    return [line for line in _USAGE.sub("", text).splitlines() if line.strip()]


#: What protocol buffers say of a configuration that is none: position and reason.
_TEXT_FORMAT = re.compile(r"Error parsing text-format inference\.ModelConfig: (.+)")


def poll_reason(text: str, model: str) -> str:
    """Why Triton could not read a model's configuration, which it says in its log only; empty if it does not."""
    details = [found.group(1).strip() for found in _TEXT_FORMAT.finditer(text)]
    poll = re.findall(
        rf"""Poll failed for model directory '{re.escape(model)}': (.+?)"?$""", text, re.MULTILINE
    )
    if poll and not (details and "failed to read text proto" in poll[-1]):
        return poll[-1].strip()
    return details[-1] if details else ""


#: What C++ says at the end of a process.
_EXCEPTION = re.compile(
    r"^terminate called after throwing an instance of '(.+)'\n(?:\s*what\(\):\s*(.+))?", re.MULTILINE
)


def exception_in(text: str) -> str:
    """The exception that has ended a process, after a comma; empty if there is none."""
    found = list(_EXCEPTION.finditer(text))
    if not found:
        return ""
    kind, what = found[-1].groups()
    return f", {kind}: {what.strip()}" if what else f", {kind}"
