"""The real AWS CLI for tests that call it often. Loading it takes most of the time of a call, so this process loads it
once, and forks for each call of aws_cli.py. The calls do not see each other.

    PYTHONPATH=PACKAGES aws_cli_server.py SOCKET
"""

import array
import contextlib
import importlib
import marshal
import os
import signal
import socket
import sys
import threading
import traceback

from awscli.clidriver import main

# What every call needs, and the CLI loads late.
for name in ("awscli.handlers", "botocore.endpoint", "botocore.httpsession", "botocore.signers"):
    importlib.import_module(name)

#: The CLI sets this when it is loaded.
DATA_PATH = os.environ["AWS_DATA_PATH"]

#: The longest command line with its environment, in bytes.
LONGEST = 100_000


def serve(address: str) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(address)
    listener.listen(64)
    # Nobody waits for the children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(connection)
        connection.close()


def answer(connection: socket.socket) -> None:
    """Runs the CLI as the caller would, and ends this process."""
    request, ancillary, _, _ = connection.recvmsg(LONGEST, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    if not request:
        os._exit(0)
    files = array.array("i")
    files.frombytes(ancillary[0][2])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    words, environment, folder = marshal.loads(request)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment, AWS_DATA_PATH=DATA_PATH)
    sys.argv = ["aws", *words]
    threading.Thread(target=end_with_caller, args=(connection,), daemon=True).start()
    status = 1
    try:
        status = main()
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        with contextlib.suppress(OSError):
            connection.send(bytes([status]))
        os._exit(status)


def end_with_caller(connection: socket.socket) -> None:
    connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    serve(sys.argv[1])
