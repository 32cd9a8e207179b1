"""What Triton's own metrics do not say, in Prometheus' text format over HTTP, on this host only: whether the server and
each model is ready, which models are set aside, how many programs use a GPU unscheduled, and what the scheduler counts
for each of its queues."""

import json
import threading
import time
from typing import Callable, Optional, Sequence, Tuple

from .commands import Request
from .console import progress
from .directory import HostDirectory
from .errors import HostError
from .exposition import server_of
from .server.outsiders import outsiders
from .server.status import ModelState, model_states, scheduler_metrics, server_ready

#: Where the CloudWatch agent scrapes; components/observability/agentConfig.ts.
PORT = 9464
#: Seconds between two computations, and after which a text is too old to be true.
INTERVAL = 15
LONGEST = 60


def gauge(name: str, values: Sequence[Tuple[str, bool]]) -> str:
    """A metric with 1 or 0 for each set of labels."""
    lines = [f"# TYPE {name} gauge", *(f"{name}{labels} {int(value)}" for labels, value in values)]
    return "".join(f"{line}\n" for line in lines)


def outsiders_text(directory: HostDirectory) -> str:
    """How many programs use a GPU outside the server's scheduling domain; nothing if it is not known."""
    found = outsiders(directory)
    name = "xsched_triton_gpu_programs_unscheduled"
    return "" if found is None else f"# TYPE {name} gauge\n{name} {len(found)}\n"


def text_of(models: Sequence[ModelState], ready: bool, scheduler: str) -> str:
    """All metrics. Triton counts as ready only if every model that is deployed is."""

    def labels(model: ModelState) -> str:
        # Prometheus' form of a label's value is that of JSON, as far as a model's name goes.
        return f"{{model={json.dumps(model.name, ensure_ascii=False)}}}"

    return (
        gauge("xsched_triton_model_ready", [(labels(model), model.ready) for model in models])
        + gauge("xsched_triton_model_set_aside", [(labels(model), model.aside != "") for model in models])
        + gauge("xsched_triton_ready", [("", ready and all(model.ready for model in models))])
        + scheduler
    )


class Metrics:
    """The text as of a moment ago."""

    def __init__(
        self,
        directory: HostDirectory,
        *,
        models: Callable[[HostDirectory], Sequence[ModelState]],
        ready: Callable[[HostDirectory], bool],
        scheduler: Callable[[HostDirectory], str],
    ) -> None:
        self._directory = directory
        self._models = models
        self._ready = ready
        self._scheduler = scheduler
        self._known: Optional[Tuple[float, str]] = None
        self._fault = ""

    def compute(self) -> None:
        """Looks at the server again. A host without one reports nothing, which counts as not ready."""
        if not self._directory.server.is_dir():
            self._known = None
            return
        try:
            text = text_of(
                self._models(self._directory),
                self._ready(self._directory),
                self._scheduler(self._directory),
            )
        except (HostError, OSError, ValueError) as error:
            self._say(str(error))
            self._known = None
        else:
            self._say("")
            self._known = (time.monotonic(), text)

    def _say(self, fault: str) -> None:
        """Says a fault once, not every few seconds."""
        if fault not in {"", self._fault}:
            progress(fault)
        self._fault = fault

    def keep_computing(self) -> None:
        while True:
            self.compute()
            time.sleep(INTERVAL)

    @property
    def text(self) -> Optional[str]:
        """None if nothing is known, also if a computation hangs."""
        known = self._known
        return None if known is None or time.monotonic() - known[0] > LONGEST else known[1]


def port_of(words: Sequence[str]) -> int:
    if not words:
        return PORT
    if not (words[0].isdecimal() and int(words[0]) < 65536):
        raise HostError(f"'{words[0]}' is not a port", "use a number below 65536")
    return int(words[0])


def serve(request: Request) -> None:
    """The command `serve-metrics [PORT]`."""
    metrics = Metrics(
        request.directory,
        models=model_states,
        ready=server_ready,
        scheduler=lambda directory: outsiders_text(directory) + scheduler_metrics(directory),
    )
    # Only for what runs on this host.
    with server_of(lambda: metrics.text, "127.0.0.1", port_of(request.words)) as server:
        threading.Thread(target=metrics.keep_computing, daemon=True).start()
        server.serve_forever()
