"""TensorRT engines, built by a stand-in for Docker whose engines contain the ONNX model and the arguments."""

import hashlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, List

import pytest
from agent import engines, programs
from agent.trtexec import Options, Shape, Target, builder_fault, engine_key, last_step, trtexec_arguments
from engine_workshop import BUILDER, DIGEST, Workshop
from s3_server import S3Server
from stand_in_host import eventually


def test_replaces_the_onnx_model_and_its_weights_by_an_engine_and_keeps_the_rest(workshop: Workshop) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", workshop.build())
    assert sorted(path.name for path in workshop.ready.iterdir()) == ["1", "labels.txt"]
    assert [path.name for path in (workshop.ready / "1").iterdir()] == ["model.plan"]
    assert (workshop.ready / "1/model.plan").read_text() == (
        "onnx\n--rm\n--name\n--gpus\n--cpu-shares\n--user\n--network\n--mount\n--mount\n--entrypoint\n"
        "--onnx=/onnx/model.onnx\n--saveEngine=/engine/model.plan\n--workspace=1024\n--buildOnly\n--fp16\n"
    )


def test_the_builder_gets_the_driver_that_nvidias_image_chooses(workshop: Workshop) -> None:
    entry = workshop.folder / "state/nvidia/nvidia_entrypoint.sh"
    entry.parent.mkdir()
    entry.write_text('#!/bin/sh\necho "$@" >>"$STATE/entered"\nexec "$@"\n')
    entry.chmod(0o755)
    workshop.build()
    (words,) = (workshop.folder / "state/entered").read_text().splitlines()
    assert words.startswith("trtexec --onnx=") and words.endswith(" --buildOnly --fp16")


#: Keys and digest that the release before the agent has computed, by its script, for the same files and options.
FORMER = {
    "plain": ("9bde955e7ad2d6b44ed49ceaf28fcf01", "c101d565dcdbbe88"),
    "shaped": ("8e6b41f0fbb4a8bdb82c3a07e7bc7be3", "f6166a0174988bb2"),
}


@pytest.mark.parametrize("case", sorted(FORMER))
def test_an_engine_of_the_release_before_the_agent_is_reused(
    workshop: Workshop, case: str, capsys: pytest.CaptureFixture
) -> None:
    if case == "shaped":
        for name in ("a b.bin", "back\\slash", "new\nline", "Z", "é", "sub/a"):
            (workshop.source / "1" / name).parent.mkdir(exist_ok=True)
            (workshop.source / "1" / name).write_text(name)
        (workshop.source / "2").mkdir()
        (workshop.source / "2/model.onnx").write_text("second\n")
        workshop.shape("ids", [1, 384], [2, 384], [8, 384])
        workshop.shape("mask", [1], [2], [8])
    key, digest = FORMER[case]
    entry = workshop.cache / key
    entry.mkdir(parents=True)
    (entry / "model.plan").write_text("built by the release before")
    (entry / "used").touch()
    assert workshop.build() == digest
    assert (workshop.ready / "1/model.plan").read_text() == "built by the release before"
    assert "the engine of bert, version 1, is there already\n" in capsys.readouterr().err


def test_builds_nothing_twice_also_for_another_model_with_the_same_files(
    workshop: Workshop, capsys: pytest.CaptureFixture
) -> None:
    first = workshop.build()
    capsys.readouterr()
    assert workshop.build() == first
    assert capsys.readouterr().err == "the engine of bert, version 1, is there already\n"
    workshop.build("bert-low")
    assert workshop.builds() == 1


def test_two_versions_with_the_same_files_share_an_engine(workshop: Workshop) -> None:
    (workshop.source / "2").mkdir()
    for name in ("model.onnx", "weights.data"):
        (workshop.source / "2" / name).write_bytes((workshop.source / "1" / name).read_bytes())
    workshop.build()
    assert workshop.builds() == 1
    assert (workshop.ready / "2/model.plan").samefile(workshop.ready / "1/model.plan")


def test_builds_anew_for_each_change(workshop: Workshop) -> None:
    digests = {workshop.build()}

    def changed(what: str) -> None:
        digests.add(workshop.build())
        assert len(digests) == workshop.builds(), what

    workshop.options["precision"] = "fp32"
    changed("another precision")
    workshop.options["workspaceMiB"] = 2048
    changed("another workspace")
    workshop.shape("ids", [1, 384], [1, 384], [8, 384])
    changed("other shapes")
    workshop.state("gpus", "NVIDIA A10G, 8.6\n")
    changed("another GPU")
    workshop.state("environment", "NV_TENSORRT_VERSION=8.4.1.5\n")
    changed("another TensorRT")
    (workshop.source / "1/weights.data").write_text("new")
    changed("other weights")
    assert workshop.builds() == 7


def test_passes_the_three_shapes_of_every_input_and_the_workspace_under_its_newer_name(
    workshop: Workshop,
) -> None:
    workshop.state("tensorrt", "10.0")
    workshop.shape("ids", [1, 384], [2, 384], [8, 384])
    workshop.shape("mask", [1], [2], [8])
    workshop.build()
    lines = (workshop.ready / "1/model.plan").read_text().splitlines()
    assert "--memPoolSize=workspace:1024" in lines
    assert "--minShapes='ids':1x384,'mask':1" in lines
    assert "--optShapes='ids':2x384,'mask':2" in lines
    assert "--maxShapes='ids':8x384,'mask':8" in lines


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ("8.2", ["--workspace=1024", "--buildOnly"]),
        ("8.6", ["--memPoolSize=workspace:1024", "--skipInference"]),
        ("10.0", ["--memPoolSize=workspace:1024", "--skipInference"]),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "best"])
def test_builds_with_the_flags_that_each_release_of_tensorrt_knows(
    workshop: Workshop, release: str, words: List[str], precision: str
) -> None:
    workshop.state("tensorrt", release)
    workshop.options["precision"] = precision
    workshop.build()
    lines = (workshop.ready / "1/model.plan").read_text().splitlines()
    lower = [] if precision == "fp32" else [f"--{precision}"]
    assert lines[lines.index("--saveEngine=/engine/model.plan") + 1 :] == [*words, *lower]


@pytest.mark.parametrize("precision", ["fp16", "best"])
def test_a_tensorrt_that_takes_the_types_of_the_model_builds_without_another_precision_only(
    workshop: Workshop, precision: str
) -> None:
    workshop.state("tensorrt", "11.0")
    workshop.options["precision"] = precision
    refused = workshop.refused()
    assert refused.what == (
        f"the TensorRT of nvcr.io/nvidia/tensorrt:22.06-py3 does not lower the precision of a model to {precision}"
    )
    assert "set engine.precision to fp32" in refused.fix
    assert workshop.builds() == 0
    workshop.options["precision"] = "fp32"
    workshop.build()
    assert "--skipInference" in (workshop.ready / "1/model.plan").read_text().splitlines()


def test_a_trtexec_that_does_not_tell_its_flags_is_asked_to_build() -> None:
    options = Options("image", "fp16", 16, None, [])
    assert trtexec_arguments(options, "exec format error")[2:] == ["--workspace=16", "--buildOnly", "--fp16"]


def test_accepts_several_gpus_of_one_kind_and_refuses_several_kinds(workshop: Workshop) -> None:
    workshop.state("gpus", "Tesla T4, 7.5\nTesla T4, 7.5\n")
    workshop.build()
    workshop.state("gpus", "Tesla T4, 7.5\nNVIDIA A10G, 8.6\n")
    assert workshop.refused().what == "this host has GPUs of several kinds: NVIDIA A10G, 8.6; Tesla T4, 7.5"


def test_refuses_a_host_without_a_gpu_before_it_pulls_anything(workshop: Workshop) -> None:
    workshop.state("gpus", "")
    assert workshop.refused().what == (
        "this host has no working GPU to build an engine on: NVIDIA-SMI has failed"
    )
    workshop.machine.program("nvidia-smi", "#!/bin/bash\n")
    workshop.machine.set("PATH", f"{workshop.folder / 'programs'}:{os.environ['PATH']}")
    assert workshop.refused().what.endswith(": nvidia-smi lists none")
    assert workshop.calls() == []


def test_shows_the_builders_own_error_and_keeps_the_existing_engine(workshop: Workshop) -> None:
    digest = workshop.build()
    good = (workshop.ready / "1/model.plan").read_text()
    (workshop.source / "1/model.onnx").write_text("broken\n")
    refused = workshop.refused()
    assert re.fullmatch(
        r"TensorRT cannot build the engine of bert, version 1: .*While parsing node number 4 \[Einsum\]",
        refused.what,
    )
    assert "What served before still serves" in refused.fix
    assert len(list(workshop.cache.iterdir())) == 1
    (workshop.source / "1/model.onnx").write_text("onnx\n")
    assert workshop.build() == digest
    assert (workshop.ready / "1/model.plan").read_text() == good
    assert workshop.builds() == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ""),
        ("a\nb\nc\nd\n", "b\nc\nd"),
        ("[I] a\n[E] b\nerror c\nError d\n[E] e\n", "[E] b\nerror c\nError d"),
        (f"[E] {'x' * 500}\n", f"[E] {'x' * 396}"),
    ],
)
def test_why_a_build_has_failed(text: str, reason: str) -> None:
    assert builder_fault(text) == reason


def test_what_a_builder_said_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    assert last_step(log) == ""
    log.write_text("x" * 9000 + "\n[11/25/2026-08:00:00] [I] [TRT] Timing tactics\n\n")
    assert last_step(log) == "[TRT] Timing tactics"


def runs(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes() != b""
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_stops_its_builder_when_interrupted_and_builds_the_next_time(
    workshop: Workshop, number: signal.Signals
) -> None:
    process, builder = workshop.start()
    process.send_signal(number)
    # A second one must not keep it from tidying up.
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) != 0
    # It was told to end, and may take a moment.
    eventually(lambda: not runs(builder))
    assert workshop.calls()[-1].startswith("rm --force xsched-engine-")
    assert list(workshop.cache.iterdir()) == []
    assert not workshop.ready.exists()
    (workshop.folder / "state/slow").unlink()
    workshop.build()


def test_a_build_that_was_killed_does_no_harm(workshop: Workshop) -> None:
    process, _ = workshop.start()
    process.kill()
    process.wait()
    (workshop.folder / "state/slow").unlink()
    workshop.build()
    # The container may have outlived its client.
    name = next(call.split()[3] for call in workshop.calls() if "--saveEngine" in call)
    before = workshop.calls()[: [("--saveEngine" in call) for call in workshop.calls()].index(True, 6)]
    assert f"rm --force {name}" in before
    assert [path.name[-4:] for path in workshop.cache.iterdir() if path.name.endswith(".new")] == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (f"uploads/bert/{DIGEST}", "{directory}/uploads/bert/{digest}"),
        (f"models/store/bert/files-{DIGEST}", "s3://models/bert"),
    ],
)
@pytest.mark.parametrize("linked", [True, False])
def test_keeps_what_goes_when_it_is_stored(
    workshop: Workshop, place: str, source: str, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not linked:

        def refuse(*_: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(engines, "_link", refuse)
    delivered = workshop.directory.path / place
    delivered.parent.mkdir(parents=True)
    workshop.source.rename(delivered)
    workshop.given = source.format(directory=workshop.directory.path, digest=DIGEST)
    workshop.build()
    kept = workshop.directory.path / "engines/sources/bert" / DIGEST / "1/model.onnx"
    assert kept.samefile(delivered / "1/model.onnx") == linked
    subprocess.run(["rm", "-r", str(delivered)], check=True)
    # Only an option changes.
    workshop.options["precision"] = "fp32"
    workshop.build()
    assert workshop.builds() == 2


def test_a_source_that_is_no_model_is_refused(workshop: Workshop) -> None:
    (workshop.source / "1/model.onnx").unlink()
    refused = workshop.refused()
    assert refused.what == "no version folder of the model bert has a model.onnx"
    assert refused.fix.startswith(f"put it into {workshop.source}/1")
    workshop.given = str(workshop.folder / "absent")
    assert workshop.refused().what.startswith("the source of the model bert is not a folder: ")


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("builder", "", "the engine option 'builder' is missing"),
        ("workspaceMiB", None, "the engine option 'workspaceMiB' is missing"),
        ("precision", "int4", "unknown precision 'int4'"),
    ],
)
def test_options_are_checked(workshop: Workshop, option: str, value: object, what: str) -> None:
    workshop.options[option] = value
    assert workshop.refused().what == what


def test_the_version_of_an_image_that_does_not_tell_is_its_name(workshop: Workshop) -> None:
    workshop.machine.program("docker", "#!/bin/bash\n[[ $* == *Env* ]] || echo sha256:abc\n")
    workshop.machine.set("PATH", f"{workshop.folder / 'programs'}:{os.environ['PATH']}")
    assert engines.tensorrt_version("image") == "sha256:abc"


def test_links_count_with_what_they_lead_to(workshop: Workshop) -> None:
    # The builder sees nothing outside the folder that it is given.
    shared = workshop.folder / "shared.onnx"
    shared.write_text("onnx behind a link\n")
    (workshop.source / "1/model.onnx").unlink()
    (workshop.source / "1/model.onnx").symlink_to(shared)
    first = workshop.build()
    assert (workshop.ready / "1/model.plan").read_text().startswith("onnx behind a link\n")
    shared.write_text("another\n")
    assert workshop.build() != first
    assert (workshop.ready / "1/model.plan").read_text().startswith("another\n")
    assert sorted(path.name for path in workshop.cache.iterdir() if "." in path.name) == []


def test_a_link_inside_the_folder_needs_no_copy(workshop: Workshop) -> None:
    (workshop.source / "1/model.onnx").rename(workshop.source / "1/real.onnx")
    (workshop.source / "1/model.onnx").symlink_to("real.onnx")
    workshop.build()
    assert any(
        f"{str(workshop.source / '1').replace(chr(34), chr(34) * 2)}" in call for call in workshop.calls()
    )


def test_a_folder_of_links_has_a_key_of_its_content(tmp_path: Path) -> None:
    target = tmp_path / "weights"
    target.mkdir()
    (target / "a").write_text("a")
    version = tmp_path / "1"
    version.mkdir()
    (version / "weights").symlink_to(target)
    options, kind = Options("image", "fp16", 1, None, []), Target("gpu", "8")
    first = engine_key(version, options, kind)
    (target / "a").write_text("b")
    assert engine_key(version, options, kind) != first


def test_a_broken_link_is_named(workshop: Workshop) -> None:
    (workshop.source / "1/external.data").symlink_to("/nowhere/at/all")
    refused = workshop.refused()
    assert refused.what.endswith("external.data is a broken link to /nowhere/at/all")
    (workshop.source / "1/external.data").rename(workshop.source / "external.data")
    assert "a link may be broken" in workshop.refused().fix


def test_removes_engines_that_nobody_has_requested_for_thirty_days(workshop: Workshop) -> None:
    workshop.build()
    (old,) = workshop.cache.iterdir()
    then = time.time() - 32 * 86400
    os.utime(old / "used", (then, then))
    for leftover in ("old.new", "old.onnx", "young.new"):
        (workshop.cache / leftover).mkdir()
    for leftover in ("old.new", "old.onnx"):
        os.utime(workshop.cache / leftover, (then, then))
    (workshop.cache / "damaged").mkdir()
    (workshop.cache / "damaged/used").symlink_to("nowhere")
    workshop.options["precision"] = "best"
    workshop.build()
    assert not old.exists()
    left = [path.name for path in workshop.cache.iterdir() if not re.fullmatch("[0-9a-f]{32}", path.name)]
    assert sorted(left) == ["damaged", "young.new"]
    assert len(list(workshop.cache.iterdir())) == 3


def test_a_disk_that_fills_up_during_a_build_is_named(workshop: Workshop) -> None:
    big = workshop.cache / "0123"
    big.mkdir(parents=True)
    (big / "model.plan").write_bytes(bytes(2_000_000))
    workshop.machine.program(
        "docker",
        "#!/bin/bash\n"
        "case $* in *saveEngine*) echo '[E] write: No space left on device'; exit 1 ;;\n"
        "  *Env*) echo TRT_VERSION=8 ;; esac\n",
    )
    workshop.machine.set("PATH", f"{workshop.folder / 'programs'}:{os.environ['PATH']}")
    refused = workshop.refused()
    assert re.match("there is no space left on the disk /.* for the engine of bert, version 1", refused.what)
    assert f"{big} (3 MB; an engine; built again if it is needed)" in refused.fix or (
        f"{big} (2 MB; an engine; built again if it is needed)" in refused.fix
    )


@pytest.mark.parametrize("command", ["cp -RL", "cp -a"])
def test_a_disk_that_fills_up_during_a_copy_is_named(
    workshop: Workshop, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.machine.program(
        "cp",
        f'#!/bin/bash\n[[ "$*" == "{command[3:]}"* ]] || exec /bin/cp "$@"\n'
        "echo \"cp: error writing 'x': No space left on device\" >&2\nexit 1\n",
    )
    workshop.machine.set("PATH", f"{workshop.folder / 'programs'}:{os.environ['PATH']}")
    delivered = workshop.directory.path / "uploads/bert" / DIGEST
    delivered.parent.mkdir(parents=True)
    workshop.source.rename(delivered)
    workshop.given = str(delivered)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if command == "cp -a":
        monkeypatch.setattr(engines, "_link", refuse)
    assert workshop.refused().what.startswith("there is no space left on the disk /")


def test_progress_of_a_build(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    workshop.machine.program(
        "docker",
        "#!/bin/bash\n"
        "case $* in *saveEngine*)\n"
        "    echo '[1] [I] Timing tactics'\n"
        '    while [ ! -e "$MACHINE/described" ]; do sleep 0.05; done\n'
        "    exit 1 ;;\n"
        "  *Env*) echo TRT_VERSION=8 ;; esac\n",
    )
    workshop.machine.set("PATH", f"{workshop.folder / 'programs'}:{os.environ['PATH']}")

    def await_end(process: "subprocess.Popen[bytes]", describe: Callable[[int], None]) -> int:
        def described(seconds: int) -> None:
            describe(seconds)
            if "Timing tactics" in (workshop.directory.path / "engines/log/bert-1.log").read_text():
                (workshop.folder / "described").touch()

        return programs.await_end(process, described, every=0.1)

    monkeypatch.setattr(engines, "await_end", await_end)
    workshop.refused()
    said = capsys.readouterr().err
    assert "building the engine of bert, version 1 on Tesla T4, 7.5 with TensorRT 8; this can take" in said
    assert re.search(r"building the engine of bert, version 1 \(\d+ s\): Timing tactics\n", said)


class Shared:
    """Hosts that share engines through S3."""

    def __init__(self, workshop: Workshop, server: S3Server) -> None:
        self.workshop = workshop
        self.server = server
        workshop.options["shared"] = "s3://engines-of-the-test/team"

    def deploy(self, capsys: pytest.CaptureFixture) -> str:
        """Builds on a host that has nothing yet. Returns what was said."""
        subprocess.run(["rm", "-rf", str(self.workshop.directory.path / "engines")], check=True)
        self.workshop.build()
        assert (self.workshop.ready / "1/model.plan").read_text().startswith("onnx\n")
        return str(capsys.readouterr().err)


@pytest.fixture
def shared(workshop: Workshop, s3_server: S3Server) -> Shared:
    if s3_server.ask("HEAD", "/engines-of-the-test")[0] != 200:
        s3_server.create_bucket("engines-of-the-test")
    s3_server.mischief.clear()
    for variable, value in s3_server.environment.items():
        workshop.machine.set(variable, value)
    workshop.machine.set("PATH", f"{BUILDER}:{s3_server.programs}:{os.environ['PATH']}")
    return Shared(workshop, s3_server)


def test_is_built_by_the_first_host_and_fetched_by_the_next_unless_it_is_damaged(
    shared: Shared, capsys: pytest.CaptureFixture
) -> None:
    first = shared.deploy(capsys)
    found = re.search(
        r"^shared the engine of bert, version 1 as s3://engines-of-the-test/(team/[0-9a-f]{32})$", first, re.M
    )
    assert found, first
    assert "took the engine of bert, version 1 from s3:" in shared.deploy(capsys)
    assert shared.workshop.builds() == 1
    shared.server.put("engines-of-the-test", f"{found.group(1)}/model.plan", b"half of")
    assert "the shared engine of bert, version 1 is damaged" in shared.deploy(capsys)
    assert shared.workshop.builds() == 2
    # It has uploaded a complete one again.
    assert "took the engine" in shared.deploy(capsys)
    shared.server.remove("engines-of-the-test", f"{found.group(1)}/model.plan")
    assert "cannot take the shared engine of bert, version 1: " in shared.deploy(capsys)
    shared.server.mischief[f"{found.group(1)}/built"] = "deny"
    assert "no shared engine of bert, version 1, or this host may not read s3:" in shared.deploy(capsys)


def test_is_built_even_if_s3_fails_with_a_remark(shared: Shared, capsys: pytest.CaptureFixture) -> None:
    shared.workshop.options["shared"] = "s3://no-such-bucket/team"
    said = shared.deploy(capsys)
    assert re.search("^cannot share the engine of bert, version 1: .*NoSuchBucket", said, re.M)
    assert shared.workshop.builds() == 1


def test_is_built_on_a_host_without_the_cli(workshop: Workshop, capsys: pytest.CaptureFixture) -> None:
    workshop.options["shared"] = "s3://engines-of-the-test/team"
    for program in ("bash", "cat", "cp", "grep", "sh", "sleep"):
        (workshop.folder / "programs" / program).symlink_to(f"/bin/{program}")
    workshop.machine.set("PATH", f"{BUILDER}:{workshop.folder / 'programs'}")
    workshop.build()
    said = capsys.readouterr().err
    assert (
        "cannot look for a shared engine of bert, version 1: the AWS CLI is not installed on this host"
        in said
    )
    assert "cannot share the engine of bert, version 1: the AWS CLI is not installed on this host" in said


def test_what_is_known_of_an_engine(workshop: Workshop) -> None:
    workshop.build()
    (entry,) = workshop.cache.iterdir()
    digest = hashlib.sha256((entry / "model.plan").read_bytes()).hexdigest()
    assert (entry / "built").read_text() == (
        "model bert\nversion 1\ngpu Tesla T4, 7.5\ntensorrt 8.2.5.1\nargument --onnx=/onnx/model.onnx\n"
        "argument --saveEngine=/engine/model.plan\nargument --workspace=1024\nargument --buildOnly\n"
        f"argument --fp16\nsha256 {digest}\n"
    )
    assert (
        engine_key(
            workshop.source / "1",
            Options("any", "fp16", 1024, None, [Shape("ids", "1", "1", "1")]),
            Target("Tesla T4, 7.5", "8.2.5.1"),
        )
        != entry.name
    )
