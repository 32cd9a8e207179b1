"""Units of systemd that belong to one host folder, and how they supervise its server."""

import os
import pwd
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import List, Optional, Sequence

from .directory import HostDirectory, write_file
from .errors import HostError
from .programs import Finished, call

#: Where systemd looks for what this machine's administrators add; tests have a folder of their own.
UNITS = "XSCHED_TRITON_UNITS"
#: Exists while systemd is the machine's init: https://www.freedesktop.org/software/systemd/man/sd_booted.html
SYSTEMD = "XSCHED_TRITON_SYSTEMD"


def user_name(uid: int) -> str:
    """The name of a user, or the number of one who has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def as_root(words: Sequence[str], *, text: Optional[str] = None) -> Finished:
    """Runs a program as root, without asking anybody for a password."""
    return call([*([] if os.geteuid() == 0 else ["sudo", "-n"]), *words], text=text)


def may_become_root() -> bool:
    return as_root(["true"]).ok


def require_root() -> None:
    if not may_become_root():
        user = user_name(os.geteuid())
        raise HostError(
            f"{user} may not become root on this host", f"allow {user} to use sudo without a password"
        )


def unit_name(directory: HostDirectory, name: str) -> str:
    return f"xsched-triton-{directory.identity}-{name}.service"


def unit_value(text: str) -> str:
    """A text as the value of a setting: systemd expands what follows a percent sign."""
    return text.replace("%", "%%")


def unit_word(text: str) -> str:
    """A text as one word of a command."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{unit_value(escaped)}"'


def unit_text(
    description: str, words: Sequence[str], *, unit: Sequence[str], service: Sequence[str], target: str
) -> str:
    """A unit that runs a command. `unit` and `service` are further lines of these sections."""
    # systemd refuses a program whose path has quotes; an argument of env may have any character.
    command = " ".join(["/usr/bin/env", *map(unit_word, words)])
    return "\n".join(
        [
            *["[Unit]", f"Description=xsched-triton: {unit_value(description)}", *unit, ""],
            *["[Service]", f"ExecStart={command}", *service, ""],
            *["[Install]", f"WantedBy={target}", ""],
        ]
    )


class Systemd(ABC):
    """A manager of units."""

    #: What a unit is started with when the machine boots.
    target: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def control(self, words: Sequence[str]) -> Finished:
        """Runs systemctl with these words, as somebody who may change units."""

    @abstractmethod
    def write(self, path: Path, text: str) -> None: ...

    @abstractmethod
    def delete(self, path: Path) -> None: ...

    @abstractmethod
    def is_active(self, unit: str) -> bool: ...

    def order(self, *words: str) -> None:
        """Tells systemd to do something that must succeed."""
        finished = self.control(words)
        if not finished.ok:
            # Its further lines say where to look.
            reason = (finished.err.strip() or finished.reason).splitlines()[0]
            raise HostError(
                f"systemd refuses '{' '.join(words)}': {reason}",
                "see 'journalctl -u \"xsched-triton-*\"' on the host",
            )

    def is_installed(self, unit: str) -> bool:
        return (self.folder / unit).exists()

    def enable(self, unit: str, text: str) -> bool:
        """Puts a unit in place; returns whether it has to be started. One that ran with another text does not any more:
        after an interruption at any point, the next attempt finds it stopped and does the rest."""
        path = self.folder / unit
        try:
            present = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            present = None
        if present == text and self.is_active(unit):
            return False
        if present is not None and present != text:
            self.control(["disable", "--quiet", "--now", unit])
        if present != text:
            self.write(path, text)
        self.order("daemon-reload")
        self.order("enable", "--quiet", unit)
        return True

    def install(self, unit: str, text: str) -> None:
        """Enables a unit, and starts it unless it runs with just this text."""
        if self.enable(unit, text):
            self.order("restart", unit)

    def remove(self, unit: str) -> None:
        if not self.is_installed(unit):
            return
        self.control(["disable", "--quiet", "--now", unit])
        self.delete(self.folder / unit)
        self.order("daemon-reload")


class MachineSystemd(Systemd):
    """The machine's own. Root decides."""

    target = "multi-user.target"

    def __init__(self) -> None:
        super().__init__(Path(os.environ.get(UNITS, "/etc/systemd/system")))

    def control(self, words: Sequence[str]) -> Finished:
        return as_root(["systemctl", *words])

    def write(self, path: Path, text: str) -> None:
        written = as_root(["tee", str(path)], text=text)
        if not written.ok:
            raise HostError(f"cannot write {path}: {written.reason}", "make room on the disk of this host")

    def delete(self, path: Path) -> None:
        as_root(["rm", "-f", str(path)])

    def is_active(self, unit: str) -> bool:
        return call(["systemctl", "is-active", "--quiet", unit]).ok


class UserSystemd(Systemd):
    """The one of the user who runs this. It ends with the user's last session, unless the user lingers."""

    target = "default.target"

    def __init__(self) -> None:
        super().__init__(Path("~/.config/systemd/user").expanduser())

    def control(self, words: Sequence[str]) -> Finished:
        # A session without a terminal may lack the address of the user's systemd.
        runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
        return call(["systemctl", "--user", *words], environment={**os.environ, "XDG_RUNTIME_DIR": runtime})

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text)

    def delete(self, path: Path) -> None:
        path.unlink()

    def is_active(self, unit: str) -> bool:
        return self.control(["is-active", "--quiet", unit]).ok

    def lingers(self) -> bool:
        """Whether it runs from boot to shutdown, and answers."""
        user = user_name(os.geteuid())
        shown = call(["loginctl", "show-user", user, "--property=Linger"], seconds=10)
        return shown.ok and shown.out.strip() == "Linger=yes" and self.control(["show-environment"]).ok


class Supervision(ABC):
    """What keeps a supervisor of a folder running, of its server or of its gateway."""

    @abstractmethod
    def install(self, words: List[str]) -> None:
        """The supervisor is this command from now on, also after a boot. It is not started now; one that runs another
        command ends, without its server."""

    @abstractmethod
    def start(self) -> None:
        """The supervisor runs. Does nothing if it does already."""

    @abstractmethod
    def stop(self) -> None:
        """The supervisor has ended, until it is started or the machine is. Does nothing if there is none."""

    @abstractmethod
    def restart(self) -> None:
        """Another supervisor runs. The server runs on, and is that one's then."""

    @abstractmethod
    def remove(self) -> None:
        """Undoes `install`. Does nothing if there is nothing."""

    @abstractmethod
    def running(self) -> bool: ...


class UnitSupervision(Supervision):
    """By a unit with the name of what is supervised."""

    def __init__(self, directory: HostDirectory, systemd: Systemd, name: str) -> None:
        self._directory = directory
        self._name = name
        self.systemd = systemd
        self.unit = unit_name(directory, name)

    def _order(self) -> List[str]:
        """What the unit waits for."""
        return []

    def _identity(self) -> List[str]:
        """As whom it runs."""
        return []

    def text(self, words: Sequence[str]) -> str:
        return unit_text(
            f"{self._name} of {self._directory.path}",
            words,
            # However often it ends: a supervisor that systemd gives up serves nobody.
            unit=[*self._order(), "StartLimitIntervalSec=0"],
            service=[
                *self._identity(),
                # The server runs on while its supervisor is replaced, and the supervisor when the kernel ends a server
                # that takes all memory.
                *["KillMode=process", "OOMPolicy=continue"],
                *["Restart=always", "RestartSec=2"],
            ],
            target=self.systemd.target,
        )

    def install(self, words: List[str]) -> None:
        self.systemd.enable(self.unit, self.text(words))

    def start(self) -> None:
        self.systemd.order("start", self.unit)

    def stop(self) -> None:
        if self.systemd.is_installed(self.unit):
            self.systemd.order("stop", self.unit)

    def restart(self) -> None:
        self.systemd.order("restart", self.unit)

    def remove(self) -> None:
        self.systemd.remove(self.unit)

    def running(self) -> bool:
        return self.systemd.is_active(self.unit)

    def installed(self) -> bool:
        return self.systemd.is_installed(self.unit)

    @abstractmethod
    def permitted(self) -> bool:
        """Whether this user may have such a unit."""


class SystemUnit(UnitSupervision):
    """A unit of the machine."""

    def __init__(self, directory: HostDirectory, name: str = "server") -> None:
        super().__init__(directory, MachineSystemd(), name)

    def _order(self) -> List[str]:
        # An instance store is mounted by "boot", and one of the runtimes needs Docker. No "Wants": a network that never
        # counts as online must not hold up a start.
        return [f"After=network-online.target docker.service {unit_name(self._directory, 'boot')}"]

    def _identity(self) -> List[str]:
        return [f"User={user_name(self._directory.path.stat().st_uid)}"]

    def permitted(self) -> bool:
        return may_become_root()


class UserUnit(UnitSupervision):
    """A unit of the user who owns the folder."""

    systemd: UserSystemd

    def __init__(self, directory: HostDirectory, name: str = "server") -> None:
        super().__init__(directory, UserSystemd(), name)

    def permitted(self) -> bool:
        return self._directory.path.stat().st_uid == os.geteuid() and self.systemd.lingers()


def systemd_runs() -> bool:
    """Whether this machine's init is systemd."""
    return (
        Path(os.environ.get(SYSTEMD, "/run/systemd/system")).is_dir()
        and shutil.which("systemctl") is not None
    )


def choose(directory: HostDirectory, name: str = "server") -> Optional[Supervision]:
    """What keeps the supervisor of this name running on this machine; None if systemd cannot. What is installed stays
    the choice, whatever the user may do today: two supervisors would fight over one server."""
    if not systemd_runs():
        return None
    choices: List[UnitSupervision] = [SystemUnit(directory, name), UserUnit(directory, name)]
    for choice in choices:
        if choice.installed():
            return choice
    for choice in choices:
        if choice.permitted():
            return choice
    return None
