"""What each kind of step does, with the workshop of its run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nightmill import event
from nightmill.blueprint.facts import REMEDIATION
from nightmill.blueprint.nouns import (
    SEVERITIES,
    AgentStep,
    EmitStep,
    PythonStep,
    ReviewStep,
    RunStep,
    kind,
)
from nightmill.kept import Part
from nightmill.line.brief import role as role_of
from nightmill.line.process import functions, goals, mistakes
from nightmill.line.process.agents import Agents, Asked
from nightmill.line.process.filing import file
from nightmill.line.process.gate import Gate, Reviewed
from nightmill.line.process.given import given
from nightmill.line.process.parts import Parts
from nightmill.line.process.people import People
from nightmill.line.process.proof import Proof
from nightmill.line.process.walk import Outcome
from nightmill.policy import FOOTPRINT, is_test
from nightmill.prompt import render
from nightmill.repo import shown
from nightmill.sandbox import Command
from nightmill.tool.base import cut, one_line
from nightmill.tool.footprint import beyond

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from nightmill.blueprint.nouns import Step
    from nightmill.crew import Role
    from nightmill.line.process.agents import Conversation
    from nightmill.line.process.walk import At
    from nightmill.line.process.workshop import Workshop
    from nightmill.policy import Budget

__all__ = ["Deeds"]

MOST_BACK, MOST_NAMED = 2, 10
"""How often a role is asked to put back what it may not change; files of which it is told, and others are."""
MOST_OUTPUT = 20_000
"""Characters of a command's output that later steps read, both ends."""


@dataclass(slots=True, kw_only=True)
class Deeds:
    """The `Doer` of a run."""

    workshop: Workshop
    agents: Agents
    proof: Proof = field(init=False)
    gate: Gate = field(init=False)
    people: People = field(init=False)
    parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        self.proof = Proof(workshop=self.workshop, knowledge=self.agents.knowledge)
        self.gate = Gate(workshop=self.workshop, agents=self.agents, proof=self.proof)
        self.people = People(workshop=self.workshop, gate=self.gate)
        self.parts = Parts(workshop=self.workshop, agents=self.agents)

    async def do(self, step: Step, at: At) -> Outcome:
        """Do *step*, one of those that the walk leaves to others."""
        does: dict[str, Callable[..., Awaitable[Outcome]]] = {
            "run": self._run,
            "check": self.proof.check,
            "agent": self._agent,
            "review": self._review,
            "approve": self.people.approve,
            "ask": self.people.ask,
            "map": self.parts.map,
            "change": self.gate.change,
            "emit": self._emit,
            "python": self._python,
            "stop": self.people.stop,
        }
        return await does[kind(step)](step, at)

    async def given(self, name: str, part: str) -> Any:
        """The value *part* of what every run is given as *name*."""
        return await given(self.workshop, name, part)

    def told(self, path: str, step: Step, outcome: Outcome | None) -> None:
        """Tell the ledger how a step ended."""
        state = "skipped" if outcome is None else "done" if outcome.ok else "failed"
        value = ""
        if outcome is not None and outcome.value:
            value = self.workshop.machines.blobs.put(json.dumps(outcome.value, sort_keys=True).encode())
        self.workshop.tell(
            event.StepFinished(
                run=self.workshop.run,
                step=path,
                kind=kind(step),
                state=state,
                title=step.title,
                reason=outcome.reason[:2000] if outcome else "",
                value=value,
            )
        )

    # Agents

    async def _agent(self, step: AgentStep, at: At) -> Outcome:
        role = role_of(step.agent, self.workshop.assignment)
        only = step.tools or role.tools
        again = await at.text(step.again) if step.again else None
        asked = self._asked(step, at, role, name=step.goes_on or step.id)
        asked = replace(
            asked,
            brief=lambda name, budget: goals.of_agent(step, at, self.workshop, role, name=name, budget=budget),
            words=None if again is None else lambda: again,
            tools=only,
            output=step.output,
            writes=role.writes != "nothing",
        )
        before = self.workshop.snapshot
        stood = await self.workshop.current() if role.writes == "tests" else ""
        if role.writes == "tests" and not stood:
            return Outcome(
                ok=False, reason=f"the work cannot be taken out, so nobody tests it: {self.workshop.trouble}"
            )
        parts = self.workshop.parts
        begun = parts[-1].commit if parts else self.workshop.assignment.begins
        conversation = await self.agents.work(asked)
        if found := await self._kept_within(asked, conversation, begun):
            reason = f"the {role.name} works within what was planned, and went beyond: {', '.join(found)}"
            return Outcome(ok=False, reason=reason)
        if stood and (strayed := await self._strayed(stood)):
            self.workshop.moved(before)
            reason = f"the {role.name} may only write tests, and {strayed}: all that it did there is dropped"
            return Outcome(ok=False, reason=reason)
        return await self._worked(asked, conversation, before)

    async def _worked(self, asked: Asked, conversation: Conversation, before: str) -> Outcome:
        shop, state = self.workshop, conversation.state
        ending = state.ending
        summary = ending.text if ending else ""
        evidence = ending.evidence if ending else ()
        value: dict[str, Any] = {
            "summary": summary,
            "evidence": [list(pair) for pair in evidence],
            "turns": state.turn,
            "changed": [],
            "output": (ending.output if ending else None) or {},
        }
        if asked.writes and summary:
            shop.said[conversation.work.brief.role.partition("@")[0]] = summary
        head = await shop.current() if asked.writes and shop.snapshot != before else ""
        anew = await asyncio.to_thread(shop.changed, head) if head else False
        if anew:
            shop.add(
                Part(
                    role=conversation.work.brief.role.partition("@")[0],
                    commit=head,
                    summary=summary,
                    evidence=evidence,
                    conversation=conversation.work.brief.conversation,
                )
            )
        elif asked.writes and evidence and shop.parts:
            last = shop.parts[-1]
            shop.parts[-1] = replace(last, evidence=(*last.evidence, *evidence))
        if head:
            value["changed"] = [
                each.path for each in await asyncio.to_thread(shop.hub.changes, shop.assignment.base_commit, head)
            ][:500]
        return Outcome(ok=True, value=value)

    async def _kept_within(self, asked: Asked, conversation: Conversation, begun: str) -> list[str]:
        """Files beyond the footprint that differ from *begun* although it was asked to put them back; none where it may go there.

        Edit tools refuse them. What a command did is seen here only.
        """
        found = await self._beyond(conversation, begun)
        for _ in range(MOST_BACK):
            if not found:
                break
            words = render("agent/beyond", paths="\n".join(f"- {each}" for each in found)).text
            await self.agents.work(replace(asked, words=partial(str, words)))
            found = await self._beyond(conversation, begun)
        return found

    async def _beyond(self, conversation: Conversation, begun: str) -> list[str]:
        footprint = conversation.work.brief.footprint
        if FOOTPRINT not in conversation.taken or not footprint or not (head := await self.workshop.current()):
            return []
        changes = await asyncio.to_thread(self.workshop.hub.changes, begun, head)
        return [shown(each.path) for each in changes if beyond(each.path, footprint, new=each.status == "A")][
            :MOST_NAMED
        ]

    async def _strayed(self, stood: str) -> str:
        """What was done since the commit *stood* beside tests, in a few words; "": nothing."""
        shop = self.workshop
        if not (
            head := await shop.current()
        ):  # nobody can say what it changed, and the next one's work would be its, too
            return f"what it did cannot be taken out ({shop.trouble})"
        language = shop.assignment.project.language
        changes = await asyncio.to_thread(shop.hub.changes, stood, head)
        found = [shown(each.path) for each in changes if not is_test(each.path, language=language)]
        return f"changed {', '.join(found[:10])}" if found else ""

    async def _review(self, step: ReviewStep, at: At) -> Outcome:
        role = role_of(step.review, self.workshop.assignment)
        tree = await given(self.workshop, "change", "tree")
        asked = replace(
            self._asked(step, at, role, name=step.id),
            brief=lambda name, budget: goals.of_review(step, at, self.workshop, role, name=name, budget=budget),
            tools=role.tools,
            output=goals.REVIEW,
            writes=False,
        )
        conversation = await self.agents.work(asked)
        ending = conversation.state.ending
        output = (ending.output if ending else None) or {}
        findings = [{"id": f"{step.id}-{number}", **each} for number, each in enumerate(output.get("findings", ()), 1)]
        worst = SEVERITIES.index(step.blocks)
        blocking = [each for each in findings if SEVERITIES.index(each["severity"]) <= worst]
        approved = bool(output.get("approved")) and not blocking
        value = {
            "role": role.name,
            "approved": approved,
            "case_for": output.get("case_for", ""),
            "case_against": output.get("case_against", ""),
            "findings": findings,
            "blocking": blocking,
            "tree": tree,
        }
        mended = self.gate.reviewed(
            Reviewed(
                step=f"{at.scope}:{step.id}",
                role=role.name,
                conversation=conversation.work.brief.conversation,
                model=self.workshop.assignment.model,
                tree=tree,
                approved=approved,
                writes=role.writes,
                findings=tuple(findings),
            )
        )
        for each in (each for each in mended if SEVERITIES.index(each["severity"]) <= worst):
            await self._found(each, on=f"{at.scope}:{each['id']}/{each['tree']}")
        self.workshop.tell(
            event.ReviewGiven(
                run=self.workshop.run,
                step=at.path,
                role=role.name,
                tree=tree,
                approved=approved,
                findings=findings,
                case_for=value["case_for"],
                case_against=value["case_against"],
            )
        )
        said = "; ".join(one_line(each["title"], most=200) for each in blocking)
        reason = (
            ""
            if approved
            else f"the {role.name} does not approve: {said or 'it says so without a finding that blocks'}"
        )
        return Outcome(ok=approved, value=value, reason=reason)

    def _asked(self, step: AgentStep | ReviewStep, at: At, role: Role, *, name: str) -> Asked:
        async def nothing(_name: str, _budget: Budget) -> Any:
            raise AssertionError("whoever asks says what is given")

        return Asked(
            path=at.path,
            key=(at.scope, name),
            role=role,
            brief=nothing,
            most=step.budget,
            rounds=(int(at.values.get("round", 0)), int(at.values.get("rounds", 0))),
        )

    # Scripts

    async def _run(self, step: RunStep, at: At) -> Outcome:
        env = {name: _variable(value) for name, value in (await at.values_of(step.env)).items()}
        shop = self.workshop
        result = await shop.waiting.attempt("run", partial(self._ran, step, env, shop.snapshot))
        if step.keep and result["snapshot"] != shop.snapshot:
            shop.moved(result["snapshot"])
            if head := await shop.current():
                shop.add(Part(role=mistakes.PROCESS, commit=head, summary=step.title or step.id))
        value = {name: result[name] for name in ("exit", "output", "stopped", "seconds")}
        ok = not result["exit"] and not result["stopped"]
        ended = f"stopped ({result['stopped']})" if result["stopped"] else f"exit status {result['exit']}"
        tail = cut(result["output"].strip(), most=800)
        return Outcome(ok=ok, value=value, reason="" if ok else f"{step.title or step.id}: {ended}\n{tail}")

    async def _ran(self, step: RunStep, env: dict[str, str], snapshot: str) -> dict[str, Any]:
        shop = self.workshop
        if shop.control.wanted != "run":
            return {"wanted": shop.control.wanted, "by": shop.control.by}
        return await shop.control.unless_cancelled(self._command(step, env, snapshot))

    async def _command(self, step: RunStep, env: dict[str, str], snapshot: str) -> dict[str, Any]:
        workplace = self.workshop.place()
        await workplace.connect(allowed=True)
        workspace = await workplace.stand_at(snapshot)
        workplace.touched()
        limits = replace(self.workshop.assignment.project.limits, seconds=step.seconds, memory=step.memory)
        outcome = await workspace.run(Command(argv=("bash", "-c", step.run), limits=limits, env=env))
        return {
            "exit": outcome.exit,
            "output": self.workshop.machines.blobs.hidden.text(cut(outcome.text, most=MOST_OUTPUT)),
            "stopped": outcome.stopped,
            "seconds": round(outcome.seconds, 3),
            "snapshot": await workplace.keep() if step.keep else snapshot,
        }

    async def _python(self, step: PythonStep, at: At) -> Outcome:
        inputs = await at.values_of(step.inputs)
        try:
            found = await asyncio.to_thread(functions.call, step.python, inputs, read=self.workshop.machines.blobs.get)
            fixed = [each for each in found.get("settled") or () if each.get("state") == "fixed"]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            return Outcome(ok=False, reason=f"{step.python}: {error}")
        for each in fixed:
            await self._found(each, on=f"{at.scope}:{each['id']}")
        return Outcome(ok=True, value=found)

    async def _found(self, finding: Mapping[str, Any], *, on: str) -> None:
        """What was found and is mended was a mistake of who wrote the code."""
        place = f"{finding['path']}:{finding.get('line') or '?'}" if finding.get("path") else ""
        test = f"test: {finding['test']}" if finding.get("test") else ""
        quotes = (str(finding.get("title") or ""), place, test)
        await mistakes.tell(self.workshop, "finding", mistakes.coders(self.workshop), on=on, quotes=quotes)

    async def _emit(self, step: EmitStep, at: At) -> Outcome:
        facts = await at.values_of(step.data)
        if step.emit == REMEDIATION:
            return await file(self.workshop, at.path, facts)
        self.workshop.tell(event.FactEmitted(run=self.workshop.run, step=at.path, fact=step.emit, values=facts))
        return Outcome(ok=True)


def _variable(value: Any) -> str:
    """*value* as a command reads it from its environment: texts as they are, the rest as JSON, without zero bytes."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return text.replace("\0", "")
