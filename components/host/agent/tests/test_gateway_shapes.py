"""Shapes that Triton would make room for although no data come: the gateway refuses them."""

import json
from typing import Any, Dict

import pytest
from gateway_host import GatewayHost


def tensor(shape: str, **more: Any) -> bytes:
    rest = json.dumps({"datatype": "FP32", "data": [1] * 16, **more})[1:]
    return f'{{"inputs":[{{"name":"INPUT","shape":{shape},{rest}]}}'.encode()


#: With the classes of an output.
CLASSIFIED = b'{"inputs":[{"name":"INPUT","shape":%s}],"outputs":[{"parameters":{"classification":3}}]}'
#: What a request says, and the answer.
SHAPES: Dict[str, "tuple[bytes, int]"] = {
    "right": (tensor("[1,16]"), 200),
    "scalar": (tensor("[]"), 200),
    "empty": (tensor("[0, 16]"), 200),
    "as large as the body": (tensor("[10, 10]"), 200),
    "empty twice": (tensor("[0, 0]"), 400),
    "empty, and to be classified": (CLASSIFIED % b"[3, 0]", 400),
    "to be classified": (CLASSIFIED % b"[1, 16]", 200),
    "a class that is in disguise": ((CLASSIFIED % b"[0]").replace(b"class", b"c\\u006cass"), 400),
    "overflows": (tensor("[9223372036854775807,2]"), 400),
    "overflows to nothing": (tensor("[4294967296,4294967296]"), 400),
    "beyond 64 bits": (tensor("[18446744073709551616]"), 400),
    "a large room": (tensor("[1000000000,16]"), 400),
    "before a zero": (tensor("[9223372036854775807,2,0]"), 400),
    "with white space": (tensor("[1]").replace(b'"shape":[1]', b'"shape" \t:\n [ 1000 ,\r 1000 ]'), 400),
    "the second tensor": (tensor("[1]")[:-2] + b"," + tensor("[1000,1000]")[11:], 400),
    "never ends": (b'{"inputs":[{"shape":[1000,1000', 400),
    "in disguise": (tensor("[1]").replace(b'"shape":[1]', b'"\\u0073hape":[1000,1000]'), 400),
    "the end in disguise": (tensor("[1]").replace(b'"shape":[1]', b'"shap\\u0065"\n:[1000,1000]'), 400),
    "escapes in a text": (tensor("[1]", data=['"shape" \\ "', "\u00e4\n"]), 200),
    "no number": (tensor('["x", 1e1, -4]'), 200),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_fits_its_data(shared_gateway: GatewayHost, name: str) -> None:
    body, status = SHAPES[name]
    answer = shared_gateway.infer(body)
    assert answer.status == status, answer
    if status == 400:
        assert "more elements than the request has bytes" in answer.error, answer


def test_a_shape_fits_its_data_in_binary(shared_gateway: GatewayHost) -> None:
    head = tensor("[1000,1000]", parameters={"binary_data_size": 4_000_000})
    length = {"Inference-Header-Content-Length": str(len(head))}
    assert shared_gateway.infer(head + b"\0" * 4_000_000, length).status == 200
    # What is in the binary part is not read as JSON.
    assert (
        shared_gateway.infer(head + b'"shape":[9223372036854775807,2]'.ljust(4_000_000), length).status == 200
    )
    assert shared_gateway.infer(head + b"\0" * 64, length).status == 400
