"""What it takes to store a model again where the store is a disk that a stop of the machine empties."""

import os
import shutil
from pathlib import Path
from typing import List

from ..commands import Request
from ..console import progress
from ..directory import HostDirectory, write_file
from ..disk import is_full, no_space, says_full
from ..errors import HostError
from .store import store_model
from .wanted import linked


def keep_model(directory: HostDirectory, model: str, digest: str, files_digest: str, source: str) -> None:
    """Notes on the root disk how to store this state of a model again. Of a model in S3 that is where its objects are;
    of any other its files."""
    if not os.path.ismount(directory.store):
        return
    store = directory.store / model
    kept = directory.models / "kept" / model
    kept.mkdir(parents=True, exist_ok=True)
    for leftover in kept.glob(".staging-*"):
        shutil.rmtree(leftover)
    staging = kept / f".staging-{os.getpid()}"
    files = f"files-{files_digest}"
    try:
        if not source.startswith("s3://"):
            source = "files"
            if not (kept / files).is_dir():
                shutil.copytree(store / files, staging)
                staging.rename(kept / files)
        staging.mkdir()
        shutil.copy2(store / digest / "config.pbtxt", staging / "config.pbtxt")
        objects = store / f"{files}.objects"
        if objects.is_file():
            shutil.copy2(objects, staging / "objects")
        write_file(staging / "files-digest", f"{files_digest}\n")
        write_file(staging / "source", f"{source}\n")
        shutil.rmtree(kept / digest, ignore_errors=True)
        staging.rename(kept / digest)
    except OSError as error:
        # Of several files that could not be copied, Python only says how each has failed.
        if is_full(error) or says_full(str(error)):
            raise no_space(directory, kept, f"a copy of the model {model}") from error
        raise HostError(
            f"cannot keep a copy of the model {model} on the root disk: {error.strerror or error}",
            "read the reason",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _drop_unneeded(kept, store)


def _drop_unneeded(kept: Path, store: Path) -> None:
    """What is stored no longer needs no note. Each note names its files."""
    needed = set()
    for note in kept.iterdir():
        if note.name.startswith("files-"):
            continue
        if (store / note.name).is_dir():
            needed.add(f"files-{(note / 'files-digest').read_text('utf-8').strip()}")
        else:
            shutil.rmtree(note)
    for entry in kept.glob("files-*"):
        if entry.name not in needed:
            shutil.rmtree(entry)


def refill(request: Request) -> None:
    """The command `refill`: stores again what is noted and the store does not have any more, because the instance's
    disk was emptied by a stop. What lies in S3 is fetched as it was, where the bucket keeps versions."""
    refill_models(request.directory)


def refill_models(directory: HostDirectory) -> None:
    """
    :raises HostError: after all others were stored, if one could not be
    """
    failed: List[str] = []
    active = linked(directory)
    notes = directory.models / "kept"
    for kept in sorted(notes.iterdir()) if notes.is_dir() else []:
        model = kept.name
        digests = [
            entry.name
            for entry in kept.iterdir()
            if entry.is_dir() and not entry.name.startswith(("files-", "."))
        ]
        # What serves first: storing keeps it, and it is what this is for.
        for digest in sorted(digests, key=lambda digest: (digest != active.get(model), digest)):
            try:
                _refill(directory, model, digest)
            except HostError as error:
                progress(str(error))
                failed.append(model)
    if failed:
        raise HostError(
            f"some models could not be restored: {' '.join(sorted(set(failed)))}",
            "see the lines above; deploy again to store what is in S3 now",
        )


def _refill(directory: HostDirectory, model: str, digest: str) -> None:
    if (directory.store / model / digest).is_dir():
        return
    note = directory.models / "kept" / model / digest
    try:
        files_digest = (note / "files-digest").read_text("utf-8").strip()
        source = (note / "source").read_text("utf-8").strip()
        config = (note / "config.pbtxt").read_text("utf-8")
    except OSError as error:
        raise HostError(f"the note of the model {model} cannot be read: {error}", "deploy again") from error
    progress(f"bringing back the model {model}")
    if source.startswith("s3://"):
        from ..s3 import fetch_model, recorded_objects  # noqa: PLC0415

        record = note / "objects"
        fetch_model(directory, model, files_digest, source, recorded_objects(record), versions=record)
    else:
        source = str(note.parent / f"files-{files_digest}")
    with directory.lock(f"model-{model}"):
        store_model(directory, model, digest, files_digest, source, config, keep=False)
