"""Ports for servers that tests start later."""

import contextlib
import itertools
import os
import random
import socket
from pathlib import Path
from typing import Iterator, List

#: Below these are the ports of well-known services.
LOWEST = 15_000

#: Checks beside this one under `npm test` have other places, and use other ports: test/engine/ports.ts does the same.
PLACES = 16


def ports_of_this_process() -> Iterator[int]:
    """
    The ports of this process, again and again. None is of the kernel's range of ephemeral ports: a client would take
    it before the server does.
    """
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    place = int(os.environ.get("TEST_PLACE", "0")) % PLACES
    # Workers of pytest-xdist, which are called gw0, gw1 and so on.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = range(-(-LOWEST // PLACES) * PLACES + PLACES * worker + place, highest, PLACES * workers)
    # Another run, in another clone, begins elsewhere.
    first = random.randrange(len(ports))
    return itertools.cycle([*ports[first:], *ports[:first]])


_PORTS = ports_of_this_process()


def free_ports(count: int) -> List[int]:
    """Ports of the loopback interface that nobody listens at."""
    with contextlib.ExitStack() as stack:
        found: List[int] = []
        while len(found) < count:
            entry = stack.enter_context(socket.socket())
            port = next(_PORTS)
            with contextlib.suppress(OSError):
                entry.bind(("127.0.0.1", port))
                found.append(port)
        return found
