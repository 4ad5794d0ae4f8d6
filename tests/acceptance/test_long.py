"""A conversation of 300 turns with 5 MB of output, at an endpoint that takes 100,000 tokens and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ScriptedFactory
from tests.recorder import recording
from tests.whole import EDIT, FINISH, LOOK, MODELS, SPEC, TRY, Mill, repository, script

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

WINDOW = 100_000
FAILED = "reading the sum from the docstring gives the wrong sign"


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def todo(state: str) -> dict[str, Any]:
    items = [{"text": "find out why adding subtracts", "state": state}, {"text": "add a case to the tests"}]
    return call("update_todo", items=[items[0], {**items[1], "state": "done" if state == "done" else "pending"}])


def pour(number: int) -> dict[str, Any]:
    """About 17 kB of output, each time another."""
    return {
        "text": f"Step {number}.",
        **call("run_command", command=f"seq -w {number}000000 {number}002100 | head -c 17500"),
    }


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_it_finishes_with_its_anchor_its_list_and_its_failed_approaches(
    scripted: ScriptedFactory, tmp_path: Path, dialect: str
) -> None:
    turns = (
        LOOK,
        todo("doing"),
        call("remember", kind="failed_approach", text=FAILED),
        *(pour(number) for number in range(10, 304)),
        EDIT,
        TRY,
        todo("done"),
        FINISH,
    )
    checkout = repository(tmp_path / "calc")
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""))
    model = scripted(script(*turns), "--context-tokens", str(WINDOW))
    with recording(model.url) as endpoint:
        mill = Mill(folder=tmp_path).given(
            NIGHTMILL_MODEL=MODELS[dialect],
            NIGHTMILL_BASE_URL=endpoint.url,
            NIGHTMILL_PLAN="single",
            NIGHTMILL_BUDGET_TURNS="400",
            NIGHTMILL_BUDGET_TOKENS="100000000",
            NIGHTMILL_BUDGET_MONEY="1000",
        )
        assert not mill.run("init", at=checkout).returncode
        done = mill.run("run", tmp_path / "SPEC.md", at=checkout, seconds=300)
    assert not done.returncode, done.stdout[-3000:] + done.stderr

    bodies = [body.decode() for body in endpoint.bodies]
    assert len(bodies) == len(turns) + 0
    log = model.log()
    assert all(each["status"] == 200 for each in log), "no request was too long"
    assert max(each["input_tokens"] for each in log) < WINDOW
    with mill.door() as door:
        told = [entry.event() for run in door.runs.list() for entry in door.ledger.read(run=run.id)]
    shown = sum(len(part) for body in bodies[-1:] for part in [body])
    poured = 294 * 16_000
    assert shown < poured / 10
    layers = {each.layer for each in told if each.name == "context_compacted"}  # type: ignore[attr-defined]
    assert "results" in layers
    for body in bodies[3:]:
        request = json.loads(body)
        text = json.dumps(request["messages"], ensure_ascii=False)
        assert "calc.add` subtracts" in text
        assert FAILED in text
        assert "find out why adding subtracts" in text
        assert "Your task: Adding gives the sum" in text
    hits = sum(each["cached_tokens"] for each in log) / sum(each["input_tokens"] for each in log)
    assert hits > 0.7
