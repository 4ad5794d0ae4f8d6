"""A yes to a blueprint is kept once, told once, and taken back once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from nightmill.store import Database, Ledger, blueprints, tables
from nightmill.store.blueprints import Approval

YES = Approval(
    project="p", name="a", closure="c" * 64, digest="d" * 64, version=3, parts=("a ddd", "b shipped"), by="Ada", at=5.0
)


def told(database: Database) -> list[tuple[str, str]]:
    return [(each.name, each.event().by) for each in Ledger(database, lambda: 0.0).read()]  # type: ignore[attr-defined]


def test_an_approval_is_kept_and_told_once_however_many_give_it(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: blueprints.approve(database, replace(YES, at=at)), (5.0, 6.0, 7.0, 8.0)))

    assert len(blueprints.kept(database, "p")) == 1
    assert told(database) == [("blueprint_approved", "Ada")]
    assert blueprints.kept(database, "q") == []
    assert blueprints.kept(database, "p", "b") == []


def test_an_approval_is_taken_back_once_and_can_be_given_again(database: Database) -> None:
    blueprints.approve(database, YES)

    assert blueprints.revoke(database, YES, by="Bob", at=6.0)
    assert not blueprints.revoke(database, YES, by="Eve", at=7.0)
    assert [(each.stands, each.revoked_by, each.revoked) for each in blueprints.kept(database, "p")] == [
        (False, "Bob", 6.0)
    ]

    blueprints.approve(database, replace(YES, at=8.0, by="Eve"))
    assert blueprints.kept(database, "p") == [replace(YES, at=8.0, by="Eve")]
    assert told(database) == [
        ("blueprint_approved", "Ada"),
        ("blueprint_revoked", "Bob"),
        ("blueprint_approved", "Eve"),
    ]


def test_nothing_is_approved_that_the_ledger_does_not_tell(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            sa.insert(tables.event).values(  # the next number is taken: the ledger cannot be written
                seq=2**62, at=0.0, run="", name="x", key=None, body="{}", previous="0", hash="0"
            )
        )
        connection.execute(
            sa.insert(tables.event).values(
                seq=2**63 - 1, at=0.0, run="", name="x", key=None, body="{}", previous="0", hash="0"
            )
        )

    with pytest.raises((sa.exc.SQLAlchemyError, OverflowError)):
        blueprints.approve(database, YES)
    assert blueprints.kept(database, "p") == []
