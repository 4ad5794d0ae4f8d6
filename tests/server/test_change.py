"""The page of a change: whether it may be merged and why each part is there; decided by those who may, on what they saw."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import TypeAdapter

from nightmill import event as e
from nightmill.desk import comments, heard
from nightmill.estate.file import identify
from nightmill.forge import PullRequest
from nightmill.review import CheckResult, Evidence, Verdict
from nightmill.store import projects
from tests import whole
from tests.report.sample import edit
from tests.report.telling import Telling
from tests.server.conftest import ROOT, House, role
from tests.server.test_hooks import say

HOSTILE = "<script>alert(1)</script>\u202e"
AUTHOR = "developer@agents.example"


@dataclass
class Shop:
    """A project with one open, proven change, of a run that is over."""

    house: House
    root: Path
    project: str
    base: str
    request: PullRequest

    @property
    def path(self) -> str:
        return f"/changes/{self.project}/1"

    def moves_on(self) -> None:
        """Somebody else's commit lands on main."""
        hub = self.house.door.hub(self.project)
        (self.root / "other.txt").write_text("moved on\n")
        whole.commit(self.root, "elsewhere")
        hub.advance("main", hub.take(self.root, "main"))

    def decided(self) -> list[tuple[str, str, str]]:
        return [(each.state, each.by, each.answer) for each in self.house.door.questions.of("r1")]

    def state(self) -> str:
        return self.house.door.forge.get(project=self.project, number=1).state


@pytest.fixture
def shop(house: House, tmp_path: Path) -> Shop:
    return opened(house, tmp_path / "shop")


def opened(
    house: House, folder: Path, *, said: str = HOSTILE, more: str = "", also: Mapping[str, bytes] = MappingProxyType({})
) -> Shop:
    """A change of which its author *said* something, with *more* behind what it changes, and *also* new files."""
    root = whole.repository(folder)
    project, door = identify(root), house.door
    hub = door.hub(project)
    hub.create()
    base = hub.advance("main", hub.take(root, "main"))
    (root / "calc.py").write_text(whole.FILES["calc.py"].replace("a - b", "a + b") + more)
    for name, body in also.items():
        (root / name).write_bytes(body)
    whole.git(root, "-c", f"user.email={AUTHOR}", "add", "--all")
    whole.git(root, "-c", f"user.email={AUTHOR}", "commit", "-q", "-m", "The change")
    head = hub.take(root, "main")
    whole.git(root, "reset", "-q", "--hard", base)
    hub.branch("nightmill/r1", head, expected_old="")
    tree = hub.tree(head)
    result = CheckResult(check="tests", tree=tree, exit=0, passed=True)
    shown = Evidence(criterion="AC1", text=f"it adds {HOSTILE}", state="shown", by=("test_calc.py::Sums::test_sum",))
    verdict = Verdict(
        tree=tree, base_tree=hub.tree(base), passed=True, results=(result,), reasons=(), evidence=(shown,)
    )
    kept = door.blobs.put(TypeAdapter(Verdict).dump_json(verdict))
    request = door.forge.open(
        PullRequest(
            key="r1",
            project=project,
            title=f"Adding adds {HOSTILE}",
            body=HOSTILE,
            branch="nightmill/r1",
            target="main",
            head=head,
            base=base,
            tree=tree,
            verdict=kept,
            passed=True,
            author=f"nightmill developer <{AUTHOR}>",
            run="r1",
        )
    )
    projects.keep(door.database, projects.Known(id=project, root=root, hub=hub.path, added=1.0))
    house.run("r1", project=project)
    told = Telling(run="r1")
    told.take(edit("calc.py", ("a - b", "a + b")), text=f"AC1 needs a sum. {said}")
    told.check(result, HOSTILE, proof=0)
    told.judge(verdict, proof=0)
    told.tell(e.CommitMade, commit=head, tree=tree, branch="nightmill/r1", author="developer")
    told.tell(e.RunDone, change=1)
    for body in told.blobs.values():
        door.blobs.put(body)
    house.tell(*[each.event for each in told.entries])
    return Shop(house, root, project, base, request)


def test_it_says_whether_it_may_be_merged_what_shows_that_and_why_each_part_is_there(shop: Shop) -> None:
    with shop.house.browser("ada@example.org", role("approver")) as client:
        page = client.get(shop.path)

    assert page.status_code == 200
    for words in (
        "It may be merged",
        "Approve and merge",
        "AC1",
        "Proven",
        "turn 1",
        "AC1 needs a sum.",
        "named by the turn",
    ):
        assert words in page.text, words
    assert "in no edit of a turn" not in page.text


def test_what_strangers_wrote_stays_text(shop: Shop) -> None:
    with shop.house.browser("ada@example.org", role("approver")) as client:
        for path in (shop.path, "/changes"):
            text = client.get(path).text
            assert "<script>alert" not in text
            assert "\u202e" not in text


def test_who_may_not_decide_is_told_why_and_gets_no_button(shop: Shop) -> None:
    with shop.house.browser("eve@example.org", role("viewer")) as client:
        page = client.get(shop.path).text
        tried = client.post(f"{shop.path}/merge", data={"tree": shop.request.tree})
    assert "takes the role <b>approver</b>" in page
    assert "<button data-key" not in page
    assert tried.status_code == 403
    with shop.house.browser(AUTHOR, role("admin")) as client:
        page = client.get(shop.path).text
        tries = [
            client.post(f"{shop.path}/{verb}", data={"tree": shop.request.tree, "because": "mine"})
            for verb in ("approve", "merge", "back")
        ]
    assert "You may not decide this" in page
    assert "<button data-key" not in page
    assert [each.status_code for each in tries] == [409] * 3
    assert (shop.state(), shop.decided()) == ("open", [])


def test_a_merge_is_in_the_name_of_who_pressed_and_told_to_the_ledger(shop: Shop) -> None:
    with shop.house.browser("ada@example.org", role("approver")) as client:
        done = client.post(f"{shop.path}/merge", data={"tree": shop.request.tree}, follow_redirects=True)
        again = client.post(f"{shop.path}/merge", data={"tree": shop.request.tree})

    assert done.status_code == 200
    assert "Merged" in done.text
    assert shop.state() == "merged"
    (told,) = shop.house.door.ledger.read(run="r1", names=("pull_request_merged",))
    assert told.event().to_plain()["by"] == "Ada <ada@example.org>"
    assert again.status_code == 409


def test_nothing_is_merged_or_approved_but_the_tree_that_was_looked_at(shop: Shop) -> None:
    seen = shop.request.tree
    shop.moves_on()
    with shop.house.browser("ada@example.org", role("approver")) as client:
        page = client.get(shop.path).text
        stale = [client.post(f"{shop.path}/{verb}", data={"tree": seen}) for verb in ("merge", "approve")]
        tree = shop.house.door.forge.merged_tree(project=shop.project, number=1)
        unproven = client.post(f"{shop.path}/merge", data={"tree": tree})
        yes = client.post(f"{shop.path}/approve", data={"tree": tree, "because": "reads well"}, follow_redirects=True)

    assert "Nothing proves it as it would be merged now" in page
    assert "nightmill pr merge 1" in page
    assert [each.status_code for each in stale] == [409, 409]
    assert (unproven.status_code, shop.state()) == (409, "open")
    assert "reads well" in yes.text
    assert "You approved of exactly this tree" in yes.text
    assert shop.decided() == [("granted", "Ada <ada@example.org>", "reads well")]


def test_it_goes_back_with_a_reason_that_the_ledger_keeps(shop: Shop) -> None:
    with shop.house.browser("ada@example.org", role("approver")) as client:
        bare = client.post(f"{shop.path}/back", data={"because": "  "})
        done = client.post(f"{shop.path}/back", data={"because": f"calc.py:6 {HOSTILE}"}, follow_redirects=True)
        late = client.post(f"{shop.path}/merge", data={"tree": shop.request.tree})

    assert bare.status_code == 409
    assert "sent it back" in done.text
    assert "calc.py:6" in done.text
    assert "<script>alert" not in done.text
    assert (shop.state(), late.status_code) == ("closed", 409)
    (told,) = shop.house.door.ledger.read(run="r1", names=("question_decided",))
    values: dict[str, Any] = told.event().to_plain()
    assert (values["state"], values["by"]) == ("refused", "Ada <ada@example.org>")
    assert shop.house.door.hub(shop.project).resolve("nightmill/r1") == shop.request.head


def test_what_is_said_of_lines_goes_back_with_it_and_stands_at_those_lines(shop: Shop) -> None:
    with shop.house.browser("ada@example.org", role("approver")) as client:
        page = client.get(shop.path).text
        path = re.findall(r'name="at"[^>]* value="([^":]+):(\d+)"', page)[0]
        at = ":".join(path)
        nowhere = client.post(f"{shop.path}/back", data={"because": "", "at": ["calc.py"], "said": ["wrong"]})
        fields = {"because": "Twice.", "at": [at, "calc.py:1"], "said": [f"Not {HOSTILE}\r\nand more", "  "]}
        done = client.post(f"{shop.path}/back", data=fields, follow_redirects=True).text

    assert nowhere.status_code == 409
    assert "names no line" in nowhere.text
    (said,) = shop.decided()
    assert said[2].startswith(f"Twice.\n\n{at}: Not ")
    assert said[2].endswith("\n    and more")
    assert 'class="comment"' in done
    assert "Not &lt;script&gt;" in done
    assert "<script>alert" not in done


@given(
    some.text(max_size=80).filter(lambda text: not comments.read(text)[1]),
    some.lists(some.tuples(some.sampled_from(["a.py", "b c/d:1.py"]), some.integers(1, 999), some.text(max_size=60))),
)
def test_what_is_written_of_lines_is_read_again(because: str, said: list[tuple[str, int, str]]) -> None:
    reason = comments.written(because, [(f"{path}:{line}", text) for path, line, text in said])
    kept = [(path, line, text.replace("\r\n", "\n").strip()) for path, line, text in said if text.strip()]

    assert [(each.path, each.line, each.text) for each in comments.read(reason)[1]] == kept


def test_a_policy_that_wants_two_people_says_so_and_lets_one_approve(shop: Shop) -> None:
    (shop.house.door.settings.home / "policy.yaml").write_text(
        "rules: [{about: sums, paths: [calc.py], approvals: 2}]\n"
    )
    with shop.house.browser("ada@example.org", role("approver")) as client:
        page = client.get(shop.path).text
        refused = client.post(f"{shop.path}/merge", data={"tree": shop.request.tree})
        assert client.post(f"{shop.path}/approve", data={"tree": shop.request.tree}).status_code == 303
        assert client.post(f"{shop.path}/approve", data={"tree": shop.request.tree}).status_code == 409
    assert "It waits for people" in page
    assert "1 of 2 people approve for sums" in page
    assert refused.status_code == 409
    with shop.house.browser("bob@example.org", role("approver")) as client:
        assert "It may be merged" in client.get(shop.path).text


def test_changes_are_listed_to_those_who_may_see_them(shop: Shop) -> None:
    with shop.house.browser("ada@example.org", role("viewer", shop.project)) as client:
        listed = client.get("/changes").text
        assert f'href="{shop.path}"' in listed
        assert "1 change to be merged" in listed.replace("\xa0", " ")
        assert client.get(f"/changes/{shop.project}/2").status_code == 404
    with shop.house.browser("bob@example.org", role("viewer", "barn")) as client:
        assert "No change waits" in client.get("/changes").text
        assert client.get(shop.path).status_code == 404


def test_what_went_in_elsewhere_is_merged_here_as_soon_as_the_forge_says_so(shop: Shop) -> None:
    door, head = shop.house.door, shop.request.head
    secret = heard.listen(door, shop.project, at=1.0, by=ROOT)
    door.hub(shop.project).advance("main", head)
    assert [each.number for each in door.forge.all(project=shop.project, state="open")] == [1], "nobody has looked yet"

    body = json.dumps({"ref": "refs/heads/main", "after": head, "sender": {"login": "grace"}}).encode()
    with shop.house.nobody() as client:
        said = say(client, body, secret, project=shop.project)

    assert said.json() == {"news": True}
    assert [each.state for each in door.forge.all(project=shop.project)] == ["merged"]
    (told,) = [entry.event() for entry in door.ledger.read(names={"forge_heard"})]
    assert isinstance(told, e.ForgeHeard)
    assert (told.change, told.commit, told.by, told.run) == (1, head, "grace", "")
