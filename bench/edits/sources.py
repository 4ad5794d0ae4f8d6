"""Real changes: the files that differ between two releases of a package, and between two commits of this repository."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

__all__ = ["Hunk", "Pair", "fetch", "pairs"]

LIST = Path(__file__).with_name("packages.txt")
CHECKOUT = LIST.parent.parent.parent
ENDINGS = frozenset("py pyi js mjs cjs ts mts tsx css scss html md rst txt json yml yaml toml c h sh".split())
MOST_LINES = 60_000
MOST_WIDE = 4000
"""Minified files have longer lines; nobody edits them."""
MOST_CHANGED = 40
UNTIL = "d257497"
"""The newest commit of this repository that is looked at, so that the cases stay the same."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines *start* to *end* of the file before become *put*."""

    start: int
    end: int
    put: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One file before, in lines without their ends, and what was changed in it."""

    name: str
    lines: tuple[str, ...]
    hunks: tuple[Hunk, ...]

    @property
    def language(self) -> str:
        """The ending of its name."""
        return self.name.rsplit(".", 1)[-1]


def fetch(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Download what is listed into *folder* where it is not yet: (package, older archive, newer archive).

    Raises:
        ValueError: If an archive is not the one that is listed.
    """
    rows = [line.split() for line in LIST.read_text().splitlines() if not line.startswith("#")]
    with ThreadPoolExecutor(4) as pool:
        archives = list(pool.map(lambda row: _archive(folder, *row), rows))
    for (old, before), (new, after) in pairwise(zip(rows, archives, strict=True)):
        if old[1].rsplit("==")[0] == new[1].rsplit("==")[0]:
            yield f"{old[1]}→{new[1].rsplit('==')[1]}", before, after


def _archive(folder: Path, manager: str, pin: str, digest: str) -> Path:
    place = folder / digest
    if not place.is_dir():
        made = folder / f"{digest}.new"
        made.mkdir(parents=True, exist_ok=True)
        if manager == "pip":  # a wheel runs nothing when it is fetched, a source archive would be built
            (made / "pin").write_text(f"{pin} --hash=sha256:{digest}\n")
            words = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:"]
            words += ["--require-hashes", "--dest", str(made), "--requirement", str(made / "pin")]
        else:
            words = ["npm", "pack", "--silent", "--pack-destination", str(made), pin.replace("==", "@")]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=300)
        (made / "pin").unlink(missing_ok=True)
        made.rename(place)
    (found,) = place.iterdir()
    if sha256(found.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{found} is not what {LIST.name} lists: {pin}")
    return found


def pairs(folder: Path) -> Iterator[Pair]:
    """Every file that changed, of all packages and of this repository's own history."""
    for name, before, after in fetch(folder):
        old, new = dict(_members(before)), dict(_members(after))
        for path in sorted(old.keys() & new.keys()):
            yield from _pair(f"{name}/{path}", old[path], new[path], folder)
    yield from _history(folder)


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as packed:
            for each in packed.infolist():
                if _wanted(each.filename, each.file_size):
                    yield each.filename, packed.read(each)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            body = tar.extractfile(member) if member.isfile() and _wanted(member.name, member.size) else None
            if body:
                yield member.name, body.read()


def _wanted(name: str, size: int) -> bool:
    return name.rsplit(".", 1)[-1] in ENDINGS and ".min." not in name and ".dist-info/" not in name and size < 4 << 20


def _pair(name: str, before: bytes, after: bytes, folder: Path) -> Iterator[Pair]:
    if before == after:
        return
    try:
        old, new = before.decode(), after.decode()
    except UnicodeDecodeError:
        return
    if "\r" in old + new or not old.endswith("\n") or not new.endswith("\n"):
        return  # line ends are a mutation of their own
    lines, later = old[:-1].split("\n"), new[:-1].split("\n")
    if len(lines) > MOST_LINES or max(map(len, lines)) > MOST_WIDE:
        return
    hunks = tuple(_hunks(before, after, later, folder))
    if hunks:
        yield Pair(name, tuple(lines), hunks)


def _hunks(before: bytes, after: bytes, later: list[str], folder: Path) -> Iterator[Hunk]:
    left, right = folder / "before", folder / "after"
    left.write_bytes(before)
    right.write_bytes(after)
    words = ["git", "diff", "--no-index", "--histogram", "--unified=0", "--no-color", "--no-ext-diff"]
    diff = subprocess.run([*words, str(left), str(right)], check=False, stdout=subprocess.PIPE).stdout
    for line in diff.split(b"\n"):
        if line.startswith(b"@@ -"):
            start, end, first, last = (edge for part in line.split()[1:3] for edge in _span(part.decode()))
            if end - start + last - first <= MOST_CHANGED:
                yield Hunk(start, end, tuple(later[first:last]))


def _span(part: str) -> tuple[int, int]:
    """The half-open range of lines of one side of a hunk's head, such as -12,3."""
    at, _, count = part[1:].partition(",")
    size = int(count or 1)
    start = int(at) - (size > 0)
    return start, start + size


def _history(folder: Path) -> Iterator[Pair]:
    """The commits of this checkout, as many as there are: a shallow one has fewer."""
    log = _git("log", "--no-merges", "--reverse", "--format=%H", "--max-count=300", UNTIL).split()
    for older, newer in pairwise(log):
        for row in _git("diff", "--name-status", "--no-renames", "--diff-filter=M", older, newer).splitlines():
            path = row.split("\t", 1)[1]
            if _wanted(path, 0) and not path.startswith(("requirements/", "bench/edits.json")):
                before, after = (_git("show", f"{each}:{path}").encode() for each in (older, newer))
                yield from _pair(f"nightmill@{newer[:9]}/{path}", before, after, folder)


def _git(*words: str) -> str:
    found = subprocess.run(["git", "-C", str(CHECKOUT), *words], check=False, stdout=subprocess.PIPE)
    return found.stdout.decode("utf-8", "surrogateescape")
