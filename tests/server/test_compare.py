"""Two runs side by side: what they have in common, where they part, and what came of each; for whoever may see both."""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from nightmill import event as e
from nightmill.access import ACTS
from nightmill.cli.compare import written
from nightmill.client import Client, Connection, ServerDesk
from nightmill.desk.compare import compare
from nightmill.desk.nouns import Comparison
from nightmill.errors import SettingsError
from nightmill.estate.file import identify
from tests import whole
from tests.server.conftest import House, role

HOSTILE = "<script>alert(1)</script>\u202e"
ADA = "Ada <ada@example.org>"
RECORD = sha256(b"{}").hexdigest()


def turn(run: str, number: int, said: str, *, cost: float | None = 0.01) -> tuple[e.Event, ...]:
    usage = {"input": 1000, "output": 100}
    call = e.ToolFinished(
        run=run, turn=number, call="c", tool="run_command", ok=number % 2 == 0, label=f"make {said}", seconds=0.1
    )
    return (
        call,
        e.TurnFinished(
            run=run,
            turn=number,
            role="developer",
            model="m",
            record=RECORD,
            snapshot="s",
            usage=usage,
            cost=cost,
            calls=1,
            seconds=2.0,
            said=said,
        ),
    )


@pytest.fixture
def runs(house: House, tmp_path: Path) -> House:
    """`rold` with three turns, `rnew` that goes on from its second with a file edited, `rnext` from the first of that."""
    root = whole.repository(tmp_path / "shop")
    project, hub = identify(root), house.door.hub(identify(root))
    hub.create()
    house.door.blobs.put(b"{}")
    hub.advance("main", hub.take(root, "main"))
    commits = []
    for text in ("a + b", "b + a"):
        (root / "calc.py").write_text(whole.FILES["calc.py"].replace("a - b", text))
        whole.commit(root, text)
        commits.append(hub.take(root, "main"))

    def begin(name: str, origin: str = "") -> None:
        queued = e.RunQueued(
            run=name, kind="task", title=f"Add {HOSTILE}", project=project, spec="s", model="m", origin=origin
        )
        house.door.runs.create(queued, assignment="a")

    begin("rold")
    house.tell(*(each for number in (1, 2, 3) for each in turn("rold", number, f"old {number}")))
    begin("rnew", "rold@developer/2")
    edited = e.PastEdited(run="rnew", kind="file", what=f"a{HOSTILE}", at="developer/2", body="b", by=ADA)
    house.tell(edited, e.RunForked(run="", before="rold", child="rnew", at="developer/2", by=ADA))
    house.tell(*turn("rnew", 3, f"new 3 {HOSTILE}", cost=None), *turn("rnew", 4, "new 4"))
    begin("rnext", "rnew@developer/3")
    house.tell(*turn("rnext", 4, "next 4"))
    for name, commit in zip(("rold", "rnew"), commits, strict=True):
        house.tell(e.CommitMade(run=name, commit=commit, tree=hub.tree(commit), branch="b", author="a"))
    return house


def numbers(turns: Any) -> list[tuple[str, int]]:
    return [(each.run, each.number) for each in turns]


def test_what_two_runs_have_in_common_ends_where_the_one_goes_on_from_the_other(runs: House) -> None:
    found = compare(runs.door, "rold", "rnew")

    assert numbers(found.common) == [("rold", 1), ("rold", 2)]
    assert numbers(found.left.turns) == [("rold", 3)]
    assert numbers(found.right.turns) == [("rnew", 3), ("rnew", 4)]
    assert (found.right.tokens, found.right.cost, found.right.priced, found.right.seconds) == (2200, 0.01, False, 4.0)
    assert found.right.said[0].startswith(f"{ADA} edited the file a")
    assert "-    return a + b" in found.diff
    assert "+    return b + a" in found.diff

    cousin = compare(runs.door, "rnext", "rold")
    assert numbers(cousin.common) == [("rold", 1), ("rold", 2)]
    assert numbers(cousin.left.turns) == [("rnew", 3), ("rnext", 4)], "what it comes from is its own, too"
    assert cousin.amiss == "nothing of rnext has left its sandbox yet"


def test_runs_that_cannot_be_compared_are_told_apart(runs: House) -> None:
    runs.run("relse", project="other")
    for other, why in (("relse", "two projects"), ("rold", "one run"), ("rnone", "no run")):
        with pytest.raises(SettingsError, match=why):
            compare(runs.door, "rold", other)


def cells(found: Comparison, width: int) -> list[str]:
    return [line for line in written(found, width=width) if not line.startswith(("+", "-", " ", "@", "diff", "index"))]


def test_it_is_side_by_side_where_there_is_room_and_one_below_the_other_where_not(runs: House) -> None:
    found = compare(runs.door, "rold", "rnew")
    wide, narrow = (cells(found, width) for width in (200, 80))

    assert max(map(cell_len, wide)) <= 200
    assert max(map(cell_len, narrow)) <= 80
    (beside,) = (line for line in wide if line.startswith("rold: "))
    assert beside.index("rnew: ") > 90
    assert [line[:6] for line in narrow if line.startswith(("rold: ", "rnew: "))] == ["rold: ", "rnew: "]
    assert not any("\u202e" in line for line in (*wide, *narrow) if "\\u202e" not in line)


def test_who_may_see_both_sees_them_and_nobody_else_learns_that_they_are_there(runs: House) -> None:
    project = runs.door.runs.get("rold").project
    runs.run("rother", project="other")
    with runs.browser("ada@example.org", role("viewer", project)) as client:
        page = client.get("/runs/rold/compare/rnew")
        json = client.get("/api/v1/runs/rold/compare/rnew")
        hidden, none = [client.get(f"/api/v1/runs/rold/compare/{each}") for each in ("rother", "rnone")]
        linked = [client.get(f"/runs/{each}").text for each in ("rold", "rnew")]

    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "new 3" in page.text
    assert json.json()["common"][1]["number"] == 2
    assert (hidden.status_code, none.status_code) == (404, 404)
    assert hidden.json()["detail"].replace("rother", "") == none.json()["detail"].replace("rnone", "")
    assert all('href="/runs/rold/compare/rnew"' in each for each in linked)


def test_who_operates_goes_on_from_a_turn_with_a_button_and_who_looks_has_none(runs: House) -> None:
    project = runs.door.runs.get("rold").project
    form = {"to": "developer/2", "instruction": "Leave a note."}
    with runs.browser("eve@example.org", role("viewer", project)) as client:
        assert "/rewind" not in client.get("/runs/rold").text
        assert client.post("/runs/rold/rewind", data=form).status_code == 403
    with runs.browser("ada@example.org", role("operator", project)) as client:
        assert '<option value="developer/2">' in client.get("/runs/rold").text
        assert client.post("/runs/rold/rewind", data=form, headers={"Origin": "http://else"}).status_code == 403
        assert client.post("/runs/rold/rewind", data={"to": "two"}).status_code == 422
        refused = client.post("/runs/rold/rewind", data=form, headers={"Accept": "text/html"})

    assert refused.status_code == 409
    assert "never prepared" in refused.text


def test_a_server_gives_what_its_store_has(runs: House) -> None:
    ada = runs.let_in("ada@example.org", role("viewer", runs.door.runs.get("rold").project))
    token = runs.site.keys.make("test", owner=ada, scopes=ACTS, seconds=3600)
    with closing(Connection(runs.url, token)) as connection:
        desk = ServerDesk(Client(connection))
        assert desk.compare("rold", "rnew") == compare(runs.door, "rold", "rnew")
        with pytest.raises(SettingsError, match="no run"):
            desk.compare("rold", "rnone")
