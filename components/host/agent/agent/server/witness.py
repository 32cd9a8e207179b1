"""Which models had a request in work when a server ended."""

import json
import re
from typing import List, Optional, Set

from ..triton import Triton
from .runtime import Runtime

#: What a backend says of an instance at the first level of verbosity, when it begins and when it has ended.
_BEGINS = re.compile(r"model (\S+), instance (\S+), executing \d+ requests")
_ENDS = re.compile(r"model instance name (\S+) released \d+ requests")


def models_at_work(log: str) -> Set[str]:
    """The models with an instance whose last word in the log is that it begins."""
    at_work = {}
    for line in log.splitlines():
        begins = _BEGINS.search(line)
        ends = _ENDS.search(line)
        if begins is not None:
            at_work[begins.group(2)] = begins.group(1)
        elif ends is not None:
            at_work.pop(ends.group(1), None)
    return set(at_work.values())


class Witness:
    """Lets Triton write down what its models do, while a server that has ended once may end again.

    :param arguments: those of tritonserver: what its user wants to read stays
    """

    def __init__(self, runtime: Runtime, triton: Triton, arguments: List[str]) -> None:
        self._runtime = runtime
        self._triton = triton
        self._always = any(re.fullmatch(r"--log-verbose=[1-9]\d*", word) for word in arguments)
        self._mark: Optional[str] = None

    def listen(self) -> None:
        """From now on. A release without the logging API has nothing to tell."""
        mark = self._runtime.log_mark()
        self._mark = mark if self._always or self._set_level(1) else None

    def rest(self) -> None:
        """No longer: each request costs lines of the log."""
        self._mark = None
        if not self._always:
            self._set_level(0)

    def at_work(self) -> Optional[Set[str]]:
        """The models that had a request in work when the server ended; None if nobody has listened."""
        if self._mark is None:
            return None
        return models_at_work(self._runtime.log_since(self._mark))

    def _set_level(self, level: int) -> bool:
        body = json.dumps({"log_verbose_level": level})
        return self._triton.control("POST", "/v2/logging", 5, body).ok
