"""Models that lie in S3. The real AWS CLI asks moto, which can be made to spoil objects."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from agent import disk, s3
from agent.commands import run
from agent.errors import HostError
from s3_server import S3Server, aws_tools
from stand_in_machine import Machine
from stand_in_proxy import proxy_to

BUCKET = "models-of-the-test"
SOURCE = f"s3://{BUCKET}/team/scale"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class Model:
    """A model in S3, and what of it a host fetches."""

    def __init__(self, machine: Machine, server: S3Server) -> None:
        self.machine = machine
        self.server = server
        self.store = machine.directory.store / "scale"
        #: The model's objects by path: content and ETag.
        self.objects: Dict[str, Tuple[bytes, str]] = {}

    def put(self, name: str, content: bytes, headers: Optional[Dict[str, str]] = None) -> None:
        self.server.put(BUCKET, f"team/scale/{name}", content, headers)
        self.objects[name] = (content, md5(content))

    def listed(self) -> List[Dict[str, object]]:
        return [
            {"path": name, "etag": etag, "bytes": len(content)}
            for name, (content, etag) in self.objects.items()
        ]

    def request(self, digest: str, source: str = SOURCE) -> str:
        return json.dumps(
            {"model": "scale", "filesDigest": digest, "source": source, "objects": self.listed()}
        )

    def fetch(self, digest: str, source: str = SOURCE) -> None:
        run(self.machine.directory, "fetch", [], self.request(digest, source))

    def fetched(self, digest: str) -> List[str]:
        """Fetches, compares every file, and returns what was asked of S3."""
        self.server.fetched.clear()
        self.fetch(digest)
        files = self.store / f"files-{digest}"
        there = {
            str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*") if path.is_file()
        }
        assert there == {name: content for name, (content, _) in self.objects.items() if name[-1] != "/"}
        return sorted(key.replace("team/scale/", "") for key in self.server.fetched)

    def refused(self, digest: str, what: str, fix: str, source: str = SOURCE) -> None:
        with pytest.raises(HostError) as refused:
            self.fetch(digest, source)
        assert re.fullmatch(what, refused.value.what)
        assert re.match(fix, refused.value.fix)
        assert not (self.store / f"files-{digest}").exists()

    def record(self, digest: str) -> str:
        return (self.store / f"files-{digest}.objects").read_text()


@pytest.fixture
def model(machine: Machine, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Model:
    # What is denied here stays so, unless a test says otherwise.
    monkeypatch.setattr(s3, "GRANT_SECONDS", 0)
    if s3_server.ask("HEAD", f"/{BUCKET}")[0] != 200:
        s3_server.create_bucket(BUCKET)
    s3_server.mischief.clear()
    for variable, value in s3_server.environment.items():
        machine.set(variable, value)
    machine.set("PATH", f"{s3_server.programs}:{os.environ['PATH']}")
    model = Model(machine, s3_server)
    model.put("1/model.py", b"the code\n")
    model.put("1/weights.bin", bytes([7]) * 300_000)
    s3_server.fetched.clear()
    return model


def test_a_complete_model_is_not_fetched_again(model: Model) -> None:
    assert model.fetched("v1") == ["1/model.py", "1/weights.bin"]
    assert model.fetched("v1") == []
    assert model.fetched("another-digest") == []
    assert sorted(path.name for path in model.store.iterdir()) == [
        *(".files-another-digest.manifest", ".files-v1.manifest"),
        *("files-another-digest", "files-another-digest.objects", "files-v1", "files-v1.objects"),
    ]
    code, weights = (model.objects[name][1] for name in ("1/model.py", "1/weights.bin"))
    assert model.record("v1") == f"{code} 9 - md5 1/model.py\n{weights} 300000 - md5 1/weights.bin\n"


def test_only_what_has_changed_is_fetched_also_under_a_new_name(model: Model) -> None:
    model.fetched("v1")
    model.put("1/model.py", b"other code\n")
    assert model.fetched("v2") == ["1/model.py"]
    model.objects["2/weights.bin"] = model.objects.pop("1/weights.bin")
    assert model.fetched("v3") == []


def test_empty_folders_are_made(model: Model) -> None:
    model.objects["2/"] = (b"", md5(b""))
    model.objects["2/empty/"] = (b"", md5(b""))
    model.fetched("v1")
    assert (model.store / "files-v1/2/empty").is_dir()
    assert f"{md5(b'')} 0 - folder 2/empty/\n" in model.record("v1")


def test_names_that_need_care_arrive(model: Model) -> None:
    for name in ("1/a b 'c' $HOME.bin", "1/-flag", "1/model.py.part", "1/größe é.txt", "1/a\u2028b"):
        quoted = "".join(f"%{byte:02x}" for byte in name.encode())
        content = name.encode()
        model.server.put(BUCKET, f"team/scale/{quoted}", content)
        model.objects[name] = (content, md5(content))
    assert len(model.fetched("v1")) == 7
    assert model.fetched("v2") == []


def test_the_command_drops_what_was_never_stored(model: Model) -> None:
    model.fetched("v1")
    (model.store / ".fetching").mkdir()
    run(model.machine.directory, "drop-files", ["scale"])
    assert not model.store.exists()
    run(model.machine.directory, "drop-files", ["scale"])


def test_the_command_keeps_what_is_stored(model: Model) -> None:
    model.fetched("v1")
    stored = model.store / "config1/1/model.py"
    stored.parent.mkdir(parents=True)
    stored.touch()
    (model.store / ".fetching").mkdir()
    run(model.machine.directory, "drop-files", ["scale"])
    kept = sorted(path.name for path in model.store.iterdir() if path.name[0] != ".")
    assert kept == ["config1", "files-v1", "files-v1.objects"]
    with pytest.raises(HostError, match="is not a model name"):
        run(model.machine.directory, "drop-files", ["../scale"])


def test_what_arrives_corrupt_is_fetched_again_and_refused_if_it_always_does(model: Model) -> None:
    model.server.mischief["team/scale/1/weights.bin"] = "corrupt once"
    assert model.fetched("v1") == ["1/model.py", "1/weights.bin", "1/weights.bin"]
    model.put("1/model.py", b"other code\n")
    model.server.mischief["team/scale/1/model.py"] = "corrupt"
    model.refused("v2", r"s3:.*model\.py arrived corrupt: .*", "check the network")
    model.server.mischief.clear()
    assert model.fetched("v2") == ["1/model.py"]


def test_a_damaged_copy_is_fetched_again(model: Model) -> None:
    model.fetched("v1")
    (model.store / "files-v1/1/weights.bin").write_bytes(bytes([8]) * 300_000)
    model.put("1/model.py", b"other code\n")
    assert model.fetched("v2") == ["1/model.py", "1/weights.bin"]


def store(model: Model, digest: str, files_digest: str) -> None:
    """As the command does that follows."""
    request = {
        "model": "scale",
        "digest": digest,
        "filesDigest": files_digest,
        "source": SOURCE,
        "config": "name: 'scale'\n",
    }
    run(model.machine.directory, "store", [], json.dumps(request))


def test_files_are_stored_next_to_the_configuration_and_pruned_with_it(model: Model) -> None:
    def stored() -> List[str]:
        return sorted(path.name for path in model.store.iterdir() if path.name[0] != ".")

    model.fetched("v1")
    store(model, "config1", "v1")
    assert stored() == ["config1", "files-v1", "files-v1.objects"]
    model.put("1/model.py", b"other code\n")
    assert model.fetched("v2") == ["1/model.py"]
    store(model, "config2", "v2")
    assert stored() == ["config2", "files-v2", "files-v2.objects"]
    run(model.machine.directory, "drop-files", ["scale"])
    assert (model.store / "config2/1/model.py").exists()
    with pytest.raises(HostError) as lost:
        store(model, "config3", "v3")
    assert lost.value.what.endswith("no longer on this host")
    assert "--replace '**scale/files'" in lost.value.fix


def test_what_was_changed_on_the_host_is_put_right_by_the_next_fetch(model: Model) -> None:
    model.fetched("v1")
    store(model, "config1", "v1")
    # In the store these are two names of one file.
    (model.store / "config1/1/weights.bin").write_bytes(bytes([9]) * 300_000)
    assert model.fetched("v1") == ["1/weights.bin"]
    store(model, "config1", "v1")
    assert (model.store / "config1/1/weights.bin").read_bytes() == bytes([7]) * 300_000
    # What is still there under another name needs no transfer.
    shutil.rmtree(model.store / "files-v1")
    assert model.fetched("v1") == []
    (model.store / "files-v1/1/model.py").unlink()
    assert model.fetched("v1") == []


def test_an_object_in_parts_is_compared_with_the_etag_of_its_parts(model: Model) -> None:
    parts = [bytes([1]) * (5 << 10), bytes([2]) * (5 << 10), b"the end"]
    model.server.put_in_parts(BUCKET, "team/scale/1/large.bin", parts)
    etag = md5(b"".join(hashlib.md5(part).digest() for part in parts)) + "-3"
    model.objects["1/large.bin"] = (b"".join(parts), etag)
    assert "1/large.bin" in model.fetched("v1")
    assert f"{etag} {(10 << 10) + 7} - parts:{5 << 10} 1/large.bin\n" in model.record("v1")
    assert model.fetched("v2") == []
    model.server.mischief["team/scale/1/large.bin"] = "corrupt"
    shutil.rmtree(model.store)
    model.refused("v1", r"s3:.*large\.bin arrived corrupt: .*", "check the network")


def test_a_large_object_is_fetched_in_parts_and_checked_as_well(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "LARGE_BYTES", 10 << 20)
    model.put("1/huge.bin", bytes([3]) * (18 << 20))
    assert model.fetched("v1").count("1/huge.bin") > 1


def test_an_encrypted_object_is_compared_with_what_arrived(model: Model) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/of-the-test"
    headers = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": key}
    model.put("1/secret.bin", b"secret\n", headers)
    assert "1/secret.bin" in model.fetched("v1")
    assert (
        f"- sha256:{hashlib.sha256(b'secret' + chr(10).encode()).hexdigest()} 1/secret.bin"
        in model.record("v1")
    )
    assert model.fetched("v2") == []


def test_an_earlier_version_is_fetched_by_its_record(machine: Machine, model: Model) -> None:
    model.server.create_bucket("versions-of-the-test")
    model.server.keep_versions("versions-of-the-test")
    source = "s3://versions-of-the-test/scale"
    directory = machine.directory
    model.server.put("versions-of-the-test", "scale/1/model.py", b"first\n")
    first = [{"path": "1/model.py", "etag": md5(b"first\n"), "bytes": 6}]
    s3.fetch_model(directory, "scale", "v1", source, first)
    assert re.fullmatch(
        rf"{md5(b'first' + chr(10).encode())} 6 \S{{2,}} md5 1/model\.py\n", model.record("v1")
    )
    kept = machine.folder / "kept"
    (model.store / "files-v1.objects").rename(kept)
    shutil.rmtree(model.store)
    model.server.put("versions-of-the-test", "scale/1/model.py", b"second\n")
    with pytest.raises(HostError, match="has changed since"):
        s3.fetch_model(directory, "scale", "v1", source, first)
    s3.fetch_model(directory, "scale", "v1", source, s3.recorded_objects(kept), kept)
    assert (model.store / "files-v1/1/model.py").read_bytes() == b"first\n"


def test_a_model_whose_disk_was_emptied_is_fetched_as_it_was(model: Model) -> None:
    """As after a stop of an instance whose store is an instance store."""
    model.fetched("v1")
    store(model, "config1", "v1")
    note = model.machine.directory.models / "kept/scale/config1"
    note.mkdir(parents=True)
    shutil.copy(model.store / "files-v1.objects", note / "objects")
    shutil.copy(model.store / "config1/config.pbtxt", note)
    (note / "files-digest").write_text("v1\n")
    (note / "source").write_text(f"{SOURCE}\n")
    shutil.rmtree(model.store)
    run(model.machine.directory, "refill", [])
    assert (model.store / "config1/1/model.py").read_bytes() == b"the code\n"
    assert (model.store / "config1/config.pbtxt").read_text() == "name: 'scale'\n"
    # What S3 has now is another model, and its bucket has no versions.
    shutil.rmtree(model.store)
    model.server.put(BUCKET, "team/scale/1/model.py", b"other code\n")
    with pytest.raises(HostError, match="some models could not be restored: scale"):
        run(model.machine.directory, "refill", [])


def agents_of(machine: Machine, model: Model, digest: str) -> "subprocess.Popen[bytes]":
    """The real agent, which fetches in a process of its own."""
    machine.install_agent()
    # Each call is a process of its own, as on a host.
    machine.set("PATH", f"{aws_tools()}:{os.environ['PATH']}")
    process = subprocess.Popen(
        [str(machine.directory.agent), "fetch"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(model.request(digest).encode())
    process.stdin.close()
    return process


def processes_with(text: str) -> List[str]:
    """Command lines of the processes that name something."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_interrupted_fetch_leaves_no_process_and_is_resumed(
    machine: Machine, model: Model, number: signal.Signals
) -> None:
    model.server.mischief["team/scale/1/weights.bin"] = "hang"
    process = agents_of(machine, model, "v1")
    staging = model.store / ".fetching"
    deadline = time.monotonic() + 180
    # An answer that has not started would be requested again.
    while not (
        (staging / "objects").exists()
        and "model.py" in (staging / "objects").read_text()
        and (staging / "parts/1").exists()
    ):
        assert time.monotonic() < deadline, "the first object arrives"
        time.sleep(0.05)
    assert processes_with(str(staging)) != []
    process.send_signal(number)
    assert process.wait(120) != 0
    deadline = time.monotonic() + 120
    while processes_with(str(staging)):
        assert time.monotonic() < deadline, processes_with(str(staging))
        time.sleep(0.05)
    model.server.mischief.clear()
    assert not (model.store / "files-v1").exists()
    assert model.fetched("v1") == ["1/weights.bin"]
    assert not staging.exists()


def test_what_an_interrupted_fetch_has_left_does_no_harm(model: Model) -> None:
    arrived = model.store / ".fetching/files"
    (arrived / "1/model.py/below").mkdir(parents=True)
    (arrived / "2").write_text("a file, and now a folder")
    content, etag = model.objects["1/weights.bin"]
    (arrived / "3").mkdir()
    (arrived / "3/here.bin").write_bytes(content)
    line = f"{etag} {len(content)} - md5 3/here.bin\n"
    half = f"{etag} {len(content)} -"
    (arrived.parent / "objects").write_text(f"{line}nonsense\n{etag} x - md5 1/a\n{half}")
    model.put("2/model.py", b"two\n")
    # The complete one is used under another name, and the new lines are readable.
    assert model.fetched("v1") == ["1/model.py", "2/model.py"]


class Clock:
    """Stands in for the module `time` where S3 is waited for: nobody sleeps."""

    def __init__(self, on_sleep: Callable[[], None] = lambda: None) -> None:
        self.now = 1000.0
        self.pauses: List[float] = []
        self._on_sleep = on_sleep

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self._on_sleep()


def test_a_right_that_is_on_its_way_is_waited_for(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    said: List[str] = []
    clock = Clock(lambda: model.server.mischief.clear() if len(clock.pauses) == 3 else None)
    monkeypatch.setattr(s3, "time", clock)
    monkeypatch.setattr(s3, "progress", said.append)
    monkeypatch.setattr(s3, "GRANT_SECONDS", 30)
    model.server.mischief["team/scale/1/weights.bin"] = "deny"
    assert model.fetched("v1") == ["1/model.py", *["1/weights.bin"] * 4]
    waiting = r"S3 denies s3:.*/1/weights\.bin; trying for (\d+) s more, in case the right to it is new"
    # The others are about the transfer.
    found = [re.fullmatch(waiting, line) for line in said if line.startswith("S3 denies")]
    assert [match and match.group(1) for match in found] == ["30", "27", "24"]


def test_what_stays_denied_is_given_up(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(s3, "time", clock)
    monkeypatch.setattr(s3, "GRANT_SECONDS", 7)
    model.server.mischief["team/scale/1/weights.bin"] = "deny"
    model.refused("v1", r"S3 denies this host access to s3:.*weights\.bin", "allow its role")
    assert clock.pauses == [3, 3, 1]
    assert model.server.fetched.count("team/scale/1/weights.bin") == 4


def test_the_reason_of_s3_is_named_with_a_fix(model: Model) -> None:
    model.server.mischief["team/scale/1/weights.bin"] = "deny"
    model.refused(
        "v1", r"S3 denies this host access to s3:.*weights\.bin", r"allow its role or user s3:GetObject"
    )
    model.server.mischief.clear()
    absent = "s3://no-such-bucket-here/scale"
    model.refused("v1", "there is no bucket no-such-bucket-here", "correct the model's source", absent)
    model.objects["1/absent"] = (b"x", md5(b"x"))
    model.refused("v1", r"the object s3:.*absent has been deleted since the deployment began", "put it back")
    del model.objects["1/absent"]
    model.put("1/late", b"as it was when the list was made")
    model.server.put(BUCKET, "team/scale/1/late", b"as it is now")
    model.refused("v1", r"the object s3:.*late has changed since the deployment began", "deploy again")


def test_a_large_object_in_a_bucket_that_is_not_there(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    # The answer to a HEAD request has no body that would tell the two apart.
    monkeypatch.setattr(s3, "LARGE_BYTES", 1)
    model.refused("v1", "there is no bucket gone", "correct the model's source", "s3://gone/scale")
    model.objects["1/absent"] = (b"x", md5(b"x"))
    model.refused("v2", r"the object s3:.*absent has been deleted since the deployment began", "put it back")


def test_a_model_that_does_not_fit_is_not_begun(model: Model) -> None:
    model.objects["1/giant"] = (b"", md5(b""))
    listed = [
        {**each, "bytes": 900_000_000_000_000} if each["path"] == "1/giant" else each
        for each in model.listed()
    ]
    other = model.machine.directory.store / "other"
    other.mkdir(parents=True)
    (other / "weights").write_bytes(bytes(3_000_000))
    with pytest.raises(HostError) as refused:
        s3.fetch_model(model.machine.directory, "scale", "v1", SOURCE, listed)
    assert re.fullmatch(
        r"the model scale needs 90000000\d MB more, and \d+ MB are free in .*scale", refused.value.what
    )
    assert re.match(rf"free some space on {disk.mount_point(other)}, or give the host", refused.value.fix)
    assert re.search(rf"{other} \(\d MB; remove the model from the stack\)", refused.value.fix)
    assert model.server.fetched == []


def test_a_disk_that_fills_up_is_named(machine: Machine, model: Model) -> None:
    # What the AWS CLI says then.
    machine.program("aws", "#!/bin/bash\necho '[Errno 28] No space left on device' >&2\nexit 255\n")
    machine.set("PATH", f"{machine.folder / 'programs'}:{os.environ['PATH']}")
    mount = disk.mount_point(machine.folder)
    model.refused(
        "v1",
        rf"there is no space left on the disk {mount} for s3:.* \(\d+ MB are free\)",
        rf"free some space on {mount}, or give the host a larger disk",
    )


LOGIN = "the-user:a%2Fsecret"


def test_a_proxy_that_wants_a_login_is_used_and_its_faults_are_named_without_it(
    machine: Machine, model: Model, capfd: pytest.CaptureFixture
) -> None:
    # What no_proxy lists is asked directly, as this machine is: here, nobody else listens.
    machine.set("AWS_ENDPOINT_URL", "http://127.0.0.2:9")
    machine.set("NO_PROXY", "intranet.example")
    with proxy_to(model.server.proxy.server_address[1], LOGIN) as proxy:

        def through(login: str) -> None:
            machine.set("HTTP_PROXY", f"http://{login}127.0.0.1:{proxy.server_address[1]}")
            machine.set("http_proxy", os.environ["HTTP_PROXY"])

        through(f"{LOGIN}@")
        proxy.cuts_at = 100_000
        with pytest.raises(HostError, match=r"does not return|cannot reach") as cut:
            model.fetch("v1")
        assert not (model.store / "files-v1").exists()
        proxy.cuts_at = 1 << 40
        # What came whole is kept.
        assert model.fetched("v1") == ["1/weights.bin"]
        assert set(proxy.asked) == {"127.0.0.2:9"}
        refusals = [str(cut.value)]
        model.put("1/model.py", b"other code\n")
        for login in ("", "the-user:another@"):
            through(login)
            with pytest.raises(HostError, match="S3") as refused:
                model.fetch("v2")
            refusals.append(str(refused.value))
        assert all("407" in text or "proxy" in text.lower() for text in refusals[1:])
    through("the-user:a/secret@")
    model.refused(
        "v3",
        r"https?_proxy of the user on this host is not the URL of a proxy: http://\*\*\*@127\.0\.0\.1:\d+",
        r"write it as http://USER:PASSWORD@HOST:PORT; in the password, write / as %2F",
    )
    printed = capfd.readouterr()
    for text in (*refusals, printed.out, printed.err):
        assert "secret" not in text
        assert "another" not in text


def test_a_host_without_credentials_or_cli_is_told_so(machine: Machine, model: Model) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        machine.set(variable, "")
    machine.set("HOME", machine.folder)
    model.refused("v1", "this host has no AWS credentials", "give the instance a role")
    machine.set("PATH", machine.folder / "programs")
    model.refused("v1", "the AWS CLI is not installed on this host", "install it")


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ('Could not connect to the endpoint URL: "https://x/"', "this host cannot reach S3: .*"),
        ('Failed to connect to proxy URL: "http://proxy:1/"', "this host cannot reach S3: .*"),
        ("something {new}", "S3 does not return s3://b/k: something {new}"),
    ],
)
def test_other_messages_are_passed_on(machine: Machine, message: str, what: str) -> None:
    assert re.fullmatch(what, s3.fault(machine.directory, message, "b", "s3://b/k").what)


@pytest.mark.parametrize(
    ("described", "what"),
    [
        ({"path": "../../up"}, "'../../up' leads out of the model"),
        ({"path": "/etc/passwd"}, "'/etc/passwd' leads out of the model"),
        ({"path": "1//a"}, "'1//a' leads out of the model"),
        ({"path": "1//"}, "'1//' leads out of the model"),
        ({"path": "1/a\nb"}, 'the key "1/a\\\\nb" cannot be the path of a file'),
        ({"path": "1/" + "a" * 256}, "a name in .* is longer than 255 bytes"),
        ({"path": ""}, ".* does not describe an object"),
        ({"etag": "a b"}, ".* does not describe an object"),
        ({"bytes": -1}, ".* does not describe an object"),
        ({"bytes": "1"}, ".* does not describe an object"),
    ],
)
def test_an_object_cannot_escape_the_model(machine: Machine, described: Dict[str, object], what: str) -> None:
    given = {"path": "1/a", "etag": "0" * 32, "bytes": 1, **described}
    with pytest.raises(HostError) as refused:
        s3.fetch_model(machine.directory, "scale", "v1", SOURCE, [given])
    assert re.fullmatch(what, refused.value.what)
    assert not machine.directory.store.exists()


@pytest.mark.parametrize("source", ["s3://bucket", "s3://bucket/", "https://bucket/x", "s3:///x"])
def test_what_is_no_location_in_s3_is_refused(machine: Machine, source: str) -> None:
    with pytest.raises(HostError, match="is not an S3 location"):
        s3.fetch_model(machine.directory, "scale", "v1", source, [])


def test_progress_is_shown(
    model: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(s3, "EVERY", 0.05)
    model.fetched("v1")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"fetching 1 MB of the model scale from {SOURCE} (2 of 2 objects)"
    assert re.fullmatch(r"fetching the model scale: \d MB are here", lines[1])


def test_no_more_than_four_at_a_time(machine: Machine, model: Model) -> None:
    machine.program(
        "aws",
        "#!/bin/bash\n"
        'echo begin >>"$MACHINE/aws"\n'
        # Until as many as may are there, and a moment longer for one too many.
        'for try in {1..200}; do [ "$(grep -c begin "$MACHINE/aws")" -lt 4 ] || break; sleep 0.1; done\n'
        'sleep 0.3; echo end >>"$MACHINE/aws"\n'
        'echo "(403)" >&2; exit 1\n',
    )
    machine.set("PATH", f"{machine.folder / 'programs'}:{os.environ['PATH']}")
    for number in range(9):
        model.objects[f"1/{number}"] = (b"x", f"{number}" * 32)
    model.refused("v1", "S3 denies.*", "allow its role")
    lines = machine.lines("aws")
    running = [
        lines[: index + 1].count("begin") - lines[: index + 1].count("end") for index in range(len(lines))
    ]
    assert max(running) == 4
    # After the first failure nothing more is begun but what takes the place of the four.
    assert lines.count("begin") < 10


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    yield path


@pytest.mark.parametrize("part_bytes", [1, 3, 5, 10, 11])
def test_the_etag_of_an_upload_in_parts(file: Path, part_bytes: int) -> None:
    content = file.read_bytes()
    parts = [content[index : index + part_bytes] for index in range(0, 10, part_bytes)]
    sums = b"".join(hashlib.md5(part).digest() for part in parts)
    assert s3.multipart_etag(file, part_bytes) == f"{md5(sums)}-{len(parts)}"


def test_how_a_file_is_compared(file: Path) -> None:
    content = file.read_bytes()
    assert s3.file_is(file, md5(content), "md5")
    assert not s3.file_is(file, md5(b""), "md5")
    assert s3.file_is(file, s3.multipart_etag(file, 4), "parts:4")
    assert s3.file_is(file, "anything", f"sha256:{hashlib.sha256(content).hexdigest()}")
    for check in ("", "parts:0", "parts:x", "sha256:", "folder", "sha256"):
        assert not s3.file_is(file, md5(content), check)


def test_the_cli_of_a_host_with_a_proxy_asks_the_instance_itself_directly(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.set("HTTPS_PROXY", "http://proxy.example:3128")
    machine.set("no_proxy", "intranet.example, localhost")
    machine.set("NO_PROXY", "other.example")
    environment = s3.aws_environment()
    assert environment["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert environment["no_proxy"] == environment["NO_PROXY"]
    names = environment["no_proxy"].split(",")
    assert names[:3] == ["intranet.example", "localhost", "other.example"]
    assert {"169.254.169.254", "127.0.0.1", "::1"} < set(names)
    assert len(names) == len(set(names))


def test_the_real_cli_reaches_loopback_past_a_proxy(machine: Machine, model: Model) -> None:
    machine.set("PATH", f"{aws_tools()}:{os.environ['PATH']}")
    # Nobody listens there.
    for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        machine.set(variable, "http://127.0.0.1:9")
    monkeypatched = [variable for variable in ("no_proxy", "NO_PROXY") if variable in os.environ]
    for variable in monkeypatched:
        machine.set(variable, "")
    assert model.fetched("v1") == ["1/model.py", "1/weights.bin"]
