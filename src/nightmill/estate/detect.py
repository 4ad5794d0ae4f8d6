"""Find out what a repository is made of from the names and the text of its tracked files; nothing is run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from nightmill.estate import devcontainer, flake, needs, others, python, wishes
from nightmill.estate.found import Detected, Finding, Ignored
from nightmill.estate.tools import lacking, used
from nightmill.estate.tracked import Tracked, in_checkout
from nightmill.review import Check

__all__ = ["detect"]

NAME = "nightmill.yaml"

INSTRUCTIONS = (
    "AGENTS.override.md",
    "AGENTS.md",
    "CLAUDE.md",
    "GEMINI.md",
    ".github/copilot-instructions.md",
    ".cursorrules",
    ".windsurfrules",
    "CONTRIBUTING.md",
    "CONTRIBUTING.rst",
    ".github/CONTRIBUTING.md",
    "docs/CONTRIBUTING.md",
)
target = re.compile(r"^(test|tests|check)\s*:(?!=)", re.MULTILINE)


def detect(root: Path, files: list[str]) -> Detected:
    """What the checkout *root* with the tracked *files* is, how it is installed and how it is tested."""
    tracked = in_checkout(root, files)
    found = next(
        (each for look in (python.find, *others.FINDERS, python.tested) if (each := look(tracked))), Detected()
    )
    for add in (_wishes, _devcontainer, _fallback, flake.add, needs.add, _instructions):
        found = add(found, tracked)
    found = replace(found, advice=(*found.advice, *lacking((*found.wishes, *used(found.install, file=NAME)))))
    return found if found.checks else _unknown(found)


def _wishes(found: Detected, tracked: Tracked) -> Detected:
    """What the files of version managers say."""
    wanted = wishes.wishes(tracked)
    findings = [
        Finding(what="version", value=f"{wish.tool} {wish.version}".strip(), because=wish.file) for wish in wanted
    ]
    env = wishes.variables(tracked)
    findings += [Finding(what="variable", value=name, because="`env` of mise's file") for name in env]
    return replace(
        found,
        wishes=(*found.wishes, *wanted),
        env=env | found.env,
        findings=(*found.findings, *findings),
        ignored=(*found.ignored, *wishes.ignored(tracked)),
    )


def _devcontainer(found: Detected, tracked: Tracked) -> Detected:
    """What a devcontainer asks for. Its commands count where no manifest says how to install."""
    read = devcontainer.read(tracked)
    if read is None:
        return found
    file = read.file
    findings = [
        Finding(what="version", value=f"{wish.tool} {wish.version}".strip(), because=file) for wish in read.wishes
    ]
    findings += [Finding(what="variable", value=name, because=f"`containerEnv` in {file}") for name in read.env]
    used = () if found.install else tuple(line for _, line in read.install)
    if used:
        findings += [Finding(what="install", value=line, because=f"`{key}` in {file}") for key, line in read.install]
    why = "the manifests say how to install; if it does more, add it to `install`"
    left = () if used else tuple(Ignored(file=file, what=f"{key}: {line}", why=why) for key, line in read.install)
    return replace(
        found,
        install=found.install or used,
        env=read.env | found.env,
        wishes=(*found.wishes, *read.wishes),
        findings=(*found.findings, *findings),
        ignored=(*found.ignored, *read.ignored, *left),
    )


def _fallback(found: Detected, tracked: Tracked) -> Detected:
    """A Makefile's own word for testing, where nothing better is known."""
    if found.checks:
        return found
    name = tracked.first("Makefile", "makefile", "GNUmakefile")
    named = target.search(tracked.lines(name)) if name else None
    if not named:
        return found
    check = Check(name="tests", command=f"make {named[1]}")
    finding = Finding(what="tests", value=check.command, because=f"target {named[1]!r} in {name}")
    return replace(found, checks=(check,), findings=(*found.findings, finding))


def _instructions(found: Detected, tracked: Tracked) -> Detected:
    names = tuple(name for name in INSTRUCTIONS if tracked.text(name).strip())
    findings = [Finding(what="instructions", value=name, because="it is tracked") for name in names]
    return replace(found, instructions=names, findings=(*found.findings, *findings))


def _unknown(found: Detected) -> Detected:
    advice = "no tests were found: write under `checks` how it is tested; without one nothing can be proven, and no change passes"
    return replace(found, advice=(*found.advice, advice))
