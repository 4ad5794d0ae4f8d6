"""What the guide has a program do: start a run, follow it, and say yes to what it asks."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nightmill import event as e
from nightmill.estate.file import load
from nightmill.store import projects
from tests import whole
from tests.client.conftest import role
from tests.server.conftest import TREE, House, door_of, served

GUIDE = Path(__file__).parents[2] / "docs/guides/python.md"
PATIENCE = 60.0


def at_work(house: House) -> None:
    """What a worker and an agent would do, as far as the ledger shows it."""
    deadline = time.monotonic() + PATIENCE
    while not (runs := house.door.runs.list()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run = runs[0].id
    house.tell(e.RunStarted(run=run, worker="w"))
    question = house.asks(run, title="Merge it?")
    while (found := house.door.questions.get(question)).state == "open":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert found.tree == TREE
    house.tell(e.RunDone(run=run))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A server that knows a model."""
    with served(door_of(tmp_path / "home", model="anthropic:m")) as made:
        yield made


def test_the_program_of_the_guide_starts_follows_and_approves(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    root = whole.repository(tmp_path / "calc")
    project = load(root).id
    projects.keep(house.door.database, projects.Known(id=project, root=root, hub=tmp_path / "hub", added=0.0))
    owner = house.let_in("ada@example.org", role("operator"), role("approver"))
    token = house.site.keys.make("program", owner=owner, scopes=("view", "operate", "approve"), seconds=3600)
    (tmp_path / "SPEC.md").write_text(whole.SPEC.format(title=""))
    monkeypatch.chdir(tmp_path)
    put: list[str] = []
    given: dict[str, Any] = {"address": house.url, "token": token, "project": project}
    worker = threading.Thread(target=at_work, args=(house,))
    worker.start()

    exec(compile(program, str(GUIDE), "exec"), {**given, "input": lambda words: put.append(words) or "It is right."})

    worker.join(PATIENCE)
    (asked,) = put
    assert asked.startswith("Merge it?")
    (run,) = house.door.runs.list()
    (question,) = house.door.questions.of(run.id)
    assert (question.state, question.answer, question.by) == ("granted", "It is right.", "Ada <ada@example.org>")
    said = capsys.readouterr().out
    assert f"{run.id} question_decided" in said
    assert said.endswith("done\n")
    assert len(program.splitlines()) < 20
