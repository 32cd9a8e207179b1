"""The processes that are started for a model while it is loaded.

Up to 25.07, Triton's Python backend waits without end for the first words of such a process, also if that has ended:
where its code ends it, as a library of C does that is made for another processor (seen with r24.10).
"""

import contextlib
import os
import signal
import threading
import time
from typing import Callable, Dict, Iterable, Iterator, Optional

from ..processes import busy_share, process_start, process_state, remaining_status

#: Seconds between two looks: first, and when a load takes longer.
_LOOK = 0.1
_LOOK_LATER = 1.0
_LATER = 15.0
#: Seconds that Triton has to notice an end by itself: before the server is ended for it, and where it is ended anyway.
PATIENCE = 15.0
SHORT_PATIENCE = 3.0
#: A process that has computed for a smaller part of its time waits for something.
_IDLE = 0.05


class LoadWatch:
    """What becomes of the processes that a load starts.

    :param find: the processes of the model, by id
    :param uncollected: those that have ended and that the server has not collected, whosever they were
    """

    def __init__(
        self, find: Callable[[], Iterable[int]], uncollected: Callable[[], Iterable[int]] = tuple
    ) -> None:
        self._find = find
        self._uncollected = uncollected
        #: They are none of this load.
        self._before = {*find(), *uncollected()}
        self._began = time.monotonic()
        #: When each began that this load has started.
        self._seen: Dict[int, Optional[str]] = {}
        #: Since when each is known to have ended.
        self._ended: Dict[int, float] = {}
        #: How the last one of them has ended.
        self.last_end = ""
        self._over = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator["LoadWatch"]:
        """Looks by itself: a process may end soon."""
        thread = threading.Thread(target=self._keep_looking, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def _keep_looking(self) -> None:
        while not self._over.wait(_LOOK if time.monotonic() - self._began < _LATER else _LOOK_LATER):
            self.look()

    def look(self) -> None:
        for pid in set(self._find()) - self._before - set(self._seen):
            self._seen[pid] = process_start(pid)
        for pid in list(self._seen):
            self._note(pid)

    def _note(self, pid: int) -> None:
        if process_state(pid) != "Z":
            self._ended.pop(pid, None)
        elif pid not in self._ended:
            self._ended[pid] = time.monotonic()
            self.last_end = _named(remaining_status(pid))

    def ended(self, alone: bool, patience: Optional[float] = None) -> str:
        """How a process has ended that Triton still waits for; empty while there is none.

        :param alone: whether no other load is under way, to which a process could belong that ended before it was seen
        :param patience: seconds that Triton has to notice it; `PATIENCE` without
        """
        least = PATIENCE if patience is None else patience
        if alone and not any(self._find()):
            for pid in set(self._uncollected()) - self._before:
                self._note(pid)
        for pid, since in list(self._ended.items()):
            self._note(pid)
            if pid in self._ended and time.monotonic() - since >= least:
                return f"its process ended with {_named(remaining_status(pid))}"
        return ""

    def unfinished(self) -> str:
        """What can be said of a load that takes too long."""
        running = [pid for pid, start in list(self._seen.items()) if start and process_start(pid) == start]
        if running and max(busy_share(pid) for pid in running) < _IDLE:
            return "its code waits for something that does not come"
        return "if it needs longer, raise server.loadTimeoutSeconds"


def _named(status: int) -> str:
    """As wait(2) has it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(ValueError):
            return f"signal {number} ({signal.Signals(number).name})"
        return f"signal {number}"
    return f"status {os.WEXITSTATUS(status)}"
