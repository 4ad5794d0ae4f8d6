"""No merge goes round the gate: whoever merges is judged by the policy that holds now, on the tree that merging gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from nightmill.errors import RepoError, SettingsError
from nightmill.forge import PullRequest
from nightmill.forge.local import LocalForge
from nightmill.line.merging import Ground, Merging, fingerprint, ground, told
from nightmill.policy import Approval, Author, Changed, Decision, Facts, Policy, Proof, Review, Rule
from nightmill.review import Check, CheckResult, Evidence, Finding, Verdict
from nightmill.store import Question
from tests import whole
from tests.line.conftest import ADA, World

VERDICTS = TypeAdapter(Verdict)
NOW = 2_000_000_000.0
BOB, EVE = "Bob <bob@example.org>", "Eve <eve@example.org>"
AGENTS = "agents.example"
LOOSE = Policy(unsupervised="proven", blueprints="any", approval_hours=1e6)


@dataclass(frozen=True)
class Developer:
    name: str = "nightmill developer"
    email: str = f"developer@{AGENTS}"
    key: Path | None = None


@dataclass
class Change:
    """A change that is proven and open, and what judges its merge."""

    world: World
    request: PullRequest
    base: str

    def judge(self, policy: Policy) -> Merging:
        machines = self.world.machines
        return Merging(
            hub=self.world.hub, forge=self.forge, ledger=machines.ledger, blobs=machines.blobs,
            questions=machines.questions, agents=AGENTS,
            ground=Ground(self.world.hub.commit_of("refs/heads/main"), self.world.project, policy),
        )  # fmt: skip

    @property
    def forge(self) -> LocalForge:
        return self.world.machines.forge

    def said(self, policy: Policy, *, by: str = ADA, tree: str = "") -> Decision:
        return self.judge(policy).decide(self.request, tree or self.request.tree, now=NOW, by=by)


@pytest.fixture
def change(world: World) -> Change:
    hub, machines = world.hub, world.machines
    hub.create()
    base = hub.advance("main", hub.take(world.root, "main"))
    (world.root / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    whole.commit(world.root, "as a tree")
    tree = hub.tree(hub.take(world.root, "main"))
    head = hub.commit(tree, parents=[base], message="The change", author=Developer(), when=1)
    hub.branch("nightmill/r1", head, expected_old="")
    verdict = Verdict(
        tree=tree, base_tree=hub.tree(base), passed=True, reasons=(),
        results=(CheckResult(check="tests", tree=tree, exit=0, passed=True),),
        evidence=(Evidence(criterion="AC-1", text="it adds", state="shown"),),
    )  # fmt: skip
    request = PullRequest(
        key="r1", project=world.project.id, title="Mend it", body="", branch="nightmill/r1", target="main", head=head,
        base=base, tree=tree, verdict=machines.blobs.put(TypeAdapter(Verdict).dump_json(verdict)), passed=True,
        author=f"nightmill developer <developer@{AGENTS}>", run="r1",
    )  # fmt: skip
    return Change(world, machines.forge.open(request), base)


def test_whoever_merges_says_yes_with_it(change: Change) -> None:
    strict = replace(LOOSE, unsupervised="never")
    assert change.said(strict).outcome == "allow"
    assert change.said(strict).people == ("ada@example.org",)
    assert change.said(strict, by="").outcome == "ask"
    assert change.said(strict, by=f"dev <developer@{AGENTS}>").outcome == "ask"


def test_what_a_rule_forbids_nobody_merges(change: Change) -> None:
    never = replace(LOOSE, rules=(Rule(source="policy.yaml:2", paths=("calc.py",), change="deny"),))
    decision = change.said(never)
    assert (decision.outcome, decision.reasons[0].rule) == ("deny", "policy.yaml:2")


def test_what_loosens_the_checks_is_merged_by_a_person_where_proven_work_needs_none(change: Change) -> None:
    assert change.said(LOOSE, by="").outcome == "allow"
    loosened = Finding(
        kind="rules loosened", path="pyproject.toml", line=9, what="mypy strict is no longer on", blocks=False
    )
    verdict = replace(
        VERDICTS.validate_json(change.world.machines.blobs.get(change.request.verdict)), findings=(loosened,)
    )
    change.request = replace(change.request, verdict=change.world.machines.blobs.put(VERDICTS.dump_json(verdict)))

    asked = change.said(LOOSE, by="")
    assert asked.outcome == "ask"
    assert [each.what for each in asked.reasons] == [
        "major at pyproject.toml:9: rules loosened: mypy strict is no longer on"
    ]
    assert change.said(LOOSE).outcome == "allow"
    assert change.said(replace(LOOSE, bends=(("rules loosened", "show"),)), by="").outcome == "allow"


def test_a_check_that_the_rule_names_is_looked_for_in_the_verdict_of_the_tree(change: Change) -> None:
    for check, outcome in (("tests", "allow"), ("licences", "deny")):
        assert change.said(replace(LOOSE, rules=(Rule(source="p:1", checks=(check,)),))).outcome == outcome


def test_a_second_person_approves_of_the_pull_request_and_nobody_twice(change: Change) -> None:
    two = replace(LOOSE, rules=(Rule(source="p:1", approvals=2),))
    judge, tree = change.judge(two), change.request.tree
    assert change.said(two).outcome == "ask"
    judge.approve(change.request, tree, by=BOB, because="looks right")
    with pytest.raises(SettingsError, match="has said yes to"):
        judge.approve(change.request, tree, by=BOB, because="again")
    with pytest.raises(SettingsError, match="has a part in"):
        judge.approve(change.request, tree, by=f"dev <developer@{AGENTS}>", because="mine")

    decision = judge.decide(change.request, tree, now=change.world.machines.questions.of("r1")[0].decided + 1, by=ADA)
    assert (decision.outcome, decision.people) == ("allow", ("ada@example.org", "bob@example.org"))
    assert change.world.machines.questions.open() == [], "nobody waits for it"
    named = replace(LOOSE, rules=(Rule(source="p:1", approvals=2, approvers=("ada@example.org", "eve@example.org")),))
    assert change.said(named, by=EVE).outcome == "ask", "Bob is none of them, and it was under another policy"


def test_a_yes_that_was_given_while_the_run_asked_counts_for_its_tree_and_no_other(change: Change) -> None:
    two = replace(LOOSE, rules=(Rule(source="p:1", approvals=2),))
    questions, tree = change.world.machines.questions, change.request.tree
    asked = Question(
        id="r1/approve", run="r1", step="approve", kind="approve", title="Merge it?", tree=tree, policy=two.version
    )
    questions.ask(asked)
    given = questions.grant(asked.id, by=BOB).decided
    assert change.judge(two).decide(change.request, tree, now=given + 1, by=ADA).outcome == "allow"
    other = change.judge(two).decide(change.request, change.world.hub.tree(change.base), now=given + 1, by=ADA)
    assert other.outcome == "deny", "nothing proves that tree"
    assert any("another tree" in each for each in other.void)


def known(change: Change, **changes: Any) -> Facts:
    facts = Facts(
        tree=change.request.tree,
        changes=(Changed(path="calc.py", new=False),),
        authors=(Author(mail=f"developer@{AGENTS}", conversation="c1"),),
        agents=AGENTS,
        proof=Proof(tree=change.request.tree, passed=True),
        evidence=(("AC-1", "shown"),),
        findings=(),
        blueprint=False,
        approvals=(Approval(by=EVE, tree=change.request.tree, policy="p", at=0.0, expires=float("inf")),),
    )
    return replace(facts, **changes)


def test_what_the_gate_knew_when_it_landed_is_known_at_the_merge(change: Change) -> None:
    reviewed = replace(LOOSE, rules=(Rule(source="p:1", reviews=(("reviewer", 1),)),))
    assert change.said(reviewed).outcome == "deny"
    review = Review(
        role="reviewer", by=f"reviewer@{AGENTS}", conversation="c2", model="m", tree=change.request.tree, approved=True,
        writes="nothing",
    )  # fmt: skip
    decision = change.said(LOOSE)
    machines = change.world.machines
    machines.ledger.append([told("r1", known(change, reviews=(review,)), decision, blobs=machines.blobs)])

    assert change.said(reviewed).outcome == "allow"
    assert change.said(replace(reviewed, blueprints="approved"), by="").outcome == "ask", (
        "nobody approved of the process"
    )
    own = replace(review, conversation="c1")
    machines.ledger.append([told("r1", known(change, reviews=(own,)), decision, blobs=machines.blobs)])
    assert change.said(reviewed).outcome == "deny", "the conversation of an author"


def move(change: Change, files: dict[str, str], *, executable: str = "") -> str:
    """The target goes on with *files*; the tree that merging gives then, which the checks have passed on."""
    root, hub = change.world.root, change.world.hub
    whole.git(root, "reset", "-q", "--hard", hub.commit_of("refs/heads/main"))
    for path, text in files.items():
        (root / path).write_text(text)
    if executable:
        (root / executable).chmod(0o755)
    whole.commit(root, "somebody else's")
    tip = hub.advance("main", hub.take(root, "main"))
    tree = change.forge.merged_tree(project=change.request.project, number=1)
    prove(change, tree, hub.tree(tip))
    return tree


def prove(change: Change, tree: str, base_tree: str, **changes: Any) -> None:
    passed = CheckResult(check="tests", tree=tree, exit=0, passed=True)
    verdict = Verdict(tree=tree, base_tree=base_tree, passed=True, results=(passed,), reasons=(), **changes)
    kept = change.world.machines.blobs.put(TypeAdapter(Verdict).dump_json(verdict))
    change.forge.prove(project=change.request.project, tree=tree, passed=True, verdict=kept, at=2.0)


STRICT = whole.FILES["nightmill.yaml"] + "policy: {rules: [{about: sums, paths: [calc.py], approvals: 2}]}\n"
LAX = whole.FILES["nightmill.yaml"] + "policy: {approval_hours: 1}\n"


def test_what_a_merge_needs_stands_on_the_target_and_neither_in_a_checkout_nor_in_the_change(change: Change) -> None:
    world = change.world
    here = {"root": world.root, "home": world.door.settings.home}
    move(change, {"nightmill.yaml": STRICT})
    (world.root / "nightmill.yaml").write_text(LAX)
    assert [each.approvals for each in ground(world.hub, "main", **here).project.policy.rules] == [2]

    whole.commit(world.root, "a branch that asks for less")
    head = world.hub.take(world.root, "main")
    world.hub.branch("nightmill/r2", head, expected_old="")
    now = ground(world.hub, "main", **here)
    assert [each.approvals for each in now.project.policy.rules] == [2]
    assert now.policy.version == ground(world.hub, "main", **here).policy.version
    assert ground(world.hub, "nightmill/r2", **here).policy.version != now.policy.version

    (world.root / "nightmill.yaml").unlink()
    whole.commit(world.root, "nothing says how it is judged")
    world.hub.advance("main", world.hub.take(world.root, "main"))
    with pytest.raises(SettingsError, match=r"has no nightmill\.yaml") as caught:
        ground(world.hub, "main", **here)
    assert "git add nightmill.yaml" in caught.value.hint


def test_a_proof_holds_for_what_it_was_compared_with_and_by_the_checks_and_rules_that_hold_now(change: Change) -> None:
    tree, base_tree = change.request.tree, change.world.hub.tree(change.base)
    judge = change.judge(LOOSE)
    assert judge.proof(change.request, tree) == Proof(tree=tree, passed=True, checks=("tests",))

    more = replace(judge.ground.project, checks=(*judge.ground.project.checks, Check(name="types", command="mypy")))
    asked = replace(judge, ground=judge.ground._replace(project=more))
    assert asked.proof(change.request, tree) is None, "a check that there is now never ran"
    assert asked.decide(change.request, tree, now=NOW, by=ADA).reasons[0].what == "nothing proves it"

    weaker = Finding(kind="test weakened", path="test_calc.py", line=1, what="less", blocks=False)
    prove(change, tree, base_tree, findings=(weaker,))
    assert judge.proof(change.request, tree) is not None
    blocks = replace(LOOSE, bends=(("test weakened", "block"),))
    assert change.judge(blocks).proof(change.request, tree) is None, "what was let pass then is not now"

    prove(change, tree, change.world.hub.tree(change.request.head))
    assert judge.proof(change.request, tree) is None, "it was compared with something else"


@pytest.mark.parametrize(
    ("policy", "moved", "executable", "outcome", "why"),
    [
        ("ask", {"other.py": "x = 1\n"}, "", "ask", "the target has moved since"),
        ("keep", {"other.py": "x = 1\n"}, "", "allow", ""),
        ("keep", {}, "calc.py", "ask", "another tree"),
    ],
)
def test_after_the_target_moved_a_yes_counts_as_policy_says_and_only_for_the_same_change_of_the_same_files(
    change: Change, policy: Any, moved: dict[str, str], executable: str, outcome: str, why: str
) -> None:
    two = replace(LOOSE, moved=policy, rules=(Rule(source="p:1", approvals=2),))
    change.judge(two).approve(change.request, change.request.tree, by=BOB, because="looks right")
    tree = move(change, moved, executable=executable)
    now = change.world.machines.questions.of("r1")[0].decided + 1
    decision = change.judge(two).decide(change.request, tree, now=now, by=ADA)
    assert decision.outcome == outcome
    assert [why in each for each in decision.void] == ([True] if why else [])
    if outcome == "ask":
        change.judge(two).approve(change.request, tree, by=BOB, because="still right")
        later = change.world.machines.questions.of("r1")[-1].decided + 1
        assert change.judge(two).decide(change.request, tree, now=later, by=ADA).outcome == "allow"


def test_a_yes_given_under_the_policy_of_before_counts_nothing_once_the_target_brings_another(change: Change) -> None:
    world = change.world
    home = world.door.settings.home
    (home / "policy.yaml").write_text("unsupervised: proven\nblueprints: any\nmoved: keep\n")

    def judge() -> Merging:
        return replace(change.judge(LOOSE), ground=ground(world.hub, "main", root=world.root, home=home))

    judge().approve(change.request, change.request.tree, by=BOB, because="looks right")
    tree = move(change, {"nightmill.yaml": STRICT})
    now = world.machines.questions.of("r1")[0].decided + 1
    decision = judge().decide(change.request, tree, now=now, by=ADA)
    assert decision.outcome == "ask"
    assert any("the policy was another one then" in each for each in decision.void)
    assert any("1 of 2 people approve for sums" in each.sentence for each in decision.reasons)


def test_one_file_that_moved_beneath_it_makes_it_another_change(change: Change) -> None:
    hub = change.world.hub
    own = hub.changes(change.base, change.request.tree)
    assert fingerprint(own) == fingerprint(list(reversed(own)))
    assert fingerprint(own) != fingerprint([replace(own[0], old="0" * 40)])
    assert fingerprint(own) != fingerprint([])


def test_a_merge_onto_another_commit_than_it_was_judged_for_is_refused(change: Change) -> None:
    with pytest.raises(RepoError, match="moved on meanwhile"):
        change.forge.merge(project=change.request.project, number=1, by=ADA, onto="b" * 40)
    merged = change.forge.merge(project=change.request.project, number=1, by=ADA, onto=change.base)
    assert merged.state == "merged"
