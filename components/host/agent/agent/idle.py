"""A machine that nobody asks for anything stops itself: a stopped instance costs no more than its disk and its address.

What counts as a request is what Triton itself counts as one, answered or failed. As long as work is under way, the
machine is not idle: requests that wait in Triton's queue or at the gateway, kernels of models, anything else on a GPU,
and a deployment. What only looks at the server counts for nothing: health checks, metrics, statistics.

The operating system ends, and with it the instance, as `instanceInitiatedShutdownBehavior` is "stop": that takes no
right on AWS. `resume-host` brings the server back when the instance starts again.
"""

import contextlib
import json
import os
import re
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from . import deployments
from .commands import Request
from .console import progress
from .directory import HostDirectory
from .errors import HostError
from .gateway.proxy import Proxy
from .gateway.record import configured
from .programs import call
from .server.settings import Settings, read_settings
from .server.status import queues_of_scheduler
from .spot import run_within
from .triton.http import request as http_request
from .units import as_root

#: What `npm run status` looks for in the console's output of an instance that has stopped; scripts/instance.mjs.
STOPS = "xsched-triton stops this machine"


class Done(NamedTuple):
    """What a version of a model has done since it was loaded, a queue of the scheduler since it was made, or whoever
    deploys."""

    count: int
    #: Milliseconds since 1970; 0 for never.
    last: int = 0


class Look(NamedTuple):
    """The server at one moment."""

    done: Dict[Tuple[str, str], Done]
    #: What is under way; empty if nothing is.
    busy: str


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def requests_done(statistics: Any) -> Dict[Tuple[str, str], Done]:
    """Of Triton's statistics, how many requests each version of each model has ended, however they ended.

    :raises ValueError: if these are no statistics
    """
    done = {}
    try:
        for entry in statistics["model_stats"]:
            counters = entry.get("inference_stats", {})
            ended = sum(
                _number(counters.get(kind, {}).get("count")) for kind in ("success", "fail", "cancel")
            )
            key = (str(entry["name"]), str(entry.get("version", "")))
            done[key] = Done(ended, _number(entry.get("last_inference")))
    except (AttributeError, KeyError, TypeError):
        raise ValueError("Triton's statistics are not to be understood") from None
    return done


def launches_done(queues: Any) -> Dict[Tuple[str, str], Done]:
    """Of the scheduler's counters, what each queue has launched: the work of a request that has not ended yet."""
    found = queues.get("queues", []) if isinstance(queues, dict) else []
    return {("queue", str(queue.get("id"))): Done(_number(queue.get("launches"))) for queue in found}


def _numbers(texts: Iterable[str]) -> List[float]:
    """What of these is a number."""
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(float(text))
    return found


def _values(metrics: str, name: str) -> List[float]:
    return _numbers(re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", metrics, re.MULTILINE))


def gpu_utilization() -> List[float]:
    """Percent of each GPU that are in use, as NVIDIA's driver tells; none where it does not."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    return _numbers(call(query, seconds=20).out.splitlines())


def work_in(metrics: str) -> str:
    """What Triton's metrics say is under way. Only recent releases count what waits, and not every Triton sees the
    GPUs: one without NVIDIA's DCGM does not."""
    if max(_values(metrics, "nv_inference_pending_request_count"), default=0) > 0:
        return "requests wait in Triton"
    if max(_values(metrics, "nv_gpu_utilization") or gpu_utilization(), default=0) > 0:
        return "a GPU is in use"
    return ""


def has_new(before: Dict[Tuple[str, str], Done], now: Dict[Tuple[str, str], Done]) -> bool:
    """Whether something was done between two looks. Counters begin at 0 again when a model is loaded again."""
    for key, done in now.items():
        former = before.get(key, Done(0))
        if done.last > former.last or done.count > former.count or 0 < done.count < former.count:
            return True
    return False


def look_at(directory: HostDirectory) -> Optional[Look]:
    """The server as it is; None if it does not tell: one that is down is not idle, but a case for an alarm."""
    if deployments.under_way(directory):
        return Look({}, "a deployment is under way")
    settings = read_settings(directory)
    if settings is None:
        return None
    answer = settings.triton(directory).request("GET", "/v2/models/stats")
    if not answer.ok:
        return None
    done = requests_done(json.loads(answer.body))
    done.update(launches_done(queues_of_scheduler(directory)))
    done["deployment", ""] = Done(0, deployments.last_sign(directory))
    return Look(done, _work_under_way(directory, settings))


def _work_under_way(directory: HostDirectory, settings: Settings) -> str:
    if configured(directory) is not None and Proxy(directory).in_flight() > 0:
        return "requests are in flight at the gateway"
    answer = http_request(settings.metrics_address, "GET", "/metrics", 10)
    return work_in(answer.body if answer.ok else "")


def utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Watch:
    """Stops the machine when it has been idle for long enough.

    :param idle_seconds: that it must have been idle
    :param longest_drain: seconds that requests in flight have to end
    :param give_up: seconds after which a machine that still runs is not going to stop
    :param clock: in seconds, since any moment
    :param wall: in seconds since 1970
    """

    #: A resume fetches models that the disks have lost.
    LONGEST_RESUME = 1800

    def __init__(
        self,
        directory: HostDirectory,
        *,
        idle_seconds: float,
        longest_drain: int = 100,
        give_up: float = 600,
        look: Callable[[HostDirectory], Optional[Look]] = look_at,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._idle_seconds = idle_seconds
        self._longest_drain = longest_drain
        self._give_up = give_up
        self._look = look
        self._clock = clock
        self._wall = wall
        self._before: Optional[Dict[Tuple[str, str], Done]] = None
        #: Since when nothing was asked; None if that is not known.
        self._idle_since: Optional[float] = None
        self._stopping_since: Optional[float] = None
        self._fault = ""

    def look(self) -> None:
        """Looks once, and does what is to be done."""
        if self._stopping_since is not None:
            if self._clock() - self._stopping_since >= self._give_up:
                progress("the machine still runs; the server starts again")
                self._resume()
            return
        now = self._clock()
        if not self._is_idle():
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since >= self._idle_seconds:
            self._stop(now - self._idle_since)

    def _is_idle(self) -> bool:
        """Whether nothing was asked since the last look, and nothing is under way."""
        try:
            found = self._look(self._directory)
            fault = ""
        except (HostError, OSError, ValueError) as error:
            found, fault = None, f"whether anybody uses the server is not known: {error}"
        if fault not in {"", self._fault}:
            progress(fault)
        self._fault = fault
        before, self._before = self._before, found.done if found is not None else None
        if found is None or before is None or found.busy:
            return False
        return not has_new(before, found.done)

    def _stop(self, seconds: float) -> None:
        minutes = int(seconds // 60)
        progress(f"{STOPS}: no inference request for {minutes} min ({utc(self._wall())})")
        self._stopping_since = self._clock()
        agent = str(self._directory.agent)
        deployed = deployments.last_sign(self._directory)
        if not run_within([agent, "drain", str(self._longest_drain)], self._longest_drain + 10):
            progress("the server is not drained (the reason is above)")
        if deployments.last_sign(self._directory) > deployed:
            progress("somebody deploys; the machine goes on, and the server starts again")
            self._resume()
            return
        finished = as_root(["systemctl", "poweroff"])
        if not finished.ok:
            progress(f"the machine does not stop: {finished.reason}; the server starts again")
            self._resume()

    def _resume(self) -> None:
        """Serves again, and is idle no earlier than after the whole time."""
        self._idle_since = self._before = None
        if run_within([str(self._directory.agent), "resume-host"], self.LONGEST_RESUME):
            self._stopping_since = None


def watch(request: Request) -> None:
    """The command `watch-idle MINUTES`."""
    word = request.word(0, "number of minutes")
    if not re.fullmatch(r"[1-9][0-9]{0,5}", word):
        raise HostError(f"'{word}' is not a number of minutes", "use a whole number, 1 or more")
    minute = float(os.environ.get("XSCHED_TRITON_IDLE_MINUTE", "60"))
    pause = float(os.environ.get("XSCHED_TRITON_IDLE_SECONDS", "30"))
    deployments.heed(request.directory)
    watcher = Watch(request.directory, idle_seconds=int(word) * minute)
    while True:
        watcher.look()
        time.sleep(pause)


def drain_at_shutdown(request: Request) -> None:
    """The command `drain-at-shutdown SECONDS`: ends the server as a deployment would, if the machine is about to stop,
    for whatever reason. Where only the unit that calls this is replaced, nothing happens."""
    if call(["systemctl", "is-system-running"]).out.strip() != "stopping":
        return
    from .commands import run  # noqa: PLC0415

    words: List[str] = request.words
    run(request.directory, "drain", words)
