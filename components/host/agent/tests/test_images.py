"""The images of a host: which are pulled, kept and removed, and how Docker is logged in to a registry."""

import base64
import contextlib
import json
import re
import signal
import stat
import subprocess
from pathlib import Path
from typing import Callable, List, Optional

import pytest
from agent import disk, images, programs
from agent.commands import run
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.images import describe_pull, keep_image, listed_images, logged_in, registry_of, require_image
from stand_in_machine import Machine

REGISTRY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"

#: A Docker whose images are files, some of them used by somebody else. It keeps what it was called with.
DOCKER = r"""#!/bin/bash
file=$MACHINE/images/$(printf '%s' "${@: -1}" | tr / _)
case "$1 $2" in
  'version --format') [ ! -e "$MACHINE/stopped" ] || { echo 'permission denied: docker.sock' >&2; exit 1; } ;;
  'info --format') cat "$MACHINE/root" 2>/dev/null ;;
  'image inspect') [[ $* != *Size* ]] || stat -c %s "$file"; [ -e "$file" ] ;;
  'image rm') [ ! -e "$file.used" ] && rm "$file" ;;
  'pull '*)
    cp "${DOCKER_CONFIG:-/nowhere}/config.json" "$MACHINE/config" 2>/dev/null
    printf '%s\n' "$DOCKER_CONFIG" "$DOCKER_HOST" >"$MACHINE/pulled"
    cp "$MACHINE/host/images" "$MACHINE/listed" 2>/dev/null
    if [ -e "$MACHINE/refuses" ]; then
      cat "$MACHINE/refuses"
      exit 1
    fi
    echo $$ >"$MACHINE/pid"
    while [ -e "$MACHINE/slow" ]; do sleep 0.05; done
    touch "$file"
    ;;
esac
"""


def image(name: str) -> str:
    return f"registry.example:5000/triton@sha256:{name}"


class Engine:
    """The stand-in for Docker."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.directory = machine.directory
        (machine.folder / "images").mkdir()
        machine.program("docker", DOCKER)
        machine.set("HOME", machine.folder / "home")
        machine.set("TMPDIR", machine.folder / "tmp")
        for name in ("home/.docker", "tmp"):
            (machine.folder / name).mkdir(parents=True)

    def file(self, name: str) -> Path:
        return self.machine.folder / "images" / image(name).replace("/", "_")

    def pull(self, name: str, login: object = None) -> None:
        request = {"image": image(name), **({} if login is None else {"login": login})}
        run(self.directory, "pull-image", [], json.dumps(request))

    def use(self, *names: str) -> None:
        """As `start` does once a server runs from an image."""
        for name in names:
            keep_image(self.directory, image(name))

    def present(self) -> List[str]:
        files = (self.machine.folder / "images").iterdir()
        found = [re.search(r"sha256:(\w+)$", file.name) for file in files]
        return sorted(match.group(1) for match in found if match)

    def listed(self) -> List[str]:
        return [each.split(":")[-1] for each in listed_images(self.directory)]


@pytest.fixture
def docker(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    for variable in ("DOCKER_CONFIG", "DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(images.tempfile, "tempdir", str(machine.folder / "tmp"))
    return Engine(machine)


def test_refuses_docker_from_a_snap_where_it_does_not_see_the_models(
    docker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = docker.machine.folder / "programs"
    # As snapd installs it: /snap/bin/docker leads to the one program of all snaps.
    (programs / "docker").rename(programs / "snap")
    (programs / "docker").symlink_to("snap")
    with pytest.raises(HostError, match="Docker is a snap, which does not see /") as refused:
        docker.pull("a")
    assert "host.directory" in refused.value.fix
    assert docker.present() == []
    for path, seen in (
        ("/home/ubuntu/triton", True),
        ("/mnt/triton", True),
        ("/home/ubuntu/.xsched-triton-edge", False),
        ("/root/triton", False),
        ("/srv/triton", False),
    ):
        monkeypatch.setattr(images, "has_image", lambda _: True)
        with contextlib.nullcontext() if seen else pytest.raises(HostError, match="snap"):
            require_image(HostDirectory(path), image("a"))


def test_keeps_the_one_in_use_and_the_one_before_it(docker: Engine) -> None:
    for name in ("a", "b", "c", "d"):
        docker.pull(name)
        docker.use(name)
    assert docker.present() == ["c", "d"]
    docker.use("c")
    docker.pull("e")
    docker.use("e")
    assert docker.present() == ["c", "e"]
    # The format of releases before the agent.
    assert (docker.directory.path / "images").read_text() == f"{image('c')}\n{image('e')}\n"


def test_removes_one_that_was_never_used_before_one_that_was(docker: Engine) -> None:
    for name in ("a", "b"):
        docker.pull(name)
        docker.use(name)
    docker.pull("bad")
    docker.pull("c")
    docker.use("c")
    assert docker.present() == ["b", "c"]


def test_leaves_alone_what_existed_before_and_what_somebody_else_uses(
    docker: Engine, capsys: pytest.CaptureFixture
) -> None:
    docker.file("theirs").touch()
    docker.pull("theirs")
    docker.use("theirs")
    occupied = docker.file("a").with_name(f"{docker.file('a').name}.used")
    for name in ("a", "b", "c"):
        docker.pull(name)
        if name == "a":
            occupied.touch()
        docker.use(name)
    assert docker.present() == ["a", "b", "c", "theirs"]
    occupied.unlink()
    docker.use("c")
    assert docker.present() == ["b", "c", "theirs"]
    docker.file("c").with_name(f"{docker.file('c').name}.used").touch()
    run(docker.directory, "remove-images", [])
    assert docker.present() == ["c", "theirs"]
    assert f"left the image {image('c')} in place: something else uses it" in capsys.readouterr().err
    assert not (docker.directory.path / "images").exists()
    run(docker.directory, "remove-images", [])


def test_an_image_is_pulled_once(docker: Engine) -> None:
    docker.pull("a")
    assert docker.machine.lines("pulled") != []
    docker.pull("a")
    assert docker.machine.lines("pulled") == []


def test_logs_in_only_for_the_pull(docker: Engine) -> None:
    home = docker.machine.folder / "home/.docker"
    (home / "config.json").write_text('{"credsStore": "desktop", "auths": {}}')
    docker.pull("a", {"username": 'deploy"er', "password": "pass:wörd"})
    config = json.loads((docker.machine.folder / "config").read_text())
    assert list(config) == ["auths"]
    assert list(config["auths"]) == ["registry.example:5000"]
    auth = config["auths"]["registry.example:5000"]["auth"]
    assert base64.b64decode(auth).decode() == 'deploy"er:pass:wörd'
    assert list((docker.machine.folder / "tmp").iterdir()) == []
    assert [path.name for path in home.iterdir()] == ["config.json"]
    assert (home / "config.json").read_text() == '{"credsStore": "desktop", "auths": {}}'


def test_nobody_else_can_read_the_password(docker: Engine) -> None:
    with logged_in(image("a"), "user", "password") as environment:
        folder = Path(environment["DOCKER_CONFIG"])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "config.json").stat().st_mode) == 0o600
    assert not folder.exists()


def test_a_log_in_goes_to_the_engine_that_the_user_has_chosen(docker: Engine) -> None:
    docker.machine.set("DOCKER_HOST", "tcp://engine.example:2376")
    docker.pull("a", {"username": "user", "password": "password"})
    assert docker.machine.lines("pulled")[1] == "tcp://engine.example:2376"
    home = docker.machine.folder / "home/.docker"
    (home / "contexts/meta").mkdir(parents=True)
    (home / "config.json").write_text('{"currentContext": "chosen"}')
    with logged_in(image("a"), "user", "password") as environment:
        folder = Path(environment["DOCKER_CONFIG"])
        assert json.loads((folder / "config.json").read_text())["currentContext"] == "chosen"
        assert (folder / "contexts/meta").is_dir()
    # The user's own contexts are still there.
    assert (home / "contexts/meta").is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_interrupted_pull_keeps_no_password_and_no_process(docker: Engine, number: signal.Signals) -> None:
    machine = docker.machine
    (machine.folder / "slow").touch()
    request = {"image": image("a"), "login": {"username": "user", "password": "password"}}
    file = machine.folder / "pid"
    process, pid = machine.start_agent("pull-image", json.dumps(request), file, "the pull begins")
    (login,) = (machine.folder / "tmp").glob("xsched-triton-login-*")
    process.send_signal(number)
    assert process.wait(120) == 128 + number
    assert not login.exists()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_configuration_that_says_nothing_of_a_context(docker: Engine, text: str) -> None:
    (docker.machine.folder / "home/.docker/config.json").write_text(text)
    with logged_in(image("a"), "user", "password") as environment:
        config = json.loads((Path(environment["DOCKER_CONFIG"]) / "config.json").read_text())
        assert list(config) == ["auths"]


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("triton", "https://index.docker.io/v1/"),
        ("team/triton", "https://index.docker.io/v1/"),
        ("docker.io/team/triton", "https://index.docker.io/v1/"),
        ("localhost/triton", "localhost"),
        ("example.com/a/b", "example.com"),
        ("registry:5000/a", "registry:5000"),
    ],
)
def test_docker_hub_is_known_by_its_own_name_for_itself(name: str, registry: str) -> None:
    assert registry_of(name) == registry


def refusal(docker: Engine, request: object) -> HostError:
    with pytest.raises(HostError) as refused:
        run(docker.directory, "pull-image", [], json.dumps(request))
    return refused.value


def test_reports_what_is_wrong_with_its_input(docker: Engine) -> None:
    assert refusal(docker, {"image": "triton:latest"}).what == "the image 'triton:latest' has no digest"
    login = {"username": "deployer", "password": ""}
    assert refusal(docker, {"image": image("a"), "login": login}).what == "no password was given for deployer"


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("Error: manifest unknown\n", "check its name and digest, whether this host reaches its registry"),
        (
            "a: Pulling fs layer\nwrite /x: no space left on device\n",
            "free some space on .*; 'docker system df'",
        ),
    ],
)
def test_a_refused_pull_is_explained_and_not_listed(docker: Engine, said: str, fix: str) -> None:
    (docker.machine.folder / "refuses").write_text(said)
    refused = refusal(docker, {"image": image("a")})
    reason = said.splitlines()[-1]
    assert refused.what == f"Docker cannot pull the image {image('a')}: {reason}"
    assert re.match(fix, refused.fix)
    assert docker.listed() == []


def test_a_silent_failure_has_its_status(docker: Engine) -> None:
    (docker.machine.folder / "refuses").write_text("")
    assert refusal(docker, {"image": image("a")}).what.endswith(": status 1")


def test_a_pull_is_listed_before_it_ends(docker: Engine) -> None:
    # A pull goes on after the death of the process that asked for it.
    machine = docker.machine
    (machine.folder / "host").symlink_to(docker.directory.path)
    docker.pull("a")
    assert (machine.folder / "listed").read_text() == f"{image('a')}\n"


def test_docker_must_answer(docker: Engine) -> None:
    (docker.machine.folder / "stopped").touch()
    refused = refusal(docker, {"image": image("a")})
    assert refused.what == "Docker does not answer: permission denied: docker.sock"
    assert re.fullmatch(r"start Docker, and allow \S+ to use it \(group docker\)", refused.fix)
    docker.machine.set("PATH", docker.machine.folder / "nothing")
    assert refusal(docker, {"image": image("a")}).what == "Docker is not installed on this host"


def test_progress_of_a_pull(
    docker: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    slow = docker.machine.folder / "slow"
    slow.touch()

    def await_end(process: "subprocess.Popen[bytes]", describe: Callable[[int], None]) -> int:
        def described(seconds: int) -> None:
            describe(seconds)
            slow.unlink(missing_ok=True)

        return programs.await_end(process, described, every=0.1)

    monkeypatch.setattr(images, "await_end", await_end)
    docker.pull("a")
    assert re.search(r"pulling the image \(\d+ s; 0 of 0 layers\)", capsys.readouterr().err)
    log = "x: Pulling from triton\na: Already exists\nb: Pulling fs layer\nc: Pulling fs layer\nb: Pull complete\n"
    assert describe_pull(log, 7) == "pulling the image (7 s; 2 of 3 layers)"


def test_an_image_that_is_not_ours_is_not_kept_nor_removed(docker: Engine) -> None:
    docker.use("theirs")
    assert not (docker.directory.path / "images").exists()


def by_role(docker: Engine, name: str = f"{REGISTRY}/triton@sha256:abc") -> Optional[HostError]:
    try:
        run(docker.directory, "pull-image", [], json.dumps({"image": name, "login": "role"}))
    except HostError as error:
        return error
    return None


def test_asks_aws_in_the_registrys_region_for_a_password(docker: Engine) -> None:
    docker.machine.program("aws", '#!/bin/bash\necho "$*" >"$MACHINE/asked"\necho password\n')
    assert by_role(docker) is None
    config = json.loads((docker.machine.folder / "config").read_text())
    auth = base64.b64encode(b"AWS:password").decode()
    assert config == {"auths": {REGISTRY: {"auth": auth}}}
    assert docker.machine.lines("asked") == ["ecr get-login-password --region eu-central-1"]
    assert not Path(docker.machine.lines("pulled")[0]).exists()


def test_reports_that_the_role_may_not_log_in(docker: Engine, capsys: pytest.CaptureFixture) -> None:
    docker.machine.program("aws", "#!/bin/bash\necho AccessDeniedException >&2\nexit 254\n")
    error = by_role(docker)
    assert error is not None
    assert error.what == f"the role of this instance may not log in to {REGISTRY}"
    assert capsys.readouterr().err == "AccessDeniedException\n"


def test_a_role_that_may_not_pull_is_told_what_it_needs(docker: Engine) -> None:
    docker.machine.program("aws", "#!/bin/bash\necho password\n")
    (docker.machine.folder / "refuses").write_text("403 Forbidden\n")
    error = by_role(docker)
    assert error is not None
    assert "ecr:BatchGetImage" in error.fix


def test_a_role_is_for_a_registry_of_amazon_ecr(docker: Engine) -> None:
    docker.machine.program("aws", '#!/bin/bash\ntouch "$MACHINE/asked"\n')
    for name in ("registry.example.com/triton", f"{REGISTRY}.example.com/triton", "triton"):
        error = by_role(docker, f"{name}@sha256:abc")
        assert error is not None
        assert re.fullmatch(r"\S+ is not a registry of Amazon ECR", error.what)
    assert not (docker.machine.folder / "asked").exists()


def test_a_role_needs_the_cli(docker: Engine) -> None:
    docker.machine.set("PATH", docker.machine.folder / "programs")
    error = by_role(docker)
    assert error is not None
    assert str(error) == (
        "error: the AWS CLI is not installed on this host\nfix: choose a machine image that includes the AWS CLI"
    )


def test_a_full_disk_names_images_that_nobody_needs(docker: Engine, capsys: pytest.CaptureFixture) -> None:
    (docker.machine.folder / "root").write_text(str(docker.machine.folder))
    for name in ("a", "b"):
        docker.pull(name)
        docker.use(name)
        docker.file(name).write_bytes(bytes(2_500_000))
    fix = disk.room(docker.directory, docker.directory.path)
    assert f"{image('a')} (3 MB; docker image rm)" in fix
    assert image("b") not in fix
    # What Docker keeps on another disk is of no use here.
    (docker.machine.folder / "root").write_text("/proc")
    assert "docker image rm" not in disk.room(docker.directory, docker.directory.path)


def test_an_image_is_required_by_other_modules_too(docker: Engine) -> None:
    require_image(docker.directory, image("a"))
    assert docker.listed() == ["a"]
