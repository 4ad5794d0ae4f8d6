"""Every route by every role in every project: made from the routes, so that a new one without a rule, or a wrong one, is seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter

from nightmill.access import ROLES, RoleName
from nightmill.server import api, pages
from nightmill.server.app import make
from nightmill.server.guard import Guarded, needs, of_api
from tests.server.conftest import House, role

ROUTES: list[Guarded] = [*api.routes(), *pages.routes()]  # type: ignore[list-item]
KNOCKS = [(method, route) for route in ROUTES for method in sorted(route.methods)]
VALUES = {
    "run": "rshop1",
    "other": "rshop1",
    "project": "shop",
    "name": "nothing",
    "address": "nobody@example.org",
    "secret": "none",
    "hook": "none",
    "role": "developer",
    "login": "nobody",
}
VALUES |= {"number": "none", "task": "rshop1-rest"}

LASTS = {"/api/v1/events"}


def knock(client: httpx2.Client, method: str, route: Guarded) -> int:
    """The status of a request to *route*; its body fits nothing, so that what is let in does nothing."""
    path = route.path_format.format(**VALUES)
    body = {"json": {"unknown": 1}} if method in {"POST", "PUT"} else {}
    if route.path in LASTS:
        with client.stream(method, path) as response:
            return response.status_code
    return client.request(method, path, headers={"Accept": "application/json"}, **body).status_code


def test_a_route_without_a_rule_cannot_be_made() -> None:
    router = APIRouter(route_class=Guarded)
    with pytest.raises(TypeError, match="has no rule"):
        router.get("/x")(lambda: None)
    with pytest.raises(TypeError, match="does not name"):
        of_api("x").get("/x")(needs("view", "run")(lambda: None))


def test_every_route_is_one_of_ours(house: House) -> None:
    assert ROUTES
    assert all(isinstance(route, Guarded) for route in ROUTES)
    served = make(house.site).app.routes  # type: ignore[attr-defined]
    others = [getattr(each, "path", "") for each in served if not isinstance(each, Guarded)]
    assert sorted(others) == ["/api/openapi.json", "/static"], "files, and the contract"


def test_nobody_comes_in_where_somebody_has_to_be_known(house: House) -> None:
    house.run("rshop1")
    open_ = {(method, route.path) for method, route in KNOCKS if route.need.act is None}
    with house.nobody() as client:
        let_in = {(method, route.path) for method, route in KNOCKS if knock(client, method, route) != 401}

    assert let_in == open_
    assert open_ == {
        ("GET", "/api/v1/health"),
        ("GET", "/sign-in"),
        ("POST", "/sign-in"),
        ("GET", "/sign-in/with"),
        ("GET", "/sign-in/back"),
        ("GET", "/sign-out/with"),
        ("POST", "/sign-out"),
        ("GET", "/welcome/{secret}"),
        ("POST", "/welcome/{secret}"),
        ("POST", "/api/v1/projects/{project}/heard"),
    }


def cases() -> Iterator[Any]:
    for name in ROLES:
        for project in ("", "shop", "barn"):
            yield pytest.param(name, project, id=f"{name}-{project or 'every'}")


@pytest.mark.parametrize(("name", "project"), [*cases()])
def test_each_role_is_let_in_exactly_where_its_acts_say(house: House, name: RoleName, project: str) -> None:
    house.run("rshop1")
    house.leaves("rshop1")
    person = f"{name}@example.org"
    with house.program(person, role(name, project)) as client:
        found = {(method, route.path): knock(client, method, route) for method, route in KNOCKS}

    for method, route in KNOCKS:
        if route.need.act is None:
            continue
        act, reaches = route.need.act, project in {"", "shop"}
        if route.need.of in {"run", "task", "project"}:
            expected = 404 if not reaches else None if act in ROLES[name] else 403
        elif route.need.of == "every":
            expected = None if act in ROLES[name] and project == "" else 403
        elif route.need.of == "some":
            expected = None if act in ROLES[name] else 403
        else:
            expected = None
        status = found[method, route.path]
        where = (method, route.path, status)
        if expected is None:
            assert status not in {401, 403}, where
            assert status != 404 or route.need.of == "nothing", where
        else:
            assert status == expected, where


def test_a_scope_takes_away_and_never_adds(house: House) -> None:
    house.run("rshop1")
    with house.program("ada@example.org", role("operator"), scopes=["view"]) as client:
        assert client.get("/api/v1/runs/rshop1").status_code == 200
        assert client.post("/api/v1/runs/rshop1/pause").status_code == 403
    with house.program("bob@example.org", role("viewer"), scopes=["view", "operate", "administer"]) as client:
        assert client.post("/api/v1/runs/rshop1/pause").status_code == 403
        assert client.get("/api/v1/people").status_code == 403


def test_lists_show_what_may_be_seen_and_say_nothing_of_the_rest(house: House) -> None:
    house.run("rshop1")
    house.run("rbarn1", project="barn")
    house.asks("rshop1")
    house.asks("rbarn1")
    with house.program("ada@example.org", role("viewer", "barn")) as client:
        assert [run["id"] for run in client.get("/api/v1/runs").json()["runs"]] == ["rbarn1"]
        assert client.get("/api/v1/runs", params={"project": "shop"}).json()["runs"] == []
        assert [each["run"] for each in client.get("/api/v1/waiting").json()["things"]] == ["rbarn1"]
        unseen, absent = client.get("/api/v1/runs/rshop1"), client.get("/api/v1/runs/rnone11")
        assert (unseen.status_code, absent.status_code) == (404, 404)
        assert unseen.json()["detail"].replace("rshop1", "X") == absent.json()["detail"].replace("rnone11", "X")


def test_nothing_tells_what_may_not_be_seen_from_what_is_not_there(house: House) -> None:
    house.run("rshop1")
    house.leaves("rshop1")
    absent = {**VALUES, "run": "rnone1", "task": "rnone1-rest", "project": "none"}
    about = [(method, route) for method, route in KNOCKS if route.need.of in {"run", "task", "project"}]
    with house.program("ada@example.org", role("admin", "barn")) as client:

        def told(method: str, route: Guarded, values: dict[str, str], accept: str) -> tuple[int, str, dict[str, str]]:
            said = client.request(method, route.path_format.format(**values), headers={"Accept": accept})
            text = said.text
            for value in ("rshop1", "rnone1", "shop", "none"):
                text = text.replace(value, "X")
            volatile = {"date", "content-length"}
            return said.status_code, text, {each: it for each, it in said.headers.items() if each not in volatile}

        for method, route in about:
            for accept in ("application/json", "text/html"):
                unseen = told(method, route, VALUES, accept)
                assert unseen == told(method, route, absent, accept), (method, route.path)
                assert unseen[0] == 404


def test_what_is_taken_away_counts_at_once(house: House) -> None:
    house.run("rshop1")
    with house.browser("ada@example.org", role("viewer")) as client:
        assert client.get("/api/v1/runs/rshop1").status_code == 200
        house.let_in("root@example.org", role("admin"))
        house.site.people.grant("ada@example.org", "", [], by="Root <root@example.org>")
        assert client.get("/api/v1/runs/rshop1").status_code == 404
        house.site.people.remove("ada@example.org", by="Root <root@example.org>")
        assert client.get("/api/v1/me").status_code == 401
