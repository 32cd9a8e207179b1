"""Models whose code runs in processes of its own, and which of them have lost one.

Triton's Python backend does not start such a process again, and goes on to call the model ready, although every
request to it fails: "Stub process … is not healthy" (seen with r24.10). The process may have ended for lack of memory,
or because of what a client sent.
"""

from typing import Callable, Dict, Iterable, List, NamedTuple, Optional

from ..models.wanted import Wanted


class _Seen(NamedTuple):
    #: Of what its processes have loaded.
    digest: str
    #: The most at once since this state of the model is served.
    processes: int
    #: How many looks in a row have found fewer.
    missing: int
    #: How many have to.
    patience: int


class ModelProcesses:
    """How many processes each model has, look by look.

    :param count: tells how many each model has now that has some
    :param instances: how many instances of a model serve, each in a process of its own; None if it does not serve
    :param apart: whether a model runs in processes of its own, also if it has none any more
    """

    #: Looks that have to find fewer: a model that is just loaded anew may have fewer for a moment. Twice as many each
    #: time that it does not come back with all of them.
    LOOKS = 2
    MOST_LOOKS = 64

    def __init__(
        self,
        count: Callable[[], Dict[str, int]],
        instances: Callable[[str], Optional[int]],
        apart: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._count = count
        self._instances = instances
        self._apart = apart
        self._seen: Dict[str, _Seen] = {}

    def look(self, models: Iterable[Wanted]) -> List[Wanted]:
        """
        :returns: the models that have lost a process
        """
        lost = []
        seen: Dict[str, _Seen] = {}
        counts = self._count()
        for model in models:
            count = counts.get(model.name, 0)
            # Another priority is no other processes.
            digest = model.load_digest or model.digest
            before = self._seen.get(model.name)
            if before is None or before.digest != digest:
                # The first request may have ended it before the first look.
                processes = 1 if count == 0 and self._apart(model.name) else count
                seen[model.name] = _Seen(digest, processes, 0, self.LOOKS)
            elif count >= before.processes:
                seen[model.name] = _Seen(digest, count, 0, self.LOOKS)
            elif before.missing + 1 < before.patience:
                seen[model.name] = before._replace(missing=before.missing + 1)
            else:
                # More than instances were the processes of a former state, which end later when it is loaded anew.
                instances = self._instances(model.name)
                wanted = before.processes if instances is None else min(before.processes, instances)
                count = self._count().get(model.name, 0)
                # Asked before and after: what somebody, such as the benchmark, unloads or loads has lost nothing.
                if count < wanted and instances is not None and self._instances(model.name) == instances:
                    lost.append(model)
                    # Its process may end again before it was seen.
                    patience = min(before.patience * 2, self.MOST_LOOKS)
                    seen[model.name] = _Seen(digest, wanted, 0, patience)
                else:
                    seen[model.name] = _Seen(digest, wanted, 0, before.patience)
        self._seen = seen
        return lost

    def forget(self) -> None:
        """What was seen is of a server that has ended."""
        self._seen = {}
