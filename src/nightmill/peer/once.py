"""A run that is asked for once more because nobody knows whether it was started: the same request is the same run.

A reply can be lost after the run has begun, and who asks again must not pay twice. So the id of a run comes from what was asked
for and by whom, and the store takes one run of an id: neither a crash in between nor two that ask at once make two of it.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from nightmill import spec as specs
from nightmill.desk.door import Door
from nightmill.desk.start import Wanted, spec_file
from nightmill.errors import SettingsError
from nightmill.event import RunQueued
from nightmill.line.submit import identifier

__all__ = ["Started", "begun"]


class Started(NamedTuple):
    """The id of a run; *before*: it was started by the same request, and nothing was now."""

    run: str
    before: bool


def begun(door: Door, wanted: Wanted, *, key: str) -> Started:
    """The run that *wanted* is, by its *key*: that it is `before`, or the id under which it is to be started.

    A key of the asker's own names the request for good. Without one it is the request itself, for as long as its run is not over:
    who asks for the same work afterwards wants it again.

    Raises:
        SettingsError: If *key* came with another spec.
    """
    asked = [wanted.spec, wanted.base, wanted.blueprint, wanted.model] if not key else [key]
    count = 0
    while True:
        run = identifier(json.dumps([wanted.by, wanted.project, bool(key), asked, count]))
        if not (found := door.runs.some({run})):
            return Started(run, before=False)
        if key:
            _same(door, run, wanted)
        if key or not found[0].over:
            return Started(run, before=True)
        count += 1


def _same(door: Door, run: str, wanted: Wanted) -> None:
    with spec_file(wanted.spec) as path:
        digest = specs.read(path).digest
    entry = next(iter(door.ledger.read(run=run, names={RunQueued.name}, limit=1)), None)
    queued = entry.event() if entry else None
    if not isinstance(queued, RunQueued) or queued.spec != digest:
        raise SettingsError(f"this key started run {run}, of another spec", hint="use a new key for a new request")
