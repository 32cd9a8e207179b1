"""Removing a host."""

import shutil

from .commands import Request
from .console import progress
from .directory import unfinished_writes
from .engines import end_builders
from .errors import HostError
from .gateway.lifecycle import remove as remove_gateway
from .server.settings import read_settings

#: What a deployment makes in a host's folder.
OURS = (
    *(
        "runtime",
        "models",
        "engines",
        "uploads",
        "metrics",
        "images",
        "locks",
        "repairs.json",
        "last-deployment",
        ".xsched-triton.json",
    ),
    *("bin", "bin.new", "bin.old"),
)


def remove(request: Request) -> None:
    """The command `remove`: removes what a deployment has made, and the folder if nothing is left."""
    directory = request.directory
    if not directory.path.is_dir():
        return
    if read_settings(directory) is not None:
        raise HostError(f"a Triton server is still deployed in {directory.path}", "run 'stop' first")
    remove_gateway(directory)
    end_builders(directory)
    names = ("server", *OURS)
    unfinished = [path for name in names for path in unfinished_writes(directory.path / name)]
    for path in [*(directory.path / name for name in names), *unfinished]:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HostError(f"cannot remove {path}: {error.strerror}", "remove it by hand") from error
    try:
        directory.path.rmdir()
    except OSError:
        progress(f"left {directory.path} in place: it holds files that are not ours")
