"""The store of models, what is wrong with a host, and its removal."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict

import pytest
from agent.commands import main, run
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.inspection import find_faults
from agent.models import store as module
from agent.models.store import damaged
from agent.models.wanted import Wanted, write_wanted
from agent.repairs import note_repair, read_tokens
from agent.server.supervision import read_supervisor
from stand_in_host import Host, eventually


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A model as a user has it, with what tools leave."""
    folder = tmp_path / "a user's model"
    for path, text in {
        "1/model.py": "print()",
        "1/__pycache__/model.cpython-311.pyc": "bytecode",
        ".DS_Store": "finder",
        ".git/config": "git",
        "1/.model.py.swp": "vim",
        "1/model.py~": "emacs",
        "2/.ipynb_checkpoints/x": "notebook",
        "2/model.py": "print()",
        "config.pbtxt": "the user's own",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "labels.txt").symlink_to(folder / "1/model.py")
    (folder / "1/.#model.py").symlink_to("somebody@somewhere.1:2")
    (folder / "1/model.py").chmod(0o600)
    return folder


def put(
    directory: HostDirectory, folder: object, digest: str = "d1", files: str = "f1", **changes: Any
) -> Path:
    body = {"model": "scale", "digest": digest, "filesDigest": files, "source": str(folder), "config": "ours"}
    body.update(changes)
    run(directory, "store", [], json.dumps(body))
    return directory.store / "scale" / digest


def test_a_stub_of_the_models_own_can_be_executed(directory: HostDirectory, source: Path) -> None:
    stub = source / "triton_python_backend_stub"
    stub.write_text("stub")
    # As it comes from S3.
    stub.chmod(0o600)
    entry = put(directory, source)
    assert (entry / stub.name).stat().st_mode & 0o777 == 0o755
    assert (entry / "config.pbtxt").stat().st_mode & 0o777 == 0o644


def test_stores_what_is_part_of_the_model(directory: HostDirectory, source: Path) -> None:
    (directory.path / "uploads/scale").mkdir(parents=True)
    entry = put(directory, source)
    found = sorted(str(path.relative_to(entry)) for path in entry.rglob("*") if path.is_file())
    assert found == ["1/model.py", "2/model.py", "config.pbtxt", "labels.txt"]
    assert (entry / "config.pbtxt").read_text() == "ours"
    assert not (entry / "labels.txt").is_symlink()
    assert (entry / "1/model.py").stat().st_mode & 0o777 == 0o644
    assert not (directory.path / "uploads").exists()
    assert not damaged(entry)


def test_an_ensemble_gets_the_version_folder_that_git_does_not_keep(
    directory: HostDirectory, tmp_path: Path
) -> None:
    folder = tmp_path / "ensemble"
    folder.mkdir()
    (folder / "config.pbtxt").write_text("theirs")
    entry = put(directory, folder)
    assert [path.name for path in sorted(entry.iterdir())] == ["1", "config.pbtxt"]
    assert not list((entry / "1").iterdir())
    assert not damaged(entry)


def test_another_configuration_costs_no_second_copy(directory: HostDirectory, source: Path) -> None:
    first = put(directory, source)
    inode = (first / "1/model.py").stat().st_ino
    shutil.rmtree(source)
    second = put(directory, source, "d2", config="theirs")
    assert (second / "1/model.py").stat().st_ino == inode
    # What nobody serves has gone.
    assert not first.exists()
    (directory.repository / "scale").symlink_to("../store/scale/d2")
    put(directory, source, "d3")
    assert second.is_dir()


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: (entry / "1/model.py").write_text("print('mine')"),
        lambda entry: (entry / "1/model.py").unlink(),
        lambda entry: (entry / "1/more.py").write_text(""),
        # As long as before.
        lambda entry: (entry / "config.pbtxt").write_text("OURS"),
    ],
    ids=["changed", "removed", "added", "config"],
)
def test_what_was_changed_is_noticed_and_put_right(
    directory: HostDirectory, source: Path, change: Any, capfd: pytest.CaptureFixture
) -> None:
    entry = put(directory, source)
    (directory.repository / "scale").symlink_to("../store/scale/d1")
    assert find_faults(directory).keys() == {"server", "models"}
    change(entry)
    assert find_faults(directory)["model:scale"] == "the stored model scale has been changed on the host"
    put(directory, source)
    assert "has changed since it was stored; storing it again" in capfd.readouterr().err
    assert not damaged(entry)
    assert (entry / "1/model.py").read_text() == "print()"
    assert (entry / "config.pbtxt").read_text() == "ours"
    assert "model:scale" not in find_faults(directory)


@pytest.mark.parametrize(
    "change",
    [shutil.rmtree, lambda files: (files / "1/model.py").unlink()],
    ids=["all", "one"],
)
def test_files_that_the_next_configuration_needs_are_missed(
    directory: HostDirectory, source: Path, change: Any
) -> None:
    entry = put(directory, source)
    (directory.repository / "scale").symlink_to("../store/scale/d1")
    change(directory.store / "scale/files-f1")
    assert not damaged(entry)
    assert find_faults(directory)["model:scale"].startswith("the files of the model scale are gone")
    put(directory, source)
    assert "model:scale" not in find_faults(directory)
    # What serves has not been touched.
    assert entry.is_dir()
    put(directory, "/gone", "d2")


def test_a_configuration_that_was_loaded_and_bytecode_are_no_change(
    directory: HostDirectory, source: Path
) -> None:
    entry = put(directory, source)
    (entry / "config.pbtxt").touch()
    (entry / "1/__pycache__").mkdir()
    (entry / "1/__pycache__/model.pyc").write_text("bytecode")
    (entry / "1/.nfs00000001").write_text("in use")
    assert not damaged(entry)


def test_what_an_interruption_has_left_goes(directory: HostDirectory, source: Path) -> None:
    (directory.store / "scale/.staging-1/1").mkdir(parents=True)
    (directory.store / "scale/old").mkdir()
    (directory.store / "scale/files-f0.objects").touch()
    (directory.store / "scale/.d0.restored").touch()
    put(directory, source)
    names = sorted(path.name for path in (directory.store / "scale").iterdir())
    assert names == [".d1.manifest", ".files-f1.manifest", "d1", "files-f1"]


def test_an_entry_without_a_manifest_counts_as_whole(directory: HostDirectory, source: Path) -> None:
    entry = put(directory, source)
    (directory.store / "scale/.d1.manifest").unlink()
    assert not damaged(entry)
    put(directory, source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "/nowhere"}, "the source of the model scale is not a folder: /nowhere"),
        ({"source": "s3://bucket/x"}, "the files of the model scale are no longer on this host"),
        ({"model": "../x"}, "is not a model name"),
        ({"digest": ".."}, "is not a digest"),
    ],
)
def test_what_cannot_be_stored_is_named(
    directory: HostDirectory, source: Path, change: Dict[str, Any], message: str
) -> None:
    with pytest.raises(HostError, match=message):
        put(directory, source, **change)
    assert not (directory.store / "scale").exists()


def test_a_link_that_leads_nowhere_is_named(directory: HostDirectory, source: Path) -> None:
    (source / "1/weights").symlink_to("/nowhere/at/all")
    with pytest.raises(HostError, match=r"cannot copy the model scale: .*1/weights") as raised:
        put(directory, source)
    assert "weights" in str(raised.value)
    assert not (directory.store / "scale").exists()


def test_a_full_disk_leaves_nothing_half_done(
    directory: HostDirectory, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = put(directory, source)
    (directory.repository / "scale").symlink_to("../store/scale/d1")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copytree", full)
    with pytest.raises(HostError, match="space left on"):
        put(directory, source, "d2", "f2")
    assert sorted(path.name for path in (directory.store / "scale").iterdir() if path.name[0] != ".") == [
        "d1",
        "files-f1",
    ]
    assert former.is_dir()


def test_nothing_is_wrong_with_an_empty_folder(directory: HostDirectory) -> None:
    assert run(directory, "inspect", []) == {"repairs": {}}


@pytest.mark.parametrize("lost", ["settings.json", "."])
def test_a_lost_record_of_the_server_is_noticed(directory: HostDirectory, lost: str) -> None:
    directory.repository.mkdir(parents=True)
    (directory.repository / "scale").symlink_to("../store/scale/1")
    if lost == ".":
        directory.models.mkdir(exist_ok=True)
        write_wanted(directory, [Wanted("scale", "1")])
    else:
        directory.server.mkdir()
    faults = find_faults(directory)
    assert faults["server"] == "the record of the server is lost"
    assert faults["model:scale"] == "the stored model scale is gone from the host"


def test_faults_of_a_host_that_serves(host: Host) -> None:
    host.start()
    scale, other = host.store("scale"), host.store("other")
    host.serve(scale, other)
    assert find_faults(host.directory) == {}
    link = host.directory.repository / "other"
    target = os.readlink(link)
    link.unlink()
    assert find_faults(host.directory) == {"models": "the model other is not in the repository any more"}
    link.symlink_to("../store/other/another")
    assert "in the repository with another state" in find_faults(host.directory)["models"]
    link.unlink()
    link.symlink_to(target)
    (host.directory.repository / "more").symlink_to("../store/more/1")
    assert "the model more is in the repository with another state" in find_faults(host.directory)["models"]
    (host.directory.repository / "more").unlink()
    with host.directory.agent.open("ab") as agent:
        agent.write(b" ")
    assert find_faults(host.directory)["server"] == "the server's supervisor is another program"
    host.kill_supervisor()
    assert find_faults(host.directory)["server"] == "the server's supervisor does not run"
    host.run("drain", "5")
    faults = find_faults(host.directory)
    assert faults == {"server": "the server does not run", "models": "models have to be served again"}
    host.start()
    host.serve(scale, other)
    assert find_faults(host.directory) == {}


@pytest.mark.parametrize("lost", ["tritonserver", "python/bin/python3"])
def test_an_installation_that_is_gone_is_noticed_and_touches_no_server(host: Host, lost: str) -> None:
    host.start()
    scale = host.store("scale")
    host.serve(scale)
    pid = host.server_pid
    runtime = host.directory.path / "runtime"
    [installed] = runtime.glob("triton-*")
    place = installed / lost
    place.rename(runtime / "aside")
    assert set(find_faults(host.directory)) == {"runtime"}
    (runtime / "aside").rename(place)
    host.start()
    assert find_faults(host.directory) == {}
    assert host.server_pid == pid


def test_a_folder_that_was_moved_while_the_server_runs_is_noticed(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.start()
    host.serve(host.store("scale"))
    former = host.directory
    host.directory = HostDirectory(former.path.rename(tmp_path / "elsewhere"))
    monkeypatch.setattr("sys.argv", [str(host.directory.agent)])
    assert "has been moved" in find_faults(host.directory)["server"]
    # The supervisor leaves when it finds its folder gone; the server runs on. A link where it was is as good.
    eventually(lambda: read_supervisor(host.directory) is None, "the supervisor leaves")
    former.path.symlink_to(host.directory.path)
    pid = host.server_pid
    host.start()
    assert find_faults(host.directory) == {}
    assert host.server_pid == pid
    former.path.unlink()
    # The stand-in's program names its folder.
    [installed] = (host.directory.path / "runtime").glob("triton-*")
    shutil.rmtree(installed)
    host.install(installed.name)
    host.start()
    assert host.server_pid != pid
    assert host.ready("scale")
    assert find_faults(host.directory) == {}


@pytest.mark.parametrize("change", [lambda key: key.unlink(), lambda key: key.write_text("mine\n")])
def test_a_key_to_the_servers_control_that_is_lost_is_made_again(host: Host, change: Any) -> None:
    host.start()
    scale = host.store("scale")
    host.serve(scale)
    change(host.directory.server / "control-key")
    assert "the key to the server's control is lost" in find_faults(host.directory)["server"]
    host.start()
    host.serve(scale, host.store("other"))
    assert host.ready("scale", "other")
    assert find_faults(host.directory) == {}


def test_a_repair_is_told_apart_from_the_next(directory: HostDirectory) -> None:
    directory.server.mkdir()
    token = run(directory, "inspect", [])["repairs"]["server"]
    assert run(directory, "inspect", [])["repairs"]["server"] == token
    note_repair(directory, "server", token)
    assert run(directory, "inspect", [])["repairs"]["server"] != token
    (directory.path / "repairs.json").write_text("[")
    assert read_tokens(directory) == {}


def test_a_command_notes_what_it_repairs(directory: HostDirectory, capfd: pytest.CaptureFixture) -> None:
    directory.agent.parent.mkdir()
    assert main([str(directory.agent), "stop", "--repair=server=abc", "--repair=models=def"]) == 0
    assert read_tokens(directory) == {"server": "abc", "models": "def"}


def test_what_the_system_refuses_is_an_error_with_a_name(
    directory: HostDirectory, capfd: pytest.CaptureFixture
) -> None:
    directory.agent.parent.mkdir()
    (directory.path / "locks").write_text("not a folder")
    assert main([str(directory.agent), "stop"]) == 1
    out = capfd.readouterr().err
    assert out.startswith("error: ")
    assert str(directory.path / "locks") in out
    assert "Traceback" not in out


def test_removes_what_was_made_and_nothing_else(
    directory: HostDirectory, capfd: pytest.CaptureFixture
) -> None:
    for name in ("bin", "models", "locks", "server", "runtime"):
        (directory.path / name / "deep").mkdir(parents=True)
    (directory.path / "images").touch()
    # Of commands that were killed while they wrote.
    (directory.path / ".repairs.json.x1_y2z3w").touch()
    (directory.path / "..xsched-triton.json.x1_y2z3w").touch()
    (directory.path / "mine").touch()
    run(directory, "remove", [])
    assert [path.name for path in directory.path.iterdir()] == ["mine"]
    assert "it holds files that are not ours" in capfd.readouterr().err
    (directory.path / "mine").unlink()
    run(directory, "remove", [])
    assert not directory.path.exists()
    for command in ("remove", "stop", "unserve"):
        run(directory, command, [])
    run(directory, "remove-model", ["scale"])


def test_what_cannot_be_removed_is_named(directory: HostDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory.path / "models").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(HostError, match=r"cannot remove .*models: Permission denied"):
        run(directory, "remove", [])


def test_a_folder_whose_server_runs_is_not_removed(host: Host) -> None:
    host.start()
    with pytest.raises(HostError, match="a Triton server is still deployed"):
        host.run("remove")


def test_an_agent_that_was_edited_is_noticed(directory: HostDirectory) -> None:
    directory.agent.parent.mkdir(parents=True)
    directory.agent.write_bytes(b"installed")
    assert "agent" not in find_faults(directory)
    digest = hashlib.sha256(b"installed").hexdigest()
    directory.agent.with_name("agent.sha256").write_text(f"{digest}  agent\n")
    assert "agent" not in find_faults(directory)
    directory.agent.write_bytes(b"edited")
    assert find_faults(directory)["agent"] == "the agent has been changed on the host"
