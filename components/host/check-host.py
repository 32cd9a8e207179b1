"""Says whether a machine can take the folder of a deployment, before anything is made there; see find-python.sh.

usage: check-host.py DIR

Prints the machine's time, in seconds since 1970. Of a folder that a deployment has made it asks nothing: what is wrong
there must not keep the next deployment from mending it, nor one that changes nothing from saying so.
"""

import errno
import json
import os
import pwd
import shutil
import sys
import time
from pathlib import Path
from typing import NoReturn

#: Says whose folder it is. A release before the agent made only the other.
MADE = (".xsched-triton.json", "bin/host-directory.sh")

#: What the agent's installation takes at its height: bytes, and files and folders.
BYTES = 8_000_000
FILES = 400


def fail(what: str, fix: str) -> NoReturn:
    """Ends with a message as the agent's own."""
    print(f"error: {what}\nfix: {fix}", file=sys.stderr)
    sys.exit(1)


def require_home(directory: str, user: "pwd.struct_passwd") -> None:
    """A relative path starts at the user's home, which is where a login begins."""
    home = Path(user.pw_dir)
    absolute = home / directory
    if not home.is_dir():
        fail(
            f"{user.pw_name} has no home on it ({home} does not exist), where the folder {directory} would be",
            f"sudo mkhomedir_helper {user.pw_name}, or set host.directory to an absolute path",
        )
    here = Path.cwd()
    if not here.samefile(home):
        fail(
            f"the login shell of {user.pw_name} goes to {here}, so the folder {directory} would not be below {home}",
            "where one of its start-up files, such as ~/.bashrc, has a cd, let it do so in interactive shells only, or "
            f"set host.directory to an absolute path: {absolute}",
        )


def is_read_only(place: Path) -> bool:
    """Whether nothing can be made there, although it is mounted for writing: what the kernel does after a fault of the
    disk. The file has no name, and is gone at once."""
    try:
        os.close(os.open(place, os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def require_place(folder: Path, user: "pwd.struct_passwd") -> None:
    """The folder can be made, or used if it is there, and programs run from it."""
    place = folder
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        fail(f"{place} is not a folder", "remove it, or choose another folder (host.directory)")
    found = os.statvfs(place)
    mount = place.resolve()
    while not mount.is_mount():
        mount = mount.parent
    if found.f_flag & os.ST_RDONLY or is_read_only(place):
        fail(
            f"the file system {mount} is read-only, so {folder} cannot be made there",
            f"mount it for writing: sudo mount -o remount,rw {mount}; if the kernel made it read-only, dmesg says why; "
            "or choose another folder (host.directory)",
        )
    if not os.access(place, os.W_OK | os.X_OK):
        fail(
            f"{user.pw_name} may not write to {place}",
            f"sudo install -d -o {user.pw_name} {folder}, or choose another folder (host.directory)",
        )
    if found.f_flag & os.ST_NOEXEC:
        fail(
            f"{place} is on a file system that is mounted with noexec, so nothing can run from it",
            "choose a folder elsewhere (host.directory), such as /opt/xsched-triton, or mount it without noexec",
        )
    free = found.f_bavail * found.f_frsize
    if free < BYTES:
        fail(
            f"the disk {mount} has {free // 1_000_000} MB free, too little for {folder}, which needs "
            f"{BYTES // 1_000_000} MB and what the models and Triton take",
            f"free some space on {mount}, or choose a folder on another disk (host.directory)",
        )
    # Some file systems make inodes as they need them, and count none.
    if found.f_files and found.f_favail < FILES:
        fail(
            f"the disk {mount} has {found.f_favail} inodes free, too few for {folder}, which needs {FILES} and those "
            "of the models and Triton",
            f"remove files on {mount} (df -i), or choose a folder on another disk (host.directory)",
        )


def main(directory: str) -> None:
    """What the usage says."""
    user = pwd.getpwuid(os.geteuid())
    # An earlier login may have begun elsewhere.
    places = (Path(directory), Path(user.pw_dir) / directory)
    if not any(os.path.exists(place / name) for place in places for name in MADE):  # noqa: PTH110 # or may not be seen
        if shutil.which("bash") is None:
            fail("it has no Bash", "install it: apt-get install bash, dnf install bash or apk add bash")
        if not directory.startswith("/"):
            require_home(directory, user)
        require_place(Path(directory).absolute(), user)
    print("xsched-triton-result " + json.dumps({"time": time.time()}), flush=True)


main(sys.argv[1])
