"""An agent that says that it is done, again and again, while the checks fail."""

from __future__ import annotations

import pytest

from bench.stage import Stage, call, play, shell

pytestmark = pytest.mark.slow


def test_work_that_never_passes_is_sent_back_three_times_then_stops_and_is_kept(stage: Stage) -> None:
    # The first time of each round it is asked what shows its criteria; the second time it is taken at its word.
    claims = [{"tool_calls": [call("finish", summary=f"Done, {number}.")]} for number in range(8)]
    with stage.model(play(shell("echo 'raise SystemExit(1)' > prices.py"), *claims)) as model:
        asked = stage.ask(model)

        assert asked.wait(120) == 1

    task = stage.run("task")
    assert (task.state, task.why) == ("stopped", "failed")
    assert "is not done after 4 rounds: the work did not pass its checks" in task.reason
    assert len(stage.events("sent_back")) == 3
    assert stage.pulls() == []
    kept = f"refs/heads/nightmill/wip/{task.id}"
    assert stage.hub.show(kept, "prices.py") == b"raise SystemExit(1)\n"
