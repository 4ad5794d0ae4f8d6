"""What browsers are told with every answer, to the letter: each of it shuts a way in that no page needs."""

from __future__ import annotations

import httpx2
import pytest
from argon2 import PasswordHasher

from tests.server.conftest import House, role

HTML = {"Accept": "text/html"}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
TOLD = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@pytest.mark.parametrize("path", ["/", "/sign-in", "/nothing", "/static/site.css", "/api/v1/me", "/api/openapi.json"])
def test_every_answer_says_what_a_browser_may_do_with_it(house: House, path: str) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        answers = [
            client.get(path, headers=HTML),
            client.request("BREW", path),
            client.get(path, headers={"Host": "x"}),
        ]

    for answer in answers:
        said = answer.headers["content-security-policy"]
        found = dict(each.strip().split(" ", 1) for each in said.split(";"))
        assert found == POLICY, answer.status_code
        assert {name: answer.headers.get(name) for name in TOLD} == TOLD
        assert "strict-transport-security" not in answer.headers, "without TLS it means nothing"
        assert not {"server", "x-powered-by", "access-control-allow-origin"} & answer.headers.keys()


def test_behind_tls_a_browser_comes_by_it_alone_from_then_on_and_cookies_go_no_other_way(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    house.site.origin = "https://mill.example.org"
    there = {"Host": "mill.example.org", "Origin": house.site.origin}
    with httpx2.Client(base_url=house.url, headers=there, timeout=60) as client:
        form = {"address": "ada@example.org", "password": "correct horse battery"}
        signed = client.post("/sign-in", data=form)
        left = client.post("/sign-out")

    assert signed.headers["strict-transport-security"] == "max-age=31536000"
    for given in (signed.headers["set-cookie"], left.headers["set-cookie"]):
        name, *rest = (each.strip() for each in given.split(";"))
        parts = {each.casefold() for each in rest}
        assert name.startswith("__Host-nightmill=")
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
        assert not any(each.startswith("domain") for each in parts)


def test_who_signs_in_again_has_one_session_in_that_browser(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client, house.nobody() as other:
        before = {"Cookie": f"nightmill={client.cookies['nightmill']}"}
        assert other.get("/api/v1/me", headers=before).status_code == 200
        client.post("/sign-in", data={"address": "ada@example.org", "password": "correct horse battery"})
        assert client.get("/api/v1/me").status_code == 200
        assert other.get("/api/v1/me", headers=before).status_code == 401


def test_a_password_that_was_kept_with_less_is_kept_anew_when_it_is_shown(house: House) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8_192).hash("correct horse battery")
    people = house.site.people
    secret = people.invite("ada@example.org", grants=[role("viewer")], by="Root <root@example.org>")
    people.redeem(secret, name="Ada", password=weak)
    elsewhere, told = house.site.keys.begin("ada@example.org"), house.door.ledger.last()
    with httpx2.Client(base_url=house.url, headers={"Origin": house.url}, timeout=60) as client:
        form = {"address": "ada@example.org", "password": "correct horse battery"}
        assert client.post("/sign-in", data=form | {"password": "wrong horse battery"}).status_code == 401
        assert people.password("ada@example.org") == weak
        assert client.post("/sign-in", data=form).status_code == 303
        kept = people.password("ada@example.org")
        assert client.post("/sign-in", data=form).status_code == 303

    assert kept != weak
    assert people.password("ada@example.org") == kept, "once"
    assert house.site.keys.shows(elsewhere, "session"), "the password is the same, so nothing ends"
    assert house.door.ledger.last() == told
