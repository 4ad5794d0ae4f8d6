"""blueprint test: processes gone through as their cases say, with no model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.blueprint.catalogue import Catalogue, Entry
    from nightmill.desk.processes import Processes
    from nightmill.line.process.rehearse import Rehearsed

__all__ = ["rehearsal"]


class Tested(NamedTuple):
    """A blueprint, the file of its cases, and how each went."""

    name: str
    file: str
    cases: list[Rehearsed]


def rehearsal(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME|FILE...", help="Blueprints, or files of some; none: all that have tests."),
    ] = None,
    project: Annotated[Path, typer.Option("--project", help="A folder in the repository.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Go through blueprints as the cases in NAME.test.yaml say: no model, no sandbox. Exit status 1: a case failed."""
    from nightmill.cli import own
    from nightmill.cli.screen import print_json, safe, say
    from nightmill.report.words import count

    here = own.here(project)
    found = [_tested(here, name) for name in names] if names else list(_all(here))
    if json:
        print_json(
            [
                {"blueprint": each.name, "file": each.file, "cases": [_plain(case) for case in each.cases]}
                for each in found
            ]
        )
    else:
        for line in (line for each in found for line in _lines(each)):
            sys.stdout.write(f"{safe(line)}\n")
        sys.stdout.flush()
        failed = sum(not case.passed for each in found for case in each.cases)
        say(f"{count(sum(len(each.cases) for each in found), 'case')}, {failed or 'none'} failed")
    raise typer.Exit(0 if all(case.passed for each in found for case in each.cases) else 1)


def _all(here: Processes) -> Iterator[Tested]:
    for entry in here.catalogue.entries.values():
        file = _beside(entry.source)
        body = here.file(file, entry.place)
        if body is not None:
            yield _went(entry, here.catalogue, file, body)


def _tested(here: Processes, name: str) -> Tested:
    from nightmill.errors import SettingsError

    entry, catalogue = here.chosen(name)
    file = _beside(entry.source)
    body = here.file(file, entry.place)
    if body is None:
        raise SettingsError(f"there are no tests of {entry.name!r}: {file}", hint="see docs/guides/blueprints.md")
    return _went(entry, catalogue, file, body)


def _went(entry: Entry, catalogue: Catalogue, file: str, body: bytes) -> Tested:
    from nightmill.blueprint.cases import parse
    from nightmill.line.process.rehearse import rehearse

    blueprint = catalogue.get(entry.name)
    cases = parse(body, blueprint, source=file)
    return Tested(
        entry.name, file, [rehearse(blueprint, case, blueprints=catalogue.known.blueprints) for case in cases]
    )


def _beside(source: str) -> str:
    from nightmill.blueprint.cases import TESTS

    return f"{source.rpartition('.')[0]}{TESTS}"


def _lines(tested: Tested) -> Iterator[str]:
    for case in tested.cases:
        yield f"{'✓' if case.passed else '✗'} {tested.name}: {case.case}"
        yield from (f"    {fault}" for fault in case.faults)


def _plain(case: Rehearsed) -> dict[str, object]:
    return {
        "case": case.case,
        "passed": case.passed,
        "ends": case.ends,
        "reason": case.reason,
        "order": case.order,
        "faults": case.faults,
    }
