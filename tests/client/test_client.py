"""What a server says comes as values, what it refuses as our errors, and what was sent twice was done once."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest

from nightmill import event as e
from nightmill.access import Person
from nightmill.client import Client, Connection, Entries, ServerDesk
from nightmill.errors import EngineError, NightmillError, NotYet, SettingsError
from nightmill.kept import Back, Entry
from tests.client.conftest import Login, Lossy, Open
from tests.server.conftest import TREE, House, role


def test_runs_events_and_questions_are_the_values_of_the_store(house: House, login: Login) -> None:
    house.run("rone")
    house.asks("rone", body=house.door.blobs.put(b"## The diff"), barred=("author@example.org",))
    client = login("ada@example.org", "viewer")

    kept = house.door.runs.get("rone")
    seen = client.run("ro")
    assert {name: getattr(seen, name) for name in ("id", "title", "state", "created", "project", "wanted")} == {
        name: getattr(kept, name) for name in ("id", "title", "state", "created", "project", "wanted")
    }
    assert [_plain(each) for each in client.events("rone").entries] == [
        _plain(each) for each in house.door.ledger.read(run="rone")
    ]
    ((question, text),) = client.questions("rone")
    assert (question.tree, question.barred, text) == (TREE, ("author@example.org",), "## The diff")
    ((thing, command),) = client.waiting()
    assert (thing.run, thing.question, command) == ("rone", question.id, "nightmill approve rone")
    me = client.me()
    assert (me.address, me.way, [each.role for each in me.grants]) == ("ada@example.org", "token", ["viewer"])


def _plain(entry: Entry) -> tuple[Any, ...]:
    return entry.seq, entry.at, entry.run, entry.name, entry.key, json.loads(entry.body), entry.hash


def test_pages_of_runs_follow_each_other_to_the_end(house: House, login: Login) -> None:
    for number in range(5):
        house.run(f"r{number}", parent="r0" if number else "")
    client = login("ada@example.org", "viewer")
    first = client.runs(limit=3)
    rest = client.runs(limit=3, cursor=first.next or "")

    assert len(first.runs) == 3
    assert rest.next is None
    assert {run.id for run in (*first.runs, *rest.runs)} == {f"r{number}" for number in range(5)}
    assert {run.id for run in client.runs(parent="r0").runs} == {"r1", "r2", "r3", "r4"}
    assert len(ServerDesk(client).runs(limit=4)) == 4


def test_a_run_is_steered_and_decided_about(house: House, login: Login) -> None:
    house.run("rone")
    house.run("rone-1", parent="rone")
    house.asks("rone-1")
    house.asks("rone", kind="answer")
    client = login("ada@example.org", "operator", "approver")

    assert client.pause("rone").wanted == "pause"
    assert house.door.runs.get("rone-1").wanted == "pause"
    assert client.resume("rone").wanted == "run"
    ended = client.approve("rone", because="reads well", tree=TREE)
    assert (ended.run, ended.state, ended.by, ended.tree) == ("rone-1", "granted", "Ada <ada@example.org>", TREE)
    assert client.answer("rone", "left").state == "answered"
    heard = client.say("rone", "Use cents.")
    assert [(each.by, each.text) for each in house.door.runs.said(heard.id)] == [
        ("Ada <ada@example.org>", "Use cents.")
    ]
    house.asks("rone-1", id="again")
    with pytest.raises(SettingsError, match="about tree"):
        ServerDesk(client).decide("rone-1", "approve", "", question="again", tree="b" * 40)
    with pytest.raises(SettingsError, match="never prepared"):
        ServerDesk(client).rewind("rone", Back(turn=1))
    assert client.cancel("rone").wanted == "cancel"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda client: client.run("rnone"), "there is no run"),
        (lambda client: client.approve("rone"), "may not approve"),
        (lambda client: client.answer("rone", "x"), "asks nobody anything"),
        (lambda client: client.answer("rone", ""), "text"),
        (lambda client: client.runs(cursor="!"), "cursor"),
        (lambda client: client.run("%2e%2e/me"), "there is nothing at this path"),
    ],
)
def test_what_is_refused_says_what_and_what_to_do(house: House, login: Login, ask: Any, said: str) -> None:
    house.run("rone")
    with pytest.raises(SettingsError, match=said) as refused:
        ask(login("ada@example.org", "operator"))

    assert refused.value.hint


def test_a_token_that_is_not_good_is_named_with_where_it_comes_from(house: House, at: Open) -> None:
    for token in ("", "nm_token_x"):
        with pytest.raises(SettingsError) as refused:
            at(house.url, token).me()
        assert "NIGHTMILL_TOKEN" in refused.value.hint
        assert "nm_token_x" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "mill.example.org",
        "ftp://mill.example.org",
        "http://mill.example.org",
        "https://a:b@mill.example.org",
        "https://mill:99999",
    ],
)
def test_an_address_that_is_none_or_would_show_the_token_is_refused(address: str) -> None:
    with pytest.raises(SettingsError):
        Connection(address, "token")


def test_a_server_that_is_not_there_is_asked_once_more_and_named(at: Open) -> None:
    waits: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(EngineError, match=address) as away:
        at(address, sleep=waits.append).runs()

    assert "nightmill serve" in away.value.hint
    assert len(waits) == 1


def test_a_write_whose_answer_was_lost_is_sent_again_and_done_once(house: House, login: Login, lossy: Lossy) -> None:
    house.run("rone")
    asked = lossy(login("ada@example.org", "operator")).pause("rone")

    assert asked.wanted == "pause"
    assert house.door.runs.get("rone").wishes == 1


def test_where_nobody_signs_in_a_terminal_needs_nothing_to_write(house: House, at: Open) -> None:
    house.run("rone")
    house.site.local = Person(name="Ada", address="ada@here", grants=(role("admin"),), way="local")

    assert at(house.url).pause("rone").wanted == "pause"


STRANGE = [
    (b"<html>Sign in</html>", "text/html", 200),
    (b"[]", "application/json", 200),
    (b'{"id": 5}', "application/json", 200),
    (b"[" * 100_000, "application/json", 200),
    (b"no", "text/plain", 500),
    (b'{"detail": "x", "errors": 5}', "application/problem+json", 500),
    (b"", "text/plain", 302),
]


@contextmanager
def _saying(answer: bytes) -> Iterator[Client]:
    """A client of something that says *answer* to whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def say() -> None:
            while True:
                try:
                    near, _ = listening.accept()
                except OSError:  # the test is over
                    return
                with near, suppress(OSError):  # who asked may not wait for the end of it
                    near.recv(65536)
                    near.sendall(answer)

        threading.Thread(target=say, daemon=True).start()
        connection = Connection(f"http://127.0.0.1:{listening.getsockname()[1]}", sleep=lambda _: None)
        with closing(connection):
            yield Client(connection)


def _answer(status: int, kind: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize(("body", "kind", "status"), STRANGE)
def test_whatever_else_is_at_the_address_is_no_crash(body: bytes, kind: str, status: int) -> None:
    with _saying(_answer(status, kind, body)) as client, pytest.raises(NightmillError) as said:
        client.run("rone")

    assert said.value.message


def test_who_asks_too_often_is_told_for_how_long_to_wait() -> None:
    body = b'{"detail": "too many requests", "hint": "ask less often"}'
    refusal = _answer(429, "application/problem+json", body, "Retry-After: 7\r\n")
    with _saying(refusal) as client, pytest.raises(NotYet, match="too many requests") as told:
        client.me()

    assert (told.value.seconds, told.value.hint) == (7.0, "ask less often")


def test_a_stream_goes_on_where_it_was_when_the_server_is_started_anew(house: House, login: Login) -> None:
    house.run("rone")
    client = login("ada@example.org", "viewer", sleep=lambda _: None)
    start = house.door.ledger.last()
    told = (each for each in client.stream("rone", after=start) if each is not None)
    seen = []
    for begin in (0, 4, 8):
        house.tell(*[e.PhaseStarted(run="rone", phase="work", round=number) for number in range(begin, begin + 2)])
        seen += [json.loads(each.body)["round"] for each in itertools.islice(told, 2)]
        house.stop()
        house.tell(*[e.PhaseStarted(run="rone", phase="work", round=number) for number in range(begin + 2, begin + 4)])
        house.start()
    seen += [json.loads(each.body)["round"] for each in itertools.islice(told, 6)]

    assert seen == list(range(12))


def test_a_stream_says_when_the_server_stays_away(house: House, login: Login) -> None:
    waits: list[float] = []
    client = login("ada@example.org", "viewer", sleep=waits.append)
    house.stop()
    with pytest.raises(EngineError, match="nobody answers"):
        next(client.stream())

    assert sum(waits) >= client.patience
    assert waits == sorted(waits)
    house.start()


def test_a_run_is_followed_with_what_it_starts_later_until_it_ends(house: House, login: Login) -> None:
    house.run("rspec")
    house.run("rother")
    client = login("ada@example.org", "viewer")
    found: list[Entry] = []
    followed = ServerDesk(client).entries(client.run("rspec"), wait=True)
    for entry in followed:
        if entry is None:
            break
        found.append(entry)
    house.run("rspec-1", parent="rspec")
    house.tell(
        e.TaskQueued(run="rspec", task="T1", child="rspec-1"),
        e.PhaseStarted(run="rother", phase="work", round=1),
        e.PhaseStarted(run="rspec-1", phase="work", round=1),
    )
    found += list(itertools.islice(filter(None, followed), 3))
    house.tell(e.PhaseStarted(run="rspec-1", phase="work", round=2))
    found.append(next(each for each in followed if each))
    house.tell(e.RunDone(run="rspec-1"), e.RunDone(run="rspec"))
    found += [each for each in followed if each]

    own = [each.seq for each in found if each.run == "rspec"]
    assert own == sorted(own)
    family = [each for each in house.door.ledger.read() if each.run.startswith("rspec")]
    assert sorted(map(_plain, found)) == [_plain(each) for each in family]


class Falling(Client):
    """A client whose server is ended in the middle of what it reads, and is there again when it is next waited for."""

    def __init__(self, house: House, connection: Connection) -> None:
        super().__init__(connection)
        self.house, self.waits = house, 0
        connection.sleep = self.wait

    def wait(self, _: float) -> None:
        self.waits += 1
        if self.waits == 2:  # the first is before it is asked once more, in vain
            self.house.start()

    def events(self, run: str, *, after: int = 0, limit: int = 2) -> Entries:
        found = super().events(run, after=after, limit=2)
        if not self.waits:
            self.house.stop()
        return found


def test_a_server_that_ends_while_what_was_missed_is_read_leaves_no_gap_and_no_double(
    house: House, login: Login
) -> None:
    house.run("rone")
    house.tell(*[e.PhaseStarted(run="rone", phase="work", round=number) for number in range(9)], e.RunDone(run="rone"))
    client = Falling(house, login("ada@example.org", "viewer").connection)
    found = [each for each in ServerDesk(client).entries(client.run("rone"), wait=True) if each]

    assert client.waits >= 2
    assert [each.seq for each in found] == [each.seq for each in house.door.ledger.read(run="rone")]


def test_what_one_may_not_see_is_not_followed(house: House, at: Open) -> None:
    house.run("rbarn", project="barn")
    house.let_in("eve@example.org", role("viewer", "shop"))
    token = house.site.keys.make("t", owner=house.site.people.known("eve@example.org"), scopes=["view"], seconds=60)  # type: ignore[arg-type]
    client = at(house.url, token)
    with pytest.raises(SettingsError, match="that you may see"):
        next(client.stream("rbarn"))
    assert client.runs().runs == ()
