"""Messages of gRPC: what they say of their tensors is looked at in calls and in streams, wherever in them it stands."""

import struct
from typing import Dict, Iterator, List

import pytest
from agent.gateway import lifecycle
from agent.triton.grpc import bytes_field, string_field
from gateway_host import GatewayHost
from grpc_channel import SERVICE, Called
from stand_in_triton import LARGEST_ANSWER

LARGE = 3 << 20
WRONG = "a shape has more elements than the message has bytes, or more than 64 dimensions"
EMPTY = "a shape has two dimensions of 0, or one where a classification is asked for"
MALFORMED = "the message is malformed"
BEGINNING = "the gateway sees only the beginning of a large message"


def number(value: int) -> bytes:
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def tensor(*shape: int, kind: str = "FP64", more: bytes = b"", one_by_one: bool = False) -> bytes:
    sizes = [number(size) for size in shape]
    dims = b"".join(b"\x18" + size for size in sizes) if one_by_one else bytes_field(3, b"".join(sizes))
    return bytes_field(5, string_field(1, "INPUT") + string_field(2, kind) + dims + more)


def raw(count: int) -> bytes:
    return bytes_field(7, bytes(count))


MODEL = string_field(1, "scale")
CLASSES = bytes_field(6, string_field(1, "OUTPUT") + bytes_field(2, string_field(1, "classification")))

#: A message, and what the gateway says of it; nothing if it lets it through.
MESSAGES: Dict[str, "tuple[bytes, str]"] = {
    "right": (MODEL + tensor(1, 2) + raw(16), ""),
    "nothing": (b"", ""),
    "scalar": (MODEL + tensor() + raw(8), ""),
    "empty": (MODEL + tensor(3, 0) + raw(0), ""),
    "contents": (MODEL + tensor(1, more=bytes_field(5, bytes_field(7, bytes(8)))), ""),
    "a batch of nothing": (MODEL + tensor(0, 0) + raw(0), EMPTY),
    "classes of nothing": (MODEL + tensor(0) + CLASSES + raw(0), EMPTY),
    "classes of nothing, asked for first": (CLASSES + MODEL + tensor(0) + raw(0), EMPTY),
    "classes": (MODEL + tensor(1, 2) + CLASSES + raw(16), ""),
    "overflows": (MODEL + tensor(2**63 - 1, 2) + raw(16), WRONG),
    "overflows to nothing": (MODEL + tensor(2**32, 2**32, kind="UINT8") + raw(0), WRONG),
    "its bytes overflow to nothing": (MODEL + tensor(2**61) + raw(0), WRONG),
    "its bytes overflow to eight": (MODEL + tensor(2**61 + 1) + raw(8), WRONG),
    "before a zero": (MODEL + tensor(2**62, 4, 0) + raw(0), WRONG),
    "of negative sizes": (MODEL + tensor(-(2**62), -4) + raw(0), WRONG),
    "one by one": (MODEL + tensor(2**32, 2**32, one_by_one=True) + raw(0), WRONG),
    "one by one, right": (MODEL + tensor(1, 2, one_by_one=True) + raw(16), ""),
    "in two parts": (
        MODEL + tensor(2**32, more=bytes_field(3, number(2**32)), kind="UINT8") + raw(0),
        WRONG,
    ),
    "the second tensor": (MODEL + tensor(1) + tensor(2**61) + raw(8) + raw(0), WRONG),
    "after its data": (MODEL + raw(0) + tensor(2**61), WRONG),
    "in long numbers": (MODEL + b"\xaa\x00" + tensor(2**61)[1:] + raw(0), WRONG),
    "many dimensions": (MODEL + tensor(*[1] * 65) + raw(8), WRONG),
    "many fields": (MODEL + b"\x48\x00" * 10_001, "the message has too many fields"),
    "many fields of a tensor": (
        MODEL + bytes_field(5, b"\x48\x00" * 10_001),
        "the message has too many fields",
    ),
    "longer than it is": (MODEL + b"\x2a\x7f", MALFORMED),
    "cut off": (MODEL + b"\x2a", MALFORMED),
    "a group": (MODEL + b"\x2b\x2c", MALFORMED),
    "a number that never ends": (MODEL + b"\xff" * 20, MALFORMED),
    "a shape that is cut off": (MODEL + bytes_field(5, bytes_field(3, b"\xff")), MALFORMED),
    "large": (MODEL + tensor(LARGE, kind="UINT8") + raw(LARGE), ""),
    "large, and a small one": (MODEL + tensor(LARGE, kind="UINT8") + tensor(2) + raw(LARGE) + raw(16), ""),
    "large, after a text": (MODEL + tensor(1, kind="BYTES") + tensor(LARGE // 8) + raw(99) + raw(LARGE), ""),
    "a large text": (MODEL + tensor(1, kind="BYTES") + raw(LARGE), ""),
}

#: What can be told of a large message in a stream only, which is looked at to its end.
LARGE_MESSAGES: Dict[str, "tuple[bytes, str, str]"] = {
    "a shape after the data": (
        MODEL + tensor(LARGE, kind="UINT8") + raw(LARGE) + tensor(2**61) + raw(0),
        BEGINNING,
        WRONG,
    ),
    "data first": (raw(LARGE) + MODEL + tensor(2**61) + raw(0), BEGINNING, WRONG),
    "in place of data": (
        MODEL
        + tensor(LARGE, kind="UINT8")
        + tensor(LARGE, kind="UINT8")
        + raw(LARGE)
        # As long as the data of the second tensor.
        + bytes_field(7, bytes(LARGE - 24))
        + tensor(2**61)
        + b"",
        BEGINNING,
        WRONG,
    ),
    "a text after the data": (
        MODEL + tensor(LARGE, kind="UINT8") + tensor(1, kind="BYTES") + raw(LARGE) + raw(99),
        BEGINNING,
        "",
    ),
    "large contents": (
        MODEL + tensor(LARGE, kind="UINT8", more=bytes_field(5, bytes_field(4, bytes(LARGE)))),
        "a tensor of more than 1 MB must be in raw_input_contents",
        "a tensor of more than 1 MB must be in raw_input_contents",
    ),
}


def beginning(message: bytes) -> bytes:
    """What the stand-in answers."""
    return message[: LARGEST_ANSWER - 5]


def stream(gateway: GatewayHost, messages: List[bytes]) -> Iterator[bytes]:
    """What is answered to each."""
    channel = gateway.channel()
    channel.open(f"{SERVICE}/ModelStreamInfer")
    for message in messages:
        channel.send(message)
        yield channel.receive()
    channel.end()
    assert channel.finish().status == 0


def call(gateway: GatewayHost, message: bytes) -> Called:
    return gateway.channel().call(f"{SERVICE}/ModelInfer", message)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_call_says_how_large_it_is(shared_gateway: GatewayHost, name: str) -> None:
    message, said = MESSAGES[name]
    called = call(shared_gateway, message)
    assert (called.status, called.message) == ((3, said) if said else (0, ""))


@pytest.mark.parametrize("name", MESSAGES)
def test_so_does_each_message_of_a_stream(shared_gateway: GatewayHost, name: str) -> None:
    message, said = MESSAGES[name]
    right = MESSAGES["right"][0]
    answers = stream(shared_gateway, [right, message, right])
    assert next(answers) == right
    if not said:
        assert list(answers) == [beginning(message), right]
        return
    with pytest.raises((AssertionError, ConnectionError)):
        next(answers)
    assert f"a message of a stream is refused: {said}" in shared_gateway.log_with(said)


@pytest.mark.parametrize("name", LARGE_MESSAGES)
def test_a_large_message_hides_nothing(shared_gateway: GatewayHost, name: str) -> None:
    message, of_call, of_stream = LARGE_MESSAGES[name]
    called = call(shared_gateway, message)
    assert called.status == 3
    assert called.message.startswith(of_call)
    answers = stream(shared_gateway, [message])
    if not of_stream:
        assert list(answers) == [beginning(message)]
        return
    with pytest.raises((AssertionError, ConnectionError)):
        next(answers)
    assert f"a message of a stream is refused: {of_stream}" in shared_gateway.log_with(of_stream)


def test_a_message_that_comes_byte_by_byte(shared_gateway: GatewayHost) -> None:
    data = b"".join(
        b"\0" + struct.pack("!I", len(m)) + m for m in (MESSAGES["right"][0], MESSAGES["classes"][0])
    )
    channel = shared_gateway.channel()
    channel.open(f"{SERVICE}/ModelStreamInfer")
    for byte in data:
        channel.send_bytes(bytes([byte]))
    assert [channel.receive(), channel.receive()] == [MESSAGES["right"][0], MESSAGES["classes"][0]]


def test_a_message_of_a_stream_has_a_limit_and_is_not_compressed(gateway: GatewayHost) -> None:
    gateway.serve()
    gateway.deploy(limits=gateway.limits(bodyMegabytes=1))
    for head, said in (
        (b"\0" + struct.pack("!I", 2 << 20), "a message may have 1 MB"),
        (b"\1" + struct.pack("!I", 5), "compressed messages are not taken"),
    ):
        channel = gateway.channel()
        channel.open(f"{SERVICE}/ModelStreamInfer")
        channel.send_bytes(head)
        assert channel.finish().http_status == "400"
        assert said in gateway.log_with(said)


def test_a_haproxy_without_filters_lets_no_stream_through(
    gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAProxy 2.4, of Ubuntu 22.04."""
    monkeypatch.setattr(lifecycle, "version_of", lambda _: (2, 4))
    gateway.host.start(gateway=True)
    gateway.host.serve(gateway.host.store("scale"))
    right = MESSAGES["right"][0]
    [warning] = gateway.deploy()["warnings"]
    assert warning.startswith("streams over gRPC (ModelStreamInfer) are refused, since HAProxy before 2.5")
    channel = gateway.channel()
    channel.open(f"{SERVICE}/ModelStreamInfer")
    refused = channel.finish()
    assert refused.status == 12
    assert refused.message.startswith("the gateway lets no streams through")
    assert call(gateway, right).status == 0
    assert call(gateway, MESSAGES["its bytes overflow to eight"][0]).status == 3
    assert gateway.deploy(uncheckedStreams=True)["warnings"] == []
    assert list(stream(gateway, [right])) == [right]
