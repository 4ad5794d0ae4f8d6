"""A person's yes to a blueprint as it is, with all that it calls."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence

from nightmill.blueprint.catalogue import Catalogue, Entry
from nightmill.desk.door import Door
from nightmill.errors import LimitReached, RepoError, SettingsError
from nightmill.repo.history import Commit
from nightmill.store import blueprints

__all__ = ["authors", "consent"]

MOST = 200
"""Commits of one file that are looked at for who wrote it."""
PATIENCE = 10.0
"""Seconds in which git has found them."""
TRAILER = re.compile(r"^co-authored-by:[^<\n]*<([^<>\n]*)>", re.IGNORECASE | re.MULTILINE)


def consent(door: Door, catalogue: Catalogue, name: str, *, project: str, by: str, closure: str) -> blueprints.Approval:
    """Keep the yes of *by* to the blueprint *name* of *catalogue*, for *project*, and the bytes that it is a yes to.

    *closure* is the digest of what they looked at.

    Raises:
        SettingsError: If it, or one that it calls, is not there, broken or another than they looked at.
    """
    found = catalogue.closure(name)
    own = found.blueprints[0]
    if found.digest != closure:
        raise SettingsError(
            f"the blueprint {name!r} is not what you looked at any more",
            hint=f"look at it again: nightmill blueprint diff {name}",
        )
    for each in found.blueprints:
        door.blobs.put(catalogue.entry(each.name).body)
    approval = blueprints.Approval(
        project=project,
        name=name,
        closure=found.digest,
        digest=own.digest,
        version=own.version,
        parts=found.parts,
        by=by,
        at=time.time(),
    )
    blueprints.approve(door.database, approval)
    return approval


def authors(
    door: Door, catalogue: Catalogue, name: str, *, project: str, commit: str, approvals: Sequence[blueprints.Approval]
) -> frozenset[str]:
    """The addresses of who wrote what differs from what was approved of last in the blueprint *name* at *commit*, and all that it calls.

    Raises:
        SettingsError: If one of these is not there or broken.
        EngineError: If git does not say so in time: then nobody knows who may approve.
    """
    last = next((each for each in approvals if each.name == name and each.stands), None)
    before = dict(part.split(" ", 1) for part in last.parts) if last else {}
    entries = [catalogue.entry(each.name) for each in catalogue.closure(name).blueprints]
    return frozenset(
        mail.casefold()
        for entry in entries
        if entry.place == "project"
        for each in _since(door, project, commit, entry, approved=before.get(entry.name, ""))
        for mail in (each.email, *TRAILER.findall(each.message))
    )


def _since(door: Door, project: str, commit: str, entry: Entry, *, approved: str) -> Iterator[Commit]:
    """The commits that made the file of *entry* what it is, back to the one whose file was *approved*."""
    hub = door.hub(project)
    for each, path in hub.followed(commit, entry.source, limit=MOST, seconds=PATIENCE):
        if approved:
            try:
                body = hub.show(each.sha, path)
            except (RepoError, LimitReached):  # it was deleted there, or is no file
                body = b""
            if hashlib.sha256(body).hexdigest() == approved:
                return
        yield each
