"""The builder of an engine in the server's scheduling domain, with a stand-in for Docker and one for the core."""

import os
import shutil
import signal
import stat
from pathlib import Path
from typing import Any, Dict, List

import pytest
from agent import engines
from agent.commands import run
from agent.membership import Member, why_not_joined
from agent.server.settings import parse_settings, write_settings
from agent.trtexec import entered_in
from engine_workshop import Workshop
from stand_in_machine import CONTAINER

SERVER = f"registry.example/triton@sha256:{'0' * 64}"
SETTINGS: Dict[str, Any] = {**CONTAINER, "image": SERVER}

#: Neither this user nor root.
USER, GROUP = os.getuid() + 1, os.getgid() + 1

#: Notes how it is called, then becomes the program.
RUN = """#!/bin/bash
printf '%s\\n' "$XSCHED_DOMAIN_DIR" "$@" >"$STATE/run"
[ ! -e "$STATE/remark" ] || cat "$STATE/remark" >&2
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""

CONTROL = """#!/bin/bash
[ "$*" = check ] || exit 2
echo "library    /xsched-triton/core/lib/libcuda.so.1"
echo "scheduled  yes"
"""

OUTSIDE = (
    "the engine of bert, version 1 is built outside the scheduling domain, "
    "so models share the GPU with its builder: "
)


class Domain:
    """A host whose server has a scheduling domain, but does not run."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.core = workshop.folder / "state/xsched"
        (self.core / "bin").mkdir(parents=True)
        self.program("xsched-run", RUN)
        self.program("xsched-ctl", CONTROL)
        workshop.state("user", f"{USER}\n{GROUP}\n")
        self.deploy()

    def deploy(self, **changes: Any) -> None:
        write_settings(self.workshop.directory, parse_settings({**SETTINGS, **changes}))

    def program(self, name: str, text: str) -> None:
        (self.core / "bin" / name).write_text(text)
        (self.core / "bin" / name).chmod(0o755)

    def look(self, file: str, what: str) -> None:
        """Lets the builder note the modes of files beside one that its words name."""
        look = f'[ $1 = trtexec ] && file={file} && stat -c %a {what} >"$STATE/modes"'
        self.program("xsched-run", RUN.replace("exec", f"{look}\nexec"))

    def ran(self) -> List[str]:
        """The domain's folder, and the words of xsched-run."""
        return (self.workshop.folder / "state/run").read_text().splitlines()

    def build_call(self) -> str:
        return [call for call in self.workshop.calls() if "--saveEngine" in call][-1]

    def onnx(self) -> Path:
        """What the builder had as /onnx."""
        source = self.build_call().partition('",target=/onnx')[0].rpartition('type=bind,"source=')[2]
        return Path(source.replace('""', '"'))


@pytest.fixture
def domain(workshop: Workshop) -> Domain:
    return Domain(workshop)


def left(workshop: Workshop) -> List[str]:
    """What is in the cache beside engines."""
    return [path.name for path in workshop.cache.iterdir() if "." in path.name]


@pytest.mark.parametrize("named", ["", "shared"])
def test_builds_below_all_models_in_the_domain_of_the_server_as_its_user(
    domain: Domain, named: str, capsys: pytest.CaptureFixture
) -> None:
    workshop = domain.workshop
    domain.deploy(schedulerDomain=named)
    workshop.build()
    identity = workshop.directory.identity
    volume = f"xsched-triton-domain-{named}" if named else f"xsched-triton-{identity}-domain"
    folder, *words = domain.ran()
    assert folder == str(workshop.folder / "state/volumes" / volume / "gpus")
    assert words[:6] == ["--priority", "min", "--name", "engine-builder", "--", "trtexec"]
    call = domain.build_call()
    assert f" --user {USER}:{GROUP} --cap-drop ALL " in call
    assert " --env XSCHED_DOMAIN_DIR=/xsched-triton/domain/gpus " in call
    assert f" --mount type=volume,source={volume},target=/xsched-triton/domain " in call
    assert ",target=/xsched-triton/core,readonly " in call
    assert " --entrypoint sh nvcr.io/nvidia/tensorrt:22.06-py3 -c entry=/opt/nvidia/" in call
    assert call.endswith(
        " -- trtexec --onnx=/onnx/model.onnx --saveEngine=/engine/model.plan --workspace=1024 --buildOnly --fp16"
    )
    said = capsys.readouterr().err
    assert "this can take many minutes, and longer while models are busy, which come first\n" in said
    assert "outside" not in said


def test_the_engine_is_this_users_and_nobody_else_reaches_what_the_builder_writes(domain: Domain) -> None:
    workshop = domain.workshop
    # What the engine looks like while it is built.
    domain.look("${3#*=}", '"$file" "${file%/engine/*}"')
    workshop.build()
    assert (workshop.folder / "state/modes").read_text() == "666\n700\n"
    for plan in (workshop.ready / "1/model.plan", next(workshop.cache.glob("*/model.plan"))):
        assert plan.read_text().startswith("onnx\n")
        assert stat.S_IMODE(plan.stat().st_mode) == 0o644
        assert plan.stat().st_uid == os.getuid()
    assert left(workshop) == []


def test_an_engine_that_was_built_outside_is_the_same(domain: Domain) -> None:
    workshop = domain.workshop
    inside = workshop.build()
    shutil.rmtree(workshop.directory.server)
    assert workshop.build() == inside
    assert workshop.builds() == 1


@pytest.mark.parametrize("what", ["no server", "a process", "none"])
def test_without_a_domain_all_is_as_it_was(domain: Domain, what: str, capsys: pytest.CaptureFixture) -> None:
    workshop = domain.workshop
    if what == "no server":
        shutil.rmtree(workshop.directory.server)
    elif what == "a process":
        domain.deploy(kind="process", image="", runtime="triton")
    else:
        domain.deploy(schedulerDomain="none")
    workshop.build()
    builder = "nvcr.io/nvidia/tensorrt:22.06-py3"
    name = f"xsched-engine-{workshop.directory.identity}-bert"
    program = " ".join(entered_in(builder, "trtexec"))
    (entry,) = workshop.cache.iterdir()
    run = f"run --rm --name {name} --gpus all --cpu-shares 64 --user {os.getuid()}:{os.getgid()}"
    onnx = str(workshop.source / "1").replace('"', '""')
    mounts = (
        f'--mount type=bind,"source={onnx}",target=/onnx,readonly '
        f'--mount type=bind,"source={entry}.new",target=/engine'
    )
    words = "--onnx=/onnx/model.onnx --saveEngine=/engine/model.plan --workspace=1024 --buildOnly --fp16"
    assert workshop.calls() == [
        "version --format {{.Server.Version}}",
        f"image inspect {builder}",
        f"image inspect --format {{{{range .Config.Env}}}}{{{{println .}}}}{{{{end}}}} {builder}",
        f"run --rm --gpus all --network none {program} --help",
        f"rm --force {name}",
        f"{run} --network none {mounts} {program} {words}",
    ]
    assert capsys.readouterr().err.splitlines()[0] == (
        "building the engine of bert, version 1 on Tesla T4, 7.5 with TensorRT 8.2.5.1; this can take many minutes"
    )


OLD = "libc.so.6: version `GLIBC_2.38' not found (required by /xsched-triton/core/bin/xsched-run)"


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("absent", f"this host does not have the server's image {SERVER}"),
        (
            "no core",
            "the server's image gives no /opt/xsched: Error: Could not find the file /opt/xsched in container ",
        ),
        ("earlier core", "the server's image is of a release without xsched-run"),
        ("no user", "the server's image does not tell its user: nobody"),
        (
            "old library",
            f"the core of the server's image does not work in nvcr.io/nvidia/tensorrt:22.06-py3: {OLD}",
        ),
        (
            "no driver",
            "the core of the server's image does not work in nvcr.io/nvidia/tensorrt:22.06-py3: no CUDA driver found",
        ),
        ("no volume", "Docker cannot make the volume of the scheduling domain: "),
    ],
)
def test_builds_outside_and_says_why_where_the_builder_cannot_be_in_the_domain(
    domain: Domain, what: str, why: str, capsys: pytest.CaptureFixture
) -> None:
    workshop = domain.workshop
    if what == "absent":
        workshop.state("absent", SERVER)
    elif what == "no core":
        shutil.rmtree(domain.core)
    elif what == "earlier core":
        (domain.core / "bin/xsched-run").unlink()
    elif what == "no user":
        workshop.state("user", "nobody\n")
    elif what == "old library":
        domain.program("xsched-run", f'#!/bin/bash\necho "{OLD.replace("`", chr(92) + "`")}" >&2\nexit 1\n')
    elif what == "no driver":
        domain.program("xsched-ctl", '#!/bin/bash\necho "scheduled  no: no CUDA driver found"\nexit 1\n')
    else:
        (workshop.folder / "state/volumes").touch()
    workshop.build()
    assert (workshop.ready / "1/model.plan").read_text().startswith("onnx\n")
    lines = [line for line in capsys.readouterr().err.splitlines() if "outside" in line]
    assert len(lines) == 1
    assert lines[0].startswith(OUTSIDE + why)
    assert f" --user {os.getuid()}:{os.getgid()} --network none --mount " in domain.build_call()
    assert left(workshop) == []


def test_says_so_when_the_core_does_not_join_after_all(domain: Domain, capsys: pytest.CaptureFixture) -> None:
    workshop = domain.workshop
    why = "it is used by processes of another version"
    workshop.state(
        "remark",
        f"[xsched ERROR] device 0 is not in a scheduling domain: {why}; other processes do not count, only this one\n",
    )
    workshop.build()
    lines = [line for line in capsys.readouterr().err.splitlines() if "outside" in line]
    assert lines == [OUTSIDE + why]
    assert (
        why_not_joined(
            "[xsched INFO] device 0 is in the scheduling domain /xsched-triton/domain/gpus/gpu-1\n"
        )
        == ""
    )


@pytest.mark.parametrize("hidden", ["", "a file", "a folder", "behind a link", "a link out"])
def test_what_the_domains_user_cannot_read_is_copied_for_it(domain: Domain, hidden: str) -> None:
    workshop = domain.workshop
    version, elsewhere = workshop.source / "1", workshop.folder / "elsewhere"
    (version / "weights").mkdir()
    (version / "weights/0").write_text("0")
    elsewhere.mkdir()
    (elsewhere / "1").write_text("1")
    domain.look("${2#*=}", '"${file%/*}"/*')
    if hidden == "a file":
        (version / "model.onnx").chmod(0o600)
    elif hidden == "a folder":
        (version / "weights").chmod(0o700)
    elif hidden:
        (version / "more").symlink_to(elsewhere)
    if hidden == "behind a link":
        (elsewhere / "1").chmod(0o600)
    workshop.build()
    onnx = domain.onnx()
    if hidden == "":
        assert onnx == version
        return
    assert onnx.parent.name.endswith(".builder")
    more = [] if hidden in ("a file", "a folder") else ["755"]
    modes = (workshop.folder / "state/modes").read_text().splitlines()
    assert modes == ["644", *more, "755", "644"]
    assert left(workshop) == []


@pytest.mark.parametrize(
    ("stats", "remark"),
    [
        ('{"queues": [{"state": "ready"}, {"state": "blocked"}]}', "; waits for models"),
        ('{"queues": [{"state": "ready"}]}', ""),
        ('{"queues": []}', ""),
        ("", ""),
    ],
)
def test_says_while_it_builds_that_it_waits_for_models(
    domain: Domain, stats: str, remark: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    workshop = domain.workshop
    domain.program("xsched-ctl", f"{CONTROL.replace('|| exit 2', f'|| {{ echo {stats!r}; exit; }}')}")

    def await_end(process: Any, describe: Any) -> int:
        status = process.wait()
        describe(65)
        return int(status)

    monkeypatch.setattr(engines, "await_end", await_end)
    workshop.build()
    assert f"building the engine of bert, version 1 (65 s{remark}): " in capsys.readouterr().err
    name = f"xsched-engine-{workshop.directory.identity}-bert"
    assert workshop.calls()[-1] == f"exec {name} /xsched-triton/core/bin/xsched-ctl stats --json"


def test_root_without_capabilities_cannot_read_what_is_anothers(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.touch()
    if os.getuid() == 0:
        os.chown(file, USER, GROUP)
    root = Member("image", "volume", tmp_path, 0, 0)
    tmp_path.chmod(0o755)
    assert root.reads(tmp_path)
    file.chmod(0o600)
    assert not root.reads(tmp_path)


def test_an_interrupted_build_in_the_domain_leaves_nothing(domain: Domain) -> None:
    workshop = domain.workshop
    process, _ = workshop.start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) != 0
    assert list(workshop.cache.iterdir()) == []
    assert workshop.calls()[-1] == f"rm --force xsched-engine-{workshop.directory.identity}-bert"


def test_a_build_in_the_domain_that_was_killed_does_no_harm(domain: Domain) -> None:
    workshop = domain.workshop
    process, _ = workshop.start()
    process.kill()
    process.wait()
    assert any(name.endswith(".builder") for name in left(workshop))
    (workshop.folder / "state/slow").unlink()
    workshop.build()
    assert left(workshop) == []


def test_removing_a_host_ends_a_builder_whose_command_was_killed_and_removes_the_volume_that_it_kept(
    domain: Domain,
) -> None:
    workshop = domain.workshop
    process, builder = workshop.start()
    process.kill()
    process.wait()
    volume = workshop.folder / f"state/volumes/xsched-triton-{workshop.directory.identity}-domain"
    assert volume.is_dir()
    shutil.rmtree(workshop.directory.server)
    run(workshop.directory, "remove", [])
    assert workshop.calls()[-3:] == [
        f"ps --all --quiet --filter name=^/xsched-engine-{workshop.directory.identity}-",
        "rm --force 0123",
        f"volume rm {volume.name}",
    ]
    assert not volume.exists()
    assert not workshop.directory.path.exists()
    assert builder


def test_removing_a_host_without_engines_asks_docker_nothing(workshop: Workshop) -> None:
    run(workshop.directory, "remove", [])
    assert workshop.calls() == []
