"""Secrets over the network: set by whom may, taken where the operator says, and never read again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nightmill.cli.credentials import load as credentials
from nightmill.cli.credentials import uses
from nightmill.desk.door import Door
from nightmill.desk.nouns import Use
from nightmill.settings import load
from nightmill.store import projects
from tests.server.conftest import House, role, served

SECRET, OWN = "hunter2-hunter2-hunter2", "hunter3-hunter3-hunter3"
TAKEN = (
    Use(secret="FORGE", by="forge", host="git.example"),
    Use(secret="LAB", by="lab", host="lab.example", projects=("barn",)),
    Use(secret="OPENAI_API_KEY", by="models of openai"),
)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[House]:
    """A server whose operator has credentials, and two projects."""
    door = Door(
        load(file={}, environment={}, flags={"home": tmp_path / "home"}),
        secrets=lambda: door.vault.values().values(),
        uses=lambda: TAKEN,
    )
    with served(door) as made:
        for name in ("shop", "barn"):
            projects.keep(door.database, projects.Known(id=name, root=tmp_path, hub=tmp_path, added=1.0))
        yield made


def test_a_secret_is_set_with_who_set_it_replaced_and_deleted_and_nothing_that_is_answered_or_kept_holds_it(
    told: House,
) -> None:
    with told.program("root@example.org", role("admin")) as client:
        said = [client.put("/api/v1/secrets/FORGE", json={"value": SECRET})]
        said.append(client.get("/api/v1/secrets"))
        said.append(client.put("/api/v1/secrets/SPARE", json={"value": OWN}))
        said.append(client.put("/api/v1/secrets/FORGE", json={"value": OWN}))
        said.append(client.put("/api/v1/secrets/FORGE", json={"value": f"two\nlines {SECRET}"}))
        said.append(client.delete("/api/v1/secrets/FORGE"))
        said.append(client.delete("/api/v1/secrets/SPARE"))

    assert [each.status_code for each in said] == [204, 200, 204, 204, 409, 409, 204]
    listed = {each["name"]: each for each in said[1].json()["secrets"]}
    assert listed["FORGE"]["by"] == "Root <root@example.org>"
    assert [use["host"] for use in listed["FORGE"]["uses"]] == ["git.example"]
    assert (listed["LAB"]["at"], listed["OPENAI_API_KEY"]["at"]) == (None, None)
    assert "'forge' takes FORGE, and there is no other" in said[5].json()["detail"]
    assert told.door.vault.values() == {"FORGE": OWN}
    assert not [each for each in said if SECRET in each.text or OWN in each.text]
    kept = [path.read_bytes() for path in told.door.settings.home.rglob("*") if path.is_file()]
    assert not [body for body in kept if SECRET.encode() in body or OWN.encode() in body]
    told.run("rshop1", title=f"with {OWN}")
    assert OWN not in told.door.ledger.read()[-1].body, "the ledger knows what was set a moment ago"


def test_an_admin_of_a_project_sets_its_own_where_a_credential_of_it_takes_one(told: House) -> None:
    told.door.vault.put("FORGE", SECRET, at=1.0)
    with told.program("ada@example.org", role("admin", "shop")) as client:
        said = [
            client.put("/api/v1/projects/shop/secrets/FORGE", json={"value": OWN}),
            client.put("/api/v1/projects/shop/secrets/LAB", json={"value": OWN}),
            client.put("/api/v1/projects/shop/secrets/OPENAI_API_KEY", json={"value": OWN}),
            client.put("/api/v1/projects/shop/secrets/webhook.h1", json={"value": OWN}),
            client.put("/api/v1/projects/barn/secrets/LAB", json={"value": OWN}),
            client.put("/api/v1/secrets/FORGE", json={"value": OWN}),
            client.get("/api/v1/secrets"),
        ]
        mine = client.get("/api/v1/projects/shop/secrets").json()["secrets"]
    with told.program("bob@example.org", role("operator", "shop")) as client:
        said.append(client.get("/api/v1/projects/shop/secrets"))

    assert [each.status_code for each in said] == [204, 409, 409, 409, 404, 403, 403, 403]
    assert [(each["name"], each["others"], bool(each["at"])) for each in mine] == [("FORGE", [""], True)]
    assert told.door.vault.values() == {"FORGE": SECRET, "shop/FORGE": OWN}


def test_a_projects_own_goes_in_place_of_the_operators_there_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text('- {name: forge, host: git.example, projects: ["*"], from: "secret:FORGE"}\n')
    file.chmod(0o600)
    both = credentials(file, environment={}, kept=lambda _: {"": SECRET, "shop": OWN})
    only = credentials(file, environment={}, kept=lambda _: {"shop": OWN})

    for project, expected in (("shop", OWN), ("barn", SECRET)):
        assert [each.secret for each in both if each.serves(project)] == [expected]
    assert [[each.secret for each in only if each.serves(project)] for project in ("shop", "barn")] == [[OWN], []]
    assert len({each.id for each in both}) == 2
    assert len({each.placeholder for each in both}) == 1
    assert uses(file) == (TAKEN[0],)


def test_what_is_wrong_with_the_credentials_is_said_where_secrets_are(told: House, tmp_path: Path) -> None:
    (tmp_path / "credentials.yaml").write_text("no list")
    (tmp_path / "credentials.yaml").chmod(0o600)
    object.__setattr__(told.door, "uses", lambda: uses(tmp_path / "credentials.yaml"))
    with told.browser("root@example.org", role("admin")) as client:
        page = client.get("/settings/secrets")

    assert page.status_code == 200
    assert "must hold a list of credentials" in page.text
