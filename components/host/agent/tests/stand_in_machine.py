"""A machine that tests may change: stand-ins for the programs that change one."""

import os
import subprocess
import sys
import time
import zipapp
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from agent.directory import HostDirectory

SOURCE = Path(__file__).resolve().parent.parent

#: Settings of a server in a container, but for its image.
CONTAINER: Dict[str, Any] = {
    "kind": "container",
    "httpPort": 9000,
    "grpcPort": 9001,
    "metricsPort": 9002,
    "address": "127.0.0.1",
    "exitTimeoutSeconds": 30,
    "logMegabytes": 20,
    "loadTimeoutSeconds": 60,
}

#: A systemd that records its calls, and believes that everything it started runs.
SYSTEMCTL = """#!/bin/bash
echo "$*" >>"$MACHINE/systemctl"
[ "$1" != --user ] || shift
[ ! -e "$MACHINE/refuses-$1" ] || { printf 'Failed to %s: no room\\nSee the journal.\\n' "$1" >&2; exit 1; }
unit=${@: -1}
case $1 in
  is-active) [ -e "$MACHINE/active-$unit" ] ;;
  restart | start) touch "$MACHINE/active-$unit" ;;
  disable | stop) rm -f "$MACHINE/active-$unit" ;;
esac
"""


class Machine:
    """A host's folder, and programs that come before the real ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        # Spaces and quotes, because users have them.
        self.directory = HostDirectory(folder / "the user's host")
        for path in (folder / "programs", folder / "units", self.directory.agent.parent):
            path.mkdir(parents=True)
        self.set("PATH", f"{folder / 'programs'}:{os.environ['PATH']}")
        self.set("MACHINE", folder)
        self.set("XSCHED_TRITON_UNITS", folder / "units")
        self.set("XSCHED_TRITON_DLAMI_NVME", folder / "dlami")
        self.program("systemctl", SYSTEMCTL)

    def set(self, variable: str, value: object) -> None:
        self._monkeypatch.setenv(variable, str(value))

    def program(self, name: str, text: str) -> None:
        path = self.folder / "programs" / name
        path.write_text(text)
        path.chmod(0o755)

    def stand_in_agent(self, text: str) -> None:
        """The agent that other processes of the host call."""
        self.directory.agent.write_text(text)
        self.directory.agent.chmod(0o755)

    def install_agent(self) -> None:
        """The real one, as on a host."""

        def is_source(path: Path) -> bool:
            return path.suffix == ".py" and path.parts[0] != "tests"

        zipapp.create_archive(SOURCE, self.directory.agent, interpreter=sys.executable, filter=is_source)
        self.directory.agent.chmod(0o755)

    def start_agent(
        self, command: str, request: str, file: Path, what: str
    ) -> Tuple["subprocess.Popen[bytes]", int]:
        """A command of the real agent in a process of its own, and the process that it has started, which writes its
        number into a file.

        :param what: happens then
        """
        self.install_agent()
        process = subprocess.Popen(
            [str(self.directory.agent), command], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None
        process.stdin.write(request.encode())
        process.stdin.close()
        deadline = time.monotonic() + 120
        while not file.exists() or not file.read_text():
            assert time.monotonic() < deadline, what
            time.sleep(0.05)
        return process, int(file.read_text())

    def lines(self, name: str) -> List[str]:
        """The lines that a stand-in has written, which are gone then."""
        file = self.folder / name
        if not file.exists():
            return []
        found = file.read_text().splitlines()
        file.unlink()
        return found

    def orders(self) -> List[str]:
        """The calls of systemd since the last time, without queries."""
        return [line for line in self.lines("systemctl") if "is-active" not in line]

    def units(self) -> List[str]:
        return sorted(path.name for path in (self.folder / "units").iterdir())

    def unit(self, name: str) -> str:
        return (self.folder / "units" / name).read_text()
