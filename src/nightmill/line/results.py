"""Results of declared checks by (tree, command, environment): one that is known is shown, and the check is not run.

A convenience for agents alone. What the system proves it runs itself, whatever is kept here.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from nightmill import event
from nightmill.sandbox import Command, Limits
from nightmill.store import results
from nightmill.store.results import Key, Result
from nightmill.tool.base import Kept

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.line.machines import Machines
    from nightmill.review import CheckResult
    from nightmill.sandbox import Outcome, Workspace

__all__ = ["CheckResults", "keep_proof"]

log = logging.getLogger(__name__)
LEAST = 1.0
"""Seconds of a check that is worth keeping."""
SHARE = 0.25
"""Of the check's seconds that finding out which tree it ran on may take."""
PATIENCE = 10.0
LARGEST = 256 << 20
"""Bytes of an index or an object that is made for it."""
MOST = 100_000
"""Characters of output that are kept, both ends."""

TREE = r"""
set -e
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0
own=/tmp/.nightmill-tree
mkdir -p "$own/objects"
test -f "$own/index" || cp -p "$(git rev-parse --git-path index)" "$own/index"
export GIT_ALTERNATE_OBJECT_DIRECTORIES="$(git rev-parse --path-format=absolute --git-path objects)"
export GIT_OBJECT_DIRECTORY="$own/objects" GIT_INDEX_FILE="$own/index"
git -c core.checkStat=minimal -c core.trustctime=false -c core.fsmonitor=false -c core.hooksPath=/dev/null \
  -c core.excludesFile=/dev/null -c core.compression=1 add --all || { rm -rf "$own"; exit 1; }
git write-tree
"""
"""The tree of what is tracked or could be, by an index and objects of its own: nothing in /work changes. A file's time
and size say whether it has to be read: its inode and owner differ between the checkout and the sandbox over it."""


@dataclass(slots=True, kw_only=True)
class CheckResults:
    """What one agent is shown of results, and what it leaves. *turn* is set by whoever takes turns."""

    run: str
    machines: Machines
    assignment: Assignment
    environment: str
    least: float = LEAST
    turn: int = 0
    _asked: set[tuple[str, str]] = field(default_factory=set)
    _trees: dict[str, tuple[str, float]] = field(default_factory=dict)
    _idle: set[str] = field(default_factory=set)
    """Commands that are not worth the question."""

    async def find(self, command: str, workspace: Workspace) -> Kept | None:
        """What is known of *command* on the tree that *workspace* holds, the first time that this agent asks."""
        name = _name(command)
        if name in self._idle or not self._may(name):
            return None
        began = self.machines.clock()
        tree = await _tree(workspace)
        if not tree:
            self._idle.add(name)
            return None
        self._trees[name] = (tree, self.machines.clock() - began)
        if (name, tree) in self._asked:
            return None
        self._asked.add((name, tree))
        found = await self._found(self._key(name, tree))
        if found is None or (found.run == self.run and found.turn):
            return None
        self.machines.ledger.emit(
            event.ResultReused(
                run=self.run,
                turn=self.turn,
                command=name[:300],
                tree=tree,
                source=found.run,
                source_turn=found.turn,
                seconds=found.seconds,
            )
        )
        whence = f"turn {found.turn} of run {found.run}" if found.turn else f"the system's own proof in run {found.run}"
        return Kept(exit=found.exit, output=found.output, seconds=found.seconds, whence=whence)

    async def keep(self, command: str, outcome: Outcome, workspace: Workspace) -> None:
        """Keep how *command* ended, if it took long, ended by itself and changed nothing that git would track."""
        name = _name(command)
        tree, seconds = self._trees.pop(name, ("", 0.0))
        if not tree or outcome.stopped or outcome.exit < 0:
            return
        if outcome.seconds <= max(self.least, seconds / SHARE):
            self._idle.add(name)
        elif await _tree(workspace) == tree:
            result = Result(
                run=self.run,
                turn=self.turn,
                exit=outcome.exit,
                output=_bounded(outcome.text),
                seconds=outcome.seconds,
                at=self.machines.now(),
            )
            await asyncio.to_thread(_keep, self.machines, self._key(name, tree), result)

    def _may(self, name: str) -> bool:
        """Whether *name* is a check, of a project where the tree decides how it ends: no services, no network."""
        project = self.assignment.project
        checks = {_name(check.command) for check in project.checks}
        return name in checks and not project.services and not project.network.hosts

    def _key(self, name: str, tree: str) -> Key:
        return Key(project=self.assignment.project.id, environment=self.environment, tree=tree, command=name)

    async def _found(self, key: Key) -> Result | None:
        try:
            return await asyncio.to_thread(results.find, self.machines.database, key)
        except SQLAlchemyError as error:
            log.warning("the results of checks cannot be read: %s", error)
            return None


def keep_proof(machines: Machines, assignment: Assignment, result: CheckResult, *, run: str, environment: str) -> None:
    """Keep how a check ended in a proof of *run*: the agent that is told of a failure need not wait for it again."""
    unsteady = result.stopped or any(failure.kind == "flaky" for failure in result.failures)
    if unsteady or result.seconds <= LEAST or result.exit < 0 or not result.output:
        return
    command = next(check.command for check in assignment.project.checks if check.name == result.check)
    key = Key(project=assignment.project.id, environment=environment, tree=result.tree, command=_name(command))
    output = _bounded(machines.blobs.get(result.output).decode("utf-8", "replace"))
    kept = Result(run=run, turn=0, exit=result.exit, output=output, seconds=result.seconds, at=machines.now())
    _keep(machines, key, kept)


def _keep(machines: Machines, key: Key, result: Result) -> None:
    try:
        results.keep(machines.database, key, result)
    except SQLAlchemyError as error:  # it is run again then
        log.warning("a result is not kept: %s", error)


async def _tree(workspace: Workspace) -> str:
    """The git tree that /work/repo holds now, "" if it cannot be said, or not soon."""
    command = Command(argv=("bash", "-c", TREE), limits=Limits(seconds=PATIENCE, memory=1 << 30, file_size=LARGEST))
    outcome = await workspace.run(command)
    tree = outcome.text.strip()
    return tree if not outcome.exit and not outcome.stopped and tree.isalnum() and len(tree) in {40, 64} else ""


def _name(command: str) -> str:
    return " ".join(command.split())


def _bounded(text: str) -> str:
    if len(text) <= MOST:
        return text
    half = MOST // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters were not kept …]\n{text[-half:]}"
