"""Settings: who signs in changes how, and only who administers everything lets people in."""

from __future__ import annotations

import re

from tests.server.conftest import House, role

SECRET = re.compile(r'data-copy="([^"]+)"')
HTML = {"Accept": "text/html"}


def test_a_token_is_shown_once_does_what_it_may_and_ends(house: House) -> None:
    house.run("ra1")
    with house.browser("ada@example.org", role("operator")) as client, house.nobody() as program:
        made = client.post("/settings/tokens", data={"name": "<b>ci</b>", "scopes": ["view"], "days": "3"})
        assert made.status_code == 409, "no name of a token"
        made = client.post("/settings/tokens", data={"name": "ci", "scopes": ["view"], "days": "3"})
        (token,) = SECRET.findall(made.text)
        program.headers["Authorization"] = f"Bearer {token}"
        seen = program.get("/api/v1/runs/ra1").status_code
        barred = program.post("/api/v1/runs/ra1/pause").status_code
        more = program.post("/settings/tokens", data={"name": "more", "scopes": ["view"], "days": "3"}).status_code
        page = client.get("/settings").text
        gone = client.post("/settings/tokens/revoke", data={"name": "ci"}).status_code
        after = program.get("/api/v1/runs/ra1").status_code

    assert (seen, barred, more, gone, after) == (200, 403, 403, 303, 401)
    assert "Revoke ci" in page
    assert token not in page


def test_a_new_password_takes_the_old_one_and_ends_other_sessions(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client, house.nobody() as elsewhere:
        elsewhere.headers["Origin"] = house.url
        elsewhere.cookies.set(house.site.cookie, house.site.keys.begin("ada@example.org"))
        wrong = client.post("/settings/password", data={"current": "wrong horse"})
        right = client.post("/settings/password", data={"current": "correct horse battery"})
        chosen = {"name": "Ada", "password": "another horse altogether"}
        done = client.post(right.headers["location"], data=chosen)
        other = elsewhere.get("/api/v1/me").status_code
        now = client.get("/api/v1/me").json()

    assert (wrong.status_code, right.status_code, done.status_code) == (422, 303, 303)
    assert "not the password" in wrong.text
    assert other == 401
    assert [each["role"] for each in now["grants"]] == ["viewer"]


def test_who_leaves_everywhere_has_no_session_left(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        unsure = client.post("/settings/sessions").status_code
        left = client.post("/settings/sessions", data={"sure": "yes"})
        after = client.get("/api/v1/me").status_code

    assert (unsure, left.status_code, after) == (422, 303, 401)


def test_an_admin_invites_gives_roles_and_shuts_out(house: House) -> None:
    with house.browser("root@example.org", role("admin")) as client, house.nobody() as guest:
        guest.headers["Origin"] = house.url
        asked = {"address": "bob@example.org", "roles": ["viewer"], "project": "shop"}
        (link,) = SECRET.findall(client.post("/settings/people", data=asked).text)
        assert link.startswith(f"{house.url}/welcome/")
        guest.post(link, data={"name": "Bob", "password": "four green tall ladders"})
        client.post(
            "/settings/people/bob@example.org/roles", data={"project": "shop", "roles": ["operator", "approver"]}
        )
        grants = guest.get("/api/v1/me").json()["grants"]
        page = client.get("/settings").text
        last = client.post("/settings/people/root@example.org/remove", data={"sure": "yes"})
        client.post("/settings/people/bob@example.org/remove", data={"sure": "yes"})
        after = guest.get("/api/v1/me").status_code

    assert grants == [{"role": "approver", "project": "shop"}, {"role": "operator", "project": "shop"}]
    assert "bob@example.org" in page
    assert last.status_code == 409
    assert after == 401


def test_who_does_not_administer_sees_nobody_else(house: House) -> None:
    house.let_in("secret@example.org", role("viewer"))
    with house.browser("ada@example.org", role("admin", "shop")) as client:
        assert "secret@example.org" not in client.get("/settings", headers=HTML).text
