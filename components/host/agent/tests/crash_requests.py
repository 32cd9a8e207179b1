"""Requests that end a Triton of 24.10 that is reached directly."""

from typing import Dict

from agent.triton.grpc import bytes_field, string_field

_HEAD = "POST /v2/models/{model}/{what} HTTP/1.1\r\nHost: a\r\n"


def crash_requests(model: str) -> Dict[str, bytes]:
    """By what they are."""
    head = _HEAD.format(model=model, what="infer")
    nested = b"[" * 2_400_000 + b"]" * 2_400_000
    # Within the limit of the JSON's size, where only its depth tells.
    small = b"[" * 500_000 + b"]" * 500_000
    binary = f"Inference-Header-Content-Length: {len(small)}\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()

    # A hundred bytes: the classes of an output that is as empty as its input.
    empty = (
        b'{"inputs":[{"name":"INPUT","shape":[0],"datatype":"UINT8","data":[]}],'
        b'"outputs":[{"name":"OUTPUT","parameters":{"classification":1}}]}'
    )

    def sized(head: str, body: bytes) -> bytes:
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    return {
        "4.8 MB of JSON": sized(head, nested),
        "600,000 small chunks": chunked + b"1\r\nA\r\n" * 600_000 + b"0\r\n\r\n",
        "1 MB of JSON": sized(head, small),
        "classes of an empty tensor": sized(head, empty),
        "1 MB of JSON before a tensor": sized(head + binary, small + bytes(100_000)),
        "1 MB of JSON for generate": sized(_HEAD.format(model=model, what="generate"), small),
        "1 MB of JSON that hides behind a short length": sized(
            f"{_HEAD.format(model=model, what='generate')}Inference-Header-Content-Length: 2\r\n", small
        ),
    }


def crash_messages(model: str) -> Dict[str, bytes]:
    """The same over gRPC, alone or in a stream, and what ends the process of a Python model."""

    def message(shape: bytes, kind: str, *more: bytes) -> bytes:
        tensor = string_field(1, "INPUT") + string_field(2, kind) + bytes_field(3, shape)
        return string_field(1, model) + bytes_field(5, tensor) + b"".join(more) + bytes_field(7, b"")

    one_class = bytes_field(2, string_field(1, "classification") + bytes_field(2, b"\x10\x01"))
    return {
        "classes of an empty tensor": message(
            b"\0", "UINT8", bytes_field(6, string_field(1, "OUTPUT") + one_class)
        ),
        "2^61 numbers of 8 bytes": message(b"\x80" * 8 + b"\x20", "FP64"),
    }
