"""Starts a program with arguments that no list of processes shows.

Everybody on a machine may read /proc/PID/cmdline, and tritonserver takes the key to its control only as an argument.
So the secret comes in the environment, which only the same user may read, and the program is stopped before its first
instruction, while its arguments are made to point there.
"""

import contextlib
import ctypes
import os
import signal
import struct
import subprocess
from pathlib import Path
from typing import Any, Dict, Sequence

#: linux/ptrace.h
_TRACEME, _CONT, _DETACH = 0, 7, 17
#: Farthest below its strings that a stack has pointers to them: 8 bytes for each of tens of thousands.
_TABLES = 1 << 20
#: What the process list shows in place of such an argument.
SHOWN = "--concealed-argument-"
_VARIABLE = "XSCHED_TRITON_CONCEALED_"


class ConcealError(Exception):
    """This system does not let a program look after its own child."""


def spawn(
    words: Sequence[str], concealed: Sequence[str], env: Dict[str, str], **options: Any
) -> "subprocess.Popen[bytes]":
    """Starts a program.

    :param words: the program and the arguments that everybody may see
    :param concealed: further arguments
    :param options: of `subprocess.Popen`
    :raises ConcealError: if they cannot be concealed. The program has not run then.
    :raises OSError: if the program cannot be started
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    shown = [f"{SHOWN}{index}" for index in range(len(concealed))]
    whole = {**env, **{f"{_VARIABLE}{index}": text for index, text in enumerate(concealed)}}
    process = subprocess.Popen(
        [*words, *shown],
        env=whole,
        # A child of a process with several threads may do little here. This is one system call.
        preexec_fn=lambda: libc.ptrace(_TRACEME, 0, None, None),  # noqa: PLW1509
        **options,
    )
    try:
        _await_stop(libc, process.pid)
        _redirect(process.pid, shown)
        if libc.ptrace(_DETACH, process.pid, None, None) != 0:
            raise ConcealError(os.strerror(ctypes.get_errno()))
    except (ConcealError, OSError, LookupError, ValueError) as error:
        # The kernel has arranged the program otherwise than here is known.
        process.kill()
        process.wait()
        raise ConcealError(str(error)) from None
    return process


def _await_stop(libc: Any, pid: int) -> None:
    """Waits for the stop of a traced program at its start (ptrace(2))."""
    while True:
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            raise ConcealError("the program ended before it began")
        number = os.WSTOPSIG(status)
        if number == signal.SIGTRAP:
            return
        libc.ptrace(_CONT, pid, None, ctypes.c_void_p(number))


def _redirect(pid: int, shown: Sequence[str]) -> None:
    # proc(5): fields 48 to 51, counted from 1. The second is in parentheses, with anything in them.
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    arguments_from, arguments_to, variables_from, variables_to = (int(fields[n - 3]) for n in range(48, 52))
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, memory)
        arguments = _strings(memory, arguments_from, arguments_to)
        variables = _strings(memory, variables_from, variables_to)
        # A stack has: the arguments' addresses, 0, the variables' addresses, 0, and above them the strings.
        table = _pack([*arguments, 0, *variables, 0])
        below = max(arguments_from - _TABLES, _stack_start(pid, arguments_from))
        found = _read(memory, below, arguments_from - below).find(table)
        if found < 0:
            raise ConcealError("the program's arguments are not where they are expected")
        targets = {
            text[: text.index(b"=")].decode(): address + text.index(b"=") + 1
            for address, text in variables.items()
            if text.startswith(_VARIABLE.encode())
        }
        first = next(iter(variables))
        places = {text.encode(): targets[f"{_VARIABLE}{index}"] for index, text in enumerate(shown)}
        words = [places.get(text, address) for address, text in arguments.items()]
        # What the program starts inherits variables, not arguments.
        kept = [
            first if text.startswith(_VARIABLE.encode()) else address for address, text in variables.items()
        ]
        written = _pack([*words, 0, *kept, 0])
        if os.pwrite(memory, written, below + found) != len(written):
            raise ConcealError("the program's stack cannot be written")


def _pack(addresses: Sequence[int]) -> bytes:
    return struct.pack(f"{len(addresses)}P", *addresses)


def _read(memory: int, start: int, length: int) -> bytes:
    data = os.pread(memory, length, start)
    if len(data) != length:
        raise ConcealError("the program's stack cannot be read")
    return data


def _strings(memory: int, start: int, end: int) -> Dict[int, bytes]:
    """Strings that end with a zero, by address."""
    found = {}
    for text in _read(memory, start, end - start)[:-1].split(b"\0"):
        found[start] = text
        start += len(text) + 1
    return found


def _stack_start(pid: int, inside: int) -> int:
    for line in Path(f"/proc/{pid}/maps").read_text("utf-8", "replace").splitlines():
        low, high = (int(word, 16) for word in line.split()[0].split("-"))
        if low <= inside < high:
            return low
    raise ConcealError("the program has no stack")
