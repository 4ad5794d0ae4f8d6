"""Whole outputs, of which a model was shown the ends: kept under a short reference, to be read by range."""

from __future__ import annotations

import contextlib
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from nightmill.errors import ToolError

__all__ = ["FolderOutputs", "MemoryOutputs", "Outputs", "ends", "reference", "shown"]

LARGEST = 64 << 20
"""Characters kept of one output; the middle of a larger one is lost."""
REFERENCE = re.compile(r"out-[0-9a-f]{10}")
NAMED = re.compile(r'; read_output has the whole: reference "(out-[0-9a-f]{10})" …\]\n')


class Outputs(Protocol):
    """What was too long to show. The same text has the same reference, however often it is put."""

    def put(self, text: str) -> str:
        """Keep *text* and return its reference, "" if it cannot be kept."""
        ...

    def get(self, reference: str) -> str:
        """The text under *reference*.

        Raises:
            ToolError: If there is none, or none any more.
        """
        ...


class Ends(NamedTuple):
    """The two ends of a text, in whole lines where it can be."""

    head: str
    tail: str


def ends(text: str, *, most: int) -> Ends:
    """What is shown of *text* in at most *most* characters: more of its end, where errors are."""
    head, tail = text[: most * 2 // 5], text[-most * 3 // 5 :]
    return Ends(head[: head.rfind("\n") + 1] or head, tail[tail.find("\n") + 1 :] or tail)


def shown(text: str, outputs: Outputs, *, most: int) -> str:
    """*text*, its middle left out if it is longer than *most* characters, with the reference to the whole."""
    if len(text) <= most:
        return text
    head, tail = ends(text, most=most)
    middle = text[len(head) : len(text) - len(tail)]
    first, last = head.count("\n") + 1, head.count("\n") + middle.count("\n") + (not middle.endswith("\n"))
    lines = f"line {first:,}" if first >= last else f"lines {first:,} to {last:,}"
    name = outputs.put(text)
    where = f'; read_output has the whole: reference "{name}"' if name else ""
    return f"{head}[… {lines} left out, {len(middle):,} characters{where} …]\n{tail}"


def reference(text: str, outputs: Outputs) -> str:
    """The reference to the whole of which *text* is shown: the one that it names, or a new one."""
    named = NAMED.search(text)
    return named[1] if named else outputs.put(text)


class MemoryOutputs:
    """Kept while this object lives; the oldest go when all together have more than *most* characters."""

    def __init__(self, *, most: int = LARGEST) -> None:
        self._most = most
        self._texts: dict[str, str] = {}

    def put(self, text: str) -> str:
        text = _bounded(text, self._most)
        name = _reference(text)
        self._texts.pop(name, None)
        while self._texts and len(text) + sum(map(len, self._texts.values())) > self._most:
            del self._texts[next(iter(self._texts))]
        self._texts[name] = text
        return name

    def get(self, reference: str) -> str:
        try:
            return self._texts[reference]
        except KeyError:
            raise _gone(reference) from None


class FolderOutputs:
    """Files in *folder*, which is made when it is needed; the oldest go when all together have more than *most* bytes."""

    def __init__(self, folder: Path, *, most: int = 4 * LARGEST) -> None:
        self._folder = folder
        self._most = most
        self._held: int | None = None

    def put(self, text: str) -> str:
        text = _bounded(text, LARGEST)
        name = _reference(text)
        path = self._folder / name
        with contextlib.suppress(OSError):
            os.utime(path)  # it is new again
            return name
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            size = unfinished.write_bytes(_bytes(text))
            unfinished.replace(path)
            self._held = None if self._held is None else self._held + size
            if self._held is None or self._held > self._most:
                self._make_room(path)
        except OSError:
            # What cannot be kept can be had again by running the command again: no run stops for it.
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return ""
        return name if path.exists() else ""

    def get(self, reference: str) -> str:
        if not REFERENCE.fullmatch(reference):
            raise _gone(reference)
        try:
            return (self._folder / reference).read_bytes().decode("utf-8", "surrogatepass")
        except (OSError, ValueError):
            raise _gone(reference) from None

    def _make_room(self, newest: Path) -> None:
        files = [(path.stat(), path) for path in self._folder.iterdir()]
        files.sort(key=lambda each: (each[1] == newest, each[0].st_mtime_ns))
        self._held = sum(stat.st_size for stat, _ in files)
        for stat, path in files:
            if self._held <= self._most:
                break
            path.unlink(missing_ok=True)
            self._held -= stat.st_size


def _bounded(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters were not kept …]\n{text[-half:]}"


def _reference(text: str) -> str:
    return f"out-{sha256(_bytes(text)).hexdigest()[:10]}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _gone(reference: str) -> ToolError:
    return ToolError(f"there is no output {reference[:60]!r} (any more): run the command again")
