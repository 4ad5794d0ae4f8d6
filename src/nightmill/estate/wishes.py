"""Which versions of which programs a repository asks for: read from the files of version managers and manifests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from nightmill.estate.found import Ignored
from nightmill.estate.tools import Wish, known_as
from nightmill.estate.tracked import Tracked, section

__all__ = ["FILES", "MISE", "ignored", "variables", "wishes"]

MISE = (
    "mise.toml",
    ".mise.toml",
    "mise/config.toml",
    ".mise/config.toml",
    ".config/mise.toml",
    ".config/mise/config.toml",
)
SINGLE = {
    ".python-version": "python",
    ".nvmrc": "node",
    ".node-version": "node",
    ".go-version": "go",
    ".ruby-version": "ruby",
    ".java-version": "java",
    "rust-toolchain": "rust",
}
FILES = (*MISE, ".tool-versions", *SINGLE, "rust-toolchain.toml")
"""Files that only say which versions are wanted."""

FETCHED = ("pnpm@", "yarn@")
"""Package managers that corepack fetches in the very version that package.json names."""

MOST = 40
"""Programs of one file that are looked at."""
LONGEST = 60

name_of = re.compile(r"[\w:@/.+-]{1,60}")
variable = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")

Found = Iterator[tuple[str, str]]


def wishes(tracked: Tracked) -> tuple[Wish, ...]:
    """Every wish, each with its file, in the order of how directly a person wrote it."""
    made: dict[tuple[str, str], Wish] = {}
    for file, read in READERS.items():
        for tool, version in read(tracked, file) if file in tracked else ():
            name, wanted = known_as(tool), " ".join(version.split())[:LONGEST]
            if name_of.fullmatch(name) and wanted.isprintable():
                made.setdefault((name, file), Wish(tool=name, version=wanted, file=file))
    return tuple(made.values())


def variables(tracked: Tracked) -> dict[str, str]:
    """Plain variables under `env` of mise's files."""
    found: dict[str, str] = {}
    for file in MISE:
        for name, value in section(tracked.toml(file), "env").items():
            if _plain(name, value):
                found.setdefault(name, str(value))
    return found


def ignored(tracked: Tracked) -> tuple[Ignored, ...]:
    """What version managers' files say beyond versions and plain variables."""
    found: list[Ignored] = []
    for file in MISE:
        held = tracked.toml(file)
        for name, value in section(held, "env").items():
            if not _plain(name, value):
                why = "only plain text is taken over: nothing is loaded, templated or removed"
                found.append(Ignored(file=file, what=f"env.{str(name)[:LONGEST]}", why=why))
        for name in ("tasks", "hooks", "settings", "plugins", "watch_files"):
            if name in held:
                why = "it says what a person's shell does, and nothing of it runs"
                found.append(Ignored(file=file, what=name, why=why))
    return tuple(found)


def _plain(name: str, value: Any) -> bool:
    shaped = isinstance(value, str | int) and not isinstance(value, bool) and variable.fullmatch(name) is not None
    return shaped and name != "_" and "{{" not in str(value) and str(value).isprintable()


def _mise(tracked: Tracked, file: str) -> Found:
    for name, value in list(section(tracked.toml(file), "tools").items())[:MOST]:
        first = value[0] if isinstance(value, list) and value else value
        wanted = first.get("version", "") if isinstance(first, dict) else first
        if isinstance(wanted, str | int | float):
            yield name, str(wanted)


def _asdf(tracked: Tracked, file: str) -> Found:
    for line in tracked.text(file).splitlines()[: 10 * MOST]:
        words = line.partition("#")[0].split()
        if len(words) > 1:
            yield words[0], words[1]


def _single(tracked: Tracked, file: str) -> Found:
    words = tracked.text(file).split()
    if words and not words[0].startswith("["):
        yield SINGLE[file], words[0].removeprefix("v")


def _toolchain(tracked: Tracked, file: str) -> Found:
    channel = section(tracked.toml(file), "toolchain").get("channel")
    if isinstance(channel, str):
        yield "rust", channel


def _pyproject(tracked: Tracked, file: str) -> Found:
    wanted = section(tracked.toml(file), "project").get("requires-python")
    if isinstance(wanted, str):
        yield "python", wanted


def _package(tracked: Tracked, file: str) -> Found:
    held = tracked.json(file)
    for name, wanted in list(section(held, "engines").items())[:MOST]:
        if isinstance(wanted, str):
            yield name, wanted
    manager = held.get("packageManager") if isinstance(held, dict) else None
    if isinstance(manager, str) and manager.startswith(FETCHED):
        yield "corepack", ""


def _go(tracked: Tracked, file: str) -> Found:
    if wanted := re.search(r"^go (\d[\d.]*)", tracked.text(file), re.MULTILINE):
        yield "go", f">={wanted[1]}"


def _cargo(tracked: Tracked, file: str) -> Found:
    wanted = section(tracked.toml(file), "package").get("rust-version")
    if isinstance(wanted, str):
        yield "rust", f">={wanted}"


READERS: dict[str, Callable[[Tracked, str], Found]] = {
    **dict.fromkeys(MISE, _mise),
    ".tool-versions": _asdf,
    **dict.fromkeys(SINGLE, _single),
    "rust-toolchain.toml": _toolchain,
    "pyproject.toml": _pyproject,
    "package.json": _package,
    "go.mod": _go,
    "Cargo.toml": _cargo,
}
