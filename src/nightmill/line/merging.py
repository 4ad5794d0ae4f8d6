"""The gate before a merge: what was known of a change when it landed, brought up to the tree that merging gives.

What it is judged by stands on the target branch, as that is at the merge: neither a checkout nor the change itself decides.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from nightmill import event
from nightmill.estate import rules
from nightmill.estate.file import at_commit
from nightmill.estate.nouns import Project
from nightmill.policy import Approval, Author, Changed, Decision, Facts, Finding, Policy, Proof, decide
from nightmill.repo import Change
from nightmill.review import Verdict
from nightmill.review.bend import RULES
from nightmill.store.questions import Question

if TYPE_CHECKING:
    from pathlib import Path

    from nightmill.forge import PullRequest
    from nightmill.forge.local import LocalForge
    from nightmill.repo import Hub
    from nightmill.store.blobs import Blobs
    from nightmill.store.ledger import Ledger
    from nightmill.store.questions import Questions

__all__ = ["Ground", "Merging", "bent", "changed", "fingerprint", "ground", "told"]

STEP = "merge"
LONGEST = 1_000
"""Commits of a change of which the authors are read."""


class Ground(NamedTuple):
    """What is merged onto: the commit *tip* of the target, the *project* as that says, and the *policy* that holds there."""

    tip: str
    project: Project
    policy: Policy


def ground(hub: Hub, target: str, *, root: Path, home: Path) -> Ground:
    """The branch *target* as it is now, of the project whose checkout is *root*, with the operator's policy in *home*.

    Raises:
        RepoError: If there is no such branch.
        SettingsError: If it has no nightmill.yaml, or that or the operator's policy cannot be used.
    """
    tip = hub.commit_of(f"refs/heads/{target}")
    project = at_commit(hub, tip, root=root)
    return Ground(tip, project, rules.holding(project, home=home))


def fingerprint(changes: Sequence[Change]) -> str:
    """A digest of *changes* with what stood and stands in each file: one file that moved beneath makes it another."""
    plain = [(each.status, each.path, each.old_mode, each.mode, each.old, each.sha) for each in changes]
    return hashlib.sha256(json.dumps(sorted(plain)).encode("ascii")).hexdigest()


def changed(changes: Sequence[Change]) -> tuple[Changed, ...]:
    """*changes* as policy looks at them."""
    return tuple(
        Changed(path=each.path, new=each.status == "A", added=each.added, removed=each.removed) for each in changes
    )


def bent(verdict: Verdict, policy: Policy) -> tuple[Finding, ...]:
    """What *verdict* found that bends the checks and that *policy* asks a person about: one finding for each kind."""
    rules = _rules(policy)
    found = []
    for kind in rules:
        mine = [each for each in verdict.findings if each.kind == kind and rules[kind] == "ask"]
        if mine:
            more = f" (and {len(mine) - 1} more)" if mine[1:] else ""
            what = f"{kind}: {mine[0].what}{more}"
            found.append(Finding(severity="major", what=what, path=mine[0].path, line=mine[0].line))
    return tuple(found)


def told(run: str, facts: Facts, decision: Decision, *, blobs: Blobs) -> event.GateDecided:
    """What the gate said, and all that it knew then: from this a merge knows of reviews and findings.

    Approvals are left out: they are in the list of questions, and end by the clock.
    """
    return event.GateDecided(
        run=run,
        tree=decision.tree,
        policy=decision.policy,
        outcome=decision.outcome,
        reasons=[reason.sentence for reason in decision.reasons],
        facts=blobs.put(_written(replace(facts, approvals=()))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """What a merge in one project is judged by; *agents* is the domain of agents' addresses."""

    hub: Hub
    forge: LocalForge
    ledger: Ledger
    blobs: Blobs
    questions: Questions
    agents: str
    ground: Ground

    @property
    def policy(self) -> Policy:
        """What holds on the target."""
        return self.ground.policy

    def decide(self, request: PullRequest, tree: str, *, now: float, by: str = "") -> Decision:
        """Whether *request* may be merged, giving *tree*; whoever merges it, *by*, says yes to that with it."""
        facts = self._known(request, tree)
        approvals = [
            Approval(
                by=each.by,
                tree=each.tree,
                policy=each.policy,
                at=each.decided,
                expires=math.inf,
                change=each.change,
            )
            for each in self.questions.of(request.run)
            if each.state == "granted"
        ]
        if by:
            approvals.append(Approval(by=by, tree=tree, policy=self.policy.version, at=now, expires=math.inf))
        return decide(replace(facts, approvals=tuple(approvals)), self.policy, now)

    def asked(self, request: PullRequest, tree: str) -> Question:
        """What a yes to *request*, as merging it gives *tree* now, is a yes to; its id is whole with who says so."""
        facts = self._known(request, tree)
        return Question(
            id=f"{request.run}/{STEP}/{tree[:16]}/{self.policy.version[:16]}/",
            run=request.run,
            step=STEP,
            kind="approve",
            title=f"Merge pull request {request.number}: {request.title}",
            tree=tree,
            policy=self.policy.version,
            change=facts.change,
            barred=(*(each.mail for each in facts.authors), f"@{self.agents}"),
        )

    def approve(self, request: PullRequest, tree: str, *, by: str, because: str) -> Question:
        """Note the yes of *by* to *request*, as it would be merged now.

        Raises:
            SettingsError: If *by* is an author or an agent, or says so a second time.
        """
        return self.questions.volunteer(self.asked(request, tree), by=by, because=because)

    def proof(self, request: PullRequest, tree: str) -> Proof | None:
        """The engine's verdict on *tree*, if it compared that with what it is merged onto, by what holds there now.

        None: the checks have to run: nobody ran them, or ran others, or what they found is looked upon differently now.
        """
        kept = self.forge.judged(project=request.project, tree=tree)
        if kept is None:
            return None
        verdict = _verdict().validate_json(self.blobs.get(kept))
        wanted = {each.name for each in self.ground.project.checks}
        bends = _rules(self.policy)
        # What a change is compared with has its definition in it: the same base is the same checks.
        if verdict.base_tree != self.hub.tree(self.ground.tip) or wanted - {each.check for each in verdict.results}:
            return None
        if any(bends.get(each.kind, "block") == "block" for each in verdict.findings):
            return None
        passed = tuple(each.check for each in verdict.results if each.passed)
        return Proof(tree=tree, passed=self.forge.proven(project=request.project, tree=tree), checks=passed)

    def _known(self, request: PullRequest, tree: str) -> Facts:
        """What is known of *request* as *tree*: what the gate knew when it landed, and what can be seen now."""
        entries = self.ledger.read(run=request.run, names=(event.GateDecided.name,))
        last = entries[-1].event() if entries else None
        verdict = _verdict().validate_json(self.blobs.get(request.verdict))
        # Without a gate of its own, what landed is of the one process that there was, in which no role reviews.
        known = Facts(tree=tree, findings=(), blueprint=True)
        if isinstance(last, event.GateDecided):
            known = _facts().validate_python(json.loads(self.blobs.get(last.facts)))
        commits = self.hub.log(request.head, limit=LONGEST, without=request.base)
        mails = {each.mail for each in known.authors}
        changes = self.hub.changes(self.ground.tip, tree)
        authors = (Author(mail=mail) for mail in sorted({each.email for each in commits} - mails))
        return replace(
            known,
            tree=tree,
            changes=changed(changes),
            change=fingerprint(changes),
            authors=(*known.authors, *authors),
            agents=self.agents,
            proof=self.proof(request, tree),
            evidence=tuple((each.criterion, each.state) for each in verdict.evidence),
            bends=bent(verdict, self.policy),
        )


def _rules(policy: Policy) -> dict[str, str]:
    return dict[str, str](RULES.items()) | dict[str, str](policy.bends)


def _written(facts: Facts) -> bytes:
    """*facts* as JSON; a path that is no text keeps its half characters, by which rules know it."""
    return json.dumps(_facts().dump_python(facts), sort_keys=True).encode("ascii")


@cache
def _facts() -> TypeAdapter[Facts]:
    return TypeAdapter(Facts)


@cache
def _verdict() -> TypeAdapter[Verdict]:
    return TypeAdapter(Verdict)
