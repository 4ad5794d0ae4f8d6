"""A seal from before shows what the chain alone cannot: an end that was cut off, a ledger that was written anew."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightmill import event as e
from nightmill.errors import SettingsError
from nightmill.store import Database, Ledger, seal


def tell(database: Database, *words: str) -> Ledger:
    ledger = Ledger(database, lambda: 5.0)
    ledger.append([e.PhaseStarted(run="r1", phase=word) for word in words])
    return ledger


def test_what_was_sealed_holds_while_more_is_told(database: Database, tmp_path: Path) -> None:
    tell(database, "one", "two")
    made = seal.seal(database, seal.key(tmp_path), at=9.0)
    tell(database, "three")

    assert made.seq == 2
    assert seal.read(json.loads(made.text())) == made
    assert seal.broken(database, made) is None


def test_an_end_that_was_cut_off_and_a_ledger_written_anew_are_seen(database: Database, tmp_path: Path) -> None:
    ledger = tell(database, "one", "two", "three")
    made = seal.seal(database, seal.key(tmp_path), at=9.0)
    with database.write() as connection:
        connection.execute(sa.text("DELETE FROM event WHERE seq = 3"))
    assert ledger.verify() is None, "the chain alone does not see it"
    assert getattr(seal.broken(database, made), "reason", "") == "the row is missing"

    tell(database, "another three")
    assert ledger.verify() is None
    assert getattr(seal.broken(database, made), "reason", "") == "another row was sealed in its place"


def test_what_was_sealed_when_nothing_was_told_holds(database: Database, tmp_path: Path) -> None:
    made = seal.seal(database, seal.key(tmp_path), at=9.0)
    assert seal.broken(database, made) is None
    tell(database, "one")
    assert seal.broken(database, made) is None


def test_the_key_is_made_once_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    first, second = seal.key(tmp_path / "home"), seal.key(tmp_path / "home")

    assert first.private_bytes_raw() == second.private_bytes_raw()
    assert (tmp_path / "home/ledger.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["ledger.key"]


def test_whoever_asks_at_once_for_a_key_that_is_not_there_gets_the_same(tmp_path: Path) -> None:
    for number in range(20):
        home = tmp_path / str(number)
        with ThreadPoolExecutor(8) as pool:
            found = {each.private_bytes_raw() for each in pool.map(seal.key, [home] * 8)}
        assert len(found) == 1
        assert [path.name for path in home.iterdir()] == ["ledger.key"]


@pytest.mark.parametrize("change", [{"seq": 1}, {"hash": "0" * 64}, {"at": 1.0}, {"key": "00" * 32}, {"signature": ""}])
def test_a_seal_that_was_changed_is_none(database: Database, tmp_path: Path, change: dict[str, object]) -> None:
    tell(database, "one", "two")
    made = replace(seal.seal(database, seal.key(tmp_path), at=9.0), **change)  # type: ignore[arg-type]

    with pytest.raises(SettingsError, match="no seal"):
        seal.read(json.loads(made.text()))


def test_a_seal_by_another_key_says_so(database: Database) -> None:
    made = seal.seal(database, Ed25519PrivateKey.generate(), at=9.0)

    assert made.key != seal.seal(database, Ed25519PrivateKey.generate(), at=9.0).key
