"""The gate: one pure function from what is known of a change to allow, ask or deny, with every reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Literal

from nightmill.policy.facts import Approval, Changed, Facts, Review
from nightmill.policy.ladder import WINDOW, WORDS
from nightmill.policy.nouns import Policy, Rule
from nightmill.policy.paths import covers

__all__ = ["Decision", "Outcome", "Reason", "address", "decide", "fits", "reviewers"]

Outcome = Literal["allow", "ask", "deny"]

MILD = frozenset({"minor", "note"})
"""Severities of findings that nobody need be asked about; any other word is taken for a grave one."""

HOURS = 168.0
"""How long a yes counts where nobody says: a week."""

SHIPPED = "nightmill's own rule"
YES = "a person looks at it and approves"
MEND = f"mend it, or {YES}"
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why it is not allowed as it is: *what*, the *rule* that says so and where it stands, and what to *do* about it."""

    outcome: Literal["ask", "deny"]
    what: str
    rule: str
    do: str

    @property
    def sentence(self) -> str:
        """All of it, for people."""
        return f"{self.what} ({self.rule}): {self.do}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the gate says of *tree* under the policy of version *policy*.

    Attributes:
        reasons: What stands in the way, denials first; empty: it is allowed.
        settled: What a person was to be asked about, and has said yes to.
        people: Those whose yes counts.
        void: Why approvals and reviews that were given count nothing, a sentence each.
    """

    outcome: Outcome
    tree: str
    policy: str
    reasons: tuple[Reason, ...] = ()
    settled: tuple[Reason, ...] = ()
    people: tuple[str, ...] = ()
    void: tuple[str, ...] = ()


def decide(facts: Facts, policy: Policy, now: float) -> Decision:
    """Whether the change of *facts* may be merged at *now* (Unix seconds).

    Every rule that fits must be met, so a rule more never allows more. "ask" is what a person's yes to this tree
    settles; "deny" is what no yes settles: what is unproven or unknown, and what a rule forbids.
    """
    people, idle = _people(facts, policy, now)
    reviews, unheard = _reviews(facts, policy)
    rules = [rule for rule in policy.rules if fits(rule, facts.changes)]
    denied = [*_unproven(facts), *(reason for rule in rules for reason in _forbidden(rule, facts, reviews))]
    asked = [*_open(facts, policy, reviews), *(reason for rule in rules for reason in _touchy(rule, facts))]
    lacking = [reason for rule in rules for reason in _lacking(rule, people, asked=bool(asked))]
    settled = bool(people) and not lacking
    reasons = (*denied, *lacking, *(() if settled else asked))
    return Decision(
        outcome="deny" if denied else "ask" if reasons else "allow",
        tree=facts.tree,
        policy=policy.version,
        reasons=reasons,
        settled=tuple(asked) if settled else (),
        people=tuple(sorted(people)),
        void=(*idle, *unheard),
    )


def fits(rule: Rule, changes: Iterable[Changed] | None) -> bool:
    """Whether *rule* is about *changes*; of unknown ones it is."""
    return not rule.paths or changes is None or any(True for _ in _touched(rule, changes))


def reviewers(policy: Policy, changes: Iterable[Changed]) -> tuple[str, ...]:
    """The roles of which *policy* wants a review of *changes*."""
    known = tuple(changes)
    return tuple(dict.fromkeys(role for rule in policy.rules if fits(rule, known) for role, _ in rule.reviews))


def address(by: str) -> str:
    """The address in *by*, which is "Name <address>" or only an address, as addresses are compared."""
    return (parseaddr(by)[1] or by).strip().casefold()


# What no person's yes settles


def _unproven(facts: Facts) -> Iterator[Reason]:
    unknown = [
        name
        for name, value in (
            ("which tree it is", facts.tree or None),
            ("what it changes", facts.changes or None),
            ("who wrote it", facts.authors or None),
            ("which criteria are shown", facts.evidence),
            ("what was found in it", facts.findings),
        )
        if value is None
    ]
    if unknown:
        yield _deny(f"it is not known {', '.join(unknown)}", SHIPPED, "nothing is merged of which this is not known")
    if facts.proof is None:
        yield _deny("nothing proves it", SHIPPED, "the checks have to run on this tree")
    elif facts.proof.tree != facts.tree:
        yield _deny("its proof is of another tree", SHIPPED, "the checks have to run on this tree")
    elif not facts.proof.passed:
        yield _deny("it did not pass its checks", SHIPPED, "the work goes back to who did it")


def _forbidden(rule: Rule, facts: Facts, reviews: list[Review]) -> Iterator[Reason]:
    if rule.change == "deny":
        yield _deny(
            f"{_named(rule, facts.changes)} may not be changed by agents", rule.source, "a person makes this change"
        )
    passed = facts.proof.checks if facts.proof and facts.proof.passed and facts.proof.tree == facts.tree else ()
    for check in rule.checks:
        if check not in passed:
            yield _deny(f"the check {check!r} has not passed", rule.source, "it has to run, and pass, on this tree")
    for role, wanted in rule.reviews:
        found = len({each.conversation for each in reviews if each.role == role and each.approved})
        if found < wanted:
            of = f"{found} of {wanted} reviews" if wanted > 1 else "no review"
            yield _deny(
                f"it has {of} by {role!r} that approve", rule.source, f"{role} has to look at exactly this tree"
            )


# What a person's yes settles


def _open(facts: Facts, policy: Policy, reviews: list[Review]) -> Iterator[Reason]:
    if policy.unsupervised not in {"proven", "reviewed"}:
        yield _ask("code of agents is merged by people", "unsupervised: never", YES)
    elif policy.unsupervised == "reviewed" and not any(each.approved for each in reviews):
        yield _ask("no role without a part in it approves of it", "unsupervised: reviewed", f"review it, or {YES}")
    if policy.blueprints != "any" and facts.blueprint is not True:
        yield _ask("nobody has approved of the process that made it", "blueprints: approved", YES)
    yield from _again(facts, reviews)
    yield from _doubts(facts)


def _again(facts: Facts, reviews: list[Review]) -> Iterator[Reason]:
    """What the authors did wrong so often that more is asked of them: another role's approval, or a person's."""
    reviewed = any(each.approved for each in reviews)
    for each in facts.records:
        what = f"the {each.role} ({each.model}) {WORDS.get(each.kind, each.kind)}, {each.times} times in {WINDOW} runs"
        if each.measure == "approval":
            yield _ask(what, "ladder: approval", YES)
        elif each.measure == "permission" and not reviewed:
            yield _ask(what, "ladder: permission", f"review it, or {YES}")


def _doubts(facts: Facts) -> Iterator[Reason]:
    """What the proof and the reviews leave open, whatever the policy."""
    for name, state in facts.evidence or ():
        if state != "shown":
            yield _ask(f"criterion {name} is {state}", SHIPPED, "a person looks whether it holds, and approves")
    for found in (*(facts.findings or ()), *facts.bends):
        if found.severity not in MILD:
            at = f" at {found.path}{f':{found.line}' if found.line else ''}" if found.path else ""
            yield _ask(f"{found.severity}{at}: {found.what}", SHIPPED, MEND)
    for review in facts.reviews:
        if not review.approved and (review.tree == facts.tree or _unmoved(review, facts)):
            yield _ask(f"{review.role} does not approve of it", SHIPPED, MEND)


def _touchy(rule: Rule, facts: Facts) -> Iterator[Reason]:
    changes = list(_touched(rule, facts.changes or ()))
    if rule.change == "ask":
        yield _ask(f"it changes {_named(rule, changes)}", rule.source, "a person looks at these, and approves")
    lines = sum(each.added + each.removed for each in changes)
    if rule.files and len(changes) > rule.files:
        yield _ask(
            f"it changes {len(changes)} files, more than {rule.files}", rule.source, "cut it smaller, or approve"
        )
    if rule.lines and lines > rule.lines:
        yield _ask(f"it changes {lines:,} lines, more than {rule.lines:,}", rule.source, "cut it smaller, or approve")


def _lacking(rule: Rule, people: set[str], *, asked: bool) -> Iterator[Reason]:
    """Whose yes *rule* wants and has not got. Who it names is also who is asked about anything else."""
    wanted = max(rule.approvals, 1 if asked and rule.approvers else 0)
    found = [each for each in people if not rule.approvers or each in rule.approvers]
    if len(found) < wanted:
        about = f" for {rule.about or ', '.join(rule.paths)}" if rule.paths else ""
        who = f"of {', '.join(rule.approvers)}" if rule.approvers else "other than its authors"
        people_are = "people" if wanted > 1 else "person"
        yield _ask(
            f"{len(found)} of {wanted} {people_are} approve{about}", rule.source, f"a person {who} has to approve"
        )


# Whose word counts


def _people(facts: Facts, policy: Policy, now: float) -> tuple[set[str], list[str]]:
    found, void = set[str](), list[str]()
    for each in facts.approvals:
        if why := _idle(each, facts, policy, now):
            void.append(f"the yes of {each.by} counts nothing: {why}")
        else:
            found.add(address(each.by))
    return found, void


def _idle(approval: Approval, facts: Facts, policy: Policy, now: float) -> str:
    """Why *approval* counts nothing; "": it counts."""
    mail = address(approval.by)
    wrong = {
        **_elsewhere(approval, facts, policy),
        "the policy was another one then": approval.policy != policy.version,
        "nobody is named": "@" not in mail,
        "an author does not approve of their own work": mail in {address(each.mail) for each in facts.authors},
        "which addresses are agents' is not known": not facts.agents,
        "an agent cannot approve": mail.endswith(f"@{facts.agents.casefold()}"),
        "it is over": not approval.at
        <= now
        < min(approval.expires, approval.at + (policy.approval_hours or HOURS) * 3600),
    }
    return next((why for why, is_so in wrong.items() if is_so), "")


def _reviews(facts: Facts, policy: Policy) -> tuple[list[Review], list[str]]:
    found, void = list[Review](), list[str]()
    for each in facts.reviews:
        if why := _partial(each, facts, policy):
            void.append(f"the review by {each.role} counts nothing: {why}")
        else:
            found.append(each)
    return found, void


def _partial(review: Review, facts: Facts, policy: Policy) -> str:
    wrong = {
        **_elsewhere(review, facts, policy),
        "it was made by an author": address(review.by) in {address(each.mail) for each in facts.authors},
        "it came about in no conversation of its own": not review.conversation
        or review.conversation in {each.conversation for each in facts.authors},
        "its role writes code": review.writes not in {"nothing", "tests"},
    }
    return next((why for why, is_so in wrong.items() if is_so), "")


def _elsewhere(word: Approval | Review, facts: Facts, policy: Policy) -> dict[str, bool]:
    """Why *word* is not about what would be merged. After its target moved it is where policy keeps it: the same change."""
    another, same = not facts.tree or word.tree != facts.tree, _unmoved(word, facts)
    return {
        "the target has moved since, and policy asks again (moved: ask)": another and same and policy.moved != "keep",
        "it is for another tree": another and not same,
    }


def _unmoved(word: Approval | Review, facts: Facts) -> bool:
    """Whether *word* was about the same change of the same files, whatever else there is beside it now."""
    return bool(facts.tree and word.change) and word.change == facts.change


# Words and paths


def _touched(rule: Rule, changes: Iterable[Changed]) -> Iterator[Changed]:
    for each in changes:
        if not (rule.existing and each.new) and (
            not rule.paths or any(covers(pattern, each.path) for pattern in rule.paths)
        ):
            yield each


def _named(rule: Rule, changes: Iterable[Changed] | None) -> str:
    paths = [each.path for each in _touched(rule, changes or ())]
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    listed = ", ".join(ascii(path)[1:-1] for path in paths[:SHOWN]) + more
    return f"{rule.about} ({listed})" if rule.about and listed else rule.about or listed or "paths that are not known"


def _ask(what: str, rule: str, do: str) -> Reason:
    return Reason(outcome="ask", what=what, rule=rule, do=do)


def _deny(what: str, rule: str, do: str) -> Reason:
    return Reason(outcome="deny", what=what, rule=rule, do=do)
