"""The image with the engines of a fleet's model: built by a stand-in for trtexec, pushed to one for a registry."""

import errno
import io
import json
import os
import re
import tarfile
from pathlib import Path
from typing import Dict, Iterator

import pytest
from agent import engine_image
from agent import registry as registries
from agent.commands import run
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.registry import Login, Repository, is_loopback
from s3_server import ROOT
from stand_in_registry import LOGIN, StandInRegistry

BUILDER = ROOT / "test/fixtures/engineBuilder"


@pytest.fixture(params=[False, True], ids=["basic", "bearer"])
def registry(request: pytest.FixtureRequest) -> Iterator[StandInRegistry]:
    """A registry that takes a login, or a token for it."""
    started = StandInRegistry(tokens=request.param)
    yield started
    started.close()


class Pod:
    """A pod that builds the engines of a model."""

    def __init__(self, folder: Path, repository: str) -> None:
        self.folder = folder
        self.repository = repository
        self.tag = "bert-0123456789"
        self.engine: Dict[str, object] = {
            "builder": "nvcr.io/nvidia/tensorrt:22.06-py3",
            "precision": "fp16",
            "workspaceMiB": 1024,
        }
        self.source = folder / "source"
        for part in ("source/1", "login", "state"):
            (folder / part).mkdir(parents=True)
        (self.source / "1/model.onnx").write_text("onnx\n")
        (self.source / "1/weights.data").write_text("weights\n")
        (self.source / "config.pbtxt").touch()
        (self.source / "labels.txt").write_text("cat\n")
        for name, value in zip(("username", "password"), LOGIN):
            (folder / "login" / name).write_text(value)
        self.gpu("Tesla T4, 7.5\n")

    def gpu(self, text: str) -> None:
        (self.folder / "state/gpus").write_text(text)

    def run(self) -> str:
        # A new pod has a new one.
        scratch = self.folder / f"scratch-{len(list(self.folder.glob('scratch-*')))}"
        scratch.mkdir()
        request = {"model": "bert", "repository": self.repository, "tag": self.tag, "engine": self.engine}
        places = [str(self.folder / name) for name in ("login", "message")]
        words = [json.dumps(request), str(self.source), str(scratch), *places]
        return str(run(HostDirectory(self.folder), "build-engine-image", words)["tag"])

    def refused(self) -> HostError:
        with pytest.raises(HostError) as refused:
            self.run()
        assert (self.folder / "message").read_text() == str(refused.value)
        return refused.value


@pytest.fixture
def pod(tmp_path: Path, registry: StandInRegistry, monkeypatch: pytest.MonkeyPatch) -> Pod:
    """A pod that may push."""
    monkeypatch.setenv("PATH", f"{BUILDER}:{BUILDER / 'image'}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TRT_VERSION", "8.2.5.1")
    monkeypatch.setattr(registries, "_PAUSE", 0.01)
    return Pod(tmp_path, f"{registry.address}/team/models")


def layer_of(registry: StandInRegistry, tag: str) -> "tarfile.TarFile":
    kind, text = registry.manifests[tag]
    manifest = json.loads(text)
    assert kind == manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    config, [layer] = manifest["config"], manifest["layers"]
    described = json.loads(registry.blobs[config["digest"]])
    assert (described["os"], described["architecture"]) == ("linux", "amd64")
    assert described["rootfs"] == {"type": "layers", "diff_ids": [layer["digest"]]}
    content = registry.blobs[layer["digest"]]
    assert [config["size"], layer["size"]] == [len(registry.blobs[config["digest"]]), len(content)]
    return tarfile.open(fileobj=io.BytesIO(content))


def text_of(registry: StandInRegistry, tag: str, name: str) -> str:
    file = layer_of(registry, tag).extractfile(name)
    assert file is not None
    return file.read().decode()


def test_pushes_the_files_to_serve_under_both_tags(pod: Pod, registry: StandInRegistry) -> None:
    tag = pod.run()
    assert re.fullmatch(r"engine-[0-9a-f]{32}", tag)
    assert registry.manifests[tag] == registry.manifests[pod.tag]
    layer = layer_of(registry, pod.tag)
    assert layer.getnames() == ["1", "config.pbtxt", "1/model.plan", "labels.txt"]
    assert {(member.mode, member.uid, member.mtime) for member in layer} == {(0o555, 0, 315532800)}
    assert text_of(registry, tag, "config.pbtxt") == ""
    assert text_of(registry, tag, "labels.txt") == "cat\n"
    plan = text_of(registry, tag, "1/model.plan").splitlines()
    assert plan[0] == "onnx"
    assert plan[3:] == ["--workspace=1024", "--buildOnly", "--fp16"]
    notes = json.loads(registry.manifests[tag][1])["annotations"]
    assert notes == {"xsched-triton/gpu": "Tesla T4, 7.5", "xsched-triton/tensorrt": "8.2.5.1"}
    assert not (pod.folder / "message").exists()


def test_builds_once_for_a_kind_of_gpu(
    pod: Pod, registry: StandInRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    tag, uploads = pod.run(), registry.uploads()
    capsys.readouterr()
    pod.tag = "bert-of-another-fleet"
    assert pod.run() == tag
    assert registry.uploads() == uploads == 2
    assert "is there already" in capsys.readouterr().err
    assert registry.manifests[pod.tag] == registry.manifests[tag]
    pod.tag = "bert-on-another-gpu"
    pod.gpu("NVIDIA A10G, 8.6\n")
    assert pod.run() != tag
    assert b"A10G" in registry.manifests[pod.tag][1]


def test_overwrites_no_tag(pod: Pod, registry: StandInRegistry) -> None:
    pod.run()
    before = registry.manifests[pod.tag]
    pod.engine["precision"] = "fp32"
    assert pod.run() != pod.tag
    assert registry.manifests[pod.tag] == before


@pytest.mark.parametrize("change", ["weights", "labels", "precision", "tensorrt", "shape"])
def test_names_an_image_by_all_that_is_in_it(pod: Pod, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pod.run()
    pod.tag += "-other"
    if change == "weights":
        (pod.source / "1/weights.data").write_text("others\n")
    elif change == "labels":
        (pod.source / "labels.txt").write_text("dog\n")
    elif change == "tensorrt":
        monkeypatch.setenv("TRT_VERSION", "8.4")
    elif change == "shape":
        pod.engine["shapes"] = [{"input": "x", "min": [1], "opt": [1], "max": [8]}]
    else:
        pod.engine["precision"] = "fp32"
    assert pod.run() != before


def test_builds_versions_with_the_same_files_once(pod: Pod, registry: StandInRegistry) -> None:
    for file in ("model.onnx", "weights.data"):
        (pod.source / "2").mkdir(exist_ok=True)
        (pod.source / "2" / file).write_bytes((pod.source / "1" / file).read_bytes())
    tag = pod.run()
    assert text_of(registry, tag, "1/model.plan") == text_of(registry, tag, "2/model.plan")


def test_tells_what_the_builder_said(
    pod: Pod, registry: StandInRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    (pod.source / "1/model.onnx").write_text("broken\n")
    refused = pod.refused()
    assert "TensorRT cannot build the engine of bert, version 1: " in refused.what
    assert "While parsing node number 4 [Einsum]" in refused.what
    # All of it.
    assert "[I] Start parsing network model" in capsys.readouterr().err
    assert registry.manifests == {}


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.ENOSPC, "the node's disk is full: it needs space for the engine twice"),
        (errno.EACCES, "Permission denied (layer.tar)"),
    ],
)
def test_tells_what_the_disk_refuses(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, number: int, what: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "layer.tar")

    monkeypatch.setattr(engine_image, "_write_layer", refuse)
    assert pod.refused().what == what


def test_asks_again_after_a_fault_that_passes(pod: Pod, registry: StandInRegistry) -> None:
    registry.faults += [("GET", 503), ("HEAD", 500), ("POST", 429), ("PUT", 502), ("PUT", 503)]
    assert pod.run() in registry.manifests
    assert registry.faults == []


def test_says_what_a_registry_refuses(pod: Pod, registry: StandInRegistry) -> None:
    registry.faults += [("POST", 403)]
    refused = pod.refused()
    assert refused.what == (
        f"the registry of {pod.repository} refuses: POST http://{registry.address}/v2/team/models/blobs/uploads/: "
        "403 OF_THE_TEST: not now"
    )
    assert refused.fix == "check registry, whose login must be allowed to push there"
    (pod.folder / "login/password").write_text("wrong")
    refused = pod.refused()
    assert "401" in refused.what
    assert "wrong" not in str(refused)
    assert refused.fix == "check registry, whose login must be allowed to push there"


def test_says_what_does_not_answer(pod: Pod, registry: StandInRegistry) -> None:
    registry.close()
    assert "does not answer: GET http://127.0.0.1" in pod.refused().what


def test_gives_the_login_to_nobody_without_tls(pod: Pod, registry: StandInRegistry) -> None:
    repository = Repository("registry.example.com/team/models", Login("a", "b"))
    challenge = {"WWW-Authenticate": 'Bearer realm="http://registry.example.com/token"'}
    with pytest.raises(
        HostError, match=r"wants the login at http://registry\.example\.com/token, without TLS"
    ):
        repository._new_token(registries._Answer(401, message_of(challenge), b""))


def message_of(headers: Dict[str, str]) -> "registries.email.message.Message":
    message = registries.email.message.Message()
    for name, value in headers.items():
        message[name] = value
    return message


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("127.0.0.1:5000/a/b", "http://127.0.0.1:5000/v2/a/b/"),
        ("[::1]:5000/a", "http://[::1]:5000/v2/a/"),
        ("localhost/a", "http://localhost/v2/a/"),
        ("registry.example.com/a", "https://registry.example.com/v2/a/"),
        ("team/models", "https://registry-1.docker.io/v2/team/models/"),
        ("docker.io/team/models", "https://registry-1.docker.io/v2/team/models/"),
        ("10.0.0.1:5000/a", "https://10.0.0.1:5000/v2/a/"),
    ],
)
def test_asks_where_docker_would(name: str, base: str) -> None:
    assert Repository(name, Login("", ""))._base == base


def test_a_name_that_looks_like_this_machine_is_none() -> None:
    assert [
        is_loopback(name) for name in ("127.0.0.1.example.com", "localhost.example.com:1", "127.9.9.9:1")
    ] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "this host has no working GPU"),
        ("A, 1\nB, 2\n", "this host has GPUs of several kinds: A, 1; B, 2"),
    ],
)
def test_takes_one_kind_of_gpu(pod: Pod, given: str, reason: str) -> None:
    pod.gpu(given)
    assert pod.refused().what.startswith(reason)


def test_a_model_without_onnx_is_refused(pod: Pod) -> None:
    (pod.source / "1/model.onnx").unlink()
    assert pod.refused().what == "no version folder of the model bert has a model.onnx"
