"""blueprint explain: what each agent of a process will see, measured where it is known."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.blueprint.seen import Piece, Seen

__all__ = ["explain"]


def explain(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A blueprint, or the file of one.")],
    spec: Annotated[Path | None, typer.Option(help="A spec, to measure what is read of it.")] = None,
    project: Annotated[Path, typer.Option("--project", help="A folder in the repository.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what the agent of each step will see, in about so many tokens, and what it will not see. Asks no model."""
    from nightmill.cli.own import open_process
    from nightmill.cli.screen import print_json, safe, say

    with open_process(name, project) as (here, called):
        found = here.explained(called, spec=spec)
    if json:
        print_json([_plain(each) for each in found.seen])
        return
    for each in found.seen:
        _print(each)
    if not found.seen:
        sys.stdout.write(safe(f"no agent acts in {called}\n"))
    sys.stdout.flush()
    say("tokens are about a quarter of the bytes; a value that is not known yet is told with what it can have at most")
    say(found.note)


def _print(each: Seen) -> None:
    """One step: a line for each piece, with a bar where the terminal has room."""
    from nightmill.cli.screen import safe
    from nightmill.report.words import tokens

    total = f"about {tokens(each.known)}" + (
        f", and at most {tokens(each.most)} that is not known yet" if each.most else ""
    )
    lines = [f"{each.step}{f' · {each.title}' if each.title else ''}", f"  {each.role} sees {total}"]
    lines += [f"  {line}" for line in _pieces(each)]
    lines += [f"    does not see: {', '.join(each.absent)}", ""]
    sys.stdout.write("\n".join(map(safe, lines)) + "\n")


def _pieces(each: Seen) -> Iterator[str]:
    from nightmill.report.words import count, tokens

    tools = [piece for piece in each.pieces if piece.name.startswith("tool ")]
    for piece in (piece for piece in each.pieces if piece not in tools):
        yield f"  {_size(piece)}  {piece.name}: {piece.said + ', ' if piece.said else ''}{piece.source}"
    if tools:
        spent = tokens(sum(piece.tokens or 0 for piece in tools))
        names = ", ".join(piece.name.removeprefix("tool ") for piece in tools)
        yield f"  {spent:>8}  {count(len(tools), 'tool')}: {names}"


def _size(piece: Piece) -> str:
    from nightmill.report.words import tokens

    if piece.tokens is None:
        return f"{f'≤ {tokens(piece.most)}' if piece.most else '+':>8}"
    return f"{tokens(piece.tokens):>8}"


def _plain(each: Seen) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(each), "known": each.known, "most": each.most}
