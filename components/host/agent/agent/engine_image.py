"""TensorRT engines for a fleet (components/fleet/engines.ts), built in a pod with a whole GPU. The files to serve go
into an image, which pods of the fleet have as a volume. An image has a name made of everything that its engines depend
on, so none is built twice for one kind of GPU by whoever shares the repository.
"""

import io
import json
import os
import sys
import tarfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from .commands import Request
from .console import progress
from .disk import is_full, says_full
from .errors import HostError
from .programs import await_end, call, running
from .registry import MANIFEST, Login, Manifest, Repository, digest_of
from .trtexec import (
    IGNORED,
    Options,
    Target,
    builder_fault,
    engine_key,
    entered,
    gpu_kind,
    last_step,
    read_options,
    sha256,
    sha256_of,
    tensorrt_in,
    trtexec_arguments,
)

#: As in this project's images: equal files give an equal digest, whenever they are built.
_MODIFIED = 315532800

#: Seconds between two lines about a build that goes on.
_EVERY = 30

CONFIG = "config.pbtxt"
PLAN = "model.plan"


class Wanted(NamedTuple):
    """What a pod is asked for."""

    model: str
    #: Where images go, with the registry's address.
    repository: str
    #: Under which tag the fleet's pods look for the image.
    tag: str
    options: Options


def build_engine_image(request: Request) -> Dict[str, str]:
    """
    The command `build-engine-image REQUEST SOURCE SCRATCH LOGIN MESSAGE`: sees to it that a repository has the image
    with a model's engines for this GPU. Answers with the tag of its content.

    REQUEST is `{model, repository, tag, engine}` as JSON; SOURCE the folder with the model's files; SCRATCH an empty
    one; LOGIN one with the files `username` and `password`; MESSAGE the file for the reason if it fails.
    """
    try:
        asked = json.loads(request.word(0, "request"))
        wanted = Wanted(asked["model"], asked["repository"], asked["tag"], read_options(asked["engine"]))
        login = Path(request.word(3, "folder of the login"))
        repository = Repository(
            wanted.repository, Login(*(read(login / name) for name in ("username", "password")))
        )
        source, scratch = Path(request.word(1, "source")), Path(request.word(2, "scratch folder"))
        return {"tag": see_to(wanted, repository, source, scratch)}
    except (HostError, OSError) as error:
        told = error if isinstance(error, HostError) else _explained(error)
        Path(request.word(4, "file of the message")).write_text(str(told), "utf-8")
        raise told from None


def see_to(wanted: Wanted, repository: Repository, source: Path, scratch: Path) -> str:
    """Builds what the repository lacks. Returns the tag by what the image is made of."""
    target = Target(gpu_kind(), tensorrt_in(_environment()) or wanted.options.builder)
    keys = {
        version: engine_key(version, wanted.options, target)
        for version in _entries(source)
        if (version / "model.onnx").is_file()
    }
    if not keys:
        raise HostError(f"no version folder of the model {wanted.model} has a model.onnx", "put it into 1")
    others = [file for file in _entries(source) if file not in keys]
    tag = f"engine-{_name(source, keys, others)}"
    manifest = repository.manifest(tag)
    if manifest is None:
        built = {version: _build(wanted, target, version, key, scratch) for version, key in keys.items()}
        progress(f"pushing the engine of {wanted.model} to {wanted.repository}")
        manifest = _push(repository, _files(source, others, built), scratch, target)
        repository.put_manifest(tag, manifest)
    else:
        progress(f"the engine of {wanted.model} for {target.gpu} is there already: {wanted.repository}:{tag}")
    repository.put_manifest(wanted.tag, manifest)
    return tag


def _explained(error: OSError) -> HostError:
    if is_full(error):
        return _no_space()
    return HostError(
        f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}", "read the reason"
    )


def _no_space() -> HostError:
    return HostError(
        "the node's disk is full: it needs space for the engine twice", "give the nodes larger disks"
    )


def read(file: Path) -> str:
    """A value from a Secret."""
    return file.read_text("utf-8")


def _environment() -> str:
    return "".join(f"{name}={value}\n" for name, value in os.environ.items())


def _entries(source: Path) -> List[Path]:
    return sorted(
        entry for entry in source.iterdir() if entry.name not in IGNORED and not entry.name.startswith(".")
    )


def _name(source: Path, keys: Dict[Path, str], others: List[Path]) -> str:
    lines = [f"engine {version.name} {key}" for version, key in keys.items()]
    lines += [f"file {name} {sha256_of(file)}" for name, file in _below(source, others)]
    return sha256("".join(f"{line}\n" for line in lines))[:32]


def _below(source: Path, entries: List[Path]) -> Iterator[Tuple[str, Path]]:
    """Files, with their paths in the model's folder."""
    for entry in entries:
        for file in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
            if file.is_file():
                yield file.relative_to(source).as_posix(), file


def _files(source: Path, others: List[Path], built: Dict[Path, Path]) -> Dict[str, Path]:
    """What is served, by its path. Of a version with an engine, the rest holds its weights."""
    return {
        **dict(_below(source, others)),
        **{f"{version.name}/{PLAN}": plan for version, plan in built.items()},
    }


def _build(wanted: Wanted, target: Target, version: Path, key: str, scratch: Path) -> Path:
    """:returns: the engine of a version"""
    plan = scratch / f"{key}.plan"
    if plan.exists():
        # Another version has the same files.
        return plan
    title = f"{wanted.model}, version {version.name}"
    progress(
        f"building the engine of {title} on {target.gpu} with TensorRT {target.tensorrt}; this can take many minutes"
    )
    began = time.monotonic()
    arguments = trtexec_arguments(
        wanted.options, _usage(), onnx=str(version / "model.onnx"), engine=str(plan)
    )
    log = scratch / f"{key}.log"
    with log.open("wb") as output, running(entered("trtexec", *arguments), output) as builder:
        status = await_end(
            builder,
            lambda seconds: progress(f"building the engine of {title} ({seconds} s): {last_step(log)}"),
            every=_EVERY,
        )
    if status != 0 or not plan.is_file() or plan.stat().st_size == 0:
        said = log.read_text("utf-8", "replace")
        # Whole, for whoever reads the pod's log.
        sys.stderr.write(said)
        reason = builder_fault(said)
        if says_full(reason):
            raise _no_space()
        reason = reason or f"trtexec said nothing, and ended with {status}"
        raise HostError(
            f"TensorRT cannot build the engine of {title}: {reason}",
            "correct the ONNX model or the engine's settings",
        )
    progress(f"built the engine of {title} in {time.monotonic() - began:.0f} s")
    return plan


def _usage() -> str:
    answer = call(entered("trtexec", "--help"))
    return answer.out + answer.err


def _push(repository: Repository, files: Dict[str, Path], scratch: Path, target: Target) -> Manifest:
    """Pushes an image's parts. It is there when its manifest has a tag."""
    layer = scratch / "layer.tar"
    _write_layer(layer, files)
    digest = digest_of(layer)
    described: Dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    config = json.dumps(described).encode()
    repository.put_blob(layer, digest)
    repository.put_blob(config, digest_of(config))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(config),
            "size": len(config),
        },
        "layers": [
            {
                # Engines hardly shrink.
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": digest,
                "size": layer.stat().st_size,
            }
        ],
        "annotations": {"xsched-triton/gpu": target.gpu, "xsched-triton/tensorrt": target.tensorrt},
    }
    layer.unlink()
    return Manifest(MANIFEST, json.dumps(manifest).encode())


def _write_layer(layer: Path, files: Dict[str, Path]) -> None:
    """Of files that anybody may read. A read-only volume takes no new file, so an empty configuration is among them."""
    folders = sorted({str(above) for name in files for above in Path(name).parents if str(above) != "."})
    with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as archive:
        for folder in folders:
            archive.addfile(_member(folder, tarfile.DIRTYPE, 0))
        archive.addfile(_member(CONFIG, tarfile.REGTYPE, 0), io.BytesIO())
        for name, file in sorted(files.items()):
            with file.open("rb") as content:
                archive.addfile(_member(name, tarfile.REGTYPE, file.stat().st_size), content)


def _member(name: str, kind: bytes, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mode, member.mtime = kind, size, 0o555, _MODIFIED
    return member
