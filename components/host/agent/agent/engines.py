"""TensorRT engines, built on this host's GPU in a container from the model.onnx of each version of a model.

In ``engines``: ``cache/KEY`` has an engine under a name made of everything that it depends on, so that none is built
twice; ``sources`` the ONNX models whose own place is emptied; ``ready/MODEL`` the files with the engines; ``log`` what
the builder said; ``building`` what is being built. Hosts of one kind can share engines through a prefix in S3, each
below its key: ``model.plan``, and ``built``, which says what it is and is put there last. Without S3 an engine is
built, so nothing of that is an error.
"""

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from . import s3
from .builds import Build, lock_name, note, noted
from .commands import Request
from .console import progress
from .directory import HostDirectory, require_path_segment, write_file
from .disk import explained, no_space, says_full
from .errors import HostError
from .images import require_image
from .membership import waits, why_not_joined
from .programs import await_end, call, outward_environment, running
from .server.container import own_domain
from .trtexec import (
    IGNORED,
    Options,
    Target,
    builder_fault,
    engine_key,
    entered_in,
    gpu_kind,
    last_step,
    read_options,
    refuse_broken_links,
    sha256,
    sha256_of,
    tensorrt_in,
    trtexec_arguments,
)
from .workplace import copy_tree, say_outside, workplace

#: Engines that no deployment has used for this long are removed.
UNUSED_DAYS = 30


def build_engines(request: Request) -> Dict[str, str]:
    """
    The command `build-engines`: puts the files to serve into `engines/ready/MODEL`. Of a version with a model.onnx only
    the engine is served: the rest holds its weights. Answers with a digest of the files.
    """
    body = request.body
    model = require_path_segment("model name", body["model"])
    files_digest = require_path_segment("digest", body["filesDigest"])
    directory = request.directory
    options = read_options(body["engine"])
    engines = directory.path / "engines"
    with explained(directory, engines, f"the engines of {model}"):
        for part in ("cache", "sources", "ready", "log"):
            (engines / part).mkdir(parents=True, exist_ok=True)
        with directory.lock(lock_name(model)):
            onnx = _kept_source(directory, model, files_digest, body["source"])
            gpu = gpu_kind()
            require_image(directory, options.builder)
            build = _Build(directory, model, options, Target(gpu, tensorrt_version(options.builder)))
            keys = _make_ready(build, onnx, engines / "ready" / model)
            if not keys:
                raise HostError(
                    f"no version folder of the model {model} has a model.onnx",
                    f"put it into {body['source']}/1, or remove engine from the model's settings",
                )
            remove_unused(directory)
    return {"digest": sha256("".join(f"{line}\n" for line in [files_digest, *keys]))[:16]}


def tensorrt_version(image: str) -> str:
    """The version that NVIDIA's images carry in their environment, otherwise the image's own name."""
    environment = _of_image(image, "{{range .Config.Env}}{{println .}}{{end}}")
    return tensorrt_in(environment) or _of_image(image, "{{.Id}}").strip()


def remove_unused(directory: HostDirectory) -> None:
    """Removes engines that no deployment has used for a long time."""

    def is_old(entry: Path) -> bool:
        try:
            return entry.stat().st_mtime < time.time() - (UNUSED_DAYS + 1) * 86400
        except FileNotFoundError:
            return False

    cache = directory.path / "engines/cache"
    for pattern in ("*.new", "*.onnx", "*.builder"):
        for leftover in cache.glob(pattern):
            # Of a build that was killed: the next one of this engine would remove it, if there ever is one.
            if is_old(leftover):
                shutil.rmtree(leftover)
    for used in cache.glob("*/used"):
        if is_old(used):
            with directory.lock(f"engine-{used.parent.name}"):
                # Another deployment may have asked for it meanwhile.
                if is_old(used):
                    shutil.rmtree(used.parent)


def end_builders(directory: HostDirectory) -> None:
    """Ends builders whose command was killed, for good: nobody waits for what they make."""
    if not (directory.path / "engines").is_dir() or shutil.which("docker") is None:
        return
    found = call(
        ["docker", "ps", "--all", "--quiet", "--filter", f"name=^/{_container_prefix(directory)}"], seconds=60
    )
    for container in found.out.split() if found.ok else []:
        _remove_container(container)
        # As long as one was in the domain, Docker kept its volume.
        call(["docker", "volume", "rm", own_domain(directory)])


def _container_prefix(directory: HostDirectory) -> str:
    return f"xsched-engine-{directory.identity}-"


class _Build:
    """The engines of one model."""

    def __init__(self, directory: HostDirectory, model: str, options: Options, target: Target) -> None:
        self._directory = directory
        self._model = model
        self._options = options
        self._target = target
        self._engines = directory.path / "engines"

    def put(self, version: Path, folder: Path) -> str:
        """Makes a folder with the engine of one version. Returns the engine's key."""
        refuse_broken_links(version)
        key = engine_key(version, self._options, self._target)
        entry = self._engines / "cache" / key
        with self._directory.lock(f"engine-{key}"):
            if (entry / "model.plan").is_file():
                (entry / "used").touch()
                progress(f"the engine of {self._title(version)}, is there already")
            else:
                self._make(version, entry)
            folder.mkdir()
            os.link(entry / "model.plan", folder / "model.plan")
        return key

    def _title(self, version: Path) -> str:
        return f"{self._model}, version {version.name}"

    def _make(self, version: Path, entry: Path) -> None:
        title = self._title(version)
        shared = f"{self._options.shared}/{entry.name}" if self._options.shared else None
        with _new_folder(entry) as folder:
            taken = shared is not None and take_shared(shared, folder, title)
            if not taken:
                self._run_builder(version, folder, title)
            (folder / "used").touch()
        if shared is not None and not taken:
            share(shared, entry, title)

    def _run_builder(self, version: Path, folder: Path, title: str) -> None:
        arguments = trtexec_arguments(self._options, _usage(self._options.builder))
        container = f"{_container_prefix(self._directory)}{self._model}"
        log = self._engines / "log" / f"{self._model}-{version.name}.log"
        image = self._options.builder
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.enter_context(_container(container))
            place = stack.enter_context(
                workplace(self._directory, image, version, folder, container=container, title=title)
            )
            build = stack.enter_context(
                noted(self._directory, self._model, version.name, below=place.member is not None)
            )
            longer = "" if place.member is None else ", and longer while models are busy, which come first"
            progress(
                f"building the engine of {title} on {self._target.gpu} with TensorRT {self._target.tensorrt}; this can "
                f"take many minutes{longer}"
            )
            words = place.words(container, image, arguments)
            status = self._await_builder(words, build, log, container=container, title=title)
        plan = folder / "model.plan"
        if status != 0 or not plan.is_file() or plan.stat().st_size == 0:
            reason = builder_fault(log.read_text("utf-8", "replace"))
            if says_full(reason):
                raise no_space(self._directory, folder, f"the engine of {title}")
            raise HostError(
                f"TensorRT cannot build the engine of {title}: {reason or 'trtexec said nothing'}",
                f"correct the ONNX model or the engine's settings; the log is {log}. What served before still serves",
            )
        built = [
            f"model {self._model}",
            f"version {version.name}",
            f"gpu {self._target.gpu}",
            f"tensorrt {self._target.tensorrt}",
            *(f"argument {argument}" for argument in arguments),
            f"sha256 {sha256_of(plan)}",
        ]
        write_file(folder / "built", "".join(f"{line}\n" for line in built))
        progress(f"built the engine of {title} in {time.monotonic() - began:.0f} s")

    def _await_builder(
        self, words: Sequence[str], build: Build, log: Path, *, container: str, title: str
    ) -> int:
        below = build.below

        def look() -> None:
            nonlocal below
            why = why_not_joined(log.read_text("utf-8", "replace")) if below else ""
            if why:
                below = False
                note(self._directory, build._replace(below=False))
                say_outside(title, why)

        def describe(seconds: int) -> None:
            look()
            # With models that never pause, this is all that there is to see.
            remark = "; waits for models" if below and waits(container) else ""
            progress(f"building the engine of {title} ({seconds} s{remark}): {last_step(log)}")

        with log.open("wb") as output, running(words, output, environment=outward_environment()) as builder:
            status = await_end(builder, describe)
        look()
        return status


def take_shared(place: str, folder: Path, title: str) -> bool:
    """Fetches an engine that another host has built, if there is one that is whole."""
    fault = s3.copy(f"{place}/built", str(folder / "built"))
    if fault is not None:
        if any(word in fault for word in ("404", "NoSuchKey", "Not Found")):
            return False
        # S3's answer as well to who may not list, if there is none.
        if any(word in fault for word in ("403", "Forbidden", "AccessDenied")):
            progress(f"no shared engine of {title}, or this host may not read {place}")
        else:
            progress(f"cannot look for a shared engine of {title}: {fault}")
        return False
    plan = folder / "model.plan"
    fault = s3.copy(f"{place}/model.plan", str(plan))
    if fault is not None:
        progress(f"cannot take the shared engine of {title}: {fault}")
    elif f"sha256 {sha256_of(plan)}" not in (folder / "built").read_text("utf-8", "replace").splitlines():
        progress(f"the shared engine of {title} is damaged: {place}")
    else:
        progress(f"took the engine of {title} from {place}")
        return True
    for file in (plan, folder / "built"):
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
    return False


def share(place: str, entry: Path, title: str) -> None:
    """Gives an engine to other hosts."""
    # "built" last: it promises that the engine is whole.
    for name in ("model.plan", "built"):
        fault = s3.copy(str(entry / name), f"{place}/{name}")
        if fault is not None:
            progress(f"cannot share the engine of {title}: {fault}")
            return
    progress(f"shared the engine of {title} as {place}")


def _kept_source(directory: HostDirectory, model: str, files_digest: str, source: str) -> Path:
    """
    The folder with the ONNX models. What came to the host for this model goes when it is stored, and is needed again
    when only an option changes: it is kept aside.
    """
    # Where `fetch` puts it.
    fetched = source.startswith("s3://")
    place = directory.store / model / f"files-{files_digest}" if fetched else Path(source)
    onnx = place
    if directory.path in place.parents:
        onnx = directory.path / "engines/sources" / model / files_digest
        if not onnx.is_dir() and place.is_dir():
            shutil.rmtree(onnx.parent, ignore_errors=True)
            onnx.parent.mkdir(parents=True)
            with _new_folder(onnx) as folder:
                _link_tree(place, folder)
    if not onnx.is_dir():
        raise HostError(
            f"the source of the model {model} is not a folder: {onnx}", "check the model's source"
        )
    return onnx


def _make_ready(build: _Build, onnx: Path, ready: Path) -> List[str]:
    """Makes the folder with the files to serve. Returns "VERSION:KEY" of each engine in it."""
    shutil.rmtree(ready, ignore_errors=True)
    keys = []
    with _new_folder(ready) as folder:
        for entry in sorted(onnx.iterdir(), key=lambda each: os.fsencode(each.name)):
            if entry.name in IGNORED or entry.name.startswith("."):
                continue
            if (entry / "model.onnx").is_file():
                keys.append(f"{entry.name}:{build.put(entry, folder / entry.name)}")
            else:
                copy_tree(entry, folder / entry.name)
    return keys


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A folder that gets its name when it is complete, and goes if it does not become so."""
    staging = path.with_name(f"{path.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)
    staging.mkdir()
    try:
        yield staging
        staging.replace(path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


@contextlib.contextmanager
def _container(name: str) -> Iterator[None]:
    """The name of a container that is gone before, where an interrupted build has left one, and afterwards."""
    _remove_container(name)
    try:
        yield
    except BaseException:
        # The program that started it is only its client.
        _remove_container(name)
        raise


def _remove_container(name: str) -> None:
    call(["docker", "rm", "--force", name], environment=outward_environment())


def _link_tree(source: Path, target: Path) -> None:
    """A second name for every file; a copy where there can be none, as between an instance store and the root disk."""
    try:
        shutil.copytree(source, target, symlinks=True, copy_function=_link, dirs_exist_ok=True)
    except (OSError, shutil.Error):
        shutil.rmtree(target)
        copied = call(["cp", "-a", "--", str(source), str(target)])
        if copied.ok:
            return
        if says_full(copied.err):
            raise OSError(errno.ENOSPC, copied.reason, str(target)) from None
        raise HostError(f"cannot keep {source}: {copied.reason}", "see the message above") from None


def _link(source: str, target: str) -> None:
    os.link(source, target)


def _usage(builder: str) -> str:
    """What trtexec says of its flags. It gets the GPU as for a build: nothing says that it starts without a driver."""
    options = ["--rm", "--gpus", "all", "--network", "none"]
    words = entered_in(builder, "trtexec", "--help")
    answer = call(["docker", "run", *options, *words], environment=outward_environment())
    return answer.out + answer.err


def _of_image(image: str, template: str) -> str:
    return call(["docker", "image", "inspect", "--format", template, image]).out
