"""The programs that a repository asks for, and those that a sandbox on this machine shows, with their versions."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import uv

__all__ = ["KNOWN", "Tool", "Wish", "fits", "found", "known_as", "lacking", "tools", "used"]

KNOWN: dict[str, tuple[str, str]] = {
    "python": ("python3", "--version"),
    "node": ("node", "--version"),
    "npm": ("npm", "--version"),
    "pnpm": ("pnpm", "--version"),
    "yarn": ("yarn", "--version"),
    "corepack": ("corepack", "--version"),
    "go": ("go", "version"),
    "rust": ("rustc", "--version"),
    "cargo": ("cargo", "--version"),
    "uv": ("uv", "--version"),
    "nix": ("nix", "--version"),
    "java": ("java", "--version"),
    "ruby": ("ruby", "--version"),
    "php": ("php", "--version"),
}
"""Each program and how it is asked. A name from a repository is looked up here and never started itself."""

ALIASES = {"python3": "python", "nodejs": "node", "golang": "go", "rustc": "rust", "rust-toolchain": "rust"}

FOLDERS = (Path("/usr/bin"), Path("/bin"))
"""Where the sandbox looks: what an operator has in a home or in /opt is not shown inside."""

SHOWN = ("/usr/", "/bin/", "/lib/", "/lib64/", "/sbin/")
SECONDS = 20.0
LONGEST = 2000
"""Characters of a shell line that are looked at."""
ANY = ("", "*", "latest", "lts", "lts/*", "system", "os-provided", "stable", "none")

version = re.compile(r"\d{1,9}(?:\.\d{1,9}){1,4}")
starts = re.compile(r"(?:^|[;&|(]|\b(?:env|exec|then|do)\s)\s*(?:[A-Za-z_]\w*=\S*\s+)*([a-z][\w+-]{1,40})(?=\s|$)")
bound = re.compile(r"(>=|<=|==|!=|~=|~>|>|<|=|\^|~)?\s*v?(\d{1,9}(?:\.\d{1,9}){0,4})((?:\.[x*])*)$", re.IGNORECASE)

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """That a *file* asks for the program *tool* in a *version*: a number, its beginning, or bounds such as ">=3.9"."""

    tool: str
    version: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program: what is asked for, by file, and the version that a sandbox here has ("": none)."""

    name: str
    wanted: dict[str, str]
    found: str

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each wish that this machine does not fulfil, or that cannot be judged."""
        return tuple(line for file, wish in self.wanted.items() if (line := self._problem(file, wish)))

    def _problem(self, file: str, wish: str) -> str:
        asked = f"{file} asks for {self.name}" + (f" {wish}" if wish not in ANY else "")
        if self.name not in KNOWN:
            return f"{asked}, of which nightmill knows nothing: it is there if /usr has it"
        if not self.found:
            return f"{asked}, which this machine does not have where a sandbox sees it (/usr): install it there"
        fit = fits(self.found, wish)
        if fit is None:
            return f"{asked}, which cannot be compared with {self.found}, the one here"
        return "" if fit else f"{asked}, and this machine has {self.found}: that is what runs"


def used(lines: Iterable[str], *, file: str) -> tuple[Wish, ...]:
    """The known programs that the shell *lines* of *file* begin a command with, in any version."""
    words = {word for line in lines for word in starts.findall(line[:LONGEST])}
    return tuple(Wish(tool=name, version="", file=file) for name, (program, _) in KNOWN.items() if program in words)


def tools(wishes: Iterable[Wish]) -> tuple[Tool, ...]:
    """The programs of *wishes* as this machine has them, by name."""
    wanted: dict[str, dict[str, str]] = {}
    for wish in wishes:
        wanted.setdefault(wish.tool, {})[wish.file] = wish.version
    return tuple(Tool(name=name, wanted=wanted[name], found=found(name)) for name in sorted(wanted))


def lacking(wishes: Iterable[Wish]) -> tuple[str, ...]:
    """A sentence for each of *wishes* that this machine does not fulfil."""
    return tuple(line for tool in tools(wishes) for line in tool.problems)


def known_as(name: str) -> str:
    """Our name of the program that others call *name*."""
    name = name.lower().removeprefix("core:")
    return ALIASES.get(name, name)


def found(name: str) -> str:
    """The version of the program *name* that a sandbox here shows; "" if there is none, or none that is known."""
    if name == "uv":
        path = Path(uv.find_uv_bin())
    elif name in KNOWN:
        path = next((folder / KNOWN[name][0] for folder in FOLDERS if (folder / KNOWN[name][0]).exists()), Path())
    else:
        return ""
    real = path.resolve()
    if not real.is_file() or (name != "uv" and not str(real).startswith(SHOWN)):
        return ""
    status = real.stat()
    return _asked(name, str(path), (status.st_ino, status.st_size, status.st_mtime_ns))


def fits(have: str, wanted: str) -> bool | None:
    """Whether the version *have* is one that *wanted* allows; None: it is written in a way that is not known."""
    if wanted.strip().lower() in ANY:
        return True
    numbers = _numbers(have)
    answers = [_all(numbers, each) for each in wanted.split("||")]
    return True if True in answers else None if None in answers else False


@lru_cache(maxsize=64)
def _asked(name: str, path: str, _identity: tuple[int, ...]) -> str:
    """What the program at *path* says, asked once as long as it stays the same file."""
    try:
        done = subprocess.run(
            [path, KNOWN[name][1]],
            cwd="/",
            env={"PATH": os.pathsep.join(map(str, FOLDERS)), "LC_ALL": "C", "HOME": "/nonexistent"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = version.search(done.stdout[:4000].decode("utf-8", "replace"))
    return said[0] if said and not done.returncode else ""


def _numbers(text: str) -> Numbers:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", text)[:5])


def _all(have: Numbers, wanted: str) -> bool | None:
    """Whether *have* keeps every bound of *wanted*, which are parted by commas or spaces."""
    between = re.fullmatch(r"\s*v?([\d.]{1,60})\s+-\s+v?([\d.]{1,60})\s*", wanted)
    text = f">={between[1]},<={between[2]}" if between else re.sub(r"([<>=~^!])\s+", r"\1", wanted[:200])
    answers = [_one(have, each) for each in re.split(r"[,\s]+", text.strip()) if each]
    return False if False in answers else None if None in answers or not answers else True


def _one(have: Numbers, wanted: str) -> bool | None:
    if wanted in ANY or wanted.lower() == "x":
        return True
    read = bound.match(wanted)
    if not read:
        return None
    operator, numbers = read[1] or "", _numbers(read[2])
    width = max(len(have), len(numbers))
    left, right = _padded(have, width), _padded(numbers, width)
    same = have[: len(numbers)] == numbers
    answers = {
        "": same,
        "=": same,
        "==": same if read[3] else left == right,
        "!=": not same,
        ">=": left >= right,
        "<=": left <= right or same,
        ">": left > right,
        "<": left < right,
        "^": left >= right and have[: _kept(numbers)] == numbers[: _kept(numbers)],
        "~": left >= right and have[: min(2, len(numbers))] == numbers[:2],
        "~=": left >= right and have[: len(numbers) - 1] == numbers[:-1],
        "~>": left >= right and have[: len(numbers) - 1] == numbers[:-1],
    }
    return answers[operator]


def _padded(numbers: Numbers, width: int) -> Numbers:
    return numbers + (0,) * (width - len(numbers))


def _kept(numbers: Numbers) -> int:
    """How many leading numbers a caret holds fast: up to the first that is not zero."""
    return next((at for at, number in enumerate(numbers, start=1) if number), len(numbers))
