"""The ledger itself: ledger verify, export, seal, forget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nightmill.store import Entry
    from nightmill.store.seal import Seal

__all__ = ["register"]

ledger_app = typer.Typer(
    help="What happened, as it was told: verify, export, seal it, and let it forget.", no_args_is_help=True
)

PAGE = 1000
FAILED = 1


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (verify, export, seal, forget):
        ledger_app.command()(command)
    app.add_typer(ledger_app, name="ledger")


def verify(
    seals: Annotated[Path | None, typer.Option(help="A file of seals: what they say has to hold, too.")] = None,
    key: Annotated[str, typer.Option(help="Believe only seals by this public key.")] = "",
) -> None:
    """Go through the chain from its beginning: no entry was changed, dropped or put in between."""
    import time

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import say
    from nightmill.store import seal as sealing

    door = open_door()
    began, last = time.monotonic(), door.ledger.last()
    broken = door.ledger.verify()
    if broken is not None:
        say(f"✗ entry {broken.seq}: {broken.reason}", style="red")
        raise typer.Exit(FAILED)
    say(f"✓ {last:,} entries, each following the one before ({time.monotonic() - began:.1f} s)")
    for number, found in enumerate(_seals(seals, key=key) if seals else [], 1):
        if (wrong := sealing.broken(door.database, found)) is not None:
            say(f"✗ seal {number}: entry {wrong.seq}: {wrong.reason}", style="red")
            raise typer.Exit(FAILED)
        say(f"✓ seal {number}: entry {found.seq} is the one that was sealed")


def export(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; standard output if left out.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only entries after this number.")] = 0,
    run: Annotated[str, typer.Option(help="Only entries of this run.")] = "",
) -> None:
    """Write the ledger as JSON lines, with all that its hashes cover."""
    import sys
    from contextlib import ExitStack

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import say

    door = open_door()
    name = door.runs.get(run).id if run else None
    count = 0
    with ExitStack() as stack:
        out = sys.stdout
        if file is not None:
            unfinished = file.with_name(f".{file.name}.tmp")
            stack.callback(unfinished.unlink, missing_ok=True)
            out = stack.enter_context(unfinished.open("w", encoding="utf-8"))
        while page := door.ledger.read(after=after, run=name, limit=PAGE):
            for entry in page:
                out.write(_line(entry))
            after, count = page[-1].seq, count + len(page)
        if file is not None:
            out.flush()
            unfinished.replace(file)
            say(f"wrote {count:,} entries to {file}")


def seal(
    file: Annotated[Path | None, typer.Argument(help="Where to add it; standard output if left out.")] = None,
) -> None:
    """Sign where the ledger stands. Keep it where whoever could change the store cannot reach it."""
    import sys
    import time

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import say
    from nightmill.store import seal as sealing

    door = open_door()
    made = sealing.seal(door.database, sealing.key(door.settings.home), at=time.time())
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


def _line(entry: Entry) -> str:
    from json import dumps, loads

    plain = {
        "seq": entry.seq,
        "at": entry.at,
        "run": entry.run,
        "name": entry.name,
        "key": entry.key,
        "body": loads(entry.body),
        "hash": entry.hash,
    }
    return dumps(plain, ensure_ascii=False) + "\n"
