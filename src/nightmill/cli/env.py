"""The environment of a project: env explain, env lock, env verify."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.estate.compare import Comparison
    from nightmill.estate.explain import Explanation
    from nightmill.repo import Hub

__all__ = ["register"]

env_app = typer.Typer(help="Look at the environment that runs stand on.", no_args_is_help=True)

Root = Annotated[Path, typer.Argument(metavar="[PROJECT]", help="A folder in the repository.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

SHOWN = 40
"""Differences that are printed; --json has all."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (explain, lock, verify):
        env_app.command()(command)
    app.add_typer(env_app, name="env")


def explain(project: Root = Path(), json: Json = False) -> None:
    """Say what describes the environment, in which file, what it led to, and what was left out and why. Runs nothing."""
    from nightmill.cli.screen import print_json, safe

    found = _look(project)
    failed = _failed(found.project.id)
    if json:
        print_json({**_plain(found), "failed": failed})
    else:
        lines = [*_lines(found), *([f"✗ it could not be built ahead of a run: {failed}"] if failed else [])]
        sys.stdout.write("".join(f"{safe(line)}\n" for line in lines))


def lock(project: Root = Path(), json: Json = False) -> None:
    """Write the environment record to .nightmill/environment.lock.json, to be committed. Runs are held to it."""
    from nightmill.cli.screen import print_json, say
    from nightmill.errors import SettingsError
    from nightmill.estate.explain import lock as write

    found = _look(project)
    if not found.written:
        raise SettingsError("there is no nightmill.yaml, so nothing is decided yet", hint="nightmill init")
    path, record = write(found.project)
    if json:
        print_json({"file": str(path), "hash": record.hash, "record": record.plain()})
    else:
        sys.stdout.write(f"environment {record.hash} in {path}\n")
    for drift in found.drift or ():
        say(f"agreed anew: {drift.sentence}")
    for line in found.problems:
        say(f"! {line}")
    say("commit it: from then on, a run whose install lines, hosts or programs are others is refused")


def verify(project: Root = Path(), json: Json = False) -> None:
    """Build the environment of the last commit twice and compare. Exit status 0: the same; 1: something differs."""
    import asyncio

    from nightmill.cli.door import open_door
    from nightmill.cli.lasting import lasting
    from nightmill.cli.screen import print_json, say
    from nightmill.cli.site import make_site
    from nightmill.estate.record import committed
    from nightmill.estate.verify import verify as twice

    door = open_door()
    found = door.project(project)
    hub, commit = _taken(door, found.root)
    site = make_site(door)
    with lasting(lambda text: say(f"· {text}")) as step:
        seen = asyncio.run(twice(found, hub=hub, commit=commit, site=site, progress=step))
    record = committed(found, hub=hub, commit=commit)
    if json:
        plain = {"same": seen.same, "hash": record.hash, "commit": commit}
        print_json({**plain, **asdict(seen)})
    else:
        _print_comparison(seen, record.hash)
    raise typer.Exit(0 if seen.same else 1)


def _failed(project: str) -> str:
    """Why a worker could not build ahead for *project* the last time that it tried; "": it could, or never did."""
    from nightmill.cli.door import open_door
    from nightmill.event import EnvironmentBuilt, EnvironmentFailed

    door = open_door()
    if not door.settings.store and not (door.settings.home / "nightmill.db").exists():
        return ""  # looking makes nothing
    told = door.ledger.read(run="", names={EnvironmentBuilt.name, EnvironmentFailed.name})
    own = [each for each in (entry.event() for entry in told) if getattr(each, "project", "") == project]
    return own[-1].reason if own and isinstance(own[-1], EnvironmentFailed) else ""


def _taken(door: Door, root: Path) -> tuple[Hub, str]:
    """The hub of the checkout at *root*, and the commit that is checked out, which is in it now."""
    from nightmill.cli.screen import say
    from nightmill.crew import signers
    from nightmill.estate.file import identify
    from nightmill.line.submit import hub_of
    from nightmill.repo import inspect

    checkout = inspect(root, home=Path.home())
    if checkout.dirty:
        say("note: what is in no commit yet is not built; nightmill.yaml is read as it stands")
    door.make_home()
    hub = hub_of(door.settings, identify(checkout.root))
    branch = checkout.branch or "main"
    hub.create(branch=branch, format=checkout.format, signers=signers(door.settings.home))
    return hub, hub.take(checkout.root, "HEAD")


def _look(project: Path) -> Explanation:
    from nightmill.estate.explain import explain as look
    from nightmill.repo import inspect, tracked

    root = inspect(project.absolute(), home=Path.home()).root
    return look(root, tracked(root, home=Path.home()))


def _plain(found: Explanation) -> dict[str, Any]:
    detected = found.detected
    return {
        "project": found.project.id,
        "written": found.written,
        "hash": found.record.hash,
        "record": found.record.plain(),
        "found": [asdict(each) for each in detected.findings],
        "ignored": [asdict(each) for each in detected.ignored],
        "problems": list(found.problems),
        "advice": list(detected.advice),
        "unlike": list(found.unlike),
        "agreed": None if found.drift is None else {"drift": [asdict(each) for each in found.drift]},
    }


def _lines(found: Explanation) -> list[str]:
    record, detected = found.record, found.detected
    lines = [f"{found.project.id} · {record.language} · environment {record.hash}"]
    if not found.written:
        lines.append("there is no nightmill.yaml yet: this is what `nightmill init` would write")
    lines += ["", "files whose content counts"]
    lines += [f"  {name}  {digest[:12] if digest else 'is not there'}" for name, digest in record.sources.items()]
    lines += ["", "programs, as a sandbox here has them"]
    for tool in record.tools:
        asked = ", ".join(f"{wish or 'any'} ({file})" for file, wish in tool.wanted.items())
        lines.append(
            f"  {'!' if tool.problems else '✓'} {tool.name} {tool.found or 'is not there'}, asked for: {asked}"
        )
    for name, held in (("install", record.install), ("hosts", record.hosts), ("locks", record.locks)):
        lines += ["", name, *(f"  {each}" for each in held or ("none",))]
    lines += ["", "variables", *([f"  {name}={value}" for name, value in record.env.items()] or ["  none"])]
    lines += ["", "found", *(f"  {each.what}: {each.value}, because of {each.because}" for each in detected.findings)]
    if detected.ignored:
        lines += ["", "left out", *(f"  {each.file}: {each.what}: {each.why}" for each in detected.ignored)]
    return lines + _verdict(found)


def _verdict(found: Explanation) -> list[str]:
    """What a person may have to do."""
    lines = [f"! {line}" for line in dict.fromkeys((*found.problems, *found.detected.advice))]
    if found.unlike and found.written:
        keys = ", ".join(f"`{name}`" for name in found.unlike)
        lines.append(f"· nightmill.yaml has {keys} otherwise than `nightmill init --again` would write now")
    if found.drift is None:
        lines.append("· no environment is agreed on: `nightmill env lock` writes it down")
    elif not found.drift:
        lines.append("✓ it is the environment agreed on")
    drift = [f"{'✗ refused' if each.refused else '! told'}: {each.sentence}" for each in found.drift or ()]
    return ["", *lines, *drift]


def _print_comparison(seen: Comparison, name: str) -> None:
    from nightmill.cli.screen import safe
    from nightmill.estate.compare import WHYS
    from nightmill.report.words import count

    number = len(seen.differences)
    word = "✓ the same twice" if seen.same else f"✗ not the same twice ({number} differ{'s' if number == 1 else ''})"
    lines = [f"environment {name[:12]}, {count(seen.entries, 'entry', 'entries')}: {word}"]
    lines += [f"  {each.path}  {each.what}" for each in seen.differences[:SHOWN]]
    if len(seen.differences) > SHOWN:
        lines.append(f"  and {len(seen.differences) - SHOWN} more: --json names them all")
    lines += [f"· {number} differ in {kind}: {WHYS[kind]}" for kind, number in seen.known.items()]
    sys.stdout.write("".join(f"{safe(line)}\n" for line in lines))
