"""What an editor shows of an event: words, thoughts, tools at work, the plan. Every sign that people would not see is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import acp
from acp.schema import PlanEntry

from nightmill import event as e
from nightmill.report.text import plain

__all__ = ["Say", "updates"]

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


def updates(told: e.Event, *, say: Say) -> Iterator[Any]:
    """The updates that *told* makes."""
    match told:
        case e.ToolStarted():
            title = plain(f"{told.tool} {told.label}".strip())
            kind = KINDS.get(told.tool, "other")
            yield acp.start_tool_call(_call(told), title, kind=kind, status="in_progress")
        case e.ToolFinished():
            yield acp.update_tool_call(_call(told), status="completed" if told.ok else "failed")
        case e.TodoChanged():
            yield acp.update_plan([_entry(each) for each in told.items])
        case e.TurnFinished() if told.said:
            yield acp.update_agent_message_text(f"{plain(told.said)}\n\n")
        case _:
            if line := say(told):
                yield acp.update_agent_thought_text(f"{plain(line)}\n")


def _call(told: e.ToolStarted | e.ToolFinished) -> str:
    return f"{told.run}/{told.turn}/{told.call}"


def _entry(item: dict[str, str]) -> PlanEntry:
    return acp.plan_entry(plain(item.get("text", "")), status=STATES.get(item.get("state", ""), "pending"))
