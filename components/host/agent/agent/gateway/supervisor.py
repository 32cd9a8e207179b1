"""What keeps the gateway running: starts HAProxy, starts it again when it ends, and writes its log within its limit."""

import contextlib
import os
import select
import signal
import threading
import time

from ..commands import Request
from ..directory import HostDirectory
from ..errors import HostError
from ..server.log import ProcessLog
from ..server.settings import read_settings
from ..server.supervision import GATEWAY, claim, read_supervisor
from .proxy import PIPE_BYTES, Proxy, find_program

#: Seconds between two looks at the proxy.
_LOOK = 0.1
#: Seconds between its end and the next start; twice as many after each further end.
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 10
#: One that has run this long starts again at once.
_STEADY_SECONDS = 60
#: Seconds between two looks at whether the program has been replaced.
_REPLACED_SECONDS = 10
#: The limit of a log where no server is deployed.
_LOG_MEGABYTES = 10


def log_of(directory: HostDirectory) -> ProcessLog:
    """What the proxy says: who has asked for what, and what is wrong."""
    settings = read_settings(directory)
    megabytes = settings.log_megabytes if settings is not None else _LOG_MEGABYTES
    return ProcessLog(directory.gateway / "logs/gateway.log", megabytes)


class GatewaySupervisor:
    """Supervises one gateway. However it ends, HAProxy runs on, and the next supervisor takes it over."""

    def __init__(self, directory: HostDirectory) -> None:
        self._directory = directory
        self._proxy = Proxy(directory)
        self._log = log_of(directory)
        self._told = False
        self._delay = _FIRST_DELAY
        self._began = 0.0
        self._looked = time.monotonic()

    def leave(self) -> None:
        """Ends, and leaves the gateway running. May be called from a signal's handler."""
        self._told = True

    def supervise(self) -> None:
        """Until told to leave, or until another supervisor has taken over."""
        self._log.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keeper = threading.Thread(target=self._keep_log, daemon=True)
        keeper.start()
        runs = self._proxy.find()
        while self._goes_on:
            if not runs:
                runs = self._launch()
                continue
            ended = self._proxy.poll()
            if ended is not None:
                runs = False
                self._after_end(ended)
                continue
            self._look_at_program()
            time.sleep(_LOOK)

    @property
    def _goes_on(self) -> bool:
        if self._told:
            return False
        current = read_supervisor(self._directory, GATEWAY)
        return current is not None and current.pid == os.getpid()

    def _launch(self) -> bool:
        self._began = time.monotonic()
        try:
            self._proxy.launch(find_program())
        except (HostError, OSError) as error:
            self._note(f"cannot start HAProxy: {error}; trying again in {self._delay:.0f} s")
            self._pause()
            return False
        return True

    def _after_end(self, ended: str) -> None:
        if time.monotonic() - self._began >= _STEADY_SECONDS:
            self._delay = _FIRST_DELAY
        self._note(f"HAProxy ended with {ended}; starting it again in {self._delay:.2g} s")
        self._pause()

    def _pause(self) -> None:
        end = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, _LONGEST_DELAY)
        while self._goes_on and time.monotonic() < end:
            time.sleep(_LOOK)

    def _look_at_program(self) -> None:
        """An update of HAProxy is of use once it runs."""
        if time.monotonic() - self._looked < _REPLACED_SECONDS:
            return
        self._looked = time.monotonic()
        if self._proxy.replaced:
            with contextlib.suppress(HostError):
                find_program()
                self._note("HAProxy was updated; going on with the new one")
                self._proxy.reload()

    def _note(self, text: str) -> None:
        self._write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} supervisor: {text}\n".encode())

    def _write(self, data: bytes) -> None:
        # A full disk must not end us; a log without the lines is better than no gateway.
        with contextlib.suppress(OSError), self._log.path.open("ab") as log:
            log.write(data)
        self._log.rotate()

    def _keep_log(self) -> None:
        """Writes down what comes through the pipe."""
        pipe = self._proxy.open_log()
        while not self._told:
            if select.select([pipe], [], [], 1)[0]:
                with contextlib.suppress(BlockingIOError):
                    self._write(os.read(pipe, PIPE_BYTES))
                # Lines are written by the dozen: to be woken by each would take time from the requests.
                time.sleep(_LOOK)


def supervise(request: Request) -> None:
    """The command `supervise-gateway`."""
    directory = request.directory
    if not directory.gateway.is_dir():
        return
    # Whoever starts us may have left files open; nothing of a session may stay open in the gateway.
    os.chdir(directory.path)
    os.umask(0o077)
    supervisor = GatewaySupervisor(directory)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.leave())
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    claim(directory, GATEWAY)
    supervisor.supervise()
