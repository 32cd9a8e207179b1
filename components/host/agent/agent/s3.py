"""Models that lie in S3, through the AWS CLI with the credentials that it finds on this host: a role, or ~/.aws.

Beside the files of a model, ``files-DIGEST``, lies ``files-DIGEST.objects``: ETAG BYTES VERSION CHECK PATH, a line for
each object. VERSION is - in a bucket without versions; CHECK is how the file is compared with the object: ``md5`` and
``parts:BYTES`` with its ETag, ``sha256:DIGEST`` where the ETag says nothing about the content, ``folder`` for a folder.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .commands import Request
from .console import progress
from .directory import HostDirectory, require_path_segment, write_file
from .disk import explained, free_bytes, megabytes, no_space, room, says_full
from .errors import HostError
from .models.store import damaged, put_in_place
from .programs import Children, Finished, outward_environment, require_proxies

#: Larger objects are fetched in parts side by side, which only `aws s3 cp` does.
LARGE_BYTES = 64 << 20

#: Objects fetched side by side: many models have one large file and a few small ones.
AT_A_TIME = 4

#: Seconds between two messages.
EVERY = 5.0

#: Bytes of a file's name that Linux allows.
LONGEST_NAME = 255

#: Seconds for which S3 may deny what a role has just been allowed: a change of IAM's takes some to reach all of AWS.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
GRANT_SECONDS = 30.0
GRANT_PAUSE = 3.0

#: What the AWS CLI says of what is denied.
DENIED = ("(403)", "AccessDenied", "Forbidden")

#: What the AWS CLI says of what is not there.
ABSENT = ("(404)", "NoSuchKey", "Not Found", "does not exist")

ETAG = re.compile(r"[A-Za-z0-9+/=_-]+")


class Object(NamedTuple):
    """One object of a model, as it was when the deployment began."""

    #: Below the model's prefix. A folder's marker ends with a slash.
    path: str
    etag: str
    bytes: int

    @property
    def is_folder(self) -> bool:
        return self.path.endswith("/")


class Fetched(NamedTuple):
    """A line of the record."""

    etag: str
    bytes: int
    version: str
    check: str
    path: str

    def __str__(self) -> str:
        return f"{self.etag} {self.bytes} {self.version} {self.check} {self.path}\n"


def fetch(request: Request) -> None:
    """The command `fetch`."""
    body = request.body
    fetch_model(request.directory, body["model"], body["filesDigest"], body["source"], body["objects"])


def fetch_model(
    directory: HostDirectory,
    model: str,
    files_digest: str,
    source: str,
    objects: Sequence[Mapping[str, Any]],
    versions: Optional[Path] = None,
) -> None:
    """
    Puts a model's files into the store as `files-DIGEST`. Only what the host does not have is fetched. Only a complete
    set gets that name; what an interrupted run has fetched is used by the next.

    :param source: `s3://BUCKET/PREFIX`
    :param objects: `{path, etag, bytes}` each
    :param versions: an earlier record, for objects that may have been replaced since
    """
    require_path_segment("model name", model)
    require_path_segment("digest", files_digest)
    _location(source)
    wanted = [_checked(each) for each in objects]
    store = directory.store / model
    with explained(directory, store, f"the model {model}"):
        store.mkdir(parents=True, exist_ok=True)
        with directory.lock(f"model-{model}"):
            files = store / f"files-{files_digest}"
            if files.is_dir() and not damaged(files):
                return
            require_aws_cli()
            known = {} if versions is None else {line.etag: line.version for line in read_record(versions)}
            _Fetch(directory, model, files_digest, source, wanted, known).run()


def recorded_objects(record: Path) -> List[Dict[str, Any]]:
    """What a record lists, as `fetch_model` takes it."""
    return [{"path": line.path, "etag": line.etag, "bytes": line.bytes} for line in read_record(record)]


def drop_files(request: Request) -> None:
    """
    The command `drop-files`: removes what was fetched of a model that was never stored, or that comes from somewhere
    else by now. What is stored stays.
    """
    directory = request.directory
    model = require_path_segment("model name", request.word(0, "model name"))
    store = directory.store / model
    if not store.is_dir():
        return
    with directory.lock(f"model-{model}"):
        shutil.rmtree(store / ".fetching", ignore_errors=True)
        if all(entry.name.startswith(("files-", ".")) for entry in store.iterdir()):
            shutil.rmtree(store)


def require_aws_cli(fix: Optional[str] = None) -> None:
    """Fails on a host without it."""
    if shutil.which("aws") is None:
        raise HostError(
            "the AWS CLI is not installed on this host",
            fix
            or "install it (https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html, or "
            "apt-get install awscli)",
        )


def aws_environment(attempts: int = 5) -> Dict[str, str]:
    """For the AWS CLI.

    :raises HostError: if a proxy's URL is none
    """
    require_proxies()
    changes = {"AWS_PAGER": "", "AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": str(attempts)}
    return outward_environment(changes)


def copy(source: str, target: str) -> Optional[str]:
    """Copies one object to or from this host. Returns why it cannot, in one line."""
    if shutil.which("aws") is None:
        return "the AWS CLI is not installed on this host"
    words = ["aws", "s3", "cp", source, target, "--only-show-errors"]
    copied = Children().call(words, environment=aws_environment(3))
    return None if copied.ok else _said(copied) or "the AWS CLI says nothing"


def read_record(record: Path) -> List[Fetched]:
    """The lines of a record. One that a run was killed at may be incomplete, and is left out."""
    try:
        text = record.read_text("utf-8", "replace")
    except OSError:
        return []
    lines = []
    # Not splitlines(), which ends a line at characters that a key may have.
    for line in text.split("\n"):
        words = line.split(" ", 4)
        if len(words) == 5 and words[1].isdigit() and words[4] != "":
            lines.append(Fetched(words[0], int(words[1]), words[2], words[3], words[4]))
    return lines


def multipart_etag(file: Path, part_bytes: int) -> str:
    """The ETag that S3 gives an object uploaded in parts of this size."""
    sums = []
    with file.open("rb") as stream:
        while True:
            part = _md5()
            left = part_bytes
            while left > 0:
                chunk = stream.read(min(left, 1 << 20))
                if not chunk:
                    break
                part.update(chunk)
                left -= len(chunk)
            if left == part_bytes:
                break
            sums.append(part.digest())
            if left > 0:
                break
    return f"{_md5(b''.join(sums)).hexdigest()}-{len(sums)}"


def file_is(file: Path, etag: str, check: str) -> bool:
    """Whether a file holds the object of this ETag."""
    kind, _, value = check.partition(":")
    if kind == "md5":
        return _digest(file, _md5()) == etag
    if kind == "parts" and value.isdigit() and int(value) > 0:
        return multipart_etag(file, int(value)) == etag
    if kind == "sha256":
        return _digest(file, hashlib.sha256()) == value
    return False


#: What the AWS CLI says, and what that means; the first that fits.
FAULTS: Sequence[Tuple[Sequence[str], str, str]] = (
    (
        ("Unable to locate credentials", "CredentialRetrievalError", "NoCredentials"),
        "this host has no AWS credentials",
        "give the instance a role that may read {name}, or put credentials into ~/.aws",
    ),
    (
        ("NoSuchBucket",),
        "there is no bucket {bucket}",
        "correct the model's source, or create the bucket",
    ),
    (
        DENIED,
        "S3 denies this host access to {name}",
        (
            "allow its role or user s3:GetObject there, and kms:Decrypt with the key of an encrypted object; S3 "
            "answers the same when the object is gone and the host may not list the bucket"
        ),
    ),
    (
        ABSENT,
        "the object {name} has been deleted since the deployment began",
        "put it back, or deploy again without it",
    ),
    (
        ("(412)", "PreconditionFailed", "Precondition Failed"),
        "the object {name} has changed since the deployment began",
        "deploy again",
    ),
    (
        ("ProxyConnectionError", "Failed to connect to proxy"),
        "this host cannot reach S3: {message}",
        "check HTTPS_PROXY and NO_PROXY of the user on the host, and the name and password that the proxy may want",
    ),
    (
        ("Could not connect", "EndpointConnectionError", "Connect timeout", "Connection was closed"),
        "this host cannot reach S3: {message}",
        "check its network; a private subnet needs an S3 endpoint",
    ),
    (("",), "S3 does not return {name}: {message}", "see the message above"),
)


def fault(directory: HostDirectory, message: str, bucket: str, name: str) -> HostError:
    """What a message of the AWS CLI means. `name` is the object that was asked for, as a URL."""
    if says_full(message):
        return no_space(directory, directory.store, name)
    what, fix = next((what, fix) for words, what, fix in FAULTS if any(word in message for word in words))
    return HostError(*(text.format(name=name, bucket=bucket, message=message) for text in (what, fix)))


#: Copies of objects, by ETag and size: how each was fetched, and where it is.
Known = Dict[Tuple[str, int], List[Tuple[Fetched, Path]]]


class _Fetch:
    """One run, under the lock of the model."""

    def __init__(
        self,
        directory: HostDirectory,
        model: str,
        files_digest: str,
        source: str,
        wanted: List[Object],
        versions: Dict[str, str],
    ) -> None:
        self._directory = directory
        self._model = model
        self._source = source
        self._bucket, self._prefix = _location(source)
        self._wanted = wanted
        self._versions = versions
        self._store = directory.store / model
        self._files = self._store / f"files-{files_digest}"
        self._staging = self._store / ".fetching"
        #: What has been fetched, and the record of it, which outlive an interruption.
        self._arrived = self._staging / "files"
        self._journal = self._staging / "objects"
        self._arriving = threading.Lock()
        #: What is on its way, named by its place in the list.
        self._parts = self._staging / "parts"
        #: The complete set, in the making.
        self._ready = self._staging / "ready"
        self._children = Children()
        #: Until when a right may still be on its way.
        self._granted_by = time.monotonic() + GRANT_SECONDS

    def run(self) -> None:
        self._arrived.mkdir(parents=True, exist_ok=True)
        for folder in (self._parts, self._ready):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        known = self._known()
        # Without what a run was killed at, so that the next line is not glued to it.
        write_file(self._journal, "".join(map(str, read_record(self._journal))))
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            try:
                # A corrupt copy is fetched again.
                lines = list(pool.map(lambda each: self._take_known(each, known), self._wanted))
                missing = [index for index, line in enumerate(lines) if line is None]
                for index, line in self._fetch_all(pool, missing).items():
                    lines[index] = line
            finally:
                self._children.end()
        # Before the files get their name: whoever sees them finds the record.
        write_file(self._files.with_name(f"{self._files.name}.objects"), "".join(map(str, lines)))
        if self._files.exists():
            self._files.rename(self._staging / "damaged")
        put_in_place(self._ready, self._files)
        shutil.rmtree(self._staging)

    def _known(self) -> Known:
        """What the host has, by ETag and size."""
        known: Known = {}
        # What is stored has the same files under other names, of which some may be gone.
        folders = [entry for entry in self._store.iterdir() if entry.is_dir() and entry != self._staging]
        records = [(record, folders) for record in sorted(self._store.glob("files-*.objects"))]
        for record, places in [*records, (self._journal, [self._arrived])]:
            for line in read_record(record):
                for file in (place / line.path for place in places):
                    with contextlib.suppress(OSError, ValueError):
                        if file.is_file() and file.stat().st_size == line.bytes:
                            known.setdefault((line.etag, line.bytes), []).append((line, file))
        return known

    def _take_known(self, wanted: Object, known: Known) -> Optional[Fetched]:
        """Places an object that needs no transfer."""
        if wanted.is_folder:
            (self._ready / wanted.path).mkdir(parents=True, exist_ok=True)
            return Fetched(wanted.etag, wanted.bytes, "-", "folder", wanted.path)
        tried = set()
        for line, file in known.get((wanted.etag, wanted.bytes), []):
            inode = file.stat().st_ino
            if inode not in tried and file_is(file, wanted.etag, line.check):
                self._place(file, wanted)
                return line._replace(path=wanted.path)
            tried.add(inode)
        return None

    def _place(self, file: Path, wanted: Object) -> None:
        """Gives a file its place in the complete set."""
        target = self._ready / wanted.path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, target)

    def _fetch_all(
        self, pool: concurrent.futures.ThreadPoolExecutor, missing: List[int]
    ) -> Dict[int, Fetched]:
        """Fetches the objects with these places in the list."""
        if not missing:
            return {}
        size = sum(self._wanted[index].bytes for index in missing)
        free = free_bytes(self._store)
        if size >= free:
            raise HostError(
                f"the model {self._model} needs {megabytes(size)} more, and {megabytes(free)} are free in "
                f"{self._store}",
                room(self._directory, self._store),
            )
        progress(
            f"fetching {megabytes(size)} of the model {self._model} from {self._source} "
            f"({len(missing)} of {len(self._wanted)} objects)"
        )
        futures = {pool.submit(self._fetch_one, index): index for index in missing}
        pending = set(futures)
        while pending:
            done, pending = concurrent.futures.wait(
                pending, timeout=EVERY, return_when=concurrent.futures.FIRST_EXCEPTION
            )
            if any(each.exception() is not None for each in done):
                break
            if pending:
                here = sum(_size(folder) for folder in (self._arrived, self._parts))
                progress(f"fetching the model {self._model}: {megabytes(here)} are here")
        for future in pending:
            future.cancel()
        # What has begun is worth its end: the next run needs no second transfer.
        concurrent.futures.wait(futures)
        # One reason will do: the others are mostly the same.
        return {index: future.result() for future, index in futures.items() if not future.cancelled()}

    def _fetch_one(self, index: int) -> Fetched:
        wanted = self._wanted[index]
        line, part = self._fetch_object(wanted, self._parts / str(index))
        file = self._arrived / wanted.path
        with self._arriving, self._journal.open("a", encoding="utf-8") as journal:
            _clear_way(self._arrived, file)
            file.parent.mkdir(parents=True, exist_ok=True)
            part.replace(file)
            journal.write(str(line))
        self._place(file, wanted)
        return line

    def _fetch_object(self, wanted: Object, part: Path) -> Tuple[Fetched, Path]:
        """Makes a file of one object, checked."""
        key = f"{self._prefix}/{wanted.path}"
        name = f"s3://{self._bucket}/{key}"
        for attempt in (1, 2):
            version, encryption = self._transfer(wanted, key, part)
            check = self._check(wanted, key, encryption)
            if check == "sha256":
                check += ":" + _digest(part, hashlib.sha256())
            if part.stat().st_size == wanted.bytes and file_is(part, wanted.etag, check):
                _make_durable(part)
                return Fetched(wanted.etag, wanted.bytes, version, check, wanted.path), part
            part.unlink()
            progress(f"{name} has arrived corrupt (attempt {attempt})")
        raise HostError(
            f"{name} arrived corrupt: it does not match its ETag {wanted.etag}",
            "check the network and any proxy on the way, then deploy again",
        )

    def _transfer(self, wanted: Object, key: str, part: Path) -> Tuple[str, Optional[str]]:
        """Fetches an object's content; returns its version and how it is encrypted."""
        version = self._versions.get(wanted.etag, "-")
        which = ["--bucket", self._bucket, "--key", key, "--if-match", f'"{wanted.etag}"']
        query = ["--query", "[VersionId,ServerSideEncryption]", "--output", "json"]
        if wanted.bytes < LARGE_BYTES or version != "-":
            exact = [] if version == "-" else ["--version-id", version]
            words = ["s3api", "get-object", *which, "--checksum-mode", "ENABLED", *exact, *query, str(part)]
            answer = self._asked(key, words, part)
        else:
            head = ["s3api", "head-object", *which, *query]
            answer = self._asked(key, head)
            copying = [
                "s3",
                "cp",
                f"s3://{self._bucket}/{key}",
                str(part),
                "--no-progress",
                "--only-show-errors",
            ]
            self._asked(key, copying, part)
            # Between the two it may have been replaced.
            self._asked(key, head)
        found, encryption = json.loads(answer)
        # "null" is an object from before its bucket had versions.
        return ("-" if found in (None, "", "null") else found), encryption

    def _asked(self, key: str, words: Sequence[str], part: Optional[Path] = None) -> str:
        """What the AWS CLI answers. Of a transfer that fails nothing is left."""
        answer = self._aws(words)
        while not answer.ok and self._may_be_granted(_said(answer), key):
            answer = self._aws(words)
        if not answer.ok:
            if part is not None:
                part.unlink(missing_ok=True)
            message = _said(answer)
            if any(word in message for word in ABSENT):
                # An answer to HEAD has no body that says what is absent.
                head = self._aws(["s3api", "head-bucket", "--bucket", self._bucket])
                message = "NoSuchBucket" if "(404)" in head.err else message
            raise fault(self._directory, message, self._bucket, f"s3://{self._bucket}/{key}")
        return answer.out

    def _may_be_granted(self, message: str, key: str) -> bool:
        """Waits, and says whether what was denied is worth another try."""
        left = self._granted_by - time.monotonic()
        if left <= 0 or not any(word in message for word in DENIED):
            return False
        progress(
            f"S3 denies s3://{self._bucket}/{key}; trying for {int(left)} s more, in case the right to it is new"
        )
        time.sleep(min(GRANT_PAUSE, left))
        return True

    def _aws(self, words: Sequence[str]) -> Finished:
        return self._children.call(["aws", *words], environment=aws_environment())

    def _check(self, wanted: Object, key: str, encryption: Optional[str]) -> str:
        """
        How a copy of the object is compared with it. `sha256` where the ETag says nothing about the content: S3's own
        checks on the way must do.
        """
        found = re.fullmatch(r"[0-9a-f]{32}(?:-([0-9]+))?", wanted.etag)
        if encryption not in (None, "AES256") or found is None:
            return "sha256"
        if found.group(1) is None:
            return "md5"
        words = ["s3api", "head-object", "--bucket", self._bucket, "--key", key, "--part-number", "1"]
        first = self._aws([*words, "--query", "ContentLength", "--output", "text"]).out.strip()
        # Parts of different sizes are legal, and rare.
        if first.isdigit() and int(first) > 0 and -(-wanted.bytes // int(first)) == int(found.group(1)):
            return f"parts:{first}"
        return "sha256"


def _location(source: str) -> Tuple[str, str]:
    found = re.fullmatch(r"s3://([^/]+)/(.+)", source)
    if found is None:
        raise HostError(f"'{source}' is not an S3 location", "use s3://bucket/prefix")
    return found.group(1), found.group(2)


def _checked(described: Mapping[str, Any]) -> Object:
    """An object as it was described, if its path stays in the model's folder."""
    path, etag, size = (described.get(key) for key in ("path", "etag", "bytes"))
    if not (
        isinstance(path, str)
        and path != ""
        and isinstance(etag, str)
        and ETAG.fullmatch(etag)
        and isinstance(size, int)
        and size >= 0
    ):
        raise HostError(f"{json.dumps(described)} does not describe an object", "use {path, etag, bytes}")
    if any(step in ("", ".", "..") for step in path.rstrip("/").split("/")) or path.endswith("//"):
        raise HostError(f"'{path}' leads out of the model", "rename the object")
    if any(len(os.fsencode(step)) > LONGEST_NAME for step in path.split("/")):
        raise HostError(f"a name in '{path}' is longer than {LONGEST_NAME} bytes", "rename the object")
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise HostError(f"the key {json.dumps(path)} cannot be the path of a file", "rename the object")
    return Object(path, etag, size)


def _said(finished: Finished) -> str:
    """What a program has printed, in one line."""
    return " ".join(f"{finished.err} {finished.out}".split())


def _md5(data: bytes = b"") -> "hashlib._Hash":
    """S3's ETags are MD5. It secures nothing here, which hosts in FIPS mode want to be told."""
    try:
        return hashlib.md5(data, usedforsecurity=False)  # type: ignore[call-arg]
    except TypeError:
        # Python 3.8.
        return hashlib.md5(data)


def _digest(file: Path, digest: "hashlib._Hash") -> str:
    with file.open("rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _make_durable(file: Path) -> None:
    """The set's name, once given, promises that every file is whole, whenever the machine stops."""
    file.chmod(0o644)
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _size(folder: Path) -> int:
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            # It may just have moved.
            with contextlib.suppress(FileNotFoundError):
                total += (Path(above) / name).stat().st_size
    return total


def _clear_way(folder: Path, file: Path) -> None:
    """Removes what an earlier state of the model has left where a file or a folder above it goes."""
    for above in [*file.relative_to(folder).parents][-2::-1]:
        if (folder / above).is_file():
            (folder / above).unlink()
    if file.is_dir():
        shutil.rmtree(file)
