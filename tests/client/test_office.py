"""What is administered from afar is done once, however often it is sent, and a secret comes back to who asked and to nobody else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nightmill import event as e
from nightmill.access import ACTS, Grant
from nightmill.client import Client
from nightmill.desk import hooks
from nightmill.errors import SettingsError
from nightmill.store import projects
from tests.client.conftest import Login, Lossy
from tests.server.conftest import House, door_of, role, served

SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A server that may tell this machine, and knows a project."""
    with served(door_of(tmp_path / "home", private_hosts=("localhost",))) as made:
        projects.keep(made.door.database, projects.Known(id="shop", root=tmp_path, hub=tmp_path, added=1.0))
        yield made


def told(house: House, *kinds: type[e.Event]) -> list[str]:
    return [entry.name for entry in house.door.ledger.read(names=[each.name for each in kinds])]


def test_what_makes_a_secret_and_lost_its_answer_makes_one_and_gives_that(
    house: House, login: Login, lossy: Lossy
) -> None:
    client = login("root@example.org", "admin")
    before = told(house, e.PersonInvited, e.TokenMade)
    link = lossy(client).invite("bob@example.org", grants=[Grant(role="viewer")])
    made = lossy(client).make_token("root@example.org", "ci", scopes=["view"], days=1)
    added = lossy(client).add_hook("http://localhost:9/")
    rotated = lossy(client).rotate_hook(added.hook.id)
    ear = lossy(client).hear("shop")

    assert told(house, e.PersonInvited, e.TokenMade) == [*before, "person_invited", "token_made"]
    assert told(house, e.HookAdded, e.HookChanged, e.SecretKept) == ["hook_added", "hook_changed", "secret_kept"]
    assert house.site.people.invited(link.rpartition("/")[2]) == "bob@example.org"
    assert house.site.keys.shows(made.secret, "token") is not None
    both = hooks.secrets(house.door, added.hook.id, at=house.clock())
    assert both == (rotated, added.secret), "what its receiver has is good for a day more"
    assert house.door.vault.get("ear.shop") == ear.secret


def test_what_ends_something_and_lost_its_answer_does_not_say_that_it_is_not_there(
    house: House, login: Login, lossy: Lossy
) -> None:
    client = login("root@example.org", "admin")
    house.let_in("bob@example.org", role("viewer"))
    client.make_token("root@example.org", "a/b", scopes=["view"], days=1)
    client.keep_secret("SPARE", SECRET)
    client.hear("shop")
    hook = client.add_hook("http://localhost:9/").hook.id
    lossy(client).revoke_token("root@example.org", "a/b")
    lossy(client).remove_secret("SPARE")
    lossy(client).deafen("shop")
    lossy(client).remove_hook(hook)
    lossy(client).shut_out("bob@example.org")

    assert [each.name for each in house.site.keys.tokens()] == ["test"]
    assert house.door.vault.names() == {}
    assert house.site.people.known("bob@example.org") is None
    for again in (
        lambda: client.revoke_token("root@example.org", "a/b"),
        lambda: client.remove_secret("SPARE"),
        lambda: client.remove_hook(hook),
        lambda: client.shut_out("bob@example.org"),
    ):
        with pytest.raises(SettingsError):
            again()


def asked(house: House, secret: str, key: str, **body: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key}
    return httpx2.post(f"{house.url}/api/v1/tokens", json={"name": "ci", **body}, headers=headers, timeout=60)


def test_an_answer_with_a_secret_is_opened_by_who_shows_the_same_again_and_by_nothing_that_is_kept(
    house: House, login: Login
) -> None:
    client: Client = login("root@example.org", "admin")
    mine = client.connection._http.headers["Authorization"].removeprefix("Bearer ")
    other = client.make_token("root@example.org", "other", scopes=list(ACTS), days=1).secret
    first, again = (asked(house, mine, "7") for _ in range(2))
    elsewhere, changed = asked(house, other, "7"), asked(house, mine, "7", days=2)
    client.keep_secret("SPARE", SECRET)

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert house.site.keys.shows(first.json()["token"], "token") is not None
    for refused in (elsewhere, changed):
        assert (refused.status_code, "token" in refused.json()) == (422, False)
    kept = b"".join(path.read_bytes() for path in house.door.settings.home.rglob("*") if path.is_file())
    assert b"sealed " in kept
    for secret in (first.json()["token"], other, mine, SECRET):
        assert secret.encode() not in kept


def test_a_secret_that_can_be_guessed_cannot_be_tried_at_what_is_kept_of_its_request(
    house: House, login: Login
) -> None:
    client = login("root@example.org", "admin")
    client.connection._fresh = lambda: "key"
    client.keep_secret("SPARE", "password1")
    guess = json.dumps(["PUT", "/api/v1/secrets/SPARE?", {"value": "password1"}], sort_keys=True)
    kept = b"".join(path.read_bytes() for path in house.door.settings.home.rglob("*") if path.is_file())

    assert hashlib.sha256(guess.encode()).hexdigest().encode() not in kept


def test_a_person_has_a_hundred_tokens_at_most(house: House, login: Login) -> None:
    login("root@example.org", "admin")
    owner = house.site.people.known("root@example.org")
    assert owner is not None
    for number in range(99):
        house.site.keys.make(f"t{number}", owner=owner, scopes=["view"], seconds=60)
    with pytest.raises(SettingsError, match="has 100 tokens"):
        house.site.keys.make("more", owner=owner, scopes=["view"], seconds=60)
