"""What a run leaves to those after it on the same project: notes, each bound to the files that it is about.

Written beside the checkpoint of what it tells of, once per run and key, and never waited for: no run stops for a note.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from nightmill.errors import NightmillError
from nightmill.store import notes
from nightmill.store.notes import Note
from nightmill.tool.base import cut, one_line

if TYPE_CHECKING:
    from nightmill.agent import AgentState, TurnRecord
    from nightmill.line.assignment import Assignment
    from nightmill.line.machines import Machines
    from nightmill.line.stop import Stopped
    from nightmill.review import Verdict

__all__ = ["Knowledge", "cited"]

log = logging.getLogger(__name__)
NAMED = re.compile(r"[\w@+./-]*[\w@+-]")
MOST_NAMED, MOST_FILES = 60, 50
"""Words of a note that may name files; files that it is bound to."""
MOST_TEXT, MOST_SAID = 1_500, 400
KINDS = {"discovery", "failed_approach"}


@dataclass(slots=True, kw_only=True)
class Knowledge:
    """The notes of one run."""

    run: str
    machines: Machines
    assignment: Assignment
    _tree: Tree | None = None

    def turn(
        self, before: AgentState, record: TurnRecord, *, role: str, reports: Iterable[tuple[str, str, str]]
    ) -> None:
        """Keep what was noted in the turn *record* after *before*; *reports*: (explorer, question, report) of it."""
        state, instead, made = before.working, list[str](), list[Made]()
        for number, note in enumerate(record.notes, 1):
            if note.kind in KINDS:
                made.append(Made(f"{role}/{record.turn}/{number}", note.kind, role, note.text))
                known = state.failed if note.kind == "failed_approach" else state.discoveries
                instead += [known[gone - 1] for gone in note.replaces if 0 < gone <= len(known)]
        for explorer, question, report in reports:
            text = f"{one_line(question)} — {report}"
            made.append(Made(f"{explorer}/{record.turn}", "report", explorer, text))
        self._keep(made, instead=instead)

    def proof(self, verdict: Verdict, number: int, *, summary: str, commit: str) -> None:
        """Keep why the work *commit* did not pass its proof *number*, beside what it was in the agent's words."""
        if verdict.passed:
            return
        hub, base = self.machines.hub(self.assignment.project.id), self.assignment.base_commit
        changed = [change.path for change in hub.changes(base, commit)] if commit else []
        text = f"{one_line(summary, most=MOST_SAID)} — It did not pass: {' '.join(verdict.reasons)}"
        self._keep([Made(f"proof/{number}", "failed_proof", "the checks", text, tuple(changed))])

    def end(self, stopped: Stopped, state: AgentState) -> None:
        """Keep how the run ended, if the agent had begun and its work led to that."""
        if state.turn and stopped.why in {"failed", "limit"}:
            text = f"A run of {state.turn} turns ended without a change: {stopped.reason}"
            edited = tuple(each.path for each in state.working.files if each.edited)
            self._keep([Made("stopped", "stopped", "the system", text, edited)])

    def _keep(self, made: list[Made], *, instead: list[str] | None = None) -> None:
        if not made:
            return
        try:
            notes.keep(self.machines.database, [self._note(each) for each in made], instead=instead or ())
        except (SQLAlchemyError, NightmillError) as error:
            log.warning("a note of run %s is not kept: %s", self.run, error)

    def _note(self, made: Made) -> Note:
        assignment = self.assignment
        if self._tree is None:
            hub = self.machines.hub(assignment.project.id)
            self._tree = Tree(
                id=hub.tree(assignment.base_commit),
                blobs={file.path: file.sha for file in hub.files(assignment.base_commit)},
            )
        text = " ".join(cut(made.text, most=MOST_TEXT).split())
        paths = cited(text, self._tree) | {path for path in made.paths if path in self._tree.blobs}
        if made.kind not in {"discovery", "report"} and assignment.task is not None:
            paths |= self._tree.within(assignment.task.footprint.paths)
        return Note(
            project=assignment.project.id,
            run=self.run,
            key=made.key,
            kind=made.kind,
            who=made.who,
            text=text,
            spec=assignment.spec.digest,
            tree=self._tree.id,
            files={path: self._tree.blobs[path] for path in sorted(paths)[:MOST_FILES]},
            at=self.machines.now(),
        )


class Made(NamedTuple):
    """A note as it is told; *paths*: files that it is about beside those that *text* names."""

    key: str
    kind: str
    who: str
    text: str
    paths: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Tree:
    """The files of a commit, and those of each name."""

    id: str
    blobs: Mapping[str, str]
    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for path in self.blobs:
            self.names[path.rpartition("/")[2]].append(path)

    def named(self, word: str) -> str:
        """The one file that *word* names: its path, or so much of its end that no other has it; "": none."""
        if word in self.blobs:
            return word
        same = self.names.get(word.rpartition("/")[2], ())
        found = [path for path in same if path.endswith(f"/{word}")]
        return found[0] if len(found) == 1 else ""

    def within(self, patterns: Iterable[str]) -> set[str]:
        """The files that *patterns* (paths, folders, globs) name."""
        bare = [pattern.strip("/") for pattern in patterns]
        exact = {path for path in bare if path in self.blobs}
        wide = [pattern for pattern in bare if pattern not in exact]
        return exact | {
            path for path in self.blobs for pattern in wide if fnmatch(path, pattern) or path.startswith(f"{pattern}/")
        }


def cited(text: str, tree: Tree) -> set[str]:
    """The files of *tree* that *text* names."""
    words = (word.removeprefix("/work/repo/").removeprefix("./") for word in NAMED.findall(text))
    named = [word for word in dict.fromkeys(words) if "/" in word or "." in word][:MOST_NAMED]
    return {path for word in named if (path := tree.named(word))}
