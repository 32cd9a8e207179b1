"""Whether the process in which a model's Python code is to run can start at all.

Up to 25.07, Triton's Python backend starts it with a shell and waits for its first message, without end. If the shell
or the dynamic linker gives up before, the load hangs, and only the end of the server ends it (seen with r24.10). Later
ones wait for 10 s and do not say what is wrong. So what a model brings for that process is tried before.
"""

import contextlib
import re
import shlex
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional

from ..directory import write_file
from ..models.store import STUB
from ..programs import TIMED_OUT, Finished

#: Seconds to unpack an environment, and for the start. A slow one proves nothing, and the load decides.
_UNPACK_SECONDS = 240
_SECONDS = 60
#: What tar prints last of an archive that is none or ends too soon, and what is no reason.
_FATAL = "Error is not recoverable: exiting now"
_NO_FAULT = "^$|Not found in archive|Exiting with failure|Skipping to next header|Child returned status"
#: Printed where an archive cannot be unpacked, when there is an environment, and when it is active.
_UNREADABLE = "xsched-triton: unreadable"
_FOUND = "xsched-triton: found"
_ACTIVE = "xsched-triton: active"
_ENVIRONMENT = re.compile(
    r"""key\s*:\s*["']EXECUTION_ENV_PATH["']\s*[,;]?\s*value\s*:?\s*[{<]\s*string_value\s*:\s*["']([^"'\\]*)["']"""
)
#: What the start itself needs of an environment in an archive, which has gigabytes of packages as well.
_STARTING_PART = [
    f"{root}{path}"
    for root in ("", "./")
    for path in ("bin/activate*", "etc/conda/*", "lib/libpython*", "lib/libstdc++*", "lib/libgcc_s*")
]


class Place(NamedTuple):
    """Where tritonserver runs."""

    #: Runs a Bash script as tritonserver would: the script, and the most seconds.
    run: Callable[[str, float], Finished]
    #: The folder of the Python backend there.
    backend: str
    #: Names the release: an environment may fit one and not the next.
    release: str


def stub_fault(model: Path, folder: str, place: Place, tried: Path) -> str:
    """
    Why a model's process cannot start; empty if it can, if Triton itself would say why, and where nothing is to be
    known.

    :param model: the model's folder in the repository
    :param folder: the same, as tritonserver sees it
    :param tried: a file that notes which environment has been unpacked and found well: once is enough
    """
    own = (model / STUB).is_file()
    named = _environment(model / "config.pbtxt", folder)
    if named is None and not own:
        return ""
    stub = f"{folder if own else place.backend}/{STUB}"
    if own:
        # As Triton does.
        with contextlib.suppress(OSError):
            (model / STUB).chmod((model / STUB).stat().st_mode | 0o100)
    if named is None:
        return _Trial(place, stub).fault("")
    environment = _Trial(place, stub, named)
    if not _may_be_archive(model, folder, named):
        return environment.fault("")
    state = f"{model.resolve()} {place.release}\n"
    with contextlib.suppress(OSError):
        if tried.read_text("utf-8") == state:
            return ""
    # All of it takes long, so that is left to those of which a part does not start.
    if environment.fault(_unpacked(named, _STARTING_PART)):
        fault = environment.fault(_unpacked(named, []))
        if fault:
            return fault
    if environment.unpacked:
        with contextlib.suppress(OSError):
            tried.parent.mkdir(parents=True, exist_ok=True)
            write_file(tried, state)
    return ""


class _Trial:
    """Starts a stub, in an environment or without one.

    :param named: the environment that the model's configuration names, as tritonserver sees it
    """

    def __init__(self, place: Place, stub: str, named: Optional[str] = None) -> None:
        self._place = place
        self._stub = stub
        self._named = named
        #: Whether the last one was in an environment that was there and could be activated.
        self.unpacked = False

    def fault(self, prepare: str) -> str:
        """
        :param prepare: what the shell does before, which may change `tried_environment`
        """
        # Without arguments, a stub that can start says that they are missing, and ends.
        start = f"exec {shlex.quote(self._stub)}"
        words: List[str] = []
        if self._named is None:
            begin = f"echo {shlex.quote(_ACTIVE)} && {start}"
        else:
            # Since 25.08 the backend reads what the script exports, and starts the stub without a shell.
            library = shlex.quote(f"{self._place.backend}/libtriton_python.so")
            words += [
                f"tried_environment={shlex.quote(self._named)}",
                *([prepare] if prepare else []),
                '[ -f "$tried_environment/bin/activate" ] || exit 0',
                f"echo {shlex.quote(_FOUND)}",
                f"grep -qaF 'exec env LD_LIBRARY_PATH=' {library} 2>/dev/null",
                "[ $? = 1 ] && tried_shell= || tried_shell=yes",
                "export tried_environment tried_shell",
            ]
            begin = " && ".join(
                [
                    '{ [ -z "$tried_shell" ] || source "$tried_environment/bin/activate"; }',
                    f"echo {shlex.quote(_ACTIVE)}",
                    f'exec env LD_LIBRARY_PATH="$tried_environment/lib:$LD_LIBRARY_PATH" {shlex.quote(self._stub)}',
                ]
            )
        words.append(f"timeout -k 5 {_SECONDS} bash -c {shlex.quote(begin)}")
        finished = self._place.run("\n".join(words), _UNPACK_SECONDS + _SECONDS + 30)
        return self._judged(finished)

    def _judged(self, finished: Finished) -> str:
        _, unreadable, why = finished.out.partition(f"{_UNREADABLE}\n")
        if unreadable:
            # Triton itself would leave what it has unpacked in the way of all later archives.
            return f"its environment {self._named} cannot be unpacked: {why.strip() or 'it ends too soon'}"
        printed, active, after = finished.out.rpartition(f"{_ACTIVE}\n")
        _, found, said = (printed if active else after).rpartition(f"{_FOUND}\n")
        self.unpacked = bool(found and active)
        # Nothing can be tried, or Triton itself says what is missing.
        if finished.status == TIMED_OUT or not (active or found):
            return ""
        if not active:
            reason = Finished(finished.status, said, finished.err).reason
            return (
                f"its environment cannot be activated: bin/activate of {self._named} ended with status "
                f"{finished.status}: {reason}"
            )
        # The shell's for what it cannot run, or a signal. The linker's for a library that is too old is the stub's own.
        cannot_run = finished.status in (126, 127) or finished.status < 0 or finished.status > 128
        if cannot_run or "not found (required by" in finished.err:
            reason = Finished(finished.status, after, finished.err).reason
            return f"its process cannot start: {reason}"
        return ""


def _unpacked(archive: str, part: List[str]) -> str:
    """Unpacks an archive, or this part of it, and removes it at the end."""
    words = ["--wildcards", "--no-wildcards-match-slash", *part] if part else []
    wanted = " ".join(map(shlex.quote, ["--no-same-owner", *words]))
    tar = f'timeout {_UNPACK_SECONDS} tar -xf {shlex.quote(archive)} -C "$tried_environment" {wanted}'
    return "\n".join(
        [
            f"if [ -f {shlex.quote(archive)} ]; then",
            "tried_environment=$(mktemp -d) || exit 0",
            """trap 'rm -rf "$tried_environment"' EXIT""",
            f"said=$(LC_ALL=C {tar} 2>&1)",
            f"[ $? != {TIMED_OUT} ] || exit {TIMED_OUT}",
            f"[ -s {shlex.quote(archive)} ] || said=$'it is empty\\n{_FATAL}'",
            f"""if [[ $said =~ {_FATAL.replace(" ", chr(92) + " ")} ]]; then""",
            f"echo {shlex.quote(_UNREADABLE)}",
            f"""printf '%s\n' "$said" | grep -vE {shlex.quote(f"{_FATAL}|{_NO_FAULT}")} | head -n 1""",
            "exit 0",
            "fi",
            "fi",
        ]
    )


def _may_be_archive(model: Path, folder: str, named: str) -> bool:
    """Whether an environment is a file of the model, or somewhere else, for instance in an image."""
    if not named.startswith(f"{folder}/"):
        return True
    return (model / named[len(folder) + 1 :]).is_file()


def _environment(config: Path, folder: str) -> Optional[str]:
    """The environment that a model's configuration names."""
    try:
        found = _ENVIRONMENT.search(config.read_text("utf-8", "replace"))
    except OSError:
        return None
    return found.group(1).replace("$$TRITON_MODEL_DIRECTORY", folder) if found else None
