"""Two of everything: runs on one repository, workers on one store, and one of them dies."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from bench import crash
from bench.stage import Model, Stage, shell, until

pytestmark = pytest.mark.slow


def test_two_runs_at_once_on_one_repository_become_two_pull_requests(stage: Stage) -> None:
    with stage.model(crash.SCRIPT) as model:
        asked = [stage.ask(model) for _ in range(2)]
        codes = [process.wait(120) for process in asked]

    assert codes == [0, 0], (stage.folder / "said.log").read_text()
    pulls = stage.pulls()
    assert sorted(pull["number"] for pull in pulls) == [1, 2]
    assert len({pull["tree"] for pull in pulls}) == 1
    assert len({pull["branch"] for pull in pulls}) == 2
    assert each_request_was_made(model, times=2)
    undisturbed(stage, runs=4)


def test_two_workers_on_one_sqlite_file_share_the_work_without_doing_any_twice(stage: Stage) -> None:
    with stage.model(crash.SCRIPT) as model:
        workers = [stage.start("worker", "--until-idle", "2") for _ in range(2)]
        until(lambda: len(stage.beats()) == 2, what="two workers")

        asked = [stage.ask(model) for _ in range(2)]
        codes = [process.wait(120) for process in [*asked, *workers]]

    assert codes == [0] * 4, (stage.folder / "said.log").read_text()
    assert sorted(pull["number"] for pull in stage.pulls()) == [1, 2]
    assert len({pull["tree"] for pull in stage.pulls()}) == 1
    assert each_request_was_made(model, times=2)
    undisturbed(stage, runs=4)


def test_the_run_of_a_worker_that_dies_is_adopted_by_one_that_lives(stage: Stage) -> None:
    work = crash.SCRIPT["roles"]["developer"]["turns"]
    script = crash.play(*work[:2], shell("sleep 3"), *work[2:])
    with stage.model(script) as model:
        for _ in range(2):
            stage.start("worker")
        until(lambda: len(stage.beats()) == 2, what="two workers")
        asked = stage.ask(model)
        until(lambda: [each for each in stage.events("tool_started") if '"run_command"' in each.body], what="a command")
        dead = pid_of(stage.run("task").worker)

        os.kill(dead, signal.SIGKILL)

        # By the process table: by missed beats it would be seen after 20 seconds.
        until(lambda: stage.events("run_recovered"), what="its adoption")
        assert asked.wait(120) == 0, (stage.folder / "said.log").read_text()

    (alive,) = (pid for pid in stage.beats() if pid != dead)
    assert pid_of(stage.run("task").worker) == alive
    assert len(stage.pulls()) == 1
    assert stage.sandboxes() == []


def pid_of(worker: str) -> int:
    """The process of a worker, which its name holds: host, process, chance."""
    return int(worker.split("-")[-2])


def each_request_was_made(model: Model, *, times: int) -> bool:
    """Whether each turn of each role was asked for once per run."""
    found = Counter((line["role"], line["turn"]) for line in model.requests())
    turns = [("architect", 0), *(("developer", turn) for turn in range(9))]
    return found == dict.fromkeys(turns, times)


def undisturbed(stage: Stage, *, runs: int) -> None:
    """All runs are done, each was started once and never recovered, and the ledger's chain holds."""
    assert [run.state for run in stage.runs()] == ["done"] * runs
    assert len(stage.events("run_started")) == runs
    assert stage.events("run_recovered") == []
    assert Counter(Counter(each.run for each in stage.events("turn_finished")).values()) == {
        1: runs // 2,
        9: runs // 2,
    }
    assert stage.broken() is None
