"""Asking for a run from another door than the terminal: the spec comes as text, the project is one that is known here."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill import crew
from nightmill.desk.door import Door
from nightmill.errors import SettingsError
from nightmill.line import submit
from nightmill.store import projects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightmill.store.runs import Run

__all__ = ["Wanted", "spec_file", "start"]

EXTERNAL = "acp:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for: the text of a *spec*, to be worked on in the project with the id *project*.

    "" means: the model and the blueprint of the settings, the branch that the checkout is on. *home* is that of the user
    whose git configuration says which folders to trust. *root*: a checkout of it; None: the one in which it is known. *run* is the
    id of the run, of which there is only one however often it is asked for; "": a new one.
    """

    project: str
    by: str
    home: Path
    spec: str = ""
    errand: submit.Errand | None = None
    model: str = ""
    blueprint: str = ""
    base: str = ""
    root: Path | None = None
    run: str = ""


@contextmanager
def spec_file(text: str) -> Iterator[Path]:
    """*text* as the file of a spec, for as long as it is read."""
    with tempfile.TemporaryDirectory(prefix="nightmill-") as folder:
        path = Path(folder, "SPEC.md")
        path.write_text(text, encoding="utf-8", errors="replace")
        yield path


def start(door: Door, wanted: Wanted, *, now: Callable[[], float]) -> Run:
    """Put a run of it in the queue, in a checkout of its project.

    Raises:
        SpecError: If the spec is refused: the message gives each reason with its line.
        SettingsError: If there is no such project, or it cannot be worked on as is asked.
        RepoError: If work cannot start from the repository as it is.
    """
    project, model = wanted.project, wanted.model
    root = wanted.root or projects.get(door.database, project).root
    found = door.project(root)
    if found.id != project:
        # Whoever may ask for runs of one project may not by that of another that took its folder.
        raise SettingsError(
            f"in {str(root)!r} is the project {found.id!r} by now, not {project!r}", hint="nightmill init there"
        )
    settings = door.settings
    settings = replace(settings, model=model or settings.model, blueprint=wanted.blueprint or settings.blueprint)
    folder = crew.in_folder(found.root)
    role = crew.find(project=folder, operator=crew.in_folder(settings.home, (submit.OPERATORS,))).role("developer")
    if settings.model.startswith(EXTERNAL) or (not model and role.model.startswith(EXTERNAL)):
        raise SettingsError(
            "an external agent would do the work, and those are started from a terminal only",
            hint="name a `model`, or use `nightmill run` on the machine of the server",
        )
    with _asked(wanted) as spec:
        ask = submit.Ask(
            run=wanted.run,
            spec=spec,
            root=found.root,
            base=wanted.base,
            by=wanted.by,
            home=wanted.home,
            now=now,
        )
        return submit.submit(
            ask, settings=settings, database=door.database, blobs=door.blobs, runs=door.runs, project=found
        )


@contextmanager
def _asked(wanted: Wanted) -> Iterator[Path | submit.Errand]:
    if wanted.errand is not None:
        yield wanted.errand
        return
    with spec_file(wanted.spec) as path:
        yield path
