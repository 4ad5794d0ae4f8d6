"""What somebody tries next, who has read how the first attempts are met."""

from __future__ import annotations

import gzip
import json
import logging
import socket
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from itertools import product
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from bench.stage import until
from nightmill import event as e
from nightmill.errors import SettingsError
from nightmill.server.api import events
from nightmill.server.streams import Bound
from tests.server.conftest import ROOT, TREE, House, frames, role
from tests.server.test_attacks import head, raw

PASSWORD = "correct horse battery"
HTML = {"Accept": "text/html"}


# A browser's


AWAY = ("//[", "http://[::1", "//ex\u2100mple", "/\t/evil.example", "/\\evil.example", "//evil.example", "/a\r\nX: y")


def test_whoever_signs_in_by_a_strangers_link_stays_here(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    with httpx2.Client(base_url=house.url, headers={"Origin": house.url}, timeout=60) as client:
        for to in AWAY:
            form = client.get("/sign-in", params={"next": to})
            assert (form.status_code, 'name="next" value="/"' in form.text) == (200, True), to
        answer = client.post("/sign-in", data={"address": "ada@example.org", "password": PASSWORD, "next": AWAY[0]})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_an_origin_that_is_none_writes_nothing(house: House) -> None:
    house.run("rone")
    with house.browser("ada@example.org", role("operator")) as client:
        for origin in ("http://[", "//[", "https://ex\u2100mple", "http://", "null", "", "file://"):
            said: Any = {"Origin": origin.encode()}  # as bytes it is sent as it is
            assert client.post("/api/v1/runs/rone/pause", headers=said).status_code == 403, origin


def test_behind_tls_the_cookie_is_one_that_no_other_host_can_put_there(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    house.site.origin = "https://mill.example.org"
    there = {"Host": "mill.example.org", "Origin": house.site.origin}
    with httpx2.Client(base_url=house.url, headers=there, timeout=60) as client:
        plain = {"Origin": "http://mill.example.org"}
        form = {"address": "ada@example.org", "password": PASSWORD}
        assert client.post("/sign-in", data=form, headers=plain).status_code == 403, "of the same name without TLS"
        given = client.post("/sign-in", data=form).headers["set-cookie"]
        secret = given.partition("=")[2].partition(";")[0]
        parts = {each.strip().casefold() for each in given.split(";")[1:]}
        tossed = client.get("/api/v1/me", headers={"Cookie": f"nightmill={secret}"})
        own = client.get("/api/v1/me", headers={"Cookie": f"__Host-nightmill={secret}"})

    assert given.startswith("__Host-nightmill=")
    assert {"secure", "path=/", "httponly"} <= parts
    assert not any(each.startswith("domain") for each in parts)
    assert (tossed.status_code, own.status_code) == (401, 200)


def test_nothing_of_a_person_is_kept_by_a_cache_or_shown_in_a_frame(house: House) -> None:
    house.run("rone")
    with house.browser("root@example.org", role("admin")) as client:
        paths = ("/", "/runs/rone", "/settings", "/nothing", "/api/v1/me", "/api/v1/runs/none", "/ledger/export")
        answers = [client.get(path, headers=HTML) for path in paths]
        answers.append(client.patch("/settings"))

    for answer in answers:
        assert answer.headers["cache-control"] == "no-store", answer.url
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], answer.url
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url


# Rights that change meanwhile


@pytest.mark.parametrize("way", ["token", "role", "person"])
def test_a_stream_ends_with_the_right_to_it_and_before_the_next_event(
    house: House, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("nightmill.server.streams.AGAIN", 600.0)
    house.let_in("root@example.org", role("admin"))
    house.run("rone")
    people, keys = house.site.people, house.site.keys
    with (
        house.program("ada@example.org", role("viewer")) as client,
        client.stream("GET", "/api/v1/events", params={"after": house.door.ledger.last()}) as response,
    ):
        told = frames(response)
        house.tell(e.PhaseStarted(run="rone", phase="work", round=1))
        first = next(told)
        if way == "token":
            keys.revoke("test", owner="ada@example.org", by=ROOT)
        elif way == "role":
            people.grant("ada@example.org", "", [], by=ROOT)
        else:
            people.remove("ada@example.org", by=ROOT)
        house.tell(e.PhaseStarted(run="rone", phase="prove", round=1))
        rest = list(told)

    assert first["data"]["body"]["phase"] == "work"
    assert rest == []


def test_a_stream_ends_with_its_session_though_nothing_happens(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightmill.server.streams.AGAIN", 0.1)
    with house.browser("ada@example.org", role("viewer")) as client, client.stream("GET", "/api/v1/events") as response:
        told = frames(response)
        until(lambda: house.site.streams.count, what="that it has begun")
        house.site.keys.end(client.cookies[house.site.cookie])
        assert list(told) == []


def test_a_yes_that_is_sent_slowly_counts_by_the_rights_at_its_end(house: House) -> None:
    house.let_in("root@example.org", role("admin"))
    house.run("rone")
    asked = house.asks("rone")
    body = json.dumps({"question": asked, "tree": TREE}).encode()
    with house.program("ada@example.org", role("approver")) as client, socket.socket() as line:
        line.settimeout(60)
        line.connect(("127.0.0.1", house.port))
        said = (
            f"Authorization: {client.headers['authorization']}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        line.sendall(
            head(house, *said, "Content-Type: application/json", path="/api/v1/runs/rone/approve", method="POST")
        )
        line.sendall(body[:5])
        until(lambda: "ada@example.org" in house.site.rates._kinds["requests"], what="that they were let in")
        house.site.people.grant("ada@example.org", "", [], by=ROOT)
        line.sendall(body[5:])
        answer = line.recv(65536)

    assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 404"))
    assert house.door.questions.get(asked).state == "open"


def test_nobody_takes_all_streams_for_themselves(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAMS", (two := Bound(2, "you have 2 streams already")))
    with (
        house.program("ada@example.org", role("viewer")) as ada,
        house.program("bob@example.org", role("viewer")) as bob,
    ):
        with ExitStack() as stack:
            streams = [stack.enter_context(ada.stream("GET", "/api/v1/events")) for _ in range(2)]
            until(lambda: house.site.streams.count["ada@example.org", two] == 2, what="both streams")
            assert ada.get("/api/v1/events").status_code == 429
            streams.append(stack.enter_context(bob.stream("GET", "/api/v1/events")))
            assert {each.status_code for each in streams} == {200}
        until(lambda: not house.site.streams.count, what="that all have left")


# Who they say that they are


def test_nothing_tells_who_has_an_account(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    house.site.people.invite("bob@example.org", by=ROOT)
    with httpx2.Client(base_url=house.url, headers={"Origin": house.url}, timeout=60) as client:
        answers = [
            client.post("/sign-in", data={"address": f"{name}@example.org", "password": "wrong password"})
            for name in ("ada", "bob", "eve")
        ]

    assert {each.status_code for each in answers} == {401}
    assert len({each.text.replace(name, "") for each, name in zip(answers, ("ada", "bob", "eve"), strict=True)}) == 1


ALIKE = ("\u0430da@example.org", "ADA@example.org\u200b", "mi\u212ae@example.org", "gro\u00df@example.org")


def test_an_address_that_looks_like_anothers_or_folds_to_it_lets_nobody_in(house: House) -> None:
    for name in ("ada", "mike", "gross"):
        house.site.people.invite(f"{name}@example.org", by=ROOT)
    for address in ALIKE:
        with pytest.raises(SettingsError, match="no mail address"):
            house.site.people.invite(address, by=ROOT)
        assert house.site.people.welcome("https://id.example.org", "s", address=address, name="Ada") is None


def test_a_name_holds_nothing_that_is_not_seen(house: House) -> None:
    secret = house.site.people.invite("ada@example.org", by=ROOT)
    for name in ("Root\u202e", "A\u200bda", "Ada\u2066", "Ad\u00ada"):
        with pytest.raises(SettingsError, match="no name"):
            house.site.people.redeem(secret, name=name, password="x")


def test_a_token_with_one_sign_changed_is_nobodys_and_the_store_holds_none(house: House) -> None:
    with house.program("ada@example.org", role("viewer")) as client:
        token = client.headers["authorization"].partition(" ")[2]
        for other in (token[:-1] + ("a" if token[-1] != "a" else "b"), token[:-1], token + "a", token.upper(), "%"):
            assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {other}"}).status_code == 401
    with house.door.database.read() as connection:
        kept = repr(connection.execute(sa.text("SELECT * FROM key")).all())
    assert token not in kept


# The wire


BOMBS = (
    b'{"name": "x", ' + b", ".join(b'"%d": 1' % number for number in range(300_000)) + b"}",
    b'{"name": "x", "scopes": [' + b"1, " * 1_300_000 + b"1]}",
    b'{"name": "x", "days": ' + b'{"a": ' * 900 + b"[]" + b"}" * 900 + b"}",
    b'{"name": [' + b", ".join([b"[" + b"1," * 200 + b"1]"] * 200) + b"]}",
)


def test_what_is_made_of_very_much_is_refused_before_each_of_it_is_found_wrong(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        for body in BOMBS:
            answer = client.post("/api/v1/tokens", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == (413 if len(body) > 10_000 else 422), body[:30]
            assert len(answer.content) < 5_000


def test_a_body_that_unpacks_to_very_much_is_not_unpacked(house: House) -> None:
    bomb = gzip.compress(b'{"name": "' + b"x" * 50_000_000 + b'"}')
    with house.browser("ada@example.org", role("viewer")) as client:
        for coding in ("gzip", "deflate", "br"):
            packed = {"Content-Encoding": coding, "Content-Type": "application/json"}
            assert client.post("/api/v1/tokens", content=bomb, headers=packed).status_code == 400


CURSORS: list[Any] = [[float("nan"), "r"], [float("inf"), "r"], [10**100, "r"], [1, "a\0b"], {"a": 1, "b": 2}, [[], []]]


def test_a_forged_cursor_leads_to_nothing_of_others(house: House) -> None:
    house.run("rshop")
    house.run("rbarn", project="barn")
    with house.program("ada@example.org", role("viewer", "barn")) as client:
        for cursor in CURSORS:
            forged = urlsafe_b64encode(json.dumps(cursor).encode()).decode().rstrip("=")
            answer = client.get("/api/v1/runs", params={"cursor": forged})
            assert answer.status_code in {200, 422}, cursor
            assert {run["id"] for run in answer.json().get("runs", [])} <= {"rbarn"}, cursor


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: Upgrade, close", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA=="),
        ("Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
    ],
    ids=["websocket", "h2c"],
)  # fmt: skip
def test_no_connection_becomes_another_protocol(house: House, lines: tuple[str, ...]) -> None:
    said = raw(house, head(house, *lines, path="/api/v1/events"))

    assert said.startswith(b"HTTP/1.1 401")


def test_an_old_or_other_protocol_is_answered_and_hung_up_on(house: House) -> None:
    host = f"Host: 127.0.0.1:{house.port}"
    old = raw(house, f"GET /api/v1/health HTTP/1.0\r\n{host}\r\nConnection: keep-alive\r\n\r\n".encode())
    nameless = raw(house, b"GET /api/v1/health HTTP/1.0\r\n\r\n")
    others = [
        raw(house, text)
        for text in (b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01")
    ]

    assert b" 200 " in old.splitlines()[0]
    assert b"connection: close" in old.lower()
    assert b" 421 " in nameless.splitlines()[0]
    assert all(b" 200 " not in each for each in others)


def test_a_head_of_very_many_lines_is_bounded_too(house: House) -> None:
    said = raw(house, head(house, *["a:b"] * 20_000), wait=3)

    assert said.splitlines()[0].split()[1] in {b"400", b"431"}


SPELT = ["//api/v1/me", "/api//v1/me", "/api/v1/me/", "/api/v1/%6de", "/api/v1/./me", "/api/v1/x/../me", "/API/v1/me"]
SPELT += [
    "/api/v1/me%2f",
    "/api/v1/me;x=y",
    "/api/v1/me%00",
    "/api/v1/me%20",
    "/static/../api/v1/me",
    "/settings/",
    "/%73ettings",
]


def test_however_a_path_is_spelt_nobody_is_shown_what_its_rule_forbids(house: House) -> None:
    tricks = ("X-HTTP-Method-Override: GET", "X-Original-URL: /api/v1/health", "X-Forwarded-Host: evil.example")
    for path, method in product(SPELT, ("GET", "HEAD", "OPTIONS")):
        said = raw(house, head(house, *tricks, "Connection: close", path=path, method=method))
        assert said.splitlines()[0].split()[1] in {b"401", b"404", b"405"}, (method, path)
        assert b"evil.example" not in said, (method, path)


# What it leaves behind


def test_what_strangers_send_writes_no_line_of_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hostile = {"User-Agent": "x\x1b[2J", "X-Request-Id": "a\x1b]0;b\x07"}
    with house.program("ada@example.org", role("viewer")) as client:
        with house.door.database.write() as connection:
            connection.execute(sa.text("DROP TABLE question"))
        client.get("/api/v1/waiting?x=%0d%0aINFO%20forged%1b[2J", headers={**hostile, "Connection": "close"})
        client.get("/nothing%0aINFO%20forged", headers=hostile)

    assert "\nINFO forged" not in caplog.text
    assert "\x1b" not in caplog.text


def test_a_store_that_is_away_is_said_to_be_and_nothing_is_taken_for_a_fault(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("the server closed the connection unexpectedly"))

    with house.program("ada@example.org", role("viewer")) as client:
        sa.event.listen(house.door.database.engine, "before_cursor_execute", away)
        answer = client.get("/api/v1/me")
        sa.event.remove(house.door.database.engine, "before_cursor_execute", away)
        assert client.get("/api/v1/me").status_code == 200

    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["retry-after"]
    assert "SELECT" not in answer.text
    assert "the store is away" in caplog.text
