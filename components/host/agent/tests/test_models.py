"""Models: stored, served, reloaded, removed, and what happens when one does harm."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional

import pytest
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.models.loader import Loader
from agent.models.store import restored_note
from agent.models.wanted import Wanted, linked, read_noted, read_wanted
from agent.server import status
from agent.server.load_watch import SHORT_PATIENCE, LoadWatch
from agent.server.record import ConductBook, mark_load, read_marks, write_mark
from agent.server.settings import require_settings
from agent.triton import Triton
from stand_in_host import Host, eventually, lose

PRIORITY = (
    'name: "{name}"\nparameters: {{ key: "xsched_priority" value: {{ string_value: "{priority}" }} }}\n'
)
WEIGHT = 'parameters: {{ key: "xsched_weight" value: {{ string_value: "{weight}" }} }}\n'
FLOOR = 'parameters: {{ key: "xsched_floor" value: {{ string_value: "{floor}" }} }}\n'


@pytest.fixture
def host(host: Host) -> Host:
    """A server without models."""
    host.start()
    return host


def test_exactly_what_is_wanted_is_served(host: Host) -> None:
    one, two, three = (host.store(name) for name in ("one", "two", "three"))
    assert host.serve(one, two)["models"] == [
        {"name": "one", "version": "1"},
        {"name": "two", "version": "1"},
    ]
    host.serve(two, three)
    assert host.ready("two", "three")
    assert not host.ready("one")
    assert linked(host.directory) == {"two": two["digest"], "three": three["digest"]}
    with pytest.raises(HostError, match="the model two is still active"):
        host.run("remove-model", "two")
    host.run("remove-model", "one")
    assert not (host.directory.store / "one").exists()
    host.run("unserve")
    assert not host.ready("two")
    assert linked(host.directory) == {}


def test_a_new_state_of_a_model_replaces_the_former(host: Host) -> None:
    host.serve(host.store("scale", {"tensor": "OLD"}))
    host.serve(host.store("scale", {"tensor": "NEW"}))
    facts = host.triton.facts("scale")
    assert facts is not None
    assert facts.inputs[0]["name"] == "NEW"


def test_an_unchanged_model_is_not_loaded_again(host: Host) -> None:
    model = host.store("scale")
    host.serve(model)
    host.infer("scale")
    host.serve(model)
    assert '"count": 1' in host.triton.request("GET", "/v2/models/stats").body


def test_a_priority_that_somebody_has_changed_is_put_back(host: Host) -> None:
    config = PRIORITY.format(name="scale", priority=5)
    model = {**host.store("scale", config=config), "priority": 5}
    host.serve(model)
    changed = {"parameters": {"xsched_priority": {"string_value": "-9"}}}
    host.run("reload", "scale", body=changed)
    assert host.triton.facts("scale").priority == -9
    assert "models" in host.run("inspect")["repairs"]
    host.serve(model)
    assert host.triton.facts("scale").priority == 5


def test_a_floor_that_somebody_has_changed_is_put_back(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PRIORITY.format(name="scale", priority=5) + FLOOR.format(floor=20)
    model = {**host.store("scale", config=config), "priority": 5, "floor": 20}
    host.serve(model)
    assert host.run("status")["models"][0]["floor"] == 20
    assert host.run("inspect") == {"repairs": {}}
    changed = {
        "parameters": {"xsched_priority": {"string_value": "5"}, "xsched_floor": {"string_value": "50"}}
    }
    host.run("reload", "scale", body=changed)
    capsys.readouterr()
    assert list(host.run("inspect")["repairs"]) == ["models"]
    assert capsys.readouterr().err == "the model scale has the floor 50 % instead of 20 %\n"
    host.serve(model)
    assert host.triton.facts("scale").floor == 20


def test_a_weight_that_somebody_has_changed_is_put_back(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PRIORITY.format(name="scale", priority=5) + WEIGHT.format(weight=3)
    model = {**host.store("scale", config=config), "priority": 5, "weight": 3}
    host.serve(model)
    assert host.run("status")["models"][0]["weight"] == 3
    assert host.run("inspect") == {"repairs": {}}
    changed = {"parameters": {"xsched_priority": {"string_value": "5"}}}
    host.run("reload", "scale", body=changed)
    capsys.readouterr()
    assert list(host.run("inspect")["repairs"]) == ["models"]
    assert capsys.readouterr().err == "the model scale has the weight 0 instead of 3\n"
    host.serve(model)
    assert host.triton.facts("scale").weight == 3


def test_a_model_that_was_changed_on_the_host_and_loaded_is_put_right(host: Host) -> None:
    model = host.store("scale", {"tensor": "OURS"})
    host.serve(model)
    file = host.directory.store / "scale" / model["digest"] / "1/behaviour.json"
    file.write_text('{"tensor": "THEIRS"}')
    assert host.triton.load("scale", 60).ok
    assert host.triton.facts("scale").inputs[0]["name"] == "THEIRS"
    assert set(host.run("inspect")["repairs"]) == {"model:scale", "models"}
    host.run("store", body=host.stored)
    host.serve(model)
    assert host.triton.facts("scale").inputs[0]["name"] == "OURS"
    host.infer("scale")
    host.serve(model)
    assert '"count": 1' in host.triton.request("GET", "/v2/models/stats").body


def test_reload_takes_only_what_is_deployed(host: Host) -> None:
    host.serve(host.store("scale"))
    host.run("reload", "scale")
    with pytest.raises(HostError, match="the model nope is not deployed"):
        host.run("reload", "nope")
    (host.directory.store / "scale" / linked(host.directory)["scale"] / "1/behaviour.json").write_text(
        '{"refuse": "no room"}'
    )
    with pytest.raises(HostError, match="no room"):
        host.run("reload", "scale")
    assert host.ready("scale")


def test_a_state_that_triton_refuses_leaves_the_former(host: Host) -> None:
    good = host.store("scale")
    host.serve(good)
    with pytest.raises(HostError, match=r"Triton cannot load the model scale: .*no such device") as raised:
        host.serve(host.store("scale", {"refuse": "no such device"}))
    assert "the version that served before still serves" in raised.value.fix
    assert host.ready("scale")
    assert linked(host.directory)["scale"] == good["digest"]


def test_each_model_that_triton_refuses_has_a_line_of_its_own(host: Host) -> None:
    """What Triton says of a version ends with a semicolon and may have several lines."""
    bad = host.store("bad", {"refuse": "Internal: ModuleNotFoundError: No module named 'torchh';\n"})
    worse = host.store("worse", {"refuse": "no such device;"})
    with pytest.raises(HostError) as raised:
        host.serve(bad, worse)
    # They are loaded side by side.
    lines = sorted(raised.value.what.splitlines())
    assert [line[: line.index(":")] for line in lines] == [
        "Triton cannot load the model bad",
        "Triton cannot load the model worse",
    ]
    assert lines[0].endswith("No module named 'torchh'")
    assert lines[1].endswith("no such device")


def test_a_model_that_becomes_ready_while_it_is_described(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two questions about it get different answers."""
    host.serve(host.store("scale"))
    asked: List[str] = []
    whole, is_ready = Triton.facts, Triton.ready

    def late(triton: Triton, model: str, question: Any) -> Any:
        asked.append(model)
        return question(triton, model) if len(asked) > 1 else None

    monkeypatch.setattr(Triton, "facts", lambda triton, model: late(triton, model, whole))
    monkeypatch.setattr(Triton, "ready", lambda triton, model: late(triton, model, is_ready) is True)
    for ready, inputs in ((False, []), (True, ["INPUT"])):
        (model,) = status.describe(host.directory)["models"]
        assert (model["ready"], [each["name"] for each in model["inputs"]]) == (ready, inputs)


def test_of_an_exception_only_the_frames_of_the_model_are_shown(host: Host) -> None:
    frames = "".join(
        f"  {frame}\n"
        for frame in (
            "<frozen importlib._bootstrap>(241): _call_with_frames_removed",
            "<frozen importlib._bootstrap_external>(940): exec_module",
            "/models/repository/scale/1/helper.py(3): <module>",
            "<frozen importlib._bootstrap>(1178): _find_and_load",
            "/models/repository/scale/1/model.py(1): <module>",
            "<frozen importlib._bootstrap>(1178): _find_and_load",
        )
    )
    refuse = f"Internal: ModuleNotFoundError: No module named 'torch'\n\nAt:\n{frames};"
    with pytest.raises(HostError) as raised:
        host.serve(host.store("scale", {"refuse": refuse}))
    assert raised.value.what.splitlines()[-3:] == [
        "At:",
        "  /models/repository/scale/1/helper.py(3): <module>",
        "  /models/repository/scale/1/model.py(1): <module>",
    ]


def test_a_first_state_that_triton_refuses_is_named(host: Host) -> None:
    with pytest.raises(HostError, match="no such device") as raised:
        host.serve(host.store("other"), host.store("scale", {"refuse": "no such device"}))
    assert "the other models are not affected" in raised.value.fix
    assert host.ready("other")
    assert list(linked(host.directory)) == ["other"]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (
            {"poll": "dynamic batching preferred size must be <= max batch size for scale"},
            "preferred size must be",
        ),
        (
            {"text_format": '5:17: Message type "inference.ModelConfig" has no field named "x".'},
            "5:17: Message type",
        ),
    ],
)
def test_what_triton_says_in_its_log_only(host: Host, behaviour: "dict[str, str]", reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        host.serve(host.store("scale", behaviour))


def test_what_is_not_stored_cannot_be_served(host: Host) -> None:
    with pytest.raises(HostError, match="the model scale is not stored as 0"):
        host.serve({"name": "scale", "digest": "0"})


def test_an_ensemble_and_its_steps_change_together(host: Host) -> None:
    def deploy(tensor: str) -> None:
        step = host.store("a_step", {"tensor": tensor})
        other = host.store("z_step", {"tensor": tensor})
        whole = host.store("m_ensemble", {"needs": {"a_step": tensor, "z_step": tensor}})
        host.serve({**whole, "priority": 9, "dependsOn": ["a_step", "z_step"]}, step, other)
        assert host.ready("a_step", "z_step", "m_ensemble")

    deploy("X")
    deploy("Y")
    host.kill_server()
    assert host.ready("a_step", "z_step", "m_ensemble")


def test_a_lost_record_of_the_models_is_noticed(host: Host) -> None:
    host.start()
    host.serve()
    assert host.run("inspect") == {"repairs": {}}
    scale = host.store("scale")
    host.serve(scale)
    lose(host.directory.models)
    assert set(host.run("inspect")["repairs"]) == {"*", "models"}
    host.start()
    host.run("store", body=host.stored)
    host.serve(scale)
    assert host.run("inspect") == {"repairs": {}}
    assert host.ready("scale")


def test_a_repository_that_is_gone_is_made_again(host: Host) -> None:
    host.start()
    models = [host.store("scale"), host.store("other")]
    host.serve(*models)
    lose(host.directory.repository)
    assert set(host.run("inspect")["repairs"]) == {"models"}
    host.serve(*models)
    assert host.run("inspect") == {"repairs": {}}
    host.kill_server()
    assert host.ready("scale", "other")


def test_an_ensemble_is_asked_as_the_models_of_its_steps_are(host: Host) -> None:
    host.start()
    host.serve(
        host.store("plain"),
        host.store("sequence", config='name: "sequence"\nsequence_batching { }\n'),
        host.store("stream", config='name: "stream"\nmodel_transaction_policy { decoupled: true }\n'),
        {**host.store("inner", {"needs": {"sequence": "INPUT"}}), "dependsOn": ["sequence"]},
        {
            **host.store("outer", {"needs": {"inner": "INPUT", "stream": "INPUT"}}),
            "dependsOn": ["inner", "stream"],
        },
    )
    found = {model["name"]: model for model in host.run("status")["models"]}
    assert {name for name in found if found[name]["sequence"]} == {"sequence", "inner", "outer"}
    assert {name for name in found if found[name]["decoupled"]} == {"stream", "outer"}


def test_a_step_that_its_ensemble_cannot_use_goes_back(host: Host) -> None:
    step = host.store("step", {"tensor": "X"})
    whole = {**host.store("ensemble", {"needs": {"step": "X"}}), "dependsOn": ["step"]}
    host.serve(step, whole)
    with pytest.raises(HostError, match=r"ensemble cannot work with it: .*has no input 'X'"):
        host.serve(host.store("step", {"tensor": "Y"}), whole)
    assert host.ready("step", "ensemble")
    assert linked(host.directory)["step"] == step["digest"]


@pytest.mark.parametrize("added", [False, True], ids=["as it was", "with a new model"])
def test_an_ensemble_that_cannot_come_back_alone_takes_its_steps_back(host: Host, added: bool) -> None:
    """Both steps change together with the ensembles, one in a way that only one of the ensembles has followed."""

    def models(first: str, second: str, wanted: str) -> List[Dict[str, Any]]:
        return [
            host.store("first", {"tensor": first}),
            host.store("second", {"tensor": second}),
            {
                **host.store("both", {"needs": {"first": first, "second": wanted}}),
                "dependsOn": ["first", "second"],
            },
            {**host.store("other", {"needs": {"first": first}}), "dependsOn": ["first"]},
            host.store("aside", {"tensor": first}),
        ]

    former = models("X", "X", "X")
    host.serve(*former)
    changed = models("Y", "Z", "Y")
    if added:
        changed.append({**host.store("more", {"needs": {"first": "Y"}}), "dependsOn": ["first"]})
    with pytest.raises(HostError, match=r"cannot load the model both: .*has no input 'Y'") as raised:
        host.serve(*changed)
    undone = ["first", "other", "second", *(["more"] if added else [])]
    assert sorted(raised.value.what.splitlines()[1:]) == sorted(
        f"the change of the model {name} is undone, too: both cannot come back without that"
        for name in undone
    )
    assert "the version that served before still serves" in raised.value.fix
    assert host.ready("first", "second", "both", "other", "aside")
    assert linked(host.directory) == {
        **{model["name"]: model["digest"] for model in former},
        "aside": changed[4]["digest"],
    }
    host.serve(*models("Y", "Y", "Y"))
    assert host.ready("first", "second", "both", "other", "aside")


def test_a_step_may_change_when_its_ensemble_goes(host: Host) -> None:
    step = host.store("step", {"tensor": "X"})
    host.serve(step, {**host.store("ensemble", {"needs": {"step": "X"}}), "dependsOn": ["step"]})
    host.serve(host.store("step", {"tensor": "Y"}))
    assert host.ready("step")
    assert list(linked(host.directory)) == ["step"]


def test_models_that_wait_for_each_other_are_refused(host: Host) -> None:
    one, two = host.store("one"), host.store("two")
    with pytest.raises(HostError, match="depend on each other in a circle: one, two"):
        host.serve({**one, "dependsOn": ["two"]}, {**two, "dependsOn": ["one"]})


def test_a_model_that_ends_the_server_at_load_is_set_aside(host: Host) -> None:
    good = host.store("good")
    host.serve(good)
    bad = host.store("bad", {"ends_at_load": 99})
    with pytest.raises(HostError, match="it ended the server while it was loaded: status 7\n"):
        host.serve(good, bad)
    assert host.ready("good")
    # Once more, and not again.
    with pytest.raises(HostError, match="it ended the server while it was loaded twice"):
        host.serve(good, bad)
    number = host.run_record.number
    with pytest.raises(HostError, match="it is set aside"):
        host.serve(good, bad)
    assert host.run_record.number == number
    host.serve(good, host.store("bad"))
    assert host.ready("good", "bad")
    assert host.aside() == []


def test_a_state_that_ends_the_server_leaves_the_former(host: Host) -> None:
    former = host.store("scale")
    host.serve(former)
    with pytest.raises(HostError, match="ended the server") as raised:
        host.serve(host.store("scale", {"ends_at_load": 99}))
    assert "still serves" in raised.value.fix
    assert host.ready("scale")
    assert linked(host.directory)["scale"] == former["digest"]
    # The digest that goes back has a clean record.
    assert host.aside() == []
    host.kill_server()
    assert host.ready("scale")


@pytest.mark.parametrize("wanted", ["the same", "the former", "another"])
def test_the_former_state_comes_back_after_a_deployment_that_was_killed_when_the_new_one_ended_the_server(
    host: Host, wanted: str
) -> None:
    former = host.store("scale")
    host.serve(former)
    # The link is at the new state when the server ends, and the deployment cannot put it back.
    bad = host.store("scale", {"ends_at_load": 99})
    deployment = host.spawn("serve", body={"models": [bad]})
    eventually(lambda: linked(host.directory)["scale"] == bad["digest"])
    deployment.kill()
    deployment.communicate()
    eventually(lambda: host.aside() == ["scale"] or host.ready("scale"))
    if wanted == "the same":
        # What `up` does first.
        host.run("store", body={**host.stored})
        eventually(lambda: _refused(host, bad))
        assert linked(host.directory)["scale"] == former["digest"]
    elif wanted == "the former":
        host.serve(former)
    else:
        host.serve(host.store("scale"))
    assert host.ready("scale")
    assert host.aside() == []
    host.kill_server()
    assert host.ready("scale")


def test_the_former_state_is_loaded_where_only_its_link_is_back(host: Host) -> None:
    """The deployment before has put the link back after one that was killed, and the server had not loaded it."""
    host.serve(host.store("scale"))
    bad = host.store("scale", {"ends_at_load": 99})
    twice = "it ended the server while it was loaded twice"
    ConductBook(host.directory).update("scale", bad["digest"], load_crashes=2, aside=twice)
    assert host.triton.unload("scale", 10).ok
    eventually(lambda: not host.ready("scale"))
    assert _refused(host, bad)


def _refused(host: Host, model: Dict[str, str]) -> bool:
    """Whether a deployment ends with what a model has done; it may be tried once more."""
    with pytest.raises(HostError, match=r"ended the server|is set aside") as raised:
        host.serve(model)
    return "still serves" in raised.value.fix and host.ready("scale")


def test_of_models_loaded_together_the_one_that_ends_the_server_is_found(host: Host) -> None:
    good = [host.store(f"good{number}") for number in range(3)]
    bad = host.store("bad", {"ends_at_load": 99})
    with pytest.raises(HostError, match="Triton cannot load the model bad") as raised:
        host.serve(*good, bad)
    assert "good" not in raised.value.what
    assert "not affected" not in raised.value.fix
    assert "the server had to start again, and the other models serve again" in raised.value.fix
    assert host.ready("good0", "good1", "good2")
    assert host.aside() == ["bad"]


def test_a_model_that_is_set_aside_is_forgotten_when_it_leaves_the_deployment(host: Host) -> None:
    good = host.store("good")
    with pytest.raises(HostError, match="Triton cannot load the model bad"):
        host.serve(good, host.store("bad", {"ends_at_load": 99}))
    assert host.aside() == ["bad"]
    host.serve(good)
    assert host.aside() == []


def test_a_server_that_ends_once_at_load_is_no_fault_of_the_model(host: Host) -> None:
    model = host.store("scale")
    host.serve(model)
    (host.directory.store / "scale" / model["digest"] / "1/behaviour.json").write_text('{"ends_at_load": 1}')
    os.kill(host.server_pid, signal.SIGKILL)
    eventually(lambda: host.phase == "serving" and host.ready("scale"))
    assert host.aside() == []


def test_a_model_that_ends_the_server_at_inference_is_set_aside(host: Host) -> None:
    good = host.store("good")
    host.serve(good)
    # Of two that are as likely, it is the one that was changed last.
    host.serve(good, host.store("bad", {"ends_at_inference": 99}))
    for ends in (1, 2):
        assert not host.infer("bad")
        eventually(lambda ends=ends: host.run_record.number == ends + 1 and host.phase == "serving")
    assert host.aside() == ["bad"]
    assert host.ready("good")
    assert host.run("status")["models"][0]["reason"].startswith("it is the likeliest cause")
    host.serve(good, host.store("bad"))
    assert host.ready("bad")


@pytest.mark.parametrize("arguments", [[], ["--log-verbose=1"]])
def test_a_model_that_ends_the_server_a_moment_after_its_load_is_set_aside(
    host: Host, arguments: List[str]
) -> None:
    # With the second, Triton says which requests were in work.
    host.start(arguments=arguments)
    good = [host.store(name) for name in ("a", "good", "z")]
    host.serve(*good)
    bad = host.store("bad", {"ends_after_load": 99})
    with contextlib.suppress(HostError):
        host.serve(*good, bad)
    eventually(lambda: host.aside() == ["bad"])
    eventually(lambda: host.phase == "serving" and host.ready("a", "good", "z"))
    assert host.aside() == ["bad"]
    assert "a moment after it was loaded twice" in host.run("status")["models"][1]["reason"]
    host.serve(*good, host.store("bad"))
    assert host.ready("a", "bad", "good", "z")


def test_a_load_that_hangs_in_a_process_of_its_own_ends_with_it(host: Host) -> None:
    host.start()
    good = host.store("good")
    host.serve(good)
    pid = host.server_pid
    # Not before: a busy machine may take longer for the good one.
    host.start(loadTimeoutSeconds=1)
    with pytest.raises(HostError, match="it did not finish loading within 1 s"):
        host.serve(good, host.store("hanging", {"stub": True}))
    assert host.server_pid == pid
    assert host.ready("good")


@pytest.mark.parametrize(
    "said",
    [
        "Internal: Unable to initialize shared memory key 'x' to requested size. Error: No space left on device",
        "Internal: Failed to preinitialize Python stub: No space left on device",
    ],
)
def test_a_full_shared_memory_is_named(host: Host, said: str) -> None:
    with pytest.raises(
        HostError, match=r"model scale: its process finds no room in shared memory: /dev/shm has \d+ of"
    ):
        host.serve(host.store("scale", {"refuse": said}))


def test_an_environment_that_could_not_be_unpacked_is_in_nobodys_way(host: Host) -> None:
    """Triton itself refuses every archive from then on, until it starts again."""
    made = subprocess.run(["mktemp", "-d", "/tmp/python_env_XXXXXX"], capture_output=True, check=True)
    base = Path(made.stdout.decode().strip())
    (base / "0/bin").mkdir(parents=True)
    try:
        host.serve(host.store("packed", {"unpack": str(base / "0")}))
    finally:
        shutil.rmtree(base)
    assert host.ready("packed")


def test_a_load_whose_process_has_ended_is_not_waited_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.server.load_watch.PATIENCE", 0)
    host.start()
    good = host.store("good")
    host.serve(good)
    with pytest.raises(HostError, match=r"did not finish loading: its process ended with status 3\n"):
        host.serve(good, host.store("lost", {"lost": True}))
    eventually(lambda: host.ready("good"), "it is ready again")
    assert host.aside() == ["lost"]
    host.serve(good, host.store("lost"))
    assert host.ready("good", "lost")


class _Ended(LoadWatch):
    """A load whose process has ended a while ago, or goes on."""

    def __init__(self, how: str) -> None:
        super().__init__(list)
        self._how = how

    def ended(self, alone: bool, patience: Optional[float] = None) -> str:
        assert not alone
        assert patience == SHORT_PATIENCE
        return self._how


def test_a_server_that_is_ended_for_one_load_is_ended_for_all_whose_processes_have_ended(host: Host) -> None:
    killed: List[bool] = []
    settings = require_settings(host.directory)
    runtime = SimpleNamespace(kill=lambda: killed.append(True))
    loader = Loader(host.directory, settings, runtime, lambda _: None)
    loader._watches = {
        Wanted("two", "2"): _Ended("its process ended with status 3"),
        Wanted("slow", "3"): _Ended(""),
    }
    loaded = loader._end_server(Wanted("one", "1"), ": its process ended with status 4", certain=True)
    assert loaded == (False, "it did not finish loading: its process ended with status 4", True)
    assert killed
    assert [
        (mark.model, mark.digest, mark.late, mark.why, mark.certain) for mark in read_marks(host.directory)
    ] == [
        ("one", "1", True, ": its process ended with status 4", True),
        ("two", "2", True, ": its process ended with status 3", True),
    ]


def test_a_load_that_hangs_for_ever_ends_the_server(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.models.loader._AFTER_END", 0)
    # A busy machine must load the good one within it.
    host.start(loadTimeoutSeconds=10)
    good = host.store("good")
    host.serve(good)
    pid = host.server_pid
    with pytest.raises(HostError, match="it did not finish loading"):
        host.serve(good, host.store("hanging", {"hold": str(tmp_path / "never")}))
    assert host.server_pid != pid
    eventually(lambda: host.ready("good"), "it is ready again")
    assert host.aside() == ["hanging"]
    host.serve(good, host.store("hanging"))
    assert host.ready("good", "hanging")


def test_a_load_delays_no_other(host: Host, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    good = host.store("good")
    host.serve(good)
    slow = host.store("slow", {"hold": str(gate)})
    deployment = host.spawn("serve", body={"models": [good, slow]})
    eventually(lambda: host.triton.loading() == ["slow"])
    assert host.infer("good")
    gate.touch()
    assert deployment.wait(300) == 0
    assert host.ready("slow")


def test_two_deployments_at_once_are_one_after_the_other(host: Host, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    slow, other = host.store("slow", {"hold": str(gate)}), host.store("other")
    first = host.spawn("serve", body={"models": [slow]})
    eventually(lambda: host.triton.loading() == ["slow"])
    second = host.spawn("serve", body={"models": [other]})
    third = host.spawn("stop")
    gate.touch()
    out, err = first.communicate(timeout=300)
    assert first.returncode == 0, err
    assert json.loads(out.decode().partition(" ")[2])["models"] == [{"name": "slow", "version": "1"}]
    second.communicate(timeout=300)
    third.communicate(timeout=300)
    assert third.returncode == 0
    assert host.servers == []


def test_a_deployment_killed_during_a_load_is_finished_by_the_next(host: Host, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    slow, other = host.store("slow", {"hold": str(gate)}), host.store("other")
    first = host.spawn("serve", body={"models": [slow, other]})
    eventually(lambda: host.triton.loading() == ["slow"] and host.ready("other"))
    first.kill()
    first.communicate()
    assert "slow" in [mark.model for mark in read_marks(host.directory)]
    gate.touch()
    # Its mark goes, so that nobody is blamed for what happens later.
    eventually(lambda: not read_marks(host.directory))
    host.serve(slow, other)
    assert host.ready("slow", "other")


def test_a_mark_that_was_left_of_a_load_that_failed_goes_too(host: Host) -> None:
    host.serve(host.store("scale"))
    mark_load(host.directory, "gone", "0")
    file = host.directory.server / "loading/gone"
    file.write_text(json.dumps({**json.loads(file.read_text()), "start": "another process"}))
    eventually(lambda: not read_marks(host.directory))


def test_what_a_killed_deployment_has_not_unloaded_is_unloaded_by_the_next(host: Host) -> None:
    one, two = host.store("one"), host.store("two")
    host.serve(one, two)
    # As if it had been killed between the link and the unload.
    (host.directory.repository / "two").unlink()
    assert "two" in host.triton.serving()
    assert "models" in host.run("inspect")["repairs"]
    host.serve(one)
    assert host.triton.serving() == ["one"]


def test_a_model_that_a_client_has_unloaded_is_served_again(host: Host) -> None:
    model = host.store("scale")
    host.serve(model)
    assert host.run("inspect") == {"repairs": {}}
    host.triton.unload("scale", 10)
    assert list(host.run("inspect")["repairs"]) == ["models"]
    host.serve(model)
    assert host.ready("scale")


def test_a_deployment_waits_for_a_server_that_starts_again(host: Host) -> None:
    model = host.store("scale")
    host.serve(model)
    os.kill(host.server_pid, signal.SIGKILL)
    host.serve(model)
    assert host.ready("scale")


def test_nothing_is_served_without_a_server(host: Host) -> None:
    model = host.store("scale")
    host.kill_supervisor()
    os.kill(host.server_pid, signal.SIGKILL)
    eventually(lambda: not host.servers)
    with pytest.raises(HostError, match=r"Triton does not answer at 127.0.0.1"):
        host.serve(model)
    host.run("unserve")
    host.run("resume")
    host.serve(model)


def test_a_supervisor_killed_before_a_model_ends_the_server(host: Host) -> None:
    good = host.store("good")
    host.serve(good)
    host.kill_supervisor()
    with pytest.raises(HostError, match="ended the server"):
        host.serve(good, host.store("bad", {"ends_at_load": 99}))
    assert host.ready("good")


class BrokenTriton(Triton):
    """Every load is done, and its answer lost."""

    def load(self, *arguments: object, **named: object) -> object:  # type: ignore[override]
        return super().load(*arguments, **named)._replace(ok=False, lost=True)  # type: ignore[arg-type]


def test_a_connection_that_breaks_is_no_end_of_the_server(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing to wait for, there is no wait: the time for a restart would be over here."""
    monkeypatch.setattr("agent.server.settings.Triton", BrokenTriton)
    monkeypatch.setattr("agent.models.serve._RESTART_SECONDS", 1_000_000)
    host.serve(host.store("scale"))
    assert host.ready("scale")


def test_a_link_that_leads_nowhere_is_a_model_that_is_gone(host: Host) -> None:
    model, other = host.store("scale"), host.store("other")
    host.serve(model, other)
    for path in [*(host.directory.store / "scale").rglob("*")][::-1]:
        path.unlink() if path.is_file() else path.rmdir()
    assert set(host.run("inspect")["repairs"]) == {"model:scale", "models"}
    number = host.run_record.number
    os.kill(host.server_pid, signal.SIGKILL)
    eventually(lambda: host.run_record.number > number and host.phase == "serving")
    assert host.ready("other")
    again = host.store("scale")
    host.serve(again, other)
    assert host.ready("scale", "other")


def test_links_that_are_not_ours_are_left_alone(host: Host, tmp_path: Path) -> None:
    host.serve(host.store("scale"))
    foreign = {
        "mine": str(tmp_path),
        "up": "../store/up/..",
        "odd name": "../x",
        ".hidden": "../store/.hidden/1",
    }
    for name, target in foreign.items():
        (host.directory.repository / name).symlink_to(target)
    assert list(linked(host.directory)) == ["scale"]
    host.run("unserve")
    assert all((host.directory.repository / name).is_symlink() for name in foreign)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        '{"models": 5}',
        '{"models": [5]}',
        '{"models": [{"name": "scale"}]}',
        '{"models": [{"name": "scale", "digest": "1", "priority": "high"}]}',
        '{"models": [{"name": "scale", "digest": "1", "weight": "much"}]}',
        '{"models": [{"name": "scale", "digest": "1", "dependsOn": 7}]}',
        '{"models": [{"name": "scale", "digest": "1", "dependsOn": ["scale"]}]}',
    ],
)
def test_a_scribbled_list_of_models_is_none(directory: HostDirectory, text: str) -> None:
    directory.repository.mkdir(parents=True)
    (directory.repository / "scale").symlink_to("../store/scale/1")
    (directory.models / "wanted.json").write_text(text)
    assert read_noted(directory) == []
    assert [(model.name, model.digest) for model in read_wanted(directory)] == [("scale", "1")]


def test_status_before_during_and_after(host: Host) -> None:
    config = PRIORITY.format(name="scale", priority=-3) + "decoupled: true\nsequence_batching {}\n"
    host.serve({**host.store("scale", config=config), "priority": -3})
    [model] = host.run("status")["models"]
    assert model == {
        "name": "scale",
        "version": "1",
        "priority": -3,
        "floor": 0,
        "weight": 0,
        "ready": True,
        "reason": "",
        "setAside": False,
        "inputs": [{"name": "INPUT", "datatype": "FP32", "shape": [1]}],
        "decoupled": True,
        "sequence": True,
        "ensemble": False,
    }
    measured = host.run("measure")
    assert measured["metrics"] == "nv_inference_count 1\n"
    assert measured["statistics"]["model_stats"][0]["name"] == "scale"
    assert "this server runs as a process" in measured["noQueues"]
    assert host.run("ask", "GET", "/v2")["status"] == 200
    host.triton.unload("scale", 10)
    assert host.run("status")["models"][0]["reason"] == "unloaded"
    host.run("drain", "9")
    with pytest.raises(HostError, match="Triton does not answer"):
        host.run("ask", "GET", "/v2")
    assert host.run("measure")["statistics"] is None
    with pytest.raises(SystemExit) as ended:
        host.run("scheduler", "stats")
    assert ended.value.code == 3


def test_a_model_that_changes_has_a_clean_record(directory: HostDirectory) -> None:
    book = ConductBook(directory)
    directory.server.mkdir()
    book.update("scale", "1", load_crashes=2, aside="it did")
    assert book.of("scale", "2").aside == ""
    book.update("scale", "2", served=True)
    assert book.of("scale", "1").load_crashes == 0
    book.forget("scale")
    assert not book.of("scale", "2").served


#: xsched-ctl of a scheduler whose queues are in the file of its first argument; those of models in processes of their
#: own have a pid.
CONTROL = """
import json, sys
file, command, *words = sys.argv[1:]
with open(file) as queues:
    found = json.load(queues)
of_server = [queue for queue in found if "pid" not in queue]
if command == "stats":
    print(json.dumps({"queues": found}))
elif words[0] == "stubborn":
    sys.exit("error: no queue is called stubborn")
else:
    key = {"priority": "priority", "floor": "floor_percent", "weight": "weight"}[command]
    for queue in found:
        if queue["name"].split("/")[0] == words[0]:
            queue[key] = int(words[1])
    floors = {queue["name"].split("/")[0]: queue.get("floor_percent", 0) for queue in of_server}
    if sum(floors.values()) > 90:
        sys.exit("error: the floors come to more than 90 %")
    with open(file, "w") as queues:
        json.dump(found, queues)
"""


class Queues:
    """Those of a running scheduler, which anybody on the host may change."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = file
        words = [sys.executable, "-IS", "-c", CONTROL, str(file)]
        monkeypatch.setattr(status, "scheduler_words", lambda _, more: [*words, *more])

    def set(self, **priorities: int) -> None:
        queues = [
            {"name": f"{model}/{instance}", "priority": priority}
            for model, priority in priorities.items()
            for instance in range(2)
        ]
        # Of a thread that works for no model.
        self._file.write_text(json.dumps([*queues, {"name": "", "priority": 7}]))

    def set_floors(self, **floors: int) -> None:
        self._set_all("floor_percent", floors)

    def set_weights(self, **weights: int) -> None:
        self._set_all("weight", weights)

    def _set_all(self, key: str, values: Dict[str, int]) -> None:
        queues = json.loads(self._file.read_text())
        for queue in queues:
            queue[key] = values.get(queue["name"].split("/")[0], 0)
        self._file.write_text(json.dumps(queues))

    def add_in_process_of_its_own(self, name: str) -> None:
        queues = json.loads(self._file.read_text())
        queues.append({"name": name, "priority": 0, "floor_percent": 0, "weight": 0, "pid": 99})
        self._file.write_text(json.dumps(queues))

    def get_floors(self) -> Dict[str, int]:
        return self.get("floor_percent")

    def get(self, key: str = "priority") -> Dict[str, int]:
        return {queue["name"]: queue[key] for queue in json.loads(self._file.read_text())}


def test_a_priority_that_was_set_in_the_running_scheduler_is_put_back_without_a_reload(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(urgent=40, calm=-3)
    models = [
        {**host.store(name, config=PRIORITY.format(name=name, priority=priority)), "priority": priority}
        for name, priority in (("urgent", 40), ("calm", -3))
    ]
    host.serve(*models)
    assert host.run("inspect") == {"repairs": {}}
    # A load touches it.
    config = host.directory.repository / "calm/config.pbtxt"
    loaded = config.stat().st_mtime_ns
    queues.set(urgent=40, calm=90)
    capsys.readouterr()
    assert list(host.run("inspect")["repairs"]) == ["models"]
    assert capsys.readouterr().err == ("the scheduler has the priority 90 for the model calm instead of -3\n")
    host.serve(*models)
    assert queues.get() == {"urgent/0": 40, "urgent/1": 40, "calm/0": -3, "calm/1": -3, "": 7}
    assert config.stat().st_mtime_ns == loaded


def _with_floor(host: Host, name: str, floor: int) -> Dict[str, object]:
    config = PRIORITY.format(name=name, priority=0) + FLOOR.format(floor=floor)
    return {**host.store(name, config=config), "floor": floor}


def test_a_floor_that_was_set_in_the_running_scheduler_is_put_back_without_a_reload(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=0, two=0, plain=0)
    queues.set_floors(one=30, two=20)
    models = [_with_floor(host, name, floor) for name, floor in (("one", 30), ("two", 20), ("plain", 0))]
    host.serve(*models)
    assert host.run("inspect") == {"repairs": {}}
    config = host.directory.repository / "one/config.pbtxt"
    loaded = config.stat().st_mtime_ns
    # The sum leaves no room to put back the first one before the second.
    queues.set_floors(one=0, two=50, plain=40)
    capsys.readouterr()
    assert list(host.run("inspect")["repairs"]) == ["models"]
    assert capsys.readouterr().err == (
        "the scheduler has the floor 0 % for the model one instead of 30 %; "
        "the scheduler has the floor 40 % for the model plain instead of 0 %; "
        "the scheduler has the floor 50 % for the model two instead of 20 %\n"
    )
    host.serve(*models)
    floors = queues.get_floors()
    assert {name: floor for name, floor in floors.items() if floor} == {
        "one/0": 30,
        "one/1": 30,
        "two/0": 20,
        "two/1": 20,
    }
    assert config.stat().st_mtime_ns == loaded


def test_a_model_that_cannot_be_loaded_keeps_the_priority_floor_and_weight_of_its_former_state(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(priority: int, floor: int, weight: int, behaviour: Dict[str, object]) -> Dict[str, object]:
        config = (
            PRIORITY.format(name="one", priority=priority)
            + FLOOR.format(floor=floor)
            + WEIGHT.format(weight=weight)
        )
        model = host.store("one", behaviour, config=config)
        return {**model, "priority": priority, "floor": floor, "weight": weight}

    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)
    queues.set_floors(one=20)
    queues.set_weights(one=3)
    former = state(40, 20, 3, {})
    host.serve(former)
    # The first of its new instances have told the scheduler; a later one fails.
    queues.set_floors(one=30)
    queues.set_weights(one=7)
    with pytest.raises(HostError, match=r"Triton cannot load the model one: .*no memory"):
        host.serve(state(90, 30, 7, {"refuse": "no memory"}))
    assert queues.get() == {"one/0": 40, "one/1": 40, "": 7}
    assert queues.get_floors() == {"one/0": 20, "one/1": 20, "": 0}
    assert queues.get("weight") == {"one/0": 3, "one/1": 3, "": 0}
    assert [(model.priority, model.floor, model.weight) for model in read_noted(host.directory)] == [
        (40, 20, 3)
    ]
    host.serve(former)


def test_a_floor_that_was_set_in_a_models_own_process_is_put_back(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set()
    queues.add_in_process_of_its_own("python/0")
    queues.set_floors(python=30)
    model = _with_floor(host, "python", 30)
    host.serve(model)
    assert host.run("inspect") == {"repairs": {}}
    queues.set_floors(python=5)
    capsys.readouterr()
    assert list(host.run("inspect")["repairs"]) == ["models"]
    assert capsys.readouterr().err == "the scheduler has the floor 5 % for the model python instead of 30 %\n"
    host.serve(model)
    assert queues.get_floors()["python/0"] == 30


def test_a_weight_that_was_set_in_the_running_scheduler_is_put_back_without_a_reload(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(heavy=0, plain=0)
    queues.add_in_process_of_its_own("python/0")
    queues.set_weights(heavy=3, python=1)
    models = [
        {
            **host.store(name, config=PRIORITY.format(name=name, priority=0) + WEIGHT.format(weight=weight)),
            "weight": weight,
        }
        for name, weight in (("heavy", 3), ("plain", 0), ("python", 1))
    ]
    host.serve(*models)
    assert host.run("inspect") == {"repairs": {}}
    config = host.directory.repository / "heavy/config.pbtxt"
    loaded = config.stat().st_mtime_ns
    queues.set_weights(heavy=100, plain=7)
    capsys.readouterr()
    assert list(host.run("inspect")["repairs"]) == ["models"]
    assert capsys.readouterr().err == (
        "the scheduler has the weight 100 for the model heavy instead of 3; "
        "the scheduler has the weight 7 for the model plain instead of 0; "
        "the scheduler has the weight 0 for the model python instead of 1\n"
    )
    host.serve(*models)
    assert {name: weight for name, weight in queues.get("weight").items() if weight} == {
        "heavy/0": 3,
        "heavy/1": 3,
        "python/0": 1,
    }
    assert config.stat().st_mtime_ns == loaded


def test_a_scheduler_that_does_not_take_a_priority_back_fails_the_deployment(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(stubborn=9)
    with pytest.raises(
        HostError, match=r"does not take the priority of the model stubborn: .*no queue is called"
    ):
        host.serve(host.store("stubborn"))


class Changeable:
    """A model of which only what the scheduler follows changes, unless said otherwise."""

    def __init__(self, host: Host, name: str = "one", load: str = "load-1") -> None:
        self._host = host
        self._name = name
        self._load = load

    def state(self, priority: int, floor: int = 0, weight: int = 0, load: str = "") -> Dict[str, Any]:
        config = (
            PRIORITY.format(name=self._name, priority=priority)
            + FLOOR.format(floor=floor)
            + WEIGHT.format(weight=weight)
        )
        model = self._host.store(self._name, config=config)
        values = {"priority": priority, "floor": floor, "weight": weight}
        return {**model, **values, "loadDigest": load or self._load}

    @property
    def loaded(self) -> List[Optional[int]]:
        """What Triton's configuration says."""
        return [*self._host.triton.facts(self._name).scheduling]

    @property
    def told(self) -> List[int]:
        """What `status` says."""
        [model] = [model for model in self._host.run("status")["models"] if model["name"] == self._name]
        return [model["priority"], model["floor"], model["weight"]]


def test_a_running_scheduler_takes_another_priority_floor_and_weight_without_a_load(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)
    queues.set_floors(one=20)
    queues.set_weights(one=3)
    model = Changeable(host)
    host.serve(model.state(40, 20, 3))
    for values in ([90, 10, 5], [-7, 30, 0]):
        state = model.state(*values)
        capsys.readouterr()
        host.serve(state)
        assert "the model one is changed in the running scheduler, without a load" in capsys.readouterr().err
        assert [queues.get(key)["one/1"] for key in ("priority", "floor_percent", "weight")] == values
        assert (model.loaded, model.told) == ([40, 20, 3], values)
        assert linked(host.directory) == {"one": state["digest"]}
        assert host.run("inspect") == {"repairs": {}}
        # The same again, which changes nothing.
        host.serve(state)
        assert (model.loaded, model.told) == ([40, 20, 3], values)
    # It has a second chance if it ends a server that starts again: it has served, also before its load had settled.
    eventually(lambda: not read_marks(host.directory))
    assert ConductBook(host.directory).of("one", state["digest"]).served
    # What starts again, loads the new state.
    host.kill_server()
    eventually(lambda: host.ready("one"))
    assert (model.loaded, model.told) == (values, values)
    host.serve(state)
    assert [known.loaded for known in read_noted(host.directory)] == [None]


def test_back_to_the_values_that_are_loaded_is_no_load_either(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)
    model = Changeable(host)
    host.serve(model.state(40))
    host.serve(model.state(90))
    config = model.state(40)
    host.serve(config)
    touched = host.directory.repository / "one/config.pbtxt"
    assert queues.get()["one/0"] == 40
    before = touched.stat().st_mtime_ns
    host.serve(config)
    assert touched.stat().st_mtime_ns == before
    assert host.run("inspect") == {"repairs": {}}


@pytest.mark.parametrize("why", ["no queue", "another file", "no digest", "loaded otherwise", "damaged"])
def test_a_priority_takes_a_load_where_the_scheduler_does_not_do(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(**{"other" if why == "no queue" else "one": 40})
    model = Changeable(host)
    first = model.state(40)
    if why == "no digest":
        del first["loadDigest"]
    host.serve(first)
    if why == "loaded otherwise":
        host.run(
            "reload", "one", body={"name": "one", "parameters": {"xsched_priority": {"string_value": "7"}}}
        )
        assert model.loaded[0] == 7
    second = model.state(90, load="load-2" if why == "another file" else "")
    if why == "damaged":
        restored_note(host.directory, "one", str(first["digest"])).touch()
    host.serve(second)
    assert model.loaded[0] == 90
    assert [known.loaded for known in read_noted(host.directory)] == [None]


def test_a_floor_that_there_is_no_room_for_is_said_and_asked_for_again(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=0, other=0)
    queues.set_floors(one=20, other=50)
    model, other = Changeable(host), Changeable(host, "other")
    unchanged = other.state(0, 50)
    host.serve(model.state(0, 20), unchanged)
    grown = model.state(0, 45)
    for _ in range(2):
        with pytest.raises(HostError, match=r"does not take the floor of the model one: .*more than 90 %"):
            host.serve(grown, unchanged)
        assert model.loaded == [0, 20, 0]
    # There is room once the other one gives it, in the same deployment.
    host.serve(grown, other.state(0, 45))
    assert queues.get_floors() == {"one/0": 45, "one/1": 45, "other/0": 45, "other/1": 45, "": 0}
    assert (model.loaded, model.told) == ([0, 20, 0], [0, 45, 0])


def test_a_change_in_the_scheduler_is_noted_before_the_loads_of_other_models(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)
    model = Changeable(host)
    host.serve(model.state(40), host.store("other"))
    changed = model.state(90)
    with pytest.raises(HostError, match=r"Triton cannot load the model other: .*no memory"):
        host.serve(changed, host.store("other", {"refuse": "no memory"}))
    assert queues.get()["one/0"] == 90
    assert model.loaded[0] == 40
    [noted] = [known for known in read_noted(host.directory) if known.name == "one"]
    assert noted.loaded is not None
    assert (noted.digest, noted.priority, noted.loaded.scheduling) == (changed["digest"], 90, (40, 0, 0))


def _served_without_load(host: Host, model: Changeable, queues: Queues, priority: int, loaded: int) -> None:
    host.serve(model.state(priority))
    assert (queues.get()["one/0"], model.told[0], model.loaded[0]) == (priority, priority, loaded)
    assert host.run("inspect") == {"repairs": {}}


@pytest.mark.parametrize("how", ["a crash", "a reload", "another setting"])
def test_a_change_in_the_scheduler_goes_by_what_the_server_has_loaded_since(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)
    model = Changeable(host)
    host.serve(model.state(40))
    _served_without_load(host, model, queues, 90, loaded=40)
    if how == "a crash":
        host.kill_server()
        eventually(lambda: host.ready("one"))
    elif how == "a reload":
        host.run("reload", "one")
    else:
        host.start("x")
    for priority in (20, 40, 90):
        _served_without_load(host, model, queues, priority, loaded=90)


def test_the_load_of_an_ensemble_does_not_load_a_step_that_was_changed_in_the_scheduler(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)

    def whole(number: int) -> Dict[str, Any]:
        stored = host.store("both", {"needs": {"one": "INPUT"}, "number": number})
        return {**stored, "dependsOn": ["one"], "loadDigest": f"both-{number}"}

    first = {**host.store("one", config=PRIORITY.format(name="one", priority=40)), "priority": 40}
    first["loadDigest"] = "load-1"
    # The same files, as another priority has them.
    body = {**host.stored, "digest": "other", "config": PRIORITY.format(name="one", priority=90)}
    both = whole(1)
    host.serve(first, both)
    host.run("store", body=body)
    changed = {**first, "digest": "other", "priority": 90}
    host.serve(changed, both)
    host.serve(changed, whole(2))
    assert host.ready("one", "both")
    assert host.triton.facts("one").priority == 40


def test_a_scheduler_is_told_although_it_does_not_say_what_it_has(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)
    model = Changeable(host)
    host.serve(model.state(40))
    asked = []
    answer = status.queues_of_scheduler

    def once(directory: HostDirectory) -> Any:
        asked.append(directory)
        return answer(directory) if len(asked) == 1 else None

    monkeypatch.setattr(status, "queues_of_scheduler", once)
    host.serve(model.state(90))
    assert len(asked) > 1
    assert queues.get()["one/0"] == 90


def test_the_files_of_what_is_loaded_are_kept_while_it_is_changed_in_the_scheduler(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)
    model = Changeable(host)
    states = []
    for priority in (40, 90, 20, 10):
        states.append(model.state(priority))
        host.serve(states[-1])
    stored = [(host.directory.store / "one" / str(state["digest"])).is_dir() for state in states]
    # The state before the last one is dropped with the next one that is stored.
    assert stored == [True, False, True, True]
    host.kill_server()
    eventually(lambda: host.ready("one"))
    host.serve(states[-1])
    model.state(5)
    assert not (host.directory.store / "one" / str(states[0]["digest"])).exists()


def test_a_load_that_has_not_settled_is_that_of_the_state_as_which_the_model_goes_on(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(tmp_path / "queues", monkeypatch)
    queues.set(one=40)
    model = Changeable(host)
    first = model.state(40)
    host.serve(first)
    eventually(lambda: not read_marks(host.directory))
    book = ConductBook(host.directory)
    book.update("one", str(first["digest"]), load_crashes=1)
    write_mark(
        host.directory, mark_load(host.directory, "one", str(first["digest"]))._replace(loaded=time.time())
    )
    second = model.state(90)
    host.serve(second)
    eventually(lambda: not read_marks(host.directory))
    conduct = book.of("one", str(second["digest"]))
    assert (conduct.served, conduct.load_crashes) == (True, 0)
