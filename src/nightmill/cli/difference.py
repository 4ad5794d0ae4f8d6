"""What two moments of runs differ in: sandbox diff."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.sandbox.disk.view import Difference, View

__all__ = ["diff"]

SIGNS = {"added": "+", "removed": "-", "changed": "~"}
TEXT_MOST = 1 << 20
Moment = Annotated[str, typer.Argument(metavar="RUN[@SNAPSHOT|@turn:N]", help="A run, now or at a moment of it.")]


def diff(
    before: Moment,
    after: Moment,
    patch: Annotated[bool, typer.Option("--patch", "-p", help="Show how texts differ.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which files below /work were added, removed or changed between two moments. Nothing is run."""
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, safe, say
    from nightmill.sandbox.disk.view import differences

    door, found = open_door(), []
    with ExitStack() as stack:
        for each in differences(_view(door, before, stack), _view(door, after, stack)):
            found.append(_plain(each, patch=patch))
            if not json:
                lines = [f"{SIGNS[each.what]} {each.path}  {_sizes(each)}", *(found[-1].get("patch") or ())]
                sys.stdout.write("".join(f"{safe(line)}\n" for line in lines))
    if json:
        print_json(found)
    elif not found:
        say("nothing differs")


def _view(door: Door, named: str, stack: ExitStack) -> View:
    from nightmill.line.moments import base_of, moments, pick
    from nightmill.sandbox.disk.shelf import Shelf
    from nightmill.sandbox.disk.view import opened

    name, _, at = named.partition("@")
    row, home = door.runs.get(name), door.settings.home
    moment = pick(moments(door.ledger, row.id), at.removeprefix("turn:"), run=row.id)
    base = base_of(door.ledger, row.id, home=home, project=row.project)
    directory, shelf = home / "runs" / row.id / "sandbox", Shelf(home / "layers")
    return stack.enter_context(opened(directory, moment.snapshot, layers=base.layers, shelf=shelf))


def _plain(each: Difference, *, patch: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"path": each.path, "what": each.what, "before": each.before, "after": each.after}
    return found | ({"patch": _patch(each)} if patch else {})


def _patch(each: Difference) -> list[str] | None:
    """Lines that differ; None if one of the two is no text, or too long to read."""
    texts = []
    for body in (each.old, each.new):
        if body is not None and (len(body) > TEXT_MOST or b"\0" in body):
            return None
        texts.append((body or b"").decode("utf-8", "backslashreplace").splitlines())
    old, new = texts
    import difflib

    return list(difflib.unified_diff(old, new, each.path, each.path, lineterm=""))


def _sizes(each: Difference) -> str:
    sizes = [f"{size:,}" for size in (each.before, each.after) if size is not None]
    return f"{' → '.join(sizes)} bytes"
