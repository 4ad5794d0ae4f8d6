"""Lines of a file that are still shown are pointed to, and never where the next request does not hold them."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill import agent
from nightmill.agent import AgentState, Told
from nightmill.agent.compact import compact
from nightmill.agent.nouns import Layer
from nightmill.errors import ToolError
from nightmill.model import ToolCall, ToolResult
from nightmill.sandbox import Limits, Workspace
from nightmill.tool import ToolContext, Toolset
from nightmill.tool.files import ReadFile
from tests.agent.conftest import BRIEF, reply

LONG = replace(BRIEF, compact_at=5_000, tag="[system 1234]")
POINTER = re.compile(r"\(unchanged since turn (\d+): lines (\d+)–(\d+) of (\S+) are shown there")


def text(name: str, version: int, count: int = 60) -> str:
    return "".join(f"{name} line {number} of version {version}, long enough to count\n" for number in range(count))


@dataclass
class Reader:
    """An agent with the real tool for reading, over files that are in memory."""

    files: dict[str, str] = field(default_factory=dict)
    state: AgentState = AgentState()
    claims: dict[str, str] = field(default_factory=dict)
    """By call: the lines that it would have shown."""

    async def read(self, path: str, *, limit: int) -> bytes:
        try:
            return self.files[path.removeprefix("/work/repo/")].encode()[:limit]
        except KeyError:
            raise ToolError("No such file") from None

    def turn(self, *reads: tuple[str, int, int], layer: Layer = "") -> list[str]:
        """Read (path, offset, limit) in one reply; *layer*: what is compacted right then. The results."""
        made = [
            ToolCall(
                id=f"t{self.state.turn + 1}-{at}",
                name="read_file",
                arguments=json.dumps({"path": path, "offset": offset, "limit": limit}),
            )
            for at, (path, offset, limit) in enumerate(reads)
        ]
        for call, (path, offset, limit) in zip(made, reads, strict=True):
            lines = self.files[path.removeprefix("./")].splitlines()[offset - 1 : offset - 1 + limit]
            self.claims[call.id] = "\n".join(f"{number}\t{line}" for number, line in enumerate(lines, offset))
        context = ToolContext(workspace=cast("Workspace", self), limits=Limits())
        told = Told(run="r", emit=lambda _: None, clock=lambda: 0.0)
        acting = agent.act(LONG, self.state, reply(*made), tools=Toolset((ReadFile(),)), context=context, told=told)
        record = asyncio.run(acting)
        self.state = agent.apply(LONG, self.state, replace(record, compact=layer))
        return [part.text for part in record.messages[-1].parts if isinstance(part, ToolResult)]


def test_a_file_that_is_still_shown_is_pointed_to_once_and_then_shown_again() -> None:
    reader = Reader({"a.py": text("a", 1)})
    whole = reader.turn(("a.py", 1, 1000))

    (pointer,) = reader.turn(("./a.py", 1, 1000))
    assert pointer.startswith("(unchanged since turn 1: lines 1–60 of ./a.py are shown there as they are now.")
    assert reader.turn(("a.py", 1, 1000)) == whole
    assert reader.turn(("a.py", 1, 1000)) == whole


def test_a_range_of_what_is_shown_is_pointed_to_with_what_the_tool_says_beside_it() -> None:
    reader = Reader({"a.py": text("a", 1)})
    reader.turn(("a.py", 1, 1000))

    (pointer,) = reader.turn(("a.py", 21, 30))
    assert POINTER.match(pointer)
    assert pointer.endswith("\n(lines 21–50 of 60)")
    (beyond,) = Reader(reader.files, reader.state).turn(("a.py", 40, 1000))
    assert POINTER.match(beyond)


def test_what_has_changed_is_shown_and_so_is_the_rest_of_the_file_beside_it() -> None:
    reader = Reader({"a.py": text("a", 1)})
    reader.turn(("a.py", 1, 1000))
    before = reader.files["a.py"]
    reader.files["a.py"] = before.replace("a line 30 of", "another line 30 of")

    assert "another line 30" in reader.turn(("a.py", 1, 1000))[0]
    assert POINTER.match(reader.turn(("a.py", 1, 25))[0])
    reader.files["a.py"] = before
    assert "a line 30 of" in reader.turn(("a.py", 1, 1000))[0], "what was read last is something else"


def test_other_files_short_ones_and_errors_are_shown_as_they_are() -> None:
    reader = Reader({"a.py": text("a", 1), "b.py": text("a", 1), "small": "one\n"})
    for _ in range(2):
        assert "1\ta line 0" in reader.turn(("a.py", 1, 1000), ("small", 1, 10))[0]
        reader.state = AgentState()
    reader.turn(("a.py", 1, 1000), ("small", 1, 10))
    assert reader.turn(("b.py", 1, 1000), ("small", 1, 10))[0].startswith("1\ta line 0")
    assert reader.turn(("small", 1, 10)) == ["1\tone"]


def test_the_same_file_twice_in_one_reply_is_shown_once() -> None:
    reader = Reader({"a.py": text("a", 1)})
    whole, pointer = reader.turn(("a.py", 1, 1000), ("a.py", 1, 1000))

    assert whole.startswith("1\ta line 0")
    assert pointer.startswith("(unchanged since turn 1: ")


def test_a_compaction_takes_back_what_points_to_lines_that_it_takes_away() -> None:
    reader = Reader({"a.py": text("a", 1), **{f"f{number}": text("f", number, 150) for number in range(3)}})
    reader.turn(("a.py", 1, 1000))
    for number in range(2):
        reader.turn((f"f{number}", 1, 1000))
    reader.turn(("a.py", 1, 1000), layer="results")

    assert [part.text for part in reader.state.messages[-1].parts] == [  # type: ignore[union-attr]
        "[it was unchanged since turn 1, which is not shown any more: call it again]"
    ]
    assert reader.turn(("a.py", 1, 1000))[0].startswith("1\ta line 0")


reads = st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 60), st.sampled_from([15, 40, 1000]))
events = st.one_of(
    st.lists(reads, min_size=1, max_size=3),
    st.sampled_from(["edit a", "edit b", "revert a", "send back", "outgrown"]),
)


@settings(max_examples=150)
@given(
    story=st.lists(st.tuples(events, st.sampled_from(["", "", "", "results", "turns", "state"])), max_size=25),
    after=st.sampled_from(["", "results", "turns"]),
)
def test_no_request_points_to_what_it_does_not_hold(story: list[tuple[Any, Layer]], after: Layer) -> None:
    reader = Reader({"a": text("a", 0), "b": text("b", 0)})
    for step, (what, layer) in enumerate(story, 1):
        if what == "send back":
            reader.state = agent.send_back(reader.state, "Go on.")
        elif what == "outgrown":
            reader.state = agent.apply(LONG, reader.state, agent.outgrown(reader.state, seconds=0.0))
        elif isinstance(what, str):
            verb, name = what.split()
            version = step if verb == "edit" else 0
            reader.files[name] = text(name, 0).replace("line 31 of version 0", f"line 31 of version {version}")
        else:
            reader.turn(*what, layer=layer)
        holds_what_it_points_to(reader)
    if after:
        reader.state = compact(LONG, reader.state, after)
        holds_what_it_points_to(reader)


def holds_what_it_points_to(reader: Reader) -> None:
    request = agent.ask(LONG, reader.state, Toolset((ReadFile(),)), max_tokens=9)
    results = [part for message in request.messages for part in message.parts if isinstance(part, ToolResult)]
    for at, result in enumerate(results):
        if found := POINTER.match(result.text):
            shown = [each.text for each in results[:at] if each.call.startswith(f"t{found[1]}-")]
            assert any(f"\n{reader.claims[result.call]}\n" in f"\n{each}\n" for each in shown), result.text
