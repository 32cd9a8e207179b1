"""Docker images on this host: pulled once, removed when nothing of ours needs them any more.

``images`` in the host's folder lists those that this deployment has pulled, one a line, the one in use last. What was
there before is not ours to remove.
"""

import base64
import contextlib
import getpass
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import IO, Dict, Iterator, List, Mapping, Optional

from .commands import Request
from .console import progress
from .directory import HostDirectory, write_file
from .disk import room, says_full
from .errors import HostError
from .programs import await_end, call, outward_environment, running
from .s3 import require_aws_cli

#: Docker's own name for the registry that an image without one comes from.
DOCKER_HUB = "https://index.docker.io/v1/"

#: The registry of an account in Amazon ECR: https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


def pull_image(request: Request) -> None:
    """The command `pull-image`: touches nothing that runs."""
    image, login = request.body["image"], request.body.get("login")
    if "@sha256:" not in image:
        raise HostError(f"the image '{image}' has no digest", "name it as repository@sha256:DIGEST")
    if login is None:
        require_image(request.directory, image)
    elif login == "role":
        with logged_in_by_role(image) as environment:
            fix = (
                "let the role of this instance pull from the repository (ecr:BatchGetImage, "
                "ecr:GetDownloadUrlForLayer), and check whether this host reaches its registry"
            )
            require_image(request.directory, image, fix, environment=environment)
    else:
        username, password = login["username"], login.get("password", "")
        if password == "":
            raise HostError(f"no password was given for {username}", "give the registry's password")
        with logged_in(image, username, password) as environment:
            require_image(request.directory, image, environment=environment)


def remove_images(request: Request) -> None:
    """The command `remove-images`: those that this deployment has pulled, unless somebody uses them."""
    directory = request.directory
    if not _list_of(directory).exists():
        return
    with directory.lock("images"):
        for image in listed_images(directory):
            if not remove_image(image):
                progress(
                    f"left the image {image} in place: something else uses it, or Docker does not answer"
                )
        _list_of(directory).unlink()


def require_image(
    directory: HostDirectory,
    image: str,
    fix: Optional[str] = None,
    *,
    environment: Optional[Mapping[str, str]] = None,
) -> None:
    """
    Pulls an image unless this host has it. Nothing that runs is touched.

    :param fix: what to do if the registry does not give it
    :param environment: for Docker; `logged_in` makes one
    """
    environment = outward_environment() if environment is None else environment
    if shutil.which("docker") is None:
        raise HostError("Docker is not installed on this host", "install Docker, or use the process runtime")
    answer = call(["docker", "version", "--format", "{{.Server.Version}}"], environment=environment)
    if not answer.ok:
        raise HostError(
            f"Docker does not answer: {answer.reason}",
            f"start Docker, and allow {_user()} to use it (group docker)",
        )
    _require_sight(directory)
    if has_image(image):
        return
    progress(f"pulling the image {image}")
    # Listed before it is here: a command that is killed while it waits leaves no image that nobody removes.
    _record_pulled(directory, image)
    with tempfile.TemporaryFile() as log:
        with running(["docker", "pull", image], log, environment=environment) as pull:
            status = await_end(pull, lambda seconds: progress(describe_pull(_text(log), seconds)))
        if status == 0:
            return
        lines = _text(log).strip().splitlines()
    _forget(directory, image)
    reason = lines[-1] if lines else f"status {status}"
    if says_full(reason):
        fix = f"{room(directory, _docker_root())}; 'docker system df' shows what Docker uses"
    raise HostError(
        f"Docker cannot pull the image {image}: {reason}",
        fix
        or "check its name and digest, whether this host reaches its registry, and the log-in (runtime.registry, or "
        "docker login here)",
    )


def _require_sight(directory: HostDirectory) -> None:
    """Docker from a snap sees the homes of users, without what is hidden there, and takes any other folder for one that
    does not exist, or for one of its own: https://snapcraft.io/docs/home-interface,
    https://github.com/canonical/docker-snap/issues/189.

    :raises HostError: if a container would not get the models"""
    program = os.path.realpath(shutil.which("docker") or "")
    if not (Path(program).name == "snap" or program.startswith("/snap/")):
        return
    _, top, *names = directory.path.resolve().parts
    # The others are seen once the snap is allowed to (removable-media).
    if top in ("home", "media", "mnt") and not any(name.startswith(".") for name in names):
        return
    raise HostError(
        f"this host's Docker is a snap, which does not see {directory.path}",
        "install Docker from docker.com or the distribution, or set host.directory to a folder in a home that is not "
        "hidden, such as triton",
    )


def has_image(image: str) -> bool:
    """Whether Docker has it on this host."""
    return call(["docker", "image", "inspect", image]).ok


def keep_image(directory: HostDirectory, image: str) -> None:
    """
    This image is in use now: removes those of ours that are no longer used, except for the previous one, so that going
    back needs no pull.
    """
    with directory.lock("images"):
        ours = listed_images(directory)
        if image not in ours:
            return
        others = [other for other in ours if other != image]
        kept = [other for other in others[:-1] if not remove_image(other)]
        _write_list(directory, [*kept, *others[-1:], image])


def remove_image(image: str) -> bool:
    """Whether it is gone. It stays where something uses it, such as another deployment."""
    return call(["docker", "image", "rm", image]).ok or not has_image(image)


def listed_images(directory: HostDirectory) -> List[str]:
    """Those that this deployment has pulled, the one in use last."""
    try:
        return [line for line in _list_of(directory).read_text("utf-8").splitlines() if line]
    except FileNotFoundError:
        return []


def registry_of(image: str) -> str:
    """The key of an image's registry in Docker's configuration."""
    first, slash, _ = image.partition("/")
    if not slash or first == "docker.io":
        return DOCKER_HUB
    return first if "." in first or ":" in first or first == "localhost" else DOCKER_HUB


@contextlib.contextmanager
def logged_in(image: str, username: str, password: str) -> Iterator[Dict[str, str]]:
    """
    The environment in which Docker is logged in to an image's registry. Nothing is kept, as `docker login` would in the
    user's home. The engine that the user has chosen, by a context or DOCKER_HOST, stays the chosen one.
    """
    home = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    auth = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    # Without the user's credential store, which Docker would ask instead.
    configuration = {**_chosen_context(home), "auths": {registry_of(image): {"auth": auth}}}
    with tempfile.TemporaryDirectory(prefix="xsched-triton-login-") as folder:
        if (home / "contexts").is_dir():
            (Path(folder) / "contexts").symlink_to((home / "contexts").resolve())
        write_file(Path(folder) / "config.json", json.dumps(configuration), 0o600)
        yield outward_environment({"DOCKER_CONFIG": folder})


def logged_in_by_role(image: str) -> "contextlib.AbstractContextManager[Dict[str, str]]":
    """As `logged_in`, with the role of this EC2 instance, for a registry of Amazon ECR."""
    registry = image.partition("/")[0]
    found = ECR.fullmatch(registry)
    if found is None:
        raise HostError(
            f"{registry} is not a registry of Amazon ECR", "give the registry's username and password"
        )
    require_aws_cli("choose a machine image that includes the AWS CLI")
    words = ["aws", "ecr", "get-login-password", "--region", found.group(1)]
    answer = call(words, environment=outward_environment({"AWS_PAGER": ""}))
    if not answer.ok:
        progress(answer.err.strip())
        raise HostError(
            f"the role of this instance may not log in to {registry}",
            "check the instance profile; AWS's reason is above",
        )
    return logged_in(image, "AWS", answer.out.strip())


def describe_pull(log: str, seconds: int) -> str:
    """How far a pull is. Without a terminal Docker names each layer at each of its stages, and draws no bars."""
    lines = log.splitlines()
    there = sum(line.endswith(": Already exists") for line in lines)
    done = sum(line.endswith(": Pull complete") for line in lines)
    asked = sum(line.endswith(": Pulling fs layer") for line in lines)
    return f"pulling the image ({seconds} s; {done + there} of {asked + there} layers)"


def _chosen_context(home: Path) -> Dict[str, str]:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return {"currentContext": json.loads((home / "config.json").read_text("utf-8"))["currentContext"]}
    return {}


def _docker_root() -> Path:
    root = call(["docker", "info", "--format", "{{.DockerRootDir}}"], seconds=10).out.strip()
    return Path(root if root.startswith("/") else "/var/lib/docker")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _text(log: IO[bytes]) -> str:
    """What is in a file that another process still writes, by its own position in it."""
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), size, 0).decode("utf-8", "replace")


def _list_of(directory: HostDirectory) -> Path:
    return directory.path / "images"


def _write_list(directory: HostDirectory, images: List[str]) -> None:
    write_file(_list_of(directory), "".join(f"{image}\n" for image in images))


def _record_pulled(directory: HostDirectory, image: str) -> None:
    """It is not in use yet, so it goes before the others."""
    with directory.lock("images"):
        _write_list(directory, [image, *(other for other in listed_images(directory) if other != image)])


def _forget(directory: HostDirectory, image: str) -> None:
    with directory.lock("images"):
        _write_list(directory, [other for other in listed_images(directory) if other != image])
