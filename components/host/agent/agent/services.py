"""What runs on a host beside the server, by systemd of the machine.

boot      after each start of the machine: instance store, models, server
spot      drains the server when AWS is about to take the instance back
metrics   says over HTTP whether the server is ready, and what the scheduler counts
idle=N    stops the machine after N minutes without a request
shutdown  drains the server before the machine stops, whoever stops it
"""

import hashlib
import re
import shutil
from typing import Dict, List, Optional, Sequence

from . import instance_store
from .commands import Request
from .directory import HostDirectory
from .errors import HostError
from .units import MachineSystemd, require_root, unit_name, unit_text, unit_word, user_name

SERVICES = ("boot", "spot", "metrics", "idle=MINUTES", "shutdown")
#: Seconds that requests in flight have to end when the machine stops. AWS waits for a few minutes.
LONGEST_DRAIN = 100

_IDLE = "idle="

# A refill of the models can take minutes.
ONCE = ["Type=oneshot", "RemainAfterExit=yes", "TimeoutStartSec=1800", "Restart=on-failure", "RestartSec=30"]
# The agent ends with 128 + 15 when it is told to end.
ALWAYS = ["Restart=always", "RestartSec=5", "SuccessExitStatus=143"]


def agent_digest(directory: HostDirectory) -> str:
    """Names the agent that is installed."""
    try:
        return hashlib.sha256(directory.agent.read_bytes()).hexdigest()[:16]
    except OSError:
        return "unknown"


def units(directory: HostDirectory, services: Sequence[str]) -> Dict[str, str]:
    """The units that make up these services: text by name, in the order in which they are started."""
    # What runs for long is started anew when the agent is another one.
    running = [*ALWAYS, f"# of the agent {agent_digest(directory)}"]
    # Not as root: what it starts could not be stopped by the user who deploys.
    owner = [f"User={user_name(directory.path.stat().st_uid)}"]
    # What it has started is not part of it, but a server that runs on when the unit is restarted.
    starter = [*owner, "KillMode=process"]

    def text(description: str, command: str, unit: List[str], *service: str) -> str:
        return unit_text(
            description,
            [str(directory.agent), command],
            unit=unit,
            service=service,
            target=MachineSystemd.target,
        )

    texts: Dict[str, str] = {}
    if "boot" in services:
        # Docker starts Triton again by itself: the models are to be there before. A Deep Learning AMI has the first say
        # on the disks.
        texts["boot"] = text(
            f"models and server of {directory.path}",
            "boot",
            [
                "After=network-online.target local-fs.target dlami-nvme.service",
                "Wants=network-online.target",
                "Before=docker.service",
            ],
            *ONCE,
        )
        # The rest of the boot needs Docker, which waits for the first part.
        texts["resume"] = text(
            f"server of {directory.path}",
            "resume-host",
            [f"After=docker.service {unit_name(directory, 'boot')}"],
            *starter,
            *ONCE,
        )
    if "spot" in services:
        texts["spot"] = text(
            "notice of a spot interruption",
            "watch-spot",
            ["After=network-online.target"],
            *starter,
            *running,
        )
    if "metrics" in services:
        texts["metrics"] = text(
            f"metrics of {directory.path}",
            "serve-metrics",
            ["After=network.target"],
            *owner,
            *running,
        )
    minutes = _idle_minutes(services)
    if minutes is not None:
        texts["idle"] = unit_text(
            f"stop of a machine that is idle for {minutes} min",
            [str(directory.agent), "watch-idle", minutes],
            unit=["After=network-online.target"],
            # AWS keeps what an instance has written on its console, so that somebody finds out why it has stopped.
            service=[*starter, "StandardOutput=journal+console", "StandardError=journal+console", *running],
            target=MachineSystemd.target,
        )
    if "shutdown" in services:
        stop = map(unit_word, [str(directory.agent), "drain-at-shutdown", str(LONGEST_DRAIN)])
        texts["shutdown"] = unit_text(
            f"drain of {directory.path} before the machine stops",
            ["true"],
            # Units stop in the reverse order. Not after the server's: a drain ends that one and would wait for itself.
            # D-Bus answers users who ask systemd whether the machine stops.
            unit=["After=network-online.target docker.service dbus.service"],
            service=[
                *owner,
                *["Type=oneshot", "RemainAfterExit=yes"],
                f"ExecStop=/usr/bin/env {' '.join(stop)}",
                f"TimeoutStopSec={LONGEST_DRAIN + 30}",
            ],
            target=MachineSystemd.target,
        )
    return texts


def _idle_minutes(services: Sequence[str]) -> Optional[str]:
    return next((service[len(_IDLE) :] for service in services if service.startswith(_IDLE)), None)


def set_services(directory: HostDirectory, services: Sequence[str]) -> None:
    """Exactly these run. Units that an earlier release has made have the same names, and are replaced."""
    for service in services:
        if service not in SERVICES[:3] and not re.fullmatch(r"idle=[1-9][0-9]{0,5}|shutdown", service):
            raise HostError(f"'{service}' is not a service", f"choose from {', '.join(SERVICES)}")
    require_root()
    if shutil.which("systemctl") is None:
        raise HostError("this host has no systemd", "use a machine image with systemd, such as Ubuntu")
    if "boot" in services:
        instance_store.mount(directory)
    systemd = MachineSystemd()
    wanted = units(directory, services)
    for name, text in wanted.items():
        systemd.install(unit_name(directory, name), text)
    for name in ("boot", "resume", "spot", "metrics", "idle", "shutdown"):
        if name not in wanted:
            systemd.remove(unit_name(directory, name))


def install(request: Request) -> None:
    """The command `install-services NAME…`."""
    set_services(request.directory, request.words)


def remove(request: Request) -> None:
    """The command `remove-services`."""
    if not request.directory.path.is_dir():
        return
    set_services(request.directory, [])
    instance_store.unmount(request.directory)
