"""The Triton of the process runtime, installed without root from a package with a pip requirements file."""

import hashlib
import os
import platform
import re
import shutil
from pathlib import Path
from typing import List, NamedTuple, Optional

from ..commands import Request
from ..console import progress
from ..directory import HostDirectory, point_link
from ..disk import no_space, says_full
from ..errors import HostError
from ..models.store import readable
from ..programs import call, outward_environment, require_proxies

#: nvidia-pytriton includes stubs for these, and the pinned numpy has wheels for them.
SUPPORTED_PYTHONS = ("3.9", "3.10", "3.11", "3.12")

#: Programs of an installation.
_SERVER = "tritonserver/bin/tritonserver"
_STUB = "tritonserver/backends/python/triton_python_backend_stub"
_PYTHON = "python/bin/python3"

#: Answers of an interpreter about itself. ctypes and ssl are missing from stripped-down installations; models will want
#: a whole standard library.
_FACTS = """
import ctypes, os, ssl, sys, sysconfig
print("%d.%d" % sys.version_info[:2])
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
print(sysconfig.get_config_var("LIBDIR") or "")
"""


class HostPython(NamedTuple):
    """An interpreter for Triton's Python backend."""

    path: str
    #: Such as 3.11.
    version: str
    #: The shared library of the same version.
    library: str
    #: How to call pip.
    pip: List[str]

    @property
    def library_name(self) -> str:
        return f"libpython{self.version}.so.1.0"


def install_runtime(request: Request) -> None:
    """The command `install-runtime`. Does nothing if exactly this is installed and works; never leaves half an
    installation."""
    requirements: str = request.body["requirements"].strip()
    found = re.match(r"nvidia-pytriton==([0-9][0-9A-Za-z.]*)(?:\s|$)", requirements)
    if found is None:
        raise HostError(
            "the requirements do not begin with nvidia-pytriton==VERSION",
            "pass components/server/triton-requirements.txt",
        )
    version = found.group(1)
    # The name says everything that is inside, so an installation is never changed: a running server may use it.
    digest = hashlib.sha256(f"{requirements}\n".encode()).hexdigest()[:8]
    directory = request.directory
    runtimes = directory.path / "runtime"
    runtimes.mkdir(parents=True, exist_ok=True)
    runtime = runtimes / f"triton-{version}-{digest}"
    with directory.lock("runtime"):
        for leftover in [*runtimes.glob(".staging-*"), *runtimes.glob(".current*")]:
            shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
        if not runtime_works(runtime):
            staging = runtimes / f".staging-{os.getpid()}"
            try:
                _install(directory, staging, requirements, version)
                shutil.rmtree(runtime, ignore_errors=True)
                staging.rename(runtime)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            progress(f"installed Triton in {runtime}")
        point_link(runtimes / "current", runtime.name)


def missing_libraries(program: Path) -> List[str]:
    """The shared libraries that a program needs and the loader does not find."""
    found = call(["ldd", str(program)], seconds=30)
    return [line.strip() for line in (found.out + found.err).splitlines() if "not found" in line]


def is_installed(runtime: Path) -> bool:
    """Whether the programs of an installation are there; its libraries may still be missing."""
    return all(os.access(runtime / program, os.X_OK) for program in (_SERVER, _STUB, _PYTHON))


def runtime_works(runtime: Path) -> bool:
    """The host's Python, on which an installation stands, may have gone since.

    To find out also leaves NumPy compiled. The process of each Python model imports it and may not write anything; to
    compile it anew takes longer than the rest of its start."""
    python = runtime / _PYTHON
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return (
        is_installed(runtime)
        and not missing_libraries(runtime / _STUB)
        and call([str(python), "-c", "import numpy"], seconds=60, environment=environment).ok
    )


def _install(directory: HostDirectory, staging: Path, requirements: str, version: str) -> None:
    machine = platform.machine()
    if machine != "x86_64":
        raise HostError(
            f"no Triton package exists for {machine}", "use an x86-64 host, or the container runtime"
        )
    staging.mkdir(parents=True)
    python = find_host_python(staging)
    progress(f"installing Triton (nvidia-pytriton {version}) for {python.path} (Python {python.version})")
    packages = _make_environment(staging, python)
    _install_packages(directory, staging, python, packages, requirements)
    _arrange(staging, python, packages, version)
    shutil.rmtree(staging / "downloads", ignore_errors=True)
    if not runtime_works(staging):
        for line in missing_libraries(staging / _STUB):
            progress(line)
        raise HostError(
            "the installed Triton does not run on this host (libraries that are missing are listed above)",
            "use Debian 12, Ubuntu 22.04 or newer, or the container runtime",
        )


def _make_environment(staging: Path, python: HostPython) -> Path:
    """A hand-made virtual environment, since Debian's python3 lacks ensurepip without python3-venv. The interpreter
    that Triton embeds finds it as the first python3 on PATH, so that neither PYTHONHOME nor PYTHONPATH is needed: those
    would break models with their own environment."""
    environment = staging / "python"
    packages = environment / f"lib/python{python.version}/site-packages"
    packages.mkdir(parents=True)
    (environment / "bin").mkdir()
    (environment / "bin/python3").symlink_to(python.path)
    home = Path(python.path).parent
    (environment / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = true\n", "utf-8")
    return packages


def _install_packages(
    directory: HostDirectory, staging: Path, python: HostPython, packages: Path, requirements: str
) -> None:
    file = staging / "requirements.txt"
    file.write_text(f"{requirements}\n", "utf-8")
    options = [
        *("install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps"),
        *("--only-binary=:all:", "--no-compile", "--no-warn-script-location"),
        *("--target", str(packages), "--requirement", str(file)),
    ]
    require_proxies()
    # /tmp may be small, or read-only.
    temporary = staging / "downloads/tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    # pip finds the package index in its own configuration, which may name a mirror.
    changes = {"PIP_ROOT_USER_ACTION": "ignore", "PYTHONNOUSERSITE": "1", "TMPDIR": str(temporary)}
    found = call([*python.pip, *options], environment=outward_environment(changes))
    if not found.ok:
        for line in (found.out + found.err).splitlines()[-15:]:
            progress(line)
        if says_full(found.err):
            raise no_space(directory, staging, "Triton's packages")
        raise HostError(
            "pip cannot install Triton's packages (its message is above)",
            "check that this host reaches its Python package index, or set index-url in pip's configuration",
        )


def _arrange(staging: Path, python: HostPython, packages: Path, version: str) -> None:
    """Puts the package's parts where Triton looks for them."""
    server = staging / "tritonserver"
    server.symlink_to(packages.relative_to(staging) / "pytriton/tritonserver")
    stubs = server / "python_backend_stubs"
    backend = server / "backends/python"
    stub = stubs / python.version / "triton_python_backend_stub"
    if not stub.is_file():
        raise HostError(
            f"nvidia-pytriton {version} has no stub for Python {python.version}",
            f"install one of Python {', '.join(SUPPORTED_PYTHONS)}",
        )
    # The stub is the process that runs a Python model; the wheel has one for each Python version, elsewhere.
    stub.rename(backend / stub.name)
    shutil.rmtree(stubs)
    # The wheel's files come without execute bits, or writable for everyone, depending on how it is unpacked.
    readable(staging)
    for program in (backend / stub.name, server / "bin/tritonserver"):
        program.chmod(0o755)
    # libpython goes where the stub's own RPATH looks, unless the loader finds the right one anyway.
    if any(python.library_name in line for line in missing_libraries(backend / stub.name)):
        target = packages / "nvidia_pytriton.libs" / python.library_name
        if python.library.startswith(f"{staging}/"):
            shutil.copy(python.library, target)
        else:
            target.symlink_to(python.library)


def python_candidates() -> List[str]:
    """The system's own first: it is the same on every login and is not removed by accident."""
    names = ["/usr/bin/python3", "python3", *(f"python{version}" for version in reversed(SUPPORTED_PYTHONS))]
    found = [path for path in (shutil.which(name) for name in names) if path]
    for folder in ("/usr/bin", "/usr/local/bin"):
        found += [
            path
            for path in (f"{folder}/python{version}" for version in reversed(SUPPORTED_PYTHONS))
            if os.access(path, os.X_OK)
        ]
    return found


def find_host_python(staging: Path) -> HostPython:
    """The host's interpreter with its standard library, its shared library and pip. What Debian's or Ubuntu's packages
    could add is fetched to `staging/downloads`, without root.

    :raises HostError: if there is none
    """
    candidates = python_candidates()
    tried: List[str] = []
    for fetch in (False, True):
        seen: List[str] = []
        for candidate in candidates:
            facts = _inspect(candidate)
            if facts is None or facts[1] in seen:
                continue
            version, path, folder = facts
            seen.append(path)
            library = _find_library(version, folder) or (fetch and _fetch_library(staging, version)) or None
            pip = library and (_find_pip(path) or (fetch and _fetch_pip(staging, path)))
            if library and pip:
                return HostPython(path, version, library, pip)
        tried = seen
    own = ".".join(platform.python_version_tuple()[:2])
    if not tried and own not in SUPPORTED_PYTHONS:
        # What a distribution has beside it, if anything, has other names in each.
        raise HostError(
            f"this host has no Python {', '.join(SUPPORTED_PYTHONS[:-1])} or {SUPPORTED_PYTHONS[-1]}, which Triton's "
            f"package is for, but {own}",
            "use Debian 12, Ubuntu 22.04 or 24.04, add one of these versions with its shared library as "
            f"/usr/local/bin/python{SUPPORTED_PYTHONS[-1]}, or use the container runtime",
        )
    version = Path(tried[0]).name[len("python") :] if tried else ""
    library = f"libpython{version}" if re.fullmatch(r"3\.\d+", version) else "libpython3-dev"
    raise HostError(
        f"this host has no Python {', '.join(SUPPORTED_PYTHONS[:-1])} or {SUPPORTED_PYTHONS[-1]} with its shared "
        "libpython and pip, and they cannot be fetched without root",
        f"sudo apt-get install python3 {library} python3-pip",
    )


def _inspect(candidate: str) -> "Optional[tuple[str, str, str]]":
    """Version, path and library folder of the interpreter behind a name, which may be a shim or in a virtual
    environment; None if it is no usable one."""
    found = call([candidate, "-I", "-c", _FACTS], seconds=30, cwd="/")
    lines = found.out.splitlines()
    if not found.ok or len(lines) < 2 or lines[0] not in SUPPORTED_PYTHONS:
        return None
    return lines[0], lines[1], lines[2] if len(lines) > 2 else ""


def _find_library(version: str, folder: str) -> Optional[str]:
    name = f"libpython{version}.so.1.0"
    folders = [folder, f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/local/lib"]
    found = (Path(place) / name for place in folders if place)
    return next((str(path) for path in found if path.exists()), None)


def _find_pip(python: str) -> Optional[List[str]]:
    words = [python, "-m", "pip"]
    return words if call([*words, "--version"], seconds=60, cwd="/").ok else None


def _download(staging: Path, package: str) -> Optional[Path]:
    """Unpacks a Debian package. Neither step needs root."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    progress(f"fetching the package {package}")
    folder = staging / "downloads" / package
    folder.mkdir(parents=True, exist_ok=True)
    if not call(["apt-get", "download", package], seconds=300, cwd=str(folder)).ok:
        return None
    packages = [str(path) for path in folder.glob("*.deb")]
    return folder if packages and call(["dpkg-deb", "-x", packages[0], str(folder)]).ok else None


def _fetch_library(staging: Path, version: str) -> Optional[str]:
    folder = _download(staging, f"libpython{version}")
    found = sorted(folder.rglob(f"libpython{version}.so.1.0")) if folder is not None else []
    return str(found[0]) if found else None


def _fetch_pip(staging: Path, python: str) -> Optional[List[str]]:
    folder = _download(staging, "python3-pip-whl")
    wheels = sorted(folder.rglob("pip-*.whl")) if folder is not None else []
    # pip runs straight from its wheel.
    words = [python, f"{wheels[0]}/pip"] if wheels else []
    return words if words and call([*words, "--version"], seconds=60, cwd="/").ok else None
