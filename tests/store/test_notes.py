"""Notes are kept once, by project, and go when people or their number say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nightmill.errors import SettingsError
from nightmill.event import NotesForgotten
from nightmill.store import Database, Ledger, notes
from nightmill.store.notes import Note

NOTE = Note(
    project="p", run="r1", key="developer/3/1", kind="discovery", who="developer", text="it is so", spec="s", tree="t",
    files={"a.py": "b1"}, at=5.0,
)  # fmt: skip


def test_a_note_that_is_told_again_is_kept_once_as_it_was_first(database: Database) -> None:
    notes.keep(database, [NOTE, replace(NOTE, key="developer/3/2", text="nul \0 and half \ud800")])
    notes.keep(database, [replace(NOTE, text="otherwise"), replace(NOTE, key="developer/4/1", at=6.0)])

    found = notes.newest(database, "p")
    assert [(each.key, each.text) for each in found] == [
        ("developer/4/1", "it is so"),
        ("developer/3/1", "it is so"),
        ("developer/3/2", "nul \\0 and half \\ud800"),
    ]
    assert found[1] == NOTE


def test_a_note_takes_the_place_of_others_of_its_run_alone(database: Database) -> None:
    notes.keep(database, [NOTE])
    notes.keep(database, [replace(NOTE, run="r2")])
    notes.keep(database, [replace(NOTE, key="developer/9/1", text="rather so", at=9.0)], instead=["it is so"])

    assert [each.id for each in notes.newest(database, "p")] == ["r1/developer/9/1", "r2/developer/3/1"]


def test_notes_are_of_one_project_and_are_deleted_there(database: Database) -> None:
    notes.keep(database, [NOTE])
    notes.keep(database, [replace(NOTE, project="q", run="r2")])

    assert notes.forget(database, "q", ["r1/developer/3/1"]) == 0
    assert [each.run for each in notes.newest(database, "p")] == ["r1"]
    assert notes.forget(database, "p") == 1
    assert not notes.newest(database, "p")
    assert notes.newest(database, "q")


def test_who_deletes_notes_is_told_to_the_ledger_and_an_unknown_one_keeps_all(database: Database) -> None:
    notes.keep(database, [NOTE, replace(NOTE, key="b"), replace(NOTE, key="c")])
    ada: dict[str, Any] = {"by": "Ada <ada@example.org>", "at": 9.0}
    with pytest.raises(SettingsError, match="nothing was deleted"):
        notes.delete(database, "p", ["r1/b", "r1/none"], **ada)
    with pytest.raises(SettingsError, match="no note"):
        notes.delete(database, "q", ["r1/b"], **ada)

    assert notes.delete(database, "p", ["r1/b"], **ada) == 1
    assert [each.key for each in notes.newest(database, "p")] == ["c", "developer/3/1"]
    assert [notes.delete(database, "p", None, **ada) for _ in range(2)] == [2, 0]
    told = [each.event() for each in Ledger(database, lambda: 9.0).read()]
    assert [(each.count, each.by) for each in told if isinstance(each, NotesForgotten)] == [
        (1, ada["by"]),
        (2, ada["by"]),
    ]


def test_notes_follow_each_other_page_by_page(database: Database) -> None:
    notes.keep(database, [replace(NOTE, key=f"k/{number}", at=float(number // 3)) for number in range(8)])
    found: list[str] = []
    after = None
    while page := notes.newest(database, "p", most=3, after=after):
        found += [each.id for each in page]
        after = (page[-1].at, page[-1].id)
    assert found == [each.id for each in notes.newest(database, "p")]


def test_the_oldest_go_when_there_are_too_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "KEPT", 3)
    notes.keep(database, [replace(NOTE, key=str(number), at=float(number)) for number in range(5)])
    notes.keep(database, [replace(NOTE, project="q", run="r2")])

    assert notes.prune(database) == 2
    assert [each.key for each in notes.newest(database, "p")] == ["4", "3", "2"]
    assert notes.newest(database, "q")
