"""Requests that end a Triton of 24.10 that is reached directly."""

from typing import Dict

_HEAD = "POST /v2/models/{model}/{what} HTTP/1.1\r\nHost: a\r\n"


def crash_requests(model: str) -> Dict[str, bytes]:
    """By what they are."""
    head = _HEAD.format(model=model, what="infer")
    nested = b"[" * 2_400_000 + b"]" * 2_400_000
    # Within the limit of the JSON's size, where only its depth tells.
    small = b"[" * 500_000 + b"]" * 500_000
    binary = f"Inference-Header-Content-Length: {len(small)}\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()

    def sized(head: str, body: bytes) -> bytes:
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    return {
        "4.8 MB of JSON": sized(head, nested),
        "600,000 small chunks": chunked + b"1\r\nA\r\n" * 600_000 + b"0\r\n\r\n",
        "1 MB of JSON": sized(head, small),
        "1 MB of JSON before a tensor": sized(head + binary, small + bytes(100_000)),
        "1 MB of JSON for generate": sized(_HEAD.format(model=model, what="generate"), small),
        "1 MB of JSON that hides behind a short length": sized(
            f"{_HEAD.format(model=model, what='generate')}Inference-Header-Content-Length: 2\r\n", small
        ),
    }
