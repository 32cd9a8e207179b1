"""Inferences that are whole, and wrong in what they say: of the tensors' names, types, shapes and data, of what is
asked for, and of how long the parts are. Bytes that are wrong at random end at a proxy's parser; these reach Triton.
"""

import http.client
import json
import random
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from agent.triton.grpc import bytes_field, string_field, varint
from gateway_host import exchange
from grpc_channel import SERVICE, Channel

_SIZES = [0, 1, 1, 1, 2, 3, 4, 4, 16, 64, 1000, -1, -2, 2**31 - 1, 2**31, 2**32, 2**61, 2**62, 2**63 - 1]
_WIDTHS = {
    "BOOL": 1,
    "UINT8": 1,
    "INT16": 2,
    "FP16": 2,
    "BF16": 2,
    "INT32": 4,
    "FP32": 4,
    "INT64": 8,
    "FP64": 8,
}
_TYPES = ["UINT8", "UINT8", "UINT8", "BYTES", "BYTES", *_WIDTHS, "", "uint8", "TYPE_UINT8", "NONE"]
#: By model: the type and shapes that it takes.
_MODELS: Dict[str, Tuple[str, List[List[int]]]] = {
    "scale": ("UINT8", [[4], [1], [0], [1000]]),
    "words": ("BYTES", [[2], [1], [0]]),
    "batched": ("FP32", [[1, 16], [8, 16], [3, 16]]),
}
_INPUTS = ["INPUT"] * 20 + ["OUTPUT", "", "input", "A" * 300]
_OUTPUTS = ["OUTPUT"] * 12 + ["INPUT", "", "B" * 300]
_NUMBERS = [0, 1, 2, -1, 3, 1000, 2**31, 2**32 + 1, 2**53, 2**63 - 1, -(2**63)]
_PARAMETERS = [
    *("classification", "binary_data", "binary_data_size", "binary_data_output", "shared_memory_region"),
    *("shared_memory_offset", "shared_memory_byte_size", "sequence_id", "sequence_start", "sequence_end"),
    *("priority", "timeout", "headers", "triton_enable_empty_final_response", "max_tokens", ""),
]
#: How many inputs there are; a model has one.
_TENSORS = [1] * 12 + [0, 2, 3]
#: As JSON has them, where something else is expected.
_OTHERS: List[Any] = [None, True, {}, [], "", "1", "INPUT", [[]], {"a": 1}, -1, 1.5, 1e308, 2**64, 10**30]


class Tensor(NamedTuple):
    name: str
    kind: str
    shape: List[int]
    #: As it is sent in binary.
    data: bytes


def model_name(generator: random.Random) -> str:
    return generator.choice([*_MODELS] * 10 + ["missing", ""])


def tensor(generator: random.Random, model: str) -> Tensor:
    # What a model takes in most cases, so that what else is wrong gets further.
    kind, shapes = _MODELS.get(model, ("UINT8", [[4]]))
    shape = generator.choice(shapes)
    if generator.random() < 0.2:
        kind = generator.choice(_TYPES)
    if generator.random() < 0.3:
        shape = generator.choices(_SIZES, k=generator.choice([0, 1, 1, 1, 2, 2, 3, 70]))
    elements = 1
    for size in shape:
        elements *= size
    count = elements if 0 <= elements <= 1000 else generator.randrange(20)
    if kind == "BYTES":
        data = b"".join(_word(generator) for _ in range(min(count, 50)))
    else:
        data = bytes(generator.choices(range(256), k=count * _WIDTHS.get(kind, 1)))
    cut = generator.choice([0] * 12 + [1, 3, len(data)])
    return Tensor(generator.choice(_INPUTS), kind, shape, data[: len(data) - min(cut, len(data))])


def _word(generator: random.Random) -> bytes:
    """A string after its length, which may be another one's."""
    word = bytes(generator.choices(range(256), k=generator.choice([0, 1, 5])))
    length = generator.choice([len(word)] * 12 + [len(word) + 1, 2**31, 2**32 - 1])
    return struct.pack("<I", length) + word


class HttpInference(NamedTuple):
    path: str
    headers: Dict[str, str]
    body: bytes


def http_inference(generator: random.Random) -> HttpInference:
    """JSON, with the tensors' data in it or behind it."""
    model = model_name(generator)
    binary = b""
    inputs = []
    for _ in range(generator.choice(_TENSORS)):
        wanted = tensor(generator, model)
        entry: Dict[str, Any] = {"name": wanted.name, "datatype": wanted.kind, "shape": wanted.shape}
        if generator.random() < 0.5:
            size = generator.choice([len(wanted.data)] * 40 + _NUMBERS)
            entry["parameters"] = {"binary_data_size": size, **_json_parameters(generator)}
            binary += wanted.data
        else:
            entry["data"] = _json_data(generator, wanted)
            _maybe(generator, entry, "parameters", _json_parameters(generator))
        inputs.append(_damaged(generator, entry))
    outputs = [
        _damaged(generator, {"name": generator.choice(_OUTPUTS), "parameters": _json_parameters(generator)})
        for _ in range(generator.choice([1, 1, 2, 20]))
    ]
    request: Dict[str, Any] = {"inputs": inputs}
    _maybe(generator, request, "outputs", outputs)
    _maybe(generator, request, "parameters", _json_parameters(generator))
    _maybe(generator, request, "id", generator.choice(["a", "", "i" * 5000] * 20 + _OTHERS))
    head = json.dumps(_damaged(generator, request)).encode()
    headers = {"Content-Type": generator.choice(["application/json"] * 3 + ["application/octet-stream"])}
    if binary or generator.random() < 0.1:
        length = generator.choice(
            [len(head)] * 40 + [0, 1, len(head) - 1, len(head) + len(binary), 2**31, -1]
        )
        headers["Inference-Header-Content-Length"] = str(length)
    version = generator.choice([""] * 16 + ["/versions/1", "/versions/-1", "/versions/99999999999999999999"])
    what = generator.choice(["infer"] * 6 + ["generate", "generate_stream"])
    if what != "infer" and generator.random() < 0.7:
        # Here each key is a tensor's name.
        values: List[Any] = [4, [1, 2], "a", 1.5, *_OTHERS]
        keys = generator.choices(
            ["INPUT", "INPUT", "id", "OUTPUT", *_PARAMETERS], k=generator.choice([1, 1, 2, 3])
        )
        head = json.dumps({key: generator.choice(values) for key in keys}).encode()
        headers.pop("Inference-Header-Content-Length", None)
        binary = b""
    return HttpInference(f"/v2/models/{model}{version}/{what}", headers, head + binary)


def _maybe(generator: random.Random, entry: Dict[str, Any], key: str, value: Any) -> None:
    if generator.random() < 0.3:
        entry[key] = value


def _damaged(generator: random.Random, entry: Dict[str, Any]) -> Dict[str, Any]:
    """Seldom without one of its keys, or with a value of another kind."""
    for key in list(entry):
        chance = generator.random()
        if chance < 0.01:
            del entry[key]
        elif chance < 0.03:
            entry[key] = generator.choice(_OTHERS)
    return entry


def _json_data(generator: random.Random, wanted: Tensor) -> Any:
    values: List[Any] = list(wanted.data[: 1000 : _WIDTHS.get(wanted.kind, 1)])
    if wanted.kind == "BYTES":
        values = [str(value) for value in values]
    if wanted.kind == "BOOL":
        values = [value > 100 for value in values]
    kind = generator.randrange(20)
    if kind == 0:
        return [*values, generator.choice(_OTHERS)]
    if kind == 1:
        return [values, [values]]
    if kind == 2:
        return generator.choice(_OTHERS)
    return values


def _json_parameters(generator: random.Random) -> Dict[str, Any]:
    values = [*_NUMBERS, *_OTHERS]
    names = generator.choices(_PARAMETERS, k=generator.choice([0] * 6 + [1, 1, 2]))
    return {name: generator.choice(values) for name in names}


def grpc_inference(generator: random.Random) -> bytes:
    """A message of ModelInfer: https://github.com/triton-inference-server/common/blob/r24.10/protobuf/grpc_service.proto"""
    model = model_name(generator)
    tensors = [tensor(generator, model) for _ in range(generator.choice(_TENSORS))]
    raw = generator.random() < 0.8
    message = string_field(1, model)
    if generator.random() < 0.1:
        message += string_field(2, generator.choice(["1", "-1", "x", "9" * 20]))
    if generator.random() < 0.2:
        message += string_field(3, "i" * generator.choice([0, 1, 5000]))
    message += _grpc_parameters(generator, 4)
    for wanted in tensors:
        message += bytes_field(5, _grpc_tensor(generator, wanted, with_contents=not raw))
    for _ in range(generator.choice([0, 0, 0, 1, 1, 2])):
        message += bytes_field(
            6, string_field(1, generator.choice(_OUTPUTS)) + _grpc_parameters(generator, 2)
        )
    if raw:
        for wanted in tensors[: generator.choice([len(tensors)] * 4 + [0])]:
            message += bytes_field(7, wanted.data)
        if generator.random() < 0.1:
            message += bytes_field(7, b"more")
    return message


def _grpc_tensor(generator: random.Random, wanted: Tensor, *, with_contents: bool) -> bytes:
    shape = b"".join(_int64(size) for size in wanted.shape)
    field = string_field(1, wanted.name) + string_field(2, wanted.kind)
    # Packed, as clients do, or one by one.
    if generator.random() < 0.8:
        field += bytes_field(3, shape)
    else:
        field += b"".join(_int64_field(3, size) for size in wanted.shape)
    field += _grpc_parameters(generator, 4)
    if with_contents:
        # InferTensorContents: a field for each kind of number, 8 for bytes.
        number = generator.choice([1, 2, 3, 4, 5, 6, 7, 8, 8])
        field += bytes_field(5, bytes_field(number, wanted.data))
    return field


def _grpc_parameters(generator: random.Random, number: int) -> bytes:
    """A map of InferParameter: of a truth value, a number, a string, a fraction."""
    encoded = b""
    for name in generator.choices(_PARAMETERS, k=generator.choice([0] * 8 + [1, 1, 2])):
        value = generator.choice(
            [
                _int64_field(1, 1),
                _int64_field(2, generator.choice(_NUMBERS)),
                string_field(3, generator.choice(["", "a", "1", "r" * 2000])),
                b"\x21" + struct.pack("<d", generator.choice([0.0, -1.0, 1e308])),
                b"",
            ]
        )
        encoded += bytes_field(number, string_field(1, name) + bytes_field(2, value))
    return encoded


def _int64(value: int) -> bytes:
    return varint(value & (2**64 - 1))


def _int64_field(number: int, value: int) -> bytes:
    return varint(number << 3) + _int64(value)


def ask_http(port: int, generator: random.Random) -> Optional[str]:
    """Sends one; returns what was answered if the gateway or the server had failed."""
    path, headers, body = http_inference(generator)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        answer = exchange(connection, "POST", path, body, headers)
    finally:
        connection.close()
    return f"{answer.status} {answer.body[:200]!r}" if answer.status in (0, 502, 504) else None


def ask_grpc(port: int, generator: random.Random) -> Optional[str]:
    """The same over gRPC, alone or several in a stream, where a wrong one may end it."""
    channel = Channel(port)
    try:
        if generator.random() < 0.7:
            called = channel.call(f"{SERVICE}/ModelInfer", grpc_inference(generator))
            # UNAVAILABLE
            return str(called) if called.status == 14 else None
        channel.open(f"{SERVICE}/ModelStreamInfer")
        for _ in range(generator.randrange(1, 4)):
            channel.send(grpc_inference(generator))
        channel.end()
        channel.finish()
    except ConnectionError:
        return None
    finally:
        channel.close()
    return None
