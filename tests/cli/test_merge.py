"""Merging by command: policy is asked, and whoever it wants besides says so first."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from nightmill.estate.file import identify
from nightmill.event import RunDone, RunQueued
from nightmill.forge import PullRequest
from nightmill.forge.local import LocalForge
from nightmill.repo import Hub
from nightmill.review import Evidence, Verdict
from nightmill.store import Question, Questions, projects
from tests import whole
from tests.cli.conftest import Here
from tests.whole import Mill

POLICY = "policy: {rules: [{about: sums, paths: [calc.py], approvals: 2}]}\n"


@pytest.fixture
def shop(mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose pull request 1 is proven, of a run that is over."""
    root = whole.repository(mill.folder / "shop", {**whole.FILES, "nightmill.yaml": POLICY})
    project = identify(root)
    with mill.door() as door:
        hub = Hub(mill.home / "projects" / project / "hub.git")
        hub.create()
        projects.keep(door.database, projects.Known(id=project, root=root, hub=hub.path, added=1.0))
        base = hub.advance("main", hub.take(root, "main"))
        (root / "calc.py").write_text("def add(a, b):\n    return a + b\n")
        whole.commit(root, "The change")
        head = hub.take(root, "main")
        whole.git(root, "reset", "-q", "--hard", base)
        hub.branch("nightmill/r1", head, expected_old="")
        tree = hub.tree(head)
        shown = Evidence(criterion="AC-1", text="it adds", state="not shown")
        verdict = Verdict(tree=tree, base_tree=hub.tree(base), passed=True, results=(), reasons=(), evidence=(shown,))
        request = PullRequest(
            key="r1", project=project, title="Mend it", body="", branch="nightmill/r1", target="main", head=head,
            base=base, tree=tree, verdict=door.blobs.put(TypeAdapter(Verdict).dump_json(verdict)), passed=True,
            author="nightmill developer <developer@nightmill.invalid>", run="r1",
        )  # fmt: skip
        LocalForge(door.database, lambda _: hub, clock=lambda: 9.0).open(request)
        door.runs.create(
            RunQueued(run="r1", kind="task", title="t", project=project, spec="s", model="m"), assignment="a"
        )
        door.ledger.append([RunDone(run="r1", change=1)])
    monkeypatch.chdir(root)
    return root


def test_a_merge_waits_for_whom_policy_wants_and_then_goes_through(shop: Path, mill: Mill, here: Here) -> None:
    refused = here("pr", "merge", "1")
    assert refused.code == 1
    assert "1 of 2 people approve for sums (nightmill.yaml:1)" in refused.err
    assert "criterion AC-1 is not shown" in refused.err
    assert "nightmill pr approve 1" in refused.err.partition("hint: ")[2]

    with mill.door() as door:  # somebody else, at another terminal
        one = here("pr", "approve", "1", "--because", "I wrote the spec")
        assert one.code == 0, one.err
        assert "1 of 2 people approve" in one.err
        mine = Questions(door.database, lambda: 5.0).of("r1")[0]
        other = Question(
            **{name: getattr(mine, name) for name in ("run", "step", "kind", "title", "tree", "policy")},
            id="r1/merge/other/",
        )
        Questions(door.database, lambda: 5.0).volunteer(other, by="Bob <bob@example.org>")
    assert here("pr", "approve", "1").code == 1, "once is enough"

    merged = here("pr", "merge", "1")
    assert merged.code == 0, merged.err
    assert "merged #1 into main" in merged.err


def test_a_checkout_cannot_ask_for_less_than_the_target_does(shop: Path, here: Here) -> None:
    (shop / "nightmill.yaml").write_text("policy: {approval_hours: 5}\n")
    whole.commit(shop, "asks for less, and is only here")
    refused = here("pr", "merge", "1")
    assert refused.code == 1
    assert "1 of 2 people approve for sums (nightmill.yaml:1)" in refused.err


def test_a_policy_that_cannot_be_read_merges_nothing(shop: Path, mill: Mill, here: Here) -> None:
    (mill.home / "policy.yaml").write_text("unsupervised: [all]\n")
    done = here("pr", "merge", "1")
    assert done.code == 1
    assert "policy.yaml:1" in done.err
