"""Fixtures of the agent's tests. They need no Pulumi, no root and no network."""

import os
import sys
from pathlib import Path
from typing import Any, Callable, Generator, Iterator

import pytest

AGENT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(AGENT))

from agent.directory import HostDirectory  # noqa: E402
from agent.server import container  # noqa: E402
from engine_workshop import Workshop  # noqa: E402
from gateway_host import GatewayHost, gateway_hosts  # noqa: E402
from s3_server import S3Server, serve_s3  # noqa: E402
from stand_in_host import Host, build_agent  # noqa: E402
from stand_in_machine import Machine  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Programs that tests start keep no bytecode. The processes that run tests do (scripts/test/agent.sh)."""
    starts_others = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    if not starts_others:
        os.environ.pop("PYTHONPYCACHEPREFIX", None)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """A test that fails shows the log of its server and supervisor."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    for used in getattr(item, "funcargs", {}).values():
        if isinstance(used, Host):
            report.sections.append(("log of the host", used.log[-4000:]))
        if isinstance(used, GatewayHost):
            report.sections.append(("log of the gateway", used.log[-4000:]))


@pytest.fixture(autouse=True)
def no_gpu_devices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which options a container gets does not depend on the machine that tests run on."""
    monkeypatch.setattr(container, "_DEVICES", tmp_path_factory.getbasetemp() / "no devices")


@pytest.fixture
def directory(tmp_path: Path) -> HostDirectory:
    """An empty folder of a host whose name needs quotes, because users have such."""
    path = tmp_path / "the host's directory"
    path.mkdir()
    return HostDirectory(path)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that a test may change."""
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def workshop(machine: Machine) -> Workshop:
    """A machine that builds engines."""
    return Workshop(machine)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """S3, started when the first test asks for it."""
    with serve_s3() as server:
        yield server


@pytest.fixture(scope="session")
def shipped_agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as it comes to a host."""
    return build_agent(tmp_path_factory.mktemp("agent"))


def run_as_installed(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("XSCHED_TRITON_SYSTEMD", str(folder / "none"))
    # Commands run in this process are those of the agent that is installed.
    patch.setattr(sys, "argv", [str(folder / "host/bin/agent")])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped_agent: Path) -> Iterator[Host]:
    """A host on which Triton is installed, without systemd."""
    run_as_installed(monkeypatch, tmp_path)
    made = Host(tmp_path / "host", shipped_agent)
    yield made
    made.clean()


@pytest.fixture
def gateway(host: Host) -> Iterator[GatewayHost]:
    """A gateway that can be deployed on such a host."""
    yield from gateway_hosts(host)


def deployed_gateway(
    folder: Path, agent: Path, deploy: Callable[[GatewayHost], object]
) -> Iterator[GatewayHost]:
    made = Host(folder / "host", agent)
    gateways = gateway_hosts(made)
    with pytest.MonkeyPatch.context() as patch:
        run_as_installed(patch, folder)
        gateway = next(gateways)
        deploy(gateway)
    # Tests that use it have hosts of their own beside it.
    yield gateway
    with pytest.MonkeyPatch.context() as patch:
        run_as_installed(patch, folder)
        next(gateways, None)
    made.clean()


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory, shipped_agent: Path) -> Iterator[GatewayHost]:
    """A gateway before a server, for tests that do nothing but ask."""
    yield from deployed_gateway(tmp_path_factory.mktemp("serves"), shipped_agent, GatewayHost.serve)


@pytest.fixture(scope="session")
def lone_gateway(tmp_path_factory: pytest.TempPathFactory, shipped_agent: Path) -> Iterator[GatewayHost]:
    """The same with nothing behind it, which answers with 503 whatever it would let through."""
    yield from deployed_gateway(tmp_path_factory.mktemp("alone"), shipped_agent, GatewayHost.deploy)
