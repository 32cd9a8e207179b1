"""What a command says: progress for the person who watches, and one result for the program that called it."""

import contextlib
import json
import os
import sys
from typing import Any, Dict
from urllib.parse import unquote

#: A login shell may print lines of its own before ours: whoever reads the result looks for this.
RESULT = "xsched-triton-result "


#: Variables that name a proxy, also in capital letters.
PROXIES = ("http_proxy", "https_proxy", "all_proxy")

#: A shorter password would hide parts of other words.
_SHORTEST_SECRET = 4


def proxies() -> Dict[str, str]:
    """The proxies of this user, by the variables that name them."""
    names = [each for name in PROXIES for each in (name, name.upper())]
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def concealed(text: str) -> str:
    """The text without the logins of this user's proxies: programs print URLs that they cannot use."""
    for url in proxies().values():
        login, at, _ = url.rpartition("@")
        # What has no @ has no login.
        login = login.rpartition("://")[2] if at else ""
        password = login.partition(":")[2]
        for secret in (login, password, unquote(password)):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
    return text


def progress(text: str) -> None:
    """Says something to the person who watches. Nobody may be there any more."""
    with contextlib.suppress(OSError):
        print(concealed(text), file=sys.stderr, flush=True)


def write_result(value: Any) -> None:
    """Prints a command's result: JSON on the last line."""
    print(RESULT + json.dumps(value, separators=(",", ":"), ensure_ascii=True), flush=True)
