"""Calls as models make them that learnt other tools, or JSON not so well."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightmill.errors import ToolError
from nightmill.model import ToolCall
from nightmill.tool import standard
from nightmill.tool.names import distance
from nightmill.tool.toolset import Prepared
from tests.tool.conftest import Bench, Tell


def prepare(name: str, arguments: Any) -> Prepared:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return standard().prepare(ToolCall(id="c", name=name, arguments=text))


def given(name: str, arguments: Any) -> tuple[str, dict[str, Any]]:
    prepared = prepare(name, arguments)
    return prepared.tool.name, prepared.arguments.model_dump(exclude_unset=True)


READ = ("read_file", {"path": "a.py"})
RUN = ("run_command", {"command": "ls -la"})
EDIT = ("edit_file", {"path": "a.py", "edits": [{"old": "x", "new": "y"}]})
WRITE = ("write_file", {"path": "a.py", "content": "x\n"})

LEARNT = [
    ("Read", {"file_path": "a.py"}, READ),
    ("view_file", {"AbsolutePath": "a.py"}, READ),
    ("functions.read_file", {"target_file": "a.py"}, READ),
    ("functions.read_file:0", {"path": "a.py"}, READ),
    ("default_api.read_file", {"path": "a.py"}, READ),
    ("mcp__files__read_file", {"path": "a.py"}, READ),
    ("read_file<|channel|>commentary", {"path": "a.py"}, READ),
    ("readFile", {"filename": "a.py"}, READ),
    ("read_file_ex", {"path": "a.py"}, READ),
    ("raed_file", {"pth": "a.py"}, READ),
    ("Read", {"file_path": "a.py", "offset": "3", "limit": 2.0}, ("read_file", {"path": "a.py", "offset": 3, "limit": 2})),
    ("read_file", {"path": "a.py", "start_line": 3, "end_line": 9}, ("read_file", {"path": "a.py", "offset": 3, "limit": 7})),
    ("read_file", {"arguments": {"path": "a.py"}}, READ),
    ("read_file", {"name": "read_file", "arguments": '{"path": "a.py"}'}, READ),
    ("read_file", {"path": "a.py", "offset": None}, READ),
    ("Bash", {"command": "ls -la", "description": "look"}, RUN),
    ("shell", {"command": ["bash", "-lc", "ls -la"]}, RUN),
    ("shell", {"command": ["ls", "-la"]}, RUN),
    ("run_shell_command", {"cmd": "ls -la", "workdir": "."}, RUN),
    ("exec_command", {"cmd": "ls -la", "workdir": "/work/repo/a b"}, (
        "run_command", {"command": "cd '/work/repo/a b' || exit\nls -la"})),
    ("shell", {"command": "ls -la", "timeout_ms": 5000}, ("run_command", {"command": "ls -la", "timeout": 5.0})),
    ("Bash", {"command": "ls -la", "timeout": 120000}, ("run_command", {"command": "ls -la", "timeout": 120.0})),
    ("read_file", {"path": "a.py", "offset": 0}, ("read_file", {"path": "a.py", "offset": 1})),
    ("update_todo", {"items": ["a", "b"]}, ("update_todo", {"items": [{"text": "a"}, {"text": "b"}]})),
    ("Edit", {"file_path": "a.py", "old_string": "x", "new_string": "y"}, EDIT),
    ("edit_file", {"path": "a.py", "edits": {"old": "x", "new": "y"}}, EDIT),
    ("edit_file", {"path": "a.py", "edits": '[{"old": "x", "new": "y"}]'}, EDIT),
    ("edit_file", {"path": "a.py", "edits": ['{"oldText": "x", "newText": "y"}']}, EDIT),
    ("MultiEdit", {"file_path": "a.py", "edits": [{"old_string": "x", "new_string": "y", "replace_all": "true"}]}, (
        "edit_file", {"path": "a.py", "edits": [{"old": "x", "new": "y", "all": True}]})),
    ("str_replace_editor", {"command": "view", "path": "a.py", "view_range": [3, 9]}, (
        "read_file", {"path": "a.py", "offset": 3, "limit": 7})),
    ("str_replace_based_edit_tool", {"command": "str_replace", "path": "a.py", "old_str": "x", "new_str": "y"}, EDIT),
    ("str_replace_editor", {"command": "create", "path": "a.py", "file_text": "x\n"}, WRITE),
    ("Write", {"file_path": "a.py", "contents": "x\n"}, WRITE),
    ("TodoWrite", {"todos": [{"content": "a", "status": "in_progress", "activeForm": "b"}]}, (
        "update_todo", {"items": [{"text": "a", "state": "doing"}]})),
    ("update_plan", {"plan": [{"step": "a", "status": "completed"}]}, (
        "update_todo", {"items": [{"text": "a", "state": "done"}]})),
    ("Grep", {"query": "x", "include": "*.py"}, ("search", {"pattern": "x", "glob": "*.py"})),
    ("attempt_completion", {"result": "all done"}, ("finish", {"summary": "all done"})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "meant"), LEARNT)
def test_a_call_is_understood_and_what_was_read_into_it_is_said(
    name: str, arguments: Any, meant: tuple[str, dict[str, Any]]
) -> None:
    assert given(name, arguments) == meant
    prepared = prepare(name, arguments)
    silent = {"path": "a.py", "offset": None}  # a null says nothing
    assert prepared.notes or arguments == silent
    assert all(len(note) <= 200 and "\n" not in note for note in prepared.notes)


def test_a_sound_call_has_no_notes() -> None:
    calls: list[tuple[str, dict[str, Any]]] = [READ, RUN, EDIT, WRITE]

    assert [prepare(*call).notes for call in calls] == [()] * 4


BROKEN = "{'command': 'rm -r build', }"
CUT = '{"command": "rm -r bui'
UNCLOSED = '{"command": "rm -r build"'
QUOTED = '{"command": "echo "a" > b"}'


def test_a_tool_that_changes_something_is_run_only_where_there_is_one_way_to_read_the_call() -> None:
    assert given("run_command", BROKEN) == ("run_command", {"command": "rm -r build"})
    for text in (CUT, UNCLOSED, QUOTED):
        with pytest.raises(ToolError, match=r"not a JSON object .* would be a guess; nothing was run"):
            prepare("run_command", text)


def test_a_tool_that_reads_is_run_with_what_can_be_made_of_the_call_unless_a_value_is_cut_off() -> None:
    assert given("read_file", '{"path": "a.py"') == READ
    assert given("search", '{"pattern": "\\d+"}') == ("search", {"pattern": "\\d+"})
    with pytest.raises(ToolError, match="a string without its end"):
        prepare("read_file", '{"path": "a.p')


def test_a_name_with_a_slip_runs_a_tool_that_changes_something_only_if_everything_else_fits() -> None:
    assert given("wriet_file", {"path": "a.py", "content": "x\n"}) == WRITE
    for arguments in ({"path": "a.py", "content": "x\n", "mode": "append"}, {"path": "a.py", "contnt": "x\n"}):
        with pytest.raises(ToolError, match="there is no tool 'wriet_file'"):
            prepare("wriet_file", arguments)


@pytest.mark.parametrize(
    "name", ["", "file", "fetch_url", "delete_file", "rite", "commit", "list_read_file_search", "x" * 9999]
)
def test_a_name_that_could_be_anything_is_no_tool(name: str) -> None:
    with pytest.raises(ToolError, match=r"there is no tool .*; there are: read_file"):
        prepare(name, {})


def test_two_names_for_one_parameter_are_not_mixed() -> None:
    prepared = prepare("read_file", {"path": "a.py", "file_path": "b.py"})

    assert (prepared.arguments.path, prepared.ignored) == ("a.py", ("file_path",))


def test_letters_between_two_words_are_counted() -> None:
    words = [("read", "read"), ("raed", "read"), ("red", "read"), ("reads", "read"), ("road", "read"), ("xyz", "read")]

    assert [min(distance(one, other, most=3), 4) for one, other in words] == [0, 1, 1, 1, 1, 4]


def test_the_model_reads_in_the_result_what_was_read_into_its_call(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        assert (await bench.text("Read", file_path="README.md", limit="1")).endswith(
            "\n('Read' read as read_file; 'file_path' read as 'path'; 'limit' read as a number)"
        )
        assert "'cmd' read as 'command'" in await bench.text("shell", cmd="true")
        assert "'file' read as 'path'" in await bench.refused("read_file", file="none")

    tell(story)
