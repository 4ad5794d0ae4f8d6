"""The page of the budget: what was spent and is left as the accounts have it, and more of it by who may say so."""

from __future__ import annotations

import re

import httpx2
import pytest

from nightmill import event as e
from nightmill.desk.door import Door
from nightmill.settings import load
from nightmill.store.accounts import Accounts, Bound, Call, Offer
from tests import whole
from tests.server.conftest import House, role
from tests.server.test_rooms import Shop, shop, words

__all__ = ["shop"]

MONEY = 1_000_000


@pytest.fixture
def bounded(house: House) -> House:
    """A server whose day is bounded to $20."""
    flags = {"home": house.door.settings.home, "budget_day_money": 20.0, "budget_day_tokens": 5_000_000}
    house.stop()
    house.door.ledger.close()
    house.door.database.close()
    house.door = Door(load(file={}, environment={}, flags=flags))
    house.start()
    return house


def spend(house: House, project: str, spent: float, held: float = 0.0) -> None:
    accounts = Accounts(house.door.database)
    bounds = [Bound(scope="day", money=0, tokens=0)]
    for name, amount in (("spent", spent), ("held", held)):
        call = Call(id=f"{project}/{name}", run=f"r{project}", worker="w", project=project, spec="s")
        if amount:
            accounts.reserve(call, bounds=bounds, offers=[Offer(reply=1, money=round(amount * MONEY), tokens=1000)])
    accounts.settle(f"{project}/spent", money=round(spent * MONEY), tokens=1000)


def facts(page: httpx2.Response) -> dict[str, str]:
    assert page.status_code == 200, page.text
    return {
        words(name).strip(): words(said).strip()
        for name, said in re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text)
    }


def test_what_is_spent_held_and_left_is_what_the_accounts_have(bounded: House) -> None:
    spend(bounded, "shop", 3.5, 1.25)
    spend(bounded, "barn", 0.5)
    with bounded.browser("ada@example.org", role("viewer")) as client:
        page = client.get("/settings/budget")

    assert "$4.00 spent today" in words(page.text)
    told = facts(page)
    assert (told["left"], told["held by calls under way"]) == ("$14.75 of $20.00", "$1.25")
    assert 'aria-label="$4.00 spent and $1.25 held of $20.00"' in page.text
    assert re.search(r"shop none is set \$3\.50 \$1\.25 without bound", words(page.text))
    assert "<form" not in page.text.partition("<main")[2].partition("</main>")[0], (
        "a viewer adds nothing, and is not offered to"
    )


def test_what_has_no_known_price_is_not_said_to_cost_nothing(house: House) -> None:
    accounts = Accounts(house.door.database)
    call = Call(id="a", run="r", worker="w", project="shop", spec="s")
    accounts.reserve(
        call, bounds=[Bound(scope="day", money=0, tokens=0)], offers=[Offer(reply=1, money=0, tokens=9000)]
    )
    accounts.settle("a", money=0, tokens=9000)
    with house.browser("ada@example.org", role("viewer")) as client:
        page = client.get("/settings/budget")

    assert "9 k tokens today, at a price that is not known" in words(page.text)
    assert facts(page)["spent"] == "unknown"
    assert "shop none is set unknown $0 without bound" in words(page.text)


def test_a_project_that_bounds_itself_shows_how_far_it_is(shop: Shop) -> None:
    house = shop.house
    config = shop.root / "nightmill.yaml"
    config.write_text(config.read_text() + "\nbudget: 8\n")
    whole.commit(shop.root, "bound it")
    hub = house.door.hub(shop.project)
    hub.advance("main", hub.take(shop.root, "main"))
    spend(house, shop.project, 2.0)
    with house.browser("ada@example.org", role("viewer", shop.project)) as client:
        page = client.get("/settings/budget")

    assert 'aria-label="$2.00 spent and $0 held of $8.00"' in page.text
    assert "$6.00 of $8.00" in words(page.text)


def test_who_sees_one_project_sees_what_that_one_spent_and_no_sum_of_others(bounded: House) -> None:
    spend(bounded, "shop", 3.0)
    spend(bounded, "barn", 0.77)
    with bounded.browser("ada@example.org", role("admin", "shop")) as client:
        text = words(client.get("/settings/budget").text)
        refused = client.post("/settings/budget", data={"dollars": "5"}).status_code

    assert "$3.00" in text
    assert "barn" not in text
    assert "0.77" not in text
    assert "3.77" not in text
    assert "spent today" not in text.replace("What was spent today", "")
    assert refused == 403


def test_an_admin_adds_to_the_day_in_their_name_and_those_who_wait_for_it_look_again(bounded: House) -> None:
    bounded.run("rwaits")
    bounded.run("rperson")
    for run, needs in (("rwaits", "time"), ("rperson", "person")):
        bounded.tell(e.RunStarted(run=run, worker="w"), e.RunParked(run=run, reason="no budget", needs=needs))
    with bounded.browser("ada@example.org", role("admin")) as client:
        wrong = [
            client.post("/settings/budget", data={"dollars": each}).status_code
            for each in ("0", "-1", "nan", "inf", "1e9", "")
        ]
        page = client.post("/settings/budget", data={"dollars": "5.5"})

    assert wrong == [422] * 6
    assert "1 run that waited looks again" in words(page.text)
    assert facts(page)["left"] == "$25.50 of $25.50"
    (told,) = bounded.door.ledger.read(names=("budget_raised",))
    assert told.event().to_plain()["by"] == "Ada <ada@example.org>"
    assert told.event().to_plain()["dollars"] == 5.5
    wishes = {name: bounded.door.runs.get(name).wishes for name in ("rwaits", "rperson")}
    assert wishes == {"rwaits": 1, "rperson": 0}


def test_where_nothing_bounds_the_day_nothing_is_added(house: House) -> None:
    with house.browser("ada@example.org", role("admin")) as client:
        page = client.get("/settings/budget")
        refused = client.post("/settings/budget", data={"dollars": "5"})

    assert "Add to today" not in page.text
    assert refused.status_code == 422
    assert "budget_day_money" in refused.text
    assert house.door.ledger.read(names=("budget_raised",)) == []


def test_what_is_refused_on_a_page_says_why_and_leads_on(house: House) -> None:
    with house.browser("ada@example.org", role("viewer", "shop")) as client:
        html = {"Accept": "text/html"}
        barred = client.get("/settings/people", headers=html)
        method = client.get("/ledger/verify", headers=html)
    with house.browser("root@example.org", role("admin")) as client:
        unread = client.post("/settings/budget", data={"dollars": "many"}, headers=html)

    assert (barred.status_code, method.status_code, unread.status_code) == (403, 405, 422)
    assert 'href="/crew"' in barred.text, "who is signed in goes on from there"
    assert "ada@example.org may not administer in all projects" in words(barred.text)
    assert "body.dollars: Input should be a valid number" in words(unread.text)
    assert "openapi" not in unread.text, "that is for programs"
