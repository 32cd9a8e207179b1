"""Starting, changing and removing the gateway."""

import contextlib
import os
import shutil
import signal
import socket
import time
from typing import Any, Dict, Iterator, Optional

from ..commands import Request
from ..console import progress
from ..directory import HostDirectory, point_link, write_file
from ..errors import HostError
from ..processes import send_signal
from ..server.ports import listens, require_ports
from ..server.supervision import (
    GATEWAY,
    end_supervisor,
    ensure_supervisor,
    read_supervisor,
    supervision,
)
from .certificate import certificate_of, show_certificate, warnings_of
from .grpc_messages import FILTERS
from .proxy import Proxy, check, complaints, find_program, knows, unprivileged_account, version_of
from .record import configured, folder_of, is_whole, other_folders
from .rendering import HANDSHAKE_DEADLINE, KEEP_IDLE, Rendered, render
from .settings import GatewaySettings, parse_gateway
from .supervisor import log_of

#: Seconds until a gateway answers with a new configuration.
_START_SECONDS = 30
#: Seconds that a former worker has to leave its ports.
_HANDOVER_SECONDS = 2
#: Seconds until a master that has no new worker is asked again.
_REPEAT_SECONDS = 5
#: Seconds that requests in flight have to end, when the gateway goes.
_GRACE_SECONDS = 2
_LOOK = 0.02


def gateway(request: Request) -> Dict[str, Any]:
    """The command `gateway`: makes the gateway run with these settings, under this agent. Does nothing if it does
    already. If it fails, the gateway that ran before goes on as it was."""
    directory = request.directory
    settings = parse_gateway(request.body)
    program = find_program()
    version = version_of(program)
    has_filters = version >= FILTERS
    with directory.lock("gateway"):
        new = not directory.gateway.is_dir()
        directory.gateway.mkdir(parents=True, exist_ok=True)
        directory.gateway.chmod(0o700)
        try:
            pem = certificate_of(directory, settings)
            user, group = unprivileged_account()
            rendered = render(
                settings,
                pem,
                threads=len(os.sched_getaffinity(0)),
                user=user,
                group=group,
                keeps_idle=knows(program, KEEP_IDLE),
                has_filters=has_filters,
                limits_handshakes=version >= HANDSHAKE_DEADLINE,
            )
            state = _apply(directory, program, settings, rendered)
            certificate = show_certificate(directory, settings, pem)
        except BaseException:
            if new:
                _remove(directory)
            raise
    warnings = warnings_of(settings, pem)
    if not has_filters and not settings.unchecked_streams:
        warnings.append(
            "streams over gRPC (ModelStreamInfer) are refused, since HAProxy before 2.5 cannot look into them: install "
            "a newer one on the host, or set gateway.uncheckedStreams if you trust your clients"
        )
    for warning in warnings:
        progress(f"warning: {warning}")
    return {"state": state, "warnings": warnings, "certificate": certificate}


def _apply(directory: HostDirectory, program: str, settings: GatewaySettings, rendered: Rendered) -> str:
    former = configured(directory)
    proxy = Proxy(directory)
    runs = proxy.find()
    if runs and former == rendered.digest and proxy.serving() == former and is_whole(directory, former):
        ensure_supervisor(directory, GATEWAY)
        return "unchanged"
    _require_address(settings.address)
    _write(directory, program, rendered)
    ports = settings.ports._asdict()
    require_ports(
        {f"{name}Port": port for name, port in ports.items() if port is not None}, set(proxy.processes())
    )
    point_link(proxy.current, folder_of(directory, rendered.digest).name)
    problem = _take(directory, proxy if runs else None, rendered.digest)
    if problem is not None:
        _go_back(directory, proxy if runs else None, former)
        raise HostError(
            f"the gateway does not start with these settings: {problem}", "correct that and deploy again"
        )
    for folder in other_folders(directory, rendered.digest):
        shutil.rmtree(folder, ignore_errors=True)
    return "reloaded" if runs else "started"


def _require_address(address: str) -> None:
    """Asks the system itself. HAProxy would let those that run go off their ports while it tries.

    :raises HostError: if the host does not have the address
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((address, 0))
    except OSError as error:
        raise HostError(
            f"the gateway cannot have the address {address}: {error.strerror or error}",
            "set server.address to an address of the host, or to 0.0.0.0 for all of them",
        ) from None


def _write(directory: HostDirectory, program: str, rendered: Rendered) -> None:
    """Puts a configuration beside the one that runs.

    :raises HostError: if HAProxy has something against it, and then it is not there
    """
    final = folder_of(directory, rendered.digest)
    if is_whole(directory, rendered.digest):
        return
    staging = directory.gateway / f".new-{rendered.digest}"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(mode=0o700)
        for name, text in rendered.files.items():
            write_file(staging / name, text, 0o600)
        problem = check(program, staging)
        if problem is not None:
            raise HostError(
                f"HAProxy refuses the gateway's settings: {problem}", "correct them and deploy again"
            )
        # Only where its files were changed by hand.
        shutil.rmtree(final, ignore_errors=True)
        staging.rename(final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _take(
    directory: HostDirectory, proxy: Optional[Proxy], digest: str, *, heed: bool = True
) -> Optional[str]:
    """Lets the gateway run with the configuration that is linked, and waits for it.

    :param proxy: the one that runs with another configuration; None without one
    :param heed: whether what HAProxy complains of counts. It may still be about the configuration of before.
    :returns: what is wrong; None if it answers
    """
    log = log_of(directory)
    mark = log.mark()
    if proxy is None:
        # One that has tried in vain for long would wait before it tries again.
        end_supervisor(directory, GATEWAY)
    ensure_supervisor(directory, GATEWAY)
    former = proxy.workers() if proxy is not None else []
    if proxy is not None:
        proxy.reload()
    asked = proxy or Proxy(directory)
    reloaded = time.monotonic()
    end = reloaded + _START_SECONDS
    serves: Optional[float] = None
    told = False
    while True:
        now = time.monotonic()
        if asked.serving() == digest:
            serves = serves or now
            # The new worker answers a moment before the former one, with the former rules, takes no more connections.
            left = [pid for pid in former if listens(pid)]
            if not left:
                return None
            others = [pid for pid in asked.workers() if pid not in former]
            if not told and now - serves >= _HANDOVER_SECONDS and any(map(listens, others)):
                # The master has told it, and HAProxy 2.4 sometimes does not hear.
                told = True
                send_signal(left, signal.SIGUSR1)
        problem = complaints(log.since(mark)) if heed else ""
        if problem:
            return problem
        if proxy is not None and now - reloaded >= _REPEAT_SECONDS and set(proxy.workers()) <= set(former):
            # A master does not hear while it executes itself anew, as after settings that it could not load.
            reloaded = now
            proxy.reload()
        if read_supervisor(directory, GATEWAY) is None:
            return "its supervisor has ended"
        if now >= end:
            return f"it does not answer; see {log.path}"
        time.sleep(_LOOK)


def _go_back(directory: HostDirectory, proxy: Optional[Proxy], former: Optional[str]) -> None:
    """To the configuration of before, if there is one."""
    if former is None or not is_whole(directory, former):
        _end(directory)
        with contextlib.suppress(FileNotFoundError):
            (directory.gateway / "current").unlink()
        return
    point_link(directory.gateway / "current", folder_of(directory, former).name)
    if _take(directory, proxy, former, heed=False) is not None:
        progress("warning: the gateway does not run with its former settings, either")


def remove_gateway(request: Request) -> None:
    """The command `remove-gateway`: ends the gateway and removes its folder."""
    remove(request.directory)


def remove(directory: HostDirectory) -> None:
    if not directory.path.is_dir():
        return
    with directory.lock("gateway"):
        _remove(directory)


def _remove(directory: HostDirectory) -> None:
    _end(directory)
    supervision(directory, GATEWAY).remove()
    if directory.gateway.is_dir():
        shutil.rmtree(directory.gateway, ignore_errors=True)


def _end(directory: HostDirectory) -> None:
    """Ends HAProxy and its supervisor. Requests in flight have a moment to end."""
    end_supervisor(directory, GATEWAY)
    proxy = Proxy(directory)
    began = time.monotonic()
    proxy.end(signal.SIGUSR1)
    told = False
    while proxy.processes():
        waited = time.monotonic() - began
        if waited >= _GRACE_SECONDS and not told:
            told = True
            proxy.end(signal.SIGTERM)
        elif waited >= _GRACE_SECONDS + 5:
            proxy.end(signal.SIGKILL)
        time.sleep(_LOOK)


def resume(directory: HostDirectory) -> None:
    """Makes the gateway that is deployed run, if one is."""
    if configured(directory) is not None:
        ensure_supervisor(directory, GATEWAY)


@contextlib.contextmanager
def replaced(directory: HostDirectory) -> Iterator[None]:
    """Meanwhile there is no gateway, and its ports are free. It is removed in the end, or is back after a failure."""
    if not directory.gateway.is_dir():
        yield
        return
    with directory.lock("gateway"):
        _end(directory)
        try:
            yield
        except BaseException:
            resume(directory)
            raise
        _remove(directory)
