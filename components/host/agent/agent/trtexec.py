"""How an engine is built of an ONNX model and what it is named after, wherever trtexec runs."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

from .errors import HostError
from .programs import SMI_SECONDS, call

PRECISIONS = ("fp32", "fp16", "best")

#: Where NVIDIA's images have what they start with.
_ENTER = 'entry=/opt/nvidia/nvidia_entrypoint.sh; [ ! -x "$entry" ] || set -- "$entry" "$@"; exec "$@"'

#: What of a source is no part of a model.
IGNORED = ("config.pbtxt", "__pycache__")


class Shape(NamedTuple):
    """Sizes of one input; `min`, `opt` and `max` as trtexec writes them, such as 8x384."""

    input: str
    min: str
    opt: str
    max: str


class Options(NamedTuple):
    """How an engine is built."""

    #: An image with trtexec.
    builder: str
    precision: str
    workspace_mib: int
    #: Prefix in S3 where hosts share engines.
    shared: Optional[str]
    shapes: List[Shape]


class Target(NamedTuple):
    """What an engine is tied to."""

    gpu: str
    tensorrt: str


def read_options(given: Mapping[str, Any]) -> Options:
    """Checks what the command is given."""
    for key in ("builder", "precision", "workspaceMiB"):
        if not given.get(key):
            raise HostError(f"the engine option '{key}' is missing", "give it in engine")
    if given["precision"] not in PRECISIONS:
        raise HostError(f"unknown precision '{given['precision']}'", f"allowed: {' '.join(PRECISIONS)}")
    shapes = [
        Shape(each["input"], *("x".join(str(size) for size in each[key]) for key in ("min", "opt", "max")))
        for each in given.get("shapes", [])
    ]
    return Options(given["builder"], given["precision"], given["workspaceMiB"], given.get("shared"), shapes)


def gpu_kind() -> str:
    """Name and compute capability of this host's GPUs. An engine runs on the kind of GPU that it was built on."""
    found = call(["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"], seconds=SMI_SECONDS)
    kinds = sorted({line.strip() for line in found.out.splitlines() if line.strip()})
    if not found.ok or not kinds:
        raise HostError(
            f"this host has no working GPU to build an engine on: "
            f"{'nvidia-smi lists none' if found.ok else found.reason}",
            "deploy to a host with an NVIDIA GPU and its driver, or remove engine from the model's settings",
        )
    if len(kinds) > 1:
        raise HostError(
            f"this host has GPUs of several kinds: {'; '.join(kinds)}",
            "build model.plan by hand for the GPU that serves it, and give that as the source",
        )
    return kinds[0]


def entered(*words: str) -> List[str]:
    """
    A program with CUDA, run through what NVIDIA's images start with. That puts the image's own driver first where the
    host's is older than the image's CUDA (https://docs.nvidia.com/deploy/cuda-compatibility). Other images run it as
    it is.
    """
    return ["sh", "-c", _ENTER, "sh", *words]


def entered_in(image: str, *words: str) -> List[str]:
    """The same as the end of the words of `docker run`, whatever the image starts with."""
    shell, *others = entered(*words)
    return ["--entrypoint", shell, image, *others]


def tensorrt_in(environment: str) -> Optional[str]:
    """The version of TensorRT that an image of NVIDIA's says in its environment, given as lines NAME=VALUE."""
    found = re.search(r"^(?:NV_)?(?:TRT|TENSORRT)_VERSION=(.+)$", environment, re.MULTILINE)
    return found.group(1) if found else None


def engine_key(version: Path, options: Options, target: Target) -> str:
    """
    Names an engine by everything that it depends on. Engines are kept for months and shared between hosts, so this text
    stays as it is: what `sha256sum` prints of the files, in the order of their bytes, then the options.
    """
    lines = _sums(version)
    lines += [
        f"gpu {target.gpu}",
        f"tensorrt {target.tensorrt}",
        f"precision {options.precision}",
        f"workspace {options.workspace_mib}",
    ]
    # Without shapes, too, there has always been one such line.
    lines += [f"shape {' '.join(shape)}" for shape in options.shapes] or ["shape "]
    return sha256("".join(f"{line}\n" for line in lines))[:32]


def trtexec_arguments(
    options: Options, usage: str, *, onnx: str = "/onnx/model.onnx", engine: str = "/engine/model.plan"
) -> List[str]:
    """
    The words for trtexec. What each release calls a flag was read in its source; it refuses one that it does not know.

    :param usage: what `trtexec --help` says
    :raises HostError: if this trtexec cannot lower the precision: since TensorRT 11, types are those of the ONNX model
    """

    def knows(flag: str) -> bool:
        return re.search(rf"(?<![\w-]){flag}(?![\w-])", usage) is not None

    words = [
        f"--onnx={onnx}",
        f"--saveEngine={engine}",
        # Since TensorRT 8.4; the old name is gone from 10.0.
        f"--memPoolSize=workspace:{options.workspace_mib}"
        if knows("--memPoolSize")
        else f"--workspace={options.workspace_mib}",
        # Since TensorRT 8.6; the old name is gone from 10.0.
        "--skipInference" if knows("--skipInference") else "--buildOnly",
    ]
    if options.precision != "fp32":
        # An image whose trtexec doesn't tell what it knows is asked to build all the same.
        if knows("--onnx") and not knows(f"--{options.precision}"):
            raise HostError(
                f"the TensorRT of {options.builder} does not lower the precision of a model to {options.precision}",
                "convert the ONNX model itself, and set engine.precision to fp32, which then leaves its types alone",
            )
        words.append(f"--{options.precision}")
    for index, name in enumerate(("min", "opt", "max") if options.shapes else (), start=1):
        profile = ",".join(f"'{shape.input}':{shape[index]}" for shape in options.shapes)
        words.append(f"--{name}Shapes={profile}")
    return words


def last_step(log: Path) -> str:
    """What a builder said last, without the time and level before it."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 8192))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    steps = [re.sub(r"^(?:\[[^\]]*\] *){0,2}", "", line) for line in lines]
    return next((step[:120] for step in reversed(steps) if step), "")


def builder_fault(text: str) -> str:
    """Why a build has failed: the first errors in its log, otherwise its last lines."""
    lines = text.splitlines()
    errors = [line[:400] for line in lines if "[E]" in line or "rror" in line]
    return "\n".join(errors[:3] or lines[-3:])


def refuse_broken_links(version: Path) -> None:
    for link in links_in(version):
        if not link.exists():
            raise HostError(
                f"{link} is a broken link to {os.readlink(link)}", "put the file there, or remove the link"
            )


def _sums(version: Path) -> List[str]:
    """The lines of `find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum`, then what links lead to."""
    files = [Path(above) / name for above, _, names in os.walk(version) for name in names]
    regular = [file for file in files if file.is_file() and not file.is_symlink()]
    # sha256sum without a file reads its empty input.
    lines = [_sum_line(version, file) for file in _in_order(regular)] or [f"{sha256('')}  -"]
    for link in _in_order(links_in(version)):
        inside = [link] if link.is_file() else [file for file in link.rglob("*") if file.is_file()]
        lines += [f"link {_sum_line(version, file)}" for file in _in_order(inside)]
    return lines


def _in_order(files: Sequence[Path]) -> List[Path]:
    return sorted(files, key=os.fsencode)


def _sum_line(folder: Path, file: Path) -> str:
    name = f"./{file.relative_to(folder)}"
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{sha256_of(file)}  {escaped}"


def links_in(folder: Path) -> List[Path]:
    """The links in a folder."""
    entries = [Path(above) / name for above, folders, names in os.walk(folder) for name in [*folders, *names]]
    return [entry for entry in entries if entry.is_symlink()]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def sha256_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
