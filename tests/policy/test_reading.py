"""What people write as a policy: read with its lines, and a project's word only ever asks for more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from nightmill.errors import SettingsError
from nightmill.estate.file import parse
from nightmill.estate.rules import holding
from nightmill.policy import KINDS, TAKEABLE, Bounds, Changed, Policy, Rule, Rung, agree, covers, decide, is_test
from nightmill.policy.ladder import LADDER
from nightmill.tool import standard
from tests.policy.test_always import facts_s, given_yes, policies, under
from tests.policy.test_decide import FACTS, LOOSE, RANK, yes

WHOLE = """\
unsupervised: reviewed
blueprints: any
approval_hours: 24
protect: [workflows, auth]
budgets: {task: 2.5, day: 40, project: 10}
groups:
  leads: [Ada@Example.org, bob@example.org]
rules:
  - about: payments
    paths: [src/payments/**]
    checks: [tests]
    reviews: {security: 1}
    approvals: 2
    approvers: ["@leads"]
  - {files: 40, lines: 1500}
ladder:
  - {note: 1, approval: 5}
  - {mistake: refusal, permission: 1, takes: [search, network, search]}
"""


def held(tmp_path: Path, operator: str = "", project: str = "") -> Policy:
    """What holds for a Python project with these texts as its policies."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "policy.yaml").unlink(missing_ok=True)
    if operator:
        (home / "policy.yaml").write_text(operator)
    lines = "".join(f"  {line}\n" for line in project.splitlines())
    body = f"language: python\n{f'policy:{chr(10)}{lines}' if project else ''}"
    return holding(parse(body.encode(), root=tmp_path), home=home)


def test_a_policy_is_read_with_the_line_of_each_rule(tmp_path: Path) -> None:
    policy = held(tmp_path, WHOLE)

    assert (policy.unsupervised, policy.blueprints, policy.approval_hours) == ("reviewed", "any", 24.0)
    assert policy.budgets == Bounds(task=2.5, day=40.0, project=10.0)
    *shipped, payments, size = policy.rules
    assert [rule.about for rule in shipped] == [KINDS["workflows"].about, KINDS["auth"].about]
    assert payments == Rule(
        source="policy.yaml:9",
        about="payments",
        paths=("src/payments/**",),
        checks=("tests",),
        reviews=(("security", 1),),
        approvals=2,
        approvers=("ada@example.org", "bob@example.org"),
    )
    assert (size.source, size.files, size.lines) == ("policy.yaml:15", 40, 1500)
    assert Rung(kind="refusal", measure="permission", times=1, takes=("search", "network")) in policy.ladder


def test_where_nobody_says_anything_people_merge_and_every_kind_of_path_is_protected(tmp_path: Path) -> None:
    policy = held(tmp_path)

    assert (policy.unsupervised, policy.blueprints, policy.approval_hours) == ("never", "approved", 168.0)
    assert policy.protect == tuple(KINDS)
    assert policy.ladder == LADDER


def test_a_permission_that_is_not_named_is_what_nobody_needs_for_the_work(tmp_path: Path) -> None:
    (rung,) = held(tmp_path, "ladder: [{permission: 2}]").ladder
    assert rung.takes == ("network", "explore")
    (*_, own) = held(tmp_path, "", "ladder: [{mistake: guard, permission: 1, takes: [run_command]}]").ladder
    assert (own.kind, own.takes) == ("guard", ("run_command",))


def test_a_rung_can_take_the_network_what_is_beyond_the_plan_and_tools_that_do_something_outside() -> None:
    tools = {*standard().tools} - {*standard().only(()).tools}
    assert {*TAKEABLE} == tools | {"network", "footprint"}


def test_a_project_adds_and_takes_nothing_away(tmp_path: Path) -> None:
    project = "unsupervised: proven\nblueprints: any\napproval_hours: 1000\nprotect: []\nbudgets: {task: 100, day: 1}\n"
    before, loosened = held(tmp_path), held(tmp_path, "", project)
    assert replace(loosened, budgets=Bounds()) == before
    assert loosened.budgets == Bounds(task=100.0), "what a day costs is everybody's, so it is the operator's"

    project = 'unsupervised: never\nrules:\n  - {approvers: ["@leads", "eve@example.org"], approvals: 3}\nbudgets: {task: 1}\n'
    tight = held(tmp_path, WHOLE, project)
    assert tight.unsupervised == "never"
    assert (tight.budgets.task, tight.approval_hours) == (1.0, 24.0)
    assert tight.rules[-1].source == "nightmill.yaml:5"
    assert tight.rules[-1].approvers == ("ada@example.org", "bob@example.org", "eve@example.org")


@pytest.mark.parametrize(
    ("operator", "project", "said"),
    [
        ("unsupervised: sometimes", "", "policy.yaml:1: unsupervised is 'sometimes'"),
        ("rules:\n- path: [a]", "", "policy.yaml:2: unknown key 'rules[0].path'; did you mean 'paths'?"),
        ("rules:\n- {approvers: [ada]}", "", "policy.yaml:2: 'ada' is neither an address"),
        ("rules:\n- {approvers: ['@none']}", "", "policy.yaml:2: there is no group 'none'"),
        ("rules:\n- {approvers: [a@b.c], approvals: 2}", "", "policy.yaml:2: it wants 2 approvals of 1 people"),
        ("groups: {leads: [ada]}", "", "'ada', which is no address"),
        ("groups: {'@x': [a@b.c]}", "", "is not the name of a group"),
        ("rules:\n- {reviews: {qa: none}}", "", "policy.yaml:2: rules[0].reviews.qa must be a whole number above 0"),
        ("rules:\n- {reviews: [qa]}", "", "must be a mapping of names to whole numbers"),
        ("groups: {a: [x@y.z], a: [q@y.z]}", "", "given twice"),
        ("protect: [everything]", "", "policy.yaml:1: protect[0] is 'everything'"),
        ("ladder:\n- {note: 1}\n- {mistake: claims, note: 1}", "", "policy.yaml:3: ladder[1].mistake is 'claims'"),
        ("ladder:\n- {permission: 1,\n   takes: [explor]}", "", "policy.yaml:3: ladder[0].takes[0] is 'explor'"),
        ("ladder: [{permission: 1, takes: [finish]}]", "", "policy.yaml:1: ladder[0].takes[0] is 'finish'"),
        ("ladder:\n- {note: 1, takes: [explore]}", "", "policy.yaml:2: it takes explore, and says not when"),
        ("", "ladder:\n  - {permission: 1, takes: [apply_patch]}", "nightmill.yaml:4: policy.ladder[0].takes[0] is"),
        (WHOLE, "groups: {leads: [eve@example.org]}", "group 'leads' is the operator's"),
        ("", "rules:\n  - {approvers: ['@leads']}", "nightmill.yaml:4: there is no group 'leads'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(tmp_path: Path, operator: str, project: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        held(tmp_path, operator, project)
    assert said in caught.value.message
    assert caught.value.hint


def test_a_policy_that_cannot_be_read_lets_nothing_through(tmp_path: Path) -> None:
    (tmp_path / "home/policy.yaml").mkdir(parents=True)
    project = parse(b"language: python\n", root=tmp_path)
    with pytest.raises(SettingsError, match="cannot be read"):
        holding(project, home=tmp_path / "home")


def test_a_policy_crosses_the_store_with_its_version(tmp_path: Path) -> None:
    adapter, policy = TypeAdapter(Policy), held(tmp_path, WHOLE)
    again = adapter.validate_json(adapter.dump_json(policy))
    assert again == policy
    assert again.version == policy.version != held(tmp_path).version
    assert held(tmp_path, f"# a line more\n{WHOLE}").version == policy.version


@pytest.mark.parametrize(
    ("path", "new", "kind"),
    [
        (".github/workflows/ci.yml", True, "workflows"),
        ("src/auth/login.py", True, "auth"),
        ("shop/migrations/0002_more.py", True, "migrations"),
        ("tests/test_cart.py", False, "tests"),
        ("src/shop/test_cart.py", False, "tests"),
        ("tests/conftest.py", True, "checks"),
        ("nightmill.yaml", False, "agents"),
        ("lib/AGENTS.md", True, "agents"),
        (".claude/settings.json", True, "agents"),
        ("tests/test_new.py", True, ""),
        ("src/shop/cart.py", False, ""),
        ("src/author.py", False, ""),
        ("src/latest/contest.py", False, ""),
    ],
)
def test_what_is_protected_in_a_python_project(tmp_path: Path, path: str, new: bool, kind: str) -> None:  # noqa: FBT001 - a column of the table
    policy = held(tmp_path, "unsupervised: proven\nblueprints: any\n")
    decision = decide(replace(FACTS, changes=(Changed(path=path, new=new, added=1),)), policy, 1_000_000.0)

    assert decision.outcome == ("ask" if kind else "allow")
    assert all(KINDS[kind].about in reason.what for reason in decision.reasons)


@pytest.mark.parametrize(
    ("path", "language", "is_one"),
    [
        ("tests/test_a.py", "python", True),
        ("src/a/test_b.py", "python", True),
        ("tests/data/a.json", "python", True),
        ("src/a.py", "python", False),
        ("src/a.test.ts", "javascript", True),
        ("src/a.ts", "javascript", False),
        ("pkg/a_test.go", "go", True),
        ("pkg/a.go", "go", False),
        ("src/lib.rs", "rust", False),
    ],
)
def test_what_a_role_that_writes_tests_may_change(path: str, language: str, is_one: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_test(path, language=language) is is_one


# What a project says


projects = st.builds(
    Policy,
    unsupervised=st.sampled_from(["", "never", "reviewed", "proven"]),
    blueprints=st.sampled_from(["", "approved", "any"]),
    approval_hours=st.sampled_from([0.0, 1.0, 1000.0]),
    protect=st.sampled_from([None, (), ("tests",), ("auth", "workflows")]),
    rules=st.lists(st.builds(Rule, source=st.just("nightmill.yaml:1"), approvals=st.integers(0, 2)), max_size=2).map(
        tuple
    ),
)


@settings(max_examples=500)
@given(facts=facts_s, operator=policies, project=projects, given=st.lists(given_yes, max_size=3))
def test_nothing_that_a_project_says_allows_more_than_the_operator_does(
    facts: Any, operator: Policy, project: Policy, given: Any
) -> None:
    operator = replace(operator, rules=tuple(rule for rule in operator.rules if not rule.approvers))
    alone = agree(operator, Policy(), language="python")
    both = agree(operator, project, language="python")
    before, after = (decide(under(facts, each, given), each, 1_000_000.0).outcome for each in (alone, both))
    assert RANK[after] >= RANK[before]


def test_a_yes_ends_with_the_policy_under_which_it_was_given(tmp_path: Path) -> None:
    before, after = held(tmp_path, WHOLE), held(tmp_path, WHOLE, "rules:\n  - {lines: 10}\n")
    facts = replace(FACTS, evidence=(("AC-1", "not shown"),), approvals=(yes(before),))
    reviewed = replace(LOOSE, rules=())
    assert decide(facts, before, 1_000_000.0).people == ("ada@example.org",)
    assert decide(facts, after, 1_000_000.0).people == ()
    assert decide(facts, reviewed, 1_000_000.0).people == ()


def test_patterns_of_kinds_are_read_as_patterns() -> None:
    patterns = [pattern for kind in KINDS.values() for pattern in (*kind.paths, *sum(kind.more.values(), ()))]
    assert all(
        covers(pattern, pattern.replace("**/", "a/").replace("**", "b").replace("*", "c")) for pattern in patterns
    )


def test_a_project_has_more_of_what_bends_checks_stand_in_the_way_and_never_less(tmp_path: Path) -> None:
    operator = (
        "bends: {suppressed: block, test skipped: show, setup edited: show, network used: show, secret used: ask}\n"
    )
    project = "bends: {setup edited: block, suppressed: ask, test emptied: ask, network used: ask, secret used: show}\n"

    assert dict(held(tmp_path, operator, project).bends) == {
        "suppressed": "block",
        "test skipped": "show",
        "setup edited": "block",
        "network used": "ask",
        "secret used": "ask",
    }
    assert held(tmp_path, operator).version != held(tmp_path).version
    with pytest.raises(SettingsError, match=r"unknown key 'bends.test skiped'; did you mean 'test skipped'"):
        held(tmp_path, "bends: {test skiped: show}\n")
    with pytest.raises(SettingsError, match="perhaps"):
        held(tmp_path, "bends: {test skipped: perhaps}\n")
