"""From an agent's word to a verdict: take the tree out of its sandbox, and judge it in a fresh one.

What leaves the sandbox is a bundle that git checks object by object. The host never runs git in a folder that an agent
could write, and the checks never run in one either: a new sandbox over the base is moved to exactly the tree.
"""

from __future__ import annotations

import asyncio
import posixpath
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic import TypeAdapter

from nightmill import event, review
from nightmill.agent.guard.edits import outside
from nightmill.code import Change
from nightmill.errors import LimitReached, RepoError, SandboxError, ToolError
from nightmill.estate import agreed
from nightmill.estate import baseline as baselines
from nightmill.estate.environment import BUNDLE, parcel
from nightmill.estate.install import prepare
from nightmill.estate.services import troubles
from nightmill.line.results import keep_proof
from nightmill.policy import covers
from nightmill.repo import shown, suspicious
from nightmill.review import flake
from nightmill.review.again import again, worth
from nightmill.review.bend import RULES
from nightmill.review.prove import Case, prove
from nightmill.sandbox import Command, Limits
from nightmill.sandbox.disk.layers import remove
from nightmill.store import projects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from nightmill.agent.nouns import Finding
    from nightmill.estate.environment import Base, Site
    from nightmill.line.assignment import Assignment
    from nightmill.line.machines import Machines
    from nightmill.repo import Hub
    from nightmill.review import Baseline, CheckResult, Verdict
    from nightmill.review.bend import Rule
    from nightmill.review.bend.signs import Kind
    from nightmill.sandbox import Workspace
    from nightmill.spec import Criterion

__all__ = ["Proving", "export", "look_twice"]

LIMIT = 64 << 20
"""Largest bundle that is taken out of a sandbox, in bytes: as much as a workspace gives of one file."""

LARGEST, MOST_READ, MOST_FILES = 4 << 20, 64 << 20, 5_000
"""Of a change's text that is looked at: bytes of a file, characters together, files."""
LINK, NOWHERE = "120000", "000000"

STOPPED = {"timeout": "it took too long", "memory": "it took too much memory"}
TOO_LARGE = 128 + 25
"""How bash tells that git was ended at the size of a file (SIGXFSZ)."""

TAKE_OUT = """
set -e
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
rm -f .git/index.lock
git -c core.fsmonitor=false -c core.hooksPath=/dev/null add --all
tree=$(git write-tree)
commit=$(GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000' git -c user.name=agent -c user.email=agent@invalid \\
  commit-tree "$tree" -p "$1" -m 'work in progress')
git update-ref refs/nightmill/out "$commit"
rm -rf /tmp/out.bundle
git bundle create --quiet /tmp/out.bundle refs/nightmill/out "^$1"
"""

baselines_as_json = TypeAdapter(review.Baseline)


async def export(workspace: Workspace, *, hub: Hub, folder: Path, base: str, ref: str) -> str:
    """Take what /work/repo holds out of the sandbox as the commit *ref* of *hub*, on top of the commit *base*.

    Raises:
        RepoError: If git refuses it, in the sandbox or on the way in; the message says what it said.
    """
    outcome = await workspace.run(
        Command(
            argv=("bash", "-c", TAKE_OUT, "out", base), limits=Limits(seconds=300.0, memory=4 << 30, file_size=LIMIT)
        )
    )
    if outcome.exit or outcome.stopped:
        large = f"a file or all of it is larger than {LIMIT >> 20} MiB" if outcome.exit == TOO_LARGE else ""
        said = large or STOPPED.get(outcome.stopped) or outcome.text.strip()[-1500:] or f"exit status {outcome.exit}"
        raise RepoError(f"git cannot take the work out of the sandbox: {said}", hint="the agent may have damaged .git")
    bundle = folder / "out.bundle"
    bundle.unlink(missing_ok=True)
    try:
        await workspace.export("/tmp/out.bundle", bundle, most=LIMIT)  # noqa: S108 - a path inside the sandbox
    except ToolError as error:
        raise RepoError(error.message) from error
    except OSError as error:
        raise SandboxError(f"the work cannot be written: {error}", hint="free disk space, then resume") from error
    try:
        return await asyncio.to_thread(hub.receive, bundle, ref, limit=LIMIT)
    except SandboxError as error:  # what came out is not sound: the agent's doing, not the sandbox's
        raise RepoError(f"git refuses the work: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise SandboxError(f"the work cannot be written: {error}", hint="free disk space, then resume") from error
    finally:
        bundle.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proving:
    """How trees of one project are proven over one base."""

    run: str
    machines: Machines
    assignment: Assignment
    base: Base
    site: Site

    async def verdict(
        self, commit: str, *, number: int, criteria: tuple[Criterion, ...], claims: tuple[tuple[str, str], ...]
    ) -> Verdict:
        """Judge the tree of *commit*, which is in the hub, in a fresh sandbox. *number* counts the rounds of the run."""
        hub = self.machines.hub(self.assignment.project.id)
        tree = await asyncio.to_thread(hub.tree, commit)
        base_tree = await asyncio.to_thread(hub.tree, self.assignment.base_commit)
        if tree == base_tree:
            nothing = "nothing was changed: the tree is the one that the work started from"
            return review.Verdict(tree=tree, base_tree=base_tree, passed=False, results=(), reasons=(nothing,))
        baseline = await self.baseline(hub, base_tree)
        seen = await asyncio.to_thread(read, hub, self.assignment.base_commit, commit)
        case = Case(
            tree=tree,
            base_tree=base_tree,
            checks=self.assignment.project.checks,
            baseline=baseline,
            changes=seen.changes,
            large=seen.large,
            criteria=criteria,
            claims=claims,
            rules={**RULES, **cast("Mapping[Kind, Rule]", dict(self.assignment.policy.bends))},
            hide=self.machines.blobs.hidden.marked,
        )
        verdict = await self._judge(hub, commit, case, number)
        self._learn(baseline, verdict)
        return _with(verdict, [*_unread(seen), *await asyncio.to_thread(self._protected, hub, commit)])

    async def baseline(self, hub: Hub, base_tree: str) -> Baseline:
        """How the checks end on the base, measured now if nobody has."""
        project, database = self.assignment.project, self.machines.database
        checks = baselines.definition(project.checks, self.base.hash)
        kept = await asyncio.to_thread(projects.baseline, database, project=project.id, tree=base_tree, checks=checks)
        if kept is not None:
            return baselines_as_json.validate_json(kept)
        made = await baselines.make(
            project, self.base, hub=hub, commit=self.assignment.base_commit, site=self.site, progress=_silent
        )
        # What is known of unsteady tests does not end with the tree that it was learned on.
        last = await asyncio.to_thread(projects.latest_baseline, database, project=project.id, checks=checks)
        if last is not None:
            made = flake.learned(made, baselines_as_json.validate_json(last).flakes)
        return self._keep(base_tree, checks, lambda found: found or made)  # of two that measured it, the first

    def _learn(self, baseline: Baseline, verdict: Verdict) -> None:
        """Keep what the proof showed of unsteady tests with the baseline, for later runs."""
        seen = {result.check: result.flakes for result in verdict.results if result.flakes}
        if seen:
            checks = baselines.definition(self.assignment.project.checks, self.base.hash)
            self._keep(baseline.tree, checks, lambda found: flake.learned(found or baseline, seen))

    def _keep(self, tree: str, checks: str, change: Callable[[Baseline | None], Baseline]) -> Baseline:
        """What *change* makes of what is known of *tree* by now: other runs learn at the same time."""

        def text(before: str | None) -> str:
            return baselines_as_json.dump_json(
                change(baselines_as_json.validate_json(before) if before else None)
            ).decode()

        database, project, now = self.machines.database, self.assignment.project.id, self.machines.now()
        kept = projects.keep_baseline(database, project=project, tree=tree, checks=checks, change=text, at=now)
        return baselines_as_json.validate_json(kept)

    async def _judge(self, hub: Hub, commit: str, case: Case, number: int) -> Verdict:
        async with self._sandbox(hub, commit) as (workspace, amiss):
            verdict = await prove(
                workspace,
                case,
                tell=lambda result: self._tell(result, number),
                keep=self.machines.blobs.put,
                progress=_silent,
            )
        verdict = _with(verdict, amiss)
        if not verdict.passed or not worth(case, verdict):
            return verdict  # what does not pass anyway is not worth another run
        async with self._sandbox(hub, commit) as (workspace, _):
            return await again(workspace, case, verdict, progress=_silent)

    @asynccontextmanager
    async def _sandbox(self, hub: Hub, commit: str) -> AsyncIterator[tuple[Workspace, list[str]]]:
        """A fresh sandbox that holds *commit*, and what is amiss with its services."""
        folder = self.machines.folder(self.run) / "proof"
        await asyncio.to_thread(remove, folder)
        folder.mkdir(parents=True)
        bundle = folder / "commit.bundle"
        needed = await asyncio.to_thread(parcel, hub, self.base, commit=commit, target=bundle)
        where = self.machines.place(
            self.assignment.project, self.base, directory=folder / "run", bundle=bundle if needed else None
        )
        where.directory.mkdir()
        workspace = await self.machines.sandboxes.open(where)
        try:
            services = self.assignment.project.services
            await prepare(workspace, bundle=BUNDLE if needed else "", commit=commit, services=services)
            yield workspace, await troubles(workspace)
        finally:
            await workspace.close()
            await asyncio.to_thread(remove, folder)

    def _tell(self, result: CheckResult, number: int) -> None:
        self.machines.ledger.emit(
            event.CheckFinished(
                run=self.run,
                round=number,
                check=result.check,
                tree=result.tree,
                passed=result.passed,
                result=plain(result),
                output=result.output,
            )
        )
        keep_proof(self.machines, self.assignment, result, run=self.run, environment=self.base.hash)

    def _protected(self, hub: Hub, commit: str) -> list[str]:
        # What people agreed on is for people to change: of stacked tasks, one would loosen the next one's environment.
        patterns = (*self.assignment.project.protected, agreed.FILE)
        changed = [change.path for change in hub.changes(self.assignment.base_commit, commit)]
        hits = sorted({path for path in changed for pattern in patterns if covers(pattern, path)})
        return [f"protected paths were changed: {', '.join(_quoted(path) for path in hits[:20])}"] if hits else []


class Read(NamedTuple):
    """The files of a change as far as they were read, how many were not, and which are too *large* for it."""

    changes: tuple[Change, ...]
    left: int = 0
    large: tuple[str, ...] = ()


def read(hub: Hub, base: str, commit: str, *, files: int = MOST_FILES, characters: int = MOST_READ) -> Read:
    """What differs between *base* and *commit*, as text; a link counts as what it leads to in its own tree.

    A file larger than `LARGEST` bytes, before or after, reads as if it were not there, so that tests in it are missed and
    not hidden, and is named as one that nobody looked at. Of a change of more than so many *files* or *characters*, before
    and after together, the rest is not read.
    """
    found, large, room = list[Change](), list[str](), characters
    changed = hub.changes(base, commit)
    for each in changed[:files]:
        sides = ((base, each.old_mode), (commit, each.mode))
        before, after = (_text(hub, where, each.path, mode, large) for where, mode in sides)
        room -= len(before or "") + len(after or "")
        if room < 0:
            break
        found.append(Change(each.path, before, after))
    return Read(tuple(found), len(changed) - len(found), tuple(dict.fromkeys(large)))


def _unread(seen: Read) -> list[str]:
    """Why a change is not judged of which not all was read: nobody knows what the rest does to the checks."""
    if not seen.left:
        return []
    bounds = f"{MOST_FILES:,} files and {MOST_READ >> 20} million characters"
    unread = f"{seen.left} of its {seen.left + len(seen.changes)} files were not read"
    return [f"the change is too large to be looked at: {unread}, which is done up to {bounds}; make it in parts"]


def _text(hub: Hub, commit: str, path: str, mode: str, large: list[str]) -> str | None:
    """*path* as text; None if it is not there, or is too large, which is then noted in *large*."""
    if mode in {NOWHERE, "160000"}:
        return None
    try:
        body = hub.show(commit, path, limit=LARGEST)
        if mode == LINK:
            target = posixpath.normpath(
                posixpath.join(posixpath.dirname(path), body.decode("utf-8", "surrogateescape"))
            )
            body = hub.show(commit, target, limit=LARGEST)
    except RepoError:
        return None
    except LimitReached:
        large.append(path)
        return None
    return body.decode("utf-8", "replace")


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as plain JSON data: lists, no tuples."""
    kind: Any = type(value)
    found: dict[str, Any] = _adapter(kind).dump_python(value, mode="json")
    return found


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)  # building one takes longer than a whole turn's other work


def look_twice(
    hub: Hub, base: str, head: str, *, seen: Sequence[Finding], footprint: Sequence[str] = ()
) -> tuple[tuple[str, str], ...]:
    """(path, what) that deserves a second look: in the change itself, and *seen* by guards in what is still part of it.

    What is outside *footprint* is looked for in the whole change: a guard sees no file that a command wrote.
    """
    changed = {change.path: change.old_mode == NOWHERE for change in hub.changes(base, head)}
    found = [(each.path, each.what) for each in seen if each.path in changed or each.guard == "false_claim"]
    found += [(each.path, each.what) for each in outside(changed.items(), footprint)]
    return (*suspicious(hub, base, head), *dict.fromkeys(found))


def _quoted(path: str) -> str:
    """*path* as one line of code in Markdown: an agent chose it, and people read it in the pull request."""
    return shown(path).replace("`", "'")


def _with(verdict: Verdict, reasons: list[str]) -> Verdict:
    return replace(verdict, passed=False, reasons=(*verdict.reasons, *reasons)) if reasons else verdict


def _silent(_text: str) -> None:
    """The ledger tells what matters; a check's own progress is for `init`."""
