"""What an editor shows of an event: words, thoughts, tools at work, the plan. Every sign that people would not see is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import acp
from acp.schema import PlanEntry

from nightmill import event as e
from nightmill.report.text import plain

__all__ = ["Say", "began", "called", "ended", "kind_of", "line", "words"]

Say = Callable[[e.Event], str]
"""An event in one line, "" for what needs none."""

Kind = Literal["read", "edit", "search", "execute", "think", "other"]

KINDS: dict[str, Kind] = {
    "read_file": "read",
    "list_files": "read",
    "read_output": "read",
    "search": "search",
    "explore": "search",
    "edit_file": "edit",
    "write_file": "edit",
    "apply_patch": "edit",
    "run_command": "execute",
    "update_todo": "think",
    "remember": "think",
}

STATES: dict[str, Literal["pending", "in_progress", "completed"]] = {"doing": "in_progress", "done": "completed"}


def line(told: e.Event, say: Say) -> Iterator[Any]:
    """*told* as the plan, or as a thought of one line, if it has one."""
    if isinstance(told, e.TodoChanged):
        yield acp.update_plan([_entry(each) for each in told.items])
    elif text := say(told):
        yield acp.update_agent_thought_text(f"{plain(text)}\n")


def words(said: str) -> Iterator[Any]:
    """What an agent *said*, if that is anything."""
    if said:
        yield acp.update_agent_message_text(f"{plain(said)}\n\n")


def began(told: e.ToolStarted, id: str, *, again: bool) -> Any:
    """The call of *told*, at work as *id*; *again*: it stands there since it was written."""
    if again:
        return acp.update_tool_call(id, title=_title(told), kind=kind_of(told.tool), status="in_progress", content=[])
    return acp.start_tool_call(id, _title(told), kind=kind_of(told.tool), status="in_progress")


def ended(told: e.ToolFinished, id: str, *, again: bool) -> Any:
    """The call of *told*, ended as *id*; without *again* it was never seen to begin."""
    status: Literal["completed", "failed"] = "completed" if told.ok else "failed"
    if again:
        return acp.update_tool_call(id, status=status)
    return acp.start_tool_call(id, _title(told), kind=kind_of(told.tool), status=status)


def called(told: e.ToolStarted | e.ToolFinished) -> str:
    """The id of a call that was not seen before it began."""
    return f"{told.run}/{told.turn}/{told.call}"


def kind_of(tool: str) -> Kind:
    """What *tool* does, as editors sort it."""
    return KINDS.get(tool, "other")


def _title(told: e.ToolStarted | e.ToolFinished) -> str:
    return plain(f"{told.tool} {told.label}".strip())


def _entry(item: dict[str, str]) -> PlanEntry:
    return acp.plan_entry(plain(item.get("text", "")), status=STATES.get(item.get("state", ""), "pending"))
