"""The ledger is looked through from afar as it is on the machine: the same lines, the same bounds, the same refusals."""

from __future__ import annotations

import json
import re

from nightmill import event as e
from nightmill.desk import evidence
from nightmill.store import search
from tests.cli.test_alike import Both, both
from tests.cli.test_evidence import told

__all__ = ["both", "told"]

LOOKS = [
    (),
    ("one",),
    ("ONE", "rshop"),
    ("nobody said that",),
    ("--who", "kim@"),
    ("--who", "nobody"),
    ("--name", "phase", "--limit", "2"),
    ("--name", "Run q"),
    ("--name", "phse_started"),
    ("--name", "\u202enothing like it"),
    ("--run", "rshop"),
    ("--run", "rnone"),
    ("--since", "2020-01-01", "--until", "2020-01-02"),
    ("--since", "2020-01-01T20:00"),
    ("--until", "0001-01-01"),
    ("--until", "9999-12-31"),
    ("--since", "yesterday"),
    ("--before", "4"),
    ("--before", "4", "--limit", "1"),
    ("--before", "-1"),
    ("--limit", "0"),
    ("--limit", "1000"),
    ("x" * 201,),
    ("--run", "x" * 201),
    tuple("abcdefghi"),
    ("\udcff",),
    ("--who", "\udcff"),
]


def test_it_is_looked_through_alike(told: Both) -> None:
    for args in LOOKS:
        here, there = told.local("ledger", "search", *args), told.afar("ledger", "search", *args)
        assert there == here, args
        assert "Traceback" not in here.err
        assert not {"\x1b", "\x9b", "\u202e", "\u2028"} & set(here.out + here.err), args
    assert {json.loads(each)["run"] for each in told.afar("ledger", "search", "one").out.splitlines()} == {
        "rshop1",
        "rbarn1",
    }
    lost = told.afar("ledger", "search", "--name", "phse_started")
    assert (lost.code, lost.err.splitlines()[1].startswith("hint: such as phase_started")) == (1, True)
    assert told.afar("ledger", "search", "--limit", "2").err.startswith("· there may be more: --before ")


def test_what_is_found_at_once_is_bounded_alike_and_goes_on_where_it_ended(told: Both) -> None:
    told.monkeypatch.setattr(search, "LOOKED_THROUGH", 300)
    told.monkeypatch.setattr(evidence, "PAGE", 40)
    told.house.tell(
        *(e.PhaseStarted(run="rshop1", phase=f"{at} {'seldom' if at % 4 else 'often'}") for at in range(1000))
    )
    for args in (
        ("often", "--limit", "90"),
        ("often", "--limit", "900"),
        ("rbarn1",),
        ("nothing such", "--run", "rshop"),
    ):
        here, there = told.local("ledger", "search", *args), told.afar("ledger", "search", *args)
        assert there == here, args
    assert len(told.afar("ledger", "search", "often", "--limit", "90").out.splitlines()) == 90
    assert len(told.afar("ledger", "search", "often", "--limit", "900").out.splitlines()) == 250
    seldom, asked, found = ("ledger", "search", "three", "--run", "rbarn1"), 0, list[str]()
    assert told.afar(*seldom).err == "", "of the run itself there is no more"
    wide, before = told.afar("ledger", "search", "three"), ""
    while not found:
        asked, found = asked + 1, wide.out.splitlines()
        if not found:
            said = re.fullmatch(r"· looked through back to entry (\d+); there may be more: --before \1\n", wide.err)
            assert said, wide
            before = said[1]
            wide = told.afar("ledger", "search", "three", "--before", before)
    assert asked == 4
    assert [json.loads(each)["run"] for each in found] == ["rbarn1", "rshop1"]
