"""Amazon's CloudWatch agent of a host."""

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
import signatures
from agent import cloudwatch, signature
from agent.commands import run
from agent.errors import HostError
from stand_in_machine import Machine

#: An agent that records its calls, and accepts any configuration but one that says "refuse me".
CONTROL = """#!/bin/bash
echo "$*" >>"$MACHINE/agent-orders"
case "$*" in
  *status*) [ ! -e "$MACHINE/agent-runs" ] || echo '{ "status": "running" }' ;;
  *stop*) rm -f "$MACHINE/agent-runs" ;;
  *fetch-config*)
    if grep -q 'refuse me' "$(sed 's/^file://' <<<"${@: -1}")"; then
      echo 'E! Invalid JSON schema' >&2
      exit 1
    fi
    touch "$MACHINE/agent-runs"
    ;;
esac
"""
CONFIGURATION = {
    "agent": {"agent": {"run_as_user": "root", "note": "größer"}},
    "prometheus": {"scrape_configs": [{"job_name": "triton"}, {"job_name": "host"}]},
}


@pytest.fixture
def agent(machine: Machine) -> Path:
    folder = machine.folder / "agent"
    (folder / "bin").mkdir(parents=True)
    (folder / "etc").mkdir()
    program = folder / "bin/amazon-cloudwatch-agent-ctl"
    program.write_text(CONTROL)
    program.chmod(0o755)
    machine.set("XSCHED_TRITON_AGENT", folder)
    return folder


def orders(machine: Machine) -> List[str]:
    return [line for line in machine.lines("agent-orders") if "status" not in line]


def configure(machine: Machine, configuration: Dict[str, Any]) -> None:
    run(machine.directory, "configure-cloudwatch", [], json.dumps(configuration))


def test_is_restarted_for_a_changed_configuration_only(machine: Machine, agent: Path) -> None:
    config = agent / "etc/xsched-triton.json"
    configure(machine, CONFIGURATION)
    assert orders(machine) == [f"-a fetch-config -m ec2 -s -c file:{config}"]
    assert json.loads(config.read_text()) == CONFIGURATION["agent"]
    assert (
        json.loads((agent / "etc/xsched-triton-prometheus.yaml").read_text()) == CONFIGURATION["prometheus"]
    )
    configure(machine, CONFIGURATION)
    assert orders(machine) == []
    changed = {**CONFIGURATION, "prometheus": {"scrape_configs": []}}
    configure(machine, changed)
    assert len(orders(machine)) == 1
    (machine.folder / "agent-runs").unlink()
    configure(machine, changed)
    assert len(orders(machine)) == 1
    run(machine.directory, "remove-cloudwatch", [])
    assert orders(machine) == ["-m ec2 -a stop"]
    assert list((agent / "etc").iterdir()) == []


def test_that_an_earlier_release_has_configured_so_runs_on(machine: Machine, agent: Path) -> None:
    # As JSON.stringify of the release writes it.
    (agent / "etc/xsched-triton.json").write_text('{"agent":{"run_as_user":"root","note":"größer"}}\n')
    (agent / "etc/xsched-triton-prometheus.yaml").write_text(
        '{"scrape_configs":[{"job_name":"triton"},{"job_name":"host"}]}\n'
    )
    (machine.folder / "agent-runs").touch()
    configure(machine, CONFIGURATION)
    assert orders(machine) == []


def test_that_refuses_its_configuration_is_tried_again_the_next_time(
    machine: Machine, agent: Path, capsys: pytest.CaptureFixture
) -> None:
    for _ in range(2):
        with pytest.raises(HostError, match="the CloudWatch agent rejects its configuration"):
            configure(machine, {"agent": {"refuse me": 1}, "prometheus": {}})
        assert "Invalid JSON schema" in capsys.readouterr().err
        assert len(orders(machine)) == 1


@pytest.mark.parametrize("configuration", [{}, {"agent": {}}, {"agent": {}, "prometheus": "text"}])
def test_needs_a_whole_configuration(machine: Machine, agent: Path, configuration: Dict[str, Any]) -> None:
    with pytest.raises(HostError, match="the agent's configuration is incomplete"):
        configure(machine, configuration)
    assert machine.lines("agent-orders") == []


def test_a_full_disk_is_an_error(machine: Machine, agent: Path) -> None:
    machine.program("tee", "#!/bin/bash\necho 'No space left on device' >&2\nexit 1\n")
    with pytest.raises(HostError, match=r"cannot write .*: No space left on device"):
        configure(machine, CONFIGURATION)


@pytest.fixture
def no_agent(machine: Machine, agent: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the agent, on which its package can be installed."""
    program = agent / "bin/amazon-cloudwatch-agent-ctl"
    program.rename(machine.folder / "control")
    (agent / "bin").rmdir()
    machine.program(
        "dpkg",
        f"""#!/bin/bash
[ "$(cat "$2")" = 'a package' ] || {{ echo "not a package" >&2; exit 1; }}
mkdir -p '{agent}/bin' && cp '{machine.folder}/control' '{program}'
""",
    )
    monkeypatch.setattr(cloudwatch.time, "sleep", lambda _: None)
    monkeypatch.setattr(cloudwatch, "FINGERPRINT", signatures.FINGERPRINT)
    key = machine.folder / "keys.gpg"
    key.write_text(signatures.KEYS)
    machine.set("XSCHED_TRITON_AGENT_KEY", f"file://{key}")
    return machine.folder / "agent.deb"


def offer(machine: Machine, package: Path, text: str, signed: bytes) -> None:
    """Makes a package, and its signature, the one that is downloaded."""
    package.write_text(text)
    package.with_name(f"{package.name}.sig").write_bytes(signed)
    machine.set("XSCHED_TRITON_AGENT_PACKAGE", f"file://{package}")


def test_is_installed_if_it_is_missing(machine: Machine, no_agent: Path) -> None:
    offer(machine, no_agent, "a package", signatures.PACKAGE)
    configure(machine, CONFIGURATION)
    assert len(orders(machine)) == 1


@pytest.mark.parametrize(
    ("text", "signed", "reason"),
    [
        ("another package", signatures.PACKAGE, "BAD signature"),
        (
            "a package",
            signatures.BY_ANOTHER_KEY,
            f"signed with the key .*, not with {signatures.FINGERPRINT}",
        ),
        ("a package", b"no signature", ""),
        ("a package", b"", ""),
    ],
)
def test_that_amazon_has_not_signed_is_not_installed(
    machine: Machine, agent: Path, no_agent: Path, text: str, signed: bytes, reason: str
) -> None:
    machine.program("dpkg", '#!/bin/bash\ntouch "$MACHINE/installed"\n')
    offer(machine, no_agent, text, signed)
    with pytest.raises(
        HostError, match=f"is not as Amazon has signed it, so it is not installed: .*{reason}"
    ):
        configure(machine, CONFIGURATION)
    assert not (machine.folder / "installed").exists()


def test_needs_a_key_that_can_be_read(machine: Machine, no_agent: Path) -> None:
    offer(machine, no_agent, "a package", signatures.PACKAGE)
    (machine.folder / "keys.gpg").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!!\n")
    with pytest.raises(HostError, match=r"is not as Amazon has signed it, .*its key cannot be read"):
        configure(machine, CONFIGURATION)


def test_is_not_installed_where_its_signature_cannot_be_checked(
    machine: Machine, no_agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(machine, no_agent, "a package", signatures.PACKAGE)
    real = signature.call
    monkeypatch.setattr(
        signature, "call", lambda words, **more: real(["no-such-program", *words[1:]], **more)
    )
    with pytest.raises(HostError, match=r"cannot be checked: .*not found\nfix: sudo apt-get install gpgv"):
        configure(machine, CONFIGURATION)


def test_has_the_fingerprint_that_amazon_publishes() -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/verify-CloudWatch-Agent-Package-Signature.html
    assert "9376 16F3 450B 7D80 6CBD  9725 D581 6730 3B78 9C72".replace(" ", "") == cloudwatch.FINGERPRINT


def test_is_reported_as_missing(machine: Machine, no_agent: Path) -> None:
    machine.set("XSCHED_TRITON_AGENT_PACKAGE", "http://127.0.0.1:9/agent.deb")
    with pytest.raises(
        HostError, match=r"cannot be downloaded from http:.*\nfix: give the host access to S3"
    ):
        configure(machine, CONFIGURATION)


def test_a_package_that_does_not_fit_is_an_error(
    machine: Machine, no_agent: Path, capsys: pytest.CaptureFixture
) -> None:
    offer(machine, no_agent, "something else", signatures.SOMETHING_ELSE)
    with pytest.raises(HostError, match="the CloudWatch agent cannot be installed"):
        configure(machine, CONFIGURATION)
    assert "not a package" in capsys.readouterr().err


def test_nothing_is_removed_where_nothing_is(machine: Machine, no_agent: Path) -> None:
    run(machine.directory, "remove-cloudwatch", [])
    assert orders(machine) == []
