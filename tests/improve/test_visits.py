"""Which times an agent was at work belong together, and from where to where, by what a run told."""

from __future__ import annotations

from nightmill import event
from nightmill.improve import spans, visits

RUN = "r1"


def asked(step: str, role: str, start: str, *, sent_back: bool = False) -> list[event.Event]:
    """A role is asked for *step*."""
    told: event.Event = event.AgentStarted(run=RUN, role=role, step=step, brief="b", tools=["run_command"])
    if sent_back:
        told = event.SentBack(run=RUN, count=1, limit=1, reason="", role=role, step=step)
    return [told, event.PhaseStarted(run=RUN, phase="work", step=step, role=role, snapshot=start)]


def turn(role: str, number: int, snapshot: str) -> event.Event:
    return event.TurnFinished(
        run=RUN,
        turn=number,
        role=role,
        model="m",
        record="r",
        snapshot=snapshot,
        usage={},
        cost=None,
        calls=1,
        seconds=1.0,
    )


def over(step: str, state: str = "done", kind: str = "agent") -> event.Event:
    return event.StepFinished(run=RUN, step=step, kind=kind, state=state, value="v")


def test_a_conversation_that_goes_on_is_a_visit_of_each_step() -> None:
    told = [
        event.WorkspacePrepared(run=RUN, environment="e", commit="c", snapshot="s0", seconds=1.0),
        *asked("first", "developer", "s0"),
        turn("explorer 1", 1, "s9"),
        turn("developer", 1, "s1"),
        event.RunParked(run=RUN, reason="no answer", needs="time"),
        event.WorkspaceRestored(run=RUN, snapshot="s1", seconds=1.0),
        turn("developer", 2, "s2"),
        over("first"),
        over("made", kind="run"),
        *asked("second", "developer", "s3", sent_back=True),
        turn("developer", 3, "s4"),
        over("second", "failed"),
    ]

    first, second = visits(told)

    assert (first.path, first.start, first.end, first.state) == ("first", "s0", "s2", "done")
    assert [each.turn for each in first.turns] == [1, 2]
    assert first.tools == ("run_command",)
    assert (second.start, second.end, second.state, second.tools) == ("s3", "s4", "failed", None)
    assert spans((first, second)) == ((first,), (second,))


def test_rounds_of_a_loop_belong_together_unless_others_changed_something_between() -> None:
    def rounds(second: str) -> list[event.Event]:
        return [
            *asked("work.1/do", "developer", "s0"),
            turn("developer", 1, "s1"),
            over("work.1/do"),
            *asked("work.1/look", "qa", second),
            turn("qa", 1, "s7"),
            over("work.1/look", kind="review"),
            *asked("work.2/do", "developer", second, sent_back=True),
            turn("developer", 2, "s2"),
            over("work.2/do"),
        ]

    alone = [each for each in visits(rounds("s1")) if each.kind == "agent"]
    with_others = [each for each in visits(rounds("s5")) if each.kind == "agent"]

    assert [[each.round for each in span] for span in spans(alone)] == [[1, 2]]
    assert [each.step for span in spans(alone) for each in span] == ["work/do", "work/do"]
    assert [[each.round for each in span] for span in spans(with_others)] == [[1], [2]]


def test_inner_loops_of_two_rounds_are_two() -> None:
    told = [
        each
        for outer, (start, end) in enumerate([("s0", "s1"), ("s1", "s2")], 1)
        for each in (
            *asked(f"deep.{outer}/two.1/do", f"developer@{outer}", start),
            turn(f"developer@{outer}", 1, end),
            over(f"deep.{outer}/two.1/do"),
        )
    ]

    assert [len(span) for span in spans(visits(told))] == [1, 1]
