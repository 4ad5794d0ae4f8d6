"""Whether an edit broke the file: its parser is asked, and only what was not wrong before is told.

Data files are parsed here, by parsers that run nothing, up to a size that takes milliseconds. Programs are parsed in the
sandbox, where a hostile file can do no more than a command could, and only by what is installed there.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from posixpath import basename, splitext

import yaml

from nightmill.errors import ToolError
from nightmill.sandbox import Command
from nightmill.tool.base import ToolContext, one_line

__all__ = ["broken"]

MOST_HERE = 128 << 10
MOST_THERE = 2 << 20
DEEPEST, MOST_DOTS = 100, 200
"""Brackets in brackets, and dots of a line: the parsers of YAML and TOML take minutes for thousands."""
SECONDS = 5.0
PYTHON = """import sys
try:
    compile(open(sys.argv[1], "rb").read(), sys.argv[1], "exec", dont_inherit=True)
except SyntaxError as error:
    sys.exit("%s:%s: %s" % (sys.argv[1], error.lineno, error.msg))
except (ValueError, MemoryError, RecursionError):
    pass
"""
THERE = {
    ".py": ("python3", "-I", "-W", "ignore", "-c", PYTHON),
    ".pyi": ("python3", "-I", "-W", "ignore", "-c", PYTHON),
    ".js": ("node", "--check"),
    ".mjs": ("node", "--check"),
    ".cjs": ("node", "--check"),
    ".sh": ("bash", "-n"),
    ".bash": ("bash", "-n"),
    ".rb": ("ruby", "-c"),
    ".php": ("php", "-l"),
    ".go": ("gofmt", "-e", "-l"),
}
IF_THERE = 'command -v "$1" > /dev/null || exit 0; "$@" > /dev/null'
BRACKET = re.compile(rb"[\[\]{}]")
LINE = re.compile(r"(?:line |:)(\d+)")


async def broken(path: str, before: bytes, after: bytes, context: ToolContext) -> str:
    """What is wrong with *after*, which the absolute *path* holds by now, and was not with *before*; one line, or ""."""
    ending = splitext(path)[1].lower()
    if ending in HERE and len(after) <= MOST_HERE:
        wrong = HERE[ending](after)
        was = HERE[ending](before) if wrong and len(before) <= MOST_HERE else ""
        return "" if was else _told(path, wrong)
    if ending not in THERE or len(after) > MOST_THERE:
        return ""
    wrong = await _there(ending, path, context)
    if not wrong:
        return ""
    copy = f"/tmp/.nightmill-before{ending}"  # noqa: S108 - the sandbox's own, which nobody else sees
    try:
        await context.workspace.write(copy, before)
    except ToolError:  # no space for it: what was before is not known
        return ""
    return "" if await _there(ending, copy, context) else _told(path, wrong)


def _told(path: str, wrong: str) -> str:
    return f"{basename(path)} cannot be parsed any more: {one_line(wrong)}" if wrong else ""


async def _there(ending: str, path: str, context: ToolContext) -> str:
    argv = ("sh", "-c", IF_THERE, "sh", *THERE[ending], path)
    seconds = min(SECONDS, context.limits.seconds)
    outcome = await context.workspace.run(Command(argv=argv, limits=replace(context.limits, seconds=seconds)))
    if outcome.stopped or outcome.exit <= 0:
        return ""
    text = outcome.text.replace(path, "")
    line = LINE.search(text)
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    said = next((each for each in lines if "rror" in each), lines[0] if lines else "")
    said = re.sub(r"^:?(?:\s*line )?[\d:]*\s*", "", said)
    return f"line {line[1]}: {said}" if line else ""


def _json(body: bytes) -> str:
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError):
        return ""
    return ""


def _toml(body: bytes) -> str:
    if max(line.count(b".") for line in body.split(b"\n")) > MOST_DOTS:
        return ""
    try:
        tomllib.loads(body.decode())
    except tomllib.TOMLDecodeError as error:
        return str(error)
    except (ValueError, RecursionError):
        return ""
    return ""


def _yaml(body: bytes) -> str:
    """Only its events: no alias is followed, no tag is built."""
    depths = accumulate((1 if sign in b"[{" else -1 for sign in BRACKET.findall(body)), initial=0)
    if max(depths) > DEEPEST:
        return ""
    try:
        for _ in yaml.parse(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return f"{line}{error.problem}"
    except (yaml.YAMLError, ValueError, RecursionError):
        return ""
    return ""


HERE: dict[str, Callable[[bytes], str]] = {".json": _json, ".toml": _toml, ".yaml": _yaml, ".yml": _yaml}
