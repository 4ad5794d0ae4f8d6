"""Every request of a finished run can be rebuilt from its ledger, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightmill.line import replay
from nightmill.line.assignment import read
from tests.conftest import ScriptedFactory
from tests.recorder import recording
from tests.whole import EDIT, FINISH, LOOK, MODELS, SPEC, TRY, Mill, repository, script

pytestmark = pytest.mark.slow

LONG = tuple(
    {"tool_calls": [{"name": "run_command", "arguments": {"command": f"seq {number} {number + 1000}"}}]}
    for number in range(14)
)
NOTE = {
    "tool_calls": [
        {"name": "remember", "arguments": {"kind": "failed_approach", "text": "swapping the operands fails: ünï"}},
        {"name": "update_todo", "arguments": {"items": [{"text": "mend add", "state": "doing"}]}},
    ]
}
EXPLORE = {
    "tool_calls": [
        {"name": "explore", "arguments": {"questions": [{"question": f"Where is part {at}?"} for at in (1, 2)]}}
    ]
}
REPORT = {"tool_calls": [{"name": "report", "arguments": {"findings": "It is in calc.py:4."}}]}
DONE = {"tool_calls": [{"name": "update_todo", "arguments": {"items": [{"text": "mend add", "state": "done"}]}}]}
TURNS = (LOOK, NOTE, EXPLORE, *LONG, {"text": "Only words."}, FINISH, EDIT, TRY, DONE, FINISH)
"""Long enough to be compacted at a small bound, with a nudge, and work that is sent back once."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return repository(tmp_path_factory.mktemp("replay") / "calc")


@pytest.mark.parametrize("dialect", list(MODELS))
def test_a_finished_run_is_rebuilt_to_what_the_endpoint_saw(
    scripted: ScriptedFactory, tmp_path: Path, dialect: str
) -> None:
    checkout = repository(tmp_path / "calc")
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""))
    played = script(*TURNS)
    played["roles"]["explorer"] = {"system": "You are an explorer", "turns": [LOOK, REPORT]}
    model = scripted(played)
    with recording(model.url) as endpoint:
        mill = Mill(folder=tmp_path).given(
            NIGHTMILL_MODEL=MODELS[dialect], NIGHTMILL_BASE_URL=endpoint.url, NIGHTMILL_COMPACT_TOKENS="16000"
        )
        made = mill.run("init", at=checkout)
        assert not made.returncode, made.stderr
        done = mill.run("run", tmp_path / "SPEC.md", at=checkout, seconds=240)
    assert not done.returncode, done.stderr + mill.run("log", "r", at=checkout).stdout

    with mill.door() as door:
        rebuilt = []
        for run in sorted(door.runs.list(), key=lambda run: run.id):
            assignment = read(door.blobs.get(run.assignment))
            rebuilt += replay.requests(run.id, assignment=assignment, ledger=door.ledger, blobs=door.blobs)
        task = next(run for run in door.runs.list() if run.kind == "task")
        layers = [
            json.loads(each.body)["layer"] for each in door.ledger.read(run=task.id, names=("context_compacted",))
        ]

    # Explorers go side by side: what order they are asked in is not told.
    assert sorted(each.body for each in rebuilt) == sorted(endpoint.bodies)
    assert [each.role for each in rebuilt].count("explorer 3.1") == 2
    assert all(each.same for each in rebuilt)
    assert "results" in layers
    mine = [each.body for each in rebuilt if each.role == "developer"]
    assert all(b"swapping the operands fails" in body for body in mine[3:])
    assert "It is in calc.py:4." in mine[3].decode()
    asked = mill.run("requests", task.id)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.count("as sent") == len(endpoint.bodies) - 1
    assert mill.run("requests", task.id, "5").stdout.encode() == mine[4] + b"\n"
