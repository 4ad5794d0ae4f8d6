"""Pull requests on this machine: opened once, merged when proven, found again after a crash."""

from __future__ import annotations

import dataclasses
import json
import threading
from typing import Any

import pytest

from nightmill.errors import EngineError, RepoError
from nightmill.forge import Forge
from tests.conftest import Python

ADA = "Ada Approver <ada@example.org>"


def test_a_pull_request_is_opened_once_read_and_merged_by_a_person(desk: Any) -> None:
    forge: Forge = desk.forge
    request = desk.request(hello="hello\n")
    opened = forge.open(request)
    assert (opened.number, opened.state) == (1, "open")
    assert forge.open(dataclasses.replace(request, title="asked again")) == opened
    assert forge.get(project="shop", number=1) == opened
    before = desk.hub.commit_of("main")
    merged = forge.merge(project="shop", number=1, by=ADA)
    assert (merged.state, merged.merged_by) == ("merged", ADA)
    commit = desk.hub.log("main")[0]
    assert (commit.sha, commit.parents, commit.tree) == (merged.merge_commit, (before, request.head), request.tree)
    assert (commit.author, commit.email, commit.when) == ("Ada Approver", "ada@example.org", int(merged.merged))
    assert forge.all(project="shop") == [merged]
    with pytest.raises(RepoError, match="already merged"):
        forge.merge(project="shop", number=1, by=ADA)
    with pytest.raises(RepoError, match="no pull request 2"):
        forge.get(project="shop", number=2)


def test_nothing_is_merged_that_is_not_proven_as_it_would_be(desk: Any) -> None:
    red, first, second = desk.request(passed=False, red="r"), desk.request(a="a"), desk.request(b="b")
    numbers = [desk.forge.open(each).number for each in (red, first, second)]
    assert numbers == [1, 2, 3]
    with pytest.raises(RepoError, match="did not pass"):
        desk.forge.merge(project="shop", number=1, by=ADA)
    desk.forge.merge(project="shop", number=2, by=ADA)
    with pytest.raises(RepoError, match="has moved on, and nothing proves the tree"):
        desk.forge.merge(project="shop", number=3, by=ADA)
    tree = desk.forge.merged_tree(project="shop", number=3)
    desk.forge.prove(project="shop", tree=tree, passed=False, verdict="v", at=1.0)
    with pytest.raises(RepoError, match="nothing proves"):
        desk.forge.merge(project="shop", number=3, by=ADA)
    desk.forge.prove(project="elsewhere", tree=tree, passed=True, verdict="v", at=2.0)
    with pytest.raises(RepoError, match="nothing proves"):
        desk.forge.merge(project="shop", number=3, by=ADA)
    desk.forge.prove(project="shop", tree=tree, passed=True, verdict="v", at=3.0)
    merged = desk.forge.merge(project="shop", number=3, by=ADA)
    assert desk.hub.tree(merged.merge_commit) == tree
    assert set(desk.files("main")) == {"app.py", "a", "b"}


def test_opening_again_does_not_overrule_a_later_judgement(desk: Any) -> None:
    request = desk.request(a="a")
    desk.forge.prove(project="shop", tree=request.tree, passed=False, verdict="later", at=5.0)
    desk.forge.open(request)
    with pytest.raises(RepoError, match="did not pass"):
        desk.forge.merge(project="shop", number=1, by=ADA)


def test_a_conflict_a_moved_branch_and_a_stranger_are_refused(desk: Any) -> None:
    ours, theirs = desk.request(**{"app.py": "uno\ntwo\nthree\n"}), desk.request(**{"app.py": "eins\ntwo\nthree\n"})
    for each in (ours, theirs):
        desk.forge.open(each)
    with pytest.raises(RepoError, match="does not say who merges"):
        desk.forge.merge(project="shop", number=1, by="somebody")
    with pytest.raises(RepoError, match="not the one who may merge"):
        desk.forge.merge(project="shop", number=1, by="The Agent <DEVELOPER@nightmill.invalid>")
    desk.forge.merge(project="shop", number=1, by=ADA)
    with pytest.raises(RepoError, match=r"conflicts with 'main' in 'app\.py'"):
        desk.forge.merged_tree(project="shop", number=2)
    with pytest.raises(RepoError, match="conflicts"):
        desk.forge.merge(project="shop", number=2, by=ADA)
    late = desk.request(late="1")
    number = desk.forge.open(late).number
    desk.hub.branch(late.branch, desk.request(late="2").head, expected_old=late.head)
    with pytest.raises(RepoError, match="which was proven"):
        desk.forge.merge(project="shop", number=number, by=ADA)
    with pytest.raises(EngineError, match="does not have"):
        desk.forge.open(dataclasses.replace(late, key="x", tree=ours.tree))


def test_a_closed_pull_request_stays_closed(desk: Any) -> None:
    desk.forge.open(desk.request(a="a"))
    assert desk.forge.close(project="shop", number=1).state == "closed"
    assert desk.forge.close(project="shop", number=1).state == "closed"
    with pytest.raises(RepoError, match="is closed"):
        desk.forge.merge(project="shop", number=1, by=ADA)
    desk.forge.open(desk.request(b="b"))
    desk.forge.merge(project="shop", number=2, by=ADA)
    with pytest.raises(RepoError, match="already merged"):
        desk.forge.close(project="shop", number=2)


class Dies(Exception):
    """The worker is gone."""


@pytest.mark.parametrize("found_by", ["get", "merge"])
def test_a_merge_whose_row_was_not_written_is_read_back(
    desk: Any, found_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.forge.open(desk.request(a="a"))

    def die(*_: object, **__: object) -> None:
        raise Dies

    with monkeypatch.context() as patched:
        patched.setattr(desk.forge, "_close", die)
        with pytest.raises(Dies):
            desk.forge.merge(project="shop", number=1, by=ADA)
    tip = desk.hub.commit_of("main")
    assert desk.forge.all()[0].state == "open"
    if found_by == "get":
        found = desk.forge.get(project="shop", number=1)
    else:
        found = desk.forge.merge(project="shop", number=1, by="Someone Else <else@example.org>")
    assert (found.state, found.merge_commit, found.merged_by) == ("merged", tip, ADA)
    assert desk.hub.commit_of("main") == tip
    assert desk.forge.all()[0] == found


def test_a_target_moved_outside_the_forge_is_seen(desk: Any) -> None:
    request = desk.request(a="a")
    desk.forge.open(request)
    desk.hub.branch("main", request.head, expected_old=request.base)
    found = desk.forge.get(project="shop", number=1)
    assert (found.state, found.merge_commit, found.merged_by) == ("merged", request.head, "")


def test_two_who_merge_at_once_make_one_merge(desk: Any) -> None:
    desk.forge.open(desk.request(a="a"))
    answers: list[object] = []

    def merge() -> None:
        try:
            answers.append(desk.forge.merge(project="shop", number=1, by=ADA).state)
        except RepoError as error:
            answers.append(error.message.split(" as ")[0])

    threads = [threading.Thread(target=merge) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, answers)) == ["merged", *["pull request 1 was already merged"] * 2]
    assert len(desk.hub.log("main")) == 3


def test_a_stack_is_merged_from_below(desk: Any) -> None:
    lower = desk.request(a="a")
    desk.forge.open(lower)
    desk.forge.open(desk.request(on=lower, b="b"))

    with pytest.raises(RepoError, match="2 is stacked on 1, which is not merged yet") as refused:
        desk.forge.merge(project="shop", number=2, by=ADA)
    assert "nightmill pr merge 1" in refused.value.hint
    desk.forge.merge(project="shop", number=1, by=ADA)
    merged = desk.forge.merge(project="shop", number=2, by=ADA)
    assert (merged.state, merged.target) == ("merged", "main")


def test_what_is_opened_on_a_request_that_was_merged_meanwhile_goes_where_that_went(desk: Any) -> None:
    """A person may merge the first task's change while the second task is still worked on."""
    first = desk.forge.open(desk.request(one="1"))
    second = desk.request(on=first, two="2")
    third = desk.request(on=second, three="3")
    desk.forge.merge(project=desk.project, number=1, by=ADA)

    opened = desk.forge.open(second)
    assert opened.target == "main"
    desk.forge.merge(project=desk.project, number=opened.number, by=ADA)
    last = desk.forge.open(third)

    assert last.target == "main"
    desk.forge.merge(project=desk.project, number=last.number, by=ADA)
    assert {"one", "two", "three"} <= set(desk.files("main"))


@pytest.mark.parametrize("written", [True, False], ids=["row written", "worker died before the row"])
def test_what_is_stacked_on_a_merged_request_follows_it(
    desk: Any, monkeypatch: pytest.MonkeyPatch, *, written: bool
) -> None:
    lower = desk.request(a="a")
    upper, beside, closed = desk.request(on=lower, b="b"), desk.request(on=lower, c="c"), desk.request(on=lower, d="d")
    foreign = dataclasses.replace(desk.request(on=lower, e="e"), project="elsewhere")
    highest = desk.request(on=upper, f="f")
    for each in (lower, upper, beside, closed, highest, foreign):
        desk.forge.open(each)
    desk.forge.close(project="shop", number=4)

    def die(*_: object, **__: object) -> None:
        raise Dies

    if written:
        desk.forge.merge(project="shop", number=1, by=ADA)
    else:
        with monkeypatch.context() as patched:
            patched.setattr(desk.forge, "_close", die)
            with pytest.raises(Dies):
                desk.forge.merge(project="shop", number=1, by=ADA)
        assert desk.forge.get(project="shop", number=1).state == "merged"

    targets = {each.number: each.target for each in desk.forge.all(project="shop")}
    assert targets == {1: "main", 2: "main", 3: "main", 4: lower.branch, 5: upper.branch}
    assert desk.forge.all(project="elsewhere")[0].target == lower.branch
    assert desk.forge.merge(project="shop", number=2, by=ADA).target == "main"
    assert desk.forge.merge(project="shop", number=5, by=ADA).target == "main"
    assert set(desk.files("main")) == {"app.py", "a", "b", "f"}


PROGRAM = """
import dataclasses, json, sys
from pathlib import Path
from nightmill.forge import PullRequest
from nightmill.forge.local import LocalForge
from nightmill.repo import Hub
from nightmill.store.database import Database
plain = json.loads(sys.stdin.readline())
request = PullRequest(**plain)
forge = LocalForge(Database.open(sys.argv[1]), lambda _: Hub(Path(sys.argv[2])), clock=lambda: 1.0)
print("ready", flush=True)
sys.stdin.readline()
numbers = [forge.open(dataclasses.replace(request, key=f"{sys.argv[3]}-{count}")).number for count in range(5)]
numbers += [forge.open(dataclasses.replace(request, key=f"shared-{count}")).number for count in range(5)]
print(json.dumps(numbers))
"""


def test_processes_that_open_at_once_share_no_number(desk: Any, python: Python) -> None:
    plain = json.dumps(dataclasses.asdict(desk.request(a="a")))
    opening = [python(PROGRAM, desk.url, desk.hub.path, name) for name in ("one", "two", "three")]
    for process in opening:
        assert process.stdin is not None
        process.stdin.write(plain + "\n")
        process.stdin.flush()
    for process in opening:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    answers = [json.loads(process.communicate("go\n")[0]) for process in opening]
    own = [number for numbers in answers for number in numbers[:5]]
    assert len(set(own)) == 15
    assert len({tuple(numbers[5:]) for numbers in answers}) == 1
    assert sorted(request.number for request in desk.forge.all()) == list(range(1, 21))


def test_what_is_unmerged_is_looked_at_again_only_when_its_target_has_moved(desk: Any) -> None:
    for name in ("a", "b"):
        desk.forge.open(desk.request(**{name: name}))
    assert [each.number for each in desk.forge.unmerged()] == [2, 1]
    looked: list[str] = []
    contains = type(desk.hub).contains

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(desk.hub, name)

        def contains(self, **named: str) -> bool:
            looked.append(named["ancestor"])
            return contains(desk.hub, **named)

    desk.forge.hubs = lambda _: Watched()
    assert [each.number for each in desk.forge.unmerged()] == [2, 1]
    assert looked == []
    second = desk.forge.get(project="shop", number=2)
    looked.clear()
    desk.hub.branch("main", second.head, expected_old=desk.hub.commit_of("main"))
    assert [each.number for each in desk.forge.unmerged()] == [1]
    assert len(looked) == 2
    assert desk.forge.get(project="shop", number=2).state == "merged"
