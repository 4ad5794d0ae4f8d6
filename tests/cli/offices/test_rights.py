"""Through a server one does what one may, and reads why not; a token makes tokens within itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightmill.access import ACTS
from tests.cli.conftest import Here, typed
from tests.cli.offices.conftest import SECRET, SHOP
from tests.server.conftest import House, role


@pytest.mark.parametrize(
    "case",
    [
        ([role("operator")], "person list", "eve@example.org may not administer in all projects"),
        ([role("admin", SHOP)], "person invite x@example.org admin", "may not administer in all projects"),
        ([role("admin", SHOP)], "webhook list", "may not administer in all projects"),
        ([role("admin", SHOP)], "webhook person SHOP octocat bob@example.org", "may not administer in all projects"),
        ([role("admin", SHOP)], "secret list", "may not administer in all projects"),
        ([role("admin", SHOP)], "secret list --project barn", "there is no project 'barn' that you may see"),
        ([role("viewer", SHOP)], "secret list --project SHOP", f"may not administer in {SHOP}"),
        ([role("viewer", SHOP)], "webhook hear SHOP", f"may not administer in {SHOP}"),
        ([role("viewer", SHOP)], "webhook hear", "nobody has given you the right to administer"),
        ([role("viewer", SHOP)], "token revoke ada@example.org terminal", "may not administer in all projects"),
        ([role("admin")], "token make ada@example.org mine", "who would act in that name"),
    ],
)
def test_what_one_may_not_is_said_as_one_reads_it(
    afar: Here, house: House, here: Here, monkeypatch: pytest.MonkeyPatch, case: tuple[Any, str, str]
) -> None:
    grants, words, said = case
    before = house.door.ledger.last()
    owner = house.let_in("eve@example.org", *grants)
    token = house.site.keys.make("hers", owner=owner, scopes=ACTS, seconds=3600)
    monkeypatch.setenv("NIGHTMILL_SERVER", house.url)
    monkeypatch.setenv("NIGHTMILL_TOKEN", token)
    done = here(*words.replace("SHOP", SHOP).split(" "))

    assert (done.code, done.out, said in done.err) == (1, "", True), done.err
    assert done.err.startswith("error: ")
    told = [each for each in house.door.ledger.read() if each.seq > before and "eve@example.org" not in each.body]
    assert told == []


def test_who_administers_one_project_sees_and_does_what_is_theirs(
    house: House, near: Here, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = house.let_in("eve@example.org", role("admin", SHOP))
    house.site.keys.make("not hers", owner=house.let_in("ada@example.org"), scopes=ACTS, seconds=3600)
    monkeypatch.setenv("NIGHTMILL_SERVER", house.url)
    monkeypatch.setenv("NIGHTMILL_TOKEN", house.site.keys.make("hers", owner=owner, scopes=ACTS, seconds=3600))
    typed(monkeypatch, SECRET)
    kept = here("secret", "set", "LAB", "--project", SHOP)
    heard = here("webhook", "hear", SHOP)
    there = here("webhook", "hear")
    tokens = json.loads(here("token", "list", "--json").out)

    assert (kept.code, heard.code) == (0, 0), f"{kept.err}{heard.err}"
    assert f"{house.url}/api/v1/projects/{SHOP}/heard" in heard.err
    assert there.out == f"{SHOP}\n"
    assert [(each["address"], each["name"]) for each in tokens] == [("eve@example.org", "hers")]
    assert house.door.vault.get(f"{SHOP}/LAB") == SECRET


def test_a_token_that_is_for_less_says_that_it_is_the_token(
    afar: Here, house: House, monkeypatch: pytest.MonkeyPatch, here: Here
) -> None:
    made = afar("token", "make", "ada@example.org", "looks")
    monkeypatch.setenv("NIGHTMILL_TOKEN", made.out.strip())
    done = here("person", "list")
    more = here("token", "make", "ada@example.org", "more", "--scope", "approve")
    end = here("token", "revoke", "ada@example.org", "terminal")

    assert "ada@example.org may administer in all projects, and this token may not" in done.err
    assert "made with --scope administer" in done.err
    assert "is not for approve, so neither is what it makes" in more.err
    assert "'terminal' may do more than the one that you came with" in end.err
    assert {each.name for each in house.site.keys.tokens()} == {"terminal", "looks"}


def test_a_token_made_with_another_is_good_no_longer_and_ends_with_it(
    afar: Here, house: House, monkeypatch: pytest.MonkeyPatch, here: Here
) -> None:
    first = afar("token", "make", "ada@example.org", "first", "--scope", "view", "--scope", "operate", "--days", "10")
    monkeypatch.setenv("NIGHTMILL_TOKEN", first.out.strip())
    second = here("token", "make", "ada@example.org", "second", "--scope", "operate", "--days", "90")
    monkeypatch.setenv("NIGHTMILL_TOKEN", second.out.strip())
    assert here("token", "make", "ada@example.org", "third", "--scope", "operate").code == 0
    good = {each.name: each.expires for each in house.site.keys.tokens()}
    ended = afar("token", "revoke", "ada@example.org", "first")

    assert "good no longer than the token that it was made with" in second.err
    assert "good no longer" not in first.err
    assert good["first"] == good["second"] == good["third"] < good["terminal"]
    assert ended.code == 0
    assert [each.name for each in house.site.keys.tokens()] == ["terminal"]
    assert house.site.keys.shows(second.out.strip(), "token") is None
