"""A backup that is taken in the midst of a run is a home in which that run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import crash
from bench.stage import Stage, descendants, play, until
from nightmill.sandbox.disk.layers import remove

pytestmark = pytest.mark.slow

TURNS = crash.SCRIPT["roles"]["developer"]["turns"]
SILENT = 4
"""The turn to which the first model gives no answer."""


def test_a_run_in_a_backup_goes_on_elsewhere_to_the_same_tree_and_pays_for_no_turn_twice(stage: Stage) -> None:
    file, before = stage.folder / "backup.tar", list(descendants())
    file.unlink(missing_ok=True)
    with stage.model(play(*TURNS[:SILENT], {**TURNS[SILENT], "latency_s": 600})) as model:
        stage.ask(model)
        until(lambda: stage.runs(kind="task") and stage.run("task").turns == SILENT, what="the turn before")
        stage.call("backup", str(file))
        stage.end(but=before)
    stage.renew()
    other = Stage(stage.folder / "elsewhere", settings=stage.settings)
    remove(other.folder)
    other.folder.mkdir()
    other.repo.symlink_to(stage.repo)

    with stage.model(crash.SCRIPT, port=int(model.url.rpartition(":")[2])) as second:
        other.call("restore", str(file))
        assert (other.run("task").state, other.run("task").turns) == ("running", SILENT)
        other.call("worker", "--until-idle", "0.5")
        requests = crash.paid(second, 0)
        usual = crash.unharmed(stage, second)

    looked = [fault for look in crash.LOOKS for fault in look(other, usual)]
    assert looked == []
    assert {kind for kind, _ in requests} == {"developer"}, "the plan is in the backup"
    assert sorted(requests.elements()) == [("developer", turn) for turn in range(SILENT, len(TURNS))]
    assert other.events("run_recovered")
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(Path(each).name for each in other.home.glob(".*")) == []
