"""A spec that failed and is tried again: the second run is told what the first one tried, and how that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ScriptedFactory
from tests.recorder import recording
from tests.whole import FILES, FINISH, LOOK, MODELS, SPEC, WORK, Mill, commit, repository, script

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FAILED = "negating the second argument in calc.py breaks adding nothing"
NOTE = {"tool_calls": [{"name": "remember", "arguments": {"kind": "failed_approach", "text": FAILED}}]}
WRONG: dict[str, Any] = {
    "tool_calls": [{"name": "edit_file", "arguments": {"path": "calc.py", "edits": [{"old": "a - b", "new": "b"}]}}]
}
SAYS_DONE: dict[str, Any] = {
    "tool_calls": [{"name": "finish", "arguments": {"summary": "Return b alone.", "evidence": []}}]
}


ONCE = """
name: once
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: proof, check: all}
  - {id: land, change: "{{ task.title }}"}
"""
"""Work that does not pass is not sent back."""


def attempt(mill: Mill, scripted: ScriptedFactory, checkout: Path, *turns: dict[str, Any]) -> tuple[bool, list[str]]:
    """One run of the spec: whether it was done, and the requests that it made."""
    model = scripted(script(*turns))
    with recording(model.url) as endpoint:
        done = mill.given(NIGHTMILL_BASE_URL=endpoint.url).run("run", mill.folder / "SPEC.md", at=checkout, seconds=200)
    return not done.returncode, [body.decode() for body in endpoint.bodies]


def test_it_is_told_what_failed_until_the_files_change_or_a_person_deletes_it(
    scripted: ScriptedFactory, tmp_path: Path
) -> None:
    checkout = repository(tmp_path / "calc")
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""))
    mill = Mill(folder=tmp_path).given(
        NIGHTMILL_MODEL=MODELS["anthropic"], NIGHTMILL_PLAN="single", NIGHTMILL_BLUEPRINT="once"
    )
    assert not mill.run("init", at=checkout).returncode
    (mill.home / "blueprints").mkdir()
    (mill.home / "blueprints" / "once.yaml").write_text(ONCE)
    assert not mill.run("blueprint", "approve", "once", at=checkout).returncode

    done, bodies = attempt(mill, scripted, checkout, LOOK, NOTE, WRONG, SAYS_DONE, SAYS_DONE)
    assert not done
    assert not any("From earlier work" in body for body in bodies)

    done, bodies = attempt(mill, scripted, checkout, LOOK, *[FINISH] * 2)
    assert not done, "nothing was changed"
    for body in bodies:
        assert f"Tried, and failed (run {first(mill)}, same spec): {FAILED}" in body
        assert "Did not pass its checks" in body
        assert "Return b alone. — It did not pass: check 'tests' fails" in body

    kept = mill.json("notes", "list", at=checkout)
    gone = [each["id"] for each in kept if each["text"] == FAILED]
    assert not mill.run("notes", "forget", *gone, at=checkout).returncode
    assert mill.run("notes", "forget", *gone, at=checkout).returncode == 1
    done, bodies = attempt(mill, scripted, checkout, *WORK)
    assert done
    assert not any(FAILED in body for body in bodies)
    assert all("Return b alone." in body for body in bodies)

    (checkout / "calc.py").write_text((checkout / "calc.py").read_text() + "\n# Somebody was here.\n")
    commit(checkout, "A word")
    done, bodies = attempt(mill, scripted, checkout, LOOK, FINISH, FINISH)
    assert "Return b alone." not in "".join(bodies), "calc.py is another"
    with mill.door() as door:
        told = [
            entry.event()
            for run in door.runs.list()
            for entry in door.ledger.read(run=run.id, names=("notes_recalled",))
        ]
    assert sorted(each.stale > 0 for each in told) == [False, False, True]  # type: ignore[attr-defined]


def first(mill: Mill) -> str:
    """The first run of a task."""
    with mill.door() as door:
        return min((run for run in door.runs.list() if run.kind == "task"), key=lambda run: run.created).id


def test_a_check_that_failed_its_proof_is_shown_to_the_agent_and_not_run_again_until_it_insists(
    scripted: ScriptedFactory, tmp_path: Path
) -> None:
    check = "sleep 1.2; python3 -m unittest -q"
    settings = FILES["nightmill.yaml"].replace("python3 -m unittest -q", f"'{check}'")
    checkout = repository(tmp_path / "calc", {**FILES, "nightmill.yaml": settings})
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""))
    mill = Mill(folder=tmp_path).given(NIGHTMILL_MODEL=MODELS["anthropic"], NIGHTMILL_PLAN="single")
    assert not mill.run("init", at=checkout).returncode
    tries = {"tool_calls": [{"name": "run_command", "arguments": {"command": check}}]}
    mends = {
        "tool_calls": [
            {
                "name": "edit_file",
                "arguments": {"path": "calc.py", "edits": [{"old": "return b", "new": "return a + b"}]},
            }
        ]
    }
    turns = (LOOK, WRONG, SAYS_DONE, SAYS_DONE, tries, tries, mends, tries, FINISH, FINISH)
    done, bodies = attempt(mill, scripted, checkout, *turns)
    assert done

    with mill.door() as door:
        task = next(run for run in door.runs.list() if run.kind == "task")
        told = [entry.event() for entry in door.ledger.read(run=task.id)]
    names = [each.name for each in told]
    (reused,) = [each for each in told if each.name == "result_reused"]
    assert (reused.source, reused.source_turn) == (task.id, 0)  # type: ignore[attr-defined]
    assert names.count("check_finished") == 2, "a proof runs what it proves, whatever is known"
    times = [each.seconds for each in told if each.name == "tool_finished" and each.tool == "run_command"]  # type: ignore[attr-defined]
    assert [seconds > 1.2 for seconds in times] == [False, True, True]
    assert "not run now: this is how it ended" in bodies[-1]
