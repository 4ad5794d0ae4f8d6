"""A developer that goes astray, in whole runs: another model takes over, and people see what the guards saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ScriptedFactory
from tests.whole import EDIT, FINISH, LOOK, MODELS, SPEC, TRY, WORK, Mill, repository, script

pytestmark = pytest.mark.slow


def edit(old: str, new: str) -> dict[str, Any]:
    arguments = {"path": "test_calc.py", "edits": [{"old": old, "new": new}]}
    return {"text": "The test is in the way.", "tool_calls": [{"name": "edit_file", "arguments": arguments}]}


SKIP = edit("    def test_nothing", "    @unittest.skip('later')\n    def test_nothing")
BACK = edit("    @unittest.skip('later')\n", "")
LOOSEN = edit("self.assertEqual(calc.add(2, 0), 2)", "self.assertTrue(calc.add(2, 0))")


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    """A mill with a small project taken in, at `repo`, and a spec beside it."""
    made = Mill(folder=tmp_path)
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""), encoding="utf-8")
    done = made.run("init", at=repository(tmp_path / "repo"))
    assert done.returncode == 0, done.stderr
    return made


def ask(mill: Mill, *options: str) -> list[dict[str, Any]]:
    """Run the spec with the *options* of `run`; the events of its task."""
    done = mill.run("run", mill.folder / "SPEC.md", *options, at=mill.folder / "repo")
    assert done.returncode == 0, done.stdout + done.stderr
    (task,) = (run["id"] for run in mill.json("runs") if run["kind"] == "task")
    log = mill.run("log", task, "--json").stdout
    return [json.loads(line) for line in log.splitlines()]


def of(name: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each.get("body", each) for each in events if name in {each.get("name"), each.get("event")}]


def test_where_one_model_goes_in_circles_the_next_does_the_work(mill: Mill, scripted: ScriptedFactory) -> None:
    circling, working = scripted(script(*[LOOK] * 40)), scripted(script(*WORK))
    events = ask(
        mill.given(NIGHTMILL_FALLBACKS=f"{MODELS['openai']}@{working.url}/v1"),
        *("--model", MODELS["anthropic"], "--base-url", circling.url),
    )

    nudged = of("agent_nudged", events)
    assert [(each["guard"], each["measure"]) for each in nudged] == [
        ("repeated_call", "nudge"),
        ("repeated_call", "firmer"),
        ("repeated_call", "fresh"),
        ("repeated_call", "model"),
    ]
    assert [each["layer"] for each in of("context_compacted", events)] == ["fresh", "fresh"]
    (switched,) = of("model_switched", events)
    assert switched["model"].startswith(MODELS["openai"])
    assert of("pull_request_opened", events)


def test_a_test_that_was_skipped_is_sent_back_with_its_place(mill: Mill, scripted: ScriptedFactory) -> None:
    model = scripted(script(EDIT, SKIP, TRY, FINISH, FINISH, BACK, TRY, FINISH, FINISH))
    events = ask(mill, "--model", MODELS["anthropic"], "--base-url", model.url)

    assert [(each["guard"], each["measure"]) for each in of("agent_nudged", events)][:2] == [
        ("weakened_tests", "nudge"),
        ("premature_finish", "nudge"),
    ]
    (sent,) = of("sent_back", events)
    assert "test skipped: test_calc.py:7: unittest.skip" in sent["reason"]
    assert of("pull_request_opened", events)


def test_a_test_that_was_weakened_stands_in_the_pull_request(mill: Mill, scripted: ScriptedFactory) -> None:
    model = scripted(script(EDIT, LOOSEN, TRY, FINISH, FINISH))
    ask(mill, "--model", MODELS["anthropic"], "--base-url", model.url)

    shown = mill.run("pr", "show", "1", at=mill.folder / "repo").stdout
    assert "Look twice" in shown
    assert "test weakened: Sums.test_nothing_added asserts less" in shown
