"""Pull requests over the network: a program and a terminal elsewhere see, approve, merge and send back what people see on pages."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nightmill.errors import SettingsError
from nightmill.forge import PullRequest
from tests.cli.conftest import Here, here, mill
from tests.client.conftest import Login, at, login
from tests.server.conftest import role
from tests.server.test_change import AUTHOR, Shop, shop

__all__ = ["at", "here", "login", "mill", "shop"]


def test_a_client_sees_what_may_be_merged_and_merges_exactly_that(shop: Shop, login: Login) -> None:
    client = login("ada@example.org", "approver")
    (listed,) = client.changes(state="open").changes
    stand = client.change(shop.project, 1)

    assert listed == stand.change
    assert (stand.answer, stand.tree, stand.barred, stand.mine) == ("free", shop.request.tree, "", False)
    assert "+    return a + b" in client.change_diff(shop.project, 1)
    with pytest.raises(SettingsError, match="gives the tree"):
        client.merge_change(shop.project, 1, tree="0" * 40)
    assert client.approve_change(shop.project, 1, tree=stand.tree, because="I read it.").mine
    assert client.merge_change(shop.project, 1, tree=stand.tree).change.merged_by == "Ada <ada@example.org>"
    assert [each.name for each in shop.house.door.ledger.read(names=("pull_request_merged",))] == [
        "pull_request_merged"
    ]
    assert client.changes(state="open").changes == ()


def test_a_merge_that_is_asked_for_twice_is_answered_twice_and_done_once(shop: Shop) -> None:
    where = f"/api/v1/projects/{shop.project}/changes/1/merge"
    with shop.house.program("ada@example.org", role("approver")) as ada:
        asked = {"json": {"tree": shop.request.tree}, "headers": {"Idempotency-Key": "m1"}}
        first, again = (ada.post(where, **asked) for _ in range(2))  # type: ignore[arg-type]

    assert (first.status_code, first.json()) == (200, again.json()), first.text
    assert len(shop.house.door.ledger.read(run="r1", names=("pull_request_merged",))) == 1


def test_who_may_not_decide_is_told_so_and_nothing_happens(shop: Shop, login: Login) -> None:
    viewer, author = login("eve@example.org", "viewer"), login(AUTHOR, "admin")
    assert viewer.change(shop.project, 1).answer == "asks"
    for refused in (
        lambda: viewer.merge_change(shop.project, 1, tree=shop.request.tree),
        lambda: author.merge_change(shop.project, 1, tree=shop.request.tree),
        lambda: author.approve_change(shop.project, 1, tree=shop.request.tree),
        lambda: author.send_back(shop.project, 1, because="mine"),
    ):
        with pytest.raises(SettingsError):
            refused()
    assert author.change(shop.project, 1).barred
    assert (shop.state(), shop.decided()) == ("open", [])


def test_a_change_goes_back_with_its_reason(shop: Shop, login: Login) -> None:
    assert login("ada@example.org", "approver").send_back(shop.project, 1, because="Zero.").change.state == "closed"
    assert shop.decided() == [("refused", "Ada <ada@example.org>", "Zero.")]


def test_pages_follow_each_other_and_a_forged_cursor_is_refused(shop: Shop) -> None:
    for number in range(3):
        shop.house.door.forge.open(_other(shop, number))
    found, cursor = [], ""
    with shop.house.program("ada@example.org", role("viewer")) as client:
        while cursor is not None:
            page = client.get("/api/v1/changes", params={"limit": 3, "cursor": cursor}).json()
            found += [each["number"] for each in page["changes"]]
            cursor = page["next"]
        wrong = client.get("/api/v1/changes", params={"cursor": "WzEsICJ4Il0"})
        absent = client.get(f"/api/v1/projects/{shop.project}/changes/99")

    assert sorted(found) == [1, 2, 3, 4]
    assert (wrong.status_code, absent.status_code) == (422, 404)


def _other(shop: Shop, number: int) -> PullRequest:
    return replace(shop.request, key=f"k{number}", run=f"k{number}", branch=f"nightmill/k{number}", number=0)


def test_a_terminal_elsewhere_does_the_same(shop: Shop, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = shop.house.let_in("ada@example.org", role("approver"))
    token = shop.house.site.keys.make("t", owner=owner, scopes=("view", "approve"), seconds=600)
    same: tuple[tuple[str, ...], ...] = (
        ("prs",),
        ("prs", "--all"),
        ("pr", "show", "1"),
        ("pr", "show", "1", "--no-diff"),
    )
    monkeypatch.chdir(shop.root)
    monkeypatch.setenv("NIGHTMILL_HOME", str(shop.house.door.settings.home))
    near = [here(*each) for each in same]
    monkeypatch.setenv("NIGHTMILL_HOME", str(shop.root.parent / "elsewhere"))
    monkeypatch.setenv("NIGHTMILL_SERVER", shop.house.url)
    monkeypatch.setenv("NIGHTMILL_TOKEN", token)

    assert [here(*each) for each in same] == near
    listed, shown = (json.loads(here(*each, "--json").out) for each in same[::2])
    assert (listed, "+    return a + b" in shown["diff"]) == ([shown["change"]], True)
    assert f"you approve of #1 as tree {shop.request.tree[:10]}" in here("pr", "approve", "1").err
    assert "merged #1 into main" in here("pr", "merge", "1").err
    assert shop.state() == "merged"
    again = here("pr", "merge", "1")
    assert (again.code, "cannot be merged now: merged" in again.err) == (1, True)
    assert not (shop.root.parent / "elsewhere").exists(), "something here was used"


def test_a_terminal_at_the_store_sends_a_change_back_once(
    shop: Shop, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.root)
    monkeypatch.setenv("NIGHTMILL_PERSON", "Ada <ada@example.org>")
    monkeypatch.setenv("NIGHTMILL_HOME", str(shop.house.door.settings.home))
    done = here("pr", "back", "1", "--because", "Zero.")

    assert (done.code, shop.state()) == (0, "closed"), done.err
    assert done.err == (
        "#1 went back and is closed; its branch nightmill/r1 stays\nhave a run go on from it: nightmill rewind r1\n"
    )
    assert shop.decided() == [("refused", "Ada <ada@example.org>", "Zero.")]
    for command in (("pr", "merge", "1"), ("pr", "approve", "1"), ("pr", "back", "1", "--because", "Zero.")):
        refused = here(*command)
        assert (refused.code, "pull request 1 is closed" in refused.err) == (1, True), refused.err
