"""Models whose code runs in processes of its own, and which of them have lost one.

Triton's Python backend does not start such a process again, and goes on to call the model ready, although every
request to it fails: "Stub process … is not healthy" (seen with r24.10). The process may have ended for lack of memory,
or because of what a client sent.
"""

from typing import Dict, Iterable, List, NamedTuple

from ..models.wanted import Wanted


class _Seen(NamedTuple):
    digest: str
    #: The most at once since this state of the model is served.
    processes: int
    #: How many looks in a row have found fewer.
    missing: int
    #: How many have to.
    patience: int


class ModelProcesses:
    """How many processes each model has, look by look."""

    #: Looks that have to find fewer: a model that is just loaded anew may have fewer for a moment. Twice as many each
    #: time that it does not come back with all of them.
    LOOKS = 2
    MOST_LOOKS = 64

    def __init__(self) -> None:
        self._seen: Dict[str, _Seen] = {}

    def look(self, models: Iterable[Wanted], counts: Dict[str, int]) -> List[Wanted]:
        """
        :param counts: of the models that have some
        :returns: the models that have lost a process
        """
        lost = []
        seen: Dict[str, _Seen] = {}
        for model in models:
            count = counts.get(model.name, 0)
            before = self._seen.get(model.name)
            if before is None or before.digest != model.digest or count >= before.processes:
                seen[model.name] = _Seen(model.digest, count, 0, self.LOOKS)
            elif before.missing + 1 < before.patience:
                seen[model.name] = before._replace(missing=before.missing + 1)
            else:
                lost.append(model)
                # Its process may end again before it was seen.
                patience = min(before.patience * 2, self.MOST_LOOKS)
                seen[model.name] = before._replace(missing=0, patience=patience)
        self._seen = seen
        return lost

    def forget(self) -> None:
        """What was seen is of a server that has ended."""
        self._seen = {}
