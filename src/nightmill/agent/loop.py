"""One turn of an agent, as plain functions over values.

`ask` builds the request from the state, `act` carries out a reply, `apply` folds what happened into the state.
None of them knows that turns are durable; `line` owns the loop and its checkpoints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from nightmill import event
from nightmill.agent import guard
from nightmill.agent.nouns import AgentState, Brief, Ending, Todo, TurnRecord
from nightmill.errors import ToolError
from nightmill.model import Message, ModelReply, ModelRequest, Text, ToolCall, ToolResult
from nightmill.model.message import Part
from nightmill.tool import Answer, ToolContext, Toolset
from nightmill.tool.toolset import Prepared

__all__ = ["Told", "act", "apply", "ask", "fingerprint", "fixed", "send_back", "size"]

REMEMBERED = 24
"""Calls that the loop guards look back on."""

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


def ask(brief: Brief, state: AgentState, tools: Toolset, *, max_tokens: int) -> ModelRequest:
    """The next request: instructions, the task, and what was said since."""
    anchor = Message(role="user", parts=(Text(text=brief.anchor),))
    return ModelRequest(
        model=brief.model,
        system=brief.system,
        messages=(anchor, *state.messages),
        tools=tools.schemas,
        max_tokens=max_tokens,
        thinking=brief.thinking,
        conversation=brief.conversation,
    )


async def act(state: AgentState, reply: ModelReply, *, tools: Toolset, context: ToolContext, told: Told) -> TurnRecord:
    """Carry out *reply* and return what the turn added.

    Raises:
        SandboxError: If the sandbox failed; the turn may run again from its snapshot.
    """
    turn = state.turn + 1
    said = Message(role="assistant", parts=reply.parts)
    nudge = guard.of_reply(reply, idle=state.idle)
    started = told.clock()
    if reply.stop in guard.NOT_RUN:
        done = [Done(_error(call, guard.NOT_RUN[reply.stop]), None) for call in reply.calls]
    else:
        done = await _run_calls(reply.calls, turn, tools, context, told)
    results = tuple(each.result for each in done)
    answers = [each.answer for each in done if each.answer]
    nudge = nudge or guard.of_calls(state.signatures, _signatures(reply.calls, results))
    if nudge:
        told.emit(event.AgentNudged(run=told.run, turn=turn, guard=nudge.guard, message=nudge.message))
    todo = _todo(answers)
    if todo is not None:
        items = [{"text": item.text, "state": item.state} for item in todo]
        told.emit(event.TodoChanged(run=told.run, turn=turn, items=items))
    ending = _ending(answers) or (nudge.ending if nudge else None)
    parts = (*results, *((Text(text=nudge.message),) if nudge and nudge.message and not _ending(answers) else ()))
    return TurnRecord(
        turn=turn,
        reply=reply,
        messages=(said, Message(role="user", parts=parts)) if parts else (said,),
        todo=todo,
        guards=(nudge.guard,) if nudge else (),
        ending=ending,
        changed=any(answer.changed for answer in answers),
        edited=tuple(path for answer in answers for path in answer.edited),
        seconds={"model": reply.seconds, "first": reply.first_seconds, "tools": told.clock() - started},
    )


def apply(state: AgentState, record: TurnRecord) -> AgentState:
    """*state* after *record*."""
    results = [part for part in record.messages[-1].parts if isinstance(part, ToolResult)]
    reply = record.reply
    return AgentState(
        messages=(*state.messages, *record.messages),
        todo=state.todo if record.todo is None else record.todo,
        turn=record.turn,
        usage=state.usage + reply.usage,
        cost=state.cost + (reply.cost or 0.0),
        priced=state.priced and reply.cost is not None,
        seconds=state.seconds + sum(value for name, value in (record.seconds or {}).items() if name != "first"),
        context=reply.usage.input + reply.usage.output,
        digest=_chain(state.digest, record.messages),
        idle=0 if guard.usable(reply) else state.idle + 1,
        signatures=(*state.signatures, *_signatures(reply.calls, results))[-REMEMBERED:],
        ending=record.ending,
    )


def send_back(state: AgentState, text: str) -> AgentState:
    """*state* with *text* from the system as the newest word, and the agent at work again."""
    word = Text(text=text)
    *before, last = state.messages
    if last.role == "user":
        messages = (*before, replace(last, parts=(*last.parts, word)))
    else:
        messages = (*state.messages, Message(role="user", parts=(word,)))
    digest = _chain(state.digest, messages[-1:])
    return replace(state, messages=messages, digest=digest, ending=None, idle=0)


def fixed(brief: Brief, tools: Toolset) -> str:
    """A digest of what every request of one conversation has in common."""
    return sha256(repr((brief, tools.schemas)).encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(fixed: str, state: AgentState) -> str:
    """A digest of the request that `ask` would build, without building it: it costs the same at every turn."""
    return sha256(f"{fixed} {state.digest}".encode()).hexdigest()


def size(brief: Brief, state: AgentState, tools: Toolset) -> int:
    """The next request in tokens, rather too high; what the provider counted last time is taken as it is."""
    if state.context:
        latest = state.messages[-1]
        return state.context + (sum(map(_tokens, latest.parts)) if latest.role == "user" else 0)
    return sum(_dense(text) for text in (*brief.system, brief.anchor, repr(tools.schemas)))


def _tokens(part: Part) -> int:
    return _dense(part.arguments if isinstance(part, ToolCall) else part.text)


def _dense(text: str) -> int:
    """Tokens of *text*, at two bytes each: prose has four or five, code three, digits and hashes two."""
    return len(text.encode("utf-8", "surrogatepass")) // 2 + 1


def _chain(digest: str, messages: Sequence[Message]) -> str:
    return sha256(digest.encode() + repr(messages).encode("utf-8", "surrogatepass")).hexdigest()


async def _run_calls(
    calls: Sequence[ToolCall], turn: int, tools: Toolset, context: ToolContext, told: Told
) -> list[Done]:
    """Carry out *calls* in order; neighbours that only read run side by side; nothing runs after `finish`."""
    ready: list[Call] = [(call, _prepare(call, tools)) for call in calls]
    done: list[Done] = []
    while ready:
        batch = [ready.pop(0)]
        while ready and _reads(batch[-1]) and _reads(ready[0]):
            batch.append(ready.pop(0))
        if any(each.answer and each.answer.finish for each in done):
            done += [Done(_error(call, "not run: the work was already finished"), None) for call, _ in batch]
            continue
        running = (_run_call(call, prepared, turn, tools, context, told) for call, prepared in batch)
        ended = await asyncio.gather(*running, return_exceptions=True)  # none is left running when one fails
        failed = next((each for each in ended if isinstance(each, BaseException)), None)
        if failed is not None:
            raise failed
        done += [each for each in ended if isinstance(each, Done)]
    return done


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
        answer = await tools.call(prepared, context)
        ignored = f"\n(ignored: {', '.join(prepared.ignored)})" if prepared.ignored else ""
        done = Done(ToolResult(call=call.id, name=call.name, text=answer.text + ignored), answer)
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
        )
    )
    return done


def _error(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call=call.id, name=call.name, text=text, error=True)


def _signatures(calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> tuple[str, ...]:
    """A short digest of each call and its result: equal digests are the same call with the same result."""
    texts = {result.call: result.text for result in results}
    return tuple(
        sha256(f"{call.name}\0{call.arguments}\0{texts.get(call.id, '')}".encode("utf-8", "replace")).hexdigest()[:16]
        for call in calls
    )


def _todo(answers: Sequence[Answer]) -> tuple[Todo, ...] | None:
    latest = next((answer.todo for answer in reversed(answers) if answer.todo is not None), None)
    return None if latest is None else tuple(Todo(text=text, state=state) for text, state in latest)  # type: ignore[arg-type]  # the tool's schema allows these states only


def _ending(answers: Sequence[Answer]) -> Ending | None:
    finish = next((answer.finish for answer in answers if answer.finish), None)
    return Ending(kind="finished", text=finish.summary, evidence=finish.evidence) if finish else None
