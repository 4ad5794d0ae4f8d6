"""How a run waits, and for whom: nothing is spent, nothing is held, and people are obeyed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from nightmill import event
from nightmill.errors import LimitReached, ModelRefused, ModelUnavailable, NightmillError, SandboxError, SpecError
from nightmill.line.control import Cancelled, Control
from nightmill.line.steps import FOREVER
from nightmill.line.stop import Stopped
from nightmill.store import Question, tables
from tests.line.conftest import ADA, World

DOWN = ModelUnavailable("the provider is down")
BROKEN = SandboxError("no disk space", hint="free some")


def body(*outcomes: NightmillError | dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A step that fails or succeeds as *outcomes* say, one after another."""
    left = list(outcomes)

    async def run() -> dict[str, Any]:
        outcome = left.pop(0)
        if isinstance(outcome, NightmillError):
            raise outcome
        return outcome

    return run


def attempt(world: World, *outcomes: NightmillError | dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(world.waiting().attempt("turn", body(*outcomes)))


def stopped(world: World, *outcomes: NightmillError | dict[str, Any]) -> Stopped:
    with pytest.raises(Stopped) as caught:
        attempt(world, *outcomes)
    return caught.value


def test_a_run_whose_provider_is_down_tries_again_by_the_clock(world: World) -> None:
    world.steps.messages = [None] * 8
    assert attempt(world, *[DOWN] * 8, {"done": 1}) == {"done": 1}

    assert world.steps.waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert world.rested == 8, "no sandbox is held meanwhile"
    parked, resumed, *_ = world.told()
    assert parked == event.RunParked(run="r1", reason="the provider is down", needs="time", until=1060.0)
    assert resumed == event.RunResumed(run="r1", by="clock")
    assert world.steps.steps[:4] == ["turn", "park", "resume", "turn"]


def test_a_wish_of_the_provider_is_heard_within_bounds(world: World) -> None:
    world.steps.messages = [None] * 2
    patient, greedy = ModelUnavailable("busy", retry_after=90.0), ModelUnavailable("busy", retry_after=1e9)
    attempt(world, patient, greedy, {})

    assert world.steps.waits == [90.0, 3600.0]


def test_a_provider_that_is_down_for_months_breaks_no_sum(world: World) -> None:
    world.steps.messages = [None] * 1100
    attempt(world, *[DOWN] * 1100, {})

    assert world.steps.waits[-1] == 3600.0


def test_a_broken_sandbox_waits_for_a_person(world: World) -> None:
    world.steps.messages = [{"wanted": "run", "by": ADA, "count": 1}]
    attempt(world, BROKEN, {})

    assert world.steps.waits == [FOREVER]
    assert world.told() == [
        event.RunParked(run="r1", reason="no disk space (free some)", needs="person", until=0.0),
        event.RunResumed(run="r1", by=ADA),
    ]


def test_a_wish_from_before_does_not_wake_a_parked_run(world: World) -> None:
    stale = [world.want("pause"), world.want("run")]
    world.steps.messages = [*stale, {"wanted": "run", "by": ADA, "count": 3}]
    attempt(world, BROKEN, {})

    assert len(world.steps.waits) == 3


def test_a_parked_run_can_be_cancelled(world: World) -> None:
    world.steps.messages = [{"wanted": "cancel", "by": ADA, "count": 1}]
    stop = stopped(world, DOWN, {})

    assert (stop.why, stop.reason) == ("cancelled", f"cancelled by {ADA}")
    assert not [told for told in world.told() if isinstance(told, event.RunResumed)]


def test_a_parked_run_can_be_paused_and_then_waits_for_a_person(world: World) -> None:
    first = world.want("pause")
    world.steps.messages = [{**first, "count": 2}, {"wanted": "run", "by": ADA, "count": 3}]
    attempt(world, DOWN, {"done": 1})

    assert world.steps.waits == [60, FOREVER]
    assert [told.name for told in world.told()] == ["run_parked", "run_paused", "run_resumed"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (LimitReached("too dear", hint="more", limit="money"), "limit"),
        (SpecError("no tasks"), "refused"),
        (ModelRefused("wrong key"), "failed"),
        (NightmillError("odd"), "failed"),
    ],
)
def test_what_waiting_cannot_mend_stops_the_run_with_its_reason(world: World, error: NightmillError, why: str) -> None:
    stop = stopped(world, error)

    assert (stop.why, stop.reason, stop.hint) == (why, error.message, error.hint)
    assert world.steps.waits == []


def test_a_reason_as_long_as_a_book_is_cut_and_not_lost(world: World) -> None:
    stop = stopped(world, SpecError("why? " * 50_000))

    assert stop.why == "refused"
    assert stop.reason.startswith("why? ")


def test_a_cancelled_step_cancels_the_run(world: World) -> None:
    world.control.want("cancel", ADA)
    stop = stopped(world, Cancelled("the run was cancelled"))

    assert (stop.why, stop.reason) == ("cancelled", f"cancelled by {ADA}")


def test_a_paused_run_goes_on_where_it_was(world: World) -> None:
    world.want("pause")
    world.steps.messages = [{"wanted": "run", "by": "Bob", "count": 2}]
    assert attempt(world, {"wanted": "pause", "by": ADA}, {"done": 1}) == {"done": 1}

    assert world.told() == [event.RunPaused(run="r1", by=ADA), event.RunResumed(run="r1", by="Bob")]
    assert world.steps.waits == [FOREVER]


def test_a_run_that_was_resumed_before_it_could_pause_does_not(world: World) -> None:
    world.want("pause")
    world.want("run")
    attempt(world, {"wanted": "pause", "by": ADA}, {"done": 1})

    assert world.told() == []
    assert world.steps.waits == []
    assert world.control.wanted == "run"


def ask(**changes: Any) -> Question:
    fields = {"id": "r1/approve/1", "run": "r1", "step": "approve", "kind": "approve", "title": "Merge it?", **changes}
    return Question(**fields)


def over(world: World, question: Question) -> None:
    """Let the time of *question* be over by the database's clock, when all that was told is stored."""
    world.machines.ledger.flush_sync()
    table, database = tables.question, world.machines.database
    with database.write() as connection:
        past = sa.select(database.now - 1.0).scalar_subquery()
        connection.execute(table.update().where(table.c.id == question.id).values(expires=past))


def decided(world: World, question: Question) -> Question:
    return asyncio.run(world.waiting().decided(question))


def test_what_led_to_a_question_stands_before_it_in_the_ledger(world: World) -> None:
    questions = world.machines.questions

    def grant() -> dict[str, Any]:
        questions.grant("r1/approve/1", by=ADA, because="looks right")
        return {"wanted": "run", "by": ADA, "count": world.machines.runs.wanted(["r1"])["r1"].count}

    world.steps.meanwhile = [grant]
    told = [event.PhaseStarted(run="r1", phase="prove", round=number) for number in range(200)]
    for each in told:
        world.machines.ledger.emit(each)
    decided(world, ask())

    names = [type(each).name for each in world.told()]
    assert names.index("question_asked") == len(told)


def test_a_run_waits_for_a_person_and_goes_on_with_what_they_said(world: World) -> None:
    questions = world.machines.questions

    def grant() -> dict[str, Any]:
        world.machines.ledger.flush_sync()
        questions.grant("r1/approve/1", by=ADA, because="looks right")
        return {"wanted": "run", "by": ADA, "count": world.machines.runs.wanted(["r1"])["r1"].count}

    world.steps.meanwhile = [grant]
    found = decided(world, ask())

    assert (found.state, found.by, found.answer) == ("granted", ADA, "looks right")
    assert world.steps.waits == [FOREVER]
    assert world.rested == 1, "no sandbox is held meanwhile"
    names = [told.name for told in world.told()]
    assert names == ["question_asked", "run_parked", "question_decided", "run_resumed"]


def test_a_run_that_asks_again_after_a_crash_finds_what_was_said_meanwhile(world: World) -> None:
    world.machines.questions.ask(ask())
    world.machines.questions.refuse("r1/approve/1", by=ADA, because="not this way")
    found = decided(world, ask())

    assert (found.state, found.answer) == ("refused", "not this way")
    assert world.steps.waits == []


def test_who_only_resumes_the_run_has_not_decided(world: World) -> None:
    def grant() -> dict[str, Any]:
        world.machines.questions.grant("r1/approve/1", by=ADA)
        return {"wanted": "run", "by": ADA, "count": world.machines.runs.wanted(["r1"])["r1"].count}

    world.steps.meanwhile = [lambda: world.want("run"), lambda: world.want("run"), grant]
    assert decided(world, ask()).state == "granted"
    assert len(world.steps.waits) == 3


def test_a_run_that_waits_for_a_person_can_be_paused_and_cancelled(world: World) -> None:
    world.steps.meanwhile = [lambda: world.want("pause"), lambda: world.want("run"), lambda: world.want("cancel")]
    with pytest.raises(Stopped, match="cancelled"):
        decided(world, ask())
    assert [told.name for told in world.told()] == [
        "question_asked",
        "run_parked",
        "run_paused",
        "run_resumed",
        "run_parked",
    ]


def test_a_run_that_was_cancelled_just_before_it_asks_does_not_wait(world: World) -> None:
    world.want("cancel")
    with pytest.raises(Stopped, match="cancelled"):
        decided(world, ask())
    assert world.steps.waits == []


def test_a_decision_that_comes_before_the_wait_begins_is_not_missed(world: World) -> None:
    world.machines.questions.ask(ask())
    world.machines.questions.grant("r1/approve/1", by=ADA)
    stale = {"wanted": "run", "by": ADA, "count": 1}
    assert decided(world, ask()).state == "granted"
    later = ask(id="r1/approve/2", seconds=3600.0)
    world.steps.meanwhile = [lambda: stale, lambda: over(world, later)]
    assert decided(world, later).state == "expired", "the message of the first wakes nobody who asks the second"
    assert len(world.steps.waits) == 2


def test_a_question_has_its_time(world: World) -> None:
    question = ask(seconds=3600.0)
    world.steps.meanwhile = [lambda: over(world, question)]
    found = decided(world, question)

    assert (found.state, found.by) == ("expired", "clock")
    assert [told.name for told in world.told()] == [
        "question_asked",
        "run_parked",
        "run_resumed",
        "question_decided",
    ]


def test_a_cancel_ends_what_is_at_work(world: World) -> None:
    async def story() -> list[str]:
        control, seen = Control(), list[str]()
        begun = asyncio.Event()

        async def work() -> None:
            try:
                begun.set()
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(0)
                seen.append("cleaned up")

        waiting = asyncio.ensure_future(control.unless_cancelled(work()))
        await begun.wait()
        control.want("cancel", ADA)
        with pytest.raises(Cancelled):
            await waiting
        with pytest.raises(Cancelled):
            await control.unless_cancelled(work())
        return seen

    assert asyncio.run(story()) == ["cleaned up"], "it has ended when the caller goes on"


def test_a_cancel_is_final_and_other_wishes_replace_each_other() -> None:
    async def story() -> None:
        control = Control()
        for wanted in ("pause", "run", "cancel", "run", "pause"):
            control.want(wanted, wanted)
        assert (control.wanted, control.by) == ("cancel", "cancel")

    asyncio.run(story())


def test_work_that_ends_gives_its_result_or_its_error() -> None:
    async def story() -> None:
        control = Control()
        assert await control.unless_cancelled(asyncio.sleep(0, "done")) == "done"
        with pytest.raises(SandboxError):
            await control.unless_cancelled(body(BROKEN)())  # type: ignore[arg-type]

    asyncio.run(story())
