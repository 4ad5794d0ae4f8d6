"""Steps that ask people: the run waits, holds nothing and spends nothing, for weeks if need be."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING

from nightmill.line.process import mistakes
from nightmill.line.process.gate import NOBODY_ALONE
from nightmill.line.process.walk import Outcome
from nightmill.store.questions import Question

if TYPE_CHECKING:
    from nightmill.blueprint.nouns import ApproveStep, AskStep, StopStep
    from nightmill.line.process.gate import Gate
    from nightmill.line.process.walk import At
    from nightmill.line.process.workshop import Workshop
    from nightmill.policy import Decision

__all__ = ["People"]

MOST_TITLE = 300


@dataclass(slots=True, kw_only=True)
class People:
    """The questions of one run."""

    workshop: Workshop
    gate: Gate

    async def approve(self, step: ApproveStep, at: At) -> Outcome:
        """A person's yes to the present tree; by policy only where that asks for one before anybody would merge it.

        Where rules want more people, they are asked one after the other: nobody twice, and nobody who made the change.
        """
        shop, title = self.workshop, await at.text(step.approve)
        head = await shop.current()
        decision, change = await self.gate.decide(head)
        if decision.outcome == "deny":
            return Outcome(
                ok=False, value={"tree": decision.tree}, reason="; ".join(each.sentence for each in decision.reasons)
            )
        if step.by == "policy" and (not decision.reasons or NOBODY_ALONE in {each.rule for each in decision.reasons}):
            because = "whoever merges it decides" if decision.reasons else "nothing is to be asked"
            return Outcome(ok=True, value={"by": "policy", "because": because, "tree": decision.tree})
        yes: list[str] = []
        while True:
            ended = await self.workshop.waiting.decided(self._question(at, title, decision, change, yes))
            value = {"by": ended.by, "because": ended.answer, "tree": decision.tree}
            if ended.state != "granted":
                if ended.state == "refused":
                    quotes = (ended.answer, f"asked: {title}")
                    await mistakes.tell(shop, "refusal", mistakes.coders(shop), on=ended.id, quotes=quotes)
                said = f": {ended.answer}" if ended.answer else ""
                return Outcome(ok=False, value=value, reason=f"it was {ended.state} by {ended.by}{said}")
            self.gate.approved(ended)
            yes.append(parseaddr(ended.by)[1].casefold())
            decision, change = await self.gate.decide(head)
            if decision.outcome != "ask" or yes[-1] not in decision.people:
                return Outcome(ok=True, value=value)

    def _question(self, at: At, title: str, decision: Decision, change: str, before: list[str]) -> Question:
        """What the next person is asked, after *before* have said yes."""
        shop = self.workshop
        lines = ["A yes is wanted because:", *(f"- {each.sentence}" for each in decision.reasons)]
        lines += [f"Said already: yes, by {', '.join(before)}"] if before else []
        return Question(
            id=f"{shop.run}/{at.path}/{decision.tree}{f'/{len(before) + 1}' if before else ''}",
            run=shop.run,
            step=at.path,
            kind="approve",
            title=title[:MOST_TITLE],
            body=shop.machines.blobs.put("\n".join(lines).encode()),
            tree=decision.tree,
            policy=decision.policy,
            change=change,
            barred=(*self.gate.barred(), *before, f"@{shop.machines.settings.identity_domain}"),
            approvers=tuple(mail for mail in self.gate.approvers(decision) if mail not in before),
            seconds=shop.assignment.policy.approval_hours * 3600,
        )

    async def ask(self, step: AskStep, at: At) -> Outcome:
        """A person's answer."""
        shop = self.workshop
        question = Question(
            id=f"{shop.run}/{at.path}",
            run=shop.run,
            step=at.path,
            kind="answer",
            title=(await at.text(step.ask))[:MOST_TITLE],
            body=shop.machines.blobs.put((await at.text(step.ask)).encode()),
            options=step.options,
            barred=(f"@{shop.machines.settings.identity_domain}",),
        )
        ended = await self.workshop.waiting.decided(question)
        value = {"answer": ended.answer, "by": ended.by}
        if ended.state == "answered":
            return Outcome(ok=True, value=value)
        return Outcome(ok=False, value=value, reason=f"the question was {ended.state}")

    async def stop(self, step: StopStep, at: At) -> Outcome:
        """Wait until a person has seen why the run stops; its work stays as it is until then."""
        shop, reason = self.workshop, await at.text(step.stop)
        question = Question(
            id=f"{shop.run}/{at.path}",
            run=shop.run,
            step=at.path,
            kind="answer",
            title=f"It stops here: {reason}"[:MOST_TITLE],
            body=shop.machines.blobs.put(reason.encode()),
            barred=(f"@{shop.machines.settings.identity_domain}",),
            ends=True,
        )
        ended = await self.workshop.waiting.decided(question)
        return Outcome(ok=True, reason=ended.answer)
