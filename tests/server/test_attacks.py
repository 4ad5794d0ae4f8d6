"""What somebody on the network tries."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from bench.stage import until
from nightmill import event as e
from nightmill.server import limits, process
from nightmill.server.pages.door import inside
from tests.server.conftest import House, frames, role

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"


def raw(house: House, text: bytes, *, wait: float = 20.0) -> bytes:
    """What the server says to exactly these bytes, until it hangs up or says nothing more for *wait* seconds."""
    found = b""
    with socket.create_connection(("127.0.0.1", house.port), timeout=wait) as line, contextlib.suppress(TimeoutError):
        line.sendall(text)
        while piece := line.recv(65536):
            found += piece
    return found


def head(house: House, *lines: str, path: str = "/api/v1/health", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{house.port}", *lines, "", ""]).encode()


def test_another_site_cannot_make_a_browser_write(house: House) -> None:
    house.run("rone")
    with house.browser("ada@example.org", role("operator")) as client:
        foreign: list[dict[str, str]] = [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": house.url},
            {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
        ]
        for headers in foreign:
            assert client.post("/api/v1/runs/rone/pause", headers=headers).status_code == 403, headers
        del client.headers["Origin"]
        assert client.post("/api/v1/runs/rone/pause").status_code == 403
        assert client.post("/api/v1/runs/rone/pause", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_signing_in_from_another_site_is_refused_too(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    form = {"address": "ada@example.org", "password": "correct horse battery"}
    with house.nobody() as client:
        assert client.post("/sign-in", data=form, headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_session_from_before_signing_in_is_worth_nothing(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    fixed = "nm_session_" + "a" * 43
    with httpx2.Client(base_url=house.url, headers={"Origin": house.url}, timeout=60) as client:
        client.cookies.set("nightmill", fixed)
        answer = client.post("/sign-in", data={"address": "ada@example.org", "password": "correct horse battery"})
        given = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert fixed not in given
    assert "HttpOnly" in given
    assert "SameSite=lax" in given
    with httpx2.Client(base_url=house.url, cookies={"nightmill": fixed}, timeout=60) as client:
        assert client.get("/api/v1/me").status_code == 401


def test_signing_out_ends_the_session_and_not_only_its_cookie(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        kept = dict(client.cookies)
        assert client.post("/sign-out").status_code == 303
    with httpx2.Client(base_url=house.url, cookies=kept, timeout=60) as client:
        assert client.get("/api/v1/me").status_code == 401


def test_passwords_cannot_be_tried_without_end(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    with httpx2.Client(base_url=house.url, headers={"Origin": house.url}, timeout=60) as client:

        def attempt(password: str) -> int:
            return client.post("/sign-in", data={"address": "Ada@example.org", "password": password}).status_code

        assert [attempt(f"wrong password {number}") for number in range(6)] == [401] * 6
        assert attempt("correct horse battery") == 429


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:alert(1)",
        "/a\r\nX: y",
        "evil",
    ],
)
def test_nobody_is_led_away_after_signing_in(to: str) -> None:
    assert inside(to) == "/"
    assert inside("/runs/r1?turn=2") == "/runs/r1?turn=2"


def test_a_name_that_somebody_points_here_reaches_nothing(house: House) -> None:
    for name in ("evil.example", f"evil.example:{house.port}", "127.0.0.1", ""):
        said = raw(house, f"GET /api/v1/health HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        assert b" 421 " in said.splitlines()[0], name
    assert b" 200 " in raw(house, head(house, "Connection: close")).splitlines()[0]


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Content-Length: +5",),
        ("Content-Length: -1",),
        ("Content-Length: 0x5",),
        ("Content-Length : 5",),
        (" folded: yes",),
        ("X: a\x00b",),
    ],
)
def test_a_request_that_two_would_read_in_two_ways_is_not_read(house: House, lines: tuple[str, ...]) -> None:
    smuggled = head(house, *lines, method="POST", path="/sign-in") + b"0\r\n\r\n" + head(house, "X-Smuggled: yes")
    said = raw(house, smuggled, wait=3)

    statuses = [line for line in said.splitlines() if line.startswith(b"HTTP/1.1")]
    assert len(statuses) <= 1 or lines[0].startswith("Content-Length: 4"), statuses
    assert b" 200 " not in said or lines[0].startswith("Content-Length: 4")
    assert statuses == [] or b" 4" in statuses[0]


def test_a_body_that_is_too_large_is_not_taken_in(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        told = client.post("/api/v1/tokens", content=b"x" * (limits.BODY + 1))
        pieces = client.post("/api/v1/tokens", content=(b"x" * 65536 for _ in range(limits.BODY // 65536 + 2)))

        more = client.post("/api/v1/tokens", content=b"x" * (32 << 20))

    assert (told.status_code, pieces.status_code, more.status_code) == (413, 413, 413)
    assert "4 MB at most" in more.json()["title"] + more.json().get("detail", ""), (
        "it is heard by who was still sending"
    )


def test_who_asks_before_they_send_too_much_is_told_at_once(house: House) -> None:
    said = raw(house, head(house, "Content-Length: 99999999", "Expect: 100-continue", method="POST"), wait=3)

    assert said.startswith(b"HTTP/1.1 413")


def deep(size: int) -> bytes:
    return b'{"name": ' + b"[" * size + b"]" * size + b"}"


@pytest.mark.parametrize(
    "body",
    [
        deep(100_000),
        b'{"name": ' + b"9" * 100_000 + b"}",
        b'{"name": 1e999}',
        b'{"name": NaN}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b"\xff\xfe",
        b"",
        b"null",
        b'{"name": "x", "days": true}',
        b'{"name": "x", "days": "7"}',
        b'{"name": "x", "name": "y", "days": 1e300}',
        json.dumps({"name": "x", "scopes": ["view"] * 10_000}).encode(),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_no_body_breaks_the_server(house: House, body: bytes) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        answer = client.post("/api/v1/tokens", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 409, 413, 422}
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/api/v1/health").status_code == 200


def test_text_that_no_database_takes_is_refused(house: House) -> None:
    with house.program("root@example.org", role("admin")) as client:
        for text in ("a\\ud800@example.org", "a\\u0000@example.org"):
            body = f'{{"address": "{text}"}}'.encode()
            assert client.post("/api/v1/people", content=body).status_code in {409, 422}, text
        body = b'{"address": "ada@example.org", "grants": [{"role": "viewer", "project": "a\\ud800"}]}'
        answer = client.post("/api/v1/people", content=body)

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert house.site.people.find("ada@example.org") is None


def test_of_a_fault_of_the_server_nothing_is_told_but_that(house: House) -> None:
    with house.program("ada@example.org", role("viewer")) as client:
        with house.door.database.write() as connection:
            connection.execute(sa.text("DROP TABLE question"))
        # After a fault the server ends the connection: the next request needs one of its own.
        answer = client.get("/api/v1/waiting", headers={"Connection": "close"})
        page = client.get("/", headers={"Accept": "text/html", "Connection": "close"})

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert page.status_code == 500
    for text in (answer.text, page.text):
        assert "question" not in text
        assert "fault" in text


def test_a_path_that_is_asked_the_wrong_way_names_every_right_one(house: House) -> None:
    with house.program("ada@example.org", role("viewer")) as client:
        wrong, nowhere = client.patch("/api/v1/tokens"), client.get("/api/v1/nothing")

    assert wrong.headers["allow"] == "GET, POST"
    assert (wrong.json()["detail"], wrong.json()["hint"]) == (
        "nothing here is asked by this method",
        "see /api/openapi.json",
    )
    assert (nowhere.status_code, nowhere.json()["detail"]) == (404, "there is nothing at this path")


def test_what_was_sent_is_not_sent_back(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        answer = client.post("/api/v1/tokens", json={"name": {"secret": "hunter2-secret"}})

    assert answer.status_code == 422
    assert "hunter2" not in answer.text


def test_a_connection_that_asks_nothing_is_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.3)
    whole = head(house)
    for begun in (b"", b"GET / HT", whole[:-2], whole, whole + b"GET / HT", whole + whole[:-2]):
        said, hung_up = until_it_hangs_up(house, begun)
        assert said.count(b"HTTP/1.1 200") == begun.count(whole)
        assert hung_up, begun
    assert until_it_hangs_up(house, whole, later=b"GET / HT")[1], "a second head is waited for no longer"


def until_it_hangs_up(house: House, text: bytes, *, later: bytes = b"") -> tuple[bytes, bool]:
    """What the server says to exactly these bytes, and whether it hung up after that and not only said no more.

    *later* is sent when something was said.
    """
    found = b""
    with socket.create_connection(("127.0.0.1", house.port), timeout=30) as line:
        line.sendall(text)
        try:
            while piece := line.recv(65536):
                found += piece
                line.sendall(later)
                later = b""
        except TimeoutError:
            return found, False
    return found, True


def test_a_body_that_never_comes_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE", 0.3)
    said = raw(
        house,
        head(
            house,
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Length: 10",
            f"Origin: {house.url}",
            method="POST",
            path="/sign-in",
        )
        + b"abc",
        wait=60,
    )

    assert b" 408 " in said.splitlines()[0]


def test_a_head_without_end_is_refused(house: House) -> None:
    said = raw(house, head(house, *[f"X-{number}: {'y' * 1000}" for number in range(100)]))

    assert said.splitlines()[0].split()[1] in {b"400", b"431"}


def test_what_strangers_wrote_stays_text_on_pages(house: House) -> None:
    house.run("rone", title=HOSTILE)
    house.asks("rone", title=f"Merge? {HOSTILE}")
    with house.browser("ada@example.org", role("viewer")) as client:
        page = client.get("/", headers={"Accept": "text/html"})
        lost = client.get(f"/api/v1/runs/{HOSTILE[:20]}", headers={"Accept": "text/html"})

    assert page.status_code == 200
    for text in (page.text, lost.text):
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/..%2fapp.py"]
)
def test_no_path_leads_out_of_the_files_that_are_sent(house: House, path: str) -> None:
    said = raw(house, head(house, "Connection: close", path=path))

    assert b" 404 " in said.splitlines()[0]
    assert b"import" not in said


def test_a_session_is_taken_from_its_cookie_alone(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        session = client.cookies[house.site.cookie]
        assert client.get("/api/v1/me").status_code == 200
    with house.nobody() as other:
        assert other.get("/api/v1/me", headers={"Authorization": f"Bearer {session}"}).status_code == 401


def test_a_token_is_not_taken_from_a_query_or_a_cookie(house: House) -> None:
    with house.program("ada@example.org", role("viewer")) as client:
        token = client.headers["authorization"].partition(" ")[2]
    attempts: Iterator[Any] = iter(
        [
            {"params": {"token": token}},
            {"cookies": {"nightmill": token}},
            {"headers": {"Authorization": f"Basic {token}"}},
        ]
    )
    for attempt in attempts:
        with httpx2.Client(base_url=house.url, cookies=attempt.pop("cookies", None), timeout=60) as other:
            assert other.get("/api/v1/me", **attempt).status_code == 401


def test_one_address_does_not_take_all_connections(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PEER", 5)
    with contextlib.ExitStack() as stack:
        first, *_ = [stack.enter_context(socket.create_connection(("127.0.0.1", house.port))) for _ in range(5)]
        until(lambda: b" 429 " in raw(house, b"", wait=5), what="that there are too many")
        said = raw(house, b"", wait=5)
        first.close()
        until(lambda: b" 200 " in raw(house, head(house, "Connection: close"), wait=5), what="that one is free again")

    assert said.startswith(b"HTTP/1.1 429 ")
    assert b"application/problem+json" in said
    assert json.loads(said.partition(b"\r\n\r\n")[2])["status"] == 429


def test_behind_a_proxy_who_is_behind_it_does_not_take_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PEER", 1)
    monkeypatch.setattr(limits, "PLACE", 2)
    house.stop()
    house.origin = "https://mill.example.org"
    house.start()

    def asked(place: str) -> bytes:
        lines = ("GET /api/v1/events HTTP/1.1", "Host: mill.example.org", f"X-Forwarded-For: 198.51.100.1, {place}")
        return "\r\n".join([*lines, f"Authorization: {token}", "", ""]).encode()

    with house.program("ada@example.org", role("viewer")) as client, contextlib.ExitStack() as stack:
        token = client.headers["Authorization"]
        for _ in range(2):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", house.port)))
            line.sendall(asked("203.0.113.7"))
            assert b" 200 " in line.recv(65536)
        assert raw(house, asked("203.0.113.7"), wait=5).startswith(b"HTTP/1.1 429 ")
        other = stack.enter_context(socket.create_connection(("127.0.0.1", house.port)))
        other.sendall(asked("203.0.113.8"))
        assert b" 200 " in other.recv(65536)


@pytest.mark.parametrize("last", ["-1", "1e3", "0x10", "99999999999999999", "abc", "\xb2", "1, 2", " "])
def test_a_last_event_id_that_is_none_is_refused(house: House, last: str) -> None:
    with house.program("ada@example.org", role("viewer")) as client:
        token = client.headers["Authorization"]
    asked = head(house, f"Authorization: {token}", "Last-Event-ID: LAST", "Connection: close", path="/api/v1/events")
    said = raw(house, asked.replace(b"LAST", last.encode("latin-1")), wait=10)

    assert said.split()[1] in {b"400", b"422"}


def test_who_names_an_entry_that_is_not_there_yet_hears_what_comes(house: House) -> None:
    house.run("rone")
    with (
        house.program("ada@example.org", role("viewer")) as client,
        client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": "9999999999999999"}) as response,
    ):
        told = frames(response)
        until(lambda: house.site.feed.watchers, what="the watcher")
        house.tell(e.PhaseStarted(run="rone", phase="work", round=1))
        assert next(told)["event"] == "phase_started"
