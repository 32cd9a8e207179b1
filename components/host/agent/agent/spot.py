"""AWS takes a spot instance back two minutes after it has said so. The server is drained in that time: requests in
flight are finished, new ones refused. `resume-host` brings it back when the instance starts again.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
"""

import contextlib
import http.client
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from typing import Dict, Optional, Sequence

from .commands import Request
from .console import progress
from .directory import HostDirectory


class Metadata:
    """The metadata service of an instance, version 2, the only one that our instances answer."""

    #: Seconds that a token holds, and after which we ask for another one.
    TOKEN_HOLDS = 21600
    TOKEN_RENEWED = 20000

    def __init__(self, address: str) -> None:
        self._address = address
        # It is on this machine's own link: no proxy of the user's reaches it.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._token = ""
        self._token_until = 0.0

    def _ask(self, method: str, path: str, headers: Dict[str, str]) -> Optional[str]:
        """The answer; None if none comes, or there is no such thing."""
        request = urllib.request.Request(self._address + path, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=3) as answer:
                return answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            if error.code == 401:
                # After a stop, earlier tokens are invalid.
                self._token_until = 0
            return None
        except (OSError, http.client.HTTPException):
            return None

    def notice(self) -> Optional[str]:
        """What AWS is about to do with the instance, if anything."""
        now = time.monotonic()
        if now >= self._token_until:
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(self.TOKEN_HOLDS)}
            token = self._ask("PUT", "/latest/api/token", lifetime)
            if token is None:
                return None
            self._token, self._token_until = token, now + self.TOKEN_RENEWED
        return self._ask(
            "GET", "/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": self._token}
        )


def run_within(words: Sequence[str], seconds: float) -> bool:
    """Runs a program whose messages are ours; whether it succeeds in this time. If not in time, it is ended."""
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        # With all that it has started, such as a client of a Docker that does not answer.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


class Watch:
    """What is done about notices."""

    #: A resume fetches models that the disks have lost.
    LONGEST_RESUME = 1800

    def __init__(
        self, directory: HostDirectory, metadata: Metadata, *, longest_drain: int, give_up: float
    ) -> None:
        self._agent = str(directory.agent)
        self._metadata = metadata
        self._longest_drain = longest_drain
        self._give_up = give_up
        #: When the server was drained for a notice.
        self._announced: Optional[float] = None

    def look(self) -> None:
        """Looks once, and does what is to be done."""
        notice = self._metadata.notice()
        if notice is not None:
            if self._announced is None:
                self._announced = time.monotonic()
                progress(f"AWS takes this instance back: {notice.strip()}")
                self._drain(self._announced)
        elif self._announced is not None and time.monotonic() - self._announced >= self._give_up:
            progress("the instance still runs; the server starts again")
            if run_within([self._agent, "resume-host"], self.LONGEST_RESUME):
                self._announced = None

    def _drain(self, began: float) -> None:
        # The limit also applies when Docker does not answer.
        if run_within([self._agent, "drain", str(self._longest_drain)], self._longest_drain + 10):
            progress(f"the server is drained after {int(time.monotonic() - began)} s")
        else:
            progress("the server is not drained (the reason is above)")


def watch(request: Request) -> None:
    """The command `watch-spot`."""
    environment = os.environ
    watcher = Watch(
        request.directory,
        Metadata(environment.get("XSCHED_TRITON_METADATA", "http://169.254.169.254")),
        # The machine itself needs part of the two minutes.
        longest_drain=int(environment.get("XSCHED_TRITON_SPOT_DRAIN", "100")),
        # A machine that still runs after this time is not being taken back.
        give_up=float(environment.get("XSCHED_TRITON_SPOT_GIVE_UP", "600")),
    )
    pause = float(environment.get("XSCHED_TRITON_SPOT_SECONDS", "5"))
    while True:
        watcher.look()
        time.sleep(pause)
