"""What is deployed, what it serves, and how busy it is."""

import json
import os
import sys
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Tuple

from ..builds import describe_builds
from ..commands import Request
from ..directory import HostDirectory
from ..errors import HostError
from ..exposition import merged_metrics
from ..gateway.record import describe as describe_gateway
from ..models.wanted import Wanted, linked, read_wanted
from ..programs import Finished, call
from ..triton import Health, ModelFacts, Scheduling, Triton
from ..triton.http import request as http_request
from .container import CONTAINER_STATE, ContainerRuntime, container_name, docker
from .outsiders import describe_outsiders
from .record import Conduct, ConductBook
from .runtime import Runtime, runtime_of
from .scheduling import LiveScheduling, scheduling_of
from .settings import read_settings, require_settings
from .xsched_ctl import scheduler_words


class ModelState(NamedTuple):
    """A model that is deployed."""

    name: str
    ready: bool
    #: Why it is not loaded any more; empty if it may be.
    aside: str


def running_server(directory: HostDirectory) -> Optional[Runtime]:
    """The server of this folder, if it runs and answers. Whoever answers at the address may be another server that took
    the port while ours was down, with models of the same names."""
    settings = read_settings(directory)
    if settings is None:
        return None
    runtime = runtime_of(directory, settings)
    return runtime if runtime.find() and settings.triton(directory).health() == Health.LIVE else None


def model_states(directory: HostDirectory) -> List[ModelState]:
    """Every model that is deployed, also one that is set aside."""
    settings = read_settings(directory)
    triton = (
        settings.triton(directory) if settings is not None and running_server(directory) is not None else None
    )
    aside = ConductBook(directory).aside()
    names = sorted({*linked(directory), *aside})
    return [
        ModelState(
            name, triton is not None and triton.ready(name), aside[name].aside if name in aside else ""
        )
        for name in names
    ]


def status(request: Request) -> Dict[str, Any]:
    """The command `status`."""
    return describe(request.directory)


def describe(directory: HostDirectory) -> Dict[str, Any]:
    settings = read_settings(directory)
    runtime = running_server(directory)
    triton = settings.triton(directory) if settings is not None and runtime is not None else None
    aside = ConductBook(directory).aside()
    names = sorted({*linked(directory), *aside})
    # In this order: a model that becomes ready meanwhile is not, rather than one of which nothing is known.
    ready = {name for name in names if triton is not None and triton.ready(name)}
    facts = {name: triton.facts(name) if triton is not None and name in ready else None for name in names}
    deployed = {model.name: model for model in read_wanted(directory)}
    return {
        "running": runtime is not None,
        "pid": runtime.pid if runtime is not None else None,
        "version": triton.version() if triton is not None else "",
        "http": settings.http_address if settings is not None else "",
        "gateway": describe_gateway(directory),
        "outsiders": describe_outsiders(directory) if runtime is not None else None,
        "builds": describe_builds(directory),
        "models": [
            _describe_model(
                deployed.get(name, Wanted(name, "")), name in ready, triton, aside.get(name), facts
            )
            for name in names
        ],
    }


def _describe_model(
    model: Wanted,
    ready: bool,
    triton: Optional[Triton],
    conduct: Optional[Conduct],
    known: Dict[str, Optional[ModelFacts]],
) -> Dict[str, Any]:
    name = model.name
    facts = known[name]
    now = model.served(facts) if facts is not None else Scheduling(None, None, None)
    parts = [entry for entry in map(known.get, _with_steps(name, known)) if entry is not None]
    reason = conduct.aside if conduct is not None else ""
    if not ready and not reason and triton is not None:
        reason = triton.reason(name)
    return {
        "name": name,
        "version": triton.model_version(name) if triton is not None and ready else "",
        "priority": now.priority,
        "floor": now.floor,
        "weight": now.weight,
        "ready": ready,
        "reason": reason,
        "setAside": conduct is not None,
        "inputs": facts.inputs if facts is not None else [],
        # Triton hands an ensemble's request on to the models of its steps as it is.
        "decoupled": ready and any(part.decoupled for part in parts),
        "sequence": ready and any(part.sequence for part in parts),
        "ensemble": facts is not None and facts.ensemble,
    }


def _with_steps(name: str, known: Dict[str, Optional[ModelFacts]]) -> List[str]:
    """A model and, if it is an ensemble, all that its requests go to."""
    found = [name]
    for each in found:
        facts = known.get(each)
        found += [step for step in (facts.steps if facts is not None else []) if step not in found]
    return found


def measure(request: Request) -> Dict[str, Any]:
    """The command `measure`: everything about the server and its load that changes from one moment to the next."""
    import time  # noqa: PLC0415

    directory = request.directory
    settings = read_settings(directory)
    statistics: Any = None
    metrics = ""
    server = describe(directory)
    if settings is not None:
        answer = settings.triton(directory).request("GET", "/v2/models/stats")
        if answer.ok:
            statistics = json.loads(answer.body)
        answer = http_request(settings.metrics_address, "GET", "/metrics", 10)
        metrics = answer.body if answer.ok else ""
    queues, problem = _queues(directory)
    return {
        # What happens between two measurements is divided by the time between them, whenever they arrive.
        "seconds": round(time.clock_gettime(time.CLOCK_BOOTTIME), 2),
        "server": server,
        "statistics": statistics,
        "metrics": metrics,
        "queues": queues,
        "noQueues": problem[len("error: ") :] if problem.startswith("error: ") else problem,
    }


def ask(request: Request) -> Dict[str, Any]:
    """The command `ask METHOD PATH`: a request to the HTTP API of the server."""
    settings = require_settings(request.directory)
    answer = settings.triton(request.directory).control(
        request.word(0, "method"), request.word(1, "path"), 30
    )
    if answer.status == 0:
        raise HostError(
            f"Triton does not answer at {settings.http_address}",
            f"see the log in {request.directory.server}/logs",
        )
    return {"status": answer.status, "body": answer.body}


def _queues(directory: HostDirectory) -> Tuple[Any, str]:
    """What the scheduler tells of its queues; or None, and why it does not."""
    try:
        found = control_scheduler(directory, ["stats", "--json"])
    except HostError as error:
        return None, error.what
    return (json.loads(found.out), "") if found.ok else (None, found.reason)


def queues_of_scheduler(directory: HostDirectory) -> Any:
    """What xsched-ctl tells of the server's queues; None without a scheduler."""
    return _queues(directory)[0]


def live_scheduling(directory: HostDirectory) -> LiveScheduling:
    found = queues_of_scheduler(directory)
    return scheduling_of(found["queues"] if found is not None else [])


def control_scheduler(directory: HostDirectory, words: List[str]) -> Finished:
    """Runs xsched-ctl for the server.

    :raises HostError: if there is nothing to schedule
    """
    return call(scheduler_words(directory, words), seconds=20)


def scheduler(request: Request) -> NoReturn:
    """The command `scheduler WORD…`: xsched-ctl for the server. Ends with its own status (native/xsched/README.md), so
    with 3 if there is no scheduler to talk to."""
    try:
        words = scheduler_words(request.directory, request.words)
    except HostError as error:
        print(f"error: {error.what}", file=sys.stderr)
        sys.exit(3)
    os.execvp(words[0], words)


#: Prints the metrics of each process in the folder $1 that runs: one that was killed has left its own behind.
METRICS_SCRIPT = """
cd "$1" || exit
for file in metrics-*; do
  [ ! -d "/proc/${file#metrics-}" ] || cat "$file"
done
"""


def scheduler_metrics(directory: HostDirectory) -> str:
    """The scheduler's counters of tritonserver and of the processes in which models run, in Prometheus' text format."""
    settings = read_settings(directory)
    if settings is None or settings.kind != "container":
        return ""
    found = docker("exec", container_name(directory), "sh", "-c", METRICS_SCRIPT, "-", CONTAINER_STATE)
    return merged_metrics(str(found.out)) if found.ok else ""


def server_ready(directory: HostDirectory) -> bool:
    """Whether every model that is deployed is ready, and the server is scheduled where it must be."""
    runtime = running_server(directory)
    if runtime is None or not all(model.ready for model in model_states(directory)):
        return False
    if not isinstance(runtime, ContainerRuntime):
        return True
    # The image knows whether its Triton is scheduled. An image without a health check does not say.
    form = "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}"
    found = docker("inspect", "--format", form, runtime.name)
    return bool(found.ok and found.out.strip() in ("healthy", "none"))
