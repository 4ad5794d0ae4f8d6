"""A pack as nobody's snapshot would be: any index, with checksums that are right."""

from __future__ import annotations

import json
import stat
import zlib
from pathlib import Path
from typing import Any

from nightmill.sandbox.disk.scan import MAGIC, TRAILER

FOLDER, FILE, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777


def folder(path: str, **more: Any) -> dict[str, Any]:
    """The entry of a folder."""
    return {"path": path, "mode": FOLDER, "mtime": 0, "xattr": {}} | more


def file(path: str, **more: Any) -> dict[str, Any]:
    """The entry of a file that holds the two bytes at the beginning of the pack."""
    plain = {"path": path, "mode": FILE, "mtime": 0, "xattr": {}, "size": 2, "spans": [[0, 0, 2]]}
    return plain | {"check": zlib.crc32(b"ok")} | more


def forge(packs: Path, name: str, index: Any, *, raw: bytes | None = None) -> None:
    """Write the pack *name* with *index*, or with *raw* as the text of it."""
    packs.mkdir(exist_ok=True)
    plain = json.dumps(index).encode() if raw is None else raw
    (packs / name).write_bytes(b"ok" + plain + TRAILER.pack(2, len(plain), zlib.crc32(plain), MAGIC))


def whole(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An index that stands on nothing."""
    return {"chain": [], "layers": [], "gone": [], "set": [folder(""), *entries]} | more
