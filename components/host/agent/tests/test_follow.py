"""What keeps a scheduler at what a file says. Its scheduler is a stand-in; test/engine/fleet.test.ts has a real one."""

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Dict, List, Optional

import pytest
from agent import follow
from agent.errors import HostError
from agent.follow import Follower, read_server, serve_counters
from agent.programs import Finished


class Scheduler:
    """As xsched-ctl shows one: values of each model's queues, and of models that have none yet."""

    def __init__(self) -> None:
        self.queues: Dict[str, Dict[str, int]] = {}
        self.without: Dict[str, Dict[str, int]] = {}
        self.calls: List[List[str]] = []
        self.down = False
        self.room = 90

    def __call__(self, words: List[str]) -> Finished:
        self.calls.append(words)
        if self.down:
            return Finished(3, "", "xsched-ctl: found no process")
        if words == ["stats", "--json"]:
            rows = [
                {"name": f"{name}/{name}_0", **values, "floor_percent": values["floor"]}
                for name, values in self.queues.items()
            ]
            return Finished(0, json.dumps({"queues": rows}), "")
        what, model, value = words
        found = self.queues.get(model) or self.without.get(model)
        if found is None:
            return Finished(1, "", f'xsched-ctl: there is no queue "{model}"')
        others = sum(each["floor"] for name, each in self.queues.items() if name != model)
        if what == "floor" and others + int(value) > self.room:
            return Finished(1, "", "xsched-ctl: there is no room for the floor")
        found[what] = int(value)
        return Finished(0, "1 queue changed\n", "")

    @property
    def changes(self) -> List[str]:
        return [" ".join(words) for words in self.calls if words[0] != "stats"]


class Pod:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "models.json"
        self.scheduler = Scheduler()
        self.server: Optional[follow.Server] = ((1, 1), "127.0.0.1:8000")
        self.ready = True
        self.said: List[str] = []
        self.follower = Follower(
            self.file,
            control=self.scheduler,
            server=lambda: self.server,
            ready=lambda _: self.ready,
            say=self.said.append,
        )

    def serve(self, name: str, priority: int, floor: int = 0, weight: int = 0) -> None:
        self.scheduler.queues[name] = {"priority": priority, "floor": floor, "weight": weight}

    def write(self, **models: "tuple[int, int, int]") -> None:
        keys = ("priority", "floor", "weight")
        entries = [{"name": name, **dict(zip(keys, values))} for name, values in models.items()]
        self.file.write_text(json.dumps({"models": entries}))

    def look(self, monkeypatch: pytest.MonkeyPatch, *, late: bool = False) -> List[str]:
        """What the scheduler was told in a look: a second after the last one, or late."""
        self.scheduler.calls.clear()
        monkeypatch.setattr(follow, "LONGEST", -1 if late else 1e9)
        self.follower.look()
        return self.scheduler.changes


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    pod = Pod(tmp_path)
    pod.serve("chat", 200)
    pod.serve("nightly", -100)
    pod.write(chat=(200, 0, 0), nightly=(-100, 0, 0))
    return pod


def test_tells_what_changes_in_the_file_and_then_nothing(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.look(monkeypatch)
    pod.write(chat=(200, 0, 0), nightly=(7, 10, 3))
    assert sorted(pod.look(monkeypatch)) == ["floor nightly 10", "priority nightly 7", "weight nightly 3"]
    assert pod.scheduler.queues["nightly"] == {"priority": 7, "floor": 10, "weight": 3}
    assert pod.said[-1] == "nightly has priority 7, floor 10 %, weight 3"
    assert pod.look(monkeypatch) == []
    assert pod.scheduler.calls == []


def test_puts_back_what_somebody_else_has_told_the_scheduler(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod.look(monkeypatch)
    pod.scheduler.queues["chat"]["priority"] = -255
    assert pod.look(monkeypatch) == []
    assert pod.look(monkeypatch, late=True) == ["priority chat 200"]


def test_tells_of_a_model_that_has_no_queue_yet(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    del pod.scheduler.queues["nightly"]
    pod.scheduler.without["nightly"] = {"priority": -100, "floor": 0, "weight": 0}
    pod.look(monkeypatch)
    pod.write(chat=(200, 0, 0), nightly=(5, 0, 0))
    pod.look(monkeypatch)
    assert pod.scheduler.without["nightly"]["priority"] == 5


def test_tells_a_server_that_starts_again_once_its_models_are_loaded(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod.look(monkeypatch)
    pod.server, pod.ready = ((1, 2), "127.0.0.1:8000"), False
    pod.serve("chat", 3)
    assert pod.look(monkeypatch) == []
    pod.ready = True
    assert "priority chat 200" in pod.look(monkeypatch)
    assert pod.scheduler.queues["chat"]["priority"] == 200


def test_makes_room_for_a_floor_before_it_is_asked_for(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.scheduler.room = 50
    pod.write(chat=(200, 50, 0), nightly=(-100, 0, 0))
    pod.look(monkeypatch)
    pod.write(chat=(200, 10, 0), nightly=(-100, 40, 0))
    pod.look(monkeypatch)
    assert [each["floor"] for each in pod.scheduler.queues.values()] == [10, 40]
    assert not any("error" in line for line in pod.said)


def test_says_once_what_the_scheduler_does_not_take_and_tries_again(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod.write(chat=(200, 0, 0), nightly=(-100, 0, 0), other=(1, 0, 0))
    pod.look(monkeypatch)
    said = (
        "error: the scheduler does not take the priority of the model other: "
        'xsched-ctl: there is no queue "other"; trying again'
    )
    assert pod.said[-1] == said
    # Not each second.
    pod.look(monkeypatch)
    assert pod.scheduler.calls == []
    pod.look(monkeypatch, late=True)
    assert pod.said.count(said) == 1
    pod.serve("other", 9)
    pod.look(monkeypatch, late=True)
    assert pod.scheduler.queues["other"]["priority"] == 1
    assert pod.said[-1] == "other has priority 1, floor 0 %, weight 0"


def test_says_once_that_the_scheduler_does_not_answer(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.scheduler.down = True
    pod.look(monkeypatch)
    pod.look(monkeypatch)
    assert pod.said == ["error: the scheduler does not answer: xsched-ctl: found no process"]
    # Not each second.
    assert pod.scheduler.calls == []
    pod.scheduler.down = False
    assert "priority chat 200" in pod.look(monkeypatch, late=True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"models": [{"name": "chat", "priority": 1, "floor": 0}]}', "KeyError: 'weight'"),
        (
            '{"models": [{"name": "chat", "priority": "high", "floor": 0, "weight": 0}]}',
            '"high" is not a whole number',
        ),
    ],
)
def test_keeps_what_it_has_if_the_file_is_wrong(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    pod.look(monkeypatch)
    pod.file.write_text(text)
    assert pod.look(monkeypatch, late=True) == []
    assert fault in pod.said[-1]
    assert pod.said[-1].endswith("the models keep what they have")
    pod.scheduler.queues["chat"]["priority"] = 1
    assert pod.look(monkeypatch, late=True) == ["priority chat 200"]


def test_knows_a_server_by_what_the_entrypoint_writes_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XSCHED_TRITON_STATE", str(tmp_path))
    assert read_server() is None
    for start, (host, address) in enumerate((("127.0.0.1", "127.0.0.1:8000"), ("::1", "[::1]:8000"))):
        written = tmp_path / f"server.{start}"
        written.write_text(f"17\n{host}\n8000\nON\n-\n")
        written.rename(tmp_path / "server")
        server = read_server()
        assert server is not None
        assert server[1] == address
    (tmp_path / "server").write_text("17\n")
    assert read_server() is None


def test_serves_what_the_schedulers_of_processes_that_run_count(tmp_path: Path) -> None:
    head = "# TYPE xsched_queue_launches_total counter\n"
    for pid in (7, 8, 9):
        line = f'xsched_queue_launches_total{{pid="{pid}",name="chat/chat_0"}} {pid}\n'
        (tmp_path / f"metrics-{pid}").write_text(head + line)
    (tmp_path / "metrics-9.9.tmp").write_text("half of it")
    os.utime(tmp_path / "metrics-8", (0, time.time() - 2 * follow.STALE))
    with serve_counters(str(tmp_path / "metrics-%p"), "127.0.0.1:0") as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        server.shutdown()
    assert text.splitlines() == [
        head.strip(),
        'xsched_queue_launches_total{pid="7",name="chat/chat_0"} 7',
        'xsched_queue_launches_total{pid="9",name="chat/chat_0"} 9',
    ]


def test_serves_nothing_before_there_is_a_scheduler(tmp_path: Path) -> None:
    assert follow.counted(str(tmp_path / "none" / "metrics-%p")) == ""


@pytest.mark.parametrize("address", ["9464", ":9464", "127.0.0.1:", "127.0.0.1:65536"])
def test_an_address_has_a_host_and_a_port(address: str) -> None:
    with pytest.raises(HostError, match=f"'{address}' is not an address"):
        serve_counters("", address)
