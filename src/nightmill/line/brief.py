"""What an agent is given, put together once per run and kept, so that a new version changes no run in flight."""

from __future__ import annotations

import json
import secrets
from collections import Counter, defaultdict
from functools import cache
from hashlib import sha256
from textwrap import shorten
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from nightmill import plan
from nightmill.agent import Brief
from nightmill.crew import find
from nightmill.errors import LimitReached, RepoError
from nightmill.line import room
from nightmill.line.assignment import models
from nightmill.model import Message, ModelRequest, Text
from nightmill.prompt import Prompt, render
from nightmill.repo import shown
from nightmill.skill import FOLDERS, parse, relevant
from nightmill.tool.base import cut, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightmill.crew import Crew, Role
    from nightmill.estate.nouns import Service
    from nightmill.line.assignment import Assignment
    from nightmill.repo import Hub
    from nightmill.spec import Criterion

__all__ = [
    "NOTHING",
    "architect",
    "criteria",
    "developer",
    "facts",
    "fits",
    "instructions",
    "read_brief",
    "role",
    "skills",
    "tree",
    "write_brief",
]

MOST_PATHS = 400
MOST_IN_FOLDER = 40
ALIKE, MOST_NAMES = 8, 300
"""Files from which those whose paths differ in one folder's name are told as one, and characters of these names."""
LINK = "120000"
NOTHING = Prompt(name="", digest="", text="")
LARGEST = 16 << 20
MOST_SKILLS, MOST_FIT = 100, 6
MOST_OBJECTIVE = 400
MOST_INSTRUCTIONS = 32_768
"""Bytes of instruction files that an agent is given (the bound that the AGENTS.md readers of others use)."""


def developer(assignment: Assignment, *, run: str, hub: Hub, earlier: Prompt = NOTHING) -> Brief:
    """The developer's brief for the task of *assignment*; *earlier* is what it is given of runs before.

    Raises:
        SpecError: If what stands in every request leaves the work no room.
    """
    task = assignment.task
    if task is None:
        raise AssertionError("a task run has a task")
    acting = role("developer", assignment)
    told = instructions(assignment, hub)
    prompt = render(
        "external/task" if assignment.agent else "developer/task",
        title=task.title,
        instruction=task.instruction,
        criteria=_listed(criteria(assignment)) or "- as the spec says",
        spec=assignment.spec.text,
        facts=facts(assignment),
        instructions=told,
        earlier=f"\n{earlier.text}\n" if earlier.text else "",
        **({} if assignment.agent else {"skills": skills(assignment, hub)}),
    )
    given = {each.name: each.digest for each in (prompt, earlier) if each.name}
    if assignment.agent is not None:  # its own instructions are the agent's own affair
        return Brief(
            role=f"{acting.name}-{assignment.agent.name}",
            model=assignment.worker,
            system=(),
            anchor=prompt.text,
            prompts=given,
            conversation=f"nightmill-{run}",
        )
    # Drawn, not made from the run's id, which commits of tasks before it tell; the brief is kept, so a recovered run has it.
    tag = f"[system {secrets.token_hex(4)}]"
    harness = render("agent/harness", tag=tag)
    known = len(assignment.spec.text.encode()) + len(told.encode())
    rest = sum(len(text.encode()) for text in (acting.instructions, harness.text, prompt.text)) - known
    return Brief(
        role=acting.name,
        model=assignment.model.partition(":")[2],
        system=(acting.instructions, harness.text),
        anchor=prompt.text,
        prompts={
            **given,
            harness.name: harness.digest,
            f"crew/{acting.name}": sha256(acting.instructions.encode()).hexdigest(),
        },
        conversation=f"nightmill-{run}",
        max_tokens=assignment.max_tokens,
        thinking=assignment.thinking,
        objective=objective(assignment),
        checks=tuple(check.command for check in assignment.project.checks),
        footprint=task.footprint.paths,
        criteria=tuple(each.id for each in criteria(assignment)),
        budget=assignment.budget,
        others=len(models(assignment, acting)) - 1,
        compact_at=room.compact_at(
            assignment, acting, fixed=_fixed(assignment, told, rest + room.tools(assignment, acting))
        ),
        tag=tag,
    )


def objective(assignment: Assignment) -> str:
    """The task in a few lines, said again at every turn: its title, its first words, and what must be shown."""
    task = assignment.task
    if task is None:
        raise AssertionError("a task run has a task")
    first = one_line(task.instruction, most=MOST_OBJECTIVE)
    shown = "; ".join(f"{each.id} {one_line(each.text, most=160)}" for each in criteria(assignment))
    return cut(f"{task.title}. {first}" + (f"\nTo be shown: {shown}" if shown else ""), most=3 * MOST_OBJECTIVE)


def fits(assignment: Assignment, hub: Hub) -> None:
    """Look, before anything is spent, whether work on the assignment's spec has room beside what is always said.

    Raises:
        SpecError: If it has not.
    """
    if assignment.agent is None:
        acting = role("developer", assignment)
        rest = len(acting.instructions.encode()) + room.tools(assignment, acting)
        room.compact_at(assignment, acting, fixed=_fixed(assignment, instructions(assignment, hub), rest))


def _fixed(assignment: Assignment, instructions: str, rest: int) -> dict[str, int]:
    """Bytes of what stands in every request, *rest* of them neither the spec's nor the project's *instructions*."""
    return {
        "the spec": len(assignment.spec.text.encode()),
        "the project's instructions": len(instructions.encode()),
        "the rest": rest,
    }


def architect(assignment: Assignment, *, run: str, hub: Hub) -> ModelRequest:
    """The request for a plan of the assignment's spec."""
    acting = role("architect", assignment)
    prompt = render(
        "architect/plan",
        spec=assignment.spec.text,
        criteria=_listed(assignment.spec.criteria),
        facts=facts(assignment),
        files=tree(hub, assignment.base_commit),
        instructions=instructions(assignment, hub),
        schema=json.dumps(plan.schema(), separators=(",", ":")),
    )
    return ModelRequest(
        model=assignment.model.partition(":")[2],
        system=(acting.instructions,),
        messages=(Message(role="user", parts=(Text(text=prompt.text),)),),
        max_tokens=assignment.max_tokens,
        thinking=assignment.thinking,
        conversation=f"nightmill-{run}",
    )


def tree(hub: Hub, commit: str) -> str:
    """The repository's files; many alike in a line, a folder with many, or a repository with too many, in numbers."""
    paths = [shown(file.path) for file in hub.files(commit)]
    tops = Counter(_folder(path) for path in paths)
    lines = _alike([path for path in paths if tops[_folder(path)] <= MOST_IN_FOLDER])
    lines += [f"{folder}/ ({count} files)" for folder, count in tops.items() if count > MOST_IN_FOLDER]
    more = f"\n(and {len(lines) - MOST_PATHS} more)" if len(lines) > MOST_PATHS else ""
    return "\n".join(sorted(lines)[:MOST_PATHS]) + more


def _folder(path: str) -> str:
    """The folder under which *path* is counted: at most three levels, so that a tree of many small ones is one."""
    return "/".join(path.split("/")[:-1][:3])


def _alike(paths: Sequence[str]) -> list[str]:
    """*paths*; many that differ in the name of one folder only, such as one for each language, as one line."""
    forms = Counter(form for path in paths for form in _forms(path))
    lines, names = [], defaultdict(list)
    for path in paths:
        before, after = max(_forms(path), key=forms.__getitem__, default=("", ""))
        if forms[before, after] < ALIKE:
            lines.append(path)
        else:
            names[before, after].append(path.removeprefix(f"{before}/").removesuffix(f"/{after}"))
    for (before, after), found in names.items():
        told = shorten(", ".join(found), MOST_NAMES, placeholder=" …")
        lines.append(f"{before}/*/{after} ({len(found)} files, for *: {told})")
    return lines


def _forms(path: str) -> list[tuple[str, str]]:
    """What stands before and after each folder of *path* but the first."""
    parts = path.split("/")
    return [("/".join(parts[:at]), "/".join(parts[at + 1 :])) for at in range(1, len(parts) - 1)]


def criteria(assignment: Assignment) -> tuple[Criterion, ...]:
    """The criteria that the assignment's task must show; all of them where it is the whole spec."""
    wanted = assignment.task.criteria if assignment.task else ()
    return tuple(each for each in assignment.spec.criteria if not wanted or each.id in wanted)


def _listed(found: tuple[Criterion, ...]) -> str:
    return "\n".join(f"- {each.id}{' ' if each.text.startswith('(') else ': '}{each.text}" for each in found)


def facts(assignment: Assignment) -> str:
    """What an agent needs to know of the project, in a sentence or two."""
    checks = "; ".join(f"`{check.command}`" for check in assignment.project.checks)
    tests = f" Its checks: {checks}." if checks else ""
    beside = _beside(assignment.project.services)
    return f"It is a {assignment.project.language} project; what its checks need is installed, and there is no network.{tests}{beside}"


def _beside(services: tuple[Service, ...]) -> str:
    """What an agent needs to know of the services."""
    if not services:
        return ""
    told = [
        each.name + (f" (in the environment: {', '.join(each.variables)})" if each.variables else "")
        for each in services
    ]
    return (
        f" These services run beside your commands, started for you: {'; '.join(told)}. What one writes is in"
        " /tmp/services/NAME.log. One that has ended is started again before your next turn: to restart it, end it."
    )


def instructions(assignment: Assignment, hub: Hub) -> str:
    """The project's instruction files at the base commit, each under its name, cut at a bound that is said."""
    commit, named = assignment.base_commit, assignment.project.instructions
    links = {file.path for file in hub.files(commit) if file.mode == LINK} if named else set()
    parts, left = [], MOST_INSTRUCTIONS
    for path in named:
        body = b"" if path in links else _body(hub, commit, path)  # what a link leads to is a file of its own
        text = body[:left].decode("utf-8", "ignore" if len(body) > left else "replace").strip()
        left -= min(left, len(body))
        cut = "" if len(body) <= len(text.encode()) else "\n\n(cut here: the file goes on)"
        parts += [f"### {path}\n\n{text}{cut}\n"] if body else []
    return "\nIts own instructions:\n\n" + "\n".join(parts) if parts else ""


def skills(assignment: Assignment, hub: Hub) -> str:
    """The project's skills at the base commit that fit the task, a line each; the agent reads their files itself."""
    commit = assignment.base_commit
    paths = [
        each.path
        for folder in FOLDERS
        for each in hub.files(commit, within=(folder,))
        if each.path.endswith("/SKILL.md") and each.mode != LINK
    ]
    read = (
        parse(_body(hub, commit, path).decode("utf-8", "replace"), path=shown(path)) for path in paths[:MOST_SKILLS]
    )
    fit = relevant((each for each in read if each), f"{objective(assignment)} {assignment.spec.text}", most=MOST_FIT)
    if not fit:
        return ""
    listed = "\n".join(f"- {each.name} ({each.path}): {one_line(each.description, most=400)}" for each in fit)
    return "\n" + render("developer/skills", listed=listed).text + "\n"


def _body(hub: Hub, commit: str, path: str) -> bytes:
    try:
        return hub.show(commit, path, limit=LARGEST).strip()
    except RepoError:
        return b""
    except LimitReached:
        return b"(the file is too large to be shown here)"


@cache
def _adapter() -> TypeAdapter[Brief]:
    return TypeAdapter(Brief)


def write_brief(brief: Brief) -> bytes:
    """*brief* as JSON."""
    return _adapter().dump_json(brief)


def read_brief(body: bytes) -> Brief:
    """The brief in *body*."""
    return _adapter().validate_json(body)


def role(name: str, assignment: Assignment) -> Role:
    """The role *name*, as it was when the run was asked for."""
    return (assignment.crew or _shipped()).role(name)


@cache
def _shipped() -> Crew:
    return find()
