"""blueprint explain: what each agent of a process will see, measured where it is known."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.blueprint.seen import Piece, Seen
    from nightmill.cli.processes import Processes
    from nightmill.estate.nouns import Project

__all__ = ["explain", "measured"]


def explain(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A blueprint, or the file of one.")],
    spec: Annotated[Path | None, typer.Option(help="A spec, to measure what is read of it.")] = None,
    project: Annotated[Path, typer.Option("--project", help="A folder in the repository.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what the agent of each step will see, in about so many tokens, and what it will not see. Asks no model."""
    from nightmill.blueprint.seen import seen
    from nightmill.cli.door import open_door
    from nightmill.cli.processes import processes
    from nightmill.cli.screen import print_json, safe, say
    from nightmill.line.process.goals import REVIEW

    here = processes(open_door(), project)
    entry, catalogue = here.chosen(name)
    known, note = measured(here, spec)
    found = seen(catalogue.get(entry.name), roles=catalogue.roles, measured=known, review=REVIEW, memory=_memory(here))
    if json:
        print_json([_plain(each) for each in found])
        return
    for each in found:
        _print(each)
    if not found:
        sys.stdout.write(safe(f"no agent acts in {entry.name}\n"))
    sys.stdout.flush()
    say("tokens are about a quarter of the bytes; a value that is not known yet is told with what it can have at most")
    say(note)


def _memory(here: Processes) -> dict[str, str]:
    """What each role is given of its notes on the project that is here."""
    from nightmill.crew import Memory
    from nightmill.line.process.measures import memory

    pages = Memory(here.door.settings.home).pages(here.project.id) if here.project is not None else {}
    return {role: given.text for role, page in pages.items() if (given := memory(page)) is not None}


def measured(here: Processes, spec: Path | None) -> tuple[dict[str, str], str]:
    """Values that are known of the project at its latest commit here, and of *spec*; and what was measured, in words."""
    from nightmill import spec as specs
    from nightmill.line import brief
    from nightmill.repo import inspect

    read = specs.read(spec) if spec else None
    project = here.project
    if project is None:
        return _of_spec(read), "no project is here, so nothing of one was measured"
    repository = here.door.hub(project.id)
    branch = inspect(project.root, home=Path.home()).branch
    commit = repository.resolve(branch) if repository.path.is_dir() and branch else None
    assignment = _assignment(here, project, read, commit or "")
    found = {**_of_spec(read), "project.facts": brief.facts(assignment)}
    if commit is None:
        return found, "files and instructions were not measured: the project was not taken in yet (nightmill init)"
    found["project.files"] = brief.tree(repository, commit)
    found["project.instructions"] = brief.instructions(assignment, repository)
    return found, f"measured on {branch} at {commit[:12]}" + ("" if spec else "; give --spec to measure one")


def _of_spec(read: Any) -> dict[str, str]:
    if read is None:
        return {}
    criteria = "\n".join(f"{each.id}: {each.text}" for each in read.criteria)
    task = {"task.title": read.title, "task.instruction": read.text, "task.criteria": criteria}
    return {"spec.text": read.text, "spec.title": read.title, **task}


def _assignment(here: Processes, project: Project, read: Any, commit: str) -> Any:
    """What the measured parts are made from in a run, too."""
    from nightmill.line.assignment import Assignment
    from nightmill.line.submit import budget
    from nightmill.policy import Policy
    from nightmill.spec import Spec

    nothing = Spec(title="", format="markdown", source="", digest="", text="", goal="", requirements=(), criteria=())
    return Assignment(
        kind="task",
        project=project,
        spec=read or nothing,
        model=here.door.settings.model,
        base_url="",
        base_branch="",
        base_commit=commit,
        target="",
        budget=budget(here.door.settings, Policy()),
        max_tokens=0,
        thinking=0,
        by="",
    )


def _print(each: Seen) -> None:
    """One step: a line for each piece, with a bar where the terminal has room."""
    from nightmill.cli.screen import safe
    from nightmill.report.words import tokens

    total = f"about {tokens(each.known)}" + (
        f", and at most {tokens(each.most)} that is not known yet" if each.most else ""
    )
    lines = [f"{each.step}{f' · {each.title}' if each.title else ''}", f"  {each.role} sees {total}"]
    lines += [f"  {line}" for line in _pieces(each)]
    lines += [f"    does not see: {', '.join(each.absent)}", ""]
    sys.stdout.write("\n".join(map(safe, lines)) + "\n")


def _pieces(each: Seen) -> Iterator[str]:
    from nightmill.report.words import count, tokens

    tools = [piece for piece in each.pieces if piece.name.startswith("tool ")]
    for piece in (piece for piece in each.pieces if piece not in tools):
        yield f"  {_size(piece)}  {piece.name}: {piece.said + ', ' if piece.said else ''}{piece.source}"
    if tools:
        spent = tokens(sum(piece.tokens or 0 for piece in tools))
        names = ", ".join(piece.name.removeprefix("tool ") for piece in tools)
        yield f"  {spent:>8}  {count(len(tools), 'tool')}: {names}"


def _size(piece: Piece) -> str:
    from nightmill.report.words import tokens

    if piece.tokens is None:
        return f"{f'≤ {tokens(piece.most)}' if piece.most else '+':>8}"
    return f"{tokens(piece.tokens):>8}"


def _plain(each: Seen) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(each), "known": each.known, "most": each.most}
