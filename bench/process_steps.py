"""The price of a step that asks no model: what the walk, its checkpoint and the ledger take on top of what it does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from bench.figures import Figure, spread
from bench.stage import Stage, play

__all__ = ["blueprints", "figures"]

COUNT = 100
GOAL = 15.0
INPUTS = "inputs: {findings: '[]', results: '[]'}"

BLOCKS = {
    "run": [f"{{id: s{at}, run: 'true'}}" for at in range(COUNT)],
    "python": [f"{{id: s{at}, python: findings.settle, {INPUTS}}}" for at in range(COUNT)],
    "emit": [f"{{id: s{at}, emit: fact, data: {{n: '{at}'}}}}" for at in range(COUNT)],
    "when": [
        "{id: s0, emit: fact}",
        *(f"{{id: s{at}, emit: fact, when: 'steps.s{at - 1}.ok and {at} > 0'}}" for at in range(1, COUNT)),
    ],
    "repeat": [
        f"{{id: s{at}, repeat: 20, until: 'round >= 20', steps: [{{id: e{at}, emit: fact}}]}}"
        for at in range(COUNT // 20)
    ],
    "call": [f"{{id: s{at}, call: called}}" for at in range(COUNT)],
}
"""By what they show: steps of one kind, as lines of YAML."""

SAID = {
    "run": f"a `run` step of `true`, of {COUNT} in a row",
    "python": "a `python` step",
    "emit": "an `emit` step",
    "when": "an `emit` step with a condition on the one before",
    "repeat": "a round of a `repeat` with one `emit` step",
    "call": "a `call` of a blueprint with one `emit` step",
}


def blueprints() -> dict[str, str]:
    """The files of the blueprints that are run, by their names."""
    files = {_file(name): _blueprint(_file(name), steps) for name, steps in BLOCKS.items()}
    files["called"] = _blueprint("called", ["{id: e, emit: fact}"])
    return {**files, "all": _blueprint("all", [f"{{id: {name}, call: {_file(name)}}}" for name in BLOCKS])}


def figures(stage: Stage) -> Iterator[Figure]:
    """One run through `COUNT` steps of each kind, between whose ends the ledger says how long they took."""
    folder = stage.home / "blueprints"
    folder.mkdir(exist_ok=True)
    for name, text in blueprints().items():
        (folder / f"{name}.yaml").write_text(text)
    stage.call("blueprint", "approve", "all")
    stage.settings = {**stage.settings, "NIGHTMILL_PLAN": "single"}
    with stage.model(play()) as model:
        assert stage.ask(model, "--blueprint", "all").wait(240) == 0, f"see {stage.folder / 'said.log'}"
    told = [(each.at, each.event()) for each in stage.events("step_finished")]
    for name, said in SAID.items():
        took = _gaps(told, name)
        yield Figure(name=said, unit=" ms", values=spread(took, scale=1000), goal=GOAL)
        if name == "run":
            bare = [_seconds(stage, each) for _, each in told if _of(each, name)]
            yield Figure(name="of it the command itself, in the sandbox", unit=" ms", values=spread(bare, scale=1000))


def _gaps(told: list[tuple[float, Any]], name: str) -> list[float]:
    """Seconds between the ends of the steps of the block *name*."""
    return [after - before for before, after in pairwise(at for at, each in told if _of(each, name))]


def _of(told: Any, name: str) -> bool:
    """Whether a step is one of those that are counted in the block *name*: of a loop its rounds, else not what is within."""
    depth = told.step.count("/")
    return bool(told.step.startswith(f"{name}/")) and depth == (2 if name == "repeat" else 1)


def _seconds(stage: Stage, told: Any) -> float:
    import json  # noqa: PLC0415

    from nightmill.store.blobs import Blobs  # noqa: PLC0415

    found: dict[str, Any] = json.loads(Blobs(stage.home / "blobs").get(told.value))
    return float(found["seconds"])


def _file(name: str) -> str:
    return f"block-{name}"


def _blueprint(name: str, steps: list[str]) -> str:
    return "\n".join([f"name: {name}", "steps:", *(f"  - {step}" for step in steps), ""])
