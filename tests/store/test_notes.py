"""Notes are kept once, by project, and go when people or their number say so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nightmill.store import Database, notes
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


def test_the_oldest_go_when_there_are_too_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "KEPT", 3)
    notes.keep(database, [replace(NOTE, key=str(number), at=float(number)) for number in range(5)])
    notes.keep(database, [replace(NOTE, project="q", run="r2")])

    assert notes.prune(database) == 2
    assert [each.key for each in notes.newest(database, "p")] == ["4", "3", "2"]
    assert notes.newest(database, "q")
