"""What is known of a checkout's environment: found in which file, what it led to, what was left out, what has drifted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import SettingsError
from nightmill.estate import agreed
from nightmill.estate.agreed import Drift
from nightmill.estate.detect import detect
from nightmill.estate.file import NAME, load, parse
from nightmill.estate.found import Detected
from nightmill.estate.nouns import Project
from nightmill.estate.record import Record, present
from nightmill.estate.tracked import in_checkout
from nightmill.estate.write import put, render

__all__ = ["Explanation", "explain", "lock"]

COMPARED = ("install", "hosts", "env", "locks")
"""Keys of nightmill.yaml that decide an environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A checkout's environment as it stands, what is in no commit yet included.

    Attributes:
        written: Whether there is a nightmill.yaml; without one, *project* is what `init` would write.
        drift: Differences from the record agreed on; None: none was agreed on.
        unlike: Keys that nightmill.yaml has otherwise than `init` would write them now.
        problems: What the machine lacks, in sentences.
    """

    project: Project
    record: Record
    detected: Detected
    written: bool
    drift: tuple[Drift, ...] | None
    unlike: tuple[str, ...]
    problems: tuple[str, ...]


def explain(root: Path, files: list[str]) -> Explanation:
    """Look at the checkout *root* with the tracked *files*. Nothing in it is run.

    Raises:
        SettingsError: If nightmill.yaml or the record agreed on cannot be used.
    """
    detected = detect(root, files)
    drafted = parse(render(detected).encode(), root=root)
    written = (root / NAME).exists()
    project = load(root) if written else drafted
    record = present(project)
    before = agreed.read(in_checkout(root, [agreed.FILE] if (root / agreed.FILE).exists() else []))
    ours, drafts = project.environment, drafted.environment
    return Explanation(
        project=project,
        record=record,
        detected=detected,
        written=written,
        drift=None if before is None else agreed.drifts(before, record),
        unlike=tuple(name for name in COMPARED if getattr(ours, name) != getattr(drafts, name)),
        problems=tuple(line for tool in record.tools for line in tool.problems),
    )


def lock(project: Project) -> tuple[Path, Record]:
    """Write the record of *project*'s checkout into it, for people to commit.

    Raises:
        SettingsError: If it cannot be written there.
    """
    record = present(project)
    folder = (project.root / agreed.FILE).parent
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise SettingsError(f"{str(folder)!r} is no folder of this checkout", hint="nothing is written through a link")
    folder.mkdir(exist_ok=True)
    return put(folder, (project.root / agreed.FILE).name, agreed.render(record), replace=True), record
