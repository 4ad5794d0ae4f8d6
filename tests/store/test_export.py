"""What was taken along is proven without the store that it came from."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from nightmill import event as e
from nightmill.errors import SettingsError
from nightmill.store import Database, Ledger, Runs, chain, export, retention, seal, tables

GUIDE = Path(__file__).parents[2] / "docs/guides/ledger.md"


def told(database: Database) -> Ledger:
    ledger = Ledger(database, lambda: 1234.5678901234567)
    queued = e.RunQueued(run="r1", kind="task", title="Ärger \ud800 \u202e", project="p", spec="s", model="m")
    Runs(database, lambda: 5.0).create(queued, assignment="a")
    ledger.append([*[e.PhaseStarted(run="r1", phase=str(number)) for number in range(4)], e.RunDone(run="r1")])
    return ledger


def written(ledger: Ledger, file: Path) -> list[str]:
    file.write_text("".join(export.line(each) for each in ledger.read()), encoding="utf-8")
    return file.read_text(encoding="utf-8").splitlines(keepends=True)


def test_an_export_holds_without_the_store_also_where_words_were_forgotten(database: Database, tmp_path: Path) -> None:
    ledger, file = told(database), tmp_path / "ledger.jsonl"
    written(ledger, file)
    assert export.verify(file) == export.Exported(1, 6, None, {})

    assert retention.forget(database, before=2000.0, by="Ada <ada@example.org>", at=3000.0).entries
    lines = written(ledger, file)
    assert json.loads(lines[1])["body"] == {"forgotten": True}
    assert export.verify(file, hashes={2}) == export.Exported(1, 7, None, {2: json.loads(lines[1])["hash"]})


def proves(folder: Path) -> Callable[..., str]:
    """The program of the guide: what it says of these files, "" if all of it holds."""
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "prove.py").write_text(program, encoding="utf-8")

    def run(*files: Path) -> str:
        made = subprocess.run(
            [sys.executable, "-I", folder / "prove.py", *files], cwd=folder, capture_output=True, text=True, check=False
        )
        assert "nightmill" not in made.stderr or made.returncode
        return made.stderr.strip().rpartition("\n")[2] if made.returncode else ""

    return run


def test_what_the_guide_says_is_enough_to_prove_a_ledger_without_us(database: Database, tmp_path: Path) -> None:
    ledger, file, seals = told(database), tmp_path / "ledger.jsonl", tmp_path / "seals.jsonl"
    prove, signer = proves(tmp_path), seal.key(tmp_path / "home")
    first = seal.seal(database, signer, at=9.0).text()
    assert retention.forget(database, before=2000.0, by="Ada <ada@example.org>", at=3000.0).entries
    ledger.append([e.PhaseStarted(run="r1", phase="later")])
    seals.write_text(f"{first}\n{seal.seal(database, signer, at=10.5).text()}\n")
    lines = written(ledger, file)
    assert prove(file, seals) == ""

    wrong = {
        "cut": lines[:-1],
        "emptied": [*lines[:-1], json.dumps(json.loads(lines[-1]) | {"body": {"forgotten": True}}) + "\n"],
        "another was forgotten": [lines[0], lines[1].replace('"r1"', '"r2"', 1), *lines[2:]],
        "changed": [lines[0].replace('"p"', '"q"'), *lines[1:]],
        "missing": lines[1:],
    }
    for what, its in wrong.items():
        file.write_text("".join(its), encoding="utf-8")
        assert prove(file, seals).startswith("AssertionError"), what
        assert what == "cut" or export.verify(file).broken, what
    file.write_text("".join(lines), encoding="utf-8")
    seals.write_text(first.replace('"seq":6', '"seq":7'))
    assert "InvalidSignature" in prove(file, seals)


def changed(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2].replace('"phase": "1"', '"phase": "9"'), *lines[3:]]


def emptied(lines: list[str]) -> list[str]:
    plain = json.loads(lines[2]) | {"body": json.loads(chain.FORGOTTEN)}
    return [*lines[:2], json.dumps(plain) + "\n", *lines[3:]]


@pytest.mark.parametrize(
    ("tamper", "at", "reason"),
    [
        (changed, 3, "the row was changed after it was written"),
        (emptied, 3, "it was emptied, and nothing says by whom"),
        (lambda lines: [*lines[:2], *lines[3:]], 3, "the row is missing"),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4, "the row is missing"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 3, "the row is missing"),
    ],
)
def test_what_was_changed_in_an_export_is_found(
    database: Database, tmp_path: Path, tamper: Callable[[list[str]], list[str]], at: int, reason: str
) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_text("".join(tamper(written(told(database), file))), encoding="utf-8")

    assert export.verify(file).broken == chain.Broken(seq=at, reason=reason)


def test_an_entry_that_answers_for_others_is_held_against_what_was_read_of_it_before(
    database: Database, tmp_path: Path
) -> None:
    ledger = told(database)
    retention.forget(database, before=2000.0, by="Ada <ada@example.org>", at=3000.0)
    written(ledger, tmp_path / "ledger.jsonl")
    with database.read() as connection:
        rows = connection.execute(sa.select(tables.event).order_by(tables.event.c.seq)).mappings().all()
    said = json.loads(rows[-1]["body"])

    sound = chain.check(rows, after=0, previous=chain.FIRST, gone=chain.Gone([(7, said)]))
    other = chain.check(rows, after=0, previous=chain.FIRST, gone=chain.Gone([(7, said | {"count": 99})]))

    assert sound is None
    assert other == chain.Broken(seq=7, reason="other entries were emptied than it says")


def test_a_part_of_an_export_is_held_against_its_first_entry(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    lines = written(told(database), file)
    file.write_text("".join(lines[3:]), encoding="utf-8")

    assert export.verify(file) == export.Exported(4, 6, None, {})


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "7", '{"seq":1}', "\xff", "\n"])
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(SettingsError, match=r"ledger\.jsonl:1: this is no entry"):
        export.verify(file)
