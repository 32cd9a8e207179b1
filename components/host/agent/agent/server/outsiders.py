"""Programs that use a GPU of this host outside the server's scheduling domain, so that nothing holds them back."""

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Set

from ..directory import HostDirectory
from ..errors import HostError
from ..programs import call
from .container import ContainerRuntime, scheduling_required
from .settings import read_settings
from .xsched_ctl import scheduler_words

#: Exit status of xsched-ctl where no process is in the domain; native/xsched/ctl/exit_code.h.
_NOBODY = 3


class GpuProgram(NamedTuple):
    """A process that has a CUDA context on a GPU."""

    #: Its process id on this host.
    pid: int
    #: The path of its program, as far as the driver tells it.
    name: str


def gpu_programs() -> List[GpuProgram]:
    """Those of all users, by NVIDIA's management library, which nvidia-smi asks."""
    found = call(["nvidia-smi", "--query-compute-apps=pid,process_name", "--format=csv,noheader"], seconds=20)
    programs = set()
    for line in found.out.splitlines() if found.ok else []:
        pid, _, name = line.partition(",")
        # A process is listed once for each GPU. Without permission there is text in place of the number.
        if pid.strip().isdecimal():
            programs.add(GpuProgram(int(pid), name.strip()))
    return sorted(programs)


def _own_pid(pid: int) -> int:
    """The process id that a process has for itself, in its own PID namespace; proc(5), NSpid. 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return 0
    return next((int(line.split()[-1]) for line in text.splitlines() if line.startswith("NSpid:")), pid)


def _in_container(pid: int, container: str) -> bool:
    """Whether a process runs in a container, by the control group that Docker names after it."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text("utf-8", "replace")
    except OSError:
        return False


def _members(directory: HostDirectory) -> Optional[Set[int]]:
    """The process ids of those that take part, as each has it for itself; None if the image cannot tell."""
    found = call(scheduler_words(directory, ["list", "--domain", "--json"]), seconds=20)
    if found.status == _NOBODY:
        return set()
    if not found.ok:
        return None
    devices = json.loads(found.out)["devices"]
    return {int(process["pid"]) for device in devices for process in device["processes"]}


def outsiders(directory: HostDirectory) -> Optional[List[GpuProgram]]:
    """The programs on a GPU that take no part in the server's domain; None if scheduling is not required, or if it
    cannot be known."""
    settings = read_settings(directory)
    if settings is None or not scheduling_required(settings):
        return None
    runtime = ContainerRuntime(directory, settings)
    if not runtime.find():
        return None
    programs = gpu_programs()
    try:
        members = _members(directory) if programs else set()
    except (HostError, ValueError, KeyError, TypeError):
        return None
    if members is None:
        return None

    def takes_part(program: GpuProgram) -> bool:
        own = _own_pid(program.pid)
        # Without a domain, the server's processes schedule their own work. And who has ended holds nobody up.
        return (
            own in members
            or own == 0
            or (not members and _in_container(program.pid, runtime.identity.split()[0]))
        )

    return [program for program in programs if not takes_part(program)]


def describe_outsiders(directory: HostDirectory) -> Optional[List[Dict[str, Any]]]:
    found = outsiders(directory)
    return None if found is None else [program._asdict() for program in found]
