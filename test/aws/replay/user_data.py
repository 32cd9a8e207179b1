"""Whether cloud-init takes the user data of an instance, by the schema that it has itself."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Set

import fastjsonschema

HEADER = "#cloud-config\n"


class CloudInit:
    """A release's schema."""

    def __init__(self, schema: Path) -> None:
        text = json.loads(schema.read_text())
        # With defaults, it would write into what it checks.
        self._validate: Callable[[Any], Any] = fastjsonschema.compile(text, use_default=False)
        #: cloud-init warns of no other keys, and does nothing with them.
        self._keys: Set[str] = {key for each in text["$defs"].values() for key in each.get("properties", {})}

    def faults(self, text: str) -> Iterator[str]:
        if not text.startswith(HEADER):
            yield f"does not begin with {HEADER.strip()}"
            return
        # JSON is YAML.
        config: Dict[str, Any] = json.loads(text[len(HEADER) :])
        for key in sorted(set(config) - self._keys):
            yield f"{key}: nothing of cloud-init knows it"
        try:
            self._validate(config)
        except fastjsonschema.JsonSchemaException as error:
            yield error.message.replace("data.", "", 1)
