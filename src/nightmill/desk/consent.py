"""A person's yes to a blueprint as it is, with all that it calls."""

from __future__ import annotations

import time

from nightmill.blueprint.catalogue import Catalogue
from nightmill.desk.door import Door
from nightmill.store import blueprints

__all__ = ["consent"]


def consent(door: Door, catalogue: Catalogue, name: str, *, project: str, by: str) -> blueprints.Approval:
    """Keep the yes of *by* to the blueprint *name* of *catalogue*, for *project*, and the bytes that it is a yes to.

    Raises:
        SettingsError: If it, or one that it calls, is not there or broken.
    """
    closure = catalogue.closure(name)
    own = closure.blueprints[0]
    for each in closure.blueprints:
        door.blobs.put(catalogue.entry(each.name).body)
    approval = blueprints.Approval(
        project=project,
        name=name,
        closure=closure.digest,
        digest=own.digest,
        version=own.version,
        parts=closure.parts,
        by=by,
        at=time.time(),
    )
    blueprints.approve(door.database, approval)
    return approval
