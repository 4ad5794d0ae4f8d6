"""Which tool a model means by a name that none has: other harnesses' names for ours, and slips."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["TRAINED", "Found", "distance", "find", "plain"]

TRAINED = {
    "read_file": "read view view_file open_file cat fs_read get_file read_text_file show_file",
    "list_files": "ls list list_dir list_directory directory_tree list_folder",
    "search": "grep rg ripgrep grep_search search_files search_file_content search_code find_in_files codebase_search",
    "edit_file": (
        "edit multi_edit str_replace str_replace_editor str_replace_based_edit_tool replace replace_in_file "
        "search_replace file_editor editor edit_text_file"
    ),
    "write_file": "write create_file new_file save_file write_to_file create overwrite_file",
    "run_command": (
        "bash shell sh exec exec_command run_shell_command execute_bash terminal execute_command shell_command run_commands "
        "run_terminal_cmd run_in_terminal local_shell execute command container_exec developer_shell run bash_command"
    ),
    "update_todo": "todo todo_write todowrite write_todos update_plan task_tracker todos manage_todo_list",
    "finish": "attempt_completion task_complete submit done complete finish_task finish_work complete_task submit_work",
    "read_output": "bash_output task_output get_output command_output",
}
"""The names of Claude Code, Codex, Gemini CLI, OpenHands, opencode, Cline, pi and others, as models were trained on."""

EDITORS = frozenset({"strreplaceeditor", "strreplacebasededittool", "fileeditor", "editor"})
COMMANDS = {"view": "read_file", "create": "write_file", "str_replace": "edit_file"}
"""What an editor that takes its verb as an argument means by it."""

SUFFIX = re.compile(r"(?:[_-]?(?:ex|tool|function|func|v\d+))+$", re.IGNORECASE)
NUMBERED = re.compile(r"[:#]\d+$")
LEAST = 5
"""Letters below which a slip could be anything."""


class Found(NamedTuple):
    """A tool, and how it was found. *guessed*: by likeness, not by a name that it goes by."""

    name: str
    note: str = ""
    guessed: bool = False
    without: str = ""
    """An argument that was part of the name."""


def find(name: str, given: Mapping[str, Any], known: Collection[str]) -> Found | None:
    """The one of *known* that *name* means, in a call with the arguments *given*; None if it could be several or none."""
    if name in known:
        return Found(name)
    note = f"{name[:60]!r} read as {{}}"
    names = _spelled(known)
    for stem in _stems(name):
        verb = given.get("command")
        if stem in EDITORS and isinstance(verb, str) and COMMANDS.get(verb) in known:
            return Found(COMMANDS[verb], note.format(COMMANDS[verb]), without="command")
        if stem in names:
            return Found(names[stem], note.format(names[stem]))
    near = {names[each] for stem in _stems(name) for each in names if _near(stem, each)}
    only = near.pop() if len(near) == 1 else ""
    return Found(only, note.format(only), guessed=True) if only else None


def plain(name: str) -> str:
    """*name* without what people and models vary: case, `_`, `-` and spaces."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def distance(one: str, other: str, *, most: int) -> int:
    """Letters to add, drop, change or swap with the next, to make *one* *other* (optimal string alignment), or more than *most*."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, last, row = row, before, [at]
        for to, wanted in enumerate(other, 1):
            cost = min(before[to] + 1, row[to - 1] + 1, before[to - 1] + (letter != wanted))
            if at > 1 and to > 1 and letter == other[to - 2] and one[at - 2] == wanted:
                cost = min(cost, last[to - 2] + 1)
            row.append(cost)
    return row[-1]


def _spelled(known: Collection[str]) -> dict[str, str]:
    """Each plain name that one of *known* goes by; a name of its own comes before what others call it."""
    names = {plain(each): tool for tool in known for each in TRAINED.get(tool, "").split()}
    return names | {plain(tool): tool for tool in known}


def _stems(name: str) -> Iterator[str]:
    """What may be the name in *name*, the likeliest first: without marks of templates, namespaces, numbers, suffixes."""
    bare = NUMBERED.sub("", name.split("<|", maxsplit=1)[0].strip(" \t\r\n`\"'()[]{}<>"))[:100]
    last = re.split(r"[.:/]|__", bare)[-1]
    for each in (bare, last, SUFFIX.sub("", bare), SUFFIX.sub("", last)):
        if stem := plain(each):
            yield stem


def _near(one: str, other: str) -> bool:
    if min(len(one), len(other)) < LEAST:
        return False
    most = 1 if min(len(one), len(other)) < 2 * LEAST else 2
    return distance(one, other, most=most) <= most
