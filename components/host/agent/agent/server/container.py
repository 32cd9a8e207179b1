"""The container runtime: tritonserver in a Docker container."""

import contextlib
import json
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from ..console import progress
from ..directory import HostDirectory
from ..errors import HostError
from ..programs import Finished, call
from .container_lock import PLACE, PROGRAM, look_into, parcel
from .control import forget_key, locking_arguments, read_key, renew_key
from .load_watch import LoadWatch
from .log import without_usage
from .settings import Settings
from .stub import Place, stub_fault

#: Where the container has the models, whatever the host's folder is called: Triton's Python backend pastes paths into a
#: shell command without quotes.
CONTAINER_DIRECTORY = "/xsched-triton"

#: Where the image keeps what it knows about its Triton; see images/triton/entrypoint.sh.
CONTAINER_STATE = "/tmp/xsched-triton"

#: Where the container has the volume of its scheduling domain. The own folder in it is made by the first process that
#: joins, for its user alone.
DOMAIN = f"{CONTAINER_DIRECTORY}/domain"

#: Where programs in the container may write: temporary files, and caches in a home.
_WRITABLE = ("/tmp", "/var/tmp", PLACE, "/root", "/home")
#: Processes and threads. Far more than any server needs, far fewer than a machine has.
_MOST_PROCESSES = 32768

#: Megabytes of /dev/shm, as NVIDIA advises for Triton at least. Each instance of a Python model takes 64 of them up to
#: Triton 22.06, before it has a request.
_LEAST_SHARED = 1024

_MEMORY = Path("/proc/meminfo")

_DEVICES = Path("/dev")
#: What NVIDIA's container toolkit gives a container for CUDA; the last ones are of instances of a GPU (MIG).
_GPU_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia[0-9]*", "nvidia-caps/nvidia-cap[0-9]*")

#: Lines of Docker that say no more than that there was an error.
_NO_REASON = ("Error: failed to start containers", "See 'docker ", "Run 'docker ")

#: Seconds for an answer of Docker that needs no work. A Docker that is busy with an image can be slow.
_SOON = 60


#: Where NVIDIA's images have the Python backend.
_PYTHON_BACKEND = "/opt/tritonserver/backends/python"

#: Bash that takes over the environment of the tritonserver in the container, which the entrypoint has made.
_AS_TRITONSERVER = """
for process in /proc/[0-9]*; do
  [ "$(cat "$process/comm")" = tritonserver ] || continue
  while IFS= read -rd '' pair; do export "$pair"; done <"$process/environ"
done 2>/dev/null
"""


def docker(*words: str, seconds: Optional[float] = _SOON) -> "Any":
    return call(["docker", *words], seconds=seconds)


def docker_answers() -> bool:
    return bool(docker("version", "--format", "{{.Server.Version}}").ok)


def host_has_gpu() -> bool:
    """
    Also where nvidia-smi fails or takes long though there is a driver, as after its update or on a machine with many
    GPUs: a server that is started then without them would serve unscheduled, if at all. With them, Docker says why not.
    """
    return call(["nvidia-smi"], seconds=20).ok or (_DEVICES / "nvidiactl").exists()


def gpu_options() -> List[str]:
    """
    All GPUs, as options of `docker create`. Their devices are named as well. Systemd does not know of those that the
    container toolkit adds by itself, and takes them from the container when it next reads its units, as it does for
    each unit that a deployment installs: https://github.com/NVIDIA/nvidia-container-toolkit/issues/48.
    """
    # Makes the devices of nvidia-uvm, which otherwise only the first program with CUDA does after a boot.
    call(["nvidia-modprobe", "-u", "-c=0"], seconds=20)
    options = ["--gpus", "all"]
    for pattern in _GPU_DEVICES:
        for device in sorted(_DEVICES.glob(pattern)):
            # One capability is root's alone: to change how a GPU is divided.
            if device.is_char_device() and device.stat().st_mode & stat.S_IROTH:
                options += ["--device", str(device)]
    return options


def scheduling_required(settings: Settings) -> bool:
    """Whether the models must not run unscheduled."""
    if settings.scheduler_required == "always":
        return settings.kind == "container"
    return settings.scheduler_required == "onGpu" and settings.kind == "container" and host_has_gpu()


def nearly_all_megabytes() -> int:
    """The memory of the machine without a twentieth, for the rest of it: the kernel must not have to end somebody
    else's process because of a model. 0 if it is not known."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MEMORY.read_text("ascii").splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) // 1024 * 19 // 20
    return 0


def container_name(directory: HostDirectory) -> str:
    return f"xsched-triton-{directory.identity}"


def own_domain(directory: HostDirectory) -> str:
    """The volume of the domain of a deployment that shares none."""
    return f"{container_name(directory)}-domain"


class ContainerRuntime:
    """The container of a host's folder."""

    def __init__(self, directory: HostDirectory, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self.name = container_name(directory)
        self._waiting: Optional[subprocess.Popen[bytes]] = None
        self._state: Dict[str, Any] = {}

    @property
    def identity(self) -> str:
        """Names the run of the container; empty without one."""
        return f"{self._state.get('Id', '')[:12]} {self._state.get('StartedAt', '')}" if self._state else ""

    @property
    def pid(self) -> int:
        return int(self._state.get("Pid", 0))

    def _inspect(self) -> Dict[str, Any]:
        form = (
            '{"Id":{{json .Id}},"State":{{json .State}},"LogPath":{{json .LogPath}},'
            '"Restart":{{json .HostConfig.RestartPolicy.Name}}}'
        )
        found = docker("inspect", "--type", "container", "--format", form, self.name)
        if not found.ok:
            return {}
        try:
            answer = json.loads(found.out)
        except ValueError:
            return {}
        return {
            "Id": answer["Id"],
            "LogPath": answer["LogPath"],
            "RestartPolicy": answer.get("Restart", ""),
            **answer["State"],
        }

    def find(self) -> bool:
        """Takes over a container that runs already."""
        state = self._inspect()
        if not state.get("Running") or state.get("Restarting"):
            return False
        self._state = state
        self._forget_wait()
        return True

    def adopt(self) -> bool:
        """As `find`, for good: Docker shall no longer start it, as it does with containers of earlier releases."""
        if not self.find():
            return False
        # An update of a container that runs can take its GPUs away, as gpu_options says.
        if self._state["RestartPolicy"] != "no":
            docker("update", "--restart", "no", self.name)
        return True

    def _forget_wait(self) -> None:
        if self._waiting is not None:
            self._waiting.kill()
            self._waiting.wait()
            self._waiting = None

    def _wait(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["docker", "wait", self._state["Id"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def launch(self) -> None:
        """Makes the container anew and starts it.

        :raises HostError: if Docker does not
        """
        docker("rm", "--force", "--volumes", self.name)
        self._make_network()
        self.make_domain()
        image = look_into(self._settings.image)
        if image.locks:
            self._make(PROGRAM)
            key = renew_key(self._directory)
            self._docker("cp", "-", f"{self.name}:{PLACE}", text=parcel(image, locking_arguments(key)))
        else:
            self._make("tritonserver")
            forget_key(self._directory)
        self._docker("start", self.name)
        self._state = self._inspect()
        self._forget_wait()
        self.link_log()

    def _make(self, program: str) -> None:
        self._docker("create", *self.options(), self._settings.image, program, *self.arguments())

    def _docker(self, *words: str, text: Optional[str] = None) -> None:
        """
        :raises HostError: if Docker does not do it
        """
        done = call(["docker", *words], text=text)
        if not done.ok:
            # What Docker prints after it says only that it did not start.
            lines = [line for line in done.err.splitlines() if not line.startswith(_NO_REASON)]
            why = lines[-1].strip() if lines else done.reason
            raise HostError(f"Docker cannot start the container: {why}", "read Docker's message")

    @property
    def astray(self) -> bool:
        """A container has the folder itself, wherever it is moved to."""
        return False

    @property
    def lacks_lock(self) -> bool:
        """Whether its control is open to everybody, although this release knows the lock."""
        if read_key(self._directory):
            return False
        # A container that runs goes on, whatever its image does not tell.
        with contextlib.suppress(HostError):
            return look_into(self._settings.image).locks
        return False

    def _make_network(self) -> None:
        """A network of its own: on Docker's common one, other containers would reach Triton's control past the ports
        that are published.

        :raises HostError: if Docker has no range of addresses left, for instance
        """
        if docker("network", "inspect", "--format", "{{.Id}}", self.name).ok:
            return
        label = f"xsched-triton.directory={self._directory.path}"
        made = docker("network", "create", "--label", label, self.name)
        if not made.ok:
            raise HostError(
                f"Docker cannot make a network for the container: {made.reason}",
                "read Docker's message; `docker network prune` removes networks that nothing uses",
            )

    @property
    def image(self) -> str:
        """The image that the container is made of, by digest."""
        return self._settings.image

    @property
    def domain(self) -> str:
        """The volume of the scheduling domain; empty without one."""
        named = self._settings.scheduler_domain
        if named == "none":
            return ""
        return f"xsched-triton-domain-{named}" if named else own_domain(self._directory)

    def make_domain(self) -> None:
        """A volume in memory, which other containers of the domain mount, too. Docker's /dev/shm is a container's own.

        :raises HostError: if Docker makes none
        """
        if not self.domain or docker("volume", "inspect", "--format", "{{.Name}}", self.domain).ok:
            return
        memory = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=mode=1777,size=4m")
        made = docker("volume", "create", "--driver", "local", *memory, self.domain)
        if not made.ok:
            raise HostError(
                f"Docker cannot make the volume of the scheduling domain: {made.reason}",
                "read Docker's message; with scheduler.domain none, each process schedules by itself",
            )

    def options(self) -> List[str]:
        """The options of `docker create`."""
        settings = self._settings
        published = f"[{settings.address.strip('[]')}]" if ":" in settings.address else settings.address
        models = str(self._directory.models).replace('"', '""')
        options = [
            *("--name", self.name),
            *("--network", self.name),
            # The supervisor starts it again, with its models. Docker would start it without.
            *("--restart", "no"),
            *("--env", "XSCHED_POLICY=HPF"),
            *("--env", f"XSCHED_REQUIRED={'ON' if scheduling_required(settings) else 'OFF'}"),
            *("--env", f"XSCHED_TRITON_DRAIN_SECONDS={settings.drain_seconds}"),
            *("--env", f"XSCHED_METRICS_FILE={CONTAINER_STATE}/metrics-%p"),
            # An image of an earlier release has no domain unless it is told so, and refuses one.
            *("--env", f"XSCHED_DOMAIN_DIR={DOMAIN}/gpus" if self.domain else "XSCHED_SCHEDULER=LCL"),
            *("--label", f"xsched-triton.directory={self._directory.path}"),
            *("--mount", f'type=bind,"source={models}",target={CONTAINER_DIRECTORY}/models,readonly'),
        ]
        # Triton needs nothing that root may do beyond its own files, and what a model runs shall not get it.
        options += [
            *("--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges"),
            *("--pids-limit", str(_MOST_PROCESSES)),
            "--read-only",
        ]
        memory = settings.memory_megabytes or nearly_all_megabytes()
        if memory:
            # No swap on top: a model that is paged out is of no use to anybody.
            options += [f"--memory={memory}m", f"--memory-swap={memory}m"]
        for path in sorted({*_WRITABLE, *settings.writable_paths}):
            # A volume has what the image has there, and goes with the container.
            options += ["--mount", f"type=volume,target={path}"]
        if self.domain:
            options += ["--mount", f"type=volume,source={self.domain},target={DOMAIN}"]
        for port in (settings.http_port, settings.grpc_port, settings.metrics_port):
            options += ["--publish", f"{published}:{port}:{port}"]
        options += [
            *("--shm-size", f"{max(_LEAST_SHARED, memory // 2)}m"),
            *("--stop-timeout", str(settings.stop_seconds)),
            *("--log-driver", "json-file"),
            *("--log-opt", f"max-size={(settings.log_megabytes + 1) // 2}m", "--log-opt", "max-file=2"),
        ]
        if host_has_gpu():
            # The limits are those that NVIDIA advises for its images. A Docker that runs in a container itself, as on
            # CI machines, may not set them.
            options += [*gpu_options(), "--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]
        return options

    def arguments(self) -> List[str]:
        settings = self._settings
        return [
            f"--model-repository={CONTAINER_DIRECTORY}/models/repository",
            *settings.common_arguments,
            f"--http-port={settings.http_port}",
            f"--grpc-port={settings.grpc_port}",
            f"--metrics-port={settings.metrics_port}",
            *settings.arguments,
        ]

    def poll(self) -> Optional[str]:
        """How the container ended; None while it runs."""
        if not self._state:
            return "an unknown status"
        if self._waiting is None:
            self._waiting = self._wait()
        if self._waiting.poll() is None:
            return None
        out = self._waiting.stdout.read().decode().strip() if self._waiting.stdout else ""
        if self._waiting.returncode == 0:
            return f"status {out}"
        # Docker itself may have gone for a while, and the container may run on (`live-restore`).
        self._forget_wait()
        time.sleep(1)
        identity = self.identity
        found = self._inspect()
        if not found and not docker_answers():
            return None
        if found.get("Running") and self.find() and self.identity == identity:
            return None
        return f"status {found['ExitCode']}" if "ExitCode" in found else "an unknown status"

    def housekeep(self) -> bool:
        """Docker keeps the log within its limit."""
        return False

    def release(self) -> None:
        """Leaves the container to the next supervisor."""
        self._forget_wait()

    def terminate(self) -> None:
        """Asks the container to end, which first finishes its requests."""
        subprocess.Popen(
            ["docker", "stop", "-t", str(self._settings.stop_seconds), self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        docker("kill", self.name)

    def watch_load(self, model: str) -> LoadWatch:
        """Nor are the processes of a load to be watched."""
        return LoadWatch(list)

    def end_model(self, model: str) -> bool:
        """A process in a container is not ours to find."""
        return False

    def model_processes(self) -> Dict[str, int]:
        """Nor are they to be counted."""
        return {}

    def remains(self) -> List[int]:
        """Whether there is the container. Only Docker itself can say that there is none."""
        found = docker("ps", "--all", "--quiet", "--filter", f"name=^/{self.name}$")
        return [] if found.ok and not found.out.strip() else [0]

    def clear(self) -> None:
        docker("rm", "--force", "--volumes", self.name)
        docker("network", "rm", self.name)
        if self.domain:
            # Docker keeps one that another container still has.
            docker("volume", "rm", self.domain)
        self._forget_wait()
        self._state = {}
        self.link_log()

    def prepare(self, folders: List[Path]) -> None:
        """A container cannot write to the models, so nothing appears beside their code."""

    def stub_fault(self, model: str) -> str:
        """Why the process in which a model's code is to run cannot start; empty if nothing is known. Only a model that
        brings something for it is tried."""

        def run(script: str, seconds: float) -> Finished:
            words = ("exec", self.name, "bash", "-pc", f"{_AS_TRITONSERVER}\n{script}")
            finished: Finished = docker(*words, seconds=seconds)
            return finished

        return stub_fault(
            self._directory.repository / model,
            f"{CONTAINER_DIRECTORY}/models/repository/{model}",
            Place(run, _PYTHON_BACKEND, self._settings.image),
            self._directory.server / "tried" / model,
        )

    def shared_memory_left(self) -> str:
        """How much there is, and what to do about it."""
        found = docker("exec", self.name, "df", "-BM", "--output=avail,size", "/dev/shm")
        words = found.out.split()[-2:] if found.ok else []
        left = (
            " has {} of {} MB left".format(*(word.rstrip("M") for word in words)) if len(words) == 2 else ""
        )
        return (
            f"/dev/shm of the container{left}; it is half of the container's memory: raise runtime.memoryGiB, or serve "
            "fewer instances of Python models"
        )

    def clear_unpacked(self, place: str) -> bool:
        """Takes away what an environment has left that Triton could not unpack. The folder stays, under another name:
        Triton works in it since."""
        script = 'mv "$1" "$1.$$" && rm -rf "$1.$$"/*'
        return bool(docker("exec", self.name, "sh", "-c", script, "sh", place).ok)

    def log_mark(self) -> str:
        """Docker takes seconds since 1970."""
        return f"{time.time():.3f}"

    def log_since(self, mark: str) -> str:
        found = docker("logs", "--since", mark or "0", self.name)
        return str(found.out + found.err)

    def log_tail(self, lines: int) -> List[str]:
        # A container can have ended before Docker has written down what it said last.
        for seconds in (0, 0.5, 2):
            time.sleep(seconds)
            found = docker("logs", "--tail", "1000", self.name)
            text = found.out + found.err if found.ok else ""
            if text.strip():
                break
        return without_usage(text)[-lines:]

    def scheduled(self) -> bool:
        """Asks the image itself, which asks the scheduler inside tritonserver (images/triton/healthcheck.sh)."""
        found = docker("exec", self.name, "/opt/xsched/bin/healthcheck.sh", "scheduler")
        if not found.ok:
            progress((found.out + found.err).strip() or "the image has no XSched")
        return bool(found.ok)

    def link_log(self) -> None:
        """`server/logs/container-ID.log` leads to what Docker has written down of this container, for whoever ships
        logs, and only while there is the container. Another container has another name there, since a shipper notes by
        name how far it has read; Kubernetes has such links in /var/log/containers for the same purpose."""
        logs = self._directory.server / "logs"
        wanted: Optional[Path] = None
        # Docker has no such file with another log driver.
        if self._state.get("LogPath"):
            wanted = logs / f"container-{self._state['Id'][:12]}.log"
        with contextlib.suppress(OSError):
            if wanted is not None:
                logs.mkdir(parents=True, exist_ok=True)
                if not wanted.is_symlink() or os.readlink(wanted) != self._state["LogPath"]:
                    with contextlib.suppress(FileNotFoundError):
                        wanted.unlink()
                    wanted.symlink_to(self._state["LogPath"])
            for link in logs.glob("container-*.log"):
                if link != wanted:
                    link.unlink()
