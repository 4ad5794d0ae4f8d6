"""Which paths a pattern means."""

from __future__ import annotations

from fnmatch import fnmatchcase

__all__ = ["covers"]


def covers(pattern: str, path: str) -> bool:
    """Whether *pattern* means *path*: by name, as a folder above it, or because *path* takes that folder's place.

    `*` goes across folders, and `**/` may stand for none: a pattern means rather too much than too little.
    """
    bare = pattern.strip("/")
    within = fnmatchcase(path, bare) or path.startswith(f"{bare}/") or bare.startswith(f"{path}/")
    return within or (bare.startswith("**/") and covers(bare[3:], path))
