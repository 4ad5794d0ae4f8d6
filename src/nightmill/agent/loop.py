"""One turn of an agent, as plain functions over values.

`act` carries out a reply, `apply` folds what happened into the state; `context.ask` builds the request between them.
None of them knows that turns are durable; `line` owns the loop and its checkpoints.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any

from nightmill import event
from nightmill.agent import compact, drift, guard, measure, shown, working
from nightmill.agent.guard import Scene, Spoken, Watch
from nightmill.agent.nouns import AgentState, Beside, Brief, Ending, Note, Todo, TurnRecord, Word
from nightmill.agent.outcome import verifies
from nightmill.code import Change
from nightmill.errors import ToolError
from nightmill.model import Message, ModelReply, Text, ToolCall, ToolResult, Usage
from nightmill.prompt import render
from nightmill.tool import Answer, ToolContext, Toolset
from nightmill.tool.base import cut
from nightmill.tool.outputs import reference
from nightmill.tool.toolset import Prepared, Withheld

__all__ = ["Told", "act", "apply", "fingerprint", "fixed", "hear", "outgrown", "send_back"]

REMEMBERED = 24
"""Turns that are looked back on for drift."""
MOST_CALLS, AT_ONCE = 32, 8
"""Calls of one reply that are run, and how many of those that only read go at once."""
NO_SIGN = "(a sign that is not the system's)"
WORTH = 1_000
"""Characters of a command's output from which the whole is kept: it may be left out later, and may not come again."""
RETURNED = 4_000
"""Characters kept of why work was sent back, for when the words themselves are left out."""
TOLD, MOST_TOLD = 8, 2_000
"""Words of people that are kept likewise, and characters of each."""
COMMANDS, FINDINGS, OUTPUTS, GAINS = 100, 60, 4, 400
"""How many of the latest are remembered."""

Call = tuple[ToolCall, "Prepared | ToolError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told what happens: the ledger, and a clock in seconds."""

    run: str
    emit: event.Emit
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Done:
    """A call that ended."""

    result: ToolResult
    answer: Answer | None
    changes: tuple[Change, ...] = ()


async def act(
    brief: Brief, state: AgentState, reply: ModelReply, *, tools: Toolset, context: ToolContext, told: Told
) -> TurnRecord:
    """Carry out *reply* and return what the turn added.

    Raises:
        SandboxError: If the sandbox failed; the turn may run again from its snapshot.
    """
    turn = state.turn + 1
    said = Message(role="assistant", parts=reply.parts)
    started = told.clock()
    if reply.stop in guard.NOT_RUN:
        done = [Done(_error(call, guard.NOT_RUN[reply.stop]), None) for call in reply.calls]
    else:
        seen = dict(state.known)
        fits = partial(working.fits, brief, state.working)
        done = await _run_calls(reply.calls, turn, tools, replace(context, known=seen, fits=fits), told, seen)
    results = shown.point(state, turn, reply.calls, [_material(brief, each.result) for each in done])
    answers = [each.answer for each in done if each.answer]
    todo = _todo(answers)
    if todo is not None:
        items = [{"text": item.text, "state": item.state} for item in todo]
        told.emit(event.TodoChanged(run=told.run, turn=turn, items=items))
    record = TurnRecord(
        turn=turn,
        reply=reply,
        messages=(said, Message(role="user", parts=results)) if results else (said,),
        todo=todo,
        ending=_ending(answers),
        changed=any(answer.changed for answer in answers),
        edited=tuple(path for answer in answers for path in answer.edited),
        seen=tuple(pair for answer in answers for pair in answer.seen),
        ran=working.ran((each for answer in answers for each in answer.ran), turn=turn, checks=brief.checks),
        late=_late(answers, brief),
        explored=tuple(
            Beside(usage=answer.explored.usage, cost=answer.explored.cost, count=answer.explored.count)
            for answer in answers
            if answer.explored
        ),
        notes=tuple(
            Note(kind=kind, text=text, replaces=gone) for answer in answers for kind, text, gone in answer.notes
        ),
        seconds={"model": reply.seconds, "first": reply.first_seconds, "tools": told.clock() - started},
    )
    scene = Scene(
        tools=frozenset(tools.tools),
        changes=tuple(change for each in done for change in each.changes),
        finishing=next((each.result.call for each in done if each.answer and each.answer.finish), ""),
    )
    record, spoken = guard.judge(brief, state, record, scene=scene)
    _tell(told, turn, spoken)
    return record


def apply(brief: Brief, state: AgentState, record: TurnRecord) -> AgentState:
    """*state* after *record*, made to fit."""
    state, reply = hear(brief, state, record.heard), record.reply
    signal = drift.signal(state, record)
    costs = [reply.cost, *(each.cost for each in record.explored)]
    after = replace(
        state,
        messages=(*state.messages, *record.messages),
        working=working.after(state.working, record),
        known=working.known(state.known, record),
        gained=(*state.gained, *drift.gains(state, record))[-GAINS:],
        signals=(*state.signals, signal)[-REMEMBERED:],
        density=measure.density(brief, state, reply),
        todo=state.todo if record.todo is None else record.todo,
        listed=state.listed if record.todo in {None, state.todo} else record.turn,
        turn=record.turn,
        usage=sum((each.usage for each in record.explored), state.usage + reply.usage),
        cost=state.cost + sum(cost or 0.0 for cost in costs),
        priced=state.priced and None not in costs,
        explorers=state.explorers + sum(each.count for each in record.explored),
        seconds=state.seconds + sum(value for name, value in (record.seconds or {}).items() if name != "first"),
        context=reply.usage.input + reply.usage.output,
        digest=_chain(state.digest, record.messages, record.compact),
        outgrown=0 if record.messages else state.outgrown + 1,
        ending=record.ending,
    )
    return compact.fit(brief, _guarded(after, record, gained=signal.progress), forced=record.compact)


def _guarded(state: AgentState, record: TurnRecord, *, gained: bool) -> AgentState:
    """*state* with what the guards remember after *record*. What they saw in a context that is gone is no loop."""
    reply, anew = record.reply, record.compact == "fresh"
    results = [part for message in record.messages[1:] for part in message.parts if isinstance(part, ToolResult)]
    made = guard.made(record.turn, reply.calls, results) if guard.usable(reply) else ()
    tests = guard.balance(state.tests, record.tests) if record.tests else state.tests
    known = dict.fromkeys((*state.findings, *record.findings))
    after = replace(
        state,
        made=() if anew else guard.looked_at(state.made, made),
        outputs=() if anew else (*state.outputs, reply.usage.output)[-OUTPUTS:],
        idle=0 if guard.usable(reply) else state.idle + bool(record.messages),
        careful=record.turn + guard.CAREFUL if anew else state.careful,
        model=record.model or state.model,
        refused=tuple(dict.fromkeys((*state.refused, *record.refused))),
        findings=guard.settled(known, tests)[-FINDINGS:],
        tests=tests,
        commands=(*state.commands, *(each.command for each in record.ran))[-COMMANDS:],
    )
    new = gained or guard.new(state, made)
    after = replace(after, newest=record.turn if new or anew else state.newest)
    return guard.struck(after, guards=record.guards, clean=new, gained=gained)


def outgrown(state: AgentState, *, seconds: float) -> TurnRecord:
    """The turn in which the provider found the request too long: nothing was said, and only the state stays."""
    reply = ModelReply(parts=(), stop="again", raw_stop="context", usage=Usage(), model="", cost=0.0, seconds=seconds)
    return TurnRecord(turn=state.turn + 1, reply=reply, messages=(), compact="state", seconds={"model": seconds})


def send_back(state: AgentState, text: str) -> AgentState:
    """*state* with *text* from the system as the newest word, and the agent at work again.

    What it verified before is settled by then: the system proved the work, and others may have worked on it since.
    """
    kept = replace(state.working, returned=cut(text, most=RETURNED), checks=())
    return replace(_told(state, text), working=kept, refused=(), rounds=state.rounds + 1, clean=0)


def hear(brief: Brief, state: AgentState, words: Sequence[Word]) -> AgentState:
    """*state* with *words* of people as the newest, each marked as theirs by the system's sign, and the agent at work."""
    for word in words:
        by, said = (_unsigned(brief, each) for each in (" ".join(word.by.split()), word.text))
        text = render("agent/word", tag=brief.tag, by=by, text=said).text.strip()
        kept = (*state.working.told, cut(text, most=MOST_TOLD))[-TOLD:]
        state = replace(_told(state, text), working=replace(state.working, told=kept), heard=word.number)
    return state


def _told(state: AgentState, text: str) -> AgentState:
    """*state* with *text* behind its latest results, and the agent at work."""
    word = Message(role="user", parts=(Text(text=text),))
    *before, last = state.messages or (word,)
    if not state.messages:
        messages: tuple[Message, ...] = (word,)
    elif last.role == "user":
        messages = (*before, replace(last, parts=(*last.parts, *word.parts)))
    else:
        messages = (*state.messages, word)
    return replace(state, messages=messages, digest=_chain(state.digest, messages[-1:]), ending=None, idle=0)


def fixed(brief: Brief, tools: Toolset) -> str:
    """A digest of what every request of one conversation has in common."""
    return sha256(repr((brief, tools.schemas)).encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(fixed: str, state: AgentState) -> str:
    """A digest of the request that `ask` would build, without building it: it costs the same at every turn."""
    return sha256(f"{fixed} {state.digest}".encode()).hexdigest()


def _chain(digest: str, messages: Sequence[Message], more: str = "") -> str:
    return sha256(digest.encode() + repr(messages).encode("utf-8", "surrogatepass") + more.encode()).hexdigest()


def _late(answers: Sequence[Answer], brief: Brief) -> int:
    """Edits after the last command that verifies: what it said is not of them."""
    count = 0
    for answer in answers:
        count = (
            0 if any(verifies(command, brief.checks) for command, _, _ in answer.ran) else count + len(answer.edited)
        )
    return count


def _material(brief: Brief, result: ToolResult) -> ToolResult:
    """*result* without the system's sign: what a tool gives cannot speak for the system."""
    text = _unsigned(brief, result.text)
    return result if text == result.text else replace(result, text=text)


def _unsigned(brief: Brief, text: str) -> str:
    """*text* without the sign, however it is dressed: in other letters, brackets, blanks, or colours."""
    if not brief.tag:
        return text
    word = brief.tag.strip("[]").rpartition(" ")[2]
    dressed = rf"\W?system(?:\x1b\[[\d;]*m|\W){{1,8}}{re.escape(word)}\b\W?"
    return re.sub(dressed, NO_SIGN, text.replace(brief.tag, NO_SIGN), flags=re.IGNORECASE)


async def _run_calls(
    calls: Sequence[ToolCall], turn: int, tools: Toolset, context: ToolContext, told: Told, seen: dict[str, str]
) -> list[Done]:
    """Carry out *calls* in order; neighbours that only read run side by side; nothing runs after `finish`.

    *seen* is what `context.known` looks at: it grows as calls end.
    """
    ready: list[Call] = [(call, _prepare(call, tools)) for call in calls]
    done: list[Done] = []
    while ready:
        batch = [ready.pop(0)]
        if len(done) >= MOST_CALLS:
            done.append(Done(_error(batch[0][0], f"not run: {MOST_CALLS} calls in one reply are the most"), None))
            continue
        while ready and len(batch) < AT_ONCE and _reads(batch[-1]) and _reads(ready[0]):
            batch.append(ready.pop(0))
        if any(each.answer and each.answer.finish for each in done):
            done += [Done(_error(call, "not run: nothing is run after finish"), None) for call, _ in batch]
            continue
        running = [_run_call(call, prepared, turn, tools, context, told) for call, prepared in batch]
        done += await _together(running)
        working.see(seen, (pair for each in done[-len(batch) :] if each.answer for pair in each.answer.seen))
    return done


async def _together(running: Sequence[Coroutine[Any, Any, Done]]) -> list[Done]:
    """The ends of all; none is left running when one fails. One alone begins at once, before whatever else waits."""
    if len(running) == 1:
        return [await running[0]]
    ended = await asyncio.gather(*running, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return [each for each in ended if isinstance(each, Done)]


def _reads(call: Call) -> bool:
    return isinstance(call[1], ToolError) or call[1].tool.reads


def _prepare(call: ToolCall, tools: Toolset) -> Prepared | ToolError:
    try:
        return tools.prepare(call)
    except ToolError as error:
        return error


async def _run_call(
    call: ToolCall, prepared: Prepared | ToolError, turn: int, tools: Toolset, context: ToolContext, told: Told
) -> Done:
    label = "" if isinstance(prepared, ToolError) else prepared.label
    told.emit(event.ToolStarted(run=told.run, turn=turn, call=call.id, tool=call.name, label=label))
    started = told.clock()
    try:
        if isinstance(prepared, ToolError):
            raise prepared
        watch = Watch(context.workspace)
        if not prepared.tool.reads:
            await watch.begin(prepared.arguments)
        answer = await tools.call(prepared, context)
        ignored = f"\n(ignored: {', '.join(prepared.ignored)})" if prepared.ignored else ""
        ref = reference(answer.text, context.outputs) if answer.ran and len(answer.text) > WORTH else ""
        result = ToolResult(call=call.id, name=call.name, text=answer.text + ignored, ref=ref)
        done = Done(result, answer, await watch.end())
    except ToolError as error:
        label = label or error.message.splitlines()[0][:200]
        done = Done(_error(call, error.message), None)
    told.emit(
        event.ToolFinished(
            run=told.run,
            turn=turn,
            call=call.id,
            tool=call.name,
            ok=not done.result.error,
            label=label,
            seconds=told.clock() - started,
            withheld=isinstance(prepared, Withheld),
        )
    )
    return done


def _error(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call=call.id, name=call.name, text=text, error=True)


def _tell(told: Told, turn: int, spoken: Sequence[Spoken]) -> None:
    for each in spoken:
        told.emit(
            event.AgentNudged(
                run=told.run,
                turn=turn,
                guard=each.guard,
                message=each.message,
                measure=each.measure,
                evidence=each.evidence,
            )
        )


def _todo(answers: Sequence[Answer]) -> tuple[Todo, ...] | None:
    latest = next((answer.todo for answer in reversed(answers) if answer.todo is not None), None)
    return None if latest is None else tuple(Todo(text=text, state=state) for text, state in latest)


def _ending(answers: Sequence[Answer]) -> Ending | None:
    finish = next((answer.finish for answer in answers if answer.finish), None)
    if finish is None:
        return None
    return Ending(kind="finished", text=finish.summary, evidence=finish.evidence, output=finish.output)
