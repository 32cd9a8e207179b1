"""What a command says: progress for the person who watches, and one result for the program that called it."""

import contextlib
import json
import sys
from typing import Any

#: A login shell may print lines of its own before ours: whoever reads the result looks for this.
RESULT = "xsched-triton-result "


def progress(text: str) -> None:
    """Says something to the person who watches. Nobody may be there any more."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def write_result(value: Any) -> None:
    """Prints a command's result: JSON on the last line."""
    print(RESULT + json.dumps(value, separators=(",", ":"), ensure_ascii=True), flush=True)
