"""The ledger itself: ledger search, verify, export, seal, forget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.cli.house import House
    from nightmill.desk.evidence import Sought
    from nightmill.store.chain import Broken
    from nightmill.store.seal import Seal
    from nightmill.store.search import Found

__all__ = ["register"]

ledger_app = typer.Typer(
    help="What happened, as it was told: look through it, verify, export, seal it, and let it forget.",
    no_args_is_help=True,
)

FAILED = 1


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (search, verify, export, seal, forget):
        ledger_app.command()(command)
    app.add_typer(ledger_app, name="ledger")


def search(
    words: Annotated[list[str] | None, typer.Argument(help="Each of them is in the entry.")] = None,
    who: Annotated[str, typer.Option(help="Part of a name, an address or a role of somebody in it.")] = "",
    name: Annotated[str, typer.Option(help="How the name of what happened begins, such as `run`.")] = "",
    run: Annotated[str, typer.Option(help="How the run's id begins.")] = "",
    since: Annotated[str, typer.Option(metavar="TIME", help="From then on (UTC), as 2026-08-01T20:00.")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Before then (UTC).")] = "",
    before: Annotated[int, typer.Option(min=0, help="Only entries with a smaller number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="The most that are printed.")] = 100,
) -> None:
    """Print entries as JSON lines, the newest first: those of what you may see, the newest 200,000 of it at once."""
    import sys

    from nightmill.cli.house import open_house
    from nightmill.cli.screen import IN_JSON, say
    from nightmill.desk.evidence import Sought
    from nightmill.store.export import line

    times = {"since": _moment(since), "until": _moment(until)}
    sought = Sought(words=tuple(words or ()), who=who, name=name, run=run, before=before, **times)
    with open_house() as house:
        for page in _pages(house, sought, limit=limit):
            limit -= len(page.entries)
            for entry in page.entries:
                sys.stdout.write(line(entry).translate(IN_JSON))
    if page.further:
        far = f"looked through back to entry {page.further}; there" if limit else "there"
        say(f"· {far} may be more: --before {page.further}")


def _pages(house: House, sought: Sought, *, limit: int) -> Iterator[Found]:
    """What is found, at most *limit*; a page that is not full has gone as far as one may at once, and is the last."""
    from dataclasses import replace

    from nightmill.desk.evidence import PAGE

    while True:
        most = min(limit, PAGE)
        yield (page := house.search(sought, limit=most))
        limit -= len(page.entries)
        if len(page.entries) < most or not limit or not page.further:
            return
        sought = replace(sought, before=page.further)


def _moment(said: str) -> float:
    from datetime import UTC, datetime

    from nightmill.errors import SettingsError

    try:
        return datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp() if said else 0.0
    except (ValueError, OverflowError) as error:
        raise SettingsError(f"{said!r} is no time", hint="such as 2026-05-01 or 2026-05-01T20:00, in UTC") from error


def verify(
    file: Annotated[Path | None, typer.Argument(help="An export, in place of the store: it needs none.")] = None,
    seals: Annotated[Path | None, typer.Option(help="A file of seals: what they say has to hold, too.")] = None,
    key: Annotated[str, typer.Option(help="Believe only seals by this public key.")] = "",
) -> None:
    """Go through the chain from its beginning: no entry was changed, dropped or put in between."""
    import time

    from nightmill.cli.house import open_house
    from nightmill.cli.screen import say
    from nightmill.store import seal as sealing

    began, known = time.monotonic(), _seals(seals, key=key) if seals else []
    if file is not None:
        entries, broken, wrong = _exported(file, known)
    else:
        with open_house() as house:
            entries, broken, hashes = house.verify({each.seq for each in known})
        wrong = [sealing.differs(each, hashes.get(each.seq)) for each in known]
    if broken is not None:
        say(f"✗ entry {broken.seq}: {broken.reason}", style="red")
        raise typer.Exit(FAILED)
    say(f"✓ {entries:,} entries, each following the one before ({time.monotonic() - began:.1f} s)")
    for number, (each, fault) in enumerate(zip(known, wrong, strict=True), 1):
        if fault is not None:
            say(f"✗ seal {number}: entry {fault.seq}: {fault.reason}", style="red")
            raise typer.Exit(FAILED)
        say(f"✓ seal {number}: entry {each.seq} is the one that was sealed")


def _exported(file: Path, known: list[Seal]) -> tuple[int, Broken | None, list[Broken | None]]:
    """How many entries an export has, what is wrong with it, and what with it beside each of the seals *known*."""
    from nightmill.cli.screen import say
    from nightmill.store import export as exported
    from nightmill.store import seal as sealing

    found = exported.verify(file, hashes={each.seq for each in known})
    if found.first > 1:
        say(f"· it begins with entry {found.first:,}, which is taken as it is")
    return (
        found.last - found.first + bool(found.first),
        found.broken,
        [sealing.differs(each, found.hashes.get(each.seq)) for each in known],
    )


def export(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; standard output if left out.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only entries after this number.")] = 0,
    run: Annotated[str, typer.Option(help="Only entries of this run.")] = "",
) -> None:
    """Write the ledger as JSON lines, with all that its hashes cover; of a server's, what you may see of it."""
    import sys
    from contextlib import ExitStack

    from nightmill.cli.house import open_house
    from nightmill.cli.screen import IN_JSON, say
    from nightmill.store.export import line

    count = 0
    with ExitStack() as stack:
        out = sys.stdout
        if file is not None:
            unfinished = file.with_name(f".{file.name}.tmp")
            stack.callback(unfinished.unlink, missing_ok=True)
            unfinished.unlink(missing_ok=True)  # in a folder that is others' too it may be a link of theirs
            out = stack.enter_context(unfinished.open("x", encoding="utf-8"))
        for entry in stack.enter_context(open_house()).entries(after=after, run=run):
            out.write(line(entry).translate(IN_JSON))
            count += 1
        if file is not None:
            out.flush()
            unfinished.replace(file)
            say(f"wrote {count:,} entries to {file}")


def seal(
    file: Annotated[Path | None, typer.Argument(help="Where to add it; standard output if left out.")] = None,
) -> None:
    """Sign where the ledger stands. Keep it where whoever could change the store cannot reach it."""
    import sys

    from nightmill.cli.house import open_house
    from nightmill.cli.screen import say

    with open_house() as house:
        made = house.seal()
    if file is None:
        sys.stdout.write(made.text() + "\n")
    else:
        with file.open("a", encoding="ascii") as out:
            out.write(made.text() + "\n")
    say(f"sealed up to entry {made.seq}; its public key: {made.key}")


def forget(
    before: Annotated[
        str, typer.Option(metavar="DATE", help="Forget what was told before this day (UTC), as 2026-08-01.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Delete the words of old entries of runs that are over; who did what when, decisions and costs stay, and so does the chain."""
    import time
    from datetime import UTC, datetime

    from nightmill.cli.door import open_door, person
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError
    from nightmill.store import retention

    try:
        day = datetime.strptime(before, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise SettingsError(f"{before!r} is not a day", hint="write it as 2026-08-01") from error
    door = open_door()
    gone = retention.forget(door.database, before=day, by=person(), at=time.time(), pretend=dry_run)
    verb = "would be forgotten" if dry_run else "are forgotten"
    say(f"the words of {gone.entries:,} entries up to {gone.upto:,} {verb}")


def _seals(file: Path, *, key: str) -> list[Seal]:
    import json

    from nightmill.errors import SettingsError
    from nightmill.store import seal as sealing

    found = []
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise SettingsError(f"the seals in {str(file)!r} cannot be read: {error}", hint="name another file") from error
    if not lines:
        raise SettingsError(f"{str(file)!r} holds no seal", hint="`nightmill ledger seal` makes one")
    for number, line in enumerate(lines, 1):
        try:
            made = sealing.read(json.loads(line))
        except ValueError as error:
            raise SettingsError(
                f"{file}:{number}: this is no JSON", hint="`nightmill ledger seal` makes seals"
            ) from error
        if key and made.key != key:
            raise SettingsError(f"{file}:{number}: sealed by another key, {made.key}", hint="whose is it?")
        found.append(made)
    return found
