"""Header compression: the examples of RFC 7541, appendix C."""

from typing import List, Tuple

import pytest
from agent.triton.hpack import Decoder, decode_huffman, encode_literal


def _decode(*blocks: str, limit: int = 4096) -> List[List[Tuple[str, str]]]:
    decoder = Decoder()
    if limit != 4096:
        # "Dynamic table size update", section 6.3.
        decoder.decode(bytes([0x3F, (limit - 31) & 127 | 128, (limit - 31) >> 7]))
    return [decoder.decode(bytes.fromhex(block)) for block in blocks]


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        # C.2.1 to C.2.4
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", [("custom-key", "custom-header")]),
        ("040c2f73616d706c652f70617468", [(":path", "/sample/path")]),
        ("100870617373776f726406736563726574", [("password", "secret")]),
        ("82", [(":method", "GET")]),
    ],
)
def test_single_fields(block: str, headers: List[Tuple[str, str]]) -> None:
    assert _decode(block) == [headers]


PLAIN = (
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
)
CODED = (
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
)


@pytest.mark.parametrize("blocks", [PLAIN, CODED])
def test_requests_of_one_connection(blocks: Tuple[str, ...]) -> None:
    """C.3 and, Huffman-coded, C.4: later blocks name entries of the table that earlier ones have made."""
    common = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")]
    assert _decode(*blocks) == [
        common,
        [*common, ("cache-control", "no-cache")],
        [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ],
    ]


RESPONSES_PLAIN = (
    (
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d"
    ),
    "4803333037c1c0bf",
    (
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d41534"
        "44a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31"
    ),
)
RESPONSES_CODED = (
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    (
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960"
        "d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
    ),
)


@pytest.mark.parametrize("blocks", [RESPONSES_PLAIN, RESPONSES_CODED])
def test_responses_through_a_table_with_little_room(blocks: Tuple[str, ...]) -> None:
    """C.5 and C.6, with a table of 256 bytes, out of which entries fall."""
    first, second, third = _decode(*blocks, limit=256)
    cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
    location = ("location", "https://www.example.com")
    dates = [("date", f"Mon, 21 Oct 2013 20:13:{second} GMT") for second in ("21", "22")]
    private = ("cache-control", "private")
    assert first == [(":status", "302"), private, dates[0], location]
    assert second == [(":status", "307"), private, dates[0], location]
    assert third == [
        (":status", "200"),
        private,
        dates[1],
        location,
        ("content-encoding", "gzip"),
        ("set-cookie", cookie),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"0 ~", "00000 010100 1111111111101"),
        (b"\\", "1111111111111110000"),
        (b"\n", "1" * 28 + "00"),
    ],
)
def test_codes_of_appendix_b(text: bytes, code: str) -> None:
    """Short ones and the longest. What is left of the last byte is filled with ones."""
    bits = code.replace(" ", "")
    bits += "1" * (-len(bits) % 8)
    assert decode_huffman(int(bits, 2).to_bytes(len(bits) // 8, "big")) == text


@pytest.mark.parametrize("block", ["be", "80", "400a6375", "41", "7f", "ff" * 8 + "01"])
def test_what_is_no_block_is_refused(block: str) -> None:
    with pytest.raises(ValueError, match="header block"):
        _decode(block)


def test_the_end_of_all_strings_is_no_symbol() -> None:
    with pytest.raises(ValueError):
        decode_huffman(b"\xff" * 4)


@pytest.mark.parametrize("length", [0, 126, 127, 128, 254, 255, 16_511, 70_000])
def test_reads_what_it_writes(length: int) -> None:
    block = encode_literal("x-name", "v" * length)
    assert Decoder().decode(block) == [("x-name", "v" * length)]
