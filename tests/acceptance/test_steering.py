"""People and providers get in the way of a run: it pauses, goes on, stops, waits, and keeps its work."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from bench import crash
from bench.stage import Model, Stage, call, descendants, play, shell, until

pytestmark = pytest.mark.slow

LOOK, EDIT, *REST = crash.SCRIPT["roles"]["developer"]["turns"]
LONG = {"tool_calls": [call("run_command", command="echo begun > begun.txt; sleep 300", timeout=300)]}


def test_a_paused_run_spends_nothing_and_goes_on_when_it_is_resumed(stage: Stage) -> None:
    with stage.model(play(LOOK, EDIT, shell("sleep 2"), *REST)) as model:
        asked = stage.ask(model)
        until(lambda: commands(stage), what="a command")

        stage.want("pause")

        assert asked.wait(120) == 3, said(stage)  # a person must act: the terminal is free again
        assert stage.run("task").state == "paused"
        stage.wait_for_beats(1)
        spent = answered(model)
        stage.wait_for_beats(1)
        assert answered(model) == spent
        assert stage.sandboxes() == []

        stage.call("resume", stage.run("spec").id)

        until(lambda: stage.run("spec").state == "done", what="the end")
    assert len(stage.pulls()) == 1
    assert answered(model) == 1 + 10


def test_a_run_that_is_paused_for_long_is_in_no_worker_and_comes_back(stage: Stage) -> None:
    with stage.model(play(LOOK, EDIT, shell("sleep 2"), *REST)) as model:
        stage.ask(model)
        until(lambda: commands(stage), what="a command")
        stage.want("pause")
        until(lambda: in_no_worker(stage) == 2, what="the task and its spec to leave their places")

        stage.call("resume", stage.run("spec").id)

        until(lambda: stage.run("spec").state == "done", what="the end")
    assert not stage.events("run_recovered"), "to come back from waiting is no recovery"
    assert len(stage.pulls()) == 1
    assert answered(model) == 1 + 10


def in_no_worker(stage: Stage) -> int:
    """How many runs the engine keeps for nobody in particular."""
    with closing(sqlite3.connect(stage.home / "engine.db")) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM workflow_status WHERE status = 'DELAYED'").fetchone()
    return int(count)


def test_a_run_resumed_while_no_worker_was_alive_goes_on_with_the_next(stage: Stage) -> None:
    with stage.model(play(LOOK, EDIT, shell("sleep 2"), *REST)) as model:
        before = list(descendants())
        stage.ask(model)
        until(lambda: commands(stage), what="a command")
        stage.want("pause")
        until(lambda: stage.run("task").state == "paused", what="the pause")
        stage.end(but=before)

        stage.want("run")
        stage.call("worker", "--until-idle", "0.5")

    assert stage.run("task").state == "done"
    assert stage.run("spec").state == "done"


def test_a_worker_that_dies_while_somebody_watches_is_followed_by_another(stage: Stage) -> None:
    with stage.model(play(LOOK, EDIT, shell("sleep 2"), *REST)) as model:
        asked = stage.ask(model)
        until(lambda: commands(stage), what="a command")

        for worker in stage.beats():
            os.kill(worker, signal.SIGKILL)

        assert asked.wait(120) == 0, said(stage)
    assert stage.run("spec").state == "done"
    assert stage.events("run_recovered")


def test_a_pause_holds_although_a_resume_came_before_that_nobody_waited_for(stage: Stage) -> None:
    with stage.model(play(LOOK, EDIT, shell("sleep 6"), *REST)) as model:
        stage.ask(model)
        until(lambda: commands(stage), what="a command")
        stage.want("run")
        stage.wait_for_beats(1)

        stage.want("pause")

        until(lambda: stage.run("task").state == "paused", what="the pause")
        stage.wait_for_beats(1)
        assert stage.run("task").state == "paused"
        stage.want("run")
        until(lambda: stage.run("spec").state == "done", what="the end")


def test_a_run_cancelled_in_a_long_command_stops_and_its_work_stays_on_a_branch(stage: Stage) -> None:
    with stage.model(play(LOOK, EDIT, LONG, *REST)) as model:
        asked = stage.ask(model)
        until(lambda: commands(stage), what="the long command")
        until(lambda: processes("sleep 300"), what="its process")

        stage.call("pause", stage.run("spec").id)  # waits for the command's end, which does not come
        stage.call("cancel", stage.run("spec").id)

        assert asked.wait(120) == 1, said(stage)
        assert processes("sleep 300") == []
        assert stage.sandboxes() == []
    for kind in ("spec", "task"):
        assert (stage.run(kind).state, stage.run(kind).why) == ("stopped", "cancelled")
    branch = f"refs/heads/nightmill/wip/{stage.run('task').id}"
    assert "discount=0" in stage.hub.show(stage.hub.commit_of(branch), "prices.py", limit=1000).decode()
    assert stage.pulls() == []


def test_a_run_cancelled_while_it_waits_behind_another_ends_before_it_began(stage: Stage) -> None:
    stage.settings["NIGHTMILL_WORKERS"] = "1"
    with stage.model(play(LOOK, EDIT, LONG, *REST)) as model:
        stage.ask(model)
        until(lambda: commands(stage), what="the long command")
        spent = answered(model)
        behind = stage.call("run", "SPEC.md", *stage.named(model), "--detach").strip()
        assert stage.run("spec").id == behind

        stage.call("cancel", behind)

        until(lambda: stage.run("spec").why == "cancelled", what="its end")
        assert answered(model) == spent
        assert stage.run("task").state == "running"
    assert [entry.name for entry in stage.events() if entry.run == behind] == ["run_queued", "run_stopped"]


def test_a_run_goes_on_with_its_worker_when_the_terminal_is_closed(stage: Stage) -> None:
    with stage.model(crash.SCRIPT, "--latency", "0.5") as model:
        terminal = stage.ask(model)
        until(lambda: stage.events("tool_finished"), what="work")

        os.killpg(terminal.pid, signal.SIGHUP)

        assert terminal.wait(120) == -signal.SIGHUP
        until(lambda: stage.run("spec").state == "done", what="the end")
    assert len(stage.pulls()) == 1
    assert stage.events("run_recovered") == []


def test_a_run_whose_provider_is_down_waits_and_goes_on_by_itself(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PARK_SECONDS": "0.5", "NIGHTMILL_RETRIES": "0"}
    with stage.model(play(LOOK, down(EDIT), *REST)) as model:
        asked = stage.ask(model)
        until(lambda: stage.events("run_parked"), what="parking")
    (first, *_) = (json.loads(entry.body) for entry in stage.events("run_parked"))
    assert first["needs"] == "time"
    assert first["until"] > stage.events("run_parked")[0].at

    with stage.model(crash.SCRIPT, port=int(model.url.rpartition(":")[2])):
        assert asked.wait(120) == 0, said(stage)

    assert {json.loads(entry.body)["by"] for entry in stage.events("run_resumed")} == {"clock"}
    assert len(stage.pulls()) == 1


def test_a_wrong_key_stops_the_run_with_one_request_and_says_what_to_do(stage: Stage) -> None:
    stage.settings["ANTHROPIC_API_KEY"] = "sk-wrong-and-secret"
    with stage.model(crash.SCRIPT, "--key", "right") as model:
        code = stage.ask(model).wait(120)

    run = stage.run("spec")
    assert (code, run.state, run.why) == (1, "stopped", "failed")
    assert "401" in run.reason
    stop = json.loads(stage.events("run_stopped")[0].body)
    assert stop["hint"] == "check ANTHROPIC_API_KEY"
    assert len(model.requests()) == 1
    assert "sk-wrong" not in said(stage) + "".join(entry.body for entry in stage.events())


def down(turn: dict[str, Any]) -> dict[str, Any]:
    """*turn* from a provider that is overloaded for ever."""
    return {**turn, "fault": {"kind": "overloaded", "times": "always"}}


def commands(stage: Stage) -> bool:
    """Whether a command has begun."""
    return any('"run_command"' in entry.body for entry in stage.events("tool_started"))


def answered(model: Model) -> int:
    """How many requests were answered in full."""
    return sum(line["outcome"] == "ok" and line["status"] == 200 for line in model.requests())


def processes(part: str) -> list[str]:
    """Commands below this process that hold *part*."""
    return [command for command in descendants().values() if part in command]


def said(stage: Stage) -> str:
    """What the programs have said."""
    worker = stage.home / "worker.log"
    return (stage.folder / "said.log").read_text() + (worker.read_text() if worker.exists() else "")
