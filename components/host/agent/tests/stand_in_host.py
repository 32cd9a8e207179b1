"""A host with the stand-in of Triton: what a deployment has installed there, and what it then calls."""

import compileall
import contextlib
import itertools
import json
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import time
import zipapp
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from agent.commands import run
from agent.directory import HostDirectory
from agent.processes import process_ids, process_start
from agent.server.process import runtime_processes
from agent.server.record import Run, read_run
from agent.server.settings import read_settings
from agent.server.supervision import read_supervisor
from free_ports import free_ports

SOURCE = Path(__file__).resolve().parent.parent
RUNTIME = "triton-0.0.1-stand-in"
#: The interpreter itself: that of a virtual environment has to find its folder first.
PYTHON = Path(sys.executable).resolve()
#: The stand-in's program. It starts hundreds of times, so what it consists of is compiled, by `build_agent`.
STAND_IN = """\
import sys
if "--help" in sys.argv:
    print("  --http-restricted-api <string>\\n  --grpc-restricted-protocol <string>")
    sys.exit()
sys.path[:0] = {!r}
import stand_in_triton
stand_in_triton.main()
"""


def build_agent(folder: Path) -> Path:
    """The agent as it is shipped. The stand-in for Triton is beside it."""
    sources = folder / "sources"
    shutil.copytree(SOURCE / "agent", sources / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCE / "__main__.py", sources)
    # Compiled, as on a host.
    compileall.compile_dir(
        sources, quiet=1, legacy=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    zipapp.create_archive(sources, folder / "agent", interpreter=f"{PYTHON} -I")
    triton = "stand_in_triton.py"
    py_compile.compile(str(SOURCE / "tests" / triton), str(folder / f"{triton}c"), doraise=True)
    return folder / "agent"


def eventually(condition: Callable[[], Any], what: str = "") -> Any:
    """Waits for something that must come about. The time is no measure: without the fault it never runs out."""
    end = time.monotonic() + 180
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, what or "it has not come about"
        time.sleep(0.01)


def lose(folder: Path) -> None:
    """Removes a folder that somebody may be writing into."""

    def gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    eventually(gone)


class Host:
    """A host's folder and the commands of a deployment."""

    def __init__(self, path: Path, agent: Path) -> None:
        self.directory = HostDirectory(path)
        self._shipped = agent
        self._numbers = itertools.count(1)
        #: What was stored last.
        self.stored: Dict[str, Any] = {}
        self.directory.agent.parent.mkdir(parents=True)
        shutil.copy(agent, self.directory.agent)
        self.install(RUNTIME)
        http, grpc, metrics = free_ports(3)
        self.settings: Dict[str, Any] = {
            "kind": "process",
            "httpPort": http,
            "grpcPort": grpc,
            "metricsPort": metrics,
            "address": "127.0.0.1",
            "exitTimeoutSeconds": 5,
            "drainSeconds": 0,
            "logMegabytes": 2,
            "loadTimeoutSeconds": 60,
            "schedulerRequired": "never",
            "arguments": [],
        }

    def install(self, runtime: str) -> None:
        """The stand-in, as `install-runtime` leaves Triton."""
        folder = self.directory.path / "runtime" / runtime
        programs = folder / "tritonserver/bin"
        programs.mkdir(parents=True)
        (folder / "py").mkdir()
        # The name of the process that answers must be Triton's, below this folder.
        for name in ("tritonserver", "triton_python_backend_stub"):
            shutil.copy(PYTHON, folder / "py" / name)
        (folder / "python/bin").mkdir(parents=True)
        (folder / "python/bin/python3").symlink_to(PYTHON)
        text = STAND_IN.format([str(self._shipped), str(self._shipped.parent)])
        program = programs / "tritonserver"
        if " " in str(folder):
            (folder / "py/server.py").write_text(text, "utf-8")
            words = '"${0%/*}/../../py/tritonserver" -ISB "${0%/*}/../../py/server.py" "$@"'
            program.write_text(f"#!/bin/sh\nexec {words}\n", "utf-8")
        else:
            program.write_text(f"#!{folder}/py/tritonserver -ISB\n{text}", "utf-8")
        program.chmod(0o755)
        backend = folder / "tritonserver/backends/python"
        backend.mkdir(parents=True)
        (backend / "triton_python_backend_stub").symlink_to(PYTHON)
        current = self.directory.path / "runtime/current"
        if current.is_symlink():
            current.unlink()
        current.symlink_to(runtime)

    def run(self, command: str, *words: str, body: Optional[Any] = None) -> Any:
        """Runs a command in this process."""
        return run(self.directory, command, list(words), "" if body is None else json.dumps(body))

    def spawn(self, command: str, *words: str, body: Optional[Any] = None) -> "subprocess.Popen[bytes]":
        """Starts a command as a deployment does."""
        process = subprocess.Popen(
            [str(self.directory.agent), command, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(b"" if body is None else json.dumps(body).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def start(self, *stand_in: str, **changes: Any) -> Any:
        arguments = [f"--stand-in={','.join(stand_in)}"] if stand_in else []
        return self.run("start", body={**self.settings, "arguments": arguments, **changes})

    def store(
        self, name: str, behaviour: Optional[Dict[str, Any]] = None, config: str = ""
    ) -> Dict[str, Any]:
        """Stores a new state of a model; returns what `serve` is told of it."""
        number = next(self._numbers)
        source = self.directory.path.parent / f"source-{number}"
        (source / "1").mkdir(parents=True)
        (source / "1/behaviour.json").write_text(json.dumps(behaviour or {}), "utf-8")
        body = {
            "model": name,
            "digest": f"digest-{number}",
            "filesDigest": f"{number}",
            "source": str(source),
            "config": config or f'name: "{name}"\n',
        }
        self.stored = body
        self.run("store", body=body)
        return {"name": name, "digest": body["digest"]}

    def serve(self, *models: Dict[str, Any]) -> Any:
        return self.run("serve", body={"models": list(models)})

    @property
    def triton(self) -> Any:
        settings = read_settings(self.directory)
        assert settings is not None
        return settings.triton(self.directory)

    def infer(self, model: str) -> bool:
        return bool(self.triton.request("POST", f"/v2/models/{model}/infer", body="{}").ok)

    def ready(self, *models: str) -> bool:
        return all(self.triton.ready(model) for model in models)

    @property
    def phase(self) -> str:
        found = read_run(self.directory)
        return found.phase if found is not None else ""

    @property
    def run_record(self) -> Run:
        found = read_run(self.directory)
        assert found is not None
        return found

    @property
    def servers(self) -> List[int]:
        return runtime_processes(self.directory, "tritonserver")

    @property
    def server_pid(self) -> int:
        [pid] = self.servers
        return pid

    @property
    def supervisor_pid(self) -> int:
        found = read_supervisor(self.directory)
        assert found is not None
        return found.pid

    @property
    def log(self) -> str:
        logs = self.directory.server / "logs"
        names = ("triton.log.1", "triton.log")
        return "".join(
            (logs / name).read_text("utf-8", "replace") for name in names if (logs / name).exists()
        )

    def aside(self) -> List[str]:
        return [model["name"] for model in self.run("status")["models"] if model["setAside"]]

    def kill_server(self) -> None:
        """Ends the server as a fault would, and waits until it serves again."""
        pid = self.server_pid
        number = self.run_record.number
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.run_record.number > number and self.phase == "serving", "it serves again")

    def kill_supervisor(self) -> None:
        pid = self.supervisor_pid
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: process_start(pid) is None)

    def clean(self) -> None:
        """Ends whatever a test has left. Only what is of this folder."""
        marks = os.fsencode(str(self.directory.path))
        for _ in range(100):
            found = runtime_processes(self.directory)
            for pid in process_ids():
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    if any(word.startswith(marks + b"/bin/agent") for word in words):
                        found.append(pid)
            found = [pid for pid in found if process_start(pid) is not None]
            if not found:
                return
            for pid in found:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
