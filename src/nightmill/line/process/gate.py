"""The gate: what a change needs of exactly its tree before it becomes a pull request, whatever the blueprint says."""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nightmill import event
from nightmill.change import Edited, Judged, Landing, Made, land
from nightmill.crew import identity
from nightmill.errors import EngineError
from nightmill.line import merging
from nightmill.line.process import mistakes
from nightmill.line.process.walk import Outcome
from nightmill.line.prove import look_twice
from nightmill.policy import Decision, address, decide, facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightmill.blueprint.nouns import ChangeStep
    from nightmill.kept import Part
    from nightmill.line.process.agents import Agents
    from nightmill.line.process.proof import Proof
    from nightmill.line.process.walk import At
    from nightmill.line.process.workshop import Workshop
    from nightmill.repo import Author
    from nightmill.store.questions import Question

__all__ = ["NOBODY_ALONE", "Gate", "Reviewed"]


NOBODY_ALONE = "unsupervised: never"
"""The rule by which a person merges every change, and answers then what policy asks about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A verdict of a role on a tree, and whose it was."""

    step: str
    role: str
    conversation: str
    model: str
    tree: str
    approved: bool
    writes: str
    findings: tuple[Mapping[str, Any], ...] = ()

    def plain(self, domain: str, change: str) -> facts.Review:
        """The verdict as the gate knows it; agents' addresses are of *domain*, *change* is what its tree changes."""
        return facts.Review(
            role=self.role,
            by=f"{self.role}@{domain}",
            conversation=self.conversation,
            model=self.model,
            tree=self.tree,
            approved=self.approved,
            writes=self.writes,
            change=change,
        )


@dataclass(slots=True, kw_only=True)
class Gate:
    """The gate of one run, with the verdicts that were given on its way."""

    workshop: Workshop
    agents: Agents
    proof: Proof
    verdicts: list[Reviewed] = field(default_factory=list)
    approvals: list[facts.Approval] = field(default_factory=list)
    records: dict[str, tuple[facts.Record, ...]] = field(default_factory=dict)

    def reviewed(self, verdict: Reviewed) -> list[Mapping[str, Any]]:
        """Take note of a verdict; the same step's next one takes the place of its last.

        What that said no for, and is mended now: findings, each with its `tree`.
        """
        before = [each for each in self.verdicts if each.step == verdict.step and not each.approved]
        self.verdicts = [each for each in self.verdicts if each.step != verdict.step]
        self.verdicts.append(verdict)
        mended = [each for each in before if verdict.approved and each.tree != verdict.tree]
        return [{**found, "tree": each.tree} for each in mended for found in each.findings]

    async def change(self, step: ChangeStep, at: At) -> Outcome:
        """Open the pull request, if everything that it needs is there."""
        shop = self.workshop
        head = await shop.current()
        if not head:
            return Outcome(ok=False, reason=f"the change cannot be taken out of its sandbox: {shop.trouble}")
        known = await asyncio.to_thread(self._facts, head, await self._records(head))
        decision = decide(known, shop.assignment.policy, shop.machines.now())
        shop.tell(merging.told(shop.run, known, decision, blobs=shop.machines.blobs))
        if (missing := self._missing(decision)) is not None:
            return Outcome(ok=False, reason=missing)
        title = await at.text(step.change)
        summary = await at.value(step.summary) if step.summary else ""
        asks = tuple(each.sentence for each in decision.reasons if each.rule != NOBODY_ALONE)
        landed = await shop.waiting.attempt("land", lambda: self._landed(head, title, str(summary or ""), asks))
        for made in landed["commits"]:
            shop.tell(
                event.CommitMade(
                    run=shop.run,
                    commit=made["commit"],
                    tree=made["tree"],
                    branch=landed["branch"],
                    author=made["author"],
                )
            )
        shop.tell(
            event.PullRequestOpened(
                run=shop.run,
                number=landed["number"],
                branch=landed["branch"],
                target=shop.assignment.target,
                title=landed["title"],
            )
        )
        shop.landed = {name: landed[name] for name in ("number", "branch", "commit")}
        return Outcome(ok=True, value=shop.landed)

    def approved(self, ended: Question) -> None:
        """Take note of a person's yes."""
        expires = ended.expires or math.inf
        self.approvals.append(
            facts.Approval(
                by=ended.by,
                tree=ended.tree,
                policy=ended.policy,
                at=ended.decided,
                expires=expires,
                change=ended.change,
            )
        )

    def barred(self) -> tuple[str, ...]:
        """Addresses of those who made the change, who therefore do not decide about it."""
        people = {address(each) for each in self.workshop.assignment.editors}
        return tuple(sorted({self._author(part).email for part in self.workshop.parts} | people))

    def approvers(self, decision: Decision) -> tuple[str, ...]:
        """Addresses of those whom the rules that *decision* names want to decide; empty: anybody else."""
        named = {reason.rule for reason in decision.reasons}
        rules = self.workshop.assignment.policy.rules
        return tuple(sorted({mail for rule in rules if rule.source in named for mail in rule.approvers}))

    async def decide(self, head: str) -> tuple[Decision, str]:
        """What policy says of the change *head* as it is known now, and the digest of that change."""
        known = await asyncio.to_thread(self._facts, head, await self._records(head))
        # A yes is dated by the database's clock, which may be ahead of ours.
        now = max(self.workshop.machines.now(), *(each.at for each in self.approvals), 0.0)
        return decide(known, self.workshop.assignment.policy, now), known.change

    async def _records(self, head: str) -> tuple[facts.Record, ...]:
        """What the authors did wrong of late, looked up once for each *head*: a run that begins anew finds the same."""
        if head not in self.records:
            shop = self.workshop
            authors = {part.role for part in shop.parts}

            async def look() -> dict[str, Any]:
                found = await asyncio.to_thread(mistakes.known, shop, authors)
                return {"records": mistakes.plain(found)}

            looked = await shop.waiting.attempt("record", look)
            self.records[head] = mistakes.read(looked["records"])
        return self.records[head]

    def _facts(self, head: str, records: tuple[facts.Record, ...]) -> facts.Facts:
        shop, domain = self.workshop, self.workshop.machines.settings.identity_domain
        verdict = self.proof.verdict
        if not head or verdict is None:
            return facts.Facts(tree=shop.hub.tree(head) if head else "")
        passed = tuple(each.check for each in verdict.results if each.passed)
        tree = shop.hub.tree(head)
        changes = shop.hub.changes(shop.assignment.base_commit, head)
        change = merging.fingerprint(changes)
        authors = [facts.Author(mail=self._author(each).email, conversation=each.conversation) for each in shop.parts]
        return facts.Facts(
            tree=tree,
            changes=merging.changed(changes),
            change=change,
            authors=(*authors, *(facts.Author(mail=address(each)) for each in shop.assignment.editors)),
            agents=domain,
            proof=facts.Proof(tree=verdict.tree, passed=verdict.passed, checks=passed),
            evidence=tuple((each.criterion, each.state) for each in verdict.evidence),
            findings=tuple(_finding(found) for each in self.verdicts for found in each.findings),
            bends=merging.bent(verdict, shop.assignment.policy),
            blueprint=bool(shop.assignment.answers),
            reviews=tuple(each.plain(domain, change if each.tree == tree else "") for each in self.verdicts),
            approvals=tuple(self.approvals),
            records=records,
        )

    def _missing(self, decision: Decision) -> str | None:
        """Why the change may not become a pull request; None if it may.

        What policy asks a person about it says there, and whoever merges answers it; what no yes settles stops it here.
        A blueprint's own reviews count too: who has judged has judged this very tree, and approved of it.
        """
        if decision.outcome == "deny":
            return "; ".join(each.sentence for each in decision.reasons if each.outcome == "deny")
        for each in self.verdicts:
            if each.tree != decision.tree:
                return f"the {each.role} has judged another tree than the one that would land"
            if not each.approved:
                return f"the {each.role} has not approved the tree {decision.tree[:12]}"
        return None

    async def _landed(self, head: str, title: str, summary: str, asks: tuple[str, ...]) -> dict[str, Any]:
        """The signed commits, their branch and the pull request: all by key, so that doing it again changes nothing."""
        shop = self.workshop
        if shop.control.wanted != "run":  # said while it was being proven
            return {"wanted": shop.control.wanted, "by": shop.control.by}
        shop.tell(event.PhaseStarted(run=shop.run, phase="change"))
        return await asyncio.to_thread(self._land_now, head, title, summary, asks)

    def _land_now(self, head: str, title: str, summary: str, asks: tuple[str, ...]) -> dict[str, Any]:
        shop, assignment, verdict = self.workshop, self.workshop.assignment, self.proof.verdict
        if assignment.task is None or verdict is None or not shop.parts:
            raise EngineError("what lands is a task that somebody worked on and that is proven")
        spent, states = self.agents.spent, [each.state for each in self.agents.all]
        seen = tuple(finding for state in states for finding in state.findings)
        *earlier, last = shop.parts
        landing = Landing(
            run=shop.run,
            project=assignment.project.id,
            task=replace(assignment.task, title=title),
            spec=assignment.spec.title,
            digest=assignment.spec.digest,
            base=assignment.base_commit,
            target=assignment.target,
            incoming=head,
            verdict=verdict,
            proof=self.proof.kept,
            summary=summary or _words(shop.said, {each.role for each in shop.parts}),
            when=self.proof.when,
            model=assignment.worker,
            turns=spent.turns,
            tokens=spent.tokens,
            cost=spent.money if all(state.priced for state in states) else None,
            findings=look_twice(
                shop.hub,
                assignment.base_commit,
                head,
                seen=seen,
                footprint=assignment.task.footprint.paths,
            ),
            co_author=assignment.project.co_author,
            reviews=tuple(
                Judged(role=each.role, approved=each.approved, findings=_listed(each)) for each in self.verdicts
            ),
            asks=asks,
            editors=assignment.editors,
            edits=tuple(
                Edited(by=each.by, what=each.what, kind=each.kind, run=each.run, at=each.at, gone=not each.body)
                for each in (assignment.origin.edits if assignment.origin else ())
            ),
            earlier=tuple(
                Made(author=self._author(part), tree=shop.hub.tree(part.commit), summary=part.summary, run=part.run)
                for part in earlier
            ),
        )
        forge = shop.machines.forge
        forge.prove(
            project=landing.project, tree=verdict.tree, passed=True, verdict=landing.proof, at=float(landing.when)
        )
        landed = land(landing, hub=shop.hub, forge=forge, author=self._author(last))
        return {**asdict(landed), "commits": list(landed.commits)}

    def _author(self, part: Part) -> Author:
        settings = self.workshop.machines.settings
        return identity(part.role, home=settings.home, domain=settings.identity_domain)


def _listed(verdict: Reviewed) -> tuple[tuple[str, str, str], ...]:
    """The findings of *verdict* as a pull request shows them."""
    found = []
    for each in verdict.findings:
        line = f":{each['line']}" if each.get("line") else ""
        found.append((each["severity"], f"{each.get('path', '')}{line}", each["title"]))
    return tuple(found)


def _finding(found: Mapping[str, Any]) -> facts.Finding:
    return facts.Finding(
        severity=found["severity"], what=found["title"], path=found.get("path", ""), line=found.get("line", 0)
    )


def _words(said: Mapping[str, str], authors: set[str]) -> str:
    """What the *authors* of the change say of it as it is now: what each *said* last, in the order in which they began."""
    words = {role: text for role, text in said.items() if role in authors}
    return (
        next(iter(words.values())) if len(words) == 1 else "\n\n".join(f"{who}: {text}" for who, text in words.items())
    )
