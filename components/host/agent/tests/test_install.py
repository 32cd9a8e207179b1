"""Installing Triton for the process runtime, with stand-ins for Python, pip and Debian's tools."""

import json
import os
import platform
import sys
from pathlib import Path
from typing import Dict, List, Optional

import pytest
from agent.commands import run
from agent.errors import HostError
from agent.server import install as module
from stand_in_machine import Machine

VERSION = "{}.{}".format(*sys.version_info[:2])
PYTHON = str(Path(sys.executable).resolve())
REQUIREMENTS = "nvidia-pytriton==0.7.0 --hash=sha256:0\nnumpy==1.26.4 --hash=sha256:1\n"

#: An interpreter of a host: what it says of itself is in files beside it.
INTERPRETER = """#!/bin/bash
program=$(readlink -f "$0") folder=${program%/*}
case "$*" in
  "-I -c"*) cat "$folder/facts" ;;
  "-m pip --version") [ -e "$folder/has-pip" ] ;;
  */pip" --version") true ;;
  *install*)
    [ ! -e "$folder/refuses" ] || { echo "ERROR: no matching distribution"; exit 1; }
    [ ! -e "$folder/has-full-disk" ] || { echo "ERROR: [Errno 28] No space left on device" >&2; exit 1; }
    [ ! -e "$folder/tells-proxy" ] || { echo "InvalidURL: Failed to parse: $HTTPS_PROXY" >&2; exit 1; }
    printf '%s\\n' "$@" >"$folder/installed"
    [ -d "$TMPDIR" ] && echo "$TMPDIR" >"$folder/temporary"
    while [ "$1" != --target ]; do shift; done
    server=$2/pytriton/tritonserver
    mkdir -p "$server/bin" "$server/backends/python" "$2/nvidia_pytriton.libs"
    [ -e "$folder/no-stub" ] || {
      mkdir -p "$server/python_backend_stubs/STUB"
      printf '#!/bin/sh\\n' >"$server/python_backend_stubs/STUB/triton_python_backend_stub"
    }
    printf '#!/bin/sh\\n' >"$server/bin/tritonserver"
    chmod 0666 "$server/bin/tritonserver"
    ;;
  "-c import numpy")
    [ -n "$PYTHONDONTWRITEBYTECODE" ] || touch "$folder/compiles"
    [ ! -e "$folder/broken" ]
    ;;
  *) exit 3 ;;
esac
"""


#: As the loader: it finds the library once it lies where the stub looks.
LOADER = """#!/bin/bash
program=$(readlink -f "$1")
[ -e "${program%/pytriton/*}/nvidia_pytriton.libs/libpython3.11.so.1.0" ] ||
  echo "libpython3.11.so.1.0 => not found"
"""


class Interpreter:
    """A host's Python."""

    def __init__(self, machine: Machine, version: str = "3.11") -> None:
        self.folder = machine.folder / f"python{version}"
        self.folder.mkdir()
        self.path = self.folder / f"python{version}"
        self.path.write_text(INTERPRETER.replace("STUB", version))
        self.path.chmod(0o755)
        self.library = self.folder / f"libpython{version}.so.1.0"
        self.library.write_text("library")
        self.says(version)
        self.note("has-pip")

    def forget_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its library is nowhere, whatever the machine of the test has."""
        self.library.unlink()
        monkeypatch.setattr(module, "_find_library", lambda *_: None)

    def says(self, version: str) -> None:
        (self.folder / "facts").write_text(f"{version}\n{self.path}\n{self.folder}\n")

    def note(self, name: str) -> None:
        (self.folder / name).touch()


@pytest.fixture
def python(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    found = Interpreter(machine)
    monkeypatch.setattr(module, "python_candidates", lambda: [str(found.path)])
    # Libraries are where the interpreter says, or nowhere.
    machine.program("ldd", '#!/bin/sh\ncat "$MACHINE/missing" 2>/dev/null\n')
    machine.program("apt-get", "#!/bin/sh\nexit 100\n")
    machine.program("dpkg-deb", "#!/bin/sh\nexit 2\n")
    return found


def install(machine: Machine) -> None:
    run(machine.directory, "install-runtime", [], json_of(REQUIREMENTS))


def json_of(requirements: str) -> str:
    return json.dumps({"requirements": requirements})


def installed(machine: Machine) -> Path:
    runtime = machine.directory.path / "runtime"
    assert [path.name for path in runtime.iterdir() if path.name.startswith(".")] == []
    return runtime / os.readlink(runtime / "current")


def test_installs_once(machine: Machine, python: Interpreter) -> None:
    install(machine)
    runtime = installed(machine)
    assert runtime.name.startswith("triton-0.7.0-")
    assert os.readlink(runtime / "python/bin/python3") == str(python.path)
    stub = runtime / "tritonserver/backends/python/triton_python_backend_stub"
    assert os.access(stub, os.X_OK)
    assert os.access(runtime / "tritonserver/bin/tritonserver", os.X_OK)
    assert (runtime / "tritonserver/bin/tritonserver").stat().st_mode & 0o022 == 0
    assert not (runtime / "tritonserver/python_backend_stubs").exists()
    words = (python.folder / "installed").read_text().splitlines()
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(words)
    (python.folder / "installed").unlink()
    install(machine)
    assert not (python.folder / "installed").exists()


def test_has_numpy_compiled_whatever_the_environment_says(
    machine: Machine, python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    install(machine)
    assert (python.folder / "compiles").exists()


def test_other_requirements_are_another_installation(machine: Machine, python: Interpreter) -> None:
    install(machine)
    former = installed(machine)
    run(machine.directory, "install-runtime", [], json_of(REQUIREMENTS + "more==1\n"))
    assert installed(machine) != former
    assert former.is_dir()


def test_an_installation_whose_python_has_gone_is_made_again(machine: Machine, python: Interpreter) -> None:
    install(machine)
    python.note("broken")
    with pytest.raises(HostError, match="the installed Triton does not run on this host"):
        install(machine)
    (python.folder / "broken").unlink()
    install(machine)
    assert installed(machine).is_dir()


def test_what_an_interruption_has_left_goes(machine: Machine, python: Interpreter) -> None:
    runtimes = machine.directory.path / "runtime"
    (runtimes / ".staging-1/python").mkdir(parents=True)
    (runtimes / ".current.1").symlink_to("nowhere")
    install(machine)
    assert installed(machine)


def test_the_library_goes_where_the_stub_looks(machine: Machine, python: Interpreter) -> None:
    (machine.folder / "missing").write_text("\tlibpython3.11.so.1.0 => not found\n")
    with pytest.raises(HostError, match="does not run on this host"):
        install(machine)
    machine.program("ldd", LOADER)
    install(machine)
    [link] = installed(machine).rglob("libpython3.11.so.1.0")
    assert os.readlink(link) == str(python.library)


def test_pip_says_why(machine: Machine, python: Interpreter, capfd: pytest.CaptureFixture) -> None:
    python.note("refuses")
    with pytest.raises(HostError, match="pip cannot install Triton's packages"):
        install(machine)
    assert "ERROR: no matching distribution" in capfd.readouterr().err
    assert list((machine.directory.path / "runtime").iterdir()) == []


def test_pip_has_a_temporary_folder_on_the_host_s_disk(machine: Machine, python: Interpreter) -> None:
    install(machine)
    temporary = Path((python.folder / "temporary").read_text().strip())
    assert machine.directory.path in temporary.parents
    assert not temporary.exists()


def test_a_disk_without_room_for_triton_is_named(machine: Machine, python: Interpreter) -> None:
    python.note("has-full-disk")
    with pytest.raises(
        HostError, match=r"there is no space left on the disk /\S* for Triton's packages \(\d+ MB are free\)"
    ):
        install(machine)
    assert list((machine.directory.path / "runtime").iterdir()) == []


def test_the_login_of_a_proxy_is_not_printed(
    machine: Machine, python: Interpreter, capfd: pytest.CaptureFixture
) -> None:
    python.note("tells-proxy")
    machine.set("HTTPS_PROXY", "http://the-user:a-secret@127.0.0.1:9")
    with pytest.raises(HostError, match="pip cannot install Triton's packages"):
        install(machine)
    assert "InvalidURL: Failed to parse: http://***@127.0.0.1:9\n" in capfd.readouterr().err
    # pip prints one that it cannot read.
    machine.set("HTTPS_PROXY", "http://the-user:a#secret@127.0.0.1:9")
    with pytest.raises(HostError, match=r"HTTPS_PROXY of .*: http://\*\*\*@127\.0\.0\.1:9\n") as refused:
        install(machine)
    assert "secret" not in f"{refused.value}{capfd.readouterr().err}"


def test_a_package_without_a_stub_for_this_python(machine: Machine, python: Interpreter) -> None:
    python.note("no-stub")
    with pytest.raises(HostError, match=r"nvidia-pytriton 0\.7\.0 has no stub for Python 3\.11"):
        install(machine)


def test_requirements_of_something_else_are_refused(machine: Machine, python: Interpreter) -> None:
    with pytest.raises(HostError, match="do not begin with nvidia-pytriton==VERSION"):
        run(machine.directory, "install-runtime", [], json_of("numpy==1"))


def test_other_machines_have_no_package(
    machine: Machine, python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(HostError, match="no Triton package exists for aarch64"):
        install(machine)


def find(machine: Machine) -> module.HostPython:
    staging = machine.folder / "staging"
    staging.mkdir(exist_ok=True)
    return module.find_host_python(staging)


def test_uses_the_systems_python_if_it_has_everything(machine: Machine, python: Interpreter) -> None:
    found = find(machine)
    assert found == (str(python.path), "3.11", str(python.library), [str(python.path), "-m", "pip"])
    assert list((machine.folder / "staging").iterdir()) == []


def test_skips_a_candidate_that_is_not_python_or_too_old_or_too_new(
    machine: Machine, python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Interpreter(machine, "3.7"), Interpreter(machine, "3.99")
    candidates = [
        "/bin/false",
        "/nowhere/python3",
        str(old.path),
        str(new.path),
        str(python.path),
        str(python.path),
    ]
    monkeypatch.setattr(module, "python_candidates", lambda: candidates)
    assert find(machine).path == str(python.path)


#: Packages of Debian, by name: what `apt-get download` leaves and `dpkg-deb -x` unpacks.
APT = """#!/bin/bash
[ "$1" = download ] || exit 1
touch "$2_1_amd64.deb"
"""
DPKG = """#!/bin/bash
mkdir -p "$3/usr/lib" && case $2 in
  *libpython*) touch "$3/usr/lib/libpython3.11.so.1.0" ;;
  *pip*) touch "$3/usr/lib/pip-23.0-py3-none-any.whl" ;;
esac
"""


def test_fetches_a_missing_library_and_pip_without_root(
    machine: Machine, python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    python.forget_library(monkeypatch)
    (python.folder / "has-pip").unlink()
    machine.program("apt-get", APT)
    machine.program("dpkg-deb", DPKG)
    found = find(machine)
    assert found.library == str(
        machine.folder / "staging/downloads/libpython3.11/usr/lib/libpython3.11.so.1.0"
    )
    assert found.pip[1].endswith("/pip-23.0-py3-none-any.whl/pip")
    # The library of the download is copied: the download goes.
    machine.program("ldd", LOADER)
    install(machine)
    [library] = installed(machine).rglob("libpython3.11.so.1.0")
    assert not library.is_symlink()
    assert not (installed(machine) / "downloads").exists()


def test_says_what_to_type_if_nothing_helps(
    machine: Machine, python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    python.forget_library(monkeypatch)
    with pytest.raises(HostError) as raised:
        find(machine)
    assert raised.value.what.startswith(
        "this host has no Python 3.9, 3.10, 3.11 or 3.12 with its shared libpython"
    )
    assert raised.value.fix == "sudo apt-get install python3 libpython3.11 python3-pip"
    machine.program("apt-get", APT)
    with pytest.raises(HostError):
        find(machine)
    monkeypatch.setattr(module, "python_candidates", list)
    # Whatever Python tests this.
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "11", "2"))
    with pytest.raises(HostError) as raised:
        find(machine)
    assert raised.value.fix == "sudo apt-get install python3 libpython3-dev python3-pip"


@pytest.mark.parametrize("version", ["3.8.10", "3.13.5"])
def test_says_that_the_hosts_python_is_of_another_version(
    machine: Machine, python: Interpreter, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    # As on Ubuntu 20.04 and Debian 13, where apt-get has no other one.
    own = version.rpartition(".")[0]
    monkeypatch.setattr(module, "python_candidates", lambda: [str(Interpreter(machine, own).path)])
    monkeypatch.setattr(platform, "python_version_tuple", lambda: tuple(version.split(".")))
    with pytest.raises(HostError) as raised:
        find(machine)
    assert raised.value.what == (
        f"this host has no Python 3.9, 3.10, 3.11 or 3.12, which Triton's package is for, but {own}"
    )
    assert "apt-get" not in raised.value.fix
    assert "/usr/local/bin/python3.12" in raised.value.fix


def test_a_host_without_debians_tools_fetches_nothing(
    machine: Machine, python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    python.forget_library(monkeypatch)
    which: Dict[str, Optional[str]] = {}
    monkeypatch.setattr(module.shutil, "which", which.get)
    with pytest.raises(HostError):
        find(machine)
    assert not (machine.folder / "staging/downloads").exists()


def test_the_systems_own_comes_first(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    there: List[str] = ["/usr/bin/python3", "/opt/python3.9", "/usr/local/bin/python3.12"]
    monkeypatch.setattr(
        module.shutil,
        "which",
        {"/usr/bin/python3": there[0], "python3.9": there[1]}.get,
    )
    monkeypatch.setattr(module.os, "access", lambda path, _: path == there[2])
    assert module.python_candidates() == there


def test_facts_of_a_real_python() -> None:
    facts = module._inspect(PYTHON)
    if VERSION in module.SUPPORTED_PYTHONS:
        assert facts is not None
        assert facts[0] == VERSION
    else:
        assert facts is None
