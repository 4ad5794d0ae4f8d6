"""A long output in a run: its middle is not shown, and read in a later turn."""

from __future__ import annotations

import pytest

from bench import crash
from bench.stage import Stage, call, play, shell

pytestmark = pytest.mark.slow


def test_what_was_left_out_is_found_in_a_later_turn(stage: Stage) -> None:
    long = shell("for n in $(seq 60000); do echo number $n; done")
    look = {"tool_calls": [call("read_output", reference="{{$reference}}", pattern="number 33333$")]}
    script = play(long, look, shell("echo {{$found}} > found.txt"), *crash.SCRIPT["roles"]["developer"]["turns"])
    script["roles"]["developer"]["vars"] = {"reference": "(out-[0-9a-f]{10})", "found": "(33333:number 33333)"}
    with stage.model(script) as model:
        assert stage.ask(model).wait(120) == 0, (stage.folder / "said.log").read_text()

    (pull,) = stage.pulls()
    assert stage.hub.show(f"refs/heads/{pull['branch']}", "found.txt") == b"33333:number 33333\n"
    (kept,) = (stage.home / "runs" / stage.run("task").id / "outputs").iterdir()
    assert kept.read_text().splitlines()[33_332] == "number 33333"
