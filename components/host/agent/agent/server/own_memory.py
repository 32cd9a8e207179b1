"""A /dev/shm of a server's own.

Triton's Python backend makes its shared memory readable for everybody, whatever the umask. In a mount namespace of its
own nobody else finds it. root may make one; another user needs a user namespace for it, which not every system allows.
"""

import ctypes
import os
import subprocess
from typing import Any, Callable, Optional

#: linux/sched.h
_NEW_MOUNTS, _NEW_USERS = 0x20000, 0x10000000
#: linux/mount.h: what is mounted later elsewhere is seen here, too, and not the other way round.
_NOSUID, _NODEV, _RECURSIVE, _FOLLOW = 2, 4, 1 << 14, 1 << 19
_PLACE = b"/dev/shm"


def own_memory() -> Optional[Callable[[], None]]:
    """What a process has to do between fork and exec to have its own; None if this system does not let it."""
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
