"""What is still shown: lines of a file that the conversation holds as they are get pointed to, not sent again.

Nothing is remembered for that beside the conversation itself. A file is read anew each time; only if all that the
result would say is there already, letter for letter, a line that says where takes its place. Whoever asks again is
shown the lines again. A compaction that takes lines away takes back what pointed to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nightmill.agent.nouns import AgentState
from nightmill.model import Message, ToolCall, ToolResult
from nightmill.model.history import read_object
from nightmill.tool.base import known_as

__all__ = ["mend", "point"]

LEAST = 800
"""Characters of a result that are worth pointing to: much more than compaction leaves alone."""
MOST_REMARKS = 3
LINE = re.compile(r"(\d+)\t")
POINTER = re.compile(r"\(unchanged since turn (\d+): lines (\d+)–(\d+) of ")


@dataclass(frozen=True, slots=True)
class Read:
    """Lines of a file that a result shows, or points to in the result of another turn."""

    path: str
    first: int
    last: int
    lines: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    turn: int = 0
    """Whose results show the lines."""

    def holds(self, other: Read) -> bool:
        """Whether all lines of *other* are here, as they are there."""
        start = other.first - self.first
        return start >= 0 and self.lines[start : start + len(other.lines)] == other.lines

    def meets(self, other: Read) -> bool:
        """Whether both have a line in common."""
        return self.path == other.path and self.first <= other.last and other.first <= self.last


def point(
    state: AgentState, turn: int, calls: Sequence[ToolCall], results: Sequence[ToolResult]
) -> tuple[ToolResult, ...]:
    """The *results* of the *turn* after *state*, in the order of *calls*, with pointers to what is shown before them."""
    reads = [_read(call, result, turn) for call, result in zip(calls, results, strict=True)]
    before = list(_shown(state)) if any(reads) else []
    made: list[ToolResult] = []
    for call, result, read in zip(calls, results, reads, strict=True):
        if read is not None:
            there = _there(before, read) if len(result.text) >= LEAST else None
            if there is not None:
                read, result = replace(read, lines=(), turn=there), _pointer(call, result, read, there)  # noqa: PLW2901 - what is appended
            before.append(read)
        made.append(result)
    return tuple(made)


def mend(state: AgentState, messages: Sequence[Message]) -> tuple[Message, ...]:
    """*messages*, which are what a compaction leaves of those of *state*, without pointers to what it took away."""
    left = {id(message) for message in messages}
    turns = {turn for turn, _, message in _turns(state) if id(message) in left}

    def mended(message: Message) -> Message:
        parts = tuple(
            replace(part, text=f"[it was unchanged since turn {turn}, which is not shown any more: call it again]")
            if isinstance(part, ToolResult) and (turn := _points(part)) and turn not in turns
            else part
            for part in message.parts
        )
        return replace(message, parts=parts) if parts != message.parts else message

    return tuple(map(mended, messages))


def _there(before: Sequence[Read], read: Read) -> int | None:
    """The turn whose results show *read* as it is, None if none does, or if that was already said."""
    met = [each for each in before if each.meets(read)]
    newest = next((each for each in reversed(met) if each.lines), None)
    if newest is None or not newest.holds(read):
        return None
    same = {each.turn for each in met if each.lines and each.holds(read)}
    said = (each for each in met if not each.lines and (each.first, each.last) == (read.first, read.last))
    return None if any(each.turn in same for each in said) else newest.turn


def _pointer(call: ToolCall, result: ToolResult, read: Read, turn: int) -> ToolResult:
    path = (read_object(call.arguments) or {})["path"]
    said = (
        f"(unchanged since turn {turn}: lines {read.first}–{read.last} of {path} are shown there as they are now."
        " Call it once more to have them here.)"
    )
    return replace(result, text="\n".join((said, *read.remarks)))


def _points(result: ToolResult) -> int:
    """The turn that *result* points to; 0: it shows what it shows. No line of a file begins as a pointer does."""
    found = POINTER.match(result.text) if result.name == "read_file" and not result.error else None
    return int(found[1]) if found else 0


def _shown(state: AgentState) -> Iterator[Read]:
    for turn, said, message in _turns(state):
        calls = [part for part in said.parts if isinstance(part, ToolCall)]
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        found = (_read(call, result, turn) for call, result in zip(calls, results, strict=False))
        yield from (read for read in found if read is not None)


def _turns(state: AgentState) -> Iterator[tuple[int, Message, Message]]:
    """(number, reply, results) of each turn of *state* that is still shown and has results."""
    turn = state.turn - sum(message.role == "assistant" for message in state.messages)
    for at, message in enumerate(state.messages):
        turn += message.role == "assistant"
        after = state.messages[at + 1 : at + 2]
        if message.role == "assistant" and after and after[0].role == "user":
            yield turn, message, after[0]


def _read(call: ToolCall, result: ToolResult, turn: int) -> Read | None:
    """What *result* shows or points to, None if it is anything but lines of a file, one after the other."""
    path = (read_object(call.arguments) or {}).get("path") if call.name == "read_file" else None
    if not isinstance(path, str) or not path.isprintable() or result.error:
        return None
    if found := POINTER.match(result.text):
        return Read(known_as(path), int(found[2]), int(found[3]), turn=int(found[1]))
    texts = result.text.split("\n")
    numbers = [int(found[1]) if (found := LINE.match(text)) else 0 for text in texts]
    count = next((at for at, number in enumerate(numbers) if not number or number != numbers[0] + at), len(texts))
    remarks = tuple(texts[count:])
    if not count or len(remarks) > MOST_REMARKS or any(not each.startswith("(") for each in remarks):
        return None
    return Read(known_as(path), numbers[0], numbers[0] + count - 1, tuple(texts[:count]), remarks, turn)
