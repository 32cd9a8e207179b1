"""Header compression of HTTP/2 (RFC 7541), as far as a client of one request needs it.

What we send is never compressed. What we receive may be, although a server that is told to keep no table mostly does
not.
"""

from typing import Dict, List, Tuple

Header = Tuple[str, str]

#: RFC 7541, appendix A; index 1 comes first.
STATIC_TABLE: Tuple[Header, ...] = (
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    *((":status", status) for status in ("200", "204", "206", "304", "400", "404", "500")),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    *(
        (name, "")
        for name in (
            *("accept-language", "accept-ranges", "accept", "access-control-allow-origin", "age", "allow"),
            *(
                "authorization",
                "cache-control",
                "content-disposition",
                "content-encoding",
                "content-language",
            ),
            *(
                "content-length",
                "content-location",
                "content-range",
                "content-type",
                "cookie",
                "date",
                "etag",
            ),
            *(
                "expect",
                "expires",
                "from",
                "host",
                "if-match",
                "if-modified-since",
                "if-none-match",
                "if-range",
            ),
            *(
                "if-unmodified-since",
                "last-modified",
                "link",
                "location",
                "max-forwards",
                "proxy-authenticate",
            ),
            *("proxy-authorization", "range", "referer", "refresh", "retry-after", "server", "set-cookie"),
            *(
                "strict-transport-security",
                "transfer-encoding",
                "user-agent",
                "vary",
                "via",
                "www-authenticate",
            ),
        )
    ),
)

# RFC 7541, appendix B: the length in bits of each symbol's code, runs of equal lengths together. The code is canonical,
# so the lengths say everything. Symbol 256 ends a string and only ever pads it.
_CODE_LENGTHS = bytes(
    int(length)
    for length in [
        "13",
        "23",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "24",
        "30",
        "28",
        "28",
        "30",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "30",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "28",
        "6",
        "10",
        "10",
        "12",
        "13",
        "6",
        "8",
        "11",
        "10",
        "10",
        "8",
        "11",
        "8",
        "6",
        "6",
        "6",
        "5",
        "5",
        "5",
        "6",
        "6",
        "6",
        "6",
        "6",
        "6",
        "6",
        "7",
        "8",
        "15",
        "6",
        "12",
        "10",
        "13",
        "6",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "7",
        "8",
        "7",
        "8",
        "13",
        "19",
        "13",
        "14",
        "6",
        "15",
        "5",
        "6",
        "5",
        "6",
        "5",
        "6",
        "6",
        "6",
        "5",
        "7",
        "7",
        "6",
        "6",
        "6",
        "5",
        "6",
        "7",
        "6",
        "5",
        "5",
        "6",
        "7",
        "7",
        "7",
        "7",
        "7",
        "15",
        "11",
        "14",
        "13",
        "28",
        "20",
        "22",
        "20",
        "20",
        "22",
        "22",
        "22",
        "23",
        "22",
        "23",
        "23",
        "23",
        "23",
        "23",
        "24",
        "23",
        "24",
        "24",
        "22",
        "23",
        "24",
        "23",
        "23",
        "23",
        "23",
        "21",
        "22",
        "23",
        "22",
        "23",
        "23",
        "24",
        "22",
        "21",
        "20",
        "22",
        "22",
        "23",
        "23",
        "21",
        "23",
        "22",
        "22",
        "24",
        "21",
        "22",
        "23",
        "23",
        "21",
        "21",
        "22",
        "21",
        "23",
        "22",
        "23",
        "23",
        "20",
        "22",
        "22",
        "22",
        "23",
        "22",
        "22",
        "23",
        "26",
        "26",
        "20",
        "19",
        "22",
        "23",
        "22",
        "25",
        "26",
        "26",
        "26",
        "27",
        "27",
        "26",
        "24",
        "25",
        "19",
        "21",
        "26",
        "27",
        "27",
        "26",
        "27",
        "24",
        "21",
        "21",
        "26",
        "26",
        "28",
        "27",
        "27",
        "27",
        "20",
        "24",
        "20",
        "21",
        "22",
        "21",
        "21",
        "23",
        "22",
        "22",
        "25",
        "25",
        "24",
        "24",
        "26",
        "23",
        "26",
        "27",
        "26",
        "26",
        "27",
        "27",
        "27",
        "27",
        "27",
        "28",
        "27",
        "27",
        "27",
        "27",
        "27",
        "26",
        "30",
    ]
)


def _canonical_codes() -> Dict[Tuple[int, int], int]:
    """The symbol of each (length, code)."""
    codes: Dict[Tuple[int, int], int] = {}
    code = length = 0
    for symbol in sorted(range(len(_CODE_LENGTHS)), key=lambda symbol: (_CODE_LENGTHS[symbol], symbol)):
        code <<= _CODE_LENGTHS[symbol] - length
        length = _CODE_LENGTHS[symbol]
        codes[length, code] = symbol
        code += 1
    return codes


_CODES: Dict[Tuple[int, int], int] = {}


def decode_huffman(data: bytes) -> bytes:
    """The text of a Huffman-coded string. Padding of less than a symbol at its end is dropped."""
    if not _CODES:
        _CODES.update(_canonical_codes())
    text = bytearray()
    code = length = 0
    for byte in data:
        for shift in range(7, -1, -1):
            code = code << 1 | (byte >> shift & 1)
            length += 1
            symbol = _CODES.get((length, code))
            if symbol is not None:
                text.append(symbol)
                code = length = 0
    return bytes(text)


def encode_literal(name: str, value: str) -> bytes:
    """One header field as a literal that nobody shall index, without compression."""
    return b"\x10" + b"".join(
        _encode_integer(len(text), 7) + text for text in (name.encode("ascii"), value.encode("utf-8"))
    )


def _encode_integer(value: int, bits: int) -> bytes:
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([value])
    encoded = bytearray([limit])
    value -= limit
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class Decoder:
    """Reads header blocks of one connection, in order."""

    def __init__(self) -> None:
        self._table: List[Header] = []
        self._limit = 4096

    def decode(self, block: bytes) -> List[Header]:
        """
        :raises ValueError: on a block that is none
        """
        headers: List[Header] = []
        position = 0
        try:
            while position < len(block):
                first = block[position]
                if first & 0x80:
                    index, position = _decode_integer(block, position, 7)
                    headers.append(self._entry(index))
                elif first & 0xE0 == 0x20:
                    self._limit, position = _decode_integer(block, position, 5)
                    self._shrink()
                else:
                    indexed = first & 0x40 != 0
                    index, position = _decode_integer(block, position, 6 if indexed else 4)
                    name = self._entry(index)[0] if index else ""
                    if not index:
                        name, position = _decode_string(block, position)
                    value, position = _decode_string(block, position)
                    headers.append((name, value))
                    if indexed:
                        self._table.insert(0, (name, value))
                        self._shrink()
        except IndexError:
            raise ValueError("a header block that is cut off or names no entry") from None
        return headers

    def _entry(self, index: int) -> Header:
        if index == 0:
            raise IndexError
        return (
            STATIC_TABLE[index - 1]
            if index <= len(STATIC_TABLE)
            else self._table[index - len(STATIC_TABLE) - 1]
        )

    def _shrink(self) -> None:
        # RFC 7541, section 4.1: an entry counts 32 bytes more than it holds.
        while self._table and sum(len(name) + len(value) + 32 for name, value in self._table) > self._limit:
            self._table.pop()


def _decode_integer(data: bytes, position: int, bits: int) -> Tuple[int, int]:
    limit = (1 << bits) - 1
    value = data[position] & limit
    position += 1
    if value < limit:
        return value, position
    shift = 0
    while True:
        byte = data[position]
        position += 1
        value += (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return value, position
        if shift > 28:
            raise ValueError("a number in a header block that is too large")


def _decode_string(data: bytes, position: int) -> Tuple[str, int]:
    coded = data[position] & 0x80 != 0
    length, position = _decode_integer(data, position, 7)
    text = data[position : position + length]
    if len(text) < length:
        raise IndexError
    return (decode_huffman(text) if coded else text).decode("utf-8", "replace"), position + length
