"""The settings of a server, and the arguments of tritonserver that follow from them."""

import json
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from ..directory import HostDirectory, rewrite_file
from ..errors import HostError
from ..triton import Triton
from .control import read_key

#: Settings that are whole numbers, and whether they must be given.
_NUMBERS = {
    "httpPort": True,
    "grpcPort": True,
    "metricsPort": True,
    "exitTimeoutSeconds": True,
    "loadTimeoutSeconds": True,
    "logMegabytes": True,
    "drainSeconds": False,
    "memoryMegabytes": False,
}
_REQUIREMENTS = ("always", "onGpu", "never")


class Settings(NamedTuple):
    """How a server runs."""

    #: "process" or "container".
    kind: str
    #: Folder below `runtime/` of a process; image by digest of a container.
    runtime: str
    image: str
    http_port: int
    grpc_port: int
    metrics_port: int
    #: What the ports listen at, as Triton takes it.
    address: str
    exit_timeout_seconds: int
    #: How long a container keeps serving, with a failing health check, before it stops.
    drain_seconds: int
    log_megabytes: int
    #: How long one model may take to load.
    load_timeout_seconds: int
    #: When models must not run unscheduled: "always", "onGpu" or "never".
    scheduler_required: str
    #: The scheduling domain of a container: "" for its own, "none" for none, otherwise the name of one that others on
    #: this host have, too.
    scheduler_domain: str
    #: How much memory a container may use; 0: nearly all of the machine.
    memory_megabytes: int
    #: Folders in a container that models write to, besides the usual ones.
    writable_paths: List[str]
    #: Further arguments of tritonserver.
    arguments: List[str]
    #: Whether clients come through a gateway, which the command of this name makes run.
    gateway: bool = False

    @property
    def running_part(self) -> "Settings":
        """What affects a server that runs: how long to wait for it does not, nor who stands before it."""
        return self._replace(load_timeout_seconds=0, gateway=False)

    @property
    def stop_seconds(self) -> int:
        """How long the server may take to end."""
        return self.exit_timeout_seconds + self.drain_seconds + 10

    @property
    def http_address(self) -> str:
        """Where a client on this host finds the HTTP API."""
        return f"{self._reachable}:{self.http_port}"

    @property
    def metrics_address(self) -> str:
        return f"{self._reachable}:{self.metrics_port}"

    def triton(self, directory: HostDirectory) -> Triton:
        """The server as the deployment of this folder talks to it."""
        grpc_address = f"{self._reachable}:{self.grpc_port}"
        return Triton(self.http_address, grpc_address, lambda: read_key(directory))

    @property
    def _reachable(self) -> str:
        address = self.address.strip("[]")
        if address == "0.0.0.0":
            return "127.0.0.1"
        if address == "::":
            return "[::1]"
        return f"[{address}]" if ":" in address else address

    @property
    def common_arguments(self) -> List[str]:
        """What both runtimes pass. The server starts empty: each model is loaded on its own, with a deadline."""
        return [
            "--model-control-mode=explicit",
            # One bad model must not make the whole server "not ready".
            "--strict-readiness=false",
            f"--exit-timeout-secs={self.exit_timeout_seconds}",
        ]

    def to_json(self) -> Dict[str, Any]:
        return {
            **{
                _camel(name): value
                for name, value in self._asdict().items()
                if name not in ("arguments", "image")
            },
            **({"image": self.image} if self.image else {}),
            "arguments": self.arguments,
        }


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda found: found.group(1).upper(), name)


def parse_settings(body: Dict[str, Any]) -> Settings:
    """
    :raises HostError: on a value that is none
    """
    if not isinstance(body, dict):
        raise HostError("the server settings are no JSON object", "pass one")
    values = dict(body)
    for name, needed in _NUMBERS.items():
        value = values.setdefault(name, None if needed else 0)
        if value is None:
            raise HostError(f"the server setting '{name}' is missing", f"pass {name}")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 99_999_999:
            raise HostError(f"the server setting {name} is '{value}'", "use a whole number")
    if not values.get("address"):
        raise HostError("the server setting 'address' is missing", "pass address")
    for name in ("kind", "runtime", "image", "address", "schedulerDomain"):
        if not isinstance(values.get(name, ""), str):
            raise HostError(f"the server setting {name} is '{values[name]}'", "use a text")
    for name in ("arguments", "writablePaths"):
        words = values.get(name, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise HostError(f"the server setting {name} is '{words}'", "use a list of texts")
    if not isinstance(values.get("gateway", False), bool):
        raise HostError(f"the server setting gateway is '{values['gateway']}'", "use true or false")
    required = values.get("schedulerRequired", "onGpu")
    if required not in _REQUIREMENTS:
        raise HostError(
            f"the server setting schedulerRequired is '{required}'", f"use one of: {', '.join(_REQUIREMENTS)}"
        )
    known = {_camel(name): name for name in Settings._fields}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise HostError(f"unknown server setting '{unknown[0]}'", f"allowed: {' '.join(sorted(known))}")
    return Settings(
        **{
            "kind": "process",
            "runtime": "",
            "image": "",
            "scheduler_required": "onGpu",
            "scheduler_domain": "",
            "arguments": [],
            "writable_paths": [],
            **{known[name]: value for name, value in values.items()},
        }
    )


def parse_former_settings(text: str) -> Settings:
    """The settings that a release before the agent has left: one `key value` a line."""
    values: Dict[str, Any] = {"arguments": []}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == "arg":
            values["arguments"].append(value)
        elif key:
            values[key] = int(value) if key in _NUMBERS and value.isdigit() else value
    return parse_settings(values)


def _file(directory: HostDirectory) -> Path:
    return directory.server / "settings.json"


def _text(path: Path) -> Optional[str]:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return None


def _former_file(directory: HostDirectory) -> Path:
    return directory.server / "settings"


def read_settings(directory: HostDirectory) -> Optional[Settings]:
    """The settings of the server that is deployed; None if none is, or if the record is lost."""
    try:
        return parse_settings(json.loads(_file(directory).read_text("utf-8")))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, HostError):
        return None
    try:
        return parse_former_settings(_former_file(directory).read_text("utf-8"))
    except (OSError, ValueError, HostError):
        return None


def write_settings(directory: HostDirectory, settings: Settings) -> None:
    directory.server.mkdir(parents=True, exist_ok=True)
    text = json.dumps(settings.to_json(), indent=2) + "\n"
    # What is written already needs no room: on a disk that is full, the server must go on.
    if _text(_file(directory)) != text:
        rewrite_file(_file(directory), text)
    for former in (_former_file(directory), directory.server / "http"):
        if former.exists():
            former.unlink()


def require_settings(directory: HostDirectory) -> Settings:
    settings = read_settings(directory)
    if settings is None:
        raise HostError(f"no Triton server is deployed in {directory.path}", "deploy the stack")
    return settings
