"""Whether the process in which a model's Python code is to run can start at all.

Triton's Python backend starts it with a shell and waits for its first message, without end. If the shell or the
dynamic linker gives up before, the load hangs, and only the end of the server ends it (seen with r24.10). So what a
model brings for that process is tried before.
"""

import contextlib
import re
import shlex
from pathlib import Path
from typing import Mapping, Optional

from ..models.store import STUB
from ..programs import TIMED_OUT, Finished, call

#: Seconds for the start. A slow one proves nothing, and the load decides.
_SECONDS = 60
#: Printed when the environment is active.
_ACTIVE = "xsched-triton: active"
_ENVIRONMENT = re.compile(
    r"""key\s*:\s*["']EXECUTION_ENV_PATH["']\s*[,;]?\s*value\s*:?\s*[{<]\s*string_value\s*:\s*["']([^"'\\]*)["']"""
)


def stub_fault(folder: str, backend: str, environment: Mapping[str, str], cwd: Path) -> str:
    """
    Why a model's process cannot start; empty if it can, if Triton itself would say why, and where only the load can
    tell: an environment in an archive is unpacked by Triton.

    :param folder: the model's, as tritonserver sees it
    :param backend: the Python backend's, as tritonserver sees it
    :param environment: tritonserver's
    :param cwd: tritonserver's working directory
    """
    own = cwd / folder / STUB
    named = _environment(cwd / folder / "config.pbtxt", folder)
    if named is None and not own.is_file():
        return ""
    if named is not None and not (cwd / named / "bin/activate").is_file():
        return ""
    stub = f"{folder if own.is_file() else backend}/{STUB}"
    if own.is_file():
        # As Triton does.
        with contextlib.suppress(OSError):
            own.chmod(own.stat().st_mode | 0o100)
    if named is None:
        script = f"echo {shlex.quote(_ACTIVE)} && exec {shlex.quote(stub)}"
    else:
        libraries = f'{shlex.quote(named + "/lib")}:"$LD_LIBRARY_PATH"'
        script = (
            f"source {shlex.quote(named + '/bin/activate')} && echo {shlex.quote(_ACTIVE)}"
            f" && exec env LD_LIBRARY_PATH={libraries} {shlex.quote(stub)}"
        )
    # Without arguments, a stub that can start says that they are missing, and ends.
    finished = call(["bash", "-c", script], seconds=_SECONDS, environment=environment, cwd=str(cwd))
    if finished.status == TIMED_OUT:
        return ""
    before, active, after = finished.out.rpartition(f"{_ACTIVE}\n")
    if not active:
        said = Finished(finished.status, before + after, finished.err).reason
        return f"its environment cannot be activated: {named}/bin/activate ended with status {finished.status}: {said}"
    # The shell's for what it cannot run, or a signal; the linker's for a library that is too old is 1, as the stub's.
    if finished.status in (126, 127) or finished.status < 0 or "not found (required by" in finished.err:
        said = Finished(finished.status, after, finished.err).reason
        return f"its process cannot start: {said}"
    return ""


def _environment(config: Path, folder: str) -> Optional[str]:
    """The environment that a model's configuration names."""
    try:
        found = _ENVIRONMENT.search(config.read_text("utf-8", "replace"))
    except OSError:
        return None
    return found.group(1).replace("$$TRITON_MODEL_DIRECTORY", folder) if found else None
