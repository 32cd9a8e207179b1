"""What is said of engines that are being built."""

import json
from typing import Any, Dict, List

import pytest
from agent import engines, programs
from agent.builds import Build, describe_builds, note, noted
from agent.commands import run
from agent.directory import HostDirectory
from engine_workshop import Workshop


def said(workshop: Workshop) -> List[Dict[str, Any]]:
    """By the command `status`."""
    builds: List[Dict[str, Any]] = run(workshop.directory, "status", [])["builds"]
    return builds


def test_the_status_names_an_engine_while_it_is_built(workshop: Workshop) -> None:
    assert said(workshop) == []
    process, builder = workshop.start()
    (build,) = said(workshop)
    assert 0 <= build.pop("seconds") < 60
    assert build == {"model": "bert", "version": "1", "below": False}
    process.terminate()
    process.wait()
    assert said(workshop) == []
    assert list((workshop.directory.path / "engines/building").iterdir()) == []
    assert builder


def test_a_build_that_was_killed_is_none(workshop: Workshop) -> None:
    process, _ = workshop.start()
    process.kill()
    process.wait()
    assert (workshop.directory.path / "engines/building/bert").exists()
    assert said(workshop) == []


def test_tells_how_long_it_has_taken_and_whether_models_come_first(
    directory: HostDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.builds.now", lambda: 1000.25)
    with directory.lock("engines-bert"), noted(directory, "bert", "3", below=True) as build:
        monkeypatch.setattr("agent.builds.now", lambda: 1061.0)
        assert describe_builds(directory) == [{"model": "bert", "version": "3", "below": True, "seconds": 60}]
        note(directory, build._replace(below=False))
        assert describe_builds(directory)[0]["below"] is False
    assert describe_builds(directory) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"model": "bert"', '{"other": 1}'])
def test_a_note_that_cannot_be_read_is_passed_over(directory: HostDirectory, text: str) -> None:
    note(directory, Build("chat", "1", True, 0))
    (directory.path / "engines/building/bert").write_text(text)
    with directory.lock("engines-bert"), directory.lock("engines-chat"):
        assert [build["model"] for build in describe_builds(directory)] == ["chat"]


def test_a_build_that_leaves_the_domain_is_noted(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as the core says so, not at the end."""
    seen = []
    log = workshop.directory.path / "engines/log/bert-1.log"

    def await_end(*words: Any) -> int:
        log.write_text(
            "[xsched ERROR] device 0 is not in a scheduling domain: no room; other processes do not count\n"
        )
        words[1](5)
        seen.append(json.loads((workshop.directory.path / "engines/building/bert").read_text())["below"])
        return programs.await_end(*words)

    monkeypatch.setattr(engines, "await_end", await_end)
    monkeypatch.setattr(engines, "noted", lambda *words, below: noted(*words, below=True))
    workshop.build()
    assert seen == [False]
