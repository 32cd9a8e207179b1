"""Calls to AWS, answered by moto in this process, and checked against botocore's own models before they are sent."""

from typing import Any, Callable, Dict, List, NamedTuple, Set, Tuple

import botocore.session
from botocore.config import Config
from botocore.validate import ParamValidator

from .constraints import violations

#: Keeps the models that it has read.
_SESSION = botocore.session.Session()
_SESSION.set_credentials("testing", "testing")

#: Nothing passes by itself here.
_ONCE = Config(retries={"total_max_attempts": 1})


class Call(NamedTuple):
    """An operation, as botocore names it: `ec2`, `RunInstances`."""

    service: str
    operation: str


class InvalidCallError(Exception):
    """A call that AWS would refuse, by its own model."""


class Aws:
    """One region of one account."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: Dict[str, Any] = {}
        #: What was called so far.
        self.made: Set[Call] = set()

    def __getattr__(self, service: str) -> Any:
        """A client; of `service-quotas`, `service_quotas`."""
        if service.startswith("_"):
            raise AttributeError(service)
        return self.client(service.replace("_", "-"))

    def client(self, service: str) -> Any:
        if service not in self._clients:
            # moto takes a part of IAM's own name in GovCloud for the region.
            gov = service == "iam" and self.region.startswith("us-gov-")
            place = {"endpoint_url": f"https://iam.{self.region}.amazonaws.com"} if gov else {}
            client = _SESSION.create_client(service, region_name=self.region, config=_ONCE, **place)
            client.meta.events.register("before-parameter-build", self._check)
            self._clients[service] = client
        return self._clients[service]

    def check(self, service: str, operation: str, **params: Any) -> None:
        """Only checks and records a call, which moto could not answer."""
        model = self.client(service).meta.service_model.operation_model(operation)
        report = ParamValidator().validate(params, model.input_shape)
        if report.has_errors():
            raise InvalidCallError(f"{service}:{operation}: {report.generate_report()}")
        self._check(params=params, model=model)

    def _check(self, params: Dict[str, Any], model: Any, **_: Any) -> None:
        call = Call(model.service_model.service_name, model.name)
        self.made.add(call)
        if model.input_shape is None:
            return
        found = violations(params, model.input_shape)
        if found:
            raise InvalidCallError(f"{call.service}:{call.operation}: {'; '.join(found)}")


def pages(client: Any, operation: str, key: str, **params: Any) -> List[Any]:
    """All items of an operation that answers in pages."""
    return [item for page in client.get_paginator(operation).paginate(**params) for item in page.get(key, [])]


def outcome(attempt: Callable[[], Any], *codes: str) -> Tuple[bool, Any]:
    """Whether a call succeeded; one of the codes, such as of something that is not there, is an answer as well."""
    try:
        return True, attempt()
    except Exception as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        if code not in codes:
            raise
        return False, code
