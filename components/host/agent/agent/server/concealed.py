"""Starts a program with arguments that no list of processes shows.

Everybody on a machine may read /proc/PID/cmdline, and tritonserver takes the key to its control only as an argument.
So the secret comes in the environment, which only the same user may read, and the program is stopped before its first
instruction, while its arguments are made to point there.

Also a program of its own, which runs in containers (container_lock.py), so it needs nothing of the agent:

    python3 concealed.py FILE PROGRAM ARGUMENT...

The process becomes the program; each line of the file is one more argument, which is concealed.
"""

import contextlib
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence

#: linux/ptrace.h
_TRACEME, _CONT, _DETACH, _SEIZE = 0, 7, 17, 0x4206
_TRACE_EXEC, _EXIT_KILL = 1 << 4, 1 << 20
_EVENT_EXEC, _EVENT_STOP = 4, 128
#: linux/prctl.h: who may trace this process, where only its ancestors may otherwise.
_SET_TRACER = 0x59616D61
#: linux/wait.h: also processes that are not children.
_ANY_PROCESS = 0x40000000
#: Farthest below its strings that a stack has pointers to them: 8 bytes for each of tens of thousands.
_TABLES = 1 << 20
#: What the process list shows in place of such an argument.
SHOWN = "--concealed-argument-"
_VARIABLE = "XSCHED_TRITON_CONCEALED_"


class ConcealError(Exception):
    """This system does not let a program look after its own child."""


def spawn(
    words: Sequence[str],
    concealed: Sequence[str],
    env: Dict[str, str],
    *,
    before: Optional[Callable[[], None]] = None,
    **options: Any,
) -> "subprocess.Popen[bytes]":
    """Starts a program.

    :param words: the program and the arguments that everybody may see
    :param concealed: further arguments
    :param before: what the process does before it becomes the program
    :param options: of `subprocess.Popen`
    :raises ConcealError: if they cannot be concealed. The program has not run then.
    :raises OSError: if the program cannot be started
    """
    libc = _libc()
    shown = _shown(concealed)

    def begin() -> None:
        # A child of a process with several threads may do little here. These are system calls.
        if before is not None:
            before()
        libc.ptrace(_TRACEME, 0, None, None)

    process = subprocess.Popen(
        [*words, *shown],
        env=_with(env, concealed),
        preexec_fn=begin,  # noqa: PLW1509
        **options,
    )
    try:
        _await_stop(libc, process.pid)
        _redirect(process.pid, shown)
        _require(libc.ptrace(_DETACH, process.pid, None, None))
    except (ConcealError, OSError, LookupError, ValueError) as error:
        # The kernel has arranged the program otherwise than here is known.
        process.kill()
        process.wait()
        raise ConcealError(str(error)) from None
    return process


def become(words: Sequence[str], concealed: Sequence[str], env: Dict[str, str]) -> NoReturn:
    """Replaces this process by a program, which keeps its process id.

    :raises ConcealError: if the arguments cannot be concealed. Nothing has changed then.
    :raises OSError: if the program cannot be started
    """
    # Once this process is another program there is no way back, so everything is tried before.
    if spawn(["/bin/sh", "-c", ":"], concealed, env, stdin=subprocess.DEVNULL).wait() != 0:
        raise ConcealError("a program does not start in this way")
    libc = _libc()
    ours, theirs = socket.socketpair()
    pid = os.getpid()
    child = os.fork()
    if child == 0:
        # Its child becomes one of process 1: the program does not expect to have any.
        if os.fork() == 0:
            ours.close()
            _look_after(libc, pid, _shown(concealed), theirs)
        os._exit(0)
    theirs.close()
    os.waitpid(child, 0)
    with ours:
        # Without this module of the kernel, nobody has to be let.
        libc.prctl(_SET_TRACER, int(ours.recv(32) or b"0"), 0, 0, 0)
        ours.sendall(b"\n")
        answer = ours.recv(200).decode("utf-8", "replace")
    if answer != "ready":
        raise ConcealError(answer or "the program that should help has ended")
    os.execvpe(words[0], [*words, *_shown(concealed)], _with(env, concealed))


def _look_after(libc: Any, pid: int, shown: Sequence[str], line: socket.socket) -> NoReturn:
    """Waits until that process is another program, and conceals its arguments."""
    try:
        line.sendall(b"%d" % os.getpid())
        line.recv(1)
        # If this one ends too early, so does the program.
        _require(libc.ptrace(_SEIZE, pid, None, ctypes.c_void_p(_TRACE_EXEC | _EXIT_KILL)))
        line.sendall(b"ready")
        line.close()
        _await_program(libc, pid)
        _redirect(pid, shown)
        _require(libc.ptrace(_DETACH, pid, None, None))
    except (ConcealError, OSError, LookupError, ValueError) as error:
        with contextlib.suppress(OSError):
            line.sendall(str(error).encode())
            os._exit(1)
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            os.write(2, f"error: the arguments of the program cannot be concealed: {error}\n".encode())
    finally:
        # Also after a fault: this is a copy of another process, which has more to do.
        os._exit(0)


def _await_program(libc: Any, pid: int) -> None:
    while True:
        _, status = os.waitpid(pid, _ANY_PROCESS)
        if not os.WIFSTOPPED(status):
            raise ConcealError("the program ended before it began")
        event = status >> 16
        if event == _EVENT_EXEC:
            return
        libc.ptrace(_CONT, pid, None, ctypes.c_void_p(0 if event == _EVENT_STOP else os.WSTOPSIG(status)))


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    libc.prctl.argtypes = [ctypes.c_int, *([ctypes.c_ulong] * 4)]
    return libc


def _require(result: int) -> None:
    """
    :raises ConcealError: if a system call has failed
    """
    if result != 0:
        raise ConcealError(os.strerror(ctypes.get_errno()))


def _shown(concealed: Sequence[str]) -> List[str]:
    """What stands in the place of the arguments, until they are made to point elsewhere."""
    return [f"{SHOWN}{index}" for index in range(len(concealed))]


def _with(env: Dict[str, str], concealed: Sequence[str]) -> Dict[str, str]:
    return {**env, **{f"{_VARIABLE}{index}": text for index, text in enumerate(concealed)}}


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


def main(words: Sequence[str]) -> NoReturn:
    file, *program = words
    concealed = Path(file).read_text("utf-8").splitlines()
    # Python ignores these two, and an ignored signal stays so; to its variables it may have added some.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    variables = os.fsdecode(Path("/proc/self/environ").read_bytes()).split("\0")
    env = dict(line.split("=", 1) for line in variables if "=" in line)
    try:
        become(program, concealed, env)
    except ConcealError as error:
        # Better a lock whose key the users of this machine can see than none.
        print(
            f"the process list shows the key to this server's control: {error}", file=sys.stderr, flush=True
        )
        os.execvpe(program[0], [*program, *concealed], env)


if __name__ == "__main__":
    main(sys.argv[1:])
