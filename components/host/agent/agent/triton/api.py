"""What a deployment asks of a Triton."""

import enum
import json
from typing import Any, Callable, Dict, List, NamedTuple, Optional
from urllib.parse import quote

from . import grpc, http

_SERVICE = "/inference.GRPCInferenceService"
#: Header of a request that brings the key to what is locked. Over gRPC, Triton looks for it with a prefix:
#: https://github.com/triton-inference-server/server/blob/r24.10/src/grpc/grpc_server.h
KEY_HEADER = "xsched-triton-control"
GRPC_KEY_HEADER = f"triton-grpc-protocol-{KEY_HEADER}"
#: Status of HTTP.
_FORBIDDEN = 403
#: Seconds for an answer that needs no work.
_SOON = 10


class Health(enum.Enum):
    """What Triton says of itself."""

    #: Nothing listens, or nothing answers.
    DOWN = "down"
    LIVE = "live"
    #: It has opened its ports and will never serve (`--exit-on-error=false`).
    FAILED = "failed"


class LoadAnswer(NamedTuple):
    """How a load or an unload ended."""

    ok: bool
    #: Triton's reason if it said no.
    reason: str
    #: Whether the connection broke or no answer came: nobody knows what has happened.
    lost: bool
    #: Whether it was the deadline.
    late: bool = False


class Scheduling(NamedTuple):
    """What of a model the scheduler follows; None where a configuration says something else than a number."""

    priority: Optional[int] = 0
    floor: Optional[int] = 0
    weight: Optional[int] = 0


class ModelFacts(NamedTuple):
    """What a client must know of a model."""

    inputs: List[Dict[str, Any]]
    priority: Optional[int]
    #: Absent from the configuration, it is 0; so is the weight.
    floor: Optional[int]
    weight: Optional[int]
    #: Answers come as a stream.
    decoupled: bool
    #: Requests belong to sequences.
    sequence: bool
    ensemble: bool
    #: The models of its steps, if it is an ensemble.
    steps: List[str]

    @property
    def scheduling(self) -> Scheduling:
        return Scheduling(self.priority, self.floor, self.weight)


class Triton:
    """A Triton on this host.

    :param http_address: `host:port` of its HTTP API
    :param grpc_address: `host:port` of its gRPC API
    :param key: tells the key to what is locked, which changes when the server starts again; empty if nothing is
    """

    def __init__(self, http_address: str, grpc_address: str, key: Callable[[], str] = str) -> None:
        self.http_address = http_address
        self.grpc_address = grpc_address
        self._key = key

    def request(
        self, method: str, path: str, seconds: float = _SOON, body: Optional[str] = None
    ) -> http.Answer:
        """As a client asks."""
        return http.request(self.http_address, method, path, seconds, body)

    def control(
        self, method: str, path: str, seconds: float = _SOON, body: Optional[str] = None
    ) -> http.Answer:
        """As the deployment asks: also what is locked."""
        key = self._key()
        headers = {KEY_HEADER: key} if key else {}
        return http.request(self.http_address, method, path, seconds, body, headers)

    def _json(self, method: str, path: str) -> Any:
        return self._decoded(self.request(method, path))

    @staticmethod
    def _decoded(answer: http.Answer) -> Any:
        if not answer.ok:
            return None
        try:
            return json.loads(answer.body)
        except ValueError:
            return None

    def health(self) -> Health:
        status = self.request("GET", "/v2/health/live", 5).status
        if status == http.NONE:
            return Health.DOWN
        return Health.LIVE if status == 200 else Health.FAILED

    def locked_out(self) -> bool:
        """Whether it runs and does not take the key, because that has been removed or changed."""
        return self.control("POST", "/v2/repository/index").status == _FORBIDDEN

    def version(self) -> str:
        return str((self._json("GET", "/v2") or {}).get("version", ""))

    def ready(self, model: str) -> bool:
        return self.request("GET", f"/v2/models/{quote(model)}/ready").ok

    def instances(self, model: str) -> Optional[int]:
        """How many instances of a model serve, of all its versions; None if it does not serve."""
        if not self.ready(model):
            return None
        config = self._json("GET", f"/v2/models/{quote(model)}/config")
        metadata = self._json("GET", f"/v2/models/{quote(model)}")
        if not isinstance(config, dict) or not isinstance(metadata, dict):
            return None
        # Triton has filled in what the configuration leaves out.
        each = sum(
            int(group.get("count", 1)) * max(1, len(group.get("gpus", [])))
            for group in config.get("instance_group", [])
        )
        return each * len(metadata.get("versions", []))

    def runs_apart(self, model: str) -> bool:
        """Whether a model that serves runs in processes of its own."""
        config = self._json("GET", f"/v2/models/{quote(model)}/config")
        return isinstance(config, dict) and config.get("backend") == "python" and self.ready(model)

    def model_version(self, model: str) -> str:
        """The highest version that serves; empty if none does."""
        versions = (self._json("GET", f"/v2/models/{quote(model)}") or {}).get("versions", [])
        return str(max(versions, key=_version_order)) if versions else ""

    def index(self) -> List[Dict[str, str]]:
        """Every model that Triton knows: name, version, state and reason."""
        answer = self._decoded(self.control("POST", "/v2/repository/index"))
        return answer if isinstance(answer, list) else []

    def loading(self) -> List[str]:
        """The models whose load goes on, but for those that serve another state meanwhile."""
        return [entry["name"] for entry in self.index() if entry.get("state") == "LOADING"]

    def serving(self) -> List[str]:
        """Every model that serves, also one that is no longer in the repository."""
        found = self._json("GET", "/v2/models/stats")
        try:
            return sorted({entry["name"] for entry in found["model_stats"]})
        except (KeyError, TypeError):
            return []

    def reason(self, model: str) -> str:
        """Why a model is not ready, if Triton says so."""
        reasons = [entry.get("reason", "") for entry in self.index() if entry.get("name") == model]
        return next((reason for reason in reasons if reason), "")

    def facts(self, model: str) -> Optional[ModelFacts]:
        """None if the model does not serve."""
        config = self._json("GET", f"/v2/models/{quote(model)}/config")
        metadata = self._json("GET", f"/v2/models/{quote(model)}")
        if not isinstance(config, dict) or not isinstance(metadata, dict):
            return None
        parameters = config.get("parameters", {})
        priority = parameters.get("xsched_priority", {}).get("string_value", "")
        floor = parameters.get("xsched_floor", {}).get("string_value", "0")
        weight = parameters.get("xsched_weight", {}).get("string_value", "0")
        return ModelFacts(
            inputs=metadata.get("inputs", []),
            priority=int(priority) if _is_integer(priority) else None,
            floor=int(floor) if _is_integer(floor) else None,
            weight=int(weight) if _is_integer(weight) else None,
            decoupled=bool(config.get("model_transaction_policy", {}).get("decoupled", False)),
            sequence="sequence_batching" in config,
            ensemble=config.get("platform") == "ensemble" or "ensemble_scheduling" in config,
            steps=[
                str(step.get("model_name", ""))
                for step in config.get("ensemble_scheduling", {}).get("step", [])
            ],
        )

    def load(
        self,
        model: str,
        seconds: float,
        config: Optional[str] = None,
        waiting: Optional[Callable[[float], None]] = None,
    ) -> LoadAnswer:
        """Loads a model, or loads it again.

        :param config: a model configuration, as JSON, in place of the model's own
        """
        message = grpc.string_field(2, model)
        if config is not None:
            # ModelRepositoryParameter.string_param, in a map.
            value = grpc.string_field(3, config)
            message += grpc.bytes_field(3, grpc.string_field(1, "config") + grpc.bytes_field(2, value))
        return self._control("RepositoryModelLoad", message, seconds, waiting)

    def unload(
        self, model: str, seconds: float, waiting: Optional[Callable[[float], None]] = None
    ) -> LoadAnswer:
        """Asks to unload a model. Triton answers before it is done: it finishes requests in flight first."""
        return self._control("RepositoryModelUnload", grpc.string_field(2, model), seconds, waiting)

    def _control(
        self, method: str, message: bytes, seconds: float, waiting: Optional[Callable[[float], None]]
    ) -> LoadAnswer:
        key = self._key()
        metadata = {GRPC_KEY_HEADER: key} if key else {}
        answer = grpc.call(self.grpc_address, f"{_SERVICE}/{method}", message, seconds, waiting, metadata)
        late = answer.lost and answer.status == grpc.DEADLINE_EXCEEDED
        return LoadAnswer(answer.status == grpc.OK, answer.message, answer.lost, late)


def _version_order(version: Any) -> "tuple[int, str]":
    text = str(version)
    return (int(text) if text.isdigit() else -1, text)


def _is_integer(text: str) -> bool:
    return text.lstrip("-").isdigit() and text.count("-") <= 1
