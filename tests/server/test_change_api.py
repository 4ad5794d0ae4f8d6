"""Pull requests over the network: a program and a terminal elsewhere see, approve, merge and send back what people see on pages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nightmill.cli import pulls_afar
from nightmill.errors import RepoError, SettingsError
from nightmill.forge import PullRequest
from nightmill.settings import Settings
from tests.client.conftest import Login, at, login
from tests.server.conftest import role
from tests.server.test_change import AUTHOR, Shop, shop

__all__ = ["at", "login", "shop"]


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


def test_a_terminal_elsewhere_does_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = shop.house.let_in("ada@example.org", role("approver"))
    monkeypatch.setenv(
        "NIGHTMILL_TOKEN", shop.house.site.keys.make("t", owner=owner, scopes=("view", "approve"), seconds=600)
    )
    there = Settings(home=shop.root.parent / "elsewhere", server=shop.house.url)

    (listed,) = pulls_afar.listed(there, shop.root, every=False)
    stand, diff = pulls_afar.found(there, shop.root, 1, diff=True)
    assert (listed, "+    return a + b" in diff) == (stand.change, True)
    pulls_afar.approve(there, shop.root, 1, because="")
    pulls_afar.merge(there, shop.root, 1)
    assert "merged #1 into main" in capsys.readouterr().err
    assert shop.state() == "merged"
    with pytest.raises(RepoError, match="cannot be merged now: merged"):
        pulls_afar.merge(there, shop.root, 1)
    assert not (shop.root.parent / "elsewhere").exists(), "something here was used"
