"""Attacks a real Triton through a gateway, while clients go on:

    python3 attack_triton.py RUNTIME [REQUESTS]

RUNTIME is the folder of a Triton that the agent has installed, such as `.local/hosts/local/runtime/triton-…` after
`npm run up`. Ends with status 1 if anything came through or anybody else noticed.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, List

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from agent.server.process import runtime_processes  # noqa: E402
from agent.triton.grpc import bytes_field, string_field  # noqa: E402
from crash_requests import crash_messages, crash_requests  # noqa: E402
from gateway_host import GatewayHost, Load  # noqa: E402
from grpc_channel import SERVICE  # noqa: E402
from malformed import ATTACKS, attack  # noqa: E402
from stand_in_host import Host, build_agent  # noqa: E402

RATE = 200
MODEL = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        def answer(request):
            values = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()
            return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", values)])

        return [answer(request) for request in requests]
"""
CONFIG = """name: "{name}"
backend: "python"
max_batch_size: {batch}
input [ {{ name: "INPUT", data_type: TYPE_{kind}, dims: [ {dims} ] }} ]
output [ {{ name: "OUTPUT", data_type: TYPE_{kind}, dims: [ {dims} ] }} ]
instance_group [ {{ kind: KIND_CPU, count: 1 }} ]
"""
#: What `malformed_inferences` asks for.
CONFIGS = {
    "scale": CONFIG.format(name="scale", batch=0, kind="UINT8", dims=-1),
    "words": CONFIG.format(name="words", batch=0, kind="STRING", dims=-1),
    "batched": CONFIG.format(name="batched", batch=8, kind="FP32", dims=16) + "dynamic_batching { }\n",
}
#: What a client would make the server run.
EVIL = {
    "parameters": {
        "config": json.dumps({"name": "evil", "backend": "python"}),
        "file:1/model.py": "aW1wb3J0IG9z",
    }
}


class TritonHost(Host):
    """A host with a real Triton."""

    runtime: Path

    def install(self, runtime: str) -> None:
        folder = self.directory.path / "runtime"
        shutil.copytree(self.runtime, folder / self.runtime.name, symlinks=True, copy_function=os.link)
        (folder / "current").symlink_to(self.runtime.name)


class Requests(Load):
    """Inferences that a real Triton answers."""

    body = json.dumps(
        {"inputs": [{"name": "INPUT", "shape": [4], "datatype": "UINT8", "data": [1, 2, 3, 4]}]}
    ).encode()
    message = (
        string_field(1, "scale")
        + bytes_field(5, string_field(1, "INPUT") + string_field(2, "UINT8") + bytes_field(3, b"\x04"))
        + bytes_field(7, b"\x01\x02\x03\x04")
    )


def load_a_model(gateway: GatewayHost) -> List[str]:
    """The ways to run code through the API that loads models."""
    came = []
    body = json.dumps(EVIL).encode()
    for path in (
        "/v2/repository/models/evil/load",
        "//v2/repository/models/evil/load",
        "/v2/repository/index",
    ):
        for kind in ("application/json", "text/plain"):
            answer = gateway.ask("POST", path, body, {"Content-Type": kind})
            if answer.status != 404:
                came.append(f"{path}: {answer.status}")
    channel = gateway.channel()
    for method in ("RepositoryModelLoad", "RepositoryModelUnload", "RepositoryIndex"):
        called = channel.call(f"{SERVICE}/{method}", string_field(2, "evil"))
        if called.status != 12:
            came.append(f"{method}: {called.status}")
    return came


def crash(gateway: GatewayHost) -> List[str]:
    answers = {name: gateway.raw(data)[9:12] for name, data in crash_requests("scale").items()}
    print("  " + ", ".join(f"{name}: {status.decode() or 'closed'}" for name, status in answers.items()))
    return [
        f"{name}: {status!r}" for name, status in answers.items() if status not in (b"400", b"411", b"413")
    ]


def crash_by_grpc(gateway: GatewayHost) -> List[str]:
    came = []
    for name, message in crash_messages("scale").items():
        called = gateway.channel().call(f"{SERVICE}/ModelInfer", message)
        if called.status != 3:
            came.append(f"{name}: {called}")
        channel = gateway.channel()
        channel.open(f"{SERVICE}/ModelStreamInfer")
        channel.send(Requests.message)
        channel.receive()
        channel.send(message)
        with contextlib.suppress(ConnectionError, AssertionError):
            came.append(f"{name}, in a stream: {channel.receive()!r}")
    return came


def large_tensor(gateway: GatewayHost) -> List[str]:
    """16 MB there and back, in binary."""
    size = 16 << 20
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "INPUT",
                    "shape": [size],
                    "datatype": "UINT8",
                    "parameters": {"binary_data_size": size},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    tensor = os.urandom(size)
    answer = gateway.infer(head + tensor, {"Inference-Header-Content-Length": str(len(head))})
    return (
        [] if answer.body.endswith(tensor) else [f"a tensor of 16 MB: {answer.status} {answer.body[:200]!r}"]
    )


def stream(gateway: GatewayHost) -> List[str]:
    channel = gateway.channel()
    channel.open(f"{SERVICE}/ModelStreamInfer")
    for _ in range(20):
        channel.send(Requests.message)
        if b"scale" not in channel.receive():
            return ["a stream has another answer"]
    channel.end()
    return [] if channel.finish().status == 0 else ["a stream does not end well"]


def main(words: List[str]) -> int:
    runtime, count = Path(words[0]).resolve(), int(words[1]) if len(words) > 1 else 10_000
    os.environ["XSCHED_TRITON_SYSTEMD"] = "/nonexistent"
    failed = False
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        TritonHost.runtime = runtime
        host = TritonHost(Path(folder) / "host", build_agent(Path(folder) / "built"))
        sys.argv[0] = str(host.directory.agent)
        stack.callback(host.clean)
        gateway = GatewayHost(host)
        stack.callback(host.run, "stop")
        stack.callback(host.run, "remove-gateway")
        host.start(gateway=True)
        source = Path(folder) / "model/1"
        source.mkdir(parents=True)
        (source / "model.py").write_text(MODEL)
        for name, config in CONFIGS.items():
            body = {"model": name, "digest": "d", "filesDigest": "f"}
            host.run("store", body={**body, "source": str(source.parent), "config": config})
        host.serve(*({"name": name, "digest": "d"} for name in CONFIGS))
        gateway.deploy()
        print(f"Triton {host.run('status')['version']}")

        def malformed(kind: str) -> Callable[[], List[str]]:
            return lambda: attack(gateway, kind, count)

        rows = {
            "loads of models": lambda: load_a_model(gateway),
            "requests that crash": lambda: [fault for _ in range(5) for fault in crash(gateway)],
            "messages that crash": lambda: [fault for _ in range(5) for fault in crash_by_grpc(gateway)],
            **{f"{count} malformed {kind}": malformed(kind) for kind in ATTACKS},
            "a tensor of 16 MB": lambda: large_tensor(gateway),
            "a stream": lambda: stream(gateway),
        }
        for name, run in rows.items():
            before = runtime_processes(host.directory), gateway.proxy.processes()
            with Requests(gateway, RATE, lambda: None, "") as load:
                time.sleep(1)
                faults = run()
                time.sleep(1)
            if (runtime_processes(host.directory), gateway.proxy.processes()) != before:
                faults.append("a process is another one")
            ready = sorted(entry["name"] for entry in host.triton.index() if entry.get("state") == "READY")
            if ready != sorted(CONFIGS):
                faults.append("the models are others")
            faults += load.failures
            failed = failed or bool(faults)
            rate = load.sent / load.seconds
            said = f"{len(faults)} faults: {faults[:5]}" if faults else "nothing came through, nobody noticed"
            print(
                f"{name}: {load.sent} other requests ({rate:.0f}/s), {len(load.failures)} failed; {said}",
                flush=True,
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
