"""What Triton's answers mean."""

import json
from typing import Any, Dict, List, Optional

import pytest
from agent.triton import Triton
from agent.triton.http import Answer


class AnsweringTriton(Triton):
    """Answers these paths, in JSON, and no others."""

    def __init__(self, answers: Dict[str, Any]) -> None:
        super().__init__("", "")
        self._answers = answers

    def request(self, method: str, path: str, seconds: float = 0, body: Optional[str] = None) -> Answer:
        return Answer(200, json.dumps(self._answers[path])) if path in self._answers else Answer(400)


@pytest.mark.parametrize(
    ("groups", "versions", "instances"),
    [
        ([{"kind": "KIND_CPU", "count": 1, "gpus": []}], ["1"], 1),
        ([{"kind": "KIND_CPU", "count": 3, "gpus": []}], ["1", "7"], 6),
        ([{"kind": "KIND_GPU", "count": 2, "gpus": [0, 1]}, {"kind": "KIND_CPU", "count": 1}], ["1"], 5),
        ([], ["1"], 0),
    ],
)
def test_instances_of_a_model(groups: List[Dict[str, Any]], versions: List[str], instances: int) -> None:
    answers = {
        "/v2/models/a%20b/ready": "",
        "/v2/models/a%20b/config": {"instance_group": groups},
        "/v2/models/a%20b": {"versions": versions},
    }
    assert AnsweringTriton(answers).instances("a b") == instances


@pytest.mark.parametrize("missing", ["/v2/models/a/ready", "/v2/models/a/config", "/v2/models/a"])
def test_a_model_that_does_not_serve_has_no_number_of_instances(missing: str) -> None:
    answers = {
        "/v2/models/a/ready": "",
        "/v2/models/a/config": {"instance_group": [{"count": 1}]},
        "/v2/models/a": {"versions": ["1"]},
    }
    assert AnsweringTriton(answers).instances("a") == 1
    del answers[missing]
    assert AnsweringTriton(answers).instances("a") is None


def test_a_model_of_the_python_backend_runs_apart() -> None:
    answers: Dict[str, Any] = {"/v2/models/a/ready": "", "/v2/models/a/config": {"backend": "python"}}
    assert AnsweringTriton(answers).runs_apart("a")
    answers["/v2/models/a/config"] = {"backend": "onnxruntime"}
    assert not AnsweringTriton(answers).runs_apart("a")
    assert not AnsweringTriton({}).runs_apart("a")
