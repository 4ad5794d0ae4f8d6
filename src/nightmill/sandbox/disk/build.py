"""Make an upper be what a snapshot recorded: written anew beside the old one, or only where the two differ."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Any

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.chain import Body, copy, loaded
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.disk.scan import KEPT, SKIPPED, Seen
from nightmill.sandbox.owner import Owner

__all__ = ["alter", "build", "restore", "unwritten"]

OPAQUE = "user.overlay.opaque"


def restore(directory: Path, chain: list[str], owner: Owner | None) -> None:
    """Make the upper of *directory* what *chain* recorded, *owner*'s; the old upper goes only after the new one is whole.

    Raises:
        SandboxError: If a pack is missing or damaged, or the disk is full; the old upper is then untouched.
    """
    fresh, upper, old = directory / "upper.new", directory / "upper", directory / "upper.old"
    remove(fresh)
    try:
        with loaded(directory / "packs", chain) as final:
            build(final, str(fresh), owner)
        remove(old)
        if upper.exists():
            upper.rename(old)
        fresh.rename(upper)
        remove(old)
    except OSError as error:
        remove(fresh)
        raise unwritten(error) from error
    except BaseException:
        remove(fresh)
        raise


def build(final: dict[str, Body], top: str, owner: Owner | None) -> None:
    """Make the new folder *top* what *final* says, and *owner*'s.

    Raises:
        OSError: If it cannot be written.
        SandboxError: If contents are damaged.
    """
    _settle(top, final, _create(top, final, sorted(final), owner))


def alter(
    directory: Path, *, now: Seen, dirty: set[str], chains: tuple[list[str], list[str]], owner: Owner | None
) -> Path:
    """Make the upper of *directory*, which nothing uses, what the second of *chains* recorded, by what differs.

    The upper holds *now*, which but for *dirty* is what the first of *chains* recorded. What has to go is moved to the
    folder that this gives, for the caller to delete in time. Cut off in the middle, the upper has to be restored.

    Raises:
        SandboxError: If a pack is missing or damaged, or the disk is full.
    """
    top, packs = str(directory / "upper"), directory / "packs"
    gone = directory / f"gone-{secrets.token_hex(4)}"
    try:
        with loaded(packs, chains[0]) as at, loaded(packs, chains[1]) as target:
            kept = _kept(now, dirty, at, target)
            folders = {path for path in target if _both_folders(path, now, target)}
            moved = _clear(top, gone, now, kept | folders)
            added = [path for path in sorted(target) if path not in kept and path not in folders]
            moved |= {_folder(path) for path in added}
            fresh = _create(top, target, added, owner)
            _settle(top, target, fresh + sorted(path for path in folders if path in moved or path not in kept))
    except OSError as error:
        raise unwritten(error) from error
    return gone


def unwritten(error: OSError) -> SandboxError:
    """*error* as what it means: the disk."""
    hint = "free space on the disk that holds nightmill's home"
    return SandboxError(f"a snapshot could not be kept whole: {error.strerror or error}", hint=hint)


def _kept(now: Seen, dirty: set[str], at: dict[str, Body], target: dict[str, Body]) -> set[str]:
    """Paths that are already what *target* says: not touched since *at*, and the same thing in both.

    Of the names of one inode all are kept or none, or a hard link would come back as a copy.
    """
    kept = {path for path in target if path in now.facts and path not in dirty and _same(at.get(path), target[path])}
    while True:
        files = [path for path in now.facts if stat.S_ISREG(now.facts[path][0])]
        lost = {now.facts[path][1] for path in files if path not in kept}
        torn = {body.origin for path, body in target.items() if _is_file(body) and path not in kept}
        odd = {path for path in files if path in kept and (now.facts[path][1] in lost or target[path].origin in torn)}
        if not odd:
            return kept
        kept -= odd


def _same(one: Body | None, other: Body) -> bool:
    return one is not None and one.own == other.own and (not _is_file(other) or one.origin == other.origin)


def _is_file(body: Body) -> bool:
    return stat.S_ISREG(body.entry["mode"])


def _both_folders(path: str, now: Seen, target: dict[str, Body]) -> bool:
    there = now.facts.get(path)
    return there is not None and stat.S_ISDIR(there[0]) and stat.S_ISDIR(target[path].entry["mode"])


def _clear(top: str, gone: Path, now: Seen, stay: set[str]) -> set[str]:
    """Move away what does not stay, and make every folder that does one that can be written; gives changed folders."""
    gone.mkdir(mode=0o700)
    moved: set[str] = set()
    away: set[str] = set()
    for path in sorted(now.facts, key=lambda each: each.count("/")):  # a folder before what is in it
        folder, mode = _folder(path), now.facts[path][0]
        if folder in away:
            away.add(path)
        elif path not in stay:
            if stat.S_ISDIR(mode):
                os.chmod(f"{top}/{path}", 0o700)
                os.rename(f"{top}/{path}", gone / str(len(away)))
            else:
                os.unlink(f"{top}/{path}")
            away.add(path)
            moved.add(folder)
        elif stat.S_ISDIR(mode) and mode & 0o700 != 0o700:  # its owner's bits
            os.chmod(f"{top}/{path}", 0o700)
            moved.add(path)
    return moved


def _create(top: str, final: dict[str, Body], paths: list[str], owner: Owner | None) -> list[str]:
    """Make *paths*, which are sorted and not there; gives the folders among them, which are still to be settled."""
    folders: list[str] = []
    first: dict[tuple[int, str], str] = {}
    for inner in paths:
        body = final[inner]
        path, mode, group = f"{top}/{inner}", body.entry["mode"], (body.fd, body.group)
        if stat.S_ISDIR(mode):
            os.mkdir(path, 0o700)
            _own(path, owner)
            folders.append(inner)
        elif stat.S_ISREG(mode) and group in first:
            os.link(first[group], path)
        elif stat.S_ISREG(mode):
            first[group] = path
            _fill(path, body, owner)
        else:
            _make_special(path, body.entry, owner)
    return folders


def _settle(top: str, final: dict[str, Body], folders: list[str]) -> None:
    """Attributes, times and modes of *folders*: last, and children first, because writing inside moves them."""
    for inner in sorted(folders, reverse=True):
        entry, path = final[inner].entry, f"{top}/{inner}"
        for name in os.listxattr(path):
            if name.startswith(KEPT) and name not in SKIPPED and name not in entry["xattr"]:
                os.removexattr(path, name)
        _set_attributes(path, entry["xattr"])
        os.utime(path, ns=(entry["mtime"], entry["mtime"]))
        os.chmod(path, stat.S_IMODE(entry["mode"]))


def _make_special(path: str, entry: dict[str, Any], owner: Owner | None) -> None:
    """A link, or a whiteout (device 0:0), fifo or socket: none needs a privilege."""
    mode, times = entry["mode"], (entry["mtime"], entry["mtime"])
    if stat.S_ISLNK(mode):
        os.symlink(entry["target"], path)
        _own(path, owner)
        os.utime(path, ns=times, follow_symlinks=False)
        return
    if stat.S_ISBLK(mode):
        raise SandboxError("a snapshot holds a block device")
    os.mknod(path, stat.S_IFMT(mode) | 0o600, 0)
    _own(path, owner)
    os.chmod(path, stat.S_IMODE(mode))
    os.utime(path, ns=times)


def _fill(path: str, body: Body, owner: Owner | None) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as out:
        copy(body, out, begin=out.seek)
        out.truncate(body.data["size"])
        out.flush()
        _own(path, owner)
        _set_attributes(out.fileno(), body.data["xattr"])
        os.fchmod(out.fileno(), stat.S_IMODE(body.entry["mode"]))
        os.utime(out.fileno(), ns=(body.entry["mtime"], body.entry["mtime"]))


def _own(path: str, owner: Owner | None) -> None:
    """Before its mode is set: a new owner takes away setuid bits."""
    if owner:
        os.lchown(path, *owner)


def _set_attributes(file: str | int, attributes: dict[str, str]) -> None:
    for name, value in attributes.items():
        os.setxattr(file, name, bytes.fromhex(value))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
