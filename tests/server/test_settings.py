"""Settings: who signs in changes how, and only who administers everything lets people in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nightmill import event as e
from nightmill.access import matches
from nightmill.store import projects
from tests.server.conftest import ROOT, House, role

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


def test_who_is_invited_is_on_the_page_until_they_come_or_it_is_taken_back(house: House) -> None:
    with house.browser("root@example.org", role("admin")) as client:
        client.post("/settings/people", data={"address": "bob@example.org", "project": "", "roles": ["viewer"]})
        wrong = client.post(
            "/settings/people", data={"address": "eve@example.org", "project": "shpo", "roles": ["admin"]}
        )
        shown = client.get("/settings/people").text
        told = client.get("/api/v1/people").json()["people"]
        client.post("/settings/people/bob@example.org/remove", data={"sure": "yes"})
        after = client.get("/settings/people").text

    assert (wrong.status_code, "there is no project" in wrong.text) == (409, True)
    assert "invited, until" in shown
    assert "Take the invitation back" in shown
    assert [(each["address"], each["added"], each["invited"] > 0) for each in told if each["way"] == ""] == [
        ("bob@example.org", 0.0, True)
    ]
    assert "bob@example.org" not in after


NEW = "another horse altogether"


def test_who_knows_the_password_has_another_at_once_and_every_other_way_in_ends(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client, house.nobody() as elsewhere:
        elsewhere.cookies.set(house.site.cookie, house.site.keys.begin("ada@example.org"))
        before = dict(client.cookies)
        invitation = house.site.people.invite("ada@example.org", by=ROOT)
        done = client.post("/settings/password", data={"current": "correct horse battery", "new": NEW})
        other = elsewhere.get("/api/v1/me").status_code
        stolen = elsewhere.get("/api/v1/me", headers={"Cookie": f"{house.site.cookie}={before[house.site.cookie]}"})
        now = client.get("/api/v1/me").json()

    assert done.status_code == 200
    assert "You have another password" in done.text
    assert (other, stolen.status_code) == (401, 401)
    assert [each["role"] for each in now["grants"]] == ["viewer"]
    assert matches(NEW, house.site.people.password("ada@example.org"))
    assert house.site.people.invited(invitation) == "", "an identity provider could have used it up"
    bodies = [entry.body for entry in house.door.ledger.read(names={"password_changed"})]
    assert [json.loads(body)["address"] for body in bodies] == ["ada@example.org"]


@pytest.mark.parametrize(
    ("current", "new", "why"),
    [
        ("wrong horse", NEW, "not the password that you have now"),
        ("correct horse battery", "short", "at least 12"),
        ("correct horse battery", "correct horse battery", "the one that you have now"),
    ],
)
def test_a_password_stays_as_it_is_where_the_old_or_the_new_one_is_not_good(
    house: House, current: str, new: str, why: str
) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        refused = client.post("/settings/password", data={"current": current, "new": new})
        assert client.get("/api/v1/me").status_code == 200, "the session goes on"

    assert refused.status_code == 422
    assert why in refused.text
    assert matches("correct horse battery", house.site.people.password("ada@example.org"))


def test_a_password_that_was_changed_meanwhile_is_not_changed_again(house: House) -> None:
    house.let_in("ada@example.org", role("viewer"))
    before = house.site.people.password("ada@example.org")
    first, second = (house.site.people.replace("ada@example.org", before=before, password=new) for new in ("a", "b"))

    assert (first, second) == (True, False)
    assert house.site.people.password("ada@example.org") == "a"
    assert not house.site.people.replace("nobody@example.org", before="", password="b")


def test_who_leaves_everywhere_has_no_session_left(house: House) -> None:
    with house.browser("ada@example.org", role("viewer")) as client:
        unsure = client.post("/settings/sessions").status_code
        left = client.post("/settings/sessions", data={"sure": "yes"})
        after = client.get("/api/v1/me").status_code

    assert (unsure, left.status_code, after) == (422, 303, 401)


def test_an_admin_invites_gives_roles_and_shuts_out(house: House) -> None:
    with house.browser("root@example.org", role("admin"), role("viewer", "shop")) as client, house.nobody() as guest:
        guest.headers["Origin"] = house.url
        asked = {"address": "bob@example.org", "roles": ["viewer"], "project": "shop"}
        (link,) = SECRET.findall(client.post("/settings/people", data=asked).text)
        assert link.startswith(f"{house.url}/welcome/")
        guest.post(link, data={"name": "Bob", "password": "four green tall ladders"})
        client.post(
            "/settings/people/bob@example.org/roles", data={"project": "shop", "roles": ["operator", "approver"]}
        )
        grants = guest.get("/api/v1/me").json()["grants"]
        page = client.get("/settings/people").text
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
        assert client.get("/settings/people", headers=HTML).status_code == 403


def test_an_admin_has_somebody_told_and_steers_that_on_the_page(house: House) -> None:
    with house.browser("root@example.org", role("admin")) as client:
        new = {"url": "https://hooks.example/in", "events": ["run_done"], "others": "run_parked, phase_started"}
        made = client.post("/settings/webhooks", data=new)
        (secret,) = SECRET.findall(made.text)
        (hook,) = house.door.hooks.all()
        at = f"/settings/webhooks/{hook.id}"
        arrived = client.post(f"{at}/test").text
        client.post(f"{at}/pause")
        paused = client.get("/settings/webhooks").text
        client.post(f"{at}/resume")
        rotated = client.post(f"{at}/rotate", data={"leaked": "yes"}).text
        again = client.post(f"{at}/again").status_code
        unsure = client.post(f"{at}/remove").status_code
        gone = client.post(f"{at}/remove", data={"sure": "yes"}).status_code

    assert hook.events == ("phase_started", "run_done", "run_parked")
    assert "did not arrive" in arrived
    assert "hooks.example has no address" in arrived
    assert ">Resume<" in paused
    assert "good no more" in rotated
    assert secret not in rotated + paused
    assert SECRET.findall(rotated) != [secret]
    assert (again, unsure, gone) == (409, 422, 303)
    assert house.door.hooks.all() == []


def test_an_admin_of_one_project_has_its_forge_heard_and_sees_no_webhook(house: House, tmp_path: Path) -> None:
    for name in ("shop", "barn"):
        projects.keep(house.door.database, projects.Known(id=name, root=tmp_path, hub=tmp_path, added=1.0))
    house.door.hooks.add("https://hooks.example/secret", host="hooks.example", events=(), project="", by=ROOT)
    with house.browser("ada@example.org", role("admin", "shop")) as client:
        page = client.get("/settings/webhooks").text
        address, secret = SECRET.findall(client.post("/settings/heard/shop").text)
        heard = client.get("/settings/webhooks").text
        named = {"forge": "github", "kind": "pushed", "about": "main", "commit": "c", "by": "ada", "delivery": "d"}
        house.tell(*[e.ForgeHeard(run="", project=each, digest=each, **named) for each in ("shop", "barn")])
        told = client.get("/settings/webhooks").text
        barred = [client.post(f"/settings/{each}").status_code for each in ("heard/barn", "webhooks/h1/pause")]
        led = client.get("/settings/secrets").headers["location"]
    with house.browser("bob@example.org", role("operator")) as client:
        barred += [client.get(f"/settings/{each}").status_code for each in ("webhooks", "secrets", "secrets/of/shop")]

    assert "hooks.example" not in page
    assert "barn" not in page
    assert address.endswith("/api/v1/projects/shop/heard")
    assert secret not in heard
    assert "waits for a first word" in heard
    assert "It last said something" in told
    assert barred == [404, 403, 403, 403, 403]
    assert led == "/settings/secrets/of/shop"
