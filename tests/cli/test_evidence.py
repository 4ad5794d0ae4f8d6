"""The ledger through a server: taken along whole or said to be cut, gone through here, and believed no further than that goes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nightmill import event as e
from nightmill.client import Connection
from nightmill.client.house import HouseClient
from nightmill.errors import EngineError
from nightmill.store import retention
from tests.cli.conftest import HOSTILE
from tests.cli.test_alike import Both, both
from tests.server.conftest import role

__all__ = ["both"]

TAMPERED = {
    "changed": ("UPDATE event SET body = replace(body, 'one', 'two') WHERE seq = {}", "the row was changed"),
    "whose": ("UPDATE event SET run = 'rother' WHERE seq = {}", "the row was changed"),
    "when": ("UPDATE event SET at = at + 1 WHERE seq = {}", "the row was changed"),
    "dropped": ("DELETE FROM event WHERE seq = {}", "the row is missing"),
    "emptied": ("UPDATE event SET body = '{{\"forgotten\":true}}' WHERE seq = {}", "nothing says by whom"),
    "rehashed": ("UPDATE event SET hash = 'aa' || substr(hash, 3) WHERE seq = {}", "the row was changed"),
}


@pytest.fixture
def told(both: Both) -> Both:
    """With a ledger of a few words."""
    both.house.run("rshop1", project=both.project)
    both.house.run("rbarn1", project="barn")
    for run in ("rshop1", "rbarn1"):
        both.house.tell(*(e.PhaseStarted(run=run, phase=f"{word} {HOSTILE}") for word in ("one", "two", "three")))
    return both


def words(said: str) -> str:
    """Without the time that it took."""
    return said.partition(" (")[0]


def test_it_is_taken_along_and_gone_through_alike(told: Both, tmp_path: Path) -> None:
    for args in ((), ("--after", "3"), ("--run", "rshop1"), ("--run", "rshop"), ("--after", "99")):
        assert told.afar("ledger", "export", *args) == told.local("ledger", "export", *args), args
    whole = told.afar("ledger", "export")
    assert len(whole.out.splitlines()) == told.house.door.ledger.last()
    assert not {"\x1b", "\x9b", "\u202e"} & set(whole.out)
    for at in (told.afar, told.local):
        assert at("ledger", "export", str(tmp_path / "there.jsonl")).code == 0
        assert (tmp_path / "there.jsonl").read_text() == whole.out
    here, there = told.local("ledger", "verify"), told.afar("ledger", "verify")
    assert (here.code, words(here.err)) == (there.code, words(there.err)) == (0, words(here.err))
    assert f"✓ {told.house.door.ledger.last()} entries" in there.err


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_tampered_with_at_the_server_is_seen_here(told: Both, how: str) -> None:
    sql, why = TAMPERED[how]
    (seq,) = (
        each["seq"] for each in exported(told) if each["run"] == "rshop1" and "one " in each["body"].get("phase", "")
    )
    with told.house.door.database.write() as connection:
        connection.exec_driver_sql(sql.format(seq))
    here, there = told.local("ledger", "verify"), told.afar("ledger", "verify")
    assert there == here
    assert (there.code, f"✗ entry {seq}: " in there.err, why in there.err) == (1, True, True)


def test_what_was_cut_off_or_written_anew_is_seen_beside_a_seal_that_is_here(told: Both, tmp_path: Path) -> None:
    seals = str(tmp_path / "seals.jsonl")
    made = told.afar("ledger", "seal", seals)
    assert (made.code, "sealed up to entry" in made.err) == (0, True)
    assert json.loads(told.afar("ledger", "seal").out)["hash"] == json.loads(Path(seals).read_text())["hash"]
    for at in (told.afar, told.local):
        assert "✓ seal 1" in at("ledger", "verify", "--seals", seals).err
    last = told.house.door.ledger.last()
    with told.house.door.database.write() as connection:
        connection.exec_driver_sql(f"DELETE FROM event WHERE seq = {last}")
    assert told.afar("ledger", "verify").code == 0, "a chain alone does not say where it ended"
    assert told.afar("ledger", "verify", "--seals", seals).err.endswith(f"entry {last}: the row is missing\n")
    told.house.tell(e.PhaseStarted(run="rshop1", phase="another"))
    assert told.afar("ledger", "verify", "--seals", seals).err.endswith("another row was sealed in its place\n")


def test_words_that_were_forgotten_hold_here_too(told: Both) -> None:
    told.house.tell(e.RunDone(run="rshop1"), e.RunDone(run="rbarn1"))
    assert forget(told) > 3
    here, there = told.local("ledger", "verify"), told.afar("ledger", "verify")
    assert (there.code, words(there.err)) == (0, words(here.err))
    with told.house.door.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE event SET hash = 'aa' || substr(hash, 3) WHERE body LIKE '%forgotten\":true%'"
        )
    here, there = told.local("ledger", "verify"), told.afar("ledger", "verify")
    assert (here.code, there.code) == (1, 1), there.err


def forget(told: Both) -> int:
    return retention.forget(told.house.door.database, before=9e9, by="Ada <ada@example.org>", at=9e9).entries


def test_who_sees_a_project_takes_its_entries_along_and_no_others(told: Both) -> None:
    token = told.token("eve@example.org", "viewer", project="barn")
    found = [json.loads(each) for each in told.afar("ledger", "export", token=token).out.splitlines()]
    assert {each["run"] for each in found} == {"rbarn1"}
    assert found == [each for each in exported(told) if each["run"] == "rbarn1"]
    looked = [json.loads(each) for each in told.afar("ledger", "search", token=token).out.splitlines()]
    assert looked == found[::-1]
    assert told.afar("ledger", "search", "rshop1", token=token) == (0, "", "")
    assert (
        "there is no run 'rshop1' that you may see" in told.afar("ledger", "export", "--run", "rshop1", token=token).err
    )
    for args in (("verify",), ("seal",)):
        refused = told.afar("ledger", *args, token=token)
        assert (refused.code, "all projects" in refused.err) == (1, True)
    assert "not through the server" in told.afar("ledger", "forget", "--before", "2026-01-01").err


def exported(told: Both) -> list[dict[str, Any]]:
    return [json.loads(each) for each in told.local("ledger", "export").out.splitlines()]


class Between:
    """A way to a server that breaks or waits, as *hurt* says: it is given how often somebody came, and their connection."""

    def __init__(self, url: str, hurt: Callable[[int, int], bool]) -> None:
        """*hurt* is asked with the number of the visit and the bytes of the answer so far; True: it breaks off here."""
        self.server = ("127.0.0.1", int(url.rpartition(":")[2]))
        self.hurt, self.visits = hurt, 0
        self.door = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                visitor, _ = self.door.accept()
            except OSError:
                return
            self.visits += 1
            threading.Thread(target=self.pass_on, args=(visitor, self.visits), daemon=True).start()

    def pass_on(self, visitor: socket.socket, visit: int) -> None:
        with suppress(OSError), closing(visitor), closing(socket.socket()) as there:  # who has heard enough hangs up
            there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # so that the server does not run ahead
            there.connect(self.server)
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += visitor.recv(65536)
            own = f"127.0.0.1:{self.door.getsockname()[1]}".encode()
            asked = asked.replace(own, f"127.0.0.1:{self.server[1]}".encode())
            there.sendall(asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            size = 0
            while piece := there.recv(16384):
                size += len(piece)
                if self.hurt(visit, size):
                    return
                visitor.sendall(piece)


def many(told: Both, count: int = 12_000) -> None:
    told.house.tell(*(e.PhaseStarted(run="rshop1", phase=f"{number} {'x' * 500}") for number in range(count)))


def client(told: Both, url: str, *, patience: float = 60.0) -> HouseClient:
    token = told.token("vic@example.org", "viewer")
    return HouseClient(Connection(url, token, sleep=lambda _: None), patience=patience)


def test_a_connection_that_breaks_is_made_again_and_nothing_comes_twice(told: Both) -> None:
    many(told)
    way = Between(told.house.url, lambda visit, size: visit < 4 and size > 400_000 * visit)
    found = [each.seq for each in client(told, way.url).entries()]
    assert found == list(range(1, told.house.door.ledger.last() + 1))
    assert way.visits == 4


def test_a_ledger_that_is_cut_is_no_file_and_says_where_it_was_cut(told: Both, tmp_path: Path) -> None:
    many(told)
    way = Between(told.house.url, lambda _, size: size > 400_000)
    with pytest.raises(EngineError, match=r"the ledger was cut after entry \d+: nobody answers") as cut:
        list(client(told, way.url, patience=0.0).entries())
    assert "--after" in cut.value.hint
    told.monkeypatch.setitem(HouseClient.__init__.__kwdefaults__, "patience", 0.0)
    told.monkeypatch.setattr(told.house, "port", int(way.url.rpartition(":")[2]))
    done = told.afar("ledger", "export", str(tmp_path / "there.jsonl"))
    assert (done.code, list(tmp_path.glob("*there*"))) == (1, [])


def test_words_that_are_forgotten_while_it_is_gone_through_break_nothing(told: Both) -> None:
    told.house.tell(e.RunDone(run="rbarn1"))
    many(told)
    told.house.tell(e.RunDone(run="rshop1"))
    forgotten = []

    def meanwhile(_: int, size: int) -> bool:
        if size > 300_000 and not forgotten:
            forgotten.append(forget(told))
        return False

    way = Between(told.house.url, meanwhile)
    found = client(told, way.url).verify(())
    assert forgotten[0] > 12_000
    assert way.visits == 4, "what had been forgotten, all of it up to there, and both once more"
    assert (found.broken, found.last) == (None, told.house.door.ledger.last())


@contextmanager
def liar(*answers: bytes) -> Iterator[str]:
    """A server that says this, whatever it is asked; the last one again and again."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


END = b'{"whole": true, "upto": %d, "entries": %d}\n'
NONE = END % (0, 0)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (lambda told: told[:3], "cut after entry 3"),
        (lambda told: [*told[:3], told[3][:-9]], "cut after entry 3"),
        (lambda told: [*told[:3], END % (3, 4)], "says that it has 4 entries and sends 3"),
        (lambda told: [*told[:3], *told[:3], END % (3, 6)], "entry 1 of the ledger comes after entry 3"),
        (lambda told: [b"<html>\n"], "is no JSON"),
        (lambda told: [b"[" * 100_000 + b"\n"], "is no JSON"),
        (lambda told: [b'{"seq": 1}\n'], "without a body"),
        (lambda told: [b'{"seq": "\x1b[2J", "body": {}}\n'], "no JSON"),
        (lambda told: [b'{"seq": "x", "body": {}}\n'], "seq of an entry should be int"),
        (lambda told: [b"x" * (17 << 20)], "is longer than"),
    ],
)
def test_a_server_that_sends_something_else_is_not_believed(
    told: Both, lines: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    whole = [f"{each}\n".encode() for each in told.local("ledger", "export").out.splitlines()]
    with liar(b"".join(lines(whole))) as url, pytest.raises(EngineError) as refused:
        list(client(told, url, patience=0.0).entries())
    assert said in str(refused.value)


def test_a_server_that_says_that_all_is_well_is_not_asked(told: Both) -> None:
    """It changes an entry on the way out, drops one, or names a forgetting that never was."""
    whole = [f"{each}\n".encode() for each in told.local("ledger", "export").out.splitlines()]
    last = len(whole)
    seq = next(number for number, each in enumerate(whole, 1) if b"one " in each)
    before, it, after = whole[: seq - 1], whole[seq - 1], whole[seq:]
    gone = json.dumps(json.loads(it) | {"body": {"forgotten": True}}).encode() + b"\n"
    ghost = {"upto": last, "count": 1, "digest": "d", "before": 1.0, "by": "x"}
    statement = {
        "seq": last + 9,
        "at": 1.0,
        "run": "",
        "name": "entries_forgotten",
        "key": None,
        "body": ghost,
        "hash": "h",
    }
    told_by = json.dumps(statement).encode() + b"\n"
    lies = [
        (NONE, [*before, it.replace(b"one", b"two"), *after]),
        (NONE, [*before, *after]),
        (NONE, [*before, gone, *after]),
        (told_by + END % (last + 9, 1), [*before, gone, *after]),
    ]
    for said, lines in lies:
        with liar(said, b"".join(lines) + END % (last, len(lines)), said) as url:
            broken = client_of(url).verify(()).broken
        assert broken is not None
        assert broken.seq == seq
    with liar(NONE, b"".join(whole) + END % (last, last)) as url:
        assert client_of(url).verify({last}).broken is None


def client_of(url: str) -> HouseClient:
    return HouseClient(Connection(url, sleep=lambda _: None), patience=0.0)


def test_a_budget_is_told_and_raised_alike_and_once(both: Both) -> None:
    object.__setattr__(both.house.door.settings, "budget_day_money", 5.0)
    both.monkeypatch.setenv("NIGHTMILL_BUDGET_DAY_MONEY", "5")
    root = both.token("root@example.org", "admin")
    assert both.afar("budget") == both.local("budget")
    assert both.afar("budget", "--json") == both.local("budget", "--json")
    assert "may not administer" in both.afar("budget", "--raise", "2").err
    raised = both.afar("budget", "--raise", "2", token=root)
    assert (raised.code, raised.err.splitlines()[0]) == (0, "$2 more for today; 0\u00a0runs look again")
    assert json.loads(both.local("budget", "--json").out)["today"][0]["raised"] == 2.0
    assert [(each["dollars"], each["by"]) for each in both.told("budget_raised")] == [(2.0, "Root <root@example.org>")]
    with both.house.program("max@example.org", role("admin")) as program:
        asked = {"json": {"dollars": 1.5}, "headers": {"Idempotency-Key": "k"}}
        assert [program.post("/api/v1/budget/raise", **asked).json() for _ in range(2)] == [{"runs": 0}] * 2
    assert both.local("budget") == both.afar("budget")
    assert len(both.told("budget_raised")) == 2
    partly = both.token("eve@example.org", "viewer", project=both.project)
    assert "may not view in all projects" in both.afar("budget", token=partly).err
