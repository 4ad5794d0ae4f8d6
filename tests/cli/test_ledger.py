"""The ledger by the command line: looked through, taken along, proven where its store is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightmill import event as e
from tests.whole import Mill


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    """An installation whose ledger holds something."""
    made = Mill(folder=tmp_path)
    with made.door() as door:
        ada = "Ada <ada@example.org>"
        told = [
            e.GrantChanged(run="", address=f"{name}@x.org", project="cart", by=ada) for name in ("eve", "bob", "joe")
        ]
        door.ledger.append([*told, e.RunStarted(run="r1", worker="w")])
        door.ledger.close()
    return made


def test_entries_are_found_as_lines_and_what_is_further_back_is_said(mill: Mill) -> None:
    found = mill.run("ledger", "search", "CART", "--who", "ada", "--name", "grant", "--limit", "2")

    assert [json.loads(line)["body"]["address"] for line in found.stdout.splitlines()] == ["joe@x.org", "bob@x.org"]
    assert "--before 2" in found.stderr
    further = mill.run("ledger", "search", "CART", "--before", "2")
    assert [json.loads(line)["seq"] for line in further.stdout.splitlines()] == [1]
    assert "may be more" not in further.stderr
    assert mill.run("ledger", "search", "c%rt").stdout == ""
    wrong = mill.run("ledger", "search", "--since", "yesterday")
    assert wrong.returncode
    assert "'yesterday' is no time" in wrong.stderr


def test_an_export_and_its_seals_are_proven_without_the_store(mill: Mill, tmp_path: Path) -> None:
    file, seals = tmp_path / "ledger.jsonl", tmp_path / "seals.jsonl"
    mill.run("ledger", "export", file)
    mill.run("ledger", "seal", seals)
    other = Mill(folder=tmp_path / "elsewhere")
    whole = other.run("ledger", "verify", file, "--seals", seals)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]))
    cut = other.run("ledger", "verify", file, "--seals", seals)
    file.write_text("".join([lines[0].replace("eve@", "mal@"), *lines[1:]]))
    changed = other.run("ledger", "verify", file)

    assert (whole.returncode, cut.returncode, changed.returncode) == (0, 1, 1)
    assert "4 entries" in whole.stdout + whole.stderr
    assert "seal 1: entry 4: the row is missing" in cut.stdout + cut.stderr, "a chain alone does not show its end"
    assert "entry 1: the row was changed" in changed.stdout + changed.stderr
    assert not other.home.exists(), "no store was made for that"
