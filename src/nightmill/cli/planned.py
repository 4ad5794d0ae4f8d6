"""The plan of a run, as it stands: plan."""

from __future__ import annotations

from typing import Annotated

import typer

from nightmill.cli.completed import run_ids

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)


def plan(
    run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Id of a run, or its beginning.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the plan of a spec's run: its tasks in waves, how each stands, and which may touch the same in no order."""
    from dataclasses import asdict

    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import print_json, say, table

    with open_desk() as desk:
        found = desk.plan(run)
    if json:
        print_json(asdict(found))
        return
    if not found.tasks:
        say(f"run {found.run} has no plan, or none yet")
        return
    rows = [
        (
            str(each.wave),
            each.id,
            each.state,
            f"#{each.pull_request}" if each.pull_request else each.run or "–",
            ", ".join(each.depends) or "–",
            each.title,
        )
        for each in sorted(found.tasks, key=lambda task: task.wave)
    ]
    table(("wave", "task", "state", "at", "after", "title"), rows, spare=("after", "at"))
    for tie in found.ties:
        say(f"{tie.one} and {tie.other} may both touch {', '.join(tie.paths[:6])}")
