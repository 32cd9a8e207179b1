"""The container runtime, with a Docker that records its calls."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import pytest
from agent.commands import run
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.exposition import merged_metrics
from agent.processes import command_line, executable
from agent.programs import Finished, call
from agent.server import container as module
from agent.server import lifecycle
from agent.server.container import ContainerRuntime, scheduling_required
from agent.server.control import forget_key, read_key
from agent.server.runtime import runtime_of
from agent.server.scheduling import control_words
from agent.server.settings import parse_settings, write_settings
from agent.server.status import METRICS_SCRIPT, scheduler_metrics, server_ready
from agent.server.xsched_ctl import scheduler_words
from stand_in_host import eventually
from stand_in_machine import CONTAINER, Machine

IMAGE = "registry.example/triton@sha256:abc"
SETTINGS: Dict[str, Any] = {**CONTAINER, "image": IMAGE, "arguments": ["--log-verbose=1"]}

#: One container, whose state is in `container.json` while it exists. `docker wait` ends once it has stopped.
DOCKER = f"""#!{Path(sys.executable).resolve()} -IS
import json, os, sys, time
folder = os.environ["MACHINE"]
words = sys.argv[1:]
with open(folder + "/docker", "a") as record:
    record.write(json.dumps(words) + "\\n")
def state():
    try:
        with open(folder + "/container.json") as file:
            return json.load(file)
    except OSError:
        return None
def save(value):
    with open(folder + "/container.new", "w") as file:
        json.dump(value, file)
    os.replace(folder + "/container.new", folder + "/container.json")
if os.path.exists(folder + "/down"):
    sys.exit("Cannot connect to the Docker daemon. Is the docker daemon running?")
refusal = folder + "/refuses-" + words[0]
if os.path.exists(refusal):
    with open(refusal) as file:
        status, _, text = file.read().partition(" ")
    print(text, file=sys.stderr)
    sys.exit(int(status))
command = words[0]
if command == "inspect":
    found = state() or sys.exit("Error: No such container")
    if "Health" in words[2]:
        print(found.get("Health", "none"))
    else:
        assert ".HostConfig.RestartPolicy.Name" in words[words.index("--format") + 1]
        print(json.dumps({{key: found[key] for key in ("Id", "LogPath", "State", "Restart")}}))
elif command == "run":
    if os.path.exists(folder + "/not-triton"):
        sys.exit("sh: 1: tritonserver: not found")
    print("1000\\n1001\\nUsage: tritonserver [options]\\n  --http-port <integer>")
    if not os.path.exists(folder + "/former-release"):
        print("  --http-restricted-api <string>\\n  --grpc-restricted-protocol <string>")
elif command == "create":
    number = words.index("--name")
    save({{"Id": "c" * 64, "LogPath": "/docker/c.log", "name": words[number + 1],
          "Restart": words[words.index("--restart") + 1],
          "State": {{"Running": False, "Restarting": False, "Pid": 0, "StartedAt": "", "ExitCode": 0}}}})
elif command == "cp":
    with open(folder + "/copied.tar", "wb") as file:
        file.write(sys.stdin.buffer.read())
elif command == "start":
    found = state() or sys.exit("Error: No such container")
    found["State"].update(Running=True, Pid=77, StartedAt=str(time.time()))
    save(found)
elif command in ("stop", "kill"):
    found = state()
    if found:
        found["State"].update(Running=False, ExitCode=137 if command == "kill" else 0)
        save(found)
elif command == "rm" and state():
    os.unlink(folder + "/container.json")
elif command == "network":
    network = folder + "/network-" + words[-1]
    if words[1] == "create":
        open(network, "x").close()
    elif not os.path.exists(network):
        sys.exit("Error: No such network: " + words[-1])
    elif words[1] == "rm":
        os.unlink(network)
elif command == "volume":
    volume = folder + "/volume-" + words[-1]
    if words[1] == "create":
        open(volume, "x").close()
    elif not os.path.exists(volume):
        sys.exit("Error: No such volume: " + words[-1])
    elif words[1] == "rm":
        os.unlink(volume)
elif command == "ps" and state():
    print(state()["Id"][:12])
elif command == "wait":
    while True:
        if os.path.exists(folder + "/down"):
            sys.exit("error during connect")
        found = state() or sys.exit("Error: No such container")
        if not found["State"]["Running"]:
            print(found["State"]["ExitCode"])
            break
        time.sleep(0.01)
elif command == "logs":
    print("started\\nUsage: tritonserver [options]\\n  --help", file=sys.stderr)
elif command == "version":
    print("27.0")
"""


class Docker:
    """A machine with Docker."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.directory = machine.directory
        machine.program("docker", DOCKER)
        # As where a server is deployed.
        self.directory.server.mkdir()
        self.gpu(False)
        self.settings = parse_settings(SETTINGS)
        self.runtime = ContainerRuntime(self.directory, self.settings)

    def gpu(self, there: bool) -> None:
        self.machine.program("nvidia-smi", f"#!/bin/sh\nexit {0 if there else 9}\n")

    def calls(self) -> List[List[str]]:
        return [json.loads(line) for line in self.machine.lines("docker")]

    def state(self, **changes: Any) -> None:
        file = self.machine.folder / "container.json"
        found = json.loads(file.read_text())
        found["State"].update(changes)
        found.update({key: value for key, value in changes.items() if key in found or key == "Health"})
        # Never half a file: `docker wait` reads it meanwhile.
        staging = file.with_suffix(".mine")
        staging.write_text(json.dumps(found))
        staging.replace(file)

    @contextlib.contextmanager
    def down(self) -> Any:
        (self.machine.folder / "down").touch()
        yield
        (self.machine.folder / "down").unlink()

    def refuse(self, command: str, status: int, text: str) -> None:
        (self.machine.folder / f"refuses-{command}").write_text(f"{status} {text}")

    def launch(self, **changes: Any) -> List[str]:
        """How `docker create` is called."""
        self.runtime = ContainerRuntime(self.directory, parse_settings({**SETTINGS, **changes}))
        self.runtime.launch()
        return next(words for words in self.calls() if words[0] == "create")

    def has(self, what: str) -> None:
        (self.machine.folder / what).touch()

    def copied(self) -> "Dict[str, tarfile.TarInfo]":
        """What was put into the container."""
        with tarfile.open(self.machine.folder / "copied.tar") as archive:
            return {member.name: member for member in archive.getmembers()}

    def unpack(self, folder: Path) -> Path:
        with tarfile.open(self.machine.folder / "copied.tar") as archive:
            archive.extractall(folder)
        return folder / "xsched-triton"


@pytest.fixture
def docker(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return Docker(machine)


def option(words: List[str], name: str) -> List[str]:
    return [words[index + 1] for index, word in enumerate(words[: words.index(IMAGE)]) if word == name]


def test_runs_the_image_with_limited_logs_and_private_ports(docker: Docker) -> None:
    words = docker.launch()
    name = f"xsched-triton-{docker.directory.identity}"
    assert words[:3] == ["create", "--name", name]
    assert option(words, "--network") == [name]
    # The supervisor starts it again: Docker would start it without its models.
    assert option(words, "--restart") == ["no"]
    assert option(words, "--publish") == ["127.0.0.1:9000:9000", "127.0.0.1:9001:9001", "127.0.0.1:9002:9002"]
    bound = [mount for mount in option(words, "--mount") if mount.startswith("type=bind")]
    assert bound == [f'type=bind,"source={docker.directory.models}",target=/xsched-triton/models,readonly']
    assert option(words, "--stop-timeout") == ["40"]
    assert option(words, "--log-opt") == ["max-size=10m", "max-file=2"]
    assert option(words, "--env") == [
        "XSCHED_POLICY=HPF",
        "XSCHED_REQUIRED=OFF",
        "XSCHED_TRITON_DRAIN_SECONDS=0",
        "XSCHED_METRICS_FILE=/tmp/xsched-triton/metrics-%p",
        "XSCHED_DOMAIN_DIR=/xsched-triton/domain/gpus",
    ]
    assert option(words, "--gpus") + option(words, "--ulimit") == []
    assert words[words.index(IMAGE) + 1 :] == [
        "/run/xsched-triton/tritonserver",
        "--model-repository=/xsched-triton/models/repository",
        "--model-control-mode=explicit",
        "--strict-readiness=false",
        "--exit-timeout-secs=30",
        "--http-port=9000",
        "--grpc-port=9001",
        "--metrics-port=9002",
        "--log-verbose=1",
    ]


def test_a_folder_with_quotes_is_mounted(docker: Docker) -> None:
    runtime = ContainerRuntime(HostDirectory('/srv/my "models"'), docker.settings)
    words = runtime.options()
    assert 'type=bind,"source=/srv/my ""models""/models",target=/xsched-triton/models,readonly' in words


@pytest.mark.parametrize(
    ("address", "published"), [("::1", "[::1]"), ("[::]", "[::]"), ("0.0.0.0", "0.0.0.0")]
)
def test_addresses_as_docker_takes_them(docker: Docker, address: str, published: str) -> None:
    assert option(docker.launch(address=address), "--publish")[0] == f"{published}:9000:9000"


def test_gives_the_container_any_gpus_and_the_limits_that_nvidia_recommends(docker: Docker) -> None:
    docker.gpu(True)
    words = docker.launch()
    assert "XSCHED_REQUIRED=ON" in words
    expected = ["--gpus", "all", "--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]
    assert words[words.index("--gpus") : words.index(IMAGE)] == expected


def test_a_driver_that_does_not_answer_is_no_reason_to_serve_without_its_gpus(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DEVICES", tmp_path)
    (tmp_path / "nvidiactl").symlink_to("/dev/null")
    docker.machine.program(
        "nvidia-smi", "#!/bin/sh\necho Failed to initialize NVML: Driver/library version mismatch\nexit 18\n"
    )
    words = docker.launch()
    assert "XSCHED_REQUIRED=ON" in words
    assert option(words, "--gpus") == ["all"]


def test_names_each_device_of_the_gpus_for_systemd_to_know(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DEVICES", tmp_path)
    (tmp_path / "nvidia-caps").mkdir()
    names = ["nvidia0", "nvidia1", "nvidiactl", "nvidia-caps/nvidia-cap2", "nvidia-modeset", "nvidiafs"]
    for name in names:
        (tmp_path / name).symlink_to("/dev/null")
    (tmp_path / "nvidia2").touch()
    docker.gpu(True)
    # After a boot nobody has used CUDA yet.
    uvm = f'ln -s /dev/null "{tmp_path}/nvidia-uvm"'
    docker.machine.program("nvidia-modprobe", f'#!/bin/sh\n[ "$*" = "-u -c=0" ] && {uvm}\n')
    named = ["nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia-caps/nvidia-cap2"]
    assert option(docker.launch(), "--device") == [str(tmp_path / name) for name in named]


def test_gives_no_device_that_is_for_root_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DEVICES", tmp_path)
    (tmp_path / "nvidia0").symlink_to("/dev/null")
    # Not everybody may read it.
    (tmp_path / "nvidia1").symlink_to("/dev/console")
    assert module.gpu_options() == ["--gpus", "all", "--device", str(tmp_path / "nvidia0")]


def test_a_container_may_do_no_more_than_it_needs(docker: Docker) -> None:
    words = docker.launch(writablePaths=["/opt/cache", "/tmp"])
    assert option(words, "--cap-drop") == ["ALL"]
    assert option(words, "--security-opt") == ["no-new-privileges"]
    assert option(words, "--pids-limit") == ["32768"]
    assert "--read-only" in words[: words.index(IMAGE)]
    volumes = [mount for mount in option(words, "--mount") if mount.startswith("type=volume,target")]
    places = ("/home", "/opt/cache", "/root", "/run", "/tmp", "/var/tmp")
    assert volumes == [f"type=volume,target={place}" for place in places]


def test_a_container_has_as_much_memory_as_it_is_given(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "meminfo"
    monkeypatch.setattr(module, "_MEMORY", facts)

    def limits(**changes: int) -> List[str]:
        settings = parse_settings({**SETTINGS, **changes})
        words = ContainerRuntime(docker.directory, settings).options()
        shared = words[words.index("--shm-size") + 1]
        return [*(word for word in words if word.startswith("--memory")), shared]

    assert limits() == ["1024m"]
    facts.write_text("MemFree: 1 kB\nMemTotal:       16384000 kB\n")
    assert limits() == ["--memory=15200m", "--memory-swap=15200m", "7600m"]
    assert limits(memoryMegabytes=2048) == ["--memory=2048m", "--memory-swap=2048m", "1024m"]
    # What NVIDIA advises at least; it counts as memory, too.
    assert limits(memoryMegabytes=1024)[-1] == "1024m"


def test_a_container_has_a_network_of_its_own_as_long_as_it_lives(docker: Docker) -> None:
    network = docker.machine.folder / f"network-xsched-triton-{docker.directory.identity}"
    docker.launch()
    assert network.exists()
    # One that an interrupted deployment has left is used.
    docker.launch()
    docker.runtime.clear()
    assert not network.exists()


def test_docker_says_why_it_makes_no_network(docker: Docker) -> None:
    docker.refuse("network", 1, "all predefined address pools have been fully subnetted")
    with pytest.raises(HostError, match="cannot make a network for the container: all predefined") as raised:
        docker.launch()
    assert "docker network prune" in raised.value.fix


def domain_of(words: List[str]) -> List[str]:
    """What a container is told and given of its scheduling domain."""
    told = [each for each in option(words, "--env") if each.startswith(("XSCHED_DOMAIN", "XSCHED_SCHEDULER"))]
    return told + [mount for mount in option(words, "--mount") if mount.startswith("type=volume,source")]


def test_a_container_has_a_scheduling_domain_as_long_as_it_lives(docker: Docker) -> None:
    name = f"xsched-triton-{docker.directory.identity}-domain"
    volume = docker.machine.folder / f"volume-{name}"
    assert domain_of(docker.launch()) == [
        "XSCHED_DOMAIN_DIR=/xsched-triton/domain/gpus",
        f"type=volume,source={name},target=/xsched-triton/domain",
    ]
    assert volume.exists()
    docker.runtime.clear()
    docker.calls()
    docker.runtime.launch()
    made = [words for words in docker.calls() if words[:2] == ["volume", "create"]]
    memory = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=mode=1777,size=4m"]
    assert made == [["volume", "create", "--driver", "local", *memory, name]]
    # One that an interrupted deployment has left is used.
    docker.launch()
    docker.runtime.clear()
    assert not volume.exists()


def test_containers_with_one_name_share_a_domain(docker: Docker) -> None:
    expected = "type=volume,source=xsched-triton-domain-shared,target=/xsched-triton/domain"
    assert domain_of(docker.launch(schedulerDomain="shared"))[-1] == expected


def test_a_container_without_a_domain_schedules_by_itself(docker: Docker) -> None:
    assert domain_of(docker.launch(schedulerDomain="none")) == ["XSCHED_SCHEDULER=LCL"]
    assert not any(words[0] == "volume" for words in docker.calls())


def test_docker_says_why_it_makes_no_domain(docker: Docker) -> None:
    docker.refuse("volume", 1, "no such driver")
    with pytest.raises(HostError, match="the volume of the scheduling domain: no such driver") as raised:
        docker.launch()
    assert "scheduler.domain none" in raised.value.fix


def test_leaves_a_container_time_to_drain(docker: Docker) -> None:
    words = docker.launch(drainSeconds=15)
    assert "XSCHED_TRITON_DRAIN_SECONDS=15" in words
    assert option(words, "--stop-timeout") == ["55"]


def test_docker_says_why_it_does_not_start_it(docker: Docker) -> None:
    said = "Error response from daemon: unknown or invalid runtime name: nvidia"
    docker.refuse("start", 1, f"{said}\nError: failed to start containers: xsched-triton")
    with pytest.raises(HostError, match=f"Docker cannot start the container: {said}\n"):
        docker.launch()


def test_control_is_locked_with_a_key_that_docker_does_not_tell(docker: Docker) -> None:
    docker.runtime.launch()
    key = read_key(docker.directory)
    assert len(key) == 64
    calls = docker.calls()
    order = [words[0] for words in calls if words[0] in ("run", "create", "cp", "start")]
    assert order == ["run", "create", "cp", "start"]
    assert not [word for words in calls for word in words if key in word]
    assert ["cp", "-", f"{docker.runtime.name}:/run"] in calls
    secret = docker.copied()["xsched-triton/arguments"]
    # Of whoever runs in the container.
    assert (secret.mode, secret.uid, secret.gid) == (0o400, 1000, 1001)
    lines = (docker.unpack(docker.machine.folder) / "arguments").read_text("ascii").splitlines()
    assert [line.partition("=")[0] for line in lines] == [
        "--http-restricted-api",
        "--grpc-restricted-protocol",
    ]
    assert all(line.endswith(f"={key}") for line in lines)
    docker.runtime.launch()
    assert read_key(docker.directory) not in ("", key)


def test_what_asks_the_image_may_do_nothing(docker: Docker) -> None:
    docker.runtime.launch()
    asked = next(words for words in docker.calls() if words[0] == "run")
    assert asked[: asked.index(IMAGE)] == [
        *("run", "--rm", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    ]


def test_a_release_without_the_lock_runs_without_it(docker: Docker) -> None:
    docker.runtime.launch()
    docker.has("former-release")
    docker.calls()
    words = docker.launch()
    assert words[words.index(IMAGE) + 1] == "tritonserver"
    assert read_key(docker.directory) == ""
    assert not docker.runtime.lacks_lock


def test_an_image_that_does_not_tell_whether_it_locks_is_not_started(docker: Docker) -> None:
    docker.has("not-triton")
    with pytest.raises(
        HostError, match="does not tell what its Triton can do: sh: 1: tritonserver: not found"
    ):
        docker.launch()
    assert not [words for words in docker.calls() if words[0] in ("create", "start")]


def test_a_container_of_before_the_lock_goes_on_with_a_warning(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.runtime.launch()
    assert not docker.runtime.lacks_lock
    forget_key(docker.directory)
    write_settings(docker.directory, docker.settings)
    for name in ("ensure_supervisor", "await_service"):
        monkeypatch.setattr(lifecycle, name, lambda *_: None)
    docker.calls()
    run(docker.directory, "resume", [])
    assert "warning: an earlier release has started this server" in capsys.readouterr().err
    assert not [words for words in docker.calls() if words[0] in ("create", "start", "stop", "rm")]
    # It goes on, too, if its image does not tell.
    docker.has("not-triton")
    run(docker.directory, "resume", [])
    assert "warning" not in capsys.readouterr().err


#: Tells its process id, its arguments, its variables and the signals that it ignores, and waits.
_TELLS = """#!/bin/sh
printf '%s\\n' "$$" "$@" "variables:"
export -p
while read -r name value; do [ "$name" != SigIgn: ] || echo "ignores: $value"; done <"/proc/$$/status"
read -r _
"""


class Told(NamedTuple):
    """What a program has been started with."""

    pid: int
    words: List[str]
    variables: List[str]
    ignores: int


class Inside:
    """What happens in a container: a Triton that tells what it was started with, and what was put beside it."""

    def __init__(self, docker: Docker, folder: Path) -> None:
        docker.runtime.launch()
        self.key = read_key(docker.directory)
        self._programs = folder / "bin"
        self._programs.mkdir(parents=True)
        self.place = docker.unpack(folder)
        self.has("tritonserver", _TELLS)

    def has(self, name: str, text: str) -> None:
        (self._programs / name).write_text(text)
        (self._programs / name).chmod(0o755)

    def has_usual(self, *names: str) -> None:
        for name in names:
            found = shutil.which(name)
            assert found is not None
            (self._programs / name).symlink_to(Path(found).resolve())

    def start(self) -> "Tuple[subprocess.Popen[str], Told]":
        process = subprocess.Popen(
            [str(self.place / "tritonserver"), "--visible=a b", ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": str(self._programs), "MINE": "x=y"},
        )
        assert process.stdout is not None
        lines: List[str] = []
        while not lines or not lines[-1].startswith("ignores: "):
            line = process.stdout.readline()
            assert line, process.communicate()
            lines.append(line.rstrip("\n"))
        split = lines.index("variables:")
        names = [line.split()[1].partition("=")[0] for line in lines[split + 1 : -1]]
        return process, Told(int(lines[0]), lines[1:split], names, int(lines[-1].split()[1], 16))


@pytest.fixture
def inside(docker: Docker, tmp_path: Path) -> Iterator[Inside]:
    yield Inside(docker, tmp_path / "container")


def inherited_ignores() -> int:
    """The signals, as bits, that whoever started the tests ignores, as a shell does for its background."""
    of_python = {signal.SIGPIPE, signal.SIGXFSZ}
    ignored = [number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN]
    return sum(1 << (number - 1) for number in ignored if number not in of_python)


def test_triton_gets_the_key_and_nobody_sees_it(inside: Inside) -> None:
    inside.has_usual("python3")
    process, told = inside.start()
    assert told.words[:2] == ["--visible=a b", ""]
    assert [word.rpartition("=")[2] for word in told.words[2:]] == [inside.key, inside.key]
    # The image's entrypoint knows its Triton by its process id.
    assert told.pid == process.pid
    assert inside.key not in " ".join(command_line(told.pid))
    # As without what stands between: Python would add a variable, and ignores some signals.
    assert set(told.variables) <= {"MINE", "PATH", "PWD"}
    assert told.ignores == inherited_ignores()
    assert process.communicate("\n")[1] == ""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no python3", "this image has no python3"),
        ("no trace", "the process list shows the key to this server's control: Operation not permitted"),
    ],
)
def test_where_the_key_cannot_be_concealed_control_is_locked_all_the_same(
    inside: Inside, fault: str, said: str
) -> None:
    if fault == "no trace":
        # As where a container may not trace its own processes.
        inside.has_usual("python3")
        program = inside.place / "concealed.py"
        refuses = "def _require(result: int) -> None:\n    raise ConcealError('Operation not permitted')"
        program.write_text(program.read_text().replace("def _require(result: int) -> None:", refuses))
    process, told = inside.start()
    assert told.pid == process.pid
    assert told.words[:2] == ["--visible=a b", ""]
    assert [word.rpartition("=")[2] for word in told.words[2:]] == [inside.key, inside.key]
    assert said in process.communicate("\n")[1]


def test_lets_requests_in_flight_finish_before_it_removes_the_container(docker: Docker) -> None:
    docker.launch()
    write_settings(docker.directory, docker.settings)
    run(docker.directory, "drain", ["30"])
    calls = [words for words in docker.calls() if words[0] in ("stop", "rm")]
    assert calls[:2] == [
        ["stop", "-t", "40", docker.runtime.name],
        ["rm", "--force", "--volumes", docker.runtime.name],
    ]
    assert docker.runtime.remains() == []


def test_does_not_assume_that_a_container_is_gone_because_docker_does_not_answer(docker: Docker) -> None:
    docker.launch()
    write_settings(docker.directory, docker.settings)
    docker.machine.program("docker", "#!/bin/sh\nexit 1\n")
    with pytest.raises(HostError, match="Docker does not remove the container"):
        run(docker.directory, "stop", [])
    docker.machine.program("docker", DOCKER)
    assert docker.runtime.remains()
    run(docker.directory, "stop", [])
    assert docker.runtime.remains() == []


def test_a_docker_that_does_not_answer_is_no_concern_where_nothing_is_deployed(docker: Docker) -> None:
    with docker.down():
        run(docker.directory, "stop", [])


def test_keeps_one_link_to_its_containers_log(docker: Docker) -> None:
    logs = docker.directory.server / "logs"

    def links() -> List["tuple[str, str]"]:
        return sorted((path.name, os.readlink(path)) for path in logs.iterdir() if path.is_symlink())

    docker.launch()
    assert links() == [("container-cccccccccccc.log", "/docker/c.log")]
    docker.state(Id="d" * 64, LogPath="/docker/d.log")
    docker.runtime.find()
    docker.runtime.link_log()
    docker.runtime.link_log()
    assert links() == [("container-dddddddddddd.log", "/docker/d.log")]
    (logs / "triton.log").touch()
    docker.runtime.clear()
    assert links() == []
    assert (logs / "triton.log").exists()


def test_takes_a_container_over_for_good(docker: Docker) -> None:
    assert not docker.runtime.adopt()
    docker.launch()
    runtime = runtime_of(docker.directory, docker.settings)
    assert isinstance(runtime, ContainerRuntime)
    # An update can cost a container that runs its GPUs.
    assert runtime.adopt()
    assert not [call for call in docker.calls() if call[0] == "update"]
    docker.state(Restart="unless-stopped")
    assert runtime.adopt()
    assert ["update", "--restart", "no", runtime.name] in docker.calls()
    assert runtime.identity == docker.runtime.identity
    assert runtime.pid == 77
    docker.state(Restarting=True)
    assert not runtime.find()


def test_tells_how_a_container_ended(docker: Docker) -> None:
    assert docker.runtime.poll() == "an unknown status"
    docker.launch()
    assert docker.runtime.poll() is None
    docker.state(Running=False, ExitCode=139)
    assert eventually(docker.runtime.poll) == "status 139"
    docker.runtime.release()


def test_a_docker_that_goes_for_a_while_ends_no_container(docker: Docker) -> None:
    """With `live-restore` containers run on."""
    docker.launch()
    assert docker.runtime.poll() is None
    with docker.down():
        for _ in range(20):
            assert docker.runtime.poll() is None
            docker.runtime.release()
    assert docker.runtime.poll() is None
    docker.runtime.release()


def test_a_container_that_ended_while_docker_was_away(docker: Docker) -> None:
    docker.launch()
    assert docker.runtime.poll() is None
    docker.refuse("wait", 1, "error during connect")
    docker.state(Running=False, ExitCode=255)
    assert eventually(docker.runtime.poll) == "status 255"


def test_another_container_of_the_name_is_another_run(docker: Docker) -> None:
    docker.launch()
    docker.refuse("wait", 1, "error during connect")
    docker.state(StartedAt="later")
    assert eventually(docker.runtime.poll) is not None


def test_leaving_ends_the_program_that_waits(docker: Docker) -> None:
    docker.launch()
    docker.runtime.poll()
    waiting = docker.runtime._waiting
    assert waiting is not None
    docker.runtime.release()
    assert waiting.returncode is not None


def test_kills_at_once(docker: Docker) -> None:
    docker.launch()
    docker.runtime.kill()
    assert not docker.runtime.find()
    assert docker.runtime.end_model("scale") is False
    docker.runtime.prepare([])
    assert docker.runtime.housekeep() is False


def test_tries_in_the_container_what_a_model_brings_for_its_process(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounted").symlink_to(docker.directory.path)
    asked: List[Tuple[str, ...]] = []
    started = True

    def inside(*words: str, seconds: float) -> Finished:
        """As in the container, where the models are elsewhere and tritonserver has another environment."""
        asked.append(words)
        if not started:
            return Finished(1, "", "Error response from daemon: container is not running")
        script = words[-1].replace("/xsched-triton/", f"{tmp_path}/mounted/")
        return call([*words[2:-1], script], seconds=seconds)

    monkeypatch.setattr(module, "docker", inside)
    model = docker.directory.repository / "own"
    model.mkdir(parents=True)
    (model / "config.pbtxt").write_text('backend: "python"')
    assert docker.runtime.stub_fault("own") == ""
    assert not asked
    (model / "triton_python_backend_stub").write_text("#!/bin/sh\necho too old >&2\nexit 127\n")
    assert docker.runtime.stub_fault("own") == "its process cannot start: too old"
    assert asked[0][:4] == ("exec", docker.runtime.name, "bash", "-pc")
    started = False
    assert docker.runtime.stub_fault("own") == ""


def test_clears_in_the_container_what_could_not_be_unpacked(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "docker", lambda *words: call(words[2:]))
    base = tmp_path / "base"
    (base / "0/bin").mkdir(parents=True)
    assert docker.runtime.clear_unpacked(f"{base}/0")
    [left] = base.iterdir()
    assert left.name.startswith("0.")
    assert not list(left.iterdir())
    assert not docker.runtime.clear_unpacked(f"{base}/0")


def test_tells_how_much_shared_memory_is_left(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = "/dev/shm of the container; it is half of the container's memory"
    docker.refuse("exec", 1, "no such container")
    assert docker.runtime.shared_memory_left().startswith(unknown)
    monkeypatch.setattr(module, "docker", lambda *words: call(words[2:]))
    assert re.match(
        r"/dev/shm of the container has \d+ of \d+ MB left; it", docker.runtime.shared_memory_left()
    )


def test_the_environment_of_a_try_is_that_of_tritonserver(tmp_path: Path) -> None:
    program = tmp_path / "tritonserver"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([str(program), "60"], env={"SHIM": "a b", "PATH": os.environ["PATH"]}) as process:
        eventually(lambda: executable(process.pid) == str(program))
        script = module._AS_TRITONSERVER.replace("/proc/[0-9]*", f"/proc/{process.pid}")
        found = call(["bash", "-pc", f'{script}\nprintf %s "$SHIM"'])
        process.kill()
    assert found.out == "a b"


def test_shows_the_log_without_pages_of_usage(docker: Docker) -> None:
    docker.launch()
    assert docker.runtime.log_tail(5) == ["started"]
    mark = docker.runtime.log_mark()
    assert "started" in docker.runtime.log_since(mark)
    assert ["logs", "--since", mark, docker.runtime.name] in docker.calls()


def test_waits_for_a_log_that_docker_has_yet_to_write(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.launch()
    real = module.docker
    said: List[Any] = []

    def late(*words: str) -> Any:
        found = real(*words)
        if words[0] != "logs":
            return found
        said.append(Finished(0, "", "") if len(said) < 2 else found)
        return said[-1]

    monkeypatch.setattr(module, "docker", late)
    assert docker.runtime.log_tail(5) == ["started"]
    assert len(said) == 3


def test_what_docker_prints_instead_of_a_state_is_none(docker: Docker) -> None:
    docker.machine.program("docker", "#!/bin/sh\necho '<html>'\n")
    assert not docker.runtime.find()


def test_counts_as_scheduled_if_the_images_own_check_succeeds(
    docker: Docker, capfd: pytest.CaptureFixture
) -> None:
    assert docker.runtime.scheduled()
    assert docker.calls()[-1] == ["exec", docker.runtime.name, "/opt/xsched/bin/healthcheck.sh", "scheduler"]
    docker.refuse("exec", 1, "unhealthy: no driver")
    assert not docker.runtime.scheduled()
    assert "unhealthy: no driver" in capfd.readouterr().err
    docker.refuse("exec", 127, "")
    assert not docker.runtime.scheduled()
    assert "the image has no XSched" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("required", "gpu", "verdict"),
    [("always", False, True), ("onGpu", True, True), ("onGpu", False, False), ("never", True, False)],
)
def test_requires_scheduling_always_on_a_gpu_or_never(
    docker: Docker, required: str, gpu: bool, verdict: bool
) -> None:
    docker.gpu(gpu)
    settings = parse_settings({**SETTINGS, "schedulerRequired": required})
    assert scheduling_required(settings) is verdict
    assert not scheduling_required(settings._replace(kind="process"))


def test_the_scheduler_is_asked_in_the_container(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(docker.directory, docker.settings)
    with pytest.raises(HostError, match="does not run"):
        scheduler_words(docker.directory, [])
    docker.launch()
    words = scheduler_words(docker.directory, ["stats", "--json"])
    assert words[:3] == ["docker", "exec", docker.runtime.name]
    assert words[-2:] == ["stats", "--json"]
    ran: List[Any] = []
    monkeypatch.setattr(os, "execvp", lambda *call: ran.append(call))
    run(docker.directory, "scheduler", ["set", "high", "9"])
    assert ran[0][1][-3:] == ["set", "high", "9"]
    assert scheduler_metrics(docker.directory) == ""


@pytest.mark.parametrize(
    "words",
    [
        ["stats", "--json"],
        ["priority", "chat", "7"],
        ["floor", "chat", "7"],
        ["weight", "chat", "7"],
        ["status"],
        ["list"],
        ["list", "--domain", "--json"],
    ],
)
@pytest.mark.parametrize("release", ["this", "former", "first"])
def test_counters_priorities_floors_and_weights_are_those_of_all_processes(
    tmp_path: Path, words: List[str], release: str
) -> None:
    (tmp_path / "server").write_text("17\n127.0.0.1\n8000\nON\n-\n")
    control = tmp_path / "xsched-ctl"
    usage = {
        "this": "priority, floor and weight use all. stats [--json] [--all]",
        "former": "priority uses all. stats [--json] [--all]",
        "first": "stats [--json]",
    }[release]
    control.write_text(f'#!/bin/sh\n[ "$1" != --help ] || {{ echo "{usage}"; exit; }}\necho "$@"\n')
    control.chmod(0o755)
    found = subprocess.run(
        control_words(words),
        env={**os.environ, "XSCHED_TRITON_STATE": str(tmp_path), "XSCHED_TRITON_CONTROL": str(control)},
        stdout=subprocess.PIPE,
        check=True,
    )
    of_all = {"stats": ["stats", "--json", "--all"], "priority": words}
    if release == "this":
        of_all.update(floor=words, weight=words)
    only = words if "--domain" in words else ["--pid", "17", *words]
    expected = only if release == "first" else of_all.get(words[0], only)
    assert found.stdout.decode().split() == expected


def test_metrics_are_those_of_all_processes_that_run(tmp_path: Path) -> None:
    def metrics(pid: int, name: str) -> str:
        return (
            "# HELP xsched_info The process.\n# TYPE xsched_info gauge\n"
            f'xsched_info{{pid="{pid}"}} 1\n'
            "# HELP xsched_queue_ready Whether it has work.\n# TYPE xsched_queue_ready gauge\n"
            f'xsched_queue_ready{{pid="{pid}",name="{name} {{0}}"}} 1\n'
        )

    gone = subprocess.Popen(["true"])
    gone.wait()
    for pid, name in ((os.getpid(), "chat"), (os.getppid(), "python"), (gone.pid, "gone")):
        (tmp_path / f"metrics-{pid}").write_text(metrics(pid, name))
    found = subprocess.run(
        ["sh", "-c", METRICS_SCRIPT, "-", str(tmp_path)], stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    pids = sorted((os.getpid(), os.getppid()), key=str)
    names = {os.getpid(): "chat", os.getppid(): "python"}
    assert merged_metrics(found).splitlines() == [
        "# HELP xsched_info The process.",
        "# TYPE xsched_info gauge",
        *(f'xsched_info{{pid="{pid}"}} 1' for pid in pids),
        "# HELP xsched_queue_ready Whether it has work.",
        "# TYPE xsched_queue_ready gauge",
        *(f'xsched_queue_ready{{pid="{pid}",name="{names[pid]} {{0}}"}} 1' for pid in pids),
    ]
    assert merged_metrics("") == ""


def test_a_server_is_ready_if_its_image_says_so(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not server_ready(docker.directory)
    write_settings(docker.directory, docker.settings)
    docker.launch()
    monkeypatch.setattr("agent.server.status.running_server", lambda _: docker.runtime)
    assert server_ready(docker.directory)
    docker.state(Health="unhealthy")
    assert not server_ready(docker.directory)
    docker.state(Health="healthy")
    assert server_ready(docker.directory)
