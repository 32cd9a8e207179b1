"""Starting and stopping the server."""

import contextlib
import os
import shutil
import time
from typing import Any, Dict, List, Optional

from ..commands import Request
from ..console import progress
from ..directory import HostDirectory
from ..errors import HostError
from ..gateway import lifecycle as gateway
from ..gateway.proxy import find_program
from ..models.wanted import linked, read_wanted
from ..triton import Health
from .container import ContainerRuntime, scheduling_required
from .ports import require_free_ports
from .record import FAILED, SERVING, ConductBook, forget_run, read_run
from .runtime import Runtime, runtime_of
from .settings import Settings, parse_settings, read_settings, require_settings, write_settings
from .supervision import end_supervisor, ensure_supervisor, read_supervisor, supervision

#: Lines of Triton's log that are shown when it does not start.
_SHOWN_LINES = 25
_LOOK = 0.05


def start(request: Request) -> Dict[str, Any]:
    """The command `start`: makes the server run with these settings, under this agent. Does nothing if it does already.
    If it fails, the server that ran before runs again."""
    directory = request.directory
    settings = _complete(directory, parse_settings(request.body))
    directory.repository.mkdir(parents=True, exist_ok=True)
    directory.store.mkdir(parents=True, exist_ok=True)
    with directory.lock("server"), contextlib.ExitStack() as stack:
        if not settings.gateway:
            # It may have the ports that this server needs.
            stack.enter_context(gateway.replaced(directory))
        current = read_settings(directory)
        if (
            current is not None
            and current.running_part == settings.running_part
            and _goes_on(directory, settings)
        ):
            return _answer(directory, settings)
        if settings.gateway:
            # Where it is missing, clients go on with the server that they have.
            find_program()
        require_free_ports(directory, settings, current)
        _replace(directory, settings, current)
        return _answer(directory, settings)


def _complete(directory: HostDirectory, settings: Settings) -> Settings:
    """With what runs: the installed runtime, or an image that is there."""
    if settings.kind == "process":
        try:
            return settings._replace(runtime=os.readlink(directory.path / "runtime/current"), image="")
        except OSError:
            raise HostError(
                f"Triton is not installed in {directory.path}", "run install-runtime first"
            ) from None
    if settings.kind != "container":
        raise HostError(f"'{settings.kind}' is not a runtime", "use process or container")
    if "@sha256:" not in settings.image:
        raise HostError(f"the image '{settings.image}' has no digest", "name it as repository@sha256:DIGEST")
    from ..images import require_image  # noqa: PLC0415

    require_image(directory, settings.image)
    return settings._replace(runtime="")


def _goes_on(directory: HostDirectory, settings: Settings) -> bool:
    """Whether the server runs with these settings already, and goes on."""
    runtime = runtime_of(directory, settings)
    if not runtime.find():
        return False
    if runtime.astray:
        progress("the host's folder has been moved; starting the server again where it is now")
        return False
    if settings.triton(directory).locked_out():
        progress("the key to the server's control is lost; starting the server again, which makes another")
        return False
    write_settings(directory, settings)
    if isinstance(runtime, ContainerRuntime):
        runtime.link_log()
    ensure_supervisor(directory)
    if runtime.lacks_lock:
        progress(
            "warning: an earlier release has started this server, so whoever reaches its ports can change what it "
            "runs until it starts again"
        )
    return await_service(directory, settings) is None


def _replace(directory: HostDirectory, settings: Settings, current: Optional[Settings]) -> None:
    """Starts the server with new settings, in place of one that may run with others."""
    served: List[str] = []
    if current is not None:
        triton = current.triton(directory)
        served = [model for model in linked(directory) if triton.ready(model)]
        progress("stopping the server to start it with new settings")
    # Also where the record is lost, for example because the disk was full: whatever has our name is ours.
    stop_server(directory, current)
    try:
        problem = _launch(directory, settings)
    except OSError as error:
        # What is wrong with the machine is no reason to leave it without a server.
        problem = f"the system refuses: {error.strerror or error} ({error.filename})"
    if problem is None:
        triton = settings.triton(directory)
        missing = {model: triton.reason(model) for model in linked(directory) if not triton.ready(model)}
        # Only a model that served until now is a reason to go back: one that was bad before waits for its own fix.
        lost = [model for model in missing if model in served]
        if not lost:
            for model, reason in missing.items():
                progress(f"warning: the model {model} is not ready: {_why(directory, model) or reason}")
            remove_unused_runtimes(directory, settings)
            return
        for model in lost:
            progress(f"the model {model} does not load any more: {_why(directory, model) or missing[model]}")
        problem = f"with the new settings these models do not load: {', '.join(lost)}"
        _pardon(directory, lost)
    stop_server(directory, settings)
    if current is None:
        supervision(directory).remove()
        shutil.rmtree(directory.server, ignore_errors=True)
        raise HostError(problem, "correct the settings and deploy again")
    progress("starting the server again with the settings that it had before")
    if _launch(directory, current) is None:
        raise HostError(
            f"{problem}; the server runs again with its previous settings",
            "correct the settings and deploy again",
        )
    raise HostError(
        f"{problem}; the previous settings do not start either", "read the lines above and deploy again"
    )


def _why(directory: HostDirectory, model: str) -> str:
    aside = ConductBook(directory).aside().get(model)
    return aside.aside if aside is not None else ""


def _pardon(directory: HostDirectory, models: List[str]) -> None:
    """What these did under settings that are given up does not count."""
    book = ConductBook(directory)
    for model in read_wanted(directory):
        if model.name in models:
            book.update(model.name, model.digest, aside="", load_crashes=0, crashes=0)


def _launch(directory: HostDirectory, settings: Settings) -> Optional[str]:
    """Starts the server and waits until it has tried to load every model. Returns what is wrong, if anything is; the
    reason is on the screen then."""
    forget_run(directory)
    write_settings(directory, settings)
    ensure_supervisor(directory)
    problem = await_service(directory, settings)
    runtime = runtime_of(directory, settings)
    runtime.find()
    if problem is not None:
        for line in runtime.log_tail(_SHOWN_LINES):
            progress(line)
        if problem:
            progress(problem)
        return "Triton does not start with these settings (its last lines are above)"
    if isinstance(runtime, ContainerRuntime) and scheduling_required(settings) and not runtime.scheduled():
        progress(f"the models of {settings.image} would run unscheduled")
        return (
            "scheduling is required and not active; use an image with the XSched core, "
            "or set scheduler.required to false"
        )
    return None


def await_service(directory: HostDirectory, settings: Settings) -> Optional[str]:
    """Waits until the server has tried to load every model.

    :returns: None if it serves; otherwise why not, which may be empty
    """
    began = started = time.monotonic()
    announced = 0
    number = None
    while True:
        run = read_run(directory)
        if run is not None and run.number != number:
            # Each start has the whole time: the one before may have ended while it loaded a model.
            number, started = run.number, time.monotonic()
        waited = time.monotonic() - began
        if run is not None and run.phase == SERVING:
            return None
        if run is not None and run.phase == FAILED:
            return run.reason
        if run is not None and not run.lived and run.reason:
            return run.reason
        if read_supervisor(directory) is None:
            return "the supervisor has ended"
        lives = run is not None and run.lived
        if not lives and time.monotonic() - started >= settings.load_timeout_seconds:
            # On a disk that is full, nothing is written down.
            return None if settings.triton(directory).health() == Health.LIVE else "it did not answer in time"
        if waited >= announced + 5:
            announced = int(waited)
            what = "load its models" if lives else "start"
            progress(f"waiting for Triton to {what} ({announced} s)")
        time.sleep(_LOOK)


def stop_server(
    directory: HostDirectory, settings: Optional[Settings], seconds: Optional[int] = None
) -> None:
    """Ends what is deployed, within this time, and leaves its settings in place.

    :param settings: None if they are lost: whatever has our name is ended then
    :raises HostError: if Docker does not remove the container
    """
    runtimes: List[Runtime] = []
    if settings is not None:
        runtimes.append(runtime_of(directory, settings))
    else:
        plain = parse_settings(_ANY)
        runtimes.append(runtime_of(directory, plain))
        if shutil.which("docker"):
            runtimes.append(runtime_of(directory, plain._replace(kind="container")))
    grace = seconds if seconds is not None else (settings.stop_seconds if settings else 40)
    end_supervisor(directory)
    for runtime in runtimes:
        if runtime.find():
            # Once: the second signal would make Triton drop its requests.
            runtime.terminate()
    began = time.monotonic()
    announced = 0
    while any(runtime.find() for runtime in runtimes):
        waited = time.monotonic() - began
        if waited >= grace:
            progress(f"Triton did not end within {grace} s; killing it")
            break
        if waited >= announced + 5:
            announced = int(waited)
            progress(f"waiting for requests in flight ({announced} s)")
        time.sleep(0.2)
    for runtime in runtimes:
        # Where nothing is deployed, a Docker that does not answer is nobody's concern.
        _clear(runtime, 25 if settings is not None else 1)
        if settings is None or not isinstance(runtime, ContainerRuntime) or not runtime.remains():
            continue
        raise HostError(
            f"Docker does not remove the container {runtime.name}",
            "see 'docker ps' on the host, start Docker and deploy again",
        )


def _clear(runtime: Runtime, attempts: int) -> None:
    """Removes whatever is left of a server."""
    for _ in range(attempts):
        runtime.clear()
        if not runtime.remains():
            return
        time.sleep(0.2)


#: Settings of a server whose record is lost.
_ANY: Dict[str, Any] = {
    "httpPort": 0,
    "grpcPort": 0,
    "metricsPort": 0,
    "address": "127.0.0.1",
    "exitTimeoutSeconds": 30,
    "loadTimeoutSeconds": 0,
    "logMegabytes": 2,
}


def _answer(directory: HostDirectory, settings: Settings) -> Dict[str, Any]:
    runtime = runtime_of(directory, settings)
    runtime.find()
    triton = settings.triton(directory)
    return {
        "pid": runtime.pid,
        "version": triton.version(),
        "notReady": [model for model in linked(directory) if not triton.ready(model)],
    }


def remove_unused_runtimes(directory: HostDirectory, settings: Settings) -> None:
    """An upgrade leaves behind what it replaced, whether an image or an installation."""
    if settings.kind == "container":
        from ..images import keep_image  # noqa: PLC0415

        keep_image(directory, settings.image)
    try:
        current = os.readlink(directory.path / "runtime/current")
    except OSError:
        return
    for folder in (directory.path / "runtime").glob("triton-*"):
        if folder.name != current:
            shutil.rmtree(folder, ignore_errors=True)


def stop(request: Request) -> None:
    """The command `stop`: ends the server and removes its state. No process, shared memory or port is left."""
    directory = request.directory
    if not directory.path.is_dir():
        return
    with directory.lock("server"):
        stop_server(directory, read_settings(directory))
        supervision(directory).remove()
        shutil.rmtree(directory.server, ignore_errors=True)


def drain(request: Request) -> None:
    """The command `drain SECONDS`: ends the server as a deployment would, but within this time, and keeps its settings:
    `resume` starts it again. Waits for no deployment that is under way: the machine is about to go."""
    settings = read_settings(request.directory)
    if settings is None:
        return
    longest = int(request.word(0, "number of seconds"))
    stop_server(request.directory, settings, min(settings.stop_seconds, longest))


def resume(request: Request) -> Dict[str, Any]:
    """The command `resume`: starts the server that is deployed, with the settings that it has, if it does not run, and
    the gateway in the same way."""
    directory = request.directory
    settings = require_settings(directory)
    with directory.lock("server"):
        if not _goes_on(directory, settings):
            require_free_ports(directory, settings, settings)
            stop_server(directory, settings)
            problem = _launch(directory, settings)
            if problem is not None:
                raise HostError(problem, "read the lines above and deploy again")
        gateway.resume(directory)
        return _answer(directory, settings)
