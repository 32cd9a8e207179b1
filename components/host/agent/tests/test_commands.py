"""How a command is called, and what it answers."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest
from agent import commands
from agent.commands import Request, main, run
from agent.directory import HostDirectory
from agent.errors import HostError

SOURCE = Path(commands.__file__).parent


def test_the_zipapp_answers_with_its_folder(directory: HostDirectory) -> None:
    program = directory.path / "bin/agent"
    program.parent.mkdir()
    staging = directory.path / "staging"
    staging.mkdir()
    shutil.copytree(SOURCE, staging / "agent")
    shutil.copy(SOURCE.parent / "__main__.py", staging)
    zipapp.create_archive(staging, program, interpreter=sys.executable + " -I")
    finished = subprocess.run([str(program), "probe"], stdout=subprocess.PIPE, text=True, check=True)
    marker, _, result = finished.stdout.strip().partition(" ")
    assert marker == "xsched-triton-result"
    facts = json.loads(result)
    assert facts["directory"] == str(directory.path)
    assert set(facts) == {"directory", "os", "arch", "glibc", "python", "gpus", "docker"}


def test_the_zipapps_children_know_nothing_of_a_logins_python(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    (staging / "agent").mkdir(parents=True)
    # In place of the commands: what a child of theirs finds.
    (staging / "agent/commands.py").write_text(
        "import subprocess, sys\n"
        "def main(_):\n"
        "    return subprocess.run([sys.executable, '-c', 'import encodings']).returncode\n"
    )
    shutil.copy(SOURCE.parent / "__main__.py", staging)
    program = tmp_path / "program"
    zipapp.create_archive(staging, program, interpreter=sys.executable + " -I")
    environment = {**os.environ, "PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent"}
    subprocess.run([str(program)], env=environment, check=True)


def test_unknown_and_missing_commands_are_named(capsys: pytest.CaptureFixture) -> None:
    assert main(["/opt/x/bin/agent", "dance"]) == 1
    assert "error: there is no command 'dance'\nfix: use one of: " in capsys.readouterr().err
    assert main(["/opt/x/bin/agent"]) == 1
    assert "error: no command is given" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_input_that_is_no_object_is_refused(directory: HostDirectory, text: str) -> None:
    with pytest.raises(HostError, match="standard input is not"):
        _ = Request(directory, [], text).body


def test_missing_words_are_named(directory: HostDirectory) -> None:
    with pytest.raises(HostError, match="the model name is missing"):
        Request(directory, []).word(0, "model name")


def test_every_command_exists(directory: HostDirectory) -> None:
    for name in commands.COMMANDS:
        module, function = commands.COMMANDS[name].split(":")
        assert (SOURCE / f"{module.replace('.', '/')}.py").exists() or (
            SOURCE / module / "__init__.py"
        ).exists(), name
        assert function


def test_probe_runs_in_process(directory: HostDirectory) -> None:
    assert run(directory, "probe", [])["arch"]


def test_a_full_disk_is_an_error_of_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "state"))

    monkeypatch.setattr(commands, "run", full)
    assert main([str(tmp_path / "bin/agent"), "probe"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"error: there is no space left on the disk /\S* for the command probe \(\d+ MB are free\)", said[-2]
    )
    assert said[-1].startswith("fix: free some space on /")


def test_a_read_only_file_system_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path / "locks/server"))

    monkeypatch.setattr(commands, "run", refuse)
    assert main([str(tmp_path / "bin/agent"), "start"]) == 1
    assert re.match(
        rf"error: the file system /\S* is read-only, so the command start cannot write to {tmp_path}/locks/server"
        r"\nfix: mount it for writing \(sudo mount -o remount,rw /\S*\); .* dmesg says which",
        capsys.readouterr().err,
    )


def test_a_disk_quota_is_one_too_and_another_fault_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def failed(number: int) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(commands, "run", fail)

    failed(errno.EDQUOT)
    assert main([str(tmp_path / "bin/agent"), "probe"]) == 1
    said = capsys.readouterr().err
    assert re.match(
        r"error: the quota of \S+ on the disk /\S* leaves no room for the command probe \(\d+ MB are free for others\)"
        r"\nfix: raise it \(sudo edquota ",
        said,
    )
    failed(errno.EIO)
    assert main([str(tmp_path / "bin/agent"), "probe"]) == 1
    assert capsys.readouterr().err.startswith("error: Input/output error\nfix: ")
