"""A whole run with real workers: another model takes over, and a budget of the day that is used up is waited for."""

from __future__ import annotations

import json

import pytest

from bench.stage import Stage, done, play, shell, until

pytestmark = pytest.mark.slow

WORK = (shell("echo '# reviewed' >> prices.py"), *done("Reviewed."))
DOWN = {"roles": {"all": {"turns": [{"text": "no", "fault": {"kind": "overloaded", "times": "always"}}]}}}


def test_a_run_whose_model_is_down_is_done_by_another(stage: Stage) -> None:
    with stage.model(DOWN) as down, stage.model(play(*WORK)) as well:
        stage.settings |= {"NIGHTMILL_FALLBACKS": f"openai:gpt-4o@{well.url}/v1", "NIGHTMILL_RETRIES": "0"}
        stage.settings |= {"OPENAI_API_KEY": "key"}
        assert stage.ask(down).wait(120) == 0
        asked = len(down.requests())

    assert stage.run("task").state == "done"
    switched = [json.loads(each.body) for each in stage.events("model_switched")]
    assert {each["model"] for each in switched} == {"openai:gpt-4o"}
    assert all("529" in each["reason"] for each in switched)
    turns = [json.loads(each.body) for each in stage.events("turn_finished")]
    assert {each["model"] for each in turns} == {"openai:gpt-4o"}
    assert all(each["cost"] is not None for each in turns)
    assert asked == 1, "it is not asked again before its time"


def test_a_day_that_is_used_up_is_waited_for_until_a_person_raises_it(stage: Stage) -> None:
    with stage.model(play(*WORK)) as model:
        stage.settings["NIGHTMILL_BUDGET_DAY_MONEY"] = "0.001"
        asked = stage.ask(model)
        parked = until(lambda: [run for run in stage.runs() if run.state == "parked"], what="a run that waits")
        assert parked[0].why == "time"
        assert "for this day (UTC)" in parked[0].reason
        assert model.requests() == [], "nothing was asked"

        stage.call("budget", "--raise", "5")
        assert asked.wait(120) == 0

    (day,) = (each for each in json.loads(stage.call("budget", "--json"))["today"] if each["scope"] == "day")
    turns = [json.loads(each.body) for each in stage.events("turn_finished")]
    assert day["money"] == pytest.approx(sum(each["cost"] for each in turns), abs=len(turns) * 1e-6)
    assert (day["held_money"], day["raised"]) == (0, 5)
