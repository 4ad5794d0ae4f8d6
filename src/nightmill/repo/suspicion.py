"""What in a change deserves a second look before anybody checks it out."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from typing import NamedTuple

from nightmill.errors import LimitReached
from nightmill.repo.git import shown
from nightmill.repo.history import Change, History

__all__ = ["Finding", "suspicious"]

LINK, SUBMODULE, ABSENT = "120000", "160000", "000000"
LINK_LIMIT = 4096
ATTRIBUTES_LIMIT = 1 << 20
IGNORED_BY_MACS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
DRIVERS = re.compile(rb"(?:^|\s)(?:filter|diff|merge|working-tree-encoding)=", re.MULTILINE)
EXECUTED = (
    (".github/workflows/", "a workflow that the forge runs"),
    (".github/actions/", "an action that workflows run"),
    (".gitlab-ci.yml", "a pipeline that the forge runs"),
    (".gitea/workflows/", "a workflow that the forge runs"),
    (".forgejo/workflows/", "a workflow that the forge runs"),
    (".circleci/", "a pipeline that a service runs"),
    (".githooks/", "hooks of the people who work here"),
    (".husky/", "hooks of the people who work here"),
    (".vscode/", "settings that an editor obeys"),
    (".envrc", "a script that a shell may run on entering"),
    (".devcontainer/", "how development containers are made"),
    (".mcp.json", "servers that agents start"),
    (".claude/", "instructions and permissions of agents"),
    (".nightmill/", "how nightmill works on this project"),
    ("nightmill.yaml", "how nightmill checks this project"),
)


class Finding(NamedTuple):
    """One path and what is suspicious about it. *path* may hold bytes that `shown` makes printable."""

    path: str
    what: str


def suspicious(history: History, base: str, head: str, *, limit: int = 10 << 20) -> list[Finding]:
    """Findings about what differs from *base* in *head*; *limit* is a file's size in bytes.

    Git's own checks on receiving come before: these are about sound objects with bad intent or bad luck.
    """
    changes = history.changes(base, head)
    touched = {change.path for change in changes if change.status != "D"}
    sizes = {file.path: file.size for file in history.files(head) if file.path in touched}
    found: list[Finding] = []
    for change in changes:
        reasons = [_name(change.path), _executed(change.path), _kind(change), *_contents(history, head, change)]
        if sizes.get(change.path, 0) > limit:
            reasons.append(f"holds {sizes[change.path]:,} bytes")
        found += [Finding(change.path, reason) for reason in reasons if reason]
    return found


def _name(path: str) -> str:
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "its path leads elsewhere"
    if any(_is_git(part) for part in parts):
        return "some file systems take its name for git's own folder"
    if any(not char.isprintable() or INVISIBLE.match(char) for char in _decodable(path)):
        return "its name holds invisible or control characters"
    return ""


def _is_git(part: str) -> bool:
    plain = IGNORED_BY_MACS.sub("", unicodedata.normalize("NFKC", part)).casefold()
    return any(name.rstrip(". ").partition(":")[0] in {".git", "git~1"} for name in re.split(r"\\", plain))


def _decodable(path: str) -> str:
    """*path* without the bytes that are not UTF-8, which are old names rather than tricks."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "ignore")


def _executed(path: str) -> str:
    low = path.casefold()
    return next(
        (f"is {what}" for start, what in EXECUTED if low == start or (start.endswith("/") and low.startswith(start))),
        "",
    )


def _kind(change: Change) -> str:
    if SUBMODULE in {change.mode, change.old_mode}:
        return "changes a submodule"
    if change.path.casefold().rsplit("/", 1)[-1] == ".gitmodules":
        return "says where submodules come from"
    return ""


def _contents(history: History, head: str, change: Change) -> list[str]:
    attributes = change.path.casefold().rsplit("/", 1)[-1] == ".gitattributes"
    if change.mode == ABSENT or not (attributes or change.mode == LINK):
        return []
    try:
        body = history.show(head, change.path, limit=ATTRIBUTES_LIMIT if attributes else LINK_LIMIT)
    except LimitReached:
        return ["is larger than any honest file of its kind"]
    found = [_link(change.path, body.decode("utf-8", "surrogateescape"))] if change.mode == LINK else []
    return (
        [*found, "sets a filter, driver or encoding that git may run"] if attributes and DRIVERS.search(body) else found
    )


def _link(path: str, target: str) -> str:
    if target.startswith("/") or re.match(r"[A-Za-z]:|\\", target):
        return f"is a link to the absolute path {shown(target)!r}"
    where = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if where == ".." or where.startswith("../"):
        return f"is a link that leads outside: {shown(target)!r}"
    if any(_is_git(part) for part in where.split("/")):
        return f"is a link into git's own folder: {shown(target)!r}"
    return ""
