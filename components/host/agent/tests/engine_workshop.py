"""A host that builds engines, with a stand-in for Docker whose engines contain the ONNX model and the arguments."""

import json
import os
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from agent.commands import run
from agent.errors import HostError
from s3_server import ROOT
from stand_in_machine import Machine

#: Stand-ins for Docker with a builder, and for nvidia-smi.
BUILDER = ROOT / "test/fixtures/engineBuilder"

DIGEST = "0123456789abcdef"


class Workshop:
    """A host with a GPU, and a model to build an engine of."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.directory = machine.directory
        self.folder = machine.folder
        self.source = self.folder / 'the "source"'
        self.given = str(self.source)
        self.options: Dict[str, object] = {
            "builder": "nvcr.io/nvidia/tensorrt:22.06-py3",
            "precision": "fp16",
            "workspaceMiB": 1024,
            "shapes": [],
        }
        (self.source / "1").mkdir(parents=True)
        (self.folder / "state").mkdir()
        machine.set("STATE", self.folder / "state")
        machine.set("PATH", f"{BUILDER}:{os.environ['PATH']}")
        self.state("gpus", "Tesla T4, 7.5\n")
        self.state("environment", "PATH=/usr/bin\nTRT_VERSION=8.2.5.1\n")
        (self.source / "1/model.onnx").write_text("onnx\n")
        (self.source / "1/weights.data").write_text("weights\n")
        (self.source / "config.pbtxt").touch()
        (self.source / "labels.txt").write_text("cat\n")
        for ignored in (".git", "__pycache__"):
            (self.source / ignored).mkdir()

    @property
    def cache(self) -> Path:
        return self.directory.path / "engines/cache"

    @property
    def ready(self) -> Path:
        return self.directory.path / "engines/ready/bert"

    def state(self, name: str, text: str) -> None:
        (self.folder / "state" / name).write_text(text)

    def shape(self, name: str, *sizes: List[int]) -> None:
        shapes = self.options["shapes"]
        assert isinstance(shapes, list)
        shapes.append({"input": name, **dict(zip(("min", "opt", "max"), sizes))})

    def request(self, model: str = "bert") -> str:
        return json.dumps(
            {"model": model, "filesDigest": DIGEST, "source": self.given, "engine": self.options}
        )

    def build(self, model: str = "bert") -> str:
        result = run(self.directory, "build-engines", [], self.request(model))
        assert list(result) == ["digest"]
        return str(result["digest"])

    def refused(self) -> HostError:
        with pytest.raises(HostError) as refused:
            self.build()
        return refused.value

    def calls(self) -> List[str]:
        file = self.folder / "state/calls"
        return file.read_text().splitlines() if file.exists() else []

    def builds(self) -> int:
        return sum("--saveEngine" in call for call in self.calls())

    def start(self) -> Tuple["subprocess.Popen[bytes]", int]:
        """The real agent in a process of its own, and the builder that it has started, which does not finish."""
        self.state("slow", "")
        file = self.folder / "state/builder.pid"
        return self.machine.start_agent("build-engines", self.request(), file, "the builder starts")
