"""Who owns what a sandbox writes. Root gives its sandboxes to a user who is nobody else; anyone else keeps them.

Inside, the user has the same number as outside: git compares owners, and overlayfs copies up only what belongs to
whoever asks. So the upper, what is restored into it and the layers below it all belong to that one user. It is one
for the whole machine, because a layer is shared by all who stand on it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["SANDBOX_USER", "Owner", "give", "owner"]

SANDBOX_USER = 65525
"""Of the last 16-bit numbers, which neither Debian nor systemd gives to anyone and rootless containers map too."""


class Owner(NamedTuple):
    """A user and its group, by number."""

    user: int
    group: int


def owner(user: int = SANDBOX_USER) -> Owner | None:
    """Whom the files of sandboxes are given to: *user* if this process is root's, None if they are its own already."""
    return None if os.geteuid() else Owner(user, user)


def give(path: Path, to: Owner | None) -> None:
    """Make *path* and all below it *to*'s; None: they are already. Links are given, not followed."""
    if to is None:
        return
    os.lchown(path, *to)
    if path.is_dir() and not path.is_symlink():
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.lchown(os.path.join(folder, name), *to)
