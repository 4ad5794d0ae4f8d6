"""A run of a real project that left a task."""

from __future__ import annotations

import time
from pathlib import Path

from nightmill import event as e
from nightmill.desk import start
from nightmill.estate.file import load
from nightmill.kept import Part
from nightmill.line.remediation import known, write
from nightmill.store import projects
from tests import whole
from tests.server.conftest import House

__all__ = ["leave"]


def leave(house: House, folder: Path, *, said: str = "") -> e.TaskFiled:
    """What a run in a new project below *folder* left, which waits to end; *said* is in all that models said."""
    root = whole.repository(folder / "calc")
    found = load(root)
    projects.keep(house.door.database, projects.Known(id=found.id, root=root, hub=folder / "hub", added=0.0))
    wanted = start.Wanted(
        project=found.id, spec=whole.SPEC.format(title=""), by="Ada <ada@example.org>", home=folder, model="anthropic:m"
    )
    run = start.start(house.door, wanted, now=time.time)
    commit = house.door.hub(found.id).resolve("HEAD") or house.door.hub(found.id).resolve("refs/heads/main") or ""
    tree = house.door.hub(found.id).tree(commit)
    finding = {"id": "look-1", "severity": "major", "title": f"A caller {said}", "test": "t.py::a", "detail": said}
    judged = [
        {"role": "reviewer", "approved": False, "case_against": f"Large sums {said}"},
        {"role": "qa", "approved": True, "case_for": "It adds"},
    ]
    left = known(
        {"findings": [finding], "said": judged, "checks": "tests passed", "approach": f"Turn the sign {said}"},
        run=run.id,
        blueprint="deliver",
        commit=commit,
        tree=tree,
        parts=(Part(role="developer", commit=commit, summary=f"Added {said}", evidence=(("AC1", "t.py::a"),)),),
    )
    filed = e.TaskFiled(
        run=run.id,
        task=f"{run.id}-rest",
        step="rest",
        project=found.id,
        title=f"Adding {said}",
        findings=1,
        tree=tree,
        commit=commit,
        body=house.door.blobs.put(write(left)),
    )
    house.tell(filed, e.RunParked(run=run.id, reason="Not all agree", needs="person"))
    house.asks(run.id, kind="answer", step="parked", title="It stops here", ends=True)
    return filed
