"""Pull requests beside a bare repository on this machine; a merge needs a proof of exactly its tree."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nightmill.errors import EngineError, RepoError
from nightmill.forge import PullRequest
from nightmill.forge.ports import Hub
from nightmill.store.database import Database
from nightmill.store.tables import proof, pull_request

__all__ = ["LocalForge"]

MOST_COMMITS = 1_000
"""Of one pull request whose authors are looked at."""

ATTEMPTS = 100
NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    name: str
    email: str
    key: Path | None = None


class LocalForge:
    """A `Forge` on our tables and the hubs. All methods block: call them from a thread.

    What the repository says goes before what the row says: a merge whose row was not written (the worker died
    between the two) is read back from the branch by the next `get` or `merge`.
    """

    def __init__(self, database: Database, hubs: Callable[[str], Hub], *, clock: Callable[[], float]) -> None:
        self.database = database
        self.hubs = hubs
        self.clock = clock
        self._looked: dict[tuple[str, int], str | None] = {}

    def open(self, request: PullRequest) -> PullRequest:
        """Open *request*, or return the one that was opened with its key before.

        Its verdict is kept as a proof of its tree, unless that tree has one.

        Raises:
            EngineError: If its head does not have its tree.
        """
        if self.hubs(request.project).tree(request.head) != request.tree:
            raise EngineError(f"the pull request of {request.key!r} speaks for a tree that its head does not have")
        for _ in range(ATTEMPTS):
            try:
                with self.database.write() as connection:
                    found = connection.execute(
                        sa.select(pull_request).where(pull_request.c.key == request.key)
                    ).one_or_none()
                    return _request(found) if found else _insert(connection, request, self.clock())
            except sa.exc.IntegrityError:
                continue  # another process took the number, or opened the same request
        raise EngineError(
            f"no number is to be had for a pull request of {request.project!r}", hint="see `nightmill doctor`"
        )

    def get(self, *, project: str, number: int) -> PullRequest:
        """The pull request *number*.

        Raises:
            RepoError: If there is none.
        """
        return self._read_back(self._row(project, number))

    def all(
        self,
        *,
        project: str = "",
        state: str = "",
        projects: Collection[str] | None = None,
        after: tuple[float, int, str] | None = None,
        limit: int | None = None,
    ) -> list[PullRequest]:
        """All pull requests, of *projects* only if these are named, newest first, as their rows say.

        *after* names the last one that is known: when it was opened, its number and project.
        """
        place = (pull_request.c.opened, pull_request.c.number, pull_request.c.project)
        chosen = sa.select(pull_request).order_by(*(each.desc() for each in place))
        if after:
            chosen = chosen.where(sa.tuple_(*place) < sa.tuple_(*after))
        chosen = (
            chosen.limit(limit) if projects is None else chosen.where(pull_request.c.project.in_(projects)).limit(limit)
        )
        chosen = chosen.where(pull_request.c.project == project) if project else chosen
        chosen = chosen.where(pull_request.c.state == state) if state else chosen
        with self.database.read() as connection:
            return [_request(row) for row in connection.execute(chosen)]

    def unmerged(self) -> list[PullRequest]:
        """The open ones, newest first. The repository is read only where its target has moved since the last time."""
        tips: dict[tuple[str, str], str | None] = {}
        looked: dict[tuple[str, int], str | None] = {}
        still = []
        for row in self.all(state="open"):
            target, key = (row.project, row.target), (row.project, row.number)
            if target not in tips:
                tips[target] = self.hubs(row.project).resolve(row.target)
            known = key in self._looked and self._looked[key] == tips[target]
            if known or self._read_back(row).state == "open":
                still.append(row)
                looked[key] = tips[target]
        self._looked = looked
        return still

    def merged_tree(self, *, project: str, number: int) -> str:
        """The tree that merging it now would give; prove it, if the target has moved, before `merge`.

        Raises:
            RepoError: If it conflicts, or is not open.
        """
        request = self.get(project=project, number=number)
        _must_be_open(request)
        return self._merged_tree(request)

    def merge(self, *, project: str, number: int, by: str, onto: str = "") -> PullRequest:
        """Merge it in the name of the person *by* ("Name <address>") if the tree that this gives is proven.

        *onto* is the commit of the target that it was judged for: if the target is at another now, it is refused.

        Raises:
            RepoError: If it conflicts, was merged or closed, its branch moved, its author is the one who
                merges, or nothing proves the merged tree.
        """
        person, hub = _person(by), self.hubs(project)
        with hub.locked():
            before = self._row(project, number)
            request = self.get(project=project, number=number)
            if before.state == "open" and request.state == "merged":
                return request  # this very merge, read back
            _must_be_open(request)
            _must_be_another(request, person, hub)
            tip = hub.resolve(f"refs/heads/{request.target}")
            if onto and tip != onto:
                raise RepoError(f"{request.target!r} has moved on meanwhile", hint="try again")
            tree = self._merged_tree(request)
            if not self.proven(project=project, tree=tree):
                raise _unproven(request, tree)
            when = int(self.clock())
            message = f"Merge pull request {number}: {request.title}\n\nNightmill-Run: {request.run}\n"
            commit = hub.commit(tree, parents=[str(tip), request.head], message=message, author=person, when=when)
            hub.branch(request.target, commit, expected_old=str(tip))
            return self._close(request, state="merged", merged=float(when), merged_by=by, merge_commit=commit)

    def close(self, *, project: str, number: int) -> PullRequest:
        """Close it without merging; its branch stays.

        Raises:
            RepoError: If it was merged.
        """
        with self.hubs(project).locked():
            request = self.get(project=project, number=number)
            if request.state == "closed":
                return request
            _must_be_open(request)
            return self._close(request, state="closed")

    def prove(self, *, project: str, tree: str, passed: bool, verdict: str, at: float) -> None:
        """Record that the engine judged *tree*; a later judgement replaces an earlier one of the same tree."""
        key = (proof.c.project == project) & (proof.c.tree == tree)
        values = {"passed": passed, "verdict": verdict, "at": at}
        for _ in range(ATTEMPTS):
            try:
                with self.database.write() as connection:
                    if not connection.execute(proof.update().where(key).values(**values)).rowcount:
                        connection.execute(proof.insert().values(project=project, tree=tree, **values))
            except sa.exc.IntegrityError:
                continue  # another process was first: ours is then the later one
            return

    def proven(self, *, project: str, tree: str) -> bool:
        """Whether the latest judgement of exactly *tree* is that it passed."""
        chosen = sa.select(proof.c.passed).where(proof.c.project == project, proof.c.tree == tree)
        with self.database.read() as connection:
            return bool(connection.execute(chosen).scalar())

    def judged(self, *, project: str, tree: str) -> str | None:
        """The blob of the latest verdict on exactly *tree*; None: there is none."""
        chosen = sa.select(proof.c.verdict).where(proof.c.project == project, proof.c.tree == tree)
        with self.database.read() as connection:
            found: str | None = connection.execute(chosen).scalar()
        return found

    def _row(self, project: str, number: int) -> PullRequest:
        chosen = sa.select(pull_request).where(pull_request.c.project == project, pull_request.c.number == number)
        with self.database.read() as connection:
            row = connection.execute(chosen).one_or_none()
        if row is None:
            raise RepoError(f"{project!r} has no pull request {number}", hint="`nightmill prs` lists them")
        return _request(row)

    def _read_back(self, request: PullRequest) -> PullRequest:
        if request.state != "open":
            return request
        hub = self.hubs(request.project)
        tip = hub.resolve(f"refs/heads/{request.target}")
        if tip is None or not hub.contains(commit=tip, ancestor=request.head):
            return request
        past = hub.log(tip, limit=10_000, without=request.base, first_parent=True)
        merge = next((commit for commit in past if request.head in commit.parents[1:]), None)
        if merge is None:  # somebody moved the target forwards to it, outside this forge
            return self._close(request, state="merged", merged=self.clock(), merge_commit=request.head)
        by = f"{merge.author} <{merge.email}>"
        return self._close(request, state="merged", merged=float(merge.when), merged_by=by, merge_commit=merge.sha)

    def _merged_tree(self, request: PullRequest) -> str:
        hub = self.hubs(request.project)
        if hub.resolve(f"refs/heads/{request.branch}") != request.head:
            raise RepoError(
                f"the branch {request.branch!r} is not at {request.head[:12]}, which was proven",
                hint=f"git -C … branch -f {request.branch} {request.head}, or open a new pull request",
            )
        if hub.resolve(f"refs/heads/{request.target}") is None:
            raise RepoError(f"the target branch {request.target!r} is gone from the hub", hint="close the pull request")
        if (below := self._below(request)) is not None:
            raise RepoError(
                f"pull request {request.number} is stacked on {below}, which is not merged yet",
                hint=f"nightmill pr merge {below}, then {request.number}, which then goes where {below} went",
            )
        tree, conflicts = hub.merged_tree(f"refs/heads/{request.target}", request.head)
        if conflicts:
            named = ", ".join(ascii(path) for path in conflicts[:NAMED]) + (" and more" if conflicts[NAMED:] else "")
            raise RepoError(
                f"pull request {request.number} conflicts with {request.target!r} in {named}",
                hint="run its spec again: it starts from the target as it is now",
            )
        return tree

    def _below(self, request: PullRequest) -> int | None:
        """The open pull request whose branch *request* asks to be merged into: merging there would unprove it."""
        below = (pull_request.c.project == request.project) & (pull_request.c.branch == request.target)
        chosen = sa.select(pull_request.c.number).where(below, pull_request.c.state == "open")
        with self.database.read() as connection:
            number: int | None = connection.execute(chosen).scalar()
        return number

    def _close(self, request: PullRequest, **values: Any) -> PullRequest:
        key = (pull_request.c.project == request.project) & (pull_request.c.number == request.number)
        with self.database.write() as connection:
            connection.execute(pull_request.update().where(key, pull_request.c.state == "open").values(**values))
            if values["state"] == "merged":  # what was stacked on it goes on to where it went
                above = (pull_request.c.project == request.project) & (pull_request.c.target == request.branch)
                stacked = pull_request.update().where(above, pull_request.c.state == "open")
                connection.execute(stacked.values(target=request.target))
        return self._row(request.project, request.number)


def _request(row: sa.Row[Any]) -> PullRequest:
    return PullRequest(**row._asdict())


def _insert(connection: sa.Connection, request: PullRequest, at: float) -> PullRequest:
    highest = sa.select(sa.func.coalesce(sa.func.max(pull_request.c.number), 0))
    number = connection.execute(highest.where(pull_request.c.project == request.project)).scalar_one() + 1
    hidden = connection.get_execution_options()["hidden"]
    values = {name: _storable(value) for name, value in asdict(request).items()}
    values |= {name: hidden.text(values[name]) for name in ("title", "body")}
    values |= {"number": number, "state": "open", "opened": at}
    values["target"] = _standing(connection, request.project, values["target"])
    connection.execute(pull_request.insert().values(**values))
    key = (proof.c.project == request.project) & (proof.c.tree == request.tree)
    if not connection.execute(sa.select(proof.c.tree).where(key)).one_or_none():
        judged = {"passed": request.passed, "verdict": request.verdict, "at": at}
        connection.execute(proof.insert().values(project=request.project, tree=request.tree, **judged))
    return PullRequest(**values)


def _standing(connection: sa.Connection, project: str, target: str) -> str:
    """Where *target* went, if it is the branch of a request that was merged before what is stacked on it was opened."""
    merged = (pull_request.c.project == project) & (pull_request.c.state == "merged")
    seen: set[str | None] = {None}
    found: str | None = target
    while found not in seen:
        seen.add(found)
        target = str(found)
        found = connection.execute(
            sa.select(pull_request.c.target).where(merged, pull_request.c.branch == target)
        ).scalar()
    return target


def _storable(value: Any) -> Any:
    """Text that every database takes: PostgreSQL refuses NUL, neither takes half a character."""
    return value.encode("utf-8", "replace").decode().replace("\0", "") if isinstance(value, str) else value


def _person(by: str) -> _Person:
    name, email = parseaddr(by)
    if not name or "@" not in email:
        raise RepoError(
            f"{by!r} does not say who merges",
            hint="git config --global user.name and user.email, or --by 'Name <address>'",
        )
    return _Person(name=name, email=email)


def _must_be_open(request: PullRequest) -> None:
    if request.state == "merged":
        raise RepoError(f"pull request {request.number} was already merged as {request.merge_commit[:12]}")
    if request.state == "closed":
        raise RepoError(f"pull request {request.number} is closed", hint="run its spec again to get a new one")


def _must_be_another(request: PullRequest, person: _Person, hub: Hub) -> None:
    """Nobody merges what they made: as the one who asks, or as the author of any of its commits."""
    commits = hub.log(request.head, limit=MOST_COMMITS, without=request.base, first_parent=False)
    authors = {parseaddr(request.author)[1], *(commit.email for commit in commits)}
    if person.email.casefold() in {each.casefold() for each in authors}:
        raise RepoError(
            f"{person.email} made pull request {request.number}, so it is not the one who may merge it",
            hint="somebody else must merge it",
        )


def _unproven(request: PullRequest, tree: str) -> RepoError:
    number, target = request.number, request.target
    if tree == request.tree:
        return RepoError(
            f"pull request {number} did not pass its checks", hint=f"`nightmill pr show {number}` says which"
        )
    return RepoError(
        f"{target!r} has moved on, and nothing proves the tree {tree[:12]} that merging pull request {number} gives",
        hint="the checks have to pass on that tree first",
    )
