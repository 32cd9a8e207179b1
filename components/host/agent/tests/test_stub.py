"""Whether a Python model's process can start, which is tried before its load."""

import io
import os
import re
import tarfile
from pathlib import Path
from typing import Dict, Optional

import pytest
from agent.directory import point_link
from agent.server import process
from agent.server.process import ProcessRuntime
from agent.server.settings import parse_settings
from stand_in_host import RUNTIME, Host


def _own_stub(host: Host, text: str, activate: Optional[str] = None) -> str:
    """What is known of a model with a stub and perhaps an environment of its own, before it is loaded."""
    model = host.directory.repository / "own"
    model.mkdir(parents=True)
    # Git and archives lose the permission.
    (model / "triton_python_backend_stub").write_text(f"#!/bin/sh\n{text}\n")
    config = 'backend: "python"\n'
    if activate is not None:
        (model / "env/bin").mkdir(parents=True)
        (model / "env/bin/activate").write_text(f"{activate}\n")
        config += (
            'parameters: { key: "EXECUTION_ENV_PATH" '
            'value: { string_value: "$$TRITON_MODEL_DIRECTORY/env" } }\n'
        )
    (model / "config.pbtxt").write_text(config)
    runtime = ProcessRuntime(host.directory, parse_settings({**host.settings, "runtime": RUNTIME}))
    return runtime.stub_fault("own")


def test_a_python_model_is_not_loaded_where_its_backend_would_end_the_server(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with a /tmp that is read-only, or full."""
    model = host.directory.repository / "own"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text('backend: "python"\n')
    runtime = ProcessRuntime(host.directory, parse_settings({**host.settings, "runtime": RUNTIME}))
    temporary = tmp_path / "tmp"
    monkeypatch.setattr(process, "TEMPORARY", temporary)
    # Another backend needs none.
    assert runtime.stub_fault("own") == ""
    (model / "1/model.py").write_text("pass")
    assert runtime.stub_fault("own").startswith(
        f"Triton's Python backend cannot make a folder in {temporary} on this host: No such file or directory; make it"
    )
    temporary.mkdir()
    assert runtime.stub_fault("own") == ""
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
    # It has made its folder.
    monkeypatch.setattr(ProcessRuntime, "_model_processes", lambda _: iter([("other", 1)]))
    assert runtime.stub_fault("own") == ""


#: What the Python backend's stub does without arguments.
_WELL = "echo 'Expected 9 arguments, found 1 arguments.'; exit 1"


@pytest.mark.parametrize(
    ("text", "activate", "said"),
    [
        ("echo 'libpython3.8.so.1.0: cannot open' >&2; exit 127", None, "libpython3.8.so.1.0: cannot open"),
        ("echo \"version 'GLIBC_2.99' not found (required by stub)\" >&2; exit 1", None, "GLIBC_2.99"),
        ("kill -ILL $$", None, "its process cannot start: status -4"),
        (_WELL, "echo 'no such interpreter' >&2; exit 3", "status 3: no such interpreter"),
        (_WELL, "false", "models/repository/own/env ended with status 1"),
    ],
)
def test_a_process_that_cannot_start_is_found_before_its_load(
    host: Host, text: str, activate: Optional[str], said: str
) -> None:
    """Triton would wait for it without end."""
    assert said in _own_stub(host, text, activate)


@pytest.mark.parametrize("activate", [None, "echo Welcome"])
def test_a_process_that_can_start_is_left_to_triton(host: Host, activate: Optional[str]) -> None:
    assert _own_stub(host, _WELL, activate) == ""


def test_an_own_stub_finds_the_libraries_of_its_environment(host: Host) -> None:
    assert _own_stub(host, 'test -d "${LD_LIBRARY_PATH%%/lib:*}/bin" && exit 1; exit 127', "true") == ""


class _Archive:
    """A model whose environment is in an archive."""

    def __init__(self, host: Host, root: str = "") -> None:
        self._host, self._root = host, root
        self.files: Dict[str, str] = {}
        self.model = host.directory.store / "own/1234"
        self.model.mkdir(parents=True)
        host.directory.repository.mkdir(parents=True)
        point_link(host.directory.repository / "own", "../store/own/1234")
        (self.model / "config.pbtxt").write_text(
            'parameters [ { key: "EXECUTION_ENV_PATH", '
            'value { string_value: "$$TRITON_MODEL_DIRECTORY/env.tar.gz" } } ]'
        )

    def pack(self, stub: str, **files: str) -> None:
        (self.model / "triton_python_backend_stub").write_text(f"#!/bin/sh\n{stub}\n")
        with tarfile.open(self.model / "env.tar.gz", "w:gz") as archive:
            for name, text in {"bin/activate": "", **{key: files[key] for key in files}}.items():
                entry = tarfile.TarInfo(self._root + name)
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))

    def fault(self, runtime: str = RUNTIME) -> str:
        return ProcessRuntime(
            self._host.directory, parse_settings({**self._host.settings, "runtime": runtime})
        ).stub_fault("own")


@pytest.mark.parametrize("root", ["", "./"])
def test_an_environment_in_an_archive_is_tried(host: Host, root: str) -> None:
    archive = _Archive(host, root)
    # No other test has one of this name.
    library = f"libpython3.{os.getpid()}.so.1.0"
    needs = f'test -f "${{LD_LIBRARY_PATH%%:*}}/{library}" || exit 127'
    archive.pack(f"{needs}\n{_WELL}")
    assert archive.fault() == "its process cannot start: status 127"
    archive.pack(_WELL, **{"bin/activate": "echo 'no such interpreter' >&2; false"})
    assert archive.fault().endswith("/env.tar.gz ended with status 1: no such interpreter")
    archive.pack(f"{needs}\n{_WELL}", **{f"lib/{library}": "library"})
    assert archive.fault() == ""
    assert not list(Path("/tmp").glob(f"tmp.*/lib/{library}"))
    assert not (host.directory.path / "lib").exists()


def test_an_archive_is_accused_only_after_all_of_it_was_tried(host: Host) -> None:
    archive = _Archive(host)
    archive.pack(_WELL, **{"bin/activate": 'source "$tried_environment/share/start"', "share/start": "true"})
    assert archive.fault() == ""


def test_an_archive_that_is_well_is_tried_once_with_each_release(host: Host) -> None:
    archive = _Archive(host)
    archive.pack(_WELL)
    assert archive.fault() == ""
    # What the note spares.
    archive.pack("exit 127")
    assert archive.fault() == ""
    assert archive.fault(runtime="triton-9") != ""


def test_an_archive_that_cannot_be_unpacked_is_refused(host: Host) -> None:
    archive = _Archive(host)
    archive.pack(_WELL, **{"lib/libpython3.so": "0123456789" * 9999, "share/more": "9876543210" * 9999})
    packed = (archive.model / "env.tar.gz").read_bytes()
    for content, said in (
        (b"no archive", "does not look like a tar archive"),
        (packed[:-200], "unexpected end of file"),
        (packed[:20], "unexpected end of file"),
        (b"", "it is empty"),
    ):
        (archive.model / "env.tar.gz").write_bytes(content)
        assert re.search(f"own/env.tar.gz cannot be unpacked: .*{said}$", archive.fault())
    (archive.model / "env.tar.gz").unlink()
    assert archive.fault() == ""


def test_an_archive_without_an_activation_is_left_to_triton(host: Host) -> None:
    archive = _Archive(host)
    archive.pack("exit 127")
    (archive.model / "other").mkdir()
    with tarfile.open(archive.model / "env.tar.gz", "w:gz") as packed:
        packed.add(archive.model / "other", "other")
    assert archive.fault() == ""


def test_a_release_without_a_shell_needs_no_activation(host: Host) -> None:
    """Since 25.08, the Python backend reads the script, and does not run it."""
    backend = host.directory.path / "runtime" / RUNTIME / "tritonserver/backends/python/libtriton_python.so"
    archive = _Archive(host)
    archive.pack(_WELL, **{"bin/activate": "false"})
    backend.write_bytes(b"\0source %s && exec env LD_LIBRARY_PATH=\0")
    assert archive.fault() != ""
    backend.write_bytes(b"\0ParseActivationScript\0")
    assert archive.fault() == ""
