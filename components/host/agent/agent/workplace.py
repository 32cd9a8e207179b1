"""Where the builder of an engine works: what it reads, where it writes, as whom, and in which scheduling domain."""

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence

from .console import progress
from .directory import HostDirectory
from .disk import says_full
from .errors import HostError
from .membership import Member, OutsideError, domain_of, join, quoted
from .models.store import readable
from .programs import call
from .server.container import gpu_options
from .trtexec import entered_in, links_in


class Workplace(NamedTuple):
    """Where a builder works."""

    #: The folder with its model.onnx.
    onnx: Path
    #: The folder that it writes the engine into.
    engine: Path
    #: How it is in the server's scheduling domain; None outside.
    member: Optional[Member]

    def words(self, container: str, image: str, arguments: Sequence[str]) -> List[str]:
        """The command that builds."""
        if self.member is None:
            user = ["--user", f"{os.getuid()}:{os.getgid()}"]
            program = entered_in(image, "trtexec")
        else:
            user = self.member.options
            program = self.member.command("trtexec")
        return [
            *("docker", "run", "--rm", "--name", container, *gpu_options()),
            # Models that are served on this host get the CPU before the builder.
            *("--cpu-shares", "64"),
            *(*user, "--network", "none"),
            *("--mount", f'type=bind,"source={quoted(self.onnx)}",target=/onnx,readonly'),
            *("--mount", f'type=bind,"source={quoted(self.engine)}",target=/engine'),
            *(*program, *arguments),
        ]


@contextlib.contextmanager
def workplace(
    directory: HostDirectory, image: str, version: Path, folder: Path, *, container: str, title: str
) -> Iterator[Workplace]:
    """
    In the server's scheduling domain, if there is one that the builder can be in. Its engine is in `folder` afterwards.

    :param image: the builder's
    :param version: the folder of the ONNX model
    :param container: the builder's name, which is free
    """
    runtime = domain_of(directory)
    if runtime is not None:
        with _private_folder(folder.with_name(f"{folder.name}.builder")) as private:
            try:
                member = join(runtime, image, private, container)
            except OutsideError as error:
                say_outside(title, str(error))
            else:
                with _of_the_member(member, version, private, folder) as place:
                    yield place
                return
    with _self_contained(version, folder) as onnx:
        yield Workplace(onnx, folder, None)


def say_outside(title: str, why: str) -> None:
    progress(
        f"the engine of {title} is built outside the scheduling domain, so models share the GPU with its builder: {why}"
    )


@contextlib.contextmanager
def _private_folder(path: Path) -> Iterator[Path]:
    """A folder that only this user can enter, for as long as it is used."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _of_the_member(member: Member, version: Path, private: Path, folder: Path) -> Iterator[Workplace]:
    """What the domain's user can read, and one file that it can write to, which stays this user's."""
    engine = private / "engine"
    engine.mkdir()
    engine.chmod(0o755)
    plan = engine / "model.plan"
    plan.touch()
    plan.chmod(0o666)
    onnx = version
    if not (_is_self_contained(version) and member.reads(version)):
        onnx = private / "onnx"
        copy_tree(version, onnx)
        readable(onnx)
    yield Workplace(onnx, engine, member)
    plan.chmod(0o644)
    # An empty one tells that nothing was built.
    plan.replace(folder / plan.name)


def _is_self_contained(version: Path) -> bool:
    """Whether a container sees all of a folder: without links that lead out of it."""
    root = version.resolve()
    return all(root in link.resolve().parents for link in links_in(version))


@contextlib.contextmanager
def _self_contained(version: Path, folder: Path) -> Iterator[Path]:
    """A version's folder as a container can see it."""
    if _is_self_contained(version):
        yield version
        return
    copied = folder.with_name(f"{folder.name}.onnx")
    shutil.rmtree(copied, ignore_errors=True)
    try:
        copy_tree(version, copied)
        yield copied
    finally:
        shutil.rmtree(copied, ignore_errors=True)


def copy_tree(source: Path, target: Path) -> None:
    """Copies with links followed; cp(1) shares the blocks where the file system can."""
    copied = call(["cp", "-RL", "--reflink=auto", "--", str(source), str(target)])
    if copied.ok:
        return
    if says_full(copied.err):
        raise OSError(errno.ENOSPC, copied.reason, str(target))
    raise HostError(
        f"cannot copy {source}: {copied.reason}", "make it readable for this user; a link may be broken"
    )
