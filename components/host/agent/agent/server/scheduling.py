"""What a running scheduler has for the models, and how it is told something else."""

import json
from typing import Any, Callable, Collection, Dict, Iterable, Iterator, List, NamedTuple, Set

from ..models.wanted import Wanted
from ..programs import Finished

#: Runs xsched-ctl for a server, beside it. The image's entrypoint writes down tritonserver's pid. Models can have
#: processes of their own: counters, priorities, floors and weights are those of all, if the image's xsched-ctl can do
#: that, as earlier releases cannot.
CONTROL_SCRIPT = """
state=${XSCHED_TRITON_STATE:-/tmp/xsched-triton}/server control=${XSCHED_TRITON_CONTROL:-/opt/xsched/bin/xsched-ctl}
if [ ! -x "$control" ] || ! read -r pid 2>/dev/null <"$state"; then
  echo "error: the image of this container has no XSched" >&2
  exit 3
fi
case "$*" in
  "list --domain"*) exec "$control" "$@" ;;
esac
of_all=no
case $1 in
  stats | priority) "$control" --help | grep -q -e --all && of_all=yes ;;
  floor | weight) "$control" --help | grep -q 'priority, floor and weight' && of_all=yes ;;
esac
case $of_all-$1 in
  no-*) set -- --pid "$pid" "$@" ;;
  yes-stats) set -- "$@" --all ;;
esac
exec "$control" "$@"
"""

#: Runs xsched-ctl with these words.
Control = Callable[[List[str]], Finished]


def control_words(words: List[str]) -> List[str]:
    """The command that runs xsched-ctl for a server, where that runs."""
    return ["sh", "-c", CONTROL_SCRIPT, "xsched-ctl", *words]


class LiveScheduling(NamedTuple):
    """What the scheduler has for each model's queues now, which anybody on the host may change; without a scheduler,
    nothing."""

    priorities: Dict[str, Set[int]]
    floors: Dict[str, Set[int]]
    weights: Dict[str, Set[int]]


def scheduling_of(queues: Iterable[Dict[str, Any]]) -> LiveScheduling:
    """What these queues have, as `xsched-ctl stats --json` tells of them."""
    known = list(queues)
    return LiveScheduling(*(_by_model(known, key) for key in ("priority", "floor_percent", "weight")))


def _by_model(queues: Iterable[Dict[str, Any]], key: str) -> Dict[str, Set[int]]:
    values: Dict[str, Set[int]] = {}
    for queue in queues:
        # MODEL/INSTANCE; without a name where a backend tells none.
        model, _, instance = str(queue["name"]).partition("/")
        # The scheduler of an earlier release has no floors and no weights.
        if instance and key in queue:
            values.setdefault(model, set()).add(int(queue[key]))
    return values


def read_queues(finished: Finished) -> Any:
    """The queues in the answer to `stats --json`; None if there is none."""
    return json.loads(finished.out)["queues"] if finished.ok else None


class Refusal(NamedTuple):
    """What the scheduler does not take."""

    model: str
    what: str
    reason: str

    def __str__(self) -> str:
        return f"the scheduler does not take the {self.what} of the model {self.model}: {self.reason}"


def put_scheduling(
    models: Iterable[Wanted], live: LiveScheduling, control: Control, also: Collection[str] = ()
) -> Iterator[Refusal]:
    """Gives the queues of models their priorities, floors and weights at once, where they have others.

    :param also: models that are told of in any case. One that has no queue yet will have what it was told.
    """

    def tell(what: str, model: Wanted, value: int, known: Dict[str, Set[int]]) -> Iterator[Refusal]:
        if model.name not in also and known.get(model.name, set()) <= {value}:
            return
        finished = control([what, model.name, str(value)])
        if not finished.ok:
            yield Refusal(model.name, what, finished.reason)

    listed = list(models)
    for model in listed:
        yield from tell("priority", model, model.priority, live.priorities)
        yield from tell("weight", model, model.weight, live.weights)
    # Those that shrink first, which makes room for the others.
    for model in sorted(listed, key=lambda model: model.floor - max(live.floors.get(model.name, {0}))):
        yield from tell("floor", model, model.floor, live.floors)
