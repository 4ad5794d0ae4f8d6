"""What waits costs nothing: law 1, no model in the control loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import crash
from bench.stage import Stage, play, until

pytestmark = pytest.mark.slow


def test_an_idle_worker_makes_no_model_request(stage: Stage) -> None:
    with stage.model(crash.SCRIPT) as model:
        assert stage.ask(model).wait(120) == 0
        spent = len(model.requests())

        stage.wait_for_beats(2)

        assert stage.beats(), "the worker ended too early"
        assert len(model.requests()) == spent
        assert stage.sandboxes() == []


def test_a_parked_run_holds_no_sandbox_and_asks_nothing(stage: Stage) -> None:
    look, edit, *rest = crash.SCRIPT["roles"]["developer"]["turns"]
    away = {**rest[0], "fault": {"kind": "overloaded", "times": "always"}}
    stage.settings |= {"NIGHTMILL_PARK_SECONDS": "3600", "NIGHTMILL_RETRIES": "0"}
    with stage.model(play(look, edit, away)) as model:
        stage.ask(model)
        until(lambda: stage.events("run_parked"), what="parking")
        stage.wait_for_beats(1)
        spent = len(model.requests())

        stage.wait_for_beats(1)

        assert stage.run("task").state == "parked"
        assert len(model.requests()) == spent
        assert stage.sandboxes() == []
        assert str(stage.home) not in Path("/proc/self/mountinfo").read_text()
