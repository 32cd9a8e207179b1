"""The store of models: each state of a model has a folder of its own, which is complete before it gets its name, so
that nobody ever reads half a model. What serves is chosen by `serve`."""

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import zlib
from pathlib import Path
from typing import Dict, List, Optional, Set

from ..commands import Request
from ..console import progress
from ..directory import HostDirectory, require_path_segment, write_file
from ..disk import disk_error, says_full
from ..errors import HostError
from .wanted import linked, read_noted

#: What tools leave in a folder; components/models/leftovers.ts has the same.
LEFTOVERS = re.compile(
    r"__pycache__|\.git|\.hg|\.svn|\.ipynb_checkpoints|\.(pytest|mypy|ruff)_cache|\.idea|\.vscode"
    r"|\.DS_Store|\._.*|__MACOSX|Thumbs\.db|desktop\.ini|\.nfs[0-9a-f]+"
    r"|.*~|\..*\.sw[a-p]|\.#.*|#.*#",
    re.DOTALL,
)

#: Names of version folders, which are numbers of 64 bits; components/settings/modelSource.ts has the same.
_VERSION = re.compile(r"[1-9][0-9]{0,18}")

#: What the Python backend runs in place of its own, if a model has it: with a Python of another version.
STUB = "triton_python_backend_stub"


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name is never part of a model: it comes and goes without a change of the model,
    and Triton would take a folder for a version."""
    return LEFTOVERS.fullmatch(name) is not None


def store(request: Request) -> None:
    """The command `store`: puts one state of a model into the store."""
    body = request.body
    directory = request.directory
    model = require_path_segment("model name", body["model"])
    with directory.lock(f"model-{model}"):
        store_model(directory, model, body["digest"], body["filesDigest"], body["source"], body["config"])
        # What was uploaded for this model lies in the store now.
        shutil.rmtree(directory.path / "uploads" / model, ignore_errors=True)
        with contextlib.suppress(OSError):
            (directory.path / "uploads").rmdir()


def store_model(
    directory: HostDirectory,
    model: str,
    digest: str,
    files_digest: str,
    source: str,
    config: str,
    *,
    keep: bool = True,
) -> None:
    """Stores a model. Its files are read only if files of this digest are not stored yet.

    :param source: a folder on this host, or `s3://bucket/prefix`, of which `fetch` has stored the files
    :param keep: note what is needed to store it again
    """
    require_path_segment("digest", digest)
    require_path_segment("digest", files_digest)
    folder = directory.store / model
    folder.mkdir(parents=True, exist_ok=True)
    directory.repository.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".staging-*"):
        shutil.rmtree(leftover)
    staging = folder / f".staging-{os.getpid()}"
    files = folder / f"files-{files_digest}"
    try:
        if not _is_whole(files):
            _copy_files(model, source, staging, files)
        entry = folder / digest
        stored = entry.is_dir()
        if not _is_whole(entry):
            if stored:
                # The server may have loaded what was changed.
                restored_note(directory, model, digest).touch()
            _link_files(files, staging, config)
            put_in_place(staging, entry)
        _drop_others(directory, model, {digest, files.name, f"{files.name}.objects"})
    except OSError as error:
        explanation = disk_error(directory, error, folder, f"the model {model}")
        if explanation is not None:
            raise explanation from error
        raise HostError(
            f"cannot store the model {model}: {error.strerror or error} ({error.filename or folder})",
            "read the reason",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
    if keep:
        from .refill import keep_model  # noqa: PLC0415

        keep_model(directory, model, digest, files_digest, source)


def _manifest(path: Path) -> Path:
    return path.with_name(f".{path.name}.manifest")


def restored_note(directory: HostDirectory, model: str, digest: str) -> Path:
    """Exists if this state had been changed on the host and was put right, until it is loaded again."""
    return directory.store / model / f".{digest}.restored"


def _describe_files(path: Path) -> Dict[str, List[int]]:
    """Size, time of change in nanoseconds (checksum of the configuration) and inode of each file, by its path."""
    found: Dict[str, List[int]] = {}
    for folder, folders, names in os.walk(path):
        # Python writes bytecode beside the code of a model that runs.
        folders[:] = [name for name in folders if not is_leftover(name)]
        for name in names:
            if is_leftover(name):
                continue
            file = Path(folder) / name
            status = file.lstat()
            # The time of the configuration says when it was loaded last. It is small enough to be read.
            mine = file == path / "config.pbtxt"
            when = zlib.crc32(file.read_bytes()) if mine else status.st_mtime_ns
            found[str(file.relative_to(path))] = [status.st_size, when, status.st_ino]
    return found


def _is_whole(path: Path) -> bool:
    """Whether what is stored is there as it was stored; size, time and inode decide. What is damaged is removed."""
    if not path.is_dir():
        return False
    if not damaged(path):
        return True
    progress(f"{path} has changed since it was stored; storing it again")
    shutil.rmtree(path)
    return False


def damaged(path: Path) -> bool:
    """Whether what is stored differs from what was stored. A release before the agent left no manifest to tell by."""
    try:
        manifest = json.loads(_manifest(path).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(manifest != _describe_files(path))


def has_files(directory: HostDirectory, model: str) -> bool:
    """Whether the store has a model's files, of which each of its configurations gets links."""
    found = [path for path in (directory.store / model).glob("files-*") if path.is_dir()]
    return bool(found) and not any(damaged(path) for path in found)


def put_in_place(staging: Path, path: Path) -> None:
    """Gives what is complete its name, and notes what it looks like."""
    _manifest(path).unlink() if _manifest(path).exists() else None
    staging.rename(path)
    # After the rename: without a manifest an entry counts as whole, which it is.
    write_file(_manifest(path), json.dumps(_describe_files(path)))


def _copy_files(model: str, source: str, staging: Path, files: Path) -> None:
    if source.startswith("s3://"):
        raise HostError(
            f"the files of the model {model} are no longer on this host",
            f"fetch them again: pulumi up --replace '**{model}/files'",
        )
    if not Path(source).is_dir():
        raise HostError(
            f"the source of the model {model} is not a folder: {source}", "check the model's source"
        )
    try:
        # Links are followed, because what they point at may change or not be on this host tomorrow.
        shutil.copytree(source, staging, ignore=lambda _, names: [*filter(is_leftover, names)])
    except shutil.Error as errors:
        first = errors.args[0][0]
        if says_full(first[2]):
            raise OSError(errno.ENOSPC, first[2], str(staging)) from errors
        raise HostError(
            f"cannot copy the model {model}: {first[2]} ({first[0]})",
            "read the reason; a link may be broken",
        ) from errors
    # The stack owns config.pbtxt.
    with contextlib.suppress(FileNotFoundError):
        (staging / "config.pbtxt").unlink()
    readable(staging)
    put_in_place(staging, files)


def readable(path: Path) -> None:
    """
    Lets everybody read a folder and what is in it, and only its owner write. A model's own stub of the Python backend
    can be executed: S3 keeps no modes, and Triton, which would change it, may not in a container.
    """
    for folder, folders, names in os.walk(path):
        for name in (".", *folders, *names):
            entry = Path(folder) / name
            if entry.is_symlink():
                continue
            mode = entry.stat().st_mode
            runs = stat.S_ISDIR(mode) or mode & 0o111 or entry.name == STUB
            extra = 0o755 if runs else 0o644
            entry.chmod((stat.S_IMODE(mode) | extra) & ~0o022)


def _link_files(files: Path, staging: Path, config: str) -> None:
    """Hard links: a new config must not cost a second copy of the weights."""
    shutil.copytree(files, staging, copy_function=os.link)
    if not any(_is_version(path.name) for path in staging.iterdir()):
        # Of an ensemble, whose version folder is empty, so that Git and S3 do not keep it.
        (staging / "1").mkdir(mode=0o755)
    (staging / "config.pbtxt").write_text(config, "utf-8")
    (staging / "config.pbtxt").chmod(0o644)


def _is_version(name: str) -> bool:
    return _VERSION.fullmatch(name) is not None and int(name) < 2**63


def _drop_others(directory: HostDirectory, model: str, kept: Set[str]) -> None:
    """Removes what neither serves, nor did when the last deployment ended, nor was asked for."""
    active: Optional[str] = linked(directory).get(model)
    noted = [entry for entry in read_noted(directory) if entry.name == model]
    # What is loaded may open its files later.
    loaded = [entry.loaded.digest for entry in noted if entry.loaded is not None]
    kept = {*kept, *(entry.digest for entry in noted), *loaded, *([active] if active else [])}
    for entry in (directory.store / model).iterdir():
        # What is noted of an entry goes with it.
        noted = entry.name.endswith((".manifest", ".restored"))
        name = entry.name[1:].rpartition(".")[0] if noted else entry.name
        if name in kept or name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def keep_times(directory: HostDirectory, model: str, former: str, digest: str) -> None:
    """Gives a stored state the times of another one of the same files. With an ensemble, Triton loads each model of its
    steps that is newer than what it has loaded (`PollModels` of its core's model_repository_manager.cc)."""
    folder = directory.store / model
    new = folder / digest
    for path in (new / "config.pbtxt", *new.glob("*/"), new):
        with contextlib.suppress(OSError):
            status = (folder / former / path.relative_to(new)).stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def require_stored(directory: HostDirectory, model: str, digest: str) -> None:
    if not (directory.store / model / digest).is_dir():
        raise HostError(f"the model {model} is not stored as {digest}", "deploy again, which stores it")


def remove_model(request: Request) -> None:
    """The command `remove-model MODEL`: removes everything that is stored of a model, which must not be served."""
    directory = request.directory
    model = require_path_segment("model name", request.word(0, "model name"))
    if not directory.path.is_dir():
        return
    with directory.lock(f"model-{model}"):
        if model in linked(directory):
            raise HostError(f"the model {model} is still active", "let 'serve' take it out first")
        for folder in ("models/store", "models/kept", "uploads", "engines/sources", "engines/ready"):
            path = directory.path / folder / model
            if path.is_dir():
                shutil.rmtree(path)
