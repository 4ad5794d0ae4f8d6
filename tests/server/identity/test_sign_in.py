"""People come in by a real identity provider (OpenID Connect)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from nightmill.access import hashed
from nightmill.event import IdentityBound
from nightmill.store import projects
from tests.server.conftest import ROOT, House, role
from tests.server.identity.idp import KEY, Between, believed, invited, running, signs_in


def test_who_was_invited_comes_in_and_is_known_again_by_their_subject(house: House, between: Between) -> None:
    link = invited(house)
    with httpx2.Client(timeout=60) as browser:
        first = signs_in(house, "u-ada", to="/runs?state=done", browser=browser)
        assert (first.status_code, first.headers["location"]) == (303, "/runs?state=done"), first.text
        me = browser.get(f"{house.url}/api/v1/me").json()
        assert (me["address"], me["name"], me["way"]) == ("ada@example.org", "Ada Example", "session")
        assert me["grants"] == [{"role": "viewer", "project": ""}]
        given = first.headers.get_list("set-cookie")
        assert all("HttpOnly" in each and "SameSite=lax" in each for each in given)
        assert browser.cookies.get("nightmill-attempt") is None
    assert signs_in(house, "u-ada").status_code == 303, "and needs no invitation any more"

    told = [each.event() for each in house.door.ledger.read(names=(IdentityBound.name,))]
    assert told == [IdentityBound(run="", address="ada@example.org", issuer=between.issuer, subject="u-ada")]
    with house.nobody() as client:
        assert client.get(f"/welcome/{link.rpartition('/')[2]}").status_code == 404, "the invitation is used up"


@pytest.mark.parametrize(
    ("login", "why"),
    [("u-ada", "nobody has invited ada@example.org"), ("u-eve", "nobody has invited an address that the identity")],
)
def test_who_was_not_invited_or_has_no_verified_address_stays_out(
    house: House, between: Between, login: str, why: str
) -> None:
    if login == "u-eve":
        invited(house)

    answer = signs_in(house, login)

    assert answer.status_code == 403
    assert why in answer.text
    assert "set-cookie" not in answer.headers
    assert house.site.people.known("ada@example.org") is None


def test_an_address_that_passed_to_somebody_else_opens_nothing(house: House, between: Between) -> None:
    invited(house)
    assert signs_in(house, "u-ada").status_code == 303

    assert signs_in(house, "u-new").status_code == 403
    assert signs_in(house, "u-ada").status_code == 303


def test_a_provider_takes_over_nobody_who_has_a_password(house: House, between: Between) -> None:
    house.let_in("ada@example.org", role("admin"))

    assert signs_in(house, "u-ada").status_code == 403
    assert house.site.people.password("ada@example.org")
    invited(house, "ada@example.org", role("admin"))
    assert signs_in(house, "u-ada").status_code == 303, "unless an admin invites them anew"
    assert house.site.people.password("ada@example.org") == ""
    assert house.site.people.redeem(invited(house), name="Ada", password=hashed("correct horse battery"))
    assert signs_in(house, "u-ada").status_code == 403, "and back"


def test_who_is_shut_out_stays_out(house: House, between: Between) -> None:
    house.let_in("root@example.org", role("admin"))
    invited(house)
    with httpx2.Client(timeout=60) as browser:
        signs_in(house, "u-ada", browser=browser)
        house.site.people.remove("ada@example.org", by=ROOT)
        assert browser.get(f"{house.url}/api/v1/me").status_code == 401
        assert signs_in(house, "u-ada", browser=browser).status_code == 403


def test_whom_the_provider_lets_in_no_more_is_out_of_here_after_a_while(house: House, between: Between) -> None:
    believed(house, between, sessions=3600.0, tokens=7 * 86_400.0)
    invited(house)
    house.let_in("bob@example.org", role("viewer"))
    with httpx2.Client(timeout=60, headers={"Origin": house.url}) as browser, house.nobody() as program:
        signs_in(house, "u-ada", browser=browser)
        made = browser.post(f"{house.url}/api/v1/tokens", json={"name": "ci"}).json()["token"]
        mine = {"Authorization": f"Bearer {made}"}
        others = {"Cookie": f"nightmill={house.site.keys.begin('bob@example.org')}"}

        def seen() -> list[int]:
            cookie = browser.get(f"{house.url}/api/v1/me").status_code
            return [cookie, *(program.get("/api/v1/me", headers=each).status_code for each in (mine, others))]

        assert seen() == [200, 200, 200]
        house.clock.now += 3601
        assert seen() == [401, 200, 200]
        page = browser.get(f"{house.url}/runs", headers={"Accept": "text/html"})
        assert page.headers["location"] == "/sign-in?next=%2Fruns"
        assert signs_in(house, "u-ada", browser=browser).status_code == 303, "the provider still lets them in"
        assert seen() == [200, 200, 200]
        house.clock.now += 2 * 86_400
        house.site.keys.shows(others["Cookie"].partition("=")[2], "session")
        house.clock.now += 2 * 86_400
        assert seen() == [401, 200, 200]
        house.clock.now += 2 * 86_400
        house.site.keys.note()
        assert seen() == [401, 200, 200]
        house.clock.now += 86_400
        assert seen() == [401, 401, 200]
        said = program.get("/api/v1/me", headers=mine).json()["detail"]
        assert said.startswith("the identity provider has not spoken for ada@example.org for long")


def test_behind_tls_the_cookie_of_an_attempt_goes_by_it_alone_and_to_us_alone(house: House, between: Between) -> None:
    house.site.origin = "https://mill.example.org"
    with httpx2.Client(timeout=60, headers={"Host": "mill.example.org"}) as browser:
        sent = browser.get(f"{house.url}/sign-in/with")
    name, *rest = (each.strip() for each in sent.headers["set-cookie"].split(";"))
    parts = {each.casefold() for each in rest}

    assert sent.headers["location"].startswith(between.issuer)
    assert name.startswith("__Host-nightmill-attempt=")
    assert {"secure", "httponly", "samesite=lax", "path=/", "max-age=600"} <= parts
    assert not any(each.startswith("domain") for each in parts)


def test_groups_give_roles_and_take_them_at_each_sign_in(house: House, between: Between) -> None:
    house.let_in("root@example.org", role("admin"))
    there = projects.Known(id="shop", root=house.door.settings.home, hub=house.door.settings.home, added=1.0)
    projects.keep(house.door.database, there)
    rules = (
        *(("mill", role("operator")), ("staff", role("approver", "shop")), ("gods", role("admin"))),
        ("staff", role("admin", "shop-that-nobody-made")),
    )
    believed(house, between, roles=rules)
    invited(house, "ada@example.org", role("admin"))

    assert signs_in(house, "u-ada").status_code == 303
    assert house.site.people.known("ada@example.org").grants == (role("operator"), role("approver", "shop"))  # type: ignore[union-attr]
    between.lies["me"] = lambda said: {**said, "groups": ["staff"]}
    assert signs_in(house, "u-ada").status_code == 303
    assert house.site.people.known("ada@example.org").grants == (role("approver", "shop"),)  # type: ignore[union-attr]


def test_no_group_takes_the_last_admin_away(house: House, between: Between) -> None:
    believed(house, between, roles=(("gods", role("admin")),))
    invited(house, "ada@example.org", role("admin"))

    assert signs_in(house, "u-ada").status_code == 303
    assert house.site.people.anybody()


def test_a_session_from_before_is_worth_nothing_and_leaving_ends_it(house: House, between: Between) -> None:
    invited(house)
    house.let_in("bob@example.org", role("viewer"))
    before = house.site.keys.begin("bob@example.org")
    with httpx2.Client(timeout=60, headers={"Origin": house.url}) as browser:
        browser.cookies.set("nightmill", before, domain="127.0.0.1")
        given = signs_in(house, "u-ada", browser=browser).headers["set-cookie"]
        assert before not in given
        assert house.site.keys.shows(before, "session") is None
        kept = browser.cookies.get("nightmill", domain="127.0.0.1")
        assert browser.post(f"{house.url}/sign-out").status_code == 303
        assert house.site.keys.shows(str(kept), "session") is None
        assert "Sign in with Example" in browser.get(f"{house.url}/sign-in").text
        away = urlsplit(browser.get(f"{house.url}/sign-out/with").headers["location"])
        assert f"{away.scheme}://{away.netloc}" == between.issuer
        assert parse_qs(away.query)["post_logout_redirect_uri"] == [f"{house.url}/sign-in"]
        assert browser.get(away.geturl()).status_code == 200, "the provider knows that place"


def test_while_the_provider_is_gone_passwords_work(house: House, tmp_path: Path) -> None:
    house.let_in("bob@example.org", role("viewer"))
    with running(tmp_path, keys=[KEY], back=f"{house.url}/sign-in/back") as gone:
        pass
    believed(house, gone)
    with httpx2.Client(timeout=60, headers={"Origin": house.url}) as browser:
        answer = browser.get(f"{house.url}/sign-in/with")
        assert (answer.status_code, "cannot be asked" in answer.text) == (503, True)
        form = {"address": "bob@example.org", "password": "correct horse battery"}
        assert browser.post(f"{house.url}/sign-in", data=form).status_code == 303
