"""The `check` step: the work is taken out of its sandbox and proven on exactly the tree that came out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from nightmill import event
from nightmill.line import brief as briefs
from nightmill.line.process import mistakes
from nightmill.line.process.walk import Outcome
from nightmill.line.prove import Proving, plain
from nightmill.review import Verdict

if TYPE_CHECKING:
    from nightmill.blueprint.nouns import CheckStep
    from nightmill.line.knowledge import Knowledge
    from nightmill.line.process.walk import At
    from nightmill.line.process.workshop import Workshop

__all__ = ["Proof", "verdicts"]

verdicts = TypeAdapter(Verdict)
MOST_NAMED = 20


@dataclass(slots=True, kw_only=True)
class Proof:
    """The proofs of one run. *verdict* is the latest with all checks, *kept* its blob, *when* it was given."""

    workshop: Workshop
    knowledge: Knowledge
    verdict: Verdict | None = None
    judged: dict[str, Any] = field(default_factory=dict)
    """The latest proof that passed: what was asked, and what was kept of the answer."""
    kept: str = ""
    when: int = 0
    count: int = 0

    async def check(self, step: CheckStep, at: At) -> Outcome:
        """Prove the work as it is now."""
        shop = self.workshop
        number, self.count = self.count, self.count + 1
        claims = tuple(map(tuple, await at.value(step.claims) or ())) if step.claims else self._claims()
        shop.tell(event.PhaseStarted(run=shop.run, phase="prove", round=number, step=at.path))
        head = await shop.current()
        asked = {
            "checks": step.check,
            "tree": await asyncio.to_thread(shop.hub.tree, head) if head else "",
            "claims": claims,
        }
        if head and self.judged.get("asked") == asked:  # the same question has the same answer
            judged = self.judged["answer"]
        else:
            judged = await shop.waiting.attempt("prove", lambda: self._prove(step, head, number, claims))
        verdict = verdicts.validate_json(shop.machines.blobs.get(judged["verdict"]))
        shop.tell(
            event.VerdictGiven(
                run=shop.run, round=number, tree=verdict.tree, passed=verdict.passed, verdict=plain(verdict)
            )
        )
        last = shop.parts[-1] if shop.parts else None
        if not verdict.passed and last is not None and last.commit == head and last.evidence and not last.run:
            await mistakes.tell(shop, "claim", {last.role}, on=verdict.tree, quotes=_failed(verdict))
        self.judged = {"asked": asked, "answer": judged} if verdict.passed else {}
        if step.check == "all":
            self.verdict, self.kept, self.when = verdict, judged["verdict"], judged["when"]
        value = {
            "tree": verdict.tree,
            "words": "\n\n".join(verdict.reasons) or _passed(verdict),
            "results": [_short(each) for each in verdict.results],
            "not_shown": [each.criterion for each in verdict.evidence if each.state == "not shown"],
        }
        reason = "" if verdict.passed else f"the work did not pass its checks: {verdict.reasons[0]}"
        return Outcome(ok=verdict.passed, value=value, reason=reason)

    def _claims(self) -> tuple[tuple[str, str], ...]:
        """What those who worked say shows each criterion, the latest word last."""
        return tuple(pair for part in self.workshop.parts for pair in part.evidence)

    async def _prove(self, step: CheckStep, head: str, number: int, claims: tuple[Any, ...]) -> dict[str, Any]:
        shop = self.workshop
        if shop.control.wanted != "run":
            return {"wanted": shop.control.wanted, "by": shop.control.by}
        assignment = shop.assignment
        if step.check != "all":
            checks = tuple(check for check in assignment.project.checks if check.name in step.check)
            assignment = replace(assignment, project=replace(assignment.project, checks=checks))
        if head:
            proving = Proving(
                run=shop.run, machines=shop.machines, assignment=assignment, base=shop.base, site=shop.machines.site
            )
            verdict = await shop.control.unless_cancelled(
                proving.verdict(head, number=number, criteria=briefs.criteria(assignment), claims=claims)
            )
        else:
            tree = await asyncio.to_thread(shop.hub.tree, assignment.base_commit)
            verdict = Verdict(tree=tree, base_tree=tree, passed=False, results=(), reasons=(shop.trouble,))
        return self._judged(verdict, head, number)

    def _judged(self, verdict: Verdict, commit: str, number: int) -> dict[str, Any]:
        """What is fixed now: the clock goes on."""
        shop = self.workshop
        summary = shop.parts[-1].summary if shop.parts else ""
        self.knowledge.proof(verdict, number, summary=summary, commit=commit)
        return {
            "verdict": shop.machines.blobs.put(verdicts.dump_json(verdict)),
            "when": int(shop.machines.now()),
        }


def _passed(verdict: Verdict) -> str:
    """What there is to say of checks that pass."""
    ran = ", ".join(
        f"{each.check} ({passed} passed)" if (passed := (each.counts or {}).get("passed", 0)) else each.check
        for each in verdict.results
    )
    return f"all of them pass: {ran}"


def _failed(verdict: Verdict) -> tuple[str, ...]:
    """Which checks failed, with the tests that did, for a note of it."""
    found = [each for each in verdict.results if not each.passed]
    named = [(each.check, [failure.id for failure in each.failures if failure.id]) for each in found]
    return tuple(f"{check}: {', '.join(tests)}" if tests else check for check, tests in named) or verdict.reasons


def _short(result: Any) -> dict[str, Any]:
    """A check's result as later steps read it."""
    failures = [{"id": each.id, "kind": each.kind} for each in result.failures[:MOST_NAMED]]
    return {
        "check": result.check,
        "passed": result.passed,
        "exit": result.exit,
        "stopped": result.stopped,
        "failures": failures,
        "tests": result.tests,
    }
