"""A stand-in for tritonserver: its HTTP and gRPC APIs, its log, and models that behave as they are told.

It runs as a program of its own; `stand_in_host.py` puts it where the agent starts it. A model does what
`1/behaviour.json` in its folder says:

    {"refuse": REASON}             Triton says no to the load, and why
    {"poll": REASON}               the configuration is none: the reason is in the log only
    {"text_format": REASON}        as above, found by the parser of protocol buffers
    {"hold": FILE}                 the load ends as soon as there is this file
    {"unpack": PLACE}              the load is refused while this folder is there
    {"stub": true}                 the load waits in a process of its own, for ever
    {"lost": true}                 the load waits for ever for a process of its own, which has ended with status 3
    {"ends_at_load": TIMES}        the server ends as it loads the model, so often
    {"ends_after_load": TIMES}     the server ends a moment after it has loaded the model, so often
    {"ends_at_inference": TIMES}   the server ends as it answers a request, so often
    {"needs": {MODEL: TENSOR}}     an ensemble of these models, which must be ready and have this tensor
    {"tensor": NAME}               the name of the model's input

and the server what the words after `--stand-in=` say:

    dead         `/v2/health/live` answers 400
    mute         connections are taken and never answered
    stubborn     does not end on SIGTERM
    poisoned     no model loads
    flood        writes 200 MB into its log each second
    refused      prints its usage and ends
"""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote, unquote

from agent.triton.hpack import Decoder, encode_literal

OPTIONS = {}
LOCK = threading.RLock()
MODELS = {}
FAILED = {}
LOADING = set()


def log(text):
    sys.stderr.write(time.strftime("E%m%d %H:%M:%S.000000 1 stand_in.cc:1] ") + text + "\n")
    sys.stderr.flush()


class RefusedError(Exception):
    pass


class Model:
    """What is loaded."""

    def __init__(self, name, override):
        folder = repository() / name
        self.name = name
        self.requests = 0
        self.when = newest(folder)
        with contextlib.suppress(OSError):
            self.config = (folder / "config.pbtxt").read_text("utf-8")
        if not hasattr(self, "config"):
            raise RefusedError(f"failed to load '{name}', failed to poll from model repository")
        found = re.findall(r'key: "(xsched_\w+)" value: \{ string_value: "(-?\d+)"', self.config)
        self.json = {
            "name": name,
            "parameters": {key: {"string_value": value} for key, value in found},
        }
        if "decoupled: true" in self.config:
            self.json["model_transaction_policy"] = {"decoupled": True}
        if "sequence_batching" in self.config:
            self.json["sequence_batching"] = {}
        if override:
            self.json = dict(json.loads(override), name=name)
        self.behaviour = {}
        with contextlib.suppress(OSError):
            self.behaviour = json.loads((folder / "1/behaviour.json").read_text("utf-8"))
        if "needs" in self.behaviour:
            self.json["platform"] = "ensemble"
            self.json["ensemble_scheduling"] = {
                "step": [{"model_name": step} for step in self.behaviour["needs"]]
            }
        self.tensor = self.behaviour.get("tensor", "INPUT")


def repository():
    return Path(OPTIONS["model-repository"])


def newest(folder):
    """The time of what has changed last in a model's folder."""
    return max((path.stat().st_mtime_ns for path in folder.glob("**/*") if path.is_file()), default=0)


def count_down(model, name):
    """Whether a model does what it may do only so often. What it has done is noted beside the repository."""
    file = repository().parent / f".{model.name}-{name}"
    done = file.stat().st_size if file.exists() else 0
    if done >= model.behaviour.get(name, 0):
        return False
    file.write_bytes(b"." * (done + 1))
    return True


def load(name, override):
    current = MODELS.get(name)
    # As Triton does: of the steps of an ensemble, those that are newer than what it has loaded are loaded with it.
    with contextlib.suppress(OSError):
        needs = json.loads((repository() / name / "1/behaviour.json").read_text("utf-8")).get("needs", {})
        for step in needs:
            if step in MODELS and newest(repository() / step) > MODELS[step].when:
                load(step, None)
    if current and not override and current.when == newest(repository() / name):
        return
    LOADING.add(name)
    try:
        model = make(name, override)
    except RefusedError as error:
        FAILED[name] = str(error)
        raise
    finally:
        LOADING.discard(name)
    with LOCK:
        FAILED.pop(name, None)
        MODELS[name] = model
    if count_down(model, "ends_after_load"):
        threading.Timer(0.3, os._exit, [11]).start()
    with LOCK:
        # As Triton does: what depends on a model that was loaded is checked again.
        for other in list(MODELS.values()):
            if name in other.behaviour.get("needs", {}):
                try:
                    check_steps(other)
                except RefusedError:
                    # Why is in its log only.
                    FAILED[other.name] = "unloaded"


def make(name, override):
    model = Model(name, override)
    behaviour = model.behaviour
    if "poisoned" in OPTIONS["stand-in"]:
        raise RefusedError(f"failed to load '{name}', no version is available")
    if "poll" in behaviour:
        log(f"\"Poll failed for model directory '{name}': {behaviour['poll']}\"")
        raise RefusedError(f"failed to load '{name}', failed to poll from model repository")
    if "text_format" in behaviour:
        sys.stderr.write(
            "[libprotobuf ERROR google/protobuf/text_format.cc:337] Error parsing text-format "
            f"inference.ModelConfig: {behaviour['text_format']}\n"
        )
        log(
            f"\"Poll failed for model directory '{name}': failed to read text proto from {model.name}/config.pbtxt\""
        )
        raise RefusedError(f"failed to load '{name}', failed to poll from model repository")
    if "refuse" in behaviour:
        raise RefusedError(
            f"load failed for model '{name}': version 1 is at UNAVAILABLE state: {behaviour['refuse']};"
        )
    if count_down(model, "ends_at_load"):
        log(f"segmentation fault while {name} is loaded")
        os._exit(7)
    while "hold" in behaviour and not Path(behaviour["hold"]).exists():
        time.sleep(0.01)
    if "unpack" in behaviour and Path(behaviour["unpack"]).exists():
        raise RefusedError(
            f"load failed for model '{name}': version 1 is at UNAVAILABLE state: "
            f"Internal: Failed to create environment directory for '{behaviour['unpack']}'.;"
        )
    if "lost" in behaviour:
        stub = str(Path(sys.executable).with_name("triton_python_backend_stub"))
        code = "import os; os._exit(3)"
        lost = subprocess.Popen([stub, "-ISBc", code, f"{repository()}/{name}/1/model.py"])
        threading.Event().wait()
        lost.wait()
    if "stub" in behaviour:
        stub = str(Path(sys.executable).with_name("triton_python_backend_stub"))
        code = "import time; time.sleep(3600)"
        subprocess.call([stub, "-ISBc", code, f"{repository()}/{name}/1/model.py"])
        raise RefusedError(f"load failed for model '{name}': Stub process '{name}_0' is not healthy.")
    check_steps(model)
    return model


def check_steps(model):
    for step, tensor in model.behaviour.get("needs", {}).items():
        with LOCK:
            if step not in MODELS:
                MODELS.pop(model.name, None)
                raise RefusedError(f"ensemble '{model.name}' depends on '{step}' which has no loaded version")
            if MODELS[step].tensor != tensor:
                MODELS.pop(model.name, None)
                FAILED[model.name] = f"in ensemble '{model.name}', step '{step}' has no input '{tensor}'"
                raise RefusedError(FAILED[model.name])


def unload(name):
    with LOCK:
        MODELS.pop(name, None)
        FAILED[name] = "unloaded"


def respond(method, path):
    """Status and body."""
    words = [unquote(word) for word in path.partition("?")[0].strip("/").split("/")]
    if "/".join(words) in PLAIN:
        return PLAIN["/".join(words)]()
    if words[:2] == ["v2", "models"] and len(words) > 2:
        model = MODELS.get(words[2])
        if model is None:
            return 400, {"error": f"Request for unknown model: '{words[2]}' is not found"}
        return about(method, model, words[3:])
    return 404, {"error": "no such request"}


def statistics():
    with LOCK:
        return [
            {"name": model.name, "version": "1", "inference_stats": {"success": {"count": model.requests}}}
            for model in MODELS.values()
        ]


PLAIN = {
    "v2": lambda: (200, {"name": "triton", "version": "2.51.0"}),
    "v2/health/live": lambda: (400 if "dead" in OPTIONS["stand-in"] else 200, ""),
    "v2/health/ready": lambda: (200, ""),
    "v2/repository/index": lambda: (200, index()),
    "v2/models/stats": lambda: (200, {"model_stats": statistics()}),
    "metrics": lambda: (200, "nv_inference_count 1\n"),
}


def about(method, model, words):
    if words == ["ready"]:
        return 200, ""
    if words == ["config"]:
        return 200, model.json
    if words == ["infer"] and method == "POST":
        if count_down(model, "ends_at_inference"):
            os._exit(9)
        model.requests += 1
        return 200, {"model_name": model.name, "outputs": []}
    inputs = [{"name": model.tensor, "datatype": "FP32", "shape": [1]}]
    return 200, {"name": model.name, "versions": ["1"], "inputs": inputs}


def index():
    entries = []
    for name in sorted(path.name for path in repository().iterdir()):
        with LOCK:
            if name in MODELS:
                entries.append({"name": name, "version": "1", "state": "READY"})
            elif name in LOADING:
                entries.append({"name": name, "version": "1", "state": "LOADING"})
            elif name in FAILED:
                entries.append({"name": name, "version": "1", "state": "UNAVAILABLE", "reason": FAILED[name]})
            else:
                entries.append({"name": name})
    return entries


def serve_http(connection):
    """Requests of one connection, as long as its client keeps it."""
    with contextlib.closing(connection), contextlib.suppress(OSError, ValueError):
        buffer = connection.makefile("rb")
        while True:
            lines = []
            while not lines or lines[-1] != b"\r\n":
                lines.append(buffer.readline())
                if not lines[-1]:
                    return
            head = b"".join(lines)
            found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            if found:
                buffer.read(int(found.group(1)))
            if "mute" in OPTIONS["stand-in"]:
                threading.Event().wait()
            status, answer = answer_http(head)
            text = answer if isinstance(answer, str) else json.dumps(answer)
            connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
            if re.search(rb"connection: *close", head, re.IGNORECASE):
                return


def answer_http(head):
    """Status and body."""
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    found = re.search(rb"xsched-triton-control: *(\S+)", head, re.IGNORECASE)
    if is_locked(path) and (found is None or found.group(1).decode() != key("http-restricted-api")):
        return 403, {"error": "This API is restricted"}
    return respond(method, path)


def key(option):
    """The key to what is locked; empty without a lock."""
    return OPTIONS.get(option, "").rpartition("=")[2]


def is_locked(path):
    locked = OPTIONS.get("http-restricted-api", "").partition(":")[0].split(",")
    return any(path.startswith(start) and name in locked for start, name in LOCKABLE.items())


#: So that an answer is one frame.
LARGEST_ANSWER = 16000
LOCKABLE = {"/v2/repository": "model-repository", "/v2/logging": "logging"}


def frame(kind, flags, stream, payload):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def fields(data):
    """The fields of a protocol buffer that are strings or messages: number and content."""
    found, position = [], 0

    def number():
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(data):
        key = number()
        length = number()
        found.append((key >> 3, data[position : position + length]))
        position += length
    return found


class GrpcConnection:
    """Calls of one client, which may be under way at the same time."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = connection.makefile("rb")
        self.lock = threading.Lock()
        self.decoder = Decoder()
        self.headers = {}
        self.bodies = {}

    def send(self, data):
        with self.lock:
            self.connection.sendall(data)

    def serve(self):
        assert self.buffer.read(24).startswith(b"PRI * HTTP/2.0")
        self.send(frame(4, 0, 0, struct.pack("!HI", 4, 2**31 - 1)) + frame(8, 0, 0, struct.pack("!I", 2**30)))
        while True:
            head = self.buffer.read(9)
            if len(head) < 9:
                return
            payload = self.buffer.read(int.from_bytes(head[:3], "big"))
            self.take(head[3], head[4], int.from_bytes(head[5:9], "big"), payload)

    def take(self, kind, flags, stream, payload):
        if kind == 4 and not flags & 1:
            self.send(frame(4, 1, 0, b""))
        elif kind == 6 and not flags & 1:
            self.send(frame(6, 1, 0, payload))
        elif kind == 1:
            self.headers[stream] = dict(self.decoder.decode(payload[5:] if flags & 0x20 else payload))
            self.bodies[stream] = bytearray()
        elif kind == 0:
            self.bodies[stream] += payload
            if payload:
                self.send(frame(8, 0, 0, struct.pack("!I", len(payload))))
            if self.method(stream) == "ModelStreamInfer":
                self.answer_parts(stream)
        if kind in (0, 1) and flags & 1:
            threading.Thread(target=self.finish, args=(stream,), daemon=True).start()

    def method(self, stream):
        return self.headers[stream][":path"].rpartition("/")[2]

    def answer_parts(self, stream):
        """Each message of a stream is answered with itself as soon as it is there, a large one with its beginning."""
        body = self.bodies[stream]
        while len(body) >= 5 and len(body) >= 5 + int.from_bytes(body[1:5], "big"):
            length = 5 + int.from_bytes(body[1:5], "big")
            self.open(stream)
            answer = bytes(body[5 : min(length, LARGEST_ANSWER)])
            self.send(frame(0, 0, stream, b"\0" + struct.pack("!I", len(answer)) + answer))
            del body[:length]

    def open(self, stream):
        if self.headers[stream].get("unanswered", True):
            self.headers[stream]["unanswered"] = False
            opening = encode_literal(":status", "200") + encode_literal("content-type", "application/grpc")
            self.send(frame(1, 4, stream, opening))

    def finish(self, stream):
        with contextlib.suppress(OSError):
            method = self.method(stream)
            status, message, body = answer_grpc(method, self.headers[stream], bytes(self.bodies[stream][5:]))
            self.open(stream)
            if status == 0 and method != "ModelStreamInfer":
                self.send(frame(0, 0, stream, b"\0" + struct.pack("!I", len(body)) + body))
            closing = encode_literal("grpc-status", str(status)) + encode_literal(
                "grpc-message", quote(message)
            )
            self.send(frame(1, 5, stream, closing))


def serve_grpc(connection):
    with contextlib.closing(connection), contextlib.suppress(OSError, KeyError):
        GrpcConnection(connection).serve()


def answer_grpc(method, headers, message):
    """gRPC's status and message, and what is answered."""
    if method in ("ServerLive", "ServerReady"):
        return 0, "", b"\x08\x01"
    if method in ("ModelInfer", "ModelStreamInfer"):
        return 0, "", b""
    if headers.get("triton-grpc-protocol-xsched-triton-control", "") != key("grpc-restricted-protocol"):
        return 14, "This protocol is restricted", b""
    return (*control(method, message), b"")


def control(method, message):
    """gRPC's status and message."""
    name, override = "", None
    for number, content in fields(message):
        if number == 2:
            name = content.decode()
        if number == 3:
            override = dict(fields(dict(fields(content))[2]))[3].decode()
    try:
        if method == "RepositoryModelLoad":
            load(name, override)
        else:
            unload(name)
    except RefusedError as error:
        return 13, str(error)
    return 0, ""


def listen(address, port, serve):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((address.strip("[]"), port))
    except OSError as error:
        log(f"failed to start: Socket '{address}:{port}' already in use ({error.strerror})")
        os._exit(1)
    server.listen(1024)

    def accept():
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def main():
    OPTIONS.update(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--") and "=" in word)
    OPTIONS.setdefault("stand-in", "")
    if "refused" in OPTIONS["stand-in"]:
        sys.stderr.write("tritonserver: unrecognized option\nUsage: tritonserver [options]\n  --help\n")
        sys.exit(1)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: "stubborn" in OPTIONS["stand-in"] or ended.set())
    # Triton begins with gRPC, too: whoever is answered over HTTP is answered at both ports.
    listen(OPTIONS["grpc-address"], int(OPTIONS["grpc-port"]), serve_grpc)
    listen(OPTIONS["http-address"], int(OPTIONS["http-port"]), serve_http)
    listen(OPTIONS["metrics-address"], int(OPTIONS["metrics-port"]), serve_http)
    log("Started the stand-in")
    while "flood" in OPTIONS["stand-in"] and not ended.is_set():
        os.write(2, b"a line of a log that is flooded\n" * 8192)
        time.sleep(0.00125)
    ended.wait()
    os._exit(0)
