"""What the index of a pack may say: nobody who reads one believes anything that is not checked here.

Checksums show damage; they do not show a lie. An index that is not of this shape is refused whole, so that what it says
can neither end a worker nor lead a restore, which may be root's, to anything but files, folders, links and marks of
overlayfs below one folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any, TypeGuard

from nightmill.sandbox.disk.scan import KEPT, SKIPPED

__all__ = ["is_index", "is_name"]

FOREIGN = frozenset({"user.overlay.redirect", "user.overlay.metacopy"})
"""Would have overlayfs look elsewhere. In our mounts the kernel makes none, and an agent's are escaped by it."""

MARKS = {stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK}
LONGEST = 1 << 62


def is_name(value: object) -> bool:
    """Whether *value* can be the name of a pack or of a layer: of something in one folder."""
    return isinstance(value, str) and value != "" and value[0] != "." and not {"/", "\0"} & set(value)


def is_index(index: object, *, data: int) -> bool:
    """Whether *index* has the shape of one, over a pack with *data* bytes before it."""
    if not isinstance(index, dict) or not all(
        isinstance(index.get(key), list) for key in ("chain", "layers", "gone", "set")
    ):
        return False
    if not all(map(is_name, [*index["chain"], *index["layers"]])) or not _are_texts(index["gone"]):
        return False
    if not all(isinstance(entry, dict) and _is_entry(entry, data) for entry in index["set"]):
        return False
    entries = {entry["path"]: entry for entry in index["set"]}
    return _are_texts(entries) and all(_holds(entries.get(entry["link"])) for entry in index["set"] if "link" in entry)


def _is_entry(entry: dict[str, Any], data: int) -> bool:
    mode = entry.get("mode")
    if not _is_whole(mode, 1 << 16) or not isinstance(entry.get("path"), str) or not _is_time(entry.get("mtime")):
        return False
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFREG:
        return isinstance(entry["link"], str) if "link" in entry else _is_content(entry, data)
    if kind == stat.S_IFDIR:
        return _are_attributes(entry.get("xattr"))
    if kind == stat.S_IFLNK:
        return _are_texts([entry.get("target")]) and "\0" not in entry["target"]
    return kind in MARKS


def _is_content(entry: dict[str, Any], data: int) -> bool:
    """Spans are of this pack and within the file; where the data was first kept is a pack and a path."""
    size, spans, of = entry.get("size"), entry.get("spans"), entry.get("of", ["", ""])
    if not _is_whole(size, LONGEST) or not isinstance(spans, list) or not _is_whole(entry.get("check"), 1 << 32):
        return False
    if not isinstance(of, list) or len(of) != 2 or not _are_texts(of):  # a pack and a path
        return False
    return _are_attributes(entry.get("xattr")) and all(_is_span(span, size, data) for span in spans)


def _is_span(span: object, size: int, data: int) -> bool:
    if not isinstance(span, list) or len(span) != 3 or not all(_is_whole(number, LONGEST) for number in span):
        return False
    start, at, length = span
    return bool(start + length <= size and at + length <= data)


def _are_attributes(value: object) -> bool:
    return isinstance(value, dict) and all(_is_attribute(name, text) for name, text in value.items())


def _is_attribute(name: str, text: object) -> bool:
    if not name.startswith(KEPT) or name in SKIPPED | FOREIGN or not _are_texts([name]) or not isinstance(text, str):
        return False
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return "\0" not in name


def _holds(entry: object) -> bool:
    """Whether the entry that another shares its data with has any."""
    return isinstance(entry, dict) and "spans" in entry and "link" not in entry


def _are_texts(values: Iterable[object]) -> bool:
    """Whether all are text that can be bytes of a path."""
    try:
        return all(isinstance(value, str) and os.fsencode(value) is not None for value in values)
    except UnicodeEncodeError:
        return False


def _is_whole(value: object, below: int) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < below


def _is_time(value: object) -> bool:
    return type(value) is int and -LONGEST < value < LONGEST
