"""A /dev/shm of a server's own.

Triton's Python backend makes its shared memory readable for everybody, whatever the umask. In a mount namespace of its
own nobody else finds it. root may make one; another user needs a user namespace for it, which not every system allows.

A mount namespace begins with all mounts that there are, and so keeps a disk that is unmounted elsewhere, unless it is
told of that. It is where mounts are shared, as systemd makes them; mount_namespaces(7).
"""

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Optional

#: linux/sched.h
_NEW_MOUNTS, _NEW_USERS = 0x20000, 0x10000000
#: linux/mount.h: what is mounted later elsewhere is seen here, too, and not the other way round.
_NOSUID, _NODEV, _RECURSIVE, _FOLLOW = 2, 4, 1 << 14, 1 << 19
_PLACE = b"/dev/shm"

_MOUNTS = Path("/proc/self/mountinfo")


def own_memory() -> Optional[Callable[[], None]]:
    """What a process has to do between fork and exec to have its own; None if this system does not let it."""
    if not _gives_disks_back():
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = [*([ctypes.c_char_p] * 3), ctypes.c_ulong, ctypes.c_char_p]
    user, group = os.geteuid(), os.getegid()

    def enter() -> None:
        _require(libc.unshare(_NEW_MOUNTS if user == 0 else _NEW_MOUNTS | _NEW_USERS))
        if user != 0:
            # user_namespaces(7): the same user and group, and nobody else.
            _write("/proc/self/setgroups", b"deny")
            _write("/proc/self/uid_map", b"%d %d 1" % (user, user))
            _write("/proc/self/gid_map", b"%d %d 1" % (group, group))
        _require(libc.mount(None, b"/", None, _RECURSIVE | _FOLLOW, None))
        _require(libc.mount(b"tmpfs", _PLACE, b"tmpfs", _NOSUID | _NODEV, b"mode=700"))

    # Half of it would be worse than nothing, so it is tried with another program before.
    return enter if _works(enter) else None


def _gives_disks_back() -> bool:
    """Whether a mount namespace is told when a disk is unmounted."""
    try:
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    for line in lines:
        # proc(5): optional fields, such as `shared:1`, come before the dash; the file system and its source after it.
        before, _, after = line.partition(" - ")
        is_disk = after.partition(" ")[2].startswith("/dev/")
        if is_disk and " shared:" not in before:
            return False
    return True


def _works(enter: Callable[[], None]) -> bool:
    words = ["/bin/sh", "-c", f"test -w {_PLACE.decode()} && test $(id -u) = {os.geteuid()}"]
    try:
        # The steps are system calls.
        done = subprocess.run(words, preexec_fn=enter, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _require(result: Any) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _write(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, data)
    finally:
        os.close(file)
