"""What waits for a person: one list, each entry once, and whoever decides first has decided.

A decision, its event and the wish that wakes the run are one transaction; the clock is the database's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from email.utils import parseaddr
from typing import Any, Literal

import sqlalchemy as sa

from nightmill.errors import EngineError, SettingsError
from nightmill.event import QuestionAsked, QuestionDecided
from nightmill.kept import OVER, Question, State, must_be_allowed
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.store.projection import storable

__all__ = ["Question", "Questions", "State"]

CLOCK = "clock"
table, runs = tables.question, tables.run


class Questions:
    """The questions of the store. *clock* dates events; when a question is over the database's clock says."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    def ask(self, question: Question) -> Question:
        """Put *question* in the list and in the ledger; asked again, it is the one that there is, as it stands now.

        Raises:
            EngineError: If its id is that of a question about something else.
        """
        with self.database.write() as connection:
            chain.lock(connection)
            if (found := self._find(connection, question.id)) is None:
                now = self._now(connection)
                expires = now + question.seconds if question.seconds else 0.0
                found = replace(self._storable(question), created=now, expires=expires, seconds=0.0)
                connection.execute(sa.insert(table).values(**_row(found)))
                self._tell(connection, _asked(found))
        if (found.run, found.kind, found.tree, found.policy) != (
            question.run,
            question.kind,
            question.tree,
            question.policy,
        ):
            raise EngineError(f"the question {question.id!r} was asked before, about another tree or policy")
        return found

    def grant(self, id: str, *, by: str, because: str = "") -> Question:
        """Say yes to the question *id* in the name of *by* ("Name <address>").

        Raises:
            SettingsError: If *by* may not, or it is not open any more; the message says who was first.
        """
        return self._decide(id, "granted", by=by, answer=because)

    def refuse(self, id: str, *, by: str, because: str) -> Question:
        """Say no to it, and why. Raises as `grant`."""
        return self._decide(id, "refused", by=by, answer=because)

    def answer(self, id: str, text: str, *, by: str) -> Question:
        """Answer it with *text*. Raises as `grant`, and if *text* is none of its options."""
        return self._decide(id, "answered", by=by, answer=text)

    def volunteer(
        self, question: Question, *, by: str, because: str = "", state: Literal["granted", "refused"] = "granted"
    ) -> Question:
        """Note a yes or no of *by* that nobody waits for; *question*'s id is made whole with the address.

        Raises:
            SettingsError: If *by* may not say it, or has said it before.
        """
        must_be_allowed(question, by)
        name = f"{question.id}{parseaddr(by)[1].casefold()}"
        with self.database.write() as connection:
            chain.lock(connection)
            if self._find(connection, name) is not None:
                word = "yes" if state == "granted" else "no"
                raise SettingsError(f"{by} has said {word} to {question.title!r} before", hint="once is enough")
            made = replace(self._storable(question), id=name, created=self._now(connection), seconds=0.0)
            connection.execute(sa.insert(table).values(**_row(made)))
            self._tell(connection, _asked(made))
            return self._close(connection, made, state=state, by=by, answer=because)

    def get(self, id: str) -> Question:
        """The question *id* as it stands now; one that is over by the clock is noted as expired.

        Raises:
            SettingsError: If there is none.
        """
        with self.database.read() as connection:
            found, now = self._find(connection, id), self._now(connection)
        if found is not None and _is_due(found, now):
            with self.database.write() as connection:
                chain.lock(connection)
                found = self._find(connection, id)
                if found is not None and _is_due(found, self._now(connection)):
                    found = self._close(connection, found, state="expired", by=CLOCK, answer="")
        if found is None:
            raise SettingsError(f"there is no question {id!r}", hint="`nightmill waiting` lists what waits for you")
        return found

    def open(self) -> Sequence[Question]:
        """What waits for a person now, oldest first: nothing of runs that are over, nothing that the clock has ended."""
        lives = runs.c.state.not_in(OVER)
        query = (
            sa.select(table)
            .join(runs, runs.c.id == table.c.run)
            .where(table.c.state == "open", lives, sa.or_(table.c.expires == 0, table.c.expires > self.database.now))
            .order_by(table.c.created, table.c.id)
        )
        return self._all(query)

    def of(self, run: str) -> Sequence[Question]:
        """All questions of *run*, oldest first, however they ended."""
        return self._all(sa.select(table).where(table.c.run == run).order_by(table.c.created, table.c.id))

    def _decide(self, id: str, state: State, *, by: str, answer: str) -> Question:
        with self.database.write() as connection:
            chain.lock(connection)
            found = self._find(connection, id)
            if found is None:
                raise SettingsError(f"there is no question {id!r}", hint="`nightmill waiting` lists what waits for you")
            self._may(connection, found, state, by=by, answer=answer)
            return self._close(connection, found, state=state, by=by, answer=answer)

    def _may(self, connection: sa.Connection, found: Question, state: State, *, by: str, answer: str) -> None:
        if found.state != "open":
            raise SettingsError(
                f"{found.title!r} was {found.state} by {found.by} before", hint=f"nightmill show {found.run}"
            )
        if _is_due(found, self._now(connection)):
            raise SettingsError(f"{found.title!r} is no longer asked: its time is over", hint="run its spec again")
        if (state == "answered") != (found.kind == "answer"):
            verb = "answer" if found.kind == "answer" else "approve"
            raise SettingsError(
                f"{found.title!r} wants {'an answer' if found.kind == 'answer' else 'a yes or a no'}",
                hint=f"nightmill {verb} {found.run}",
            )
        live = connection.execute(sa.select(runs.c.state).where(runs.c.id == found.run)).scalar()
        if live is None or live in OVER:
            raise SettingsError(f"run {found.run} is {live or 'gone'}: nothing waits for it", hint="nightmill runs")
        must_be_allowed(found, by)
        if found.options and state == "answered" and answer not in found.options:
            raise SettingsError(f"{answer!r} is none of its answers", hint=f"one of: {', '.join(found.options)}")

    def _close(self, connection: sa.Connection, found: Question, *, state: State, by: str, answer: str) -> Question:
        """Write the end of *found*, tell it, and wake its run, which looks for itself what has become of it."""
        said = storable(answer if answer in found.options else self.database.hidden.text(answer))
        ended = replace(found, state=state, by=storable(by), answer=said, decided=self._now(connection))
        values = {name: _row(ended)[name] for name in ("state", "by", "answer", "decided")}
        connection.execute(table.update().where(table.c.id == found.id, table.c.state == "open").values(**values))
        self._tell(connection, _decided(ended))
        if by != CLOCK:
            # Who paused or cancelled it is not overruled: then the decision is found when it goes on.
            waits = (runs.c.id == found.run, runs.c.wanted == "run", runs.c.state.not_in(OVER))
            connection.execute(runs.update().where(*waits).values(wanted_by=ended.by, wishes=runs.c.wishes + 1))
        return ended

    def _storable(self, question: Question) -> Question:
        title = storable(self.database.hidden.text(question.title))
        return replace(question, title=title, options=tuple(map(storable, question.options)))

    def _tell(self, connection: sa.Connection, told: QuestionAsked | QuestionDecided) -> None:
        chain.append(connection, [chain.fact(told, at=self.clock())])

    def _find(self, connection: sa.Connection, id: str) -> Question | None:
        row = connection.execute(sa.select(table).where(table.c.id == id)).mappings().one_or_none()
        return None if row is None else _question(row)

    def _now(self, connection: sa.Connection) -> float:
        return float(connection.execute(sa.select(self.database.now)).scalar_one())

    def _all(self, query: sa.Select[Any]) -> list[Question]:
        with self.database.read() as connection:
            return [_question(row) for row in connection.execute(query).mappings()]


def _is_due(question: Question, now: float) -> bool:
    return question.state == "open" and 0 < question.expires <= now


def _asked(made: Question) -> QuestionAsked:
    return QuestionAsked(
        run=made.run,
        question=made.id,
        kind=made.kind,
        step=made.step,
        title=made.title,
        body=made.body,
        tree=made.tree,
        policy=made.policy,
        expires=made.expires,
    )


def _decided(ended: Question) -> QuestionDecided:
    return QuestionDecided(
        run=ended.run,
        question=ended.id,
        state=ended.state,
        by=ended.by,
        answer=ended.answer,
        tree=ended.tree,
        policy=ended.policy,
    )


LISTS = ("options", "barred", "approvers")


def _row(question: Question) -> dict[str, Any]:
    plain = {column.name: getattr(question, column.name) for column in table.c}
    return {**plain, **{name: json.dumps(plain[name]) for name in LISTS}}


def _question(row: Any) -> Question:
    return Question(**{**row, **{name: tuple(json.loads(row[name])) for name in LISTS}})
