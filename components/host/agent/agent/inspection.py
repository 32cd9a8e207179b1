"""What is not as it should be on a host."""

import hashlib
from typing import Dict, List, Optional

from .commands import Request
from .console import progress
from .directory import HostDirectory
from .gateway.record import find_fault as find_gateway_fault
from .models.store import damaged, has_files
from .models.wanted import Wanted, has_note, linked, read_noted, read_wanted
from .repairs import read_tokens
from .server.install import is_installed
from .server.process import runtime_processes
from .server.record import ConductBook
from .server.runtime import runtime_of
from .server.settings import Settings, read_settings
from .server.status import LiveScheduling, live_scheduling
from .server.supervision import program_digest, read_supervisor
from .triton import ModelFacts

#: Stands for every part.
EVERYTHING = "*"


def inspect(request: Request) -> Dict[str, Dict[str, str]]:
    """The command `inspect`: compares the host with what was deployed, and changes nothing. Each part that differs gets
    a token, which whoever repairs it hands on; a part that is as it should be has the token of its last repair, if it
    ever needed one."""
    directory = request.directory
    tokens = read_tokens(directory)
    for part, fault in find_faults(directory).items():
        progress(fault)
        # Another fault, or the same one again after its repair, is another token.
        former = tokens.get(part, "")
        tokens[part] = hashlib.sha256(f"{former}\0{fault}".encode()).hexdigest()[:12]
    return {"repairs": tokens}


def find_faults(directory: HostDirectory) -> Dict[str, str]:
    """What is wrong, by part: `agent`, `runtime`, `server`, `gateway`, `models`, `model:NAME` for what is stored, or
    everything."""
    faults: Dict[str, str] = {}
    if _is_edited(directory):
        faults["agent"] = "the agent has been changed on the host"
    wanted = read_noted(directory) or read_wanted(directory)
    for model in wanted:
        problem = _stored_otherwise(directory, model)
        if problem is not None:
            faults[f"model:{model.name}"] = problem
    settings = read_settings(directory)
    gateway = find_gateway_fault(directory, settings is not None and settings.gateway)
    if gateway is not None:
        faults["gateway"] = gateway
    if settings is None:
        if wanted or directory.server.is_dir() or runtime_processes(directory, "tritonserver"):
            faults["server"] = "the record of the server is lost"
            faults["models"] = "models have to be served again"
        return faults
    if not wanted and not has_note(directory):
        # Which models are missing, nobody here knows any more.
        faults[EVERYTHING] = "the record of the models is lost; all is deployed anew"
    runtimes = directory.path / "runtime"
    if settings.kind == "process" and settings.runtime and not is_installed(runtimes / settings.runtime):
        faults["runtime"] = "Triton's installation is gone from the host, or parts of it are"
    server = _server_fault(directory, settings)
    if server is not None:
        faults["server"] = server
    served = None if "server" in faults else _served_otherwise(directory)
    if served is not None or set(faults) - {"gateway", "runtime"}:
        faults["models"] = served or "models have to be served again"
    return faults


def _stored_otherwise(directory: HostDirectory, model: Wanted) -> Optional[str]:
    """What is wrong with what is stored of a model."""
    entry = directory.store / model.name / model.digest
    if not entry.is_dir():
        return f"the stored model {model.name} is gone from the host"
    if damaged(entry):
        return f"the stored model {model.name} has been changed on the host"
    if not has_files(directory, model.name):
        # It serves, but its next configuration would have no files.
        return (
            f"the files of the model {model.name} are gone from the host's store, or have been changed there"
        )
    return None


def _server_fault(directory: HostDirectory, settings: Settings) -> Optional[str]:
    """What is wrong with the server, whatever it serves."""
    supervisor = read_supervisor(directory)
    runtime = runtime_of(directory, settings)
    if not runtime.find():
        return "the server does not run"
    if runtime.astray:
        return "the host's folder has been moved while the server runs, which has to start again"
    if supervisor is None:
        return "the server's supervisor does not run"
    if supervisor.program and supervisor.program != program_digest():
        return "the server's supervisor is another program"
    if settings.triton(directory).locked_out():
        return "the key to the server's control is lost, so the server has to start again"
    return None


def _is_edited(directory: HostDirectory) -> bool:
    """Whether this program differs from what was installed."""
    try:
        installed = directory.agent.with_name("agent.sha256").read_text("utf-8").split()[0]
        return hashlib.sha256(directory.agent.read_bytes()).hexdigest() != installed
    except (OSError, IndexError):
        return False


def _served_otherwise(directory: HostDirectory) -> Optional[str]:
    """What Triton serves that is not what was deployed."""
    settings = read_settings(directory)
    if settings is None:
        return None
    triton = settings.triton(directory)
    aside = ConductBook(directory).aside()
    wrong: List[str] = []
    links = linked(directory)
    noted = {model.name: model for model in read_noted(directory)} or dict.fromkeys(links)
    for name in sorted({*links, *noted}):
        model = noted.get(name)
        if name not in links:
            wrong.append(f"the model {name} is not in the repository any more")
        elif name not in noted or (model is not None and model.digest != links[name]):
            wrong.append(f"the model {name} is in the repository with another state")
    wanted = read_wanted(directory)
    live = live_scheduling(directory)
    for model in wanted:
        if model.name in aside:
            continue
        if not triton.ready(model.name):
            wrong.append(f"the model {model.name} is not loaded")
            continue
        wrong += _scheduled_otherwise(model, triton.facts(model.name), live)
    return "; ".join(wrong) or None


def _scheduled_otherwise(model: Wanted, facts: Optional[ModelFacts], live: LiveScheduling) -> List[str]:
    """How Triton's configuration of a model, or else the scheduler, differs from what was deployed."""
    now = model.served(facts) if facts else model.scheduling
    values = (
        ("priority", "", model.priority, now.priority, live.priorities),
        ("floor", " %", model.floor, now.floor, live.floors),
        ("weight", "", model.weight, now.weight, live.weights),
    )
    for what, unit, wanted, served, _ in values:
        if served not in (None, wanted):
            return [f"the model {model.name} has the {what} {served}{unit} instead of {wanted}{unit}"]
    return [
        f"the scheduler has the {what} {value}{unit} for the model {model.name} instead of {wanted}{unit}"
        for what, unit, wanted, _, scheduled in values
        for value in sorted(scheduled.get(model.name, set()) - {wanted})
    ]
