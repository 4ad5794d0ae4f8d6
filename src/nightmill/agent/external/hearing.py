"""What an external agent says of its work, heard as our own agent's: calls, a list, words; bounded, and never obeyed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nightmill import event
from nightmill.agent.external.wire import AgentLost, tidy
from nightmill.agent.loop import Told
from nightmill.agent.nouns import Todo
from nightmill.model import Text, Thinking, ToolCall, ToolResult
from nightmill.model.message import Part
from nightmill.tool.base import Progress

__all__ = ["Heard", "Hearing"]

MOST_TEXT, MOST_RESULT, MOST_INPUT, MOST_OF_CALLS = 64_000, 16_000, 16_000, 256_000
"""Characters that a turn keeps: of all words together, of a call's result, of what it was called with, of all calls."""
REMEMBERED = 1_000
"""Calls that ended, of which some agents tell again."""
MOST_CALLS, MOST_LISTS, MOST_ITEMS = 200, 20, 100
"""Calls and new lists of a turn that are told and kept, and lines of a list."""
MOST_UPDATES, MOST_BYTES = 200_000, 64 << 20
"""Of one turn; more is a flood."""
LABEL, KIND, ID = 200, 40, 120
ENDED = {"completed": True, "failed": False}
STATES: Mapping[str, Progress] = {"pending": "pending", "in_progress": "doing", "completed": "done"}


@dataclass(slots=True, kw_only=True)
class _Call:
    id: str
    tool: str = "other"
    title: str = ""
    arguments: str = "{}"
    result: str = ""
    edited: tuple[str, ...] = ()
    started: float = 0.0


class Heard(NamedTuple):
    """What one turn holds: parts of the reply, results of its calls, the list if it changed, paths that were edited."""

    parts: tuple[Part, ...]
    results: tuple[ToolResult, ...]
    todo: tuple[Todo, ...] | None
    edited: tuple[str, ...]


def _unheard(_kind: str, _text: str) -> None:
    pass


@dataclass(slots=True)
class Hearing:
    """Takes updates in, tells the ledger, and gives what came since the last cut."""

    told: Told
    hide: Callable[[str], str] = str
    """Leaves secrets out of what it says and its calls print; asked for each text when it is whole."""
    aloud: Callable[[str, str], None] = _unheard
    """Hears its words as they come."""
    turn: int = 1
    ended: int = 0
    """Calls that ended since the last cut."""
    moved: float = 0.0
    """When the latest update came."""
    said: str = ""
    """Its words since its latest call."""

    _parts: list[Part] = field(default_factory=list)
    _results: list[ToolResult] = field(default_factory=list)
    _edited: list[str] = field(default_factory=list)
    _open: dict[str, _Call] = field(default_factory=dict)
    _todo: tuple[Todo, ...] | None = None
    _lists: int = 0
    _words: int = 0
    _updates: int = 0
    _bytes: int = 0
    _counted: int = 0
    _kept: int = 0
    _past: dict[str, None] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether a call is going on."""
        return bool(self._open)

    @property
    def heard(self) -> bool:
        """Whether anything is there to be cut."""
        return bool(self._parts or self._results or self._open or self._todo is not None)

    def arrived(self, size: int) -> None:
        """Count *size* bytes.

        Raises:
            AgentLost: If they are a flood.
        """
        self._bytes += size
        if self._bytes > MOST_BYTES:
            raise AgentLost(f"it wrote more than {MOST_BYTES >> 20} MiB in one turn")

    def take(self, update: dict[str, Any]) -> None:
        """Take one update in; a kind that is not known says nothing.

        Raises:
            AgentLost: If there are too many.
        """
        self._updates += 1
        self.moved = self.told.clock()
        if self._updates > MOST_UPDATES:
            raise AgentLost(f"it told of more than {MOST_UPDATES:,} things in one turn")
        kind = update.get("sessionUpdate")
        if kind == "agent_message_chunk":
            self._speak(_text(update.get("content")), Text)
        elif kind == "agent_thought_chunk":
            self._speak(_text(update.get("content")), Thinking)
        elif kind in ("tool_call", "tool_call_update"):
            self.call(update)
        elif kind == "plan":
            self._list(update.get("entries"))

    def call(self, told: dict[str, Any]) -> None:
        """What is *told* of a call: in an update, or where leave is asked for it."""
        id_ = tidy(str(told.get("toolCallId") or ""), most=ID)
        call = self._open.get(id_)
        if call is None:
            if not id_ or self._counted >= MOST_CALLS or id_ in self._past:
                return
            self._counted += 1
            call = self._open[id_] = _Call(id=id_, started=self.told.clock())
            _learn(call, told)
            self.said = ""
            self.aloud("tool", f"{call.tool} {call.title}".strip())
            self._say(call, before="{}")
            self.told.emit(
                event.ToolStarted(run=self.told.run, turn=self.turn, call=id_, tool=call.tool, label=call.title)
            )
        else:
            before = call.arguments
            _learn(call, told)
            self._say(call, before=before)
        ok = ENDED.get(str(told.get("status")))
        if ok is not None:
            self._end(call, ok=ok)

    def _say(self, call: _Call, *, before: str) -> None:
        """Say aloud what a call was given, as soon as that is known."""
        newest = next(reversed(self._open.values())) is call  # what is heard is of the call that began last
        if newest and before == "{}" and call.arguments != before:
            self.aloud("tool_call", call.arguments)

    def give_up(self) -> None:
        """End the calls that nobody will tell the end of."""
        for call in list(self._open.values()):
            call.result = call.result or "its end was not told"
            self._end(call, ok=False)

    def cut(self) -> Heard:
        """What came since the last cut; calls that go on are in a later one."""
        parts = tuple(
            replace(each, text=self.hide(each.text)) if isinstance(each, Text | Thinking) else each
            for each in self._parts
        )
        heard = Heard(parts, tuple(self._results), self._todo, tuple(dict.fromkeys(self._edited)))
        self._parts, self._results, self._edited, self._todo = [], [], [], None
        self.ended = self._lists = self._words = self._updates = self._bytes = self._kept = 0
        self._counted = len(self._open)
        return heard

    def _end(self, call: _Call, *, ok: bool) -> None:
        del self._open[call.id]
        self._past[call.id] = None
        if len(self._past) > REMEMBERED:
            del self._past[next(iter(self._past))]
        self.ended += 1
        room = max(0, MOST_OF_CALLS - self._kept)
        arguments, result = call.arguments if len(call.arguments) <= room else "{}", self.hide(call.result)[:room]
        self._kept += len(arguments) + len(result)
        self._parts.append(ToolCall(id=call.id, name=call.tool, arguments=arguments))
        self._results.append(ToolResult(call=call.id, name=call.tool, text=result, error=not ok))
        self._edited += call.edited
        seconds = self.told.clock() - call.started
        self.told.emit(
            event.ToolFinished(
                run=self.told.run,
                turn=self.turn,
                call=call.id,
                tool=call.tool,
                ok=ok,
                label=call.title,
                seconds=seconds,
            )
        )

    def _speak(self, text: str, kind: type[Text | Thinking]) -> None:
        text = text[: max(0, MOST_TEXT - self._words)]
        if not text:
            return
        self._words += len(text)
        self.aloud("text" if kind is Text else "thinking", text)
        last = self._parts[-1] if self._parts else None
        if type(last) is kind:  # one text, however it was cut
            self._parts[-1] = kind(text=last.text + text)
        else:
            self._parts.append(kind(text=text))
        if kind is Text:
            self.said = (self.said + text)[-MOST_TEXT:]

    def _list(self, entries: Any) -> None:
        if not isinstance(entries, list) or self._lists >= MOST_LISTS:
            return
        self._lists += 1
        found = [each for each in entries[:MOST_ITEMS] if isinstance(each, dict)]
        items = [
            (tidy(str(each.get("content") or "")), STATES.get(str(each.get("status")), "pending")) for each in found
        ]
        self._todo = tuple(Todo(text=text, state=state) for text, state in items)
        plain = [{"text": text, "state": state} for text, state in items]
        self.told.emit(event.TodoChanged(run=self.told.run, turn=self.turn, items=plain))


def _learn(call: _Call, told: dict[str, Any]) -> None:
    """Keep what an update adds to what is known of a call."""
    kind, title, given = told.get("kind"), told.get("title"), told.get("rawInput")
    call.tool = tidy(kind, most=KIND) if isinstance(kind, str) and kind else call.tool
    call.title = tidy(title, most=LABEL) if isinstance(title, str) and title else call.title
    if isinstance(given, dict) and given:
        call.arguments = _arguments(given)
    shown = _result(told)
    call.result = shown or call.result
    if call.tool in {"edit", "delete", "move"}:
        call.edited = tuple(dict.fromkeys((*call.edited, *_paths(told))))[:MOST_ITEMS]


def _arguments(given: dict[str, Any]) -> str:
    try:
        text = json.dumps(given)  # no half of a surrogate pair is left in it
    except (ValueError, RecursionError):
        return "{}"
    return text if len(text) <= MOST_INPUT else json.dumps({"cut": text[:MOST_INPUT]})


def _result(told: dict[str, Any]) -> str:
    blocks = told.get("content")
    texts = [_block(each) for each in blocks[:MOST_ITEMS] if isinstance(each, dict)] if isinstance(blocks, list) else []
    text = "\n".join(filter(None, texts))
    raw = told.get("rawOutput")
    if not text and raw is not None:
        found = raw.get("output") if isinstance(raw, dict) else raw
        text = found if isinstance(found, str) else _arguments({"output": raw})
    return _plain(text)[:MOST_RESULT]


def _block(block: dict[str, Any]) -> str:
    if block.get("type") == "diff":
        return f"changed {tidy(str(block.get('path') or ''))}"
    return _text(block.get("content"))


def _paths(told: dict[str, Any]) -> Iterable[str]:
    for name in ("content", "locations"):
        value = told.get(name)
        for each in value[:MOST_ITEMS] if isinstance(value, list) else ():
            path = each.get("path") if isinstance(each, dict) else None
            if isinstance(path, str):
                yield tidy(path).removeprefix("/work/repo/")


def _text(content: Any) -> str:
    text = content.get("text") if isinstance(content, dict) else None
    return _plain(text[:MOST_TEXT]) if isinstance(text, str) else ""


def _plain(text: str) -> str:
    """*text* as it can be stored: no half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()
