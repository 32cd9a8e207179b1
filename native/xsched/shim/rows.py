# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads symbols.txt and the tables of intercepted functions (table.h)."""

import collections
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent
SYMBOLS = FOLDER / "symbols.txt"
TABLES = [FOLDER / "handles.def", FOLDER / "streams.def", FOLDER / "work.def"]

# One function: a row of a table, or the per-thread variant that the row implies.
Row = collections.namedtuple("Row", "symbol since per_thread behaviour parameters arguments")

_SUFFIXES = {"ONE": None, "PTSZ": "_ptsz", "PTDS": "_ptds"}


class TableError(Exception):
    pass


def base_name(symbol):
    """The name of a function without its version and variant."""
    return re.sub(r"(_v\d+)?(_ptsz|_ptds)?$", "", symbol)


def read_symbols():
    symbols = SYMBOLS.read_text(encoding="utf-8").split()
    if symbols != sorted(set(symbols)):
        raise TableError(f"{SYMBOLS.name}: not sorted, or with a duplicate")
    return symbols


def _split(text):
    """Splits at the commas outside parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [" ".join(part.split()) for part in parts]


def _row_texts(text):
    """Yields each row's macro and the text between its parentheses."""
    for match in re.finditer(r"^XSCHED_(\w+)\(", text, re.M):
        depth, end = 1, match.end()
        while depth > 0:
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        yield match[1], text[match.end() : end - 1]


def _names(parameters):
    return [re.search(r"(\w+)$", parameter)[1] for parameter in _split(parameters[1:-1]) if parameter]


def read_rows():
    rows = []
    for table in TABLES:
        for kind, text in _row_texts(table.read_text(encoding="utf-8")):
            if kind not in _SUFFIXES:
                raise TableError(f"{table.name}: XSCHED_{kind} is not one of {sorted(_SUFFIXES)}")
            fields = _split(text)
            suffix = _SUFFIXES[kind]
            symbol, since, twin_since = fields[0], fields[1], fields[2] if suffix else None
            rest = fields[3 if suffix else 2 :]
            if len(rest) != 3 or not since.isdigit() or (suffix and not twin_since.isdigit()):
                raise TableError(f"{table.name}: {symbol}: malformed row")
            # The compiler would not notice two arguments of one type in the wrong order.
            if _names(rest[1]) != _names(rest[2]):
                raise TableError(f"{table.name}: {symbol}: {rest[2]} are not the parameters {rest[1]}")
            rows.append(Row(symbol, int(since), False, *rest))
            if suffix:
                rows.append(Row(symbol + suffix, int(twin_since), True, *rest))
    unknown = sorted({row.symbol for row in rows} - set(read_symbols()))
    if unknown:
        raise TableError(f"not in {SYMBOLS.name}: {', '.join(unknown)}")
    if len({row.symbol for row in rows}) != len(rows):
        raise TableError("a symbol is intercepted twice")
    return rows
