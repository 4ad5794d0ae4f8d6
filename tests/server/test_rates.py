"""How often somebody may try, whatever others do beside them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from nightmill.desk import heard
from nightmill.server import guard, rates
from nightmill.server.api import heard as ear
from nightmill.server.pages import door
from nightmill.server.place import neighbours
from nightmill.server.rates import Rate, Rates
from nightmill.store import projects
from tests.server.conftest import ROOT, House, role
from tests.server.test_hooks import PUSHED, say

RATE = Rate(burst=6, seconds=1000.0)


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads that take turns at every chance."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
def test_many_who_try_at_once_have_no_more_tries_than_one() -> None:
    found = Rates(clock=lambda: 0.0)
    let_in: list[float] = []

    def attempt() -> None:
        let_in.extend(1.0 for _ in range(3000) if not found.take("name", "ada", RATE))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(let_in) == RATE.burst


def test_who_knocks_under_many_names_has_none_forgotten_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST", 10)
    found = Rates(clock=lambda: 0.0)
    assert [found.take("name", "ada", RATE) > 0 for _ in range(7)] == [False] * 6 + [True]

    for number in range(100):
        found.take("heard", f"project-{number}", RATE)

    assert found.take("name", "ada", RATE) > 0
    for number in range(10):
        found.take("name", f"other-{number}", RATE)
    assert found.take("name", "ada", RATE) == 0.0, "memory stays bounded"


def test_whoever_has_a_whole_network_of_addresses_is_one() -> None:
    assert neighbours("192.0.2.7") == "192.0.2.7"
    assert neighbours("::ffff:192.0.2.7") == "192.0.2.7"
    assert neighbours("2001:db8:1:2::1") == neighbours("2001:db8:1:2:ffff::9") != neighbours("2001:db8:1:3::1")
    assert neighbours("") == ""


def browser(house: House, *, at: str) -> httpx2.Client:
    """One that comes from the address *at*."""
    transport = httpx2.HTTPTransport(local_address=at)
    return httpx2.Client(base_url=house.url, headers={"Origin": house.url}, transport=transport, timeout=60)


def test_who_tries_the_passwords_of_somebody_does_not_keep_them_out(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    with browser(house, at="127.0.0.2") as thief, browser(house, at="127.0.0.1") as ada:
        tried = [
            thief.post("/sign-in", data={"address": "ada@example.org", "password": f"wrong password {number}"})
            for number in range(8)
        ]
        came = ada.post("/sign-in", data={"address": "ada@example.org", "password": "correct horse battery"})
        settings = {"current": "correct horse battery", "new": "another horse altogether"}
        changed = ada.post("/settings/password", data=settings)

    assert [each.status_code for each in tried] == [401] * 6 + [429] * 2
    assert int(tried[-1].headers["retry-after"]) > 0
    assert (came.status_code, changed.status_code) == (303, 200)


def test_nobody_asks_without_end_and_who_does_holds_up_no_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REQUESTS", Rate(burst=3, seconds=1000.0))
    with house.program("ada@example.org", role("viewer")) as ada, house.browser("grace@example.org") as grace:
        said = [ada.get("/api/v1/me") for _ in range(4)]
        other = grace.get("/api/v1/me").status_code

    assert [each.status_code for each in said] == [200, 200, 200, 429]
    assert int(said[-1].headers["retry-after"]) > 900
    assert other == 200


MILL = "https://mill.example.org"


def behind(house: House, *, of: str = "") -> httpx2.Client:
    """A browser that comes by a proxy, which says whom it speaks for."""
    headers = {"Origin": MILL, "Host": "mill.example.org"} | ({"X-Forwarded-For": of} if of else {})
    return httpx2.Client(base_url=house.url, headers=headers, timeout=60)


def test_behind_a_proxy_nobody_keeps_others_out_either(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    house.site.origin = MILL
    good = {"address": "ada@example.org", "password": "correct horse battery"}
    with behind(house, of="203.0.113.9, 192.0.2.1") as thief, behind(house, of="198.51.100.7") as ada:
        tried = [thief.post("/sign-in", data=good | {"password": f"wrong {number}"}).status_code for number in range(8)]
        other = thief.post("/sign-in", data=good, headers={"X-Forwarded-For": "198.51.100.8, 192.0.2.1"}).status_code
        came = ada.post("/sign-in", data=good).status_code

    assert tried == [401] * 6 + [429] * 2
    assert other == 429, "what stands before the proxy's own word is anybody's"
    assert came == 303


def test_what_is_said_of_others_gives_no_tries_without_end_and_without_a_proxy_it_counts_for_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "FROM_ONE_PEER", Rate(burst=10, seconds=1000.0))
    monkeypatch.setattr(door, "FROM_ONE_PLACE", Rate(burst=4, seconds=1000.0))

    def tries(client: httpx2.Client) -> list[int]:
        wrong = [
            ({"address": f"a{n}@example.org", "password": "wrong"}, {"X-Forwarded-For": f"192.0.2.{n}"})
            for n in range(12)
        ]
        with client:
            return [client.post("/sign-in", data=data, headers=said).status_code for data, said in wrong]

    alone = tries(browser(house, at="127.0.0.1"))
    house.site.origin = MILL
    house.site.rates = Rates()
    proxied = tries(behind(house))

    assert alone == [401] * 4 + [429] * 8
    assert proxied == [401] * 10 + [429] * 2


def test_many_places_together_cannot_try_the_passwords_of_somebody_without_end_or_keep_them_from_another(
    house: House,
) -> None:
    ada = house.browser("ada@example.org", role("viewer"))
    said = []
    for number in range(2, 14):
        with browser(house, at=f"127.0.0.{number}") as thief:
            wrong = [{"address": "ada@example.org", "password": f"wrong password {each}"} for each in range(6)]
            said += [thief.post("/sign-in", data=each).status_code for each in wrong]

    with ada:
        settings = {"current": "correct horse battery", "new": "another horse altogether"}
        changed = ada.post("/settings/password", data=settings).status_code

    assert said[:60] == [401] * 60
    assert 429 in said[60:]
    assert changed == 200


def test_what_is_forged_does_not_keep_a_forge_from_being_heard(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ear, "OFTEN", Rate(burst=2, seconds=1000.0))
    projects.keep(house.door.database, projects.Known(id="shop", root=tmp_path, hub=tmp_path, added=1.0))
    secret = heard.listen(house.door, "shop", at=1.0, by=ROOT)
    with house.nobody() as client:
        forged = [say(client, PUSHED, "whsec_wrong").status_code for _ in range(4)]
        said = [say(client, PUSHED, secret).status_code for _ in range(3)]

    assert forged == [403] * 4
    assert said == [202, 202, 429]
