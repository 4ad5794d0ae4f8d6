"""Pull requests on the local forge, here or at a server: prs, pr show, pr merge, pr approve, pr back, pr again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.desk.pulls import Shown
    from nightmill.forge import PullRequest
    from nightmill.store.runs import Run

__all__ = ["announce", "register"]

pr_app = typer.Typer(help="One pull request.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(metavar="N", help="Number of the pull request.")]
Where = Annotated[Path, typer.Option("--project", help="A folder in the repository.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(prs)
    pr_app.command("show")(show)
    pr_app.command("again")(again)
    pr_app.command("approve")(approve)
    pr_app.command("merge")(merge)
    pr_app.command("back")(back)
    app.add_typer(pr_app, name="pr")


def prs(
    every: Annotated[bool, typer.Option("--all", help="Of all projects.")] = False,
    project: Where = Path(),
    json: Json = False,
) -> None:
    """List pull requests, newest first."""
    from nightmill.cli.changes import open_pulls
    from nightmill.cli.screen import print_json, say, table, when

    with open_pulls(None if every else project) as pulls:
        found = pulls.listed()
    if json:
        print_json([asdict(each) for each in found])
    elif not found:
        say("no pull requests yet. Get one with: nightmill run SPEC.md")
    else:
        rows = [
            (
                f"#{each.number}",
                each.state,
                "proven" if each.passed else "not proven",
                when(each.opened),
                each.target,
                each.run,
                each.title,
            )
            for each in found
        ]
        table(("pr", "state", "verdict", "opened", "into", "run", "title"), rows, spare=("run", "opened"))


def show(
    number: Number,
    project: Where = Path(),
    diff: Annotated[bool, typer.Option("--diff/--no-diff", help="Show the diff too.")] = True,
    json: Json = False,
) -> None:
    """Show a pull request: what it changes, the evidence, the diff."""
    from nightmill.cli.changes import open_pulls
    from nightmill.cli.screen import print_json, safe, say

    with open_pulls(project) as pulls:
        found = pulls.shown(number, diff=diff)
    if json:
        print_json(found.plain)
        return
    _print_request(found)
    for each in found.said:
        sys.stdout.write(f"\n{safe(each)}\n")
    sys.stdout.flush()
    if found.unheard:
        say(f"have a run go on with what was written: nightmill pr again {number}")
    if found.answer:
        say(_standing(found))
    for each in found.reasons:
        say(f"· {each}")


def merge(number: Number, project: Where = Path()) -> None:
    """Merge a pull request if the merged tree is proven and policy lets you. Where its target has moved, the checks run first."""
    from nightmill.cli.changes import open_pulls
    from nightmill.cli.screen import say

    with open_pulls(project) as pulls:
        merged, after = pulls.merge(number)
    say(f"merged #{number} into {merged.target}: {merged.merge_commit[:12]}", style="green")
    if after:
        say(after)


def approve(
    number: Number,
    because: Annotated[str, typer.Option("--because", help="Why, for the record.")] = "",
    project: Where = Path(),
) -> None:
    """Say yes to a pull request, as merging it now would be, where policy wants more people than the one who merges."""
    from nightmill.cli.changes import open_pulls
    from nightmill.cli.screen import say

    with open_pulls(project) as pulls:
        yes = pulls.approve(number, because=because)
    say(f"{f'{yes.by} approves' if yes.by else 'you approve'} of #{number} as tree {yes.tree[:10]}")
    for each in yes.reasons:
        say(f"· {each}")


def back(
    number: Number,
    because: Annotated[str, typer.Option("--because", help="What is wrong, as somebody would see it.")],
    project: Where = Path(),
) -> None:
    """Send a pull request back: it is closed with your reason in the ledger, and its branch stays."""
    from nightmill.cli.changes import open_pulls
    from nightmill.cli.screen import say

    with open_pulls(project) as pulls:
        closed, after = pulls.send_back(number, because=because)
    say(f"#{number} went back and is closed; its branch {closed.branch} stays")
    if after:
        say(after)


def again(number: Number, project: Where = Path()) -> None:
    """Have a new run go on from where a pull request came from, with what people wrote about it at its forge."""
    from nightmill.cli import beside
    from nightmill.cli.door import open_door, person
    from nightmill.cli.screen import say
    from nightmill.desk import remarks

    door = open_door()
    request = door.forge.get(project=door.project(project).id, number=number)
    with beside.attended(door):
        made = remarks.again(door, request, by=person())
    sys.stdout.write(f"{made.id}\n")
    sys.stdout.flush()
    say(f"it goes on from {request.run}; watch it with: nightmill log --follow {made.id}")


def announce(door: Door, run: Run) -> None:
    """Say how *run* ended and what to do next."""
    from nightmill.cli.advice import advice, last, pull_requests
    from nightmill.cli.screen import say

    if run.state == "done":
        local = door.forge
        for number in pull_requests(door, run):
            _print_head(door, local.get(project=run.project, number=number))
        sys.stdout.flush()
    elif run.state in {"parked", "paused"}:
        say(f"{run.id} waits: {run.reason}", style="yellow")
    elif run.state == "stopped":
        hints = [last(door, each, "run_stopped").get("hint") for each in (*door.runs.list(parent=run.id), run)]
        if hint := next(filter(None, hints), ""):
            say(f"hint: {hint}")
        say(f"see what happened: nightmill show {run.id}")
    for line in advice(door, run):
        say(line)


def _print_head(door: Door, request: PullRequest) -> None:
    from nightmill.cli.screen import safe
    from nightmill.report.words import count

    changes = door.hub(request.project).changes(request.base, request.head)
    added, removed = sum(each.added or 0 for each in changes), sum(each.removed or 0 for each in changes)
    verdict = f"proven on tree {request.tree[:10]}" if request.passed else "not proven"
    sys.stdout.write(f"#{request.number} {safe(' '.join(request.title.split()))}\n")
    sys.stdout.write(f"    {count(len(changes), 'file')}, +{added} −{removed} · {verdict}\n")
    sys.stdout.write(f"    {request.branch} → {request.target}\n")


def _standing(found: Shown) -> str:
    """What is to be said of its merge, in a line."""
    pull = found.pull
    words = {
        "free": f"merge it: nightmill pr merge {pull.number}",
        "asks": f"it waits for people: nightmill pr approve {pull.number}",
        "denied": "policy does not let it in",
        "unproven": f"nothing proves it as it would be merged: {found.hint}",
        "stuck": "it cannot be merged as it stands",
        "merged": f"merged by {pull.merged_by or 'somebody'} into {pull.target}: {pull.merge_commit[:12]}",
    }
    return words.get(found.answer, f"it is {found.answer}")


def _print_request(found: Shown) -> None:
    from nightmill.cli.screen import out, safe

    request, console = found.pull, out()
    console.print(f"#{request.number} {safe(request.title)}  [{request.state}]", style="bold", markup=False)
    console.print(
        f"{request.branch} → {request.target} · by {safe(request.author)} · run {request.run}\n", markup=False
    )
    if console.is_terminal:
        from rich.syntax import Syntax

        from nightmill.cli.markdown import markdown

        console.print(markdown(safe(found.body)))
        if found.diff:
            console.print(
                Syntax(safe(found.diff), "diff", theme="ansi_dark", background_color="default", word_wrap=True)
            )
        return
    sys.stdout.write(safe(found.body) + "\n" + (f"\n{safe(found.diff)}" if found.diff else ""))
    sys.stdout.flush()
