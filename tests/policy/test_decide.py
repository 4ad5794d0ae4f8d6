"""The gate: whose word counts, what no word settles, and that no rule ever loosens another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nightmill.policy import Approval, Author, Changed, Facts, Finding, Policy, Proof, Review, Rule, decide, reviewers

NOW = 1_000_000.0
DAY = 86_400.0
TREE = "a" * 40
ADA, BOB = "Ada <ada@example.org>", "bob@example.org"
DEVELOPER = Author(mail="developer@agents.example", conversation="c1")
CHANGE = Changed(path="src/shop/cart.py", new=False, added=10, removed=2)
PROOF = Proof(tree=TREE, passed=True, checks=("tests", "types"))
RANK = {"allow": 0, "ask": 1, "deny": 2}

FACTS = Facts(
    tree=TREE,
    changes=(CHANGE,),
    authors=(DEVELOPER,),
    agents="agents.example",
    proof=PROOF,
    evidence=(("AC-1", "shown"),),
    findings=(),
    blueprint=True,
)
LOOSE = Policy(unsupervised="proven", blueprints="any")


def yes(under: Policy, **changes: Any) -> Approval:
    fields = {"by": ADA, "tree": TREE, "policy": under.version, "at": NOW - 60, "expires": NOW + DAY, **changes}
    return Approval(**fields)


def review(role: str = "reviewer", **changes: Any) -> Review:
    fields = {
        "role": role,
        "by": f"{role}@agents.example",
        "conversation": "c2",
        "model": "m",
        "tree": TREE,
        "approved": True,
        "writes": "nothing",
        **changes,
    }
    return Review(**fields)


def said(facts: Facts, policy: Policy) -> str:
    return decide(facts, policy, NOW).outcome


def test_code_of_agents_is_merged_by_people_unless_the_policy_says_otherwise() -> None:
    assert said(FACTS, Policy()) == "ask"
    assert said(replace(FACTS, approvals=(yes(Policy()),)), Policy()) == "allow"
    assert said(FACTS, LOOSE) == "allow"
    reviewed = replace(LOOSE, unsupervised="reviewed")
    assert said(FACTS, reviewed) == "ask"
    assert said(replace(FACTS, reviews=(review(),)), reviewed) == "allow"


@pytest.mark.parametrize(
    "unknown",
    [
        {"tree": ""},
        {"changes": None},
        {"changes": ()},
        {"authors": ()},
        {"proof": None},
        {"evidence": None},
        {"findings": None},
        {"proof": Proof(tree=TREE, passed=False, checks=("tests",))},
        {"proof": Proof(tree="b" * 40, passed=True)},
    ],
)
def test_what_is_unknown_or_unproven_is_denied_and_no_yes_settles_it(unknown: dict[str, Any]) -> None:
    facts = replace(FACTS, approvals=(yes(LOOSE),), reviews=(review(),), **unknown)
    decision = decide(facts, LOOSE, NOW)

    assert decision.outcome == "deny"
    assert decision.reasons[0].do


@pytest.mark.parametrize(
    ("approval", "why"),
    [
        ({"tree": "b" * 40}, "another tree"),
        ({"policy": "older"}, "policy was another"),
        ({"by": "developer@agents.example"}, "an author"),
        ({"by": "Dev <DEVELOPER@Agents.Example>"}, "an author"),
        ({"by": "reviewer@agents.example"}, "an agent cannot"),
        ({"by": "Ada"}, "nobody is named"),
        ({"by": ""}, "nobody is named"),
        ({"expires": NOW}, "it is over"),
        ({"at": NOW + 1}, "it is over"),
        ({"at": NOW - 8 * DAY}, "it is over"),
    ],
)
def test_a_yes_that_counts_nothing_is_told_with_its_reason(approval: dict[str, Any], why: str) -> None:
    decision = decide(replace(FACTS, approvals=(yes(Policy(), **approval),)), Policy(), NOW)

    assert decision.outcome == "ask"
    assert decision.people == ()
    assert why in decision.void[0]


def test_after_the_target_moved_a_word_counts_only_where_policy_keeps_it_and_the_change_is_the_same() -> None:
    moved = replace(FACTS, change="d1")
    for policy, change, outcome, why in (
        (Policy(), "d1", "ask", "the target has moved since, and policy asks again (moved: ask)"),
        (Policy(moved="ask"), "d1", "ask", "the target has moved since, and policy asks again (moved: ask)"),
        (Policy(moved="keep"), "d2", "ask", "another tree"),
        (Policy(moved="keep"), "", "ask", "another tree"),
        (Policy(moved="keep"), "d1", "allow", ""),
    ):
        word = yes(policy, tree="b" * 40, change=change)
        decision = decide(replace(moved, approvals=(word,)), policy, NOW)
        assert decision.outcome == outcome
        assert [why in each for each in decision.void] == ([True] if why else [])

    unproven = replace(moved, proof=replace(PROOF, tree="b" * 40), approvals=(word,))
    assert said(unproven, Policy(moved="keep")) == "deny", "the checks have to pass on the merged tree whatever is kept"
    unknown = replace(moved, change="", approvals=(replace(word, change=""),))
    assert said(unknown, Policy(moved="keep")) == "ask", "what is not known is equal to nothing"


def test_reviews_are_kept_as_approvals_are_and_a_no_is_heard_wherever_the_target_is() -> None:
    before = review(tree="b" * 40, change="d1")
    moved = replace(FACTS, change="d1", reviews=(before,))
    rule = Rule(source="p:1", reviews=(("reviewer", 1),))
    assert said(moved, replace(LOOSE, rules=(rule,))) == "deny"
    assert said(moved, replace(LOOSE, rules=(rule,), moved="keep")) == "allow"
    against = replace(moved, reviews=(replace(before, approved=False),))
    assert said(against, LOOSE) == "ask"
    assert said(replace(against, change="d2"), LOOSE) == "allow", "it was said of another change"


def test_who_wrote_part_of_it_does_not_approve_of_it() -> None:
    facts = replace(FACTS, authors=(DEVELOPER, Author(mail="ada@example.org")), approvals=(yes(Policy()),))
    assert said(facts, Policy()) == "ask"
    assert said(replace(facts, approvals=(*facts.approvals, yes(Policy(), by=BOB))), Policy()) == "allow"


def test_where_it_is_not_known_which_addresses_are_agents_nobody_is_taken_for_a_person() -> None:
    assert said(replace(FACTS, agents="", approvals=(yes(Policy()),)), Policy()) == "ask"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tree": "b" * 40}, "another tree"),
        ({"by": "developer@agents.example"}, "an author"),
        ({"conversation": "c1"}, "conversation of its own"),
        ({"conversation": ""}, "conversation of its own"),
        ({"writes": "code"}, "writes code"),
        ({"writes": "anything"}, "writes code"),
    ],
)
def test_a_verdict_of_who_had_a_part_in_it_counts_nothing(changes: dict[str, Any], why: str) -> None:
    policy = replace(LOOSE, rules=(Rule(source="policy.yaml:3", reviews=(("reviewer", 1),)),))
    decision = decide(replace(FACTS, reviews=(review(**changes),)), policy, NOW)

    assert decision.outcome == "deny"
    assert why in decision.void[0]
    assert decision.reasons[0].rule == "policy.yaml:3"
    assert said(replace(FACTS, reviews=(review(),)), policy) == "allow"


def test_two_reviews_by_a_role_are_two_conversations() -> None:
    policy = replace(LOOSE, rules=(Rule(source="policy.yaml:3", reviews=(("reviewer", 2),)),))
    assert said(replace(FACTS, reviews=(review(), review())), policy) == "deny"
    assert said(replace(FACTS, reviews=(review(), review(conversation="c3"))), policy) == "allow"


def test_a_role_that_says_no_is_heard_by_a_person_whatever_others_say() -> None:
    facts = replace(FACTS, reviews=(review(), review(conversation="c3", approved=False)))
    decision = decide(facts, LOOSE, NOW)
    assert decision.outcome == "ask"
    assert "reviewer does not approve" in decision.reasons[0].what
    settled = decide(replace(facts, approvals=(yes(LOOSE),)), LOOSE, NOW)
    assert (settled.outcome, settled.people) == ("allow", ("ada@example.org",))
    assert settled.settled == decision.reasons


@pytest.mark.parametrize("state", ["not shown", "claimed", "whatever"])
def test_a_criterion_that_is_not_shown_asks_a_person(state: str) -> None:
    facts = replace(FACTS, evidence=(("AC-1", "shown"), ("AC-2", state)))
    decision = decide(facts, LOOSE, NOW)
    assert (decision.outcome, decision.reasons[0].what) == ("ask", f"criterion AC-2 is {state}")
    assert said(replace(facts, approvals=(yes(LOOSE),)), LOOSE) == "allow"


def test_a_grave_finding_asks_a_person_and_so_does_one_of_unknown_weight() -> None:
    for severity, outcome in (("critical", "ask"), ("major", "ask"), ("???", "ask"), ("minor", "allow")):
        found = Finding(severity=severity, what="it loses data", path="a.py", line=3)
        assert said(replace(FACTS, findings=(found,)), LOOSE) == outcome


def test_a_process_that_nobody_approved_of_asks_a_person() -> None:
    strict = replace(LOOSE, blueprints="approved")
    for known, outcome in ((True, "allow"), (False, "ask"), (None, "ask")):
        assert said(replace(FACTS, blueprint=known), strict) == outcome


def test_rules_about_paths_hold_where_the_paths_are_touched() -> None:
    auth = Rule(source="nightmill.yaml:9", about="auth", paths=("src/auth/**",), approvals=2)
    policy = replace(LOOSE, rules=(auth,))
    inside = replace(FACTS, changes=(CHANGE, replace(CHANGE, path="src/auth/login.py")))

    assert said(FACTS, policy) == "allow"
    one = replace(inside, approvals=(yes(policy), yes(policy, by="ada@example.org")))
    decision = decide(one, policy, NOW)
    assert (decision.outcome, decision.reasons[0].rule) == ("ask", "nightmill.yaml:9")
    assert "1 of 2 people approve for auth" in decision.reasons[0].what
    assert said(replace(one, approvals=(yes(policy), yes(policy, by=BOB))), policy) == "allow"


def test_the_roles_whose_review_is_wanted_are_those_of_the_rules_that_fit() -> None:
    policy = Policy(
        rules=(
            Rule(source="a:1", paths=("pay/**",), reviews=(("security", 1), ("reviewer", 2))),
            Rule(source="a:2", reviews=(("reviewer", 1),)),
            Rule(source="a:3", paths=("docs/**",), reviews=(("qa", 1),)),
        )
    )
    assert reviewers(policy, [Changed(path="pay/card.py", new=False)]) == ("security", "reviewer")
    assert reviewers(policy, [Changed(path="a.py", new=True)]) == ("reviewer",)


def test_who_is_named_for_paths_is_who_is_asked_about_them() -> None:
    rules = (Rule(source="policy.yaml:2", paths=("src/**",), approvers=("lead@example.org",)),)
    policy = replace(LOOSE, rules=rules)
    assert said(FACTS, policy) == "allow"
    doubtful = replace(FACTS, evidence=(("AC-1", "not shown"),))
    assert said(replace(doubtful, approvals=(yes(policy),)), policy) == "ask"
    assert said(replace(doubtful, approvals=(yes(policy, by="Lead <LEAD@example.org>"),)), policy) == "allow"


def test_paths_that_agents_never_change_are_denied_and_new_files_may_be_free() -> None:
    never = Rule(source="nightmill.yaml:4", about="workflows", paths=(".github/**",), change="deny")
    tests = Rule(source="nightmill.yaml:5", about="tests", paths=("tests/**",), existing=True, change="ask")
    policy = replace(LOOSE, rules=(never, tests))
    workflow = replace(FACTS, changes=(replace(CHANGE, path=".github/workflows/ci.yml", new=True),))
    decision = decide(replace(workflow, approvals=(yes(policy),)), policy, NOW)
    assert decision.outcome == "deny"
    assert ".github/workflows/ci.yml" in decision.reasons[0].what

    added = replace(CHANGE, path="tests/test_cart.py", new=True)
    assert said(replace(FACTS, changes=(CHANGE, added)), policy) == "allow"
    assert said(replace(FACTS, changes=(CHANGE, replace(added, new=False))), policy) == "ask"


def test_a_change_that_is_too_large_asks_a_person() -> None:
    policy = replace(LOOSE, rules=(Rule(source="policy.yaml:7", files=2, lines=100),))
    assert said(FACTS, policy) == "allow"
    many = tuple(replace(CHANGE, path=f"{number}.py") for number in range(3))
    assert said(replace(FACTS, changes=many), policy) == "ask"
    assert said(replace(FACTS, changes=(replace(CHANGE, added=99),)), policy) == "ask"


def test_a_check_that_a_rule_names_must_have_passed_on_the_tree() -> None:
    policy = replace(LOOSE, rules=(Rule(source="policy.yaml:7", checks=("tests", "licences")),))
    decision = decide(FACTS, policy, NOW)
    assert (decision.outcome, [reason.what for reason in decision.reasons]) == (
        "deny",
        ["the check 'licences' has not passed"],
    )


def test_the_version_is_of_what_a_policy_says_and_not_of_where_it_stands() -> None:
    rule = Rule(source="a:1", approvals=1)
    one, moved = Policy(rules=(rule,)), Policy(rules=(replace(rule, source="a:2"),))
    assert one.version == moved.version != Policy(rules=(replace(rule, approvals=2),)).version


def test_names_of_files_cannot_act_in_reasons() -> None:
    policy = replace(LOOSE, rules=(Rule(source="p:1", paths=("**",), change="ask"),))
    decision = decide(replace(FACTS, changes=(replace(CHANGE, path="a\x1b[2J\n.py"),)), policy, NOW)
    assert decision.reasons[0].what.isprintable()
