"""Two runs side by side in the terminal; one below the other where it is narrow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nightmill.cli.completed import run_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nightmill.desk.nouns import Comparison, Side, Turn

__all__ = ["register", "written"]

ROOM = 48
"""Characters that each side needs, to stand beside the other."""
GAP = " │ "


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Id of a run, or its beginning.")],
    other: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="The other one.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show two runs side by side: what they have in common, where they part, and what came of each."""
    import shutil
    from dataclasses import asdict

    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import print_json, safe

    with open_desk() as desk:
        found = desk.compare(run, other)
    if json:
        print_json(asdict(found))
        return
    width = shutil.get_terminal_size((100, 24)).columns
    sys.stdout.write("".join(f"{safe(line)}\n" for line in written(found, width=width)))


def written(found: Comparison, *, width: int) -> Iterator[str]:
    """*found* in lines of at most *width* characters, but for those of the difference."""
    yield from _wrapped(f"{' '.join(found.title.split())} ({found.project})", width)
    yield ""
    if found.common:
        yield f"In common: {_count(found.common)}"
        for each in found.common:
            yield from _wrapped(_turn(each), width, indent="  ")
    else:
        yield "In common: no turn"
    yield ""
    sides = (found.left, found.right)
    if width >= 2 * ROOM + len(GAP):
        room = (width - len(GAP)) // 2
        yield from _beside([list(_side(each, room)) for each in sides], room)
    else:
        yield from _side(found.left, width)
        yield ""
        yield from _side(found.right, width)
    yield ""
    if found.diff:
        yield f"From the tree of {found.left.run} to that of {found.right.run}:"
        yield from found.diff.splitlines()
    if found.amiss:
        yield from _wrapped(f"The trees: {found.amiss}", width)
    elif not found.diff:
        yield "The trees are the same"


def _beside(columns: Sequence[list[str]], room: int) -> Iterator[str]:
    left, right = columns
    for at in range(max(len(left), len(right))):
        one, other = (lines[at] if at < len(lines) else "" for lines in columns)
        yield f"{one}{' ' * (room - _cells(one))}{GAP}{other}".rstrip()


def _side(side: Side, width: int) -> Iterator[str]:
    from nightmill.report.words import count, duration, price, tokens

    yield from _wrapped(f"{side.run}: {side.state}{f' ({side.reason})' if side.reason else ''}", width)
    if side.origin:
        yield from _wrapped(f"goes on from {side.origin}", width)
    for each in side.said:
        yield from _wrapped(f"✎ {each}", width, indent="  ")
    cost = price(side.cost, whole=side.priced)
    after = f"{count(len(side.turns), 'turn')}, {count(side.calls, 'tool call')}, {tokens(side.tokens)} tokens"
    yield from _wrapped(f"then {after}, {cost}, {duration(side.seconds)}", width)
    for turn in side.turns:
        yield from _wrapped(_turn(turn), width, indent="  ")
        for call, ok in turn.calls:
            yield from _wrapped(f"{'·' if ok else '✗'} {call}", width, indent="    ")
    for check, passed in side.checks:
        yield from _wrapped(f"{'✓ passed' if passed else '✗ failed'}: {check}", width)
    for finding in side.findings:
        yield from _wrapped(f"! {finding}", width)
    if side.pull_request:
        yield f"pull request {side.pull_request}"


def _turn(turn: Turn) -> str:
    return f"{turn.role} {turn.number}: {turn.said or '(no words)'}"


def _count(turns: Sequence[Turn]) -> str:
    from nightmill.report.words import count

    return count(len(turns), "turn")


def _wrapped(text: str, width: int, *, indent: str = "") -> Iterator[str]:
    """*text* in lines of at most *width* cells, the later ones further in."""
    from rich.text import Text

    from nightmill.cli.screen import out, safe

    room = max(8, width - len(indent) - 2)
    lines = Text(safe(" ".join(text.split()))).wrap(out(), room, overflow="fold")
    for number, each in enumerate(lines):
        yield f"{indent}{'  ' if number else ''}{each.plain.rstrip()}"


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
