"""What is old is forgotten, and the chain shows that it was, which of it, and by whom; nothing else may look like that."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightmill import event as e
from nightmill.store import Database, Ledger, Runs, chain, retention, seal, tables

ADA = "Ada <ada@example.org>"
WORDS = "what somebody said"


class Past:
    """A ledger, told at the times that a test sets."""

    def __init__(self, database: Database) -> None:
        self.database, self.now = database, 0.0
        self.ledger = Ledger(database, lambda: self.now)

    def run(self, name: str, *, at: float, over: bool = True) -> None:
        """A run with some words, told at *at*."""
        self.now = at
        queued = e.RunQueued(run=name, kind="task", title="t", project="p", spec="s", model="m")
        Runs(self.database, lambda: self.now).create(queued, assignment="a")
        told = [
            e.RunStarted(run=name, worker="w"),
            e.AgentNudged(run=name, turn=1, guard="g", message=WORDS),
            e.QuestionDecided(run=name, question="q", state="granted", by=ADA, answer="yes, and why"),
        ]
        self.ledger.append([*told, *([e.RunDone(run=name)] if over else [])])

    def forget(self, *, before: float, **more: Any) -> retention.Forgetting:
        return retention.forget(self.database, before=before, by=ADA, at=99.0, **more)

    def names(self) -> list[str]:
        """Each entry's name, "-" for one without its words."""
        return ["-" if isinstance(each.event(), e.Forgotten) else each.name for each in self.ledger.read()]

    def change(self, **values: Any) -> None:
        with self.database.write() as connection:
            seq = values.pop("seq")
            connection.execute(tables.event.update().where(tables.event.c.seq == seq).values(**values))


@pytest.fixture
def past(database: Database) -> Past:
    return Past(database)


GONE = ["run_queued", "-", "-", "question_decided", "-"]
KEPT = ["run_queued", "run_started", "agent_nudged", "question_decided", "run_done"]


def test_words_go_and_decisions_and_the_chain_stay(past: Past) -> None:
    past.run("old", at=10.0)
    past.run("young", at=20.0)
    made = seal.seal(past.database, Ed25519PrivateKey.generate(), at=21.0)

    assert past.forget(before=15.0, pretend=True) == (5, 3)
    assert past.names() == KEPT * 2
    assert past.forget(before=15.0) == (5, 3)

    assert past.names() == [*GONE, *KEPT, "entries_forgotten"]
    assert past.ledger.verify() is None
    assert [past.ledger.verify(after=seq) for seq in range(1, 12)] == [None] * 11
    assert seal.broken(past.database, made) is None
    said = past.ledger.read()[-1].event()
    assert isinstance(said, e.EntriesForgotten)
    assert (said.by, said.upto, said.count, said.before) == (ADA, 5, 3, 15.0)
    assert past.ledger.read()[1].event() == e.Forgotten(run="old", was="run_started")


def test_forgetting_goes_on_where_it_ended_and_finds_nothing_twice(past: Past) -> None:
    past.run("first", at=10.0)
    past.run("second", at=20.0)
    past.forget(before=15.0)
    past.run("third", at=100.0)
    past.run("fourth", at=110.0)

    assert past.forget(before=15.0) == (5, 0)
    assert past.forget(before=105.0) == (16, 6)
    assert past.forget(before=105.0).entries == 0

    assert past.names() == [*GONE, *GONE, "entries_forgotten", *GONE, *KEPT, "entries_forgotten"]
    assert past.ledger.verify() is None
    assert [past.ledger.verify(after=seq) for seq in range(1, 22)] == [None] * 21


def test_nothing_goes_from_the_first_entry_on_of_a_run_that_is_not_over_or_not_merged(past: Past) -> None:
    past.run("old", at=10.0)
    past.run("waits", at=11.0, over=False)
    past.run("younger", at=12.0)

    assert past.forget(before=50.0) == (5, 3)
    past.ledger.append([e.RunDone(run="waits")])
    request = {
        "project": "p",
        "number": 1,
        "key": "k",
        "run": "waits",
        "title": "t",
        "body": "b",
        "branch": "b",
        "target": "m",
    }
    request |= {"head": "h", "base": "b", "tree": "t", "verdict": "v", "author": "a", "state": "open"}
    with past.database.write() as connection:
        connection.execute(tables.pull_request.insert().values(**request, passed=True, opened=1.0))
    assert past.forget(before=50.0).entries == 0
    with past.database.write() as connection:
        connection.execute(tables.pull_request.update().values(state="merged"))
    assert past.forget(before=50.0).entries == 5
    assert past.ledger.verify() is None


def test_on_sqlite_the_words_are_not_left_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    database = Database.open(f"sqlite:///{file}")
    past = Past(database)
    for number in range(200):
        past.run(f"r{number}", at=1.0)
    past.ledger.append([e.AgentNudged(run="r1", turn=1, guard="g", message=WORDS * 2_000)])  # more than a page holds
    past.forget(before=2.0)
    database.close()

    assert not [path for path in tmp_path.iterdir() if WORDS.encode() in path.read_bytes()]


def test_what_is_forgotten_while_the_chain_is_verified_is_not_half_seen(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'store.db'}")
    past = Past(database)
    past.run("old", at=1.0)
    left = [1]

    def forget(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if left and statement.startswith("SELECT event") and "LIMIT" in statement:  # a page of entries
            left.clear()
            assert past.forget(before=2.0).entries == 3

    sa.event.listen(database.engine, "before_cursor_execute", forget)
    during = past.ledger.verify()
    sa.event.remove(database.engine, "before_cursor_execute", forget)

    assert left == []
    assert during is None
    assert past.ledger.verify() is None
    database.close()


def test_on_postgresql_the_words_are_not_left_in_the_files_of_the_database(fresh_postgres: str) -> None:
    database = Database.open(fresh_postgres)
    past = Past(database)
    for number in range(20):
        past.run(f"r{number}", at=1.0)
    with psycopg.connect(fresh_postgres, autocommit=True) as connection:
        query = "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('nightmill.event')"
        (file,) = connection.execute(query).fetchone() or ("",)

        def left() -> list[Path]:
            connection.execute("CHECKPOINT")
            return [path for path in Path(file).parent.iterdir() if WORDS.encode() in path.read_bytes()]

        assert left(), "they are on the disk"
        past.forget(before=2.0)
        assert left() == []
    assert past.ledger.verify() is None
    database.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seq": 9, "body": chain.FORGOTTEN}, "nothing says by whom"),
        ({"seq": 4, "body": chain.FORGOTTEN}, "other entries"),
        ({"seq": 5, "run": "another"}, "other entries"),
        ({"seq": 5, "at": 1.0}, "other entries"),
        ({"seq": 5, "name": "run_stopped"}, "other entries"),
        ({"seq": 2, "body": "{}"}, "was changed"),
        ({"seq": 2, "hash": "0" * 64}, "does not follow"),
        ({"seq": 11, "body": chain.FORGOTTEN}, "nothing says by whom"),
    ],
    ids=["young", "a decision", "a run", "a time", "a name", "other words", "a hash", "the forgetting itself"],
)
def test_what_only_looks_forgotten_breaks_the_chain(past: Past, change: dict[str, Any], reason: str) -> None:
    past.run("old", at=10.0)
    past.run("young", at=20.0)
    past.forget(before=15.0)

    past.change(**change)

    assert reason in getattr(past.ledger.verify(), "reason", "it holds")


def test_an_entry_beyond_what_was_forgotten_is_not_covered_by_a_forgetting_with_a_digest_of_its_own(past: Past) -> None:
    past.run("old", at=10.0)
    past.run("young", at=20.0)
    past.forget(before=15.0)
    with past.database.write() as connection:
        body = json.loads(
            connection.execute(sa.select(tables.event.c.body).where(tables.event.c.seq == 11)).scalar_one()
        )
    past.change(seq=11, body=chain.canonical({**body, "upto": 9}))

    assert past.ledger.verify() is not None


def test_who_was_let_in_with_what_and_as_whom_is_never_forgotten() -> None:
    about = {"address", "token", "hook", "called"}
    people = {name for name, each in e.EVENTS.items() if about & {field.name for field in fields(each)}}

    assert {"identity_bound", "grant_changed", "token_revoked", "hook_added", "secret_kept"} <= people
    assert people - chain.LASTING == set()


def test_what_was_forgotten_before_its_kind_was_kept_for_good_is_bound_by_the_entry_that_says_so(past: Past) -> None:
    past.ledger.append([e.IdentityBound(run="", address="ada@example.org", issuer="i", subject="s")])
    past.run("old", at=10.0)
    emptied, digest = (1, 3, 4), chain.Digest()
    with past.database.write() as connection:
        for row in connection.execute(sa.select(tables.event).where(tables.event.c.seq.in_(emptied))).mappings():
            digest.add(row)
    for seq in emptied:
        past.change(seq=seq, body=chain.FORGOTTEN)
    said = e.EntriesForgotten(run="", upto=6, count=3, digest=digest.text(), before=15.0, by=ADA)
    past.ledger.append([said])
    past.run("young", at=20.0)

    assert [past.ledger.verify(after=after) for after in (0, 1, 5, 7)] == [None] * 4
    past.forget(before=15.0)
    assert past.ledger.verify() is None, "and it goes on"
    past.change(seq=1, at=3.0)
    assert "other entries" in getattr(past.ledger.verify(), "reason", "it holds")


def test_forgotten_entries_cannot_be_chained_anew_among_themselves(past: Past) -> None:
    past.run("old", at=10.0)
    past.run("young", at=20.0)
    past.forget(before=15.0)
    assert past.names()[1:3] == ["-", "-"]
    assert past.ledger.verify() is None

    past.change(seq=2, hash="0" * 64)
    past.change(seq=3, previous="0" * 64)

    assert "other entries" in getattr(past.ledger.verify(), "reason", "it holds")
