"""People say something to an agent at work: it hears it once, whatever dies in between, and every request can be rebuilt."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nightmill.store import Workers
from tests.conftest import ScriptedFactory
from tests.recorder import Recorder, recording
from tests.whole import EDIT, FINISH, LOOK, MODELS, SPEC, TRY, Mill, repository, script, wait_for

pytestmark = pytest.mark.slow

SLOW: dict[str, Any] = {
    "text": "I wait.",
    "tool_calls": [{"name": "run_command", "arguments": {"command": "sleep 3"}}],
}


def waits(mill: Mill, count: int) -> None:
    """Wait until so many slow commands have begun."""

    def begun() -> bool:
        with mill.door() as door:
            return sum("sleep 3" in each.body for each in door.ledger.read(names=("tool_started",))) >= count

    wait_for("a slow command", begun)


@dataclass(frozen=True)
class Stage:
    """A run that was asked for, and what its model is sent."""

    mill: Mill
    endpoint: Recorder
    run: str

    def say(self, text: str) -> str:
        """Say it to the spec's run, and what the command says."""
        done = self.mill.run("say", self.run, text)
        assert not done.returncode, done.stderr
        return done.stdout + done.stderr

    def ended(self) -> None:
        """Wait for the end, to which everything could be rebuilt."""
        wait_for("the end", lambda: self.mill.json("show", self.run)["state"] in {"done", "stopped"})
        shown = self.mill.json("show", self.run)
        assert shown["state"] == "done", shown["reason"]
        rebuilt = self.mill.run("requests", f"{self.run}-1")
        assert rebuilt.returncode == 0, rebuilt.stdout
        assert "differs" not in rebuilt.stdout

    def heard(self) -> list[int]:
        """Numbers of the words that the ledger says were heard."""
        with self.mill.door() as door:
            return [json.loads(each.body)["number"] for each in door.ledger.read(names=("word_heard",))]

    def times(self, text: str) -> list[int]:
        """How often *text* stands in each question of the developer."""
        bodies = [json.loads(body) for body in self.endpoint.bodies]
        asked = [json.dumps(body["messages"], ensure_ascii=False) for body in bodies]
        return [each.count(text) for each in asked]


@pytest.fixture
def begin(scripted: ScriptedFactory, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Ask for a run whose developer says *turns*."""
    with ExitStack() as stack:

        def go(*turns: dict[str, Any]) -> Stage:
            checkout = repository(tmp_path / "calc")
            (tmp_path / "SPEC.md").write_text(SPEC.format(title=""))
            endpoint = stack.enter_context(recording(scripted(script(*turns)).url))
            named = {"NIGHTMILL_MODEL": MODELS["anthropic"], "NIGHTMILL_BASE_URL": endpoint.url}
            mill = Mill(folder=tmp_path).given(**named, NIGHTMILL_PLAN="single")
            assert not mill.run("init", at=checkout).returncode
            stack.enter_context(mill.worker())
            asked = mill.run("run", tmp_path / "SPEC.md", "--detach", at=checkout)
            assert not asked.returncode, asked.stderr
            return Stage(mill, endpoint, asked.stdout.strip())

        yield go


def test_what_is_said_is_heard_once_though_the_worker_dies_before_it_is_stored(begin: Callable[..., Stage]) -> None:
    stage = begin(LOOK, SLOW, SLOW, EDIT, TRY, FINISH)
    waits(stage.mill, 1)
    stage.say("Keep the name: ünï.")
    waits(stage.mill, 2)  # the question before it is the first that held the word; no record has it yet
    with stage.mill.door() as door:
        (worker,) = Workers(door.database).alive(stale_seconds=60)
    os.kill(worker.pid, signal.SIGKILL)
    with stage.mill.worker():
        stage.ended()

    assert stage.heard() == [1]
    times = stage.times("Keep the name: ünï.")
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0, 1), "once in each question after it was said"
    assert len(times) <= 6 + 1, "one may have been under way when the worker died"
    late = stage.mill.run("say", stage.run, "Too late.")
    assert late.returncode
    assert "hears nothing any more" in late.stderr


def test_what_is_said_to_a_paused_run_is_the_first_that_it_hears_when_it_goes_on(begin: Callable[..., Stage]) -> None:
    stage = begin(LOOK, SLOW, EDIT, TRY, FINISH)
    waits(stage.mill, 1)
    stage.mill.run("pause", stage.run)
    wait_for("the pause", lambda: stage.mill.json("show", f"{stage.run}-1")["state"] == "paused")
    assert f"nightmill resume {stage.run}-1" in stage.say("Mind the sign.")
    stage.mill.run("resume", stage.run)
    stage.ended()

    assert stage.heard() == [1]
    times = stage.times("Mind the sign.")
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0, 1)


ONCE: dict[str, Any] = {
    "text": "I leave a mark.",
    "tool_calls": [{"name": "run_command", "arguments": {"command": "test ! -e mark && touch mark && rm calc.py"}}],
}
MEND: dict[str, Any] = {
    "text": "I take it back.",
    "tool_calls": [
        {"name": "run_command", "arguments": {"command": "rm mark; git checkout -q calc.py; sed -i s/-/+/ calc.py"}}
    ],
}


def test_a_run_goes_on_from_an_earlier_turn_as_another_with_files_and_conversation_as_they_were(
    begin: Callable[..., Stage],
) -> None:
    stage = begin(LOOK, EDIT, ONCE, MEND, TRY, FINISH)
    stage.ended()
    before = len(stage.endpoint.bodies)
    old = stage.mill.json("show", f"{stage.run}-1")

    made = stage.mill.run("rewind", f"{stage.run}-1", "--to", "2", "--instruction", "Leave no mark.")
    assert not made.returncode, made.stderr
    run = made.stdout.strip()
    wait_for("the end", lambda: stage.mill.json("show", run)["state"] in {"done", "stopped"})

    new = stage.mill.json("show", run)
    assert new["state"] == "done", new["reason"]
    assert stage.mill.json("show", f"{stage.run}-1") == old, "the old one stays as it is"
    assert new["pull_request"] != old["pull_request"]
    asked = [json.loads(body)["messages"] for body in stage.endpoint.bodies[before:]]
    assert len(asked) == 4, "the first two turns are taken along and not paid again"
    first = json.dumps(asked[0])
    assert "Leave no mark." in first
    assert "The sign is wrong." in first
    assert "I leave a mark." not in first
    assert "(exit 1" not in json.dumps(asked), "there was no mark: the files are those of then"
    rebuilt = stage.mill.run("requests", run)
    assert rebuilt.returncode == 0, rebuilt.stdout
    assert rebuilt.stdout.count("as sent") == 4

    for name, turn, words in ((stage.run, "1", "run of a spec"), (f"{stage.run}-1", "9", "developer 1 to 5")):
        refused = stage.mill.run("rewind", name, "--to", turn)
        assert refused.returncode, refused.stdout
        assert words in refused.stderr
