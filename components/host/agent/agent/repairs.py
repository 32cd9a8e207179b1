"""Which parts of a host have been repaired, and when last."""

import json
from pathlib import Path
from typing import Dict

from .directory import HostDirectory, write_file


def _file(directory: HostDirectory) -> Path:
    return directory.path / "repairs.json"


def read_tokens(directory: HostDirectory) -> Dict[str, str]:
    """The token of each part's last repair."""
    try:
        found = json.loads(_file(directory).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(part): str(token) for part, token in found.items()} if isinstance(found, dict) else {}


def note_repair(directory: HostDirectory, part: str, token: str) -> None:
    """Notes that a part has been repaired."""
    with directory.lock("repairs"):
        tokens = read_tokens(directory)
        if tokens.get(part) != token:
            write_file(_file(directory), json.dumps({**tokens, part: token}, indent=2) + "\n")
