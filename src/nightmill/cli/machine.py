"""The machine and the settings: doctor, settings."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.sandbox import Guarantee
    from nightmill.sandbox.doctor import Probe
    from nightmill.settings import Settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(settings)
    app.command()(doctor)


def settings(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print every setting with its value in force."""
    from nightmill.cli import door
    from nightmill.cli.screen import print_json, table
    from nightmill.settings import Settings

    found = door.settings()
    values = {field.name: getattr(found, field.name) for field in fields(Settings)}
    values["authorities"] = "" if values["authorities"] == Path() else values["authorities"]
    for address in ("store", "base_url"):
        values[address] = _shown(values[address])
    if json:
        print_json(values)
        return
    docs = {field.name: field.metadata["doc"] for field in fields(Settings)}
    rows = [(name, str(value), docs[name]) for name, value in values.items()]
    table(("setting", "value", "what it is"), rows, wrap=True)


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look whether this machine can do the work. Exit status 1: something must be changed first."""
    import asyncio
    import os

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json
    from nightmill.cli.site import choice
    from nightmill.sandbox import doctor as probes
    from nightmill.sandbox.backends.choose import choose

    door = open_door()
    door.make_home()
    sandboxes = choose(choice(door.settings), environment=os.environ, shelf=door.settings.home / "layers")
    found = [*_probes(door.settings), _files(door.settings), _store(door), _credentials(), _agents(), _presets()]
    held: tuple[Guarantee, ...] = ()
    if all(each.ok for each in found):
        held = asyncio.run(sandboxes.guarantees())
        found.append(asyncio.run(probes.self_test(door.settings.home, sandboxes)))
    if json:
        print_json({"probes": [asdict(each) for each in found], "guarantees": [asdict(each) for each in held]})
    else:
        for each in found:
            sys.stdout.write(_line(each.ok, each.name, each.detail, each.fix))
        sys.stdout.write(
            "\nwhat sandboxes hold here, for `requires` in nightmill.yaml and the setting `require`:\n" if held else ""
        )
        for given in held:
            sys.stdout.write(_line(given.held, given.name, given.how, given.fix))
    raise typer.Exit(0 if all(each.ok for each in found) else 1)


def _line(ok: bool, name: str, found: str, fix: str) -> str:
    lines = [f"{'✓' if ok else '✗'} {name}: {found}"]
    if not ok and fix:
        lines += [f"    {line}" for line in f"fix: {fix}".splitlines()]
    return "".join(f"{line}\n" for line in lines)


def _probes(settings: Settings) -> list[Probe]:
    """What the operator's way to make sandboxes needs."""
    import asyncio
    import os

    from nightmill.cli.site import choice
    from nightmill.sandbox.backends.client import Client
    from nightmill.sandbox.doctor import probe, probe_cluster, probe_engine, probe_mac

    if settings.sandbox == "bubblewrap":
        return probe(settings.home, user=settings.sandbox_user)
    if settings.sandbox == "seatbelt":
        return probe_mac(settings.home)
    if settings.sandbox == "kubernetes":
        client = Client(program="kubectl", environment=os.environ)
        return asyncio.run(probe_cluster(settings.home, client, namespace=settings.sandbox_namespace))
    engine = choice(settings).engine(os.environ)
    return asyncio.run(probe_engine(settings.home, engine, image=settings.sandbox_image))


def _files(settings: Settings) -> Probe:
    """Whether enough files may be open for a worker and a server."""
    from nightmill.cli import descriptors
    from nightmill.sandbox.doctor import Probe

    most, need = descriptors.has(), max(descriptors.SERVER, descriptors.of_worker(settings.workers))
    detail = f"{most:,} at once, {need:,} needed (`workers` is {settings.workers})"
    return Probe(name="open files", ok=most >= need, detail=detail, fix=descriptors.HINT.format(need))


def _presets() -> Probe:
    """Which services a project may name; lacking one keeps nothing else from working."""
    from nightmill.estate.presets import PRESETS, find, lacking
    from nightmill.sandbox.doctor import Probe

    found = {use: find(use) for use in PRESETS}
    told = [f"{use} ({programs[0]})" if programs else f"no {use}: {lacking(use)}" for use, programs in found.items()]
    return Probe(name="services", ok=True, detail="; ".join(told))


def _credentials() -> Probe:
    """Whether the operator's credentials can be read."""
    from nightmill.cli.door import credentials
    from nightmill.errors import SettingsError
    from nightmill.sandbox.doctor import Probe

    try:
        names = [each.name for each in credentials()]
    except SettingsError as error:
        return Probe(name="credentials", ok=False, detail=error.message, fix=error.hint)
    return Probe(name="credentials", ok=True, detail=", ".join(names) or "none")


def _agents() -> Probe:
    """Whether the operator's external agents can be used."""
    from nightmill.cli.site import agents
    from nightmill.errors import SettingsError
    from nightmill.sandbox.doctor import Probe

    try:
        found = [f"{each.name} ({each.model})" for each in agents()]
    except SettingsError as error:
        return Probe(name="agents", ok=False, detail=error.message, fix=error.hint)
    return Probe(name="agents", ok=True, detail=", ".join(found) or "none")


def _store(door: Door) -> Probe:
    """Whether the tables can be had."""
    from nightmill.errors import EngineError
    from nightmill.sandbox.doctor import Probe

    where = _shown(door.settings.store) or f"SQLite in {door.settings.home}"
    try:
        revision = door.database.revision()
    except EngineError as error:
        return Probe(
            name="store", ok=False, detail=f"{where}: {error.message}", fix="start it, or correct the setting `store`"
        )
    return Probe(name="store", ok=True, detail=f"{where}, schema {revision}")


def _shown(address: str) -> str:
    """*address* without the name and password in it."""
    return re.sub(r"//[^/@]*@", "//…@", address)
