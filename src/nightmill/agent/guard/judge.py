"""One turn before all guards: the record of what happened becomes the record of what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nightmill.agent import working
from nightmill.agent.guard import course, edits, loops, reply, weaken
from nightmill.agent.guard.finish import Shortfall, shortfalls
from nightmill.agent.guard.ladder import MEASURES, Spoken, climb
from nightmill.agent.nouns import AgentState, Brief, Ending, Finding, Note, TurnRecord
from nightmill.code import Change
from nightmill.code import weaken as change
from nightmill.model import Message, Text, ToolResult
from nightmill.model.message import Part
from nightmill.prompt import render

__all__ = ["Scene", "judge"]

MOST_TOLD = 3
"""Nudges that an agent is told at once."""
RUNS = "run_command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a turn did beside its record: *changes* of files that verify; *finishing*, the call that ended the work."""

    tools: frozenset[str]
    changes: Sequence[Change] = ()
    finishing: str = ""


def judge(
    brief: Brief, state: AgentState, record: TurnRecord, *, scene: Scene
) -> tuple[TurnRecord, tuple[Spoken, ...]]:
    """*record* with what the guards made of it, and what they said; *state* is the one before."""
    results = [part for message in record.messages[1:] for part in message.parts if isinstance(part, ToolResult)]
    outside = edits.findings(brief, state, record)
    deltas = change.deltas(scene.changes)
    weakened = weaken.findings(state, scene.changes)
    record = replace(record, tests=change.tests(deltas), findings=(*outside, *weakened))
    faults = [*reply.faults(brief, state, record.reply)]
    now = loops.made(record.turn, record.reply.calls, results) if reply.usable(record.reply) else ()
    if now:
        faults += loops.faults(state, now, results, tools=scene.tools)
    faults += course.faults(brief, state, record, now) if record.ending is None and not faults else ()
    faults += [each for each in (edits.fault(brief, outside), weaken.weakened(weakened)) if each]
    spoken = tuple(climb(brief, state, fault) for fault in faults)
    if record.ending is not None:
        return _finish(brief, state, record, spoken, scene)
    return _follow(state, record, spoken), spoken


def _follow(state: AgentState, record: TurnRecord, spoken: tuple[Spoken, ...]) -> TurnRecord:
    """*record* with the measures of *spoken*: the strongest decides, and all that is to be said is."""
    record = replace(record, guards=tuple(each.guard for each in spoken))
    strongest = max(spoken, key=lambda each: MEASURES.index(each.measure), default=None)
    if strongest is None:
        return record
    if strongest.measure == "stop":
        return replace(record, ending=_stuck(state, strongest))
    if strongest.measure in {"fresh", "model"}:
        note = Note(kind="failed_approach", text=strongest.message)
        model = state.model + 1 if strongest.measure == "model" else 0
        return replace(record, compact="fresh", notes=(*record.notes, note), model=model)
    return _told(record, [each.message for each in spoken if each.message])


def _stuck(state: AgentState, spoken: Spoken) -> Ending:
    times = state.strikes.get(spoken.guard, 0) + 1
    others = sum(count for name, count in state.strikes.items() if name != spoken.guard)
    more = f", after {others} other faults" if others else ""
    text = f"{spoken.guard.replace('_', ' ')}, {times} times{more}: {spoken.evidence}"
    return Ending(kind="refused" if spoken.guard == "refusal" else "stuck", text=text)


def _told(record: TurnRecord, messages: Sequence[str]) -> TurnRecord:
    words = tuple(Text(text=message) for message in dict.fromkeys(messages[:MOST_TOLD]))
    if not words:
        return record
    said, *rest = record.messages
    parts: tuple[Part, ...] = tuple(part for message in rest for part in message.parts)
    return replace(record, messages=(said, Message(role="user", parts=(*parts, *words))))


def _finish(
    brief: Brief, state: AgentState, record: TurnRecord, spoken: tuple[Spoken, ...], scene: Scene
) -> tuple[TurnRecord, tuple[Spoken, ...]]:
    """Whether the work may end here. What is missing is told once; a claim that stays false is told to people."""
    if record.ending is None:
        raise AssertionError("only work that ends is looked at so")
    # What is said in passing does not keep work from ending; people still see it.
    spoken = tuple(replace(each, measure="note", message="") for each in spoken)
    after = _after(state, record)
    missing = shortfalls(brief, after, record.ending, commands=RUNS in scene.tools)
    if any(each.kind not in state.refused for each in missing):
        return _refused(record, missing, spoken, scene)
    stands = [
        Finding(guard=each.kind, path="summary", what=each.evidence) for each in missing if each.kind == "false_claim"
    ]
    spoken += tuple(Spoken(guard=each.guard, measure="note", message="", evidence=each.what) for each in stands)
    guards = tuple(each.guard for each in spoken)
    return replace(record, guards=guards, findings=(*record.findings, *stands)), spoken


def _after(state: AgentState, record: TurnRecord) -> AgentState:
    """What a finish is measured by: *state* with what happened in its own turn, before it."""
    tests = weaken.balance(state.tests, record.tests)
    return replace(
        state,
        working=working.after(state.working, record),
        todo=state.todo if record.todo is None else record.todo,
        commands=(*state.commands, *(each.command for each in record.ran)),
        findings=weaken.settled((*state.findings, *record.findings), tests),
    )


def _refused(
    record: TurnRecord, missing: Sequence[Shortfall], spoken: tuple[Spoken, ...], scene: Scene
) -> tuple[TurnRecord, tuple[Spoken, ...]]:
    guard = "false_claim" if missing[0].kind == "false_claim" else "premature_finish"
    message = render("guard/premature_finish", missing="\n\n".join(each.message for each in missing)).text
    evidence = "; ".join(f"{each.kind.replace('_', ' ')}: {each.evidence}" for each in missing)[:600]
    spoken = (*spoken, Spoken(guard=guard, measure="nudge", message=message, evidence=evidence))
    said, *rest = record.messages
    parts = tuple(
        replace(part, text=message, error=True)
        if isinstance(part, ToolResult) and part.call == scene.finishing
        else part
        for answer in rest
        for part in answer.parts
    )
    refused = tuple(each.kind for each in missing)
    record = replace(record, messages=(said, Message(role="user", parts=parts)), ending=None, refused=refused)
    return replace(record, guards=tuple(each.guard for each in spoken)), spoken
