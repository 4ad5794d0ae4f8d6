"""What sandboxes keep on the disk: sandbox list, sandbox gc."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.line.reclaim import Thing

__all__ = ["gc", "list_sandboxes"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def list_sandboxes(json: Json = False) -> None:
    """List the sandboxes of runs: their snapshots, what they take on the disk and what they stand on."""
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, say, table

    door = open_door()
    found = [_kept(door, path) for path in sorted((door.settings.home / "runs").glob("*/sandbox"))]
    if json:
        print_json(found)
    elif not found:
        say("no sandboxes: none is kept before a run is prepared")
    else:
        rows = [
            [each["run"], each["state"], str(len(each["snapshots"])), _size(each["bytes"]), _ground(each)]
            for each in found
        ]
        table(["run", "state", "snapshots", "size", "stands on"], rows)


def gc(
    quota: Annotated[
        str, typer.Option(metavar="SIZE", help="Size of the home to come down to, as 20G; default: the setting.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: Json = False,
) -> None:
    """Delete what can be made again or is proven to be elsewhere, and say what stays and why."""
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, safe, say
    from nightmill.line.cleared import clear
    from nightmill.line.reclaim import Reclaim
    from nightmill.repo import Hub
    from nightmill.store import notes, results

    door = open_door()
    home = door.settings.home
    most = _bytes(quota) if quota else int(door.settings.quota_gigabytes * 1e9)
    if not home.is_dir():
        say(f"there is no home {str(home)!r} yet")
        return
    reclaim = Reclaim(
        home=home,
        runs=door.runs,
        ledger=door.ledger,
        hub=lambda project: Hub(home / "projects" / project / "hub.git"),
        pretend=dry_run,
    )
    things = [*reclaim.go(quota=most), *clear(door.tasks, door.runs, reclaim.hub, pretend=dry_run)]
    if not dry_run:
        notes.prune(door.database)
        results.prune(door.database, now=time.time())
    if json:
        print_json([{**asdict(each), "path": str(each.path)} for each in things])
        return
    sys.stdout.write("".join(f"{safe(_line(each, home, pretend=dry_run))}\n" for each in things))
    freed = sum(each.bytes for each in things if each.gone)
    say(f"{_size(freed)} {'would be freed' if dry_run else 'freed'}")


def _kept(door: Door, folder: Path) -> dict[str, Any]:
    from nightmill.errors import NightmillError
    from nightmill.line.moments import moments
    from nightmill.line.reclaim import size
    from nightmill.sandbox.disk.chain import stand

    run = folder.parent.name
    try:
        state = door.runs.get(run).state
    except NightmillError:
        state = "unknown"
    taken = moments(door.ledger, run)
    try:
        layers = stand(folder / "packs", taken[-1].snapshot).layers if taken else []
    except NightmillError:
        layers = []
    return {
        "run": run,
        "state": state,
        "snapshots": [asdict(each) for each in taken],
        "bytes": size(folder),
        "base": _base(door, run),
        "layers": layers,
        "folder": str(folder),
    }


def _base(door: Door, run: str) -> str:
    from nightmill import event

    entries = door.ledger.read(run=run, names=(event.WorkspacePrepared.name,))
    told = entries[-1].event() if entries else None
    return told.environment if isinstance(told, event.WorkspacePrepared) else ""


def _ground(each: dict[str, Any]) -> str:
    layers = len(each["layers"])
    return f"base {each['base'][:12] or '?'}" + (f" and {layers} layer{'s' * (layers > 1)}" if layers else "")


def _line(thing: Thing, home: Path, *, pretend: bool) -> str:
    verb = ("would go" if pretend else "gone") if thing.gone else "kept"
    path = thing.path.relative_to(home) if thing.path.is_relative_to(home) else thing.path
    return f"{verb:<8}  {_size(thing.bytes):>8}  {thing.kind}  {path}: {thing.why}"


def _bytes(text: str) -> int:
    """Bytes that *text* means: a number, with K, M, G or T.

    Raises:
        SettingsError: If it is something else.
    """
    from nightmill.errors import SettingsError

    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise SettingsError(f"{text!r} is not a size", hint="write it as 500M or 20G")
    return int(float(found[1]) * UNITS[found[2]])


def _size(number: int) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:  # the next unit
            return f"{number} {unit}"
        number //= 1000
    return f"{number} GB"
