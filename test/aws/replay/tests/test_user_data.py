"""What the check of user data finds, with a small schema of the kind that cloud-init has."""

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any, List

from replay.user_data import CloudInit

SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "$defs": {
        "cc_bootcmd": {
            "type": "object",
            "properties": {"bootcmd": {"type": "array", "items": {"type": ["string", "array"]}}},
        },
        "cc_ssh": {
            "type": "object",
            "properties": {"ssh_deletekeys": {"type": "boolean", "default": True}},
        },
    },
    "allOf": [{"$ref": "#/$defs/cc_bootcmd"}, {"$ref": "#/$defs/cc_ssh"}],
}


class UserData(unittest.TestCase):
    def setUp(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "schema.json"
            file.write_text(json.dumps(SCHEMA))
            self.cloud_init = CloudInit(file)

    def faults(self, config: Any) -> List[str]:
        return list(self.cloud_init.faults(f"#cloud-config\n{json.dumps(config)}"))

    def test_right_ones_have_no_faults(self) -> None:
        self.assertEqual(self.faults({"bootcmd": [["bash", "-c", "true"]], "ssh_deletekeys": False}), [])

    def test_values_of_another_kind(self) -> None:
        self.assertEqual(self.faults({"ssh_deletekeys": "no"}), ["ssh_deletekeys must be boolean"])
        self.assertEqual(self.faults({"bootcmd": "true"}), ["bootcmd must be array"])

    def test_keys_that_nothing_knows(self) -> None:
        self.assertEqual(self.faults({"bootcmds": []}), ["bootcmds: nothing of cloud-init knows it"])

    def test_the_first_line(self) -> None:
        self.assertEqual(list(self.cloud_init.faults("{}")), ["does not begin with #cloud-config"])


if __name__ == "__main__":
    unittest.main()
