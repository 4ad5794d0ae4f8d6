"""The services of a project: read from nightmill.yaml, given their data when a base is built, started for a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from nightmill import sandbox
from nightmill.errors import SettingsError
from nightmill.estate.install import install
from nightmill.estate.nouns import Service
from nightmill.estate.presets import lacking, preset
from nightmill.review.formats import tidy
from nightmill.sandbox import Workspace
from nightmill.sandbox.services import order

__all__ = ["demand", "fill", "programs", "read", "troubles"]

TAIL = 3_000

name_of = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


def read(plain: list[dict[str, Any]], *, root: Path = Path("/")) -> tuple[Service, ...]:
    """The services that the records *plain* of nightmill.yaml describe, with programs below *root*.

    Raises:
        SettingsError: If one cannot be run; the message names it.
    """
    found = tuple(_read(each, root) for each in plain)
    names = [each.name for each in found]
    for each in found:
        for needed in each.program.after:
            if needed not in names or needed == each.name:
                _refuse(each.name, f"has to start after {needed!r}, which is no other service", hint="see `after`")
    if len({each.name for each in found}) < len(found):
        raise SettingsError("two services have one name", hint="give each its own `name`")
    for wave in order(programs(found)):
        if any(set(each.after) & {other.name for other in wave} for each in wave):
            _refuse(wave[0].name, "waits for itself, by way of others", hint="take a name out of `after`")
    return found


def programs(services: tuple[Service, ...]) -> tuple[sandbox.Service, ...]:
    """What a sandbox starts for *services*."""
    return tuple(each.program for each in services)


async def fill(
    workspace: Workspace, services: tuple[Service, ...], *, env: Mapping[str, str], progress: Callable[[str], None]
) -> None:
    """Make the data of *services*: run their `setup`, start them, run their `seed`, stop them in order.

    Raises:
        SettingsError: If a line fails, or one does not answer; the message holds the end of its output.
    """
    for each in services:
        where = f"`setup` of the service {each.name!r}"
        await install(workspace, each.setup, env={**env, **each.program.env}, progress=progress, where=where)
    if services:
        progress(f"starting {', '.join(each.name for each in services)}")
        await workspace.services.start(*programs(services))
        await demand(workspace)
    for each in services:
        where = f"`seed` of the service {each.name!r}"
        await install(workspace, each.seed, env={**env, **each.program.env}, progress=progress, where=where)
    await demand(workspace)
    await workspace.services.stop()


async def demand(workspace: Workspace) -> None:
    """Make sure that all services that were started are ready.

    Raises:
        SettingsError: If one is not.
    """
    found = await troubles(workspace)
    if found:
        raise SettingsError(found[0], hint="correct `run`, `ready` or `seconds` of the service in nightmill.yaml")


async def troubles(workspace: Workspace) -> list[str]:
    """What is wrong with services that are not ready, each with the end of its output."""
    found = []
    for state in workspace.services.states():
        if state.state != "ready":
            said = tidy((await workspace.services.log(state.name))[-TAIL:].decode("utf-8", "replace"), limit=TAIL)
            what = "has ended" if state.state == "ended" else "does not answer"
            found.append(f"the service {state.name!r} {what}: {state.reason}\n{said}".strip())
    return found


def _read(plain: dict[str, Any], root: Path) -> Service:
    use = plain.get("use", "")
    name = plain.get("name", use)
    if not name_of.fullmatch(name):
        _refuse(name, "has no name that can be a file's", hint="small letters, digits, '-', '_' and '.'")
    if use:
        found = preset(use, name=name, port=plain.get("port", 0), root=root)
        if found is None:
            why = f"uses the preset {use!r}, whose programs this machine does not have where a sandbox sees them (/usr)"
            _refuse(name, why, hint=f"install {lacking(use)}; or say yourself how it is run, with `run`")
    elif not plain.get("run"):
        _refuse(name, "has neither `run` nor `use`", hint="give the command that starts it, or a preset")
    else:
        found = Service(program=sandbox.Service(name=name, run=plain["run"]))
    changes = {field: plain[key] for key, field in FIELDS.items() if key in plain}
    changes |= {"after": tuple(plain.get("after", ()))}
    if "cwd" in plain:
        changes["cwd"] = str(PurePosixPath("/work/repo") / plain["cwd"])
    return Service(
        program=replace(found.program, **changes),
        setup=(*found.setup, *plain.get("setup", ())),
        seed=(*found.seed, *plain.get("seed", ())),
        variables=found.variables,
    )


FIELDS = {
    "run": "run",
    "ready": "ready",
    "seconds": "patience",
    "stop": "stop",
    "grace": "grace",
    "env": "env",
    "memory": "memory",
}
"""Keys of a service, and the field of the program that each sets."""


def _refuse(name: str, why: str, *, hint: str) -> NoReturn:
    raise SettingsError(f"the service {name!r} {why}", hint=hint)
