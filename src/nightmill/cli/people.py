"""What waits for a person, and what they say: waiting, approve, refuse, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightmill.cli.completed import run_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightmill.desk.nouns import Asked, Verb

__all__ = ["register"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Id of a run, or its beginning.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (waiting, approve, refuse, answer):
        app.command()(command)


def waiting(
    run: Annotated[
        str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Show what this run asks, whole.")
    ] = "",
    json: Json = False,
) -> None:
    """List what waits for a person, the oldest first: why, and the command that goes on from there."""
    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import print_json, say, table, when

    with open_desk() as desk:
        if run:
            _show(run, desk.asked(run), json=json)
            return
        things = desk.waiting()
    if json:
        print_json([thing._asdict() | {"command": command} for thing, command in things])
    elif not things:
        say("nothing waits for you")
    else:
        table(
            ("since", "command", "because"),
            [(when(thing.since), command, thing.reason) for thing, command in things],
            spare=("since",),
            wrap=True,
        )


def approve(run: Name, because: Annotated[str, typer.Option("--because", help="Why, for the record.")] = "") -> None:
    """Say yes to what a run asks: to exactly the tree that it shows, under the policy that it names."""
    _decide(run, "approve", because)


def refuse(
    run: Name, because: Annotated[str, typer.Option("--because", help="Why: the run works with it, or ends with it.")]
) -> None:
    """Say no to what a run asks, and why."""
    _decide(run, "refuse", because)


def answer(run: Name, text: Annotated[str, typer.Argument(metavar="TEXT", help="The answer.")]) -> None:
    """Answer the question of a run."""
    _decide(run, "answer", text)


def _decide(run: str, verb: Verb, words: str) -> None:
    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import IDLE, say

    with open_desk() as desk:
        ended = desk.decide(run, verb, words)
        about = f" for tree {ended.tree[:10]}" if ended.tree else ""
        say(f"{ended.run}: {ended.title}: {ended.state}{about} by {ended.by}")
        say(f"it goes on; watch it with: nightmill log --follow {ended.run}")
        if desk.idle():
            say(IDLE)


def _show(run: str, found: Sequence[Asked], *, json: bool) -> None:
    import sys
    from dataclasses import asdict

    from nightmill.cli.screen import out, print_json, safe, say, when
    from nightmill.desk.nouns import commands

    if json:
        print_json([{**asdict(each), "text": text} for each, text in found])
        return
    if not found:
        say(f"run {run} asks nobody anything now")
    for each, text in found:
        until = f" · until {when(each.expires)}" if each.expires else ""
        tree = f" · tree {each.tree[:10]}" if each.tree else ""
        lines = [" ".join(each.title.split()), f"{each.run} · {each.step}{tree} · asked {when(each.created)}{until}"]
        lines += [f"one of: {', '.join(each.options)}"] if each.options else []
        sys.stdout.write("".join(f"{safe(line)}\n" for line in lines) + "\n")
        sys.stdout.flush()
        if text and out().is_terminal:
            from nightmill.cli.markdown import markdown

            out().print(markdown(safe(text)))
        elif text:
            sys.stdout.write(f"{safe(text)}\n")
        sys.stdout.flush()
        for line in commands(each):
            say(line)
