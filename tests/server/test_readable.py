"""What looks like a secret is seen by nobody: as little in a turn, a file or a change as while it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightmill.store.redaction import Redaction
from tests.client.conftest import Login, at, login
from tests.server.conftest import House, role
from tests.server.past import went
from tests.server.test_change import opened

__all__ = ["at", "login"]

HTML = {"Accept": "text/html"}
WORD = "q7Zr9Xk2Lm4Vt8Bn6Wc3Yd5Hs1Jf0Pg"
GIVEN = "hunter2horse9"
WROTE = f"{WORD} lets in, as does password={GIVEN}"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----\n"


def test_a_turn_and_what_it_wrote_are_read_without_it_by_people_and_by_programs(
    house: House, tmp_path: Path, login: Login
) -> None:
    run = went(house, tmp_path, wrote=WROTE)
    with house.browser("ada@example.org", role("operator")) as client:
        page = client.get(f"/runs/{run}", headers=HTML).text
        moment = client.get(f"/runs/{run}/moment", params={"to": "developer/1"}, headers=HTML).text
    afar = login("bob@example.org", "operator")
    told = [part.text for part in afar.turn(run, role="developer", number=1)]
    found = afar.moment(run, turn=1)

    for seen in (page, moment, *told, afar.diff(run), found.said, *(each.about for each in found.results)):
        assert WORD not in seen
        assert GIVEN not in seen
    assert page.count("******** lets in, as does password=********") >= 4
    assert sum("******** lets in" in each for each in told) == 3


def test_a_change_is_read_without_it_and_has_as_many_lines_as_it_had(house: House, tmp_path: Path) -> None:
    shop = opened(house, tmp_path / "shop", said=WROTE, more=f"\n\n{WORD}\n{KEY}LAST = 1\n")
    with house.browser("ada@example.org", role("approver")) as client:
        page = client.get(shop.path, headers=HTML).text
    with house.program("bob@example.org", role("viewer")) as client:
        afar = client.get(f"/api/v1/projects/{shop.project}/changes/1/diff").json()["diff"]

    for seen in (page, afar):
        assert WORD not in seen
        assert GIVEN not in seen
        assert "MIIE" not in seen
    assert "AC1 needs a sum. ******** lets in" in page
    lines = afar.split("\n")
    last = lines.index("+LAST = 1")
    assert lines[last - 5 : last] == [
        "+********",
        "+-----BEGIN PRIVATE KEY-----",
        "+********",
        "+********",
        "+-----END PRIVATE KEY-----",
    ]


@pytest.mark.parametrize(
    "text", ["", "\n", "no diff", "@@ -1 +1 @@\n-a\n+b\n", "+ -----BEGIN PRIVATE KEY-----\n \n+x\n"]
)
def test_a_diff_without_secrets_is_as_it_was_or_has_as_many_lines(text: str) -> None:
    assert Redaction().patch(text).count("\n") == text.count("\n")
