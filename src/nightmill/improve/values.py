"""Constants of a script that came from what its run was given, and how each is read from the environment instead.

A value is put into the text of a command by the shell. So only plain words become values, and the script itself refuses
any other: none can become code.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nightmill.errors import ToolError

__all__ = ["PATTERN", "Value", "another", "flags", "found", "guard", "in_patch", "in_shell", "uses"]

PATTERN = r"[0-9A-Za-z][0-9A-Za-z._+-]{1,79}"
"""What a value may be: nothing that a shell, sed or a path reads as more than letters."""
plain = re.compile(PATTERN)
said = re.compile(r"`([^`\s]+)`|\"([^\"\s]+)\"|'([^'\s]+)'|(?<![\w.])v?(\d+(?:\.\d+)+(?:[-+][0-9A-Za-z.]+)?)(?![\w])")
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
FLAGS = {
    "a date": re.compile(r"\b(?:19|20)\d\d-\d\d-\d\d\b"),
    "a hash": re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,64}\b"),
    "a temporary name": re.compile(r"/tmp/\S+|\bmktemp\b"),  # noqa: S108 - looked for, not used
    "chance or time": re.compile(r"\$RANDOM\b|\bdate\b|\buuidgen\b|/dev/u?random"),
    "the network": re.compile(r"https?://\S+|\bcurl\b|\bwget\b"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A *text* that the run was given, by the *name* of its input; *whence* says where it stood."""

    name: str
    text: str
    whence: str

    @property
    def variable(self) -> str:
        """By which commands read it."""
        return f"INPUT_{self.name.upper()}"

    @property
    def here(self) -> re.Pattern[str]:
        """Finds it where it stands by itself, not within a longer word or number."""
        return re.compile(rf"(?<![0-9A-Za-z_.+-]){re.escape(self.text)}(?![0-9A-Za-z_+-]|\.[0-9A-Za-z])")


def found(inputs: Mapping[str, Any], words: str, *, taken: Collection[str] = ()) -> tuple[Value, ...]:
    """What a run was given as values: its *inputs*, and of the *words* of its task what is quoted or a version.

    Of the words only what holds a digit: a name that is quoted is rather what the work is about. None of them has a name that
    is *taken*.
    """
    values: dict[str, Value] = {}
    for name, text in inputs.items():
        if isinstance(text, str) and plain.fullmatch(text) and NAME.fullmatch(name):
            values.setdefault(text, Value(name=name, text=text, whence=f"the input {name}"))
    names = {*taken, *(each.name for each in values.values())}
    for match in said.finditer(words):
        text = next(filter(None, match.groups()))
        if text in values or not plain.fullmatch(text) or not any(map(str.isdigit, text)):
            continue
        stem = "version" if re.fullmatch(r"v?\d+(\.\d+)+.*", text) else "value"
        name = next(each for each in (stem, *(f"{stem}_{n}" for n in range(2, 1000))) if each not in names)
        names.add(name)
        values[text] = Value(name=name, text=text, whence="the words of the task")
    return tuple(values.values())


def uses(text: str, value: Value) -> bool:
    """Whether *value* stands in *text*."""
    return value.here.search(text) is not None


def another(value: Value) -> str:
    """Another text of the same kind: its last number one more, or a letter more."""
    numbers = list(re.finditer(r"\d+", value.text))
    if not numbers:
        return f"{value.text}x"
    last = numbers[-1]
    return f"{value.text[: last.start()]}{int(last[0]) + 1}{value.text[last.end() :]}"


def in_shell(command: str, value: Value) -> str:
    """*command* (bash) with *value* read from its variable, by how it is quoted where it stands.

    Raises:
        ToolError: If it stands where that cannot be told: in a here-document, a substitution or an escaped text.
    """
    if not uses(command, value):
        return command
    if "<<" in command or "`" in command or "$'" in command or "$(" in command:
        raise ToolError(f"{value.text!r} stands in a command that holds a here-document or a substitution")
    forms = {"": f'"${{{value.variable}}}"', '"': f"${{{value.variable}}}", "'": f"'\"${{{value.variable}}}\"'"}
    parts: list[str] = []
    done = 0
    for match in value.here.finditer(command):
        parts += [command[done : match.start()], forms[_quoted(command[: match.start()])]]
        done = match.end()
    return "".join((*parts, command[done:]))


def in_patch(patch: str, value: Value) -> str:
    """*patch* with a mark in place of *value* in the lines that it adds; `mark` is what it is."""
    lines = patch.split("\n")
    return "\n".join(
        f"+{value.here.sub(mark(value), line[1:])}" if line.startswith("+") and not line.startswith("+++ ") else line
        for line in lines
    )


def mark(value: Value) -> str:
    """What stands for *value* in a patch, until the script puts it in."""
    return f"@@{value.variable}@@"


def guard(value: Value) -> str:
    """Shell text that ends the script where *value* is none."""
    return (
        f'case "${{{value.variable}:-}}" in\n'
        f"  ''|[._+-]*|*[!0-9A-Za-z._+-]*) echo \"{value.name} is no plain word\" >&2; exit 64;;\nesac"
    )


def flags(text: str) -> tuple[str, ...]:
    """What in *text* is perhaps true of one day, one machine or one run only."""
    return tuple(f"{what}: {match[0]}" for what, pattern in FLAGS.items() for match in list(pattern.finditer(text))[:3])


def _quoted(before: str) -> str:
    """The quotation mark that is open at the end of *before*, "" for none."""
    open_, at = "", 0
    while at < len(before):
        letter = before[at]
        if letter == "\\" and open_ != "'":
            at += 1
        elif letter in {open_, "'", '"'} and open_ in {"", letter}:
            open_ = "" if open_ else letter
        at += 1
    return open_
