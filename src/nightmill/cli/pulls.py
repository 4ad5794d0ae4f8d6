"""Pull requests on the local forge, here or at a server: prs, pr show, pr merge, pr approve, pr back, pr again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightmill.cli.door import Door
    from nightmill.client.nouns import Change
    from nightmill.forge import PullRequest
    from nightmill.settings import Settings
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
    from nightmill.cli.door import open_door, settings
    from nightmill.cli.screen import print_json, say, table, when

    found: Sequence[PullRequest | Change]
    if (chosen := settings()).server:
        from nightmill.cli import pulls_afar

        found = pulls_afar.listed(chosen, project, every=every)
    else:
        door = open_door()
        local = door.forge
        found = [
            # The row of an open one may be behind the repository: its owner can have merged it by hand.
            local.get(project=each.project, number=each.number) if each.state == "open" else each
            for each in local.all(project="" if every else door.project(project).id)
        ]
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
    from nightmill.cli.door import open_door, settings
    from nightmill.cli.screen import print_json, safe, say
    from nightmill.desk import remarks

    if (chosen := settings()).server:
        _show_afar(chosen, project, number, diff=diff, json=json)
        return
    door = open_door()
    request = door.forge.get(project=door.project(project).id, number=number)
    text = door.hidden.patch(door.hub(request.project).diff(request.base, request.head).text) if diff else ""
    said = remarks.about(door, request.run)
    if json:
        print_json({**asdict(request), "diff": text, "comments": [each.to_plain() for each in said]})
        return
    _print_request(request, request.body, text)
    for each in said:
        sys.stdout.write(f"\n{safe(remarks.quoted(each))}\n")
    sys.stdout.flush()
    if any(not each.person for each in said):
        say(f"have a run go on with what was written: nightmill pr again {request.number}")
    if request.state == "open":
        say(f"merge it: nightmill pr merge {request.number}")
    elif request.state == "merged":
        say(f"merged by {request.merged_by or 'somebody'} into {request.target}: {request.merge_commit[:12]}")


def merge(number: Number, project: Where = Path()) -> None:
    """Merge a pull request if the merged tree is proven and policy lets you. Where its target has moved, the checks run first."""
    from nightmill.cli.door import open_door, person, settings
    from nightmill.cli.merge import prove_merged
    from nightmill.cli.screen import say
    from nightmill.desk.changes import gate, must_be_allowed
    from nightmill.estate.file import identify

    if (chosen := settings()).server:
        from nightmill.cli import pulls_afar

        pulls_afar.merge(chosen, project, number)
        return
    door = open_door()
    root, local = door.root(project), door.forge
    name, onto = identify(root), ""
    request = local.get(project=name, number=number)
    if request.state == "open":
        judge = gate(door, request, root=root)
        prove_merged(door, judge, request)
        must_be_allowed(judge, request, by=person())
        onto = judge.ground.tip
    merged = local.merge(project=name, number=number, by=person(), onto=onto)
    from nightmill.event import PullRequestMerged

    told = PullRequestMerged(run=merged.run, number=merged.number, commit=merged.merge_commit, by=person())
    door.ledger.append([told])
    say(f"merged #{number} into {merged.target}: {merged.merge_commit[:12]}", style="green")
    say(f"bring it into your checkout: git pull {door.hub(name).path} {merged.target}")


def approve(
    number: Number,
    because: Annotated[str, typer.Option("--because", help="Why, for the record.")] = "",
    project: Where = Path(),
) -> None:
    """Say yes to a pull request, as merging it now would be, where policy wants more people than the one who merges."""
    import time

    from nightmill.cli.door import open_door, person, settings
    from nightmill.cli.screen import say
    from nightmill.desk.changes import gate
    from nightmill.estate.file import identify

    if (chosen := settings()).server:
        from nightmill.cli import pulls_afar

        pulls_afar.approve(chosen, project, number, because=because)
        return
    door = open_door()
    root, local = door.root(project), door.forge
    name = identify(root)
    request = local.get(project=name, number=number)
    tree = local.merged_tree(project=name, number=number)
    judge = gate(door, request, root=root)
    judge.approve(request, tree, by=person(), because=because)
    say(f"{person()} approves of #{number} as tree {tree[:10]}")
    for each in judge.decide(request, tree, now=time.time()).reasons:
        say(f"· {each.sentence}")


def back(
    number: Number,
    because: Annotated[str, typer.Option("--because", help="What is wrong, as somebody would see it.")],
    project: Where = Path(),
) -> None:
    """Send a pull request back: it is closed with your reason in the ledger, and its branch stays."""
    from nightmill.cli.door import open_door, person, settings
    from nightmill.cli.screen import say
    from nightmill.desk.changes import send_back

    if (chosen := settings()).server:
        from nightmill.cli import pulls_afar

        pulls_afar.send_back(chosen, project, number, because=because)
        return
    door = open_door()
    request = door.forge.get(project=door.project(project).id, number=number)
    send_back(door, request, by=person(), because=because)
    say(f"#{number} went back and is closed; its branch {request.branch} stays")
    say(f"have a run go on from it: nightmill rewind {request.run}")


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


def _show_afar(settings: Settings, folder: Path, number: int, *, diff: bool, json: bool) -> None:
    from nightmill.cli import pulls_afar
    from nightmill.cli.screen import print_json, say

    stand, text = pulls_afar.found(settings, folder, number, diff=diff)
    if json:
        print_json({**asdict(stand), "diff": text})
        return
    _print_request(stand.change, stand.body, text)
    words = {
        "free": f"merge it: nightmill pr merge {number}",
        "asks": f"it waits for people: nightmill pr approve {number}",
        "denied": "policy does not let it in",
        "unproven": f"nothing proves it as it would be merged: {stand.hint}",
        "stuck": "it cannot be merged as it stands",
        "merged": f"merged by {stand.change.merged_by or 'somebody'} into {stand.change.target}: {stand.change.merge_commit[:12]}",
    }
    say(words.get(stand.answer, f"it is {stand.answer}"))
    for each in (stand.barred, *stand.reasons):
        if each:
            say(f"· {each}")


def _print_request(request: PullRequest | Change, body: str, diff: str) -> None:
    from nightmill.cli.screen import out, safe

    console = out()
    console.print(f"#{request.number} {safe(request.title)}  [{request.state}]", style="bold", markup=False)
    console.print(
        f"{request.branch} → {request.target} · by {safe(request.author)} · run {request.run}\n", markup=False
    )
    if console.is_terminal:
        from rich.syntax import Syntax

        from nightmill.cli.markdown import markdown

        console.print(markdown(safe(body)))
        if diff:
            console.print(Syntax(safe(diff), "diff", theme="ansi_dark", background_color="default", word_wrap=True))
        return
    sys.stdout.write(safe(body) + "\n" + (f"\n{safe(diff)}" if diff else ""))
    sys.stdout.flush()
