"""A blueprint with a script in an agent's place is still a blueprint: what reads the step's names reads them still."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from nightmill import crew
from nightmill.blueprint import Blueprint, Known, Step, checked, parse, walk
from nightmill.blueprint.nouns import AgentStep, CheckStep
from nightmill.blueprint.shelves import shipped
from nightmill.blueprint.writing import write
from nightmill.errors import SettingsError
from nightmill.improve import Distilled, Swap, Trap, find, lacking
from nightmill.improve.swap import Place
from nightmill.improve.values import Value
from nightmill.line.process import functions
from nightmill.line.process.walk import At, Ended, Outcome
from nightmill.line.process.walk import walk as go

SHIPPED = {name: parse(body, source=name) for name, body in shipped().files.items() if not name.endswith(".test.yaml")}
KNOWN = Known(
    blueprints={each.name: each for each in SHIPPED.values()},
    roles={each.name: each for each in crew.find().roles},
    functions=functions.SIGNATURES,
)
MADE = Distilled(
    script="true\n",
    seconds=60.0,
    tree="",
    values=(Value(name="version", text="1.3.0", whence="the words of the task"),),
    kept=(),
    dropped=(),
    traps=(Trap(tried="bump {{ it }}", said="not found", instead="sed"),),
    notes=(),
    flags=(),
    tries=1,
    minimal=True,
)


def read(text: str) -> Blueprint:
    return checked(parse(text.encode(), source="own.yaml"), KNOWN)


def swapped(place: Place, *, check: bool = True, name: str = "own") -> Swap:
    proof = CheckStep(id="any", check="all") if check else None
    return Swap(name, place, MADE, 1 if place.loops else 0, proof)


def again(swap: Swap) -> Blueprint:
    """What a person reads of it, and the loader passes."""
    return checked(parse(write(swap.blueprint), source="own.yaml"), KNOWN)


def agents(blueprint: Blueprint) -> list[Place]:
    """Each step of an agent that is not in a loop within a loop."""
    found = []
    for step in walk(blueprint.steps):
        if isinstance(step, AgentStep):
            loops = [each for each in walk(blueprint.steps) if each is not step and step in _inside(each)]
            found.append(Place(blueprint=blueprint, step=step, loops=len(loops)))
    return found


def _inside(step: Step) -> list[Step]:
    return [*walk((step,))][1:]


EVERY = [(each.name, place.step.id, place) for each in SHIPPED.values() for place in agents(each)]


@pytest.mark.parametrize(("blueprint", "step", "place"), EVERY, ids=[f"{one}-{other}" for one, other, _ in EVERY])
def test_each_shipped_agent_gives_way_or_it_is_said_what_only_it_gives(blueprint: str, step: str, place: Place) -> None:
    why = lacking(place)
    if why:
        assert f"steps.{step}." in why
        return
    for check in (True, False):
        found = again(swapped(place, check=check))
        ids = [each.id for each in walk(found.steps)]
        kept = [each for each in ids if each not in {f"{step}_script", f"{step}_proof"}]
        assert kept == [each.id for each in walk(place.blueprint.steps)], "all others are there, in their order"
        assert ids[ids.index(step) - (2 if check else 1)] == f"{step}_script"
        assert found.outputs.keys() == place.blueprint.outputs.keys()
        assert "version" in found.inputs


OWN = """name: own
inputs: {fast: {type: boolean, default: false}}
steps:
  - {id: first, agent: developer, goal: "Begin."}
  - id: build
    when: not inputs.fast
    title: Build it
    agent: developer
    goal: "Build {{ task.title }}."
    goes_on: first
    again: "Now build."
  - {id: last, agent: developer, goal: "End: {{ steps.build.summary }}", goes_on: build, again: "End."}
  - {id: look, run: "true", when: steps.build.ok and steps.build.ran, env: {SAID: steps.build.summary, N: steps.build.changed | length}}
  - {id: never, run: "true", when: "steps['build']['ok'] == 'steps.build.ok'"}
outputs: {said: steps.build.summary, ok: steps.build.ok}
"""


class Doing:
    """The `Doer` that says what each step comes to: of agents that they did it, of others what is given."""

    def __init__(self, gives: Mapping[str, bool]) -> None:
        self.gives = gives
        self.did: list[str] = []
        self.env: dict[str, Any] = {}

    async def do(self, step: Step, at: At) -> Outcome:
        self.did.append(at.path)
        if step.id == "look":
            self.env = await at.values_of(step.env)
        return Outcome(ok=self.gives.get(at.path, True), value={"summary": f"I did {step.id}.", "changed": ["x"]})

    async def given(self, name: str, part: str) -> Any:
        return ["a", "b"] if (name, part) == ("change", "files") else ""


def gone(blueprint: Blueprint, inputs: dict[str, Any], **gives: bool) -> tuple[Doing, Ended]:
    doing = Doing({path.replace("__", "/").replace("_at_", "."): ok for path, ok in gives.items()})
    return doing, asyncio.run(go(blueprint, inputs, doer=doing, blueprints={}))


def own() -> Swap:
    text = OWN.replace("  - {id: never, run: \"true\", when: \"steps['build']['ok'] == 'steps.build.ok'\"}\n", "")
    place = find((read(text),), "build")
    assert place is not None
    return swapped(place)


def test_the_script_stands_for_the_agent_in_all_that_reads_of_it() -> None:
    doing, ended = gone(again(own()), {})

    assert doing.did == ["first", "build_script", "build_proof", "last", "look"]
    assert doing.env == {"SAID": "Done by the script in place of build.", "N": 2}
    assert ended.outputs == {"said": "Done by the script in place of build.", "ok": True}


@pytest.mark.parametrize("fails", ["build_script", "build_proof"])
def test_the_agent_comes_in_where_the_script_or_the_check_after_it_fails(fails: str) -> None:
    found = again(own())
    doing, ended = gone(found, {}, **{fails: False})

    assert doing.did[-3:] == ["build", "last", "look"]
    assert ended.outputs == {"said": "I did build.", "ok": True}
    agent = next(each for each in walk(found.steps) if each.id == "build")
    assert isinstance(agent, AgentStep)
    assert agent.goal.startswith("Build {{ task.title }}.")
    assert "bump { { it } }: it said 'not found'. What worked: sed" in agent.goal, "a trap is no template"
    assert agent.goes_on == "first"
    assert "bump { { it } }" in agent.again, "in a conversation that goes on, too"


def test_what_was_left_out_is_left_out_still() -> None:
    doing, ended = gone(again(own()), {"fast": True})

    assert doing.did == ["first", "last"]
    assert ended.outputs == {"said": None, "ok": None}


def test_in_a_loop_the_script_has_one_round_and_the_agent_the_others() -> None:
    solo = KNOWN.blueprints["solo"]
    place = find((solo,), "work.1/implement")
    assert place is not None
    found = again(swapped(place))

    once, _ = gone(found, {})
    twice, _ = gone(found, {}, work_at_1__proof=False)
    late = again(replace(swapped(place), round=2))
    second, _ = gone(late, {}, work_at_1__proof=False)

    assert once.did == ["work.1/implement_script", "work.1/implement_proof", "work.1/proof", "land"]
    assert twice.did[3:] == ["work.2/implement", "work.2/proof", "land"]
    assert second.did == [
        "work.1/implement",
        "work.1/proof",
        "work.2/implement_script",
        "work.2/implement_proof",
        "work.2/proof",
        "land",
    ]
    agent = next(each for each in walk(found.steps) if isinstance(each, AgentStep))
    assert not agent.prompt
    assert agent.inputs["criteria"] == "task.criteria"
    assert "Do not weaken, skip or delete tests" in agent.goal, "who begins in a later round hears of the one before"


def test_up_to_the_script_nobody_is_asked_for_more() -> None:
    place = find((KNOWN.blueprints["solo"],), "work.1/implement")
    assert place is not None
    swap = swapped(place)

    doing, ended = gone(swap.until_then(swap.blueprint), {}, work_at_1__implement_script=False)

    assert doing.did == ["work.1/implement_script"]
    assert ended.kind == "done"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            "  - {id: x, run: 'true', env: {A: steps.build.output.files}}",
            "`env.A` of the step x reads steps.build.output",
        ),
        ("  - {id: x, emit: fact, data: {a: steps.build.turns}}", "`data.a` of the step x reads steps.build.turns"),
        ("  - {id: x, run: 'true', when: 'steps[\"build\"].ok'}", "`when` of the step x reads steps.build.ok"),
        ("  - {id: x, stop: '{{ steps }}'}", "`stop` of the step x reads steps"),
    ],
)
def test_what_only_an_agent_gives_is_named(more: str, why: str) -> None:
    place = find(
        (parse(OWN.replace("  - {id: never", f"{more}\n  - {{id: never").encode(), source="own.yaml"),), "build"
    )

    assert place is not None
    assert lacking(place).startswith(why)


def test_where_the_way_leads_through_what_is_called_and_through_loops() -> None:
    inner = read("name: inner\nsteps:\n  - {id: a, agent: developer, goal: x}\n")
    outer = parse(
        b"name: outer\nsteps:\n  - id: loop\n    repeat: 2\n    until: steps.c.ok\n    steps:\n      - {id: c, call: inner}\n"
        b"  - {id: once, call: inner}\n  - id: deep\n    repeat: 2\n    until: steps.two.ok\n    steps:\n"
        b"      - {id: two, repeat: 2, until: steps.b.ok, steps: [{id: b, agent: developer, goal: x}]}\n",
        source="outer.yaml",
    )

    def way(path: str) -> tuple[str, int, bool, bool] | None:
        place = find((outer, inner), path)
        return (place.blueprint.name, place.loops, place.called, place.again) if place else None

    assert way("once/a") == ("inner", 0, True, False)
    assert way("loop.1/c/a") == ("inner", 0, True, True)
    assert way("deep.1/two.2/b") == ("outer", 2, False, False)
    assert way("loop.1") is None


def test_a_text_that_becomes_too_long_is_refused_and_not_cut() -> None:
    long = OWN.replace("when: steps.build.ok and steps.build.ran", f"when: {' or '.join(['steps.build.ok'] * 100)}")
    place = find((parse(long.encode(), source="own.yaml"),), "build")
    assert place is not None

    with pytest.raises(SettingsError, match="when"):
        parse(write(swapped(place).blueprint), source="own.yaml")
