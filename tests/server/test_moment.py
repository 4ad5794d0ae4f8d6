"""Where a run is gone on from, what was there is edited in place: a result, files; and nothing that was left alone is an edit."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nightmill import event as e
from nightmill.errors import SettingsError
from nightmill.kept import Back
from nightmill.line.assignment import read
from tests.client.conftest import Login, at, login
from tests.server.conftest import House, role
from tests.server.past import RESULT, went
from tests.server.test_attacks import HOSTILE

__all__ = ["at", "login"]

HTML = {"Accept": "text/html"}


@pytest.fixture
def past(house: House, tmp_path: Path) -> str:
    return went(house, tmp_path, said=HOSTILE)


def form(page: str) -> dict[str, list[str]]:
    """What a browser would send that changes nothing: each line of a text ends as forms have it."""
    fields: dict[str, list[str]] = {}
    body = page.partition('id="onward"')[2].partition("</form>")[0]
    for hidden, area, text in re.findall(
        r'<input type="hidden" (name="[^"]+" value="[^"]*")>|<textarea[^>]*name="(\w+)"[^>]*>\n?(.*?)</textarea>',
        body,
        re.DOTALL,
    ):
        name, value = re.findall(r'name="([^"]+)" value="([^"]*)"', hidden)[0] if hidden else (area, text)
        fields.setdefault(name, []).append(re.sub(r"\r?\n", "\r\n", unescape(value)))
    return fields


def send(client: httpx2.Client, run: str, fields: dict[str, Any]) -> httpx2.Response:
    parts = [(name, (None, each)) for name, values in fields.items() for each in values]
    return client.post(f"/runs/{run}/rewind", files=parts)


def deleted(house: House, answer: httpx2.Response) -> list[tuple[str, str]]:
    made = answer.headers["location"].removeprefix("/runs/")
    told = [entry.event() for entry in house.door.ledger.read(run=made, names=("past_edited",))]
    return [(each.did, each.what) for each in told if isinstance(each, e.PastEdited)]


def edited(house: House, answer: httpx2.Response) -> list[tuple[str, str, bytes]]:
    made = answer.headers["location"].removeprefix("/runs/")
    told = [entry.event() for entry in house.door.ledger.read(run=made, names=("past_edited",))]
    return [(each.kind, each.what, house.door.blobs.get(each.body)) for each in told if isinstance(each, e.PastEdited)]


def test_what_is_edited_in_place_is_in_the_ledger_and_what_was_left_alone_is_no_edit(house: House, past: str) -> None:
    where = f"/runs/{past}/moment"
    with house.browser("ada@example.org", role("operator")) as client:
        run = client.get(f"/runs/{past}", headers=HTML).text
        page = client.get(where, params={"to": "developer/1", "path": ["kept.txt", "new.txt"]}, headers=HTML).text
        fields = form(page)
        untouched = send(client, past, fields)
        texts = dict(zip(fields["path"], range(9), strict=False))
        fields["text"][texts["calc.py"]] = "b\r\n"
        fields["text"][texts["kept.txt"]] += "z\r\n"
        fields["text"][texts["new.txt"]] = "made\r\n"
        fields["given"] = ["two\r\n"]
        changed = send(client, past, fields)

    assert f'href="/runs/{past}/moment?to=developer/1"' in run
    assert HOSTILE not in page
    assert (untouched.status_code, changed.status_code) == (303, 303), changed.text
    assert edited(house, untouched) == []
    assert edited(house, changed) == [
        ("file", "kept.txt", b"x\r\ny\r\nz\r\n"),
        ("file", "new.txt", b"made\n"),
        ("file", "calc.py", b"b\n"),
        ("result", "call_1", b"two\n"),
    ]
    made = house.door.runs.get(changed.headers["location"].removeprefix("/runs/"))
    assert read(house.door.blobs.get(made.assignment)).editors == ("Ada <ada@example.org>",)


def test_what_cannot_be_edited_says_why_and_is_refused_if_it_is_sent_all_the_same(
    house: House, past: str, login: Login
) -> None:
    asked = ("image.png", "../../etc/passwd", ".git/config", "etc/passwd", "secrets/key")
    found = login("ada@example.org", "operator").moment(past, turn=1, paths=asked)
    with house.browser("bob@example.org", role("operator")) as client:
        sent = [
            send(client, past, {"to": ["developer/1"], "path": [path], "text": ["x"]}).status_code
            for path in (*asked, "made.bin", "long.txt", "etc")
        ]
        unknown = send(client, past, {"to": ["1"], "call": ["call_9"], "given": ["x"]})
        uneven = send(client, past, {"to": ["1"], "path": ["a", "b"], "text": ["x"]})
        large = client.post(f"/runs/{past}/rewind", content=b"x" * (5 << 20))

    assert {each.path: each.amiss for each in found.files if each.amiss} == {
        "image.png": "it is no text",
        "../../etc/passwd": "'../../etc/passwd' is no file of the checkout",
        ".git/config": "'.git/config' is no file of the checkout",
        "etc/passwd": "it is behind a link",
        "etc": "it is a link",
        "secrets/key": "'secrets/key' is protected by secrets/**",
        "made.bin": "it is no text",
        "long.txt": "it has 200,000 characters, and 100,000 can be edited here",
    }
    assert [(each.path, each.what, each.text) for each in found.files if not each.amiss] == [
        ("calc.py", "changed", "a\nb\n")
    ]
    assert [(each.call, each.text) for each in found.results] == [("call_1", RESULT)]
    assert sent == [409] * 8
    assert (unknown.status_code, uneven.status_code, large.status_code) == (409, 422, 413)
    assert [run.id for run in house.door.runs.list()] == [past], "what is refused begins nothing"


def test_what_is_there_is_deleted_in_place_or_afar_and_its_deleter_is_an_author(
    house: House, past: str, login: Login
) -> None:
    paths = ("kept.txt", "new.txt", "etc/passwd", "secrets/key")
    with house.browser("ada@example.org", role("operator")) as client:
        page = client.get(f"/runs/{past}/moment", params={"to": "developer/1", "path": paths}, headers=HTML).text
        done = send(client, past, {**form(page), "gone": ["kept.txt", "made.bin", "etc"]})
        refused = [
            send(client, past, {"to": ["developer/1"], **more}).status_code
            for more in (
                {"gone": ["new.txt"]},
                {"gone": ["etc/passwd"]},
                {"gone": ["secrets/key"]},
                {"gone": ["../x"]},
                {"gone": ["calc.py"], "path": ["calc.py"], "text": ["other"]},
            )
        ]
    afar = login("bob@example.org", "operator")
    far = afar.rewind(past, Back(turn=1, gone=("calc.py",)))
    with pytest.raises(SettingsError, match="edited and deleted"):
        afar.rewind(past, Back(turn=1, gone=("calc.py",), files={"calc.py": b"x"}))

    boxes = re.findall(r'name="gone" value="([^"]*)"', page)
    assert sorted(boxes) == ["calc.py", "etc", "kept.txt", "long.txt", "made.bin"]
    assert deleted(house, done) == [("deleted", each) for each in ("kept.txt", "made.bin", "etc")]
    assert refused == [409] * 5
    assert [each.body for each in house.door.ledger.read(run=far.id, names=("past_edited",))]
    made = house.door.runs.get(done.headers["location"].removeprefix("/runs/"))
    assert read(house.door.blobs.get(made.assignment)).editors == ("Ada <ada@example.org>",)


def test_a_moment_is_for_who_may_go_on_from_it_and_is_one_that_there_is(house: House, past: str, login: Login) -> None:
    assert login("ada@example.org", "operator").moment(past, turn=0).results == ()
    with pytest.raises(SettingsError, match="there is no such turn"):
        login("bob@example.org", "operator").moment(past, turn=9)
    with pytest.raises(SettingsError, match="may not operate"):
        login("eve@example.org", "viewer").moment(past, turn=1)
