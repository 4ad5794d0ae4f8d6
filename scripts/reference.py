"""The reference pages, made from the code that they describe."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nightmill import errors, event
from nightmill.settings import PREFIX, Settings

__all__ = ["NOTE", "commands", "pages"]

NOTE = "<!-- Made by `make generate` from the code; change it there. -->\n\n"


def pages() -> dict[str, str]:
    """Every page of the reference by its file name."""
    found = {"settings.md": _settings(), "events.md": _events(), "errors.md": _errors()}
    if find_spec("nightmill.cli.app"):
        found["cli.md"] = _cli()
    return {name: NOTE + text.rstrip() + "\n" for name, text in found.items()}


def commands() -> dict[str, Any]:
    """Every command of the terminal door by its whole name ("nightmill pr show")."""
    return dict(_walk("nightmill", import_module("nightmill.cli.commands").program()))


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for child, below in sorted(getattr(command, "commands", {}).items()):
        if not below.hidden:
            yield from _walk(f"{name} {child}", below)


# Settings


def _settings() -> str:
    lines = [
        "# Settings\n",
        "Read from the settings file, then from the environment, then from flags: the later wins.\n",
        "`nightmill settings` prints the values in force. An unknown name or a value of the wrong type is an error.\n",
        "| setting | environment | type | default | what it does |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{each.name}` | `{PREFIX}{each.name.upper()}` | {each.type} | {_default(each.name, each.default)} "
        f"| {_cell(each.metadata['doc'])} |"
        for each in fields(Settings)
    ]
    return "\n".join(lines)


def _default(name: str, value: Any) -> str:
    if name == "home":
        return "see text"
    if value in ("", None, ()) or value == Path():
        return "empty"
    return f"`{value:_}`" if isinstance(value, int) and value >= 10_000 else f"`{value}`"  # five digits


# Events


def _events() -> str:
    lines = [
        "# Events\n",
        f"{_doc(event)}\n",
        "Each has also the `run` it is about; the ledger adds when it was told and the hash of the event before.\n",
    ]
    for name, kind in event.EVENTS.items():
        lines.append(f"## `{name}`\n\n{_doc(kind)}\n")
        own = [each for each in fields(kind) if each.name != "run"]
        if own:
            lines += [
                "| field | type |",
                "|---|---|",
                *(f"| `{each.name}` | `{_cell(str(each.type))}` |" for each in own),
            ]
            lines.append("")
        if kind.key is not event.Event.key:
            lines.append("Recorded once, however often a recovered run tells it again.\n")
    return "\n".join(lines)


# Errors


def _errors() -> str:
    lines = [
        "# Errors\n",
        "The class says who must act; the message says what happened, to what, and the hint what to do about it.\n",
        f"```text\n{_doc(errors).split(chr(10), 2)[2]}\n```\n",
    ]
    lines += [f"## `{name}`\n\n{_doc(kind)}\n" for name, kind in _classes().items()]
    return "\n".join(lines)


def _classes() -> dict[str, type]:
    return {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and name in errors.__all__}


# Commands


def _cli() -> str:
    lines = [
        "# Commands\n",
        "Data goes to standard output, talk to standard error, so that both can be piped.\n",
        EXITS,
    ]
    for name, command in commands().items():
        lines.append(f"## `{name}`\n\n{inspect.cleandoc(command.help or '')}\n")
        below = [child for child, each in sorted(getattr(command, "commands", {}).items()) if not each.hidden]
        if below:
            lines += [f"- [`{name} {child}`](#{f'{name} {child}'.replace(' ', '-')})" for child in below]
            lines.append("")
            continue
        shown = [each for each in command.params if not getattr(each, "hidden", False)]
        lines += [f"```text\n{_usage(name, shown)}\n```\n", *_parameters(shown)]
    return "\n".join(lines)


EXITS = """\
| exit status | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | refused |
| 3 | parked: it waits for a person |
| 4 | stopped by a limit |
| 130 | left with Ctrl-C; what was asked for goes on |
"""


def _usage(name: str, parameters: list[Any]) -> str:
    words = [name]
    if any(each.param_type_name == "option" for each in parameters):
        words.append("[OPTIONS]")
    for each in parameters:
        if each.param_type_name == "argument":
            word = (each.metavar or each.name).upper()
            words.append(word if each.required else f"[{word}]")
    return " ".join(words)


def _parameters(parameters: list[Any]) -> list[str]:
    if not parameters:
        return []
    rows = [
        f"| {_names(each)} | {_cell(each.help or '')}{_given(each.default)} |"
        for each in parameters
        if each.name not in {"install_completion", "show_completion"}
    ]
    return ["| parameter | |", "|---|---|", *rows, ""]


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _given(default: Any) -> str:
    plain = default not in (None, "", False, [], ()) and not callable(default)
    if not plain or Path(str(default)).is_absolute():
        return ""
    return f" Default: `{default}`."


def _doc(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
