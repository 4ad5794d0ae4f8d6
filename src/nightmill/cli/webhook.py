"""Programs elsewhere that are told what happens, or tell: webhook add, list, test, deliveries, dead, resend, and the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightmill.told import Hook

__all__ = ["register"]

webhook_app = typer.Typer(
    help="Tell programs elsewhere what happens, while `nightmill serve` runs.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id, as `list` shows it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    webhook_app.command("list")(list_)
    for command in (add, test, deliveries, dead, resend, pause, resume, rotate, remove, hear, person):
        webhook_app.command()(command)
    app.add_typer(webhook_app, name="webhook")


def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to: https, or http for one of `private_hosts`.")],
    events: Annotated[
        list[str], typer.Option(help="Name of an event, or several with commas; again for more; none: all.")
    ] = [],  # noqa: B006
    project: Annotated[str, typer.Option(help="Only of runs of this project, by its id.")] = "",
) -> None:
    """Tell URL of what happens from now on, and print the secret that it is signed with, this once."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import put, say

    names = [name for each in events for name in each.replace(",", " ").split()]
    with open_office() as office:
        made = office.add_hook(url, events=names, project=project)
    say(f"webhook {made.hook.id}; try it: nightmill webhook test {made.hook.id}. Its secret, shown this once:")
    put(made.secret)


def list_(json: Json = False) -> None:
    """List them: what each is told of, and how it goes."""
    from dataclasses import asdict

    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import print_json, say, table, when

    with open_office() as office:
        found, given_up = office.hooks(), office.dead()
    lost = {each.id: sum(dead.hook == each.id for dead in given_up) for each in found}
    if json:
        print_json([{**asdict(each), "dead": lost[each.id]} for each in found])
    elif not found:
        say("there are no webhooks")
    else:
        rows = [
            (
                each.id,
                each.url,
                ", ".join(each.events) or "all",
                each.project or "every",
                _goes(each, when),
                str(lost[each.id]),
            )
            for each in found
        ]
        table(("id", "url", "events", "project", "how it goes", "dead"), rows, spare=("project", "events"), wrap=True)


def _goes(hook: Hook, when: Callable[[float], str]) -> str:
    if hook.paused:
        return "paused"
    if hook.tries:
        return f"{hook.reason}; again {when(hook.due)}"
    return hook.reason if hook.lost else "well"


def deliveries(webhook: Id, json: Json = False) -> None:
    """List the last letters to it, newest first, and how each went."""
    from dataclasses import asdict

    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import print_json, say, table, when

    with open_office() as office:
        found = office.deliveries(webhook)
    if json:
        print_json([asdict(each) for each in found])
    elif not found:
        say("nothing was sent to it yet")
    else:
        rows = [
            (str(each.seq or ""), each.event, when(each.at), str(each.status or "none"), each.reason or "it arrived")
            for each in found
        ]
        table(("entry", "event", "at", "answer", "how it went"), rows, wrap=True)


def pause(webhook: Id) -> None:
    """Send it nothing until it is resumed; what happens meanwhile is sent then."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        office.pause_hook(webhook)
    say(f"webhook {webhook} is paused")


def resume(webhook: Id) -> None:
    """Send it what happened since it was paused, and go on."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        office.resume_hook(webhook)
    say(f"webhook {webhook} goes on while `nightmill serve` runs")


def rotate(
    webhook: Id,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The secret of now is good no more: others know it. Else it is for a day.")
    ] = False,
) -> None:
    """Have its letters signed with another secret, and print that, this once."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import put, say

    with open_office() as office:
        secret = office.rotate_hook(webhook, at_once=at_once)
    until = "from now on" if at_once else "from now on, and for a day with the one before, too"
    say(f"letters to {webhook} are signed with this secret {until}; shown this once:")
    put(secret)


def test(webhook: Id) -> None:
    """Send it a letter of the type "test" now."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        office.try_hook(webhook)
    say("it arrived")


def dead(
    webhook: Annotated[str, typer.Argument(metavar="[WEBHOOK]", help="Only of this one.")] = "", json: Json = False
) -> None:
    """List what was given up after all tries, oldest first."""
    from dataclasses import asdict

    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import print_json, say, table, when

    with open_office() as office:
        found = office.dead(webhook)
    if json:
        print_json([asdict(each) for each in found])
    elif not found:
        say("nothing was given up")
    else:
        rows = [(each.hook, str(each.seq), when(each.at), "under way" if each.again else each.reason) for each in found]
        table(("webhook", "entry", "at", "because"), rows, wrap=True)


def resend(
    webhook: Id, entry: Annotated[int, typer.Argument(metavar="[ENTRY]", help="Number of one; none: all of them.")] = 0
) -> None:
    """Have what was given up, and what waits to be tried again, sent now, by the server."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        count = office.resend(webhook, entry)
    say(f"{count} will be sent again while `nightmill serve` runs")


def remove(webhook: Id) -> None:
    """Tell it nothing more; what was not delivered is not any more."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        office.remove_hook(webhook)
    say(f"webhook {webhook} is gone")


def hear(
    project: Annotated[str, typer.Argument(metavar="[PROJECT]", help="Its id; none: list those that are heard.")] = "",
    stop: Annotated[bool, typer.Option("--stop", help="Hear it no more.")] = False,
) -> None:
    """Have the server hear the forge of a project (GitHub, GitLab, Gitea), and print the secret to give it there, this once."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import put, say

    with open_office() as office:
        if not project:
            found = office.heard()
            for each in found:
                put(each)
            if not found:
                say("no forge is heard")
        elif stop:
            office.deafen(project)
            say(f"the forge of {project} is not heard any more")
        else:
            ear = office.hear(project)
            say(f"its address there: {ear.address}; the secret, shown this once:")
            put(ear.secret)


def person(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id.")],
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="What they are called at its forge.")],
    address: Annotated[
        str, typer.Argument(metavar="[ADDRESS]", help="Of the person here; none: nobody any more.")
    ] = "",
) -> None:
    """Say whose comments at the forge of a project are whose word here: one who may operate there says them to the agent at work."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        office.bind(project, login, address=address)
    say(f"{login} at the forge of {project} is {address or 'nobody here'}")
