"""What checks run that the change has edited: targets, scripts, environments, and the files that set tests up."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from posixpath import basename, normpath
from typing import Any

from nightmill.code import Change, is_setup, weaken
from nightmill.review.bend.signs import Place, Sign
from nightmill.review.nouns import Check

__all__ = ["edited", "loosened", "prepared"]

MAKES = {"make", "gmake", "just", "task"}
MAKEFILES = {
    "GNUmakefile",
    "makefile",
    "Makefile",
    "justfile",
    "Justfile",
    ".justfile",
    "Taskfile.yml",
    "Taskfile.yaml",
}
OUTSIDE = re.compile(
    r"^\s*(?:[s-]?include\b|ifn?(?:def|eq)\b|(?:un)?export\b|override\b|define\b|SHELL\b|MAKE\w*\b|\.\w+\b)|\$\(\s*(?:eval|shell)\b"
)
"""Of what stands outside of targets: what can be about all of them."""
PACKAGERS = {"npm", "yarn", "pnpm", "bun"}
RUNNERS = {"tox": {"tox.ini", "tox.toml"}, "nox": {"noxfile.py"}, "hatch": {"hatch.toml"}, "invoke": {"tasks.py"}}
READ = (".toml", ".ini", ".cfg", ".coveragerc")
"""Files whose settings are read one by one elsewhere."""
PREPARES = re.compile(
    r"(?:^|/)(?:conftest\.py|\.gitattributes|\.env(?:\.\w+)?|\.envrc|sitecustomize\.py|\.gitlab-ci\.yml|azure-pipelines\.yml|\.pre-commit-config\.yaml"
    r"|Dockerfile|jest\.setup\.\w+|vitest\.setup\.\w+|build\.rs|setup\.py|babel\.config\.\w+|\.babelrc\w*)$|(?:^|/)__mocks__/|^\.github/(?:workflows|actions)/|^\.circleci/"
)
LEVELS = 12
variable = re.compile(r"\$[({](\w+)")
assigned = re.compile(r"^\s*(\w+)\s*(?:[:+?!]{0,3}=)")
special = re.compile(r"^\.(?!PHONY\b)[A-Z_]+\s*:")
target = re.compile(r"^([\w./ -]{1,200}?)\s*::?(?!=)\s*([^\n#]{0,400})")


def edited(changes: Sequence[Change], checks: Sequence[Check]) -> Iterator[Place]:
    """Files, targets and scripts that the commands of *checks* name and the change has edited."""
    by_name = {each.path: each for each in changes if each.before is not None}
    new = {each.path for each in changes if each.before is None}
    for check in checks:
        words = _words(check.command)
        if MAKES & {basename(word) for word in words}:
            for path in MAKEFILES & new:  # make takes the first that it knows
                yield Place(
                    path, Sign("check edited", f"check {check.name!r} may run this file in place of another", 0)
                )
        for word in dict.fromkeys(words):
            path = normpath(word) if "/" in word or "." in word else word
            if path in by_name:
                yield Place(path, Sign("check edited", f"check {check.name!r} runs this file", 0))
        for path, what in _indirectly(words, by_name):
            yield Place(path, Sign("check edited", f"check {check.name!r} runs {what}", 0))


def loosened(changes: Sequence[Change]) -> Iterator[Place]:
    """Bounds that are lower, and lines that keep a check from failing, in files that say how the work is verified."""
    for delta in weaken.deltas(each for each in changes if is_setup(each.path)):
        for what in weaken.loosened(delta) if delta.old and not delta.path.endswith(".py") else ():
            if not what.startswith("new: "):
                yield Place(delta.path, Sign("threshold lowered", what, 0))
            elif not delta.path.endswith(READ):
                yield Place(delta.path, Sign("check disabled", what, 0))


def prepared(changes: Sequence[Change]) -> Iterator[Place]:
    """Files that set the tests up, or say how they are run."""
    for each in changes:
        if is_setup(each.path) or PREPARES.search(each.path):
            how = "is new" if each.before is None else "is gone" if each.after is None else "was edited"
            yield Place(each.path, Sign("setup edited", f"{basename(each.path)} {how}", 0))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return command.split()


def _indirectly(words: list[str], changed: dict[str, Change]) -> Iterator[tuple[str, str]]:
    for at, word in enumerate(words):
        after = [each for each in words[at + 1 :] if not each.startswith("-")]
        tool = basename(word)
        if tool in MAKES:
            for path in MAKEFILES & set(changed):
                yield from _targets(changed[path], after[:3])
        elif tool in PACKAGERS and "package.json" in changed:
            yield from _scripts(changed["package.json"], [each for each in after[:2] if each != "run"])
        elif tool in RUNNERS:
            yield from ((path, f"the environments of {path}") for path in RUNNERS[tool] & set(changed))


def _targets(change: Change, wanted: list[str]) -> Iterator[tuple[str, str]]:
    """The targets of a make file that differ, of those *wanted* (or the first) and what they need; and what all of them see."""
    before, after = _rules(change.before or ""), _rules(change.after or "")
    waiting = [each for each in wanted if each in before] or [each for each in before if each][:1]
    read = set[str]()
    for _ in range(LEVELS):
        for name in waiting:
            read |= set(variable.findall(" ".join(before.get(name, ("", "")))))
            if before.get(name) != after.get(name):
                yield change.path, f"the target {name!r}"
        waiting = [word for name in waiting for word in before.get(name, ("", ""))[0].split() if word in before]
    was, now = before[""][1].splitlines(), after[""][1].splitlines()
    for line in dict.fromkeys([*(each for each in was if each not in now), *(each for each in now if each not in was)]):
        named = assigned.match(line)
        if OUTSIDE.search(line) or (named and named[1] in read | set(variable.findall("\n".join(was)))):
            yield change.path, f"what stands outside of targets: {line[:80]}"


def _rules(text: str) -> dict[str, tuple[str, str]]:
    """What each target needs, and its recipe; "" holds what stands outside of targets."""
    found: dict[str, tuple[str, str]] = {"": ("", "")}
    names = [""]
    for line in text.splitlines():
        inside = names != [""] and line[:1] in {"\t", " "}
        named = None if inside or special.match(line) else target.match(line)
        if named and named[1].split():
            names = named[1].split()
            for name in names:  # one may stand there more than once: what it needs, what it sets, what it does
                needs, recipe = found.get(name, ("", ""))
                found[name] = f"{needs} {named[2].strip()}".strip(), recipe
        elif line.strip() and not line.lstrip().startswith("#"):
            names = names if inside else [""]
            for name in names:
                found[name] = found[name][0], f"{found[name][1]}\n{line.strip()}"
    return found


def _scripts(change: Change, wanted: list[str]) -> Iterator[tuple[str, str]]:
    before, after = _read(change.before), _read(change.after)
    for name in dict.fromkeys(wanted):
        for each in (name, f"pre{name}", f"post{name}"):
            if before.get(each) != after.get(each):
                yield change.path, f"the script {each!r}"


def _read(text: str | None) -> dict[str, Any]:
    try:
        plain = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    scripts = plain.get("scripts") if isinstance(plain, dict) else None
    return scripts if isinstance(scripts, dict) else {}
