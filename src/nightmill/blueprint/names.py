"""The names that a blueprint's texts read, and whether anything gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nightmill.blueprint.expression import Path, paths
from nightmill.blueprint.nouns import Step
from nightmill.blueprint.shapes import Shape, lacking, meant
from nightmill.errors import SettingsError

__all__ = ["MAPPINGS", "TEMPLATES", "VALUES", "Fault", "Text", "listed", "texts", "unknown"]

NAMED = 20
VALUES = ("when", "until", "claims", "map", "gives", "summary")
MAPPINGS = ("env", "inputs", "data")
CONDITIONS = ("when", "until")
TEMPLATES = ("goal", "again", "approve", "ask", "change", "stop")
"""Fields of steps that read values: expressions, expressions by name, and templates."""


class Fault(NamedTuple):
    """What is wrong in a blueprint: *line* of its file, in a sentence, and what to do.

    *at* names what it is about as `reading.places` does, where that is no whole step.
    """

    line: int
    said: str
    hint: str
    at: str = ""


class Text(NamedTuple):
    """A text of a step that reads values. *template*: one with `{{ … }}`, else an expression."""

    key: str
    text: str
    template: bool


def texts(step: Step) -> Iterator[Text]:
    """The texts of *step* itself that read values, but for those of steps within it."""
    for key in VALUES:
        yield Text(key, getattr(step, key, ""), template=False)
    for key in MAPPINGS:
        for name, text in getattr(step, key, {}).items():
            yield Text(f"{key}.{name}", text, template=False)
    for key in TEMPLATES:
        yield Text(key, getattr(step, key, ""), template=True)


def unknown(text: Text, scope: Mapping[str, Shape], *, later: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with *text* where *scope* is to be read, and what to do; *later* are steps that come after it."""
    try:
        found = paths(text.text, template=text.template)
    except SettingsError as error:
        yield error.message, error.hint
        return
    for path in found:
        wrong = _wrong(path, scope, later)
        if (
            wrong is None
            and text.key in CONDITIONS
            and path.names[0] == "steps"
            and len(path.names) == len(("steps", "id"))
        ):
            wrong = "a step is always there", f"name what it gave, such as {path}.ok"
        if wrong is not None:
            yield f"`{text.key}` reads {str(path)!r}, and {wrong[0]}", wrong[1]


def listed(names: Sequence[str] | Mapping[str, object]) -> str:
    """What names there are, as a hint."""
    found = sorted(names)
    return f"there are: {', '.join(found[:NAMED])}{' …' if len(found) > NAMED else ''}" if found else "there are none"


def _wrong(path: Path, scope: Mapping[str, Shape], later: Sequence[str]) -> tuple[str, str] | None:
    first, *rest = path.names
    if first not in scope:
        return f"there is no {first!r}{meant(first, tuple(scope))}", listed(scope)
    missing = lacking(scope[first], rest)
    if missing is None:
        return None
    at, known = missing
    name, holder = path.names[at + 1], ".".join(path.names[: at + 1])
    if holder == "steps" and name in later:
        return f"{holder!r} has no {name!r} yet: that step comes later", "move this step behind it"
    if not known:
        return f"{holder!r} has no names in it", "read it as it is"
    return f"{holder!r} has no {name!r}{meant(name, known)}", listed(known)
