"""The page of attacks, made from tests/escape: what is tried, from where, what stops it, and how that is known."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["SUITE", "WALLS", "Attack", "attacks", "page"]

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "tests" / "escape"

WALLS = {
    "filter": "the system call filter",
    "capabilities": "no capability, and no way to gain one",
    "users": "a user namespace in which no other can be made",
    "processes": "a process namespace of its own",
    "network": "a network namespace of its own",
    "ipc": "an IPC namespace of its own",
    "view": "only what belongs inside is mounted",
    "read-only": "read-only and bounded mounts",
    "order": "nothing is mounted below what an agent can write",
    "covered": "what is the kernel's in /proc is covered",
    "runner": "a PID 1 that nothing inside can open, trace or end",
    "empty": "a start with no environment, argument or descriptor of the host",
    "limits": "limits on a command's whole tree",
    "channel": "the host's end of the socket trusts no frame",
    "proxy": "the egress proxy",
    "packs": "snapshots are read as hostile",
    "layers": "marks of the overlay are escaped by the kernel",
    "export": "work leaves as one bundle that the host checks, by a git that reads no configuration of it",
    "doors": "what a repository says is checked where it comes in",
}
"""What stands in the way of attacks. The names are those in `@attack(…)` and `pytest.mark.wall(…)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack of the suite.

    Attributes:
        inside: Carried out by a program in a sandbox, once started by root and once by an unprivileged user.
        walls: What stops it.
        without: The walls without which a test sees it get through; empty: it was not tried.
    """

    name: str
    family: str
    file: str
    inside: bool
    walls: tuple[str, ...]
    without: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Its name as words."""
        text = self.name.removeprefix("test_").replace("_", " ")
        return text[0].upper() + text[1:]


def attacks() -> Iterator[Attack]:
    """Every attack, by file."""
    for path in sorted([*SUITE.glob("test_*.py"), *SUITE.glob("inside/*.py")]):
        module = ast.parse(path.read_text(encoding="utf-8"))
        inside = path.parent.name == "inside"
        family = (ast.get_docstring(module) or "").splitlines()[0].rstrip(".")
        default = next(filter(None, map(_pytestmark, module.body)), None)
        for node in module.body:
            if not isinstance(node, ast.FunctionDef):
                continue
            given = next((found for each in node.decorator_list if (found := _given(each, inside=inside))), None)
            given = given or (_given(default, inside=False) if default and node.name.startswith("test_") else None)
            if given:
                walls, without = given
                yield Attack(
                    name=node.name,
                    family=family,
                    file=str(path.relative_to(SUITE)),
                    inside=inside,
                    walls=walls,
                    without=without,
                )


def _pytestmark(node: ast.stmt) -> ast.expr | None:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "pytestmark":
        return node.value
    return None


def _given(node: Any, *, inside: bool) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The walls in `@attack("filter", without="filter")` or `@pytest.mark.wall("filter")`."""
    name = "attack" if inside else "wall"
    if not isinstance(node, ast.Call) or name not in {getattr(node.func, "id", ""), getattr(node.func, "attr", "")}:
        return None
    words = [ast.literal_eval(each) for each in node.args]
    without = next((ast.literal_eval(each.value) for each in node.keywords if each.arg == "without"), "")
    return tuple(words), tuple(without.split())


# The page


def page() -> str:
    """The whole page."""
    found = list(attacks())
    lines = [
        "# Attacks\n",
        "What tests/escape does to the sandbox, for real, and what stops it. Each line is a test; many try a dozen ways.",
        "Those in `inside` are programs that run in a sandbox, once in one that root started and once in one of an",
        "unprivileged user, and in containers as well; the others are made by whoever runs the suite.",
        "Around every file of them the host is measured: its settings, files, mounts, processes and descriptors.\n",
        "An attack that cannot succeed anywhere proves nothing. So those that are safe to let succeed are carried out a",
        'second time with the walls in the last column taken down, and are seen to get through. "–": not tried, because what',
        "would get through could harm the machine, because the wall is code of ours that has no switch, or because it",
        "depends on the kernel.\n",
        "| wall | what it is |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in WALLS.items()),
        "",
    ]
    for file in dict.fromkeys(each.file for each in found):
        own = [each for each in found if each.file == file]
        where = "in a sandbox, started by root and by nobody" if own[0].inside else "by who runs the suite"
        lines += [f"## {own[0].family}\n", f"`tests/escape/{file}`, {where}.\n"]
        lines += ["| attack | stopped by | gets through without |", "|---|---|---|"]
        lines += [f"| {each.sentence} | {', '.join(each.walls)} | {', '.join(each.without) or '–'} |" for each in own]
        lines.append("")
    return "\n".join(lines)
