"""Requests to Triton's HTTP API on this host. No proxy is ever asked."""

import http.client
from typing import Dict, Optional

from .grpc import split_address

#: Status of an answer that did not come.
NONE = 0


class Answer:
    def __init__(self, status: int, body: str = "") -> None:
        #: HTTP's status; 0 if no answer came.
        self.status = status
        self.body = body

    @property
    def ok(self) -> bool:
        return self.status == 200


def request(
    address: str,
    method: str,
    path: str,
    seconds: float,
    body: Optional[str] = None,
    headers: Optional[Dict[str, str]] = None,
) -> Answer:
    """Asks and waits for the answer.

    :param address: `host:port`; IPv6 in brackets
    :param seconds: the longest wait for each part of the answer
    """
    host, port = split_address(address)
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request(method, path, body=body, headers={"Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException):
        return Answer(NONE)
    finally:
        connection.close()
