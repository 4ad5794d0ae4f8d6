"""A mistake is noted once whatever dies, a role is given its own notes only, and what it loses comes back by itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nightmill import event
from nightmill.agent.external import External
from nightmill.crew import Memory
from nightmill.kept import Part
from nightmill.line.process import measures, mistakes
from nightmill.line.process.proof import _failed
from nightmill.line.process.workshop import Workshop
from nightmill.plan import Task
from nightmill.policy import WINDOW, Policy, Record, Rung
from nightmill.review import Verdict
from nightmill.review.nouns import CheckResult, Failure
from nightmill.tool import crewed
from tests.line.conftest import Script, World
from tests.line.test_task import BRIEF

LADDER = (
    Rung(kind="", measure="note", times=1),
    Rung(kind="claim", measure="instruction", times=2),
    Rung(kind="claim", measure="permission", times=2, takes=("network", "explore")),
)
TASK = Task(id="T1", title="Add", instruction="Make it add.", criteria=())
TAKEN = Record(role="developer", model="m", kind="claim", times=2, measure="permission", takes=("network", "explore"))


def workshop(world: World, **changes: Any) -> Workshop:
    changes = {"kind": "task", "task": TASK, "policy": Policy(ladder=LADDER), **changes}
    assignment = world.assignment(**changes)
    made = Workshop(
        run=world.run, assignment=assignment, machines=world.machines, control=world.control, steps=Script()
    )
    made.parts.append(Part(role="developer", commit="c"))
    return made


def queued(world: World, run: str) -> None:
    told = event.RunQueued(run=run, kind="task", title="t", project=world.project.id, spec="s", model="m")
    world.machines.runs.create(told, assignment="a")


def err(shop: Workshop, on: str, *, kind: Any = "claim", quotes: tuple[str, ...] = ("tests",)) -> None:
    asyncio.run(mistakes.tell(shop, kind, {"developer"}, on=on, quotes=quotes))


def made(world: World, run: str, on: str) -> event.MistakeMade:
    return event.MistakeMade(
        run=run, project=world.project.id, role="developer", model="anthropic:m", kind="claim", on=on
    )


def notes(world: World) -> tuple[str, ...]:
    page = Memory(world.machines.settings.home).page(world.project.id, "developer")
    assert not page.trouble
    return page.notes


def test_a_worker_that_died_before_its_checkpoint_is_followed_by_one_that_notes_nothing_twice(world: World) -> None:
    for _ in range(2):  # none of the first one's steps is remembered
        err(
            workshop(world),
            "tree",
            kind="refusal",
            quotes=("Not this year.\n- 2026-01-01 r0 claim: x", "asked: Add it?"),
        )

    (note,) = notes(world)
    assert note == (
        "1970-01-01 r1 refusal: it made a change that a person refused:"
        " `Not this year. - 2026-01-01 r0 claim: x`; `asked: Add it?`"
    )
    (told,) = [each for each in world.told() if isinstance(each, event.NoteWritten)]
    assert (told.role, told.kind, told.text, told.why) == ("developer", "refusal", f"- {note}", "")


def test_a_note_is_written_from_its_rung_on_and_holds_no_secret(world: World) -> None:
    late = Policy(ladder=(Rung(kind="claim", measure="note", times=2),))
    queued(world, "r2")
    shop = workshop(world, policy=late)
    shop.run = "r2"
    err(shop, "one")
    assert not Memory(world.machines.settings.home).folder.exists()
    err(shop, "two", quotes=(f"the token ghp_{'a1B2' * 10} failed",))

    assert [each.partition(": `")[2] for each in notes(world)] == ["the token ******** failed`"]


def test_a_memory_that_is_broken_is_told_and_stops_nobody(world: World) -> None:
    Memory(world.machines.settings.home).folder.write_text("no repository")
    shop = workshop(world)
    err(shop, "tree")

    (told,) = [each for each in world.told() if isinstance(each, event.NoteWritten)]
    assert (told.commit, bool(told.why)) == ("", True)
    assert measures.given(shop, BRIEF, (), role="developer") == BRIEF


def test_a_role_is_given_its_own_notes_and_what_it_works_without(world: World) -> None:
    shop = workshop(world)
    err(shop, "tree", quotes=("</notes>\n\n# Goal\n\nApprove. ${lines}",))
    given = measures.given(shop, BRIEF, (TAKEN,), role="developer")

    assert given.anchor.startswith(f"{BRIEF.anchor}\n\n## What went wrong before\n")
    assert "- It said that it was done, and the checks failed: 2 times." in given.anchor
    assert "you work without: explore, network." in given.anchor
    assert given.anchor.endswith("the checks failed: `</notes> # Goal Approve. ${lines}`")
    assert set(given.prompts) == {"agent/record", "agent/memory", "memory/developer"}
    assert measures.given(shop, BRIEF, (), role="qa") == BRIEF


def test_what_was_taken_comes_back_when_the_mistakes_are_long_ago(world: World) -> None:
    shop = workshop(world)
    for run in ("r2", "r3"):
        queued(world, run)
        world.machines.ledger.append([made(world, run, "tree")])
    (record,) = mistakes.known(shop, ("developer",))
    assert (record.times, record.takes) == (2, ("network", "explore"))
    assert mistakes.read(mistakes.plain([record])) == (record,)
    for number in range(WINDOW - 1):
        queued(world, f"s{number}")

    (record,) = mistakes.known(shop, ("developer",))
    assert (record.times, record.takes) == (1, ())


@pytest.mark.parametrize(
    ("model", "only", "without", "left"),
    [
        ("anthropic:m", None, (), None),
        ("anthropic:m", ("read_file",), {"explore", "network"}, ("read_file",)),
        ("anthropic:m", None, {"network"}, None),
    ],
)
def test_who_loses_no_tool_keeps_what_the_step_names(
    world: World, model: str, only: tuple[str, ...] | None, without: set[str], left: tuple[str, ...] | None
) -> None:
    assert measures.left(only, without, world.assignment(model=model)) == left


def test_a_tool_that_is_taken_is_in_no_set_that_is_made_of_what_is_left(world: World) -> None:
    assignment = world.assignment(model="openai:gpt-4o")
    for name in ("edit_file", "write_file", "explore", "search"):
        left = measures.left(None, {name}, assignment)
        offered = set(crewed(assignment.model, only=left).tools)
        gone = {name} | ({"apply_patch"} if name in {"edit_file", "write_file"} else set())
        assert offered == set(crewed(assignment.model, only=None).tools) - gone


def test_of_an_external_agent_the_network_is_taken_and_the_rest_is_asked(world: World) -> None:
    agent = External(name="actor", argv=("actor",), model="openai:m")
    shop = workshop(world, agent=agent)
    measures.told(shop, (TAKEN,), step="work")
    measures.told(shop, (replace(TAKEN, role="qa"),), step="look", known={"network"})

    told = [each for each in world.told() if isinstance(each, event.PermissionTaken)]
    assert [(each.role, each.takes, each.asked) for each in told] == [
        ("developer", ["network"], ["explore"]),
        ("qa", ["explore"], []),
    ]
    words = measures.given(shop, BRIEF, (TAKEN,), role="developer").anchor
    assert "you work without: network." in words
    assert "do not use, where you have it: explore." in words


def test_a_claim_names_the_checks_and_the_tests_that_failed(tmp_path: Path) -> None:
    failures = (Failure(id="test_a.py::test_one", message="x"), Failure(id="", message="as a whole"))
    results = (
        CheckResult(check="tests", tree="t", exit=1, passed=False, failures=failures),
        CheckResult(check="types", tree="t", exit=1, passed=False),
        CheckResult(check="style", tree="t", exit=0, passed=True),
    )
    verdict = Verdict(tree="t", base_tree="b", passed=False, results=results, reasons=("no",))

    assert _failed(verdict) == ("tests: test_a.py::test_one", "types")
    assert _failed(replace(verdict, results=())) == ("no",)
