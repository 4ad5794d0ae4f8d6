"""A desk at a server: the commands that look at runs and steer them work through it as they do on the store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from nightmill.client.client import PAGE, Client
from nightmill.client.connection import Away
from nightmill.desk.nouns import Asked, Comparison, Ended, Part, Remainder, Standing, Thing, Verb
from nightmill.errors import NotYet
from nightmill.kept import Back, Draft, Entry, Filed, Run, Wanted

if TYPE_CHECKING:
    from nightmill.access import Person
    from nightmill.desk.requested import Requested, Sent

__all__ = ["ServerDesk"]

ENDS = frozenset({"run_done", "run_stopped"})


class ServerDesk:
    """A `Seat` of whom a client's token speaks for."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def runs(self, *, project: str = "", parent: str = "", limit: int | None = None) -> Sequence[Run]:
        """Runs, newest first."""
        found: list[Run] = []
        cursor: str | None = ""
        while cursor is not None and (limit is None or len(found) < limit):
            most = PAGE if limit is None else min(PAGE, limit - len(found))
            page = self.client.runs(project=project, parent=parent, cursor=cursor, limit=most)
            found += page.runs
            cursor = page.next
        return found

    def run(self, name: str) -> Run:
        """One run."""
        return self.client.run(name)

    def events(self, run: Run) -> Sequence[Entry]:
        """What happened in *run* alone."""
        return list(self._after(run.id, 0))

    def entries(self, run: Run, *, wait: bool) -> Iterator[Entry | None]:
        """What happened in *run* and in what it started, each once; with *wait* until it ends."""
        if not wait:
            yield from self._missing({run.id: 0})
            return
        with closing(self.client.stream(run.id)) as told:
            for each in self._followed(run, told):
                assert not isinstance(each, Draft)  # noqa: S101 - none was asked for
                yield each

    def live(self, run: Run) -> Iterator[Entry | Draft | None]:
        """As `entries` until it ends, and what is being written meanwhile."""
        with closing(self.client.stream(run.id, drafts=True)) as told:
            yield from self._followed(run, told)

    def _followed(self, run: Run, told: Iterator[Entry | Draft | None]) -> Iterator[Entry | Draft | None]:
        """What is *told* until the run ends, and all that was before.

        Whenever the stream is connected, what is missing is read page by page: so nothing is missed before its first
        event, and a long ledger is not gone through for it.
        """
        seen, behind = {run.id: 0}, True
        for entry in told:
            if isinstance(entry, Draft):
                yield entry
                continue
            try:
                fresh = self._fresh(entry, seen, behind=behind)
            except (Away, NotYet):  # it went away again, or wants to be asked later: then nothing of it was taken
                behind = True
                continue
            behind = False
            yield from fresh
            if any(each.run == run.id and each.name in ENDS for each in fresh):
                return
            if entry is None:
                yield None

    def waiting(self) -> Sequence[tuple[Thing, str]]:
        """What waits for a person."""
        return self.client.waiting()

    def asked(self, name: str) -> Sequence[Asked]:
        """What a run and its tasks ask now."""
        return self.client.questions(name)

    def want(self, name: str, wanted: Wanted) -> Run:
        """Pause, resume or cancel a run."""
        do = {"pause": self.client.pause, "run": self.client.resume, "cancel": self.client.cancel}
        return do[wanted](name)

    def say(self, name: str, text: str) -> Run:
        """Say something to whoever is at work in a run."""
        return self.client.say(name, text)

    def rewind(self, name: str, back: Back) -> Run:
        """A new run that goes on from an earlier moment of a run."""
        return self.client.rewind(name, back)

    def compare(self, name: str, other: str) -> Comparison:
        """Two runs beside each other."""
        return self.client.compare(name, self.client.run(other).id)

    def decide(self, name: str, verb: Verb, words: str, *, question: str = "", tree: str = "") -> Ended:
        """Say yes, no, or what the answer is."""
        if verb == "answer":
            return self.client.answer(name, words, question=question)
        if verb == "approve":
            return self.client.approve(name, because=words, question=question, tree=tree)
        return self.client.refuse(name, because=words, question=question, tree=tree)

    def plan(self, name: str) -> Standing:
        """The plan that a run is part of."""
        return self.client.plan(name)

    def tasks(self, *, project: str = "", every: bool = False) -> Sequence[Filed]:
        """What runs left and nobody has ended yet."""
        found: list[Filed] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.client.tasks(project=project, every=every, cursor=cursor, limit=PAGE)
            found += page.tasks
            cursor = page.next
        return found

    def task(self, name: str) -> Remainder:
        """A task that a run left."""
        return self.client.task(name)

    def drop(self, name: str, *, because: str) -> Filed:
        """Let nobody go on with a task that a run left."""
        return self.client.drop(name, because=because)

    def me(self) -> Person:
        """Whom the token speaks for, and what they may do now; a role that is not known here gives nothing."""
        from nightmill.access import ACTS, ROLES, Grant, Person  # noqa: PLC0415 - who only looks need not load it

        me = self.client.me()
        grants = tuple(Grant(role=each.role, project=each.project) for each in me.grants if each.role in ROLES)
        scopes = None if me.scopes is None else frozenset(each for each in ACTS if each in me.scopes)
        return Person(name=me.name, address=me.address, grants=grants, scopes=scopes, way="token")

    def turn(self, run: str, *, role: str, number: int) -> Sequence[Part]:
        """A turn of *role*, whole."""
        return self.client.turn(run, role=role, number=number)

    def requested(self, run: str) -> Sequence[Requested]:
        """What a model was sent in a run."""
        return self.client.requested(run)

    def request(self, run: str, number: int, *, role: str) -> Sent:
        """One request, without what looks like a secret."""
        return self.client.request(run, number, role=role)

    def diff(self, run: str) -> str:
        """What a run has changed so far."""
        return self.client.diff(run)

    def attend(self, run: str, terminal: str, *, seconds: float) -> Sequence[str]:
        """Say that one looks on, and hear who else does."""
        return self.client.attend(run, terminal, seconds=seconds)

    def idle(self) -> bool:
        """Never known: a server minds its workers itself."""
        return False

    def _fresh(self, entry: Entry | None, seen: dict[str, int], *, behind: bool) -> list[Entry]:
        """What *entry* brings that was not *seen*; all that is missing, if it is None, of a run that is new here, or *behind*."""
        if entry is not None and entry.run in seen and not behind:
            return _note([entry], seen) if entry.seq > seen[entry.run] else []
        return self._missing(seen, *([entry.run] if entry else []))

    def _missing(self, seen: dict[str, int], *new: str) -> list[Entry]:
        """What there is of the runs in *seen*, of *new* ones and of those that they started, in order: all or none is seen."""
        found: list[Entry] = []
        known = {**dict.fromkeys(new, 0), **seen}
        todo = list(known)
        while todo:
            run = todo.pop()
            before = set(known)
            found += _note(list(self._after(run, known[run])), known)
            todo += known.keys() - before
        seen.update(known)
        return sorted(found, key=lambda each: each.seq)

    def _after(self, run: str, seq: int) -> Iterator[Entry]:
        after: int | None = seq
        while after is not None:
            page = self.client.events(run, after=after)
            yield from page.entries
            after = page.next


def _note(entries: Sequence[Entry], seen: dict[str, int]) -> list[Entry]:
    """*entries*, which are seen by now, and so are the names of the runs that they tell of as started."""
    for entry in entries:
        seen[entry.run] = max(seen.get(entry.run, 0), entry.seq)
        if entry.name == "task_queued" and (child := json.loads(entry.body).get("child")):  # its words may be deleted
            seen.setdefault(str(child), 0)
    return list(entries)
