"""Amazon's CloudWatch agent on a host.

AWS offers one package for all regions:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/download-CloudWatch-Agent-on-EC2-Instance-commandline-first.html
"""

import http.client
import json
import os
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict

from .commands import Request
from .console import progress
from .errors import HostError
from .programs import Finished
from .signature import MissingVerifierError, SignatureError, require_signed
from .units import as_root, require_root

SERVER = "https://amazoncloudwatch-agent.s3.amazonaws.com"
PACKAGE = f"{SERVER}/ubuntu/amd64/latest/amazon-cloudwatch-agent.deb"

#: The key that Amazon signs the package with. It comes from the same server, so only its fingerprint counts:
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/verify-CloudWatch-Agent-Package-Signature.html
KEY = f"{SERVER}/assets/amazon-cloudwatch-agent.gpg"
FINGERPRINT = "937616F3450B7D806CBD9725D58167303B789C72"


class Agent:
    """An installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._program = folder / "bin/amazon-cloudwatch-agent-ctl"
        #: What the agent itself does, and what it scrapes.
        self.config = folder / "etc/xsched-triton.json"
        self.scrape = folder / "etc/xsched-triton-prometheus.yaml"

    @property
    def installed(self) -> bool:
        return os.access(self._program, os.X_OK)

    def control(self, *words: str) -> Finished:
        return as_root([str(self._program), *words])

    def runs_with(self, texts: Dict[Path, str]) -> bool:
        """Whether it runs, and just so."""
        if any(as_root(["cat", str(path)]).out != text for path, text in texts.items()):
            return False
        return '"status": "running"' in self.control("-a", "status").out


def installation() -> Agent:
    return Agent(Path(os.environ.get("XSCHED_TRITON_AGENT", "/opt/aws/amazon-cloudwatch-agent")))


def install(address: str, key_address: str) -> None:
    """Installs the agent's package, if Amazon has signed it."""
    progress("installing Amazon's CloudWatch agent")
    # Nobody else can write there between the check and the installation.
    with tempfile.TemporaryDirectory() as folder:
        package, signature, key = (Path(folder) / name for name in ("agent.deb", "agent.deb.sig", "key"))
        download(address, package)
        download(f"{address}.sig", signature)
        download(key_address, key)
        require_signature(package, signature, key, address)
        installed = as_root(["dpkg", "-i", str(package)])
        if not installed.ok:
            progress((installed.out + installed.err).rstrip())
            raise HostError(
                "the CloudWatch agent cannot be installed",
                "see the lines above; it is for Debian and Ubuntu",
            )


def require_signature(package: Path, signature: Path, key: Path, address: str) -> None:
    try:
        require_signed(package, signature, key, FINGERPRINT)
    except MissingVerifierError as error:
        raise HostError(
            f"the signature of the CloudWatch agent's package cannot be checked: {error}",
            "sudo apt-get install gpgv, or use a machine image with the agent,"
            " such as AWS's Deep Learning AMI",
        ) from None
    except SignatureError as error:
        raise HostError(
            f"the CloudWatch agent's package from {address} is not as Amazon has signed it, so it is not installed:"
            f" {error}",
            "see what is between this host and S3, such as a proxy or a mirror, and run this again",
        ) from None


def download(address: str, file: Path, *, attempts: int = 4, pause: float = 1) -> None:
    """Fetches a file over HTTP, again after a fault of the network."""
    for attempt in range(1, attempts + 1):
        try:
            with urllib.request.urlopen(address, timeout=60) as answer, file.open("wb") as copy:
                shutil.copyfileobj(answer, copy)
            return
        except (OSError, http.client.HTTPException) as error:
            if attempt == attempts:
                raise HostError(
                    f"the CloudWatch agent cannot be downloaded from {address}: {error}",
                    "give the host access to S3, or use a machine image with the agent,"
                    " such as AWS's Deep Learning AMI",
                ) from None
            time.sleep(pause * 2 ** (attempt - 1))


def as_text(value: Any) -> str:
    """One line of JSON, which is YAML as well, as earlier releases have written it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"


def configure(request: Request) -> None:
    """The command `configure-cloudwatch`: the agent runs with this configuration."""
    body = request.body
    if not isinstance(body.get("agent"), dict) or not isinstance(body.get("prometheus"), dict):
        raise HostError("the agent's configuration is incomplete", "pass the objects agent and prometheus")
    require_root()
    agent = installation()
    if not agent.installed:
        install(
            os.environ.get("XSCHED_TRITON_AGENT_PACKAGE", PACKAGE),
            os.environ.get("XSCHED_TRITON_AGENT_KEY", KEY),
        )
    texts = {agent.scrape: as_text(body["prometheus"]), agent.config: as_text(body["agent"])}
    if agent.runs_with(texts):
        return
    for path, text in texts.items():
        written = as_root(["tee", str(path)], text=text)
        if not written.ok:
            raise HostError(f"cannot write {path}: {written.reason}", "make room on the disk of this host")
    fetched = agent.control("-a", "fetch-config", "-m", "ec2", "-s", "-c", f"file:{agent.config}")
    if not fetched.ok:
        # Half a change would count as done the next time.
        as_root(["rm", "-f", str(agent.config)])
        progress("\n".join((fetched.out + fetched.err).splitlines()[-15:]))
        raise HostError(
            "the CloudWatch agent rejects its configuration (its last lines are above)",
            f"see {agent.folder}/logs/ on the host",
        )


def remove(request: Request) -> None:
    """The command `remove-cloudwatch`: takes back what `configure` has done; the agent's package stays."""
    agent = installation()
    if not agent.installed:
        return
    require_root()
    agent.control("-m", "ec2", "-a", "stop")
    as_root(["rm", "-f", str(agent.config), str(agent.scrape)])
