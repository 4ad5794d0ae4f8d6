"""The gate, for all facts and policies that can be drawn: nothing without its people, and no rule that loosens another."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill.policy import Approval, Author, Changed, Facts, Finding, Policy, Proof, Review, Rule, covers
from tests.policy.test_decide import DAY, NOW, RANK, TREE, said

paths = st.sampled_from(
    ["src/a.py", "src/auth/b.py", "tests/test_a.py", ".github/workflows/ci.yml", "db/migrations/1.py"]
)
globs = st.sampled_from(["**", "src/**", "src/auth/**", "tests/**", ".github/**", "**/migrations/**", "nothing/**"])
mails = st.sampled_from(["ada@example.org", "bob@example.org", "developer@agents.example", "reviewer@agents.example"])
trees = st.sampled_from([TREE, TREE, TREE, "b" * 40])
roles = st.sampled_from(["reviewer", "security", "qa"])

rule_s = st.builds(
    Rule,
    source=st.just("p:1"),
    paths=st.lists(globs, max_size=2).map(tuple),
    existing=st.booleans(),
    change=st.sampled_from(["", "", "ask", "deny"]),
    checks=st.lists(st.sampled_from(["tests", "types", "licences"]), max_size=1).map(tuple),
    reviews=st.lists(st.tuples(roles, st.integers(1, 2)), max_size=1).map(tuple),
    approvals=st.integers(0, 2),
    approvers=st.lists(mails, max_size=2).map(tuple),
    files=st.integers(0, 3),
    lines=st.integers(0, 30),
)
policies = st.builds(
    Policy,
    unsupervised=st.sampled_from(["", "never", "reviewed", "proven"]),
    blueprints=st.sampled_from(["", "approved", "any"]),
    approval_hours=st.sampled_from([0.0, 1.0, 72.0]),
    moved=st.sampled_from(["", "ask", "keep"]),
    rules=st.lists(rule_s, max_size=3).map(tuple),
)
digests = st.sampled_from(["", "d1", "d1", "d2"])
given_yes = st.tuples(
    mails, trees, st.booleans(), digests, st.sampled_from([-2 * DAY, -60.0, 60.0]), st.sampled_from([-1.0, DAY])
)
facts_s = st.builds(
    Facts,
    tree=st.just(TREE),
    changes=st.one_of(
        st.none(),
        st.lists(
            st.builds(Changed, path=paths, new=st.booleans(), added=st.integers(0, 20), removed=st.integers(0, 9)),
            max_size=4,
        ).map(tuple),
    ),
    authors=st.lists(
        st.builds(Author, mail=mails, conversation=st.sampled_from(["", "c1", "c2"])), min_size=1, max_size=2
    ).map(tuple),
    change=digests,
    agents=st.sampled_from(["agents.example", "agents.example", ""]),
    proof=st.one_of(st.none(), st.builds(Proof, tree=trees, passed=st.booleans(), checks=st.just(("tests", "types")))),
    evidence=st.one_of(
        st.none(),
        st.lists(
            st.tuples(st.just("AC-1"), st.sampled_from(["shown", "shown", "claimed", "not shown"])), max_size=2
        ).map(tuple),
    ),
    findings=st.one_of(
        st.none(),
        st.lists(st.builds(Finding, severity=st.sampled_from(["note", "major"]), what=st.just("x")), max_size=1).map(
            tuple
        ),
    ),
    blueprint=st.sampled_from([None, True, True, False]),
    reviews=st.lists(
        st.builds(
            Review,
            role=roles,
            by=mails,
            conversation=st.sampled_from(["", "c1", "c3", "c4"]),
            model=st.just("m"),
            tree=trees,
            change=digests,
            approved=st.booleans(),
            writes=st.sampled_from(["nothing", "tests", "code"]),
        ),
        max_size=3,
    ).map(tuple),
)


Given = tuple[str, str, bool, str, float, float]


def under(facts: Facts, policy: Policy, given: list[Given]) -> Facts:
    """*facts* with approvals that were *given*, some of them under *policy*."""
    made = (
        Approval(
            by=by,
            tree=tree,
            policy=policy.version if same else "another",
            at=NOW + at,
            expires=NOW + left,
            change=change,
        )
        for by, tree, same, change, at, left in given
    )
    return replace(facts, approvals=tuple(made))


def counted(facts: Facts, policy: Policy) -> set[str]:
    """The oracle: who approved as a person apart from the work, of this tree, under this policy, in time."""
    hours = policy.approval_hours or 168.0
    authors = {each.mail for each in facts.authors}
    return {
        each.by
        for each in facts.approvals
        if (each.tree == facts.tree or (policy.moved == "keep" and facts.change and each.change == facts.change))
        and each.policy == policy.version
        and each.by not in authors
        and facts.agents
        and not each.by.endswith(f"@{facts.agents}")
        and each.at <= NOW < each.expires
        and each.at + hours * 3600 > NOW
    }


@settings(max_examples=600)
@given(facts=facts_s, policy=policies, given=st.lists(given_yes, max_size=3))
def test_nothing_is_ever_allowed_without_the_people_that_it_needs(
    facts: Facts, policy: Policy, given: list[Given]
) -> None:
    facts = under(facts, policy, given)
    if said(facts, policy) != "allow":
        return
    people = counted(facts, policy)
    assert facts.proof is not None
    assert facts.proof.passed
    assert facts.proof.tree == facts.tree
    assert facts.changes
    if policy.unsupervised not in {"proven", "reviewed"}:
        assert people
    if any(state != "shown" for _, state in facts.evidence or ()):
        assert people
    if any(found.severity == "major" for found in facts.findings or ()):
        assert people
    if any(each.tree == facts.tree and not each.approved for each in facts.reviews):
        assert people
    for rule in policy.rules:
        touched = [
            each
            for each in facts.changes
            if not rule.paths or any(covers(pattern, each.path) for pattern in rule.paths)
        ]
        if touched and not rule.existing:
            assert rule.change != "deny"
            assert rule.change != "ask" or people
            assert len(people & set(rule.approvers or people)) >= rule.approvals


@settings(max_examples=600)
@given(facts=facts_s, policy=policies, more=rule_s, at=st.integers(0, 3), given=st.lists(given_yes, max_size=3))
def test_a_rule_more_never_allows_more(facts: Facts, policy: Policy, more: Rule, at: int, given: list[Given]) -> None:
    tighter = replace(policy, rules=(*policy.rules[:at], more, *policy.rules[at:]))
    before, after = (said(under(facts, each, given), each) for each in (policy, tighter))
    assert RANK[after] >= RANK[before]


@settings(max_examples=600)
@given(facts=facts_s, policy=policies, given=st.lists(given_yes, max_size=3), author=mails)
def test_an_author_or_a_yes_less_never_allows_more(
    facts: Facts, policy: Policy, given: list[Given], author: str
) -> None:
    whole = under(facts, policy, given)
    assert RANK[said(under(facts, policy, given[1:]), policy)] >= RANK[said(whole, policy)]
    joined = replace(whole, authors=(*whole.authors, Author(mail=author, conversation="c3")))
    assert RANK[said(joined, policy)] >= RANK[said(whole, policy)]
