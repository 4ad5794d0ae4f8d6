"""Agents of one run: each conversation is a role's, begun by a step, and may go on in a later one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nightmill import agent, event
from nightmill.line import brief as briefs
from nightmill.line.asking import Asking
from nightmill.line.external import ExternalWork
from nightmill.line.journal import Journal
from nightmill.line.process import measures, mistakes
from nightmill.line.record import finished, read_record
from nightmill.line.results import CheckResults
from nightmill.line.stop import Stopped
from nightmill.line.work import Work
from nightmill.policy import NETWORK, Budget, Spent
from nightmill.tool import crewed

if TYPE_CHECKING:
    from nightmill.agent import AgentState, Brief
    from nightmill.blueprint.nouns import Most
    from nightmill.crew import Role
    from nightmill.line.knowledge import Knowledge
    from nightmill.line.process.workshop import Workshop

__all__ = ["Agents", "Asked", "Conversation", "Key", "share"]

Key = tuple[str, str]
"""Of a conversation: where its blueprint was called, and the step that began it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a step wants of a role.

    Attributes:
        path: The way to the step.
        key: Of the conversation; one that there is goes on with the text that *words* gives, where that is not None.
        brief: Makes what the agent is given, as the conversation of the name that it is called with.
        tools: Names of the tools that it has; None: all.
        output: JSON schema of what it hands over.
        writes: Whether what it changes stays.
    """

    path: str
    key: Key
    role: Role
    brief: Callable[[str, Budget], Awaitable[Brief]]
    words: Callable[[], str] | None = None
    tools: tuple[str, ...] | None = None
    output: Mapping[str, Any] = field(default_factory=dict)
    most: Most
    writes: bool = True
    rounds: tuple[int, int] = (0, 0)
    """The round of the loop that it is in, and how many there may be."""


@dataclass(slots=True, kw_only=True)
class Conversation:
    """One role's work, live in this process."""

    role: Role
    work: Work | ExternalWork
    times: int = 1
    taken: frozenset[str] = frozenset()
    """What it works without for what its role did wrong."""

    @property
    def state(self) -> AgentState:
        """How far it got."""
        return self.work.state


@dataclass(slots=True, kw_only=True)
class Agents:
    """All conversations of one run."""

    workshop: Workshop
    knowledge: Knowledge
    known: dict[Key, Conversation] = field(default_factory=dict)
    """The newest of each key."""
    all: list[Conversation] = field(default_factory=list)
    live: Conversation | None = None
    """The one that works, or worked last."""

    @property
    def spent(self) -> Spent:
        """What all of them used so far."""
        return self._used([each.state for each in self.all])

    def _used(self, states: Sequence[AgentState]) -> Spent:
        return Spent(
            turns=sum(state.turn for state in states),
            tokens=sum(state.usage.input + state.usage.output for state in states),
            money=sum(state.cost for state in states),
            seconds=sum(state.seconds for state in states),
        )

    async def work(self, asked: Asked) -> Conversation:
        """Have the role work until it says that it is done.

        Raises:
            Stopped: If it ends otherwise, or the run is to stop.
        """
        conversation = self.known.get(asked.key)
        if conversation is not None and asked.words is not None:
            await self._go_on(conversation, asked)
        else:
            conversation = await self._begin(asked)
        self.live = conversation
        await self._turns(conversation, asked)
        ending = conversation.state.ending
        if ending is None or ending.kind != "finished":
            kind, text = (ending.kind, ending.text) if ending else ("stuck", "it did not end")
            if kind in {"stuck", "refused"}:
                roles = {conversation.role.name}
                await mistakes.tell(self.workshop, "guard", roles, on=asked.path, quotes=(text,))
            who = "the agent" if conversation.role.name == "developer" else f"the {conversation.role.name}"
            raise Stopped("limit" if kind == "limit" else "failed", f"{who} is {kind}: {text}")
        self.workshop.tell(
            event.AgentFinished(
                run=self.workshop.run,
                turn=conversation.state.turn,
                summary=ending.text,
                role=conversation.work.brief.role,
                step=asked.path,
            )
        )
        return conversation

    def anew(self) -> None:
        """Words are counted anew in each run: those of the run that this one goes on from are in its conversations."""
        for each in self.all:
            each.work.state = replace(each.work.state, heard=0)

    async def rest(self) -> None:
        """Drop calls that were started early."""
        for each in self.all:
            await each.work.forget()

    async def _begin(self, asked: Asked) -> Conversation:
        shop = self.workshop
        name = self._name(asked)
        before = self.spent
        budget = _within(shop.assignment.budget, before, asked.most)

        async def make() -> dict[str, Any]:
            found = await asyncio.to_thread(mistakes.known, shop, (asked.role.name,))
            taken = mistakes.plain(each for each in found if each.takes)
            brief = await asked.brief(name, _left(budget, before))
            brief = await asyncio.to_thread(measures.given, shop, brief, found, role=asked.role.name)
            if brief.system:  # another's agent, which has none, writes files itself, and knows no marks
                brief = await asyncio.to_thread(self._marked, brief)
            return {"brief": shop.machines.blobs.put(briefs.write_brief(brief)), "taken": taken}

        made = await shop.waiting.attempt("begin", make)
        brief = briefs.read_brief(shop.machines.blobs.get(made["brief"]))
        found = mistakes.read(made["taken"])
        taken = measures.taken(found)
        asked = replace(asked, tools=measures.left(asked.tools, taken, shop.assignment))
        measures.told(shop, found, step=asked.path)
        shop.tell(
            event.AgentStarted(
                run=shop.run,
                role=brief.role,
                step=asked.path,
                brief=made["brief"],
                tools=None if asked.tools is None else list(asked.tools),
                output=json.dumps(dict(asked.output)),
            )
        )
        conversation = Conversation(
            role=asked.role, work=self._worker(asked, brief, budget, before, taken), taken=taken
        )
        self._attend(conversation, asked)
        self.known[asked.key] = conversation
        self.all.append(conversation)
        return conversation

    async def _go_on(self, conversation: Conversation, asked: Asked) -> None:
        """Tell a conversation what came of its work."""
        shop, words = self.workshop, asked.words

        async def say() -> dict[str, Any]:
            text = words() if words is not None else ""
            if conversation.work.brief.system:
                text = await asyncio.to_thread(shop.machines.blobs.hidden.marked, text)
            found = await asyncio.to_thread(mistakes.known, shop, (conversation.role.name,))
            return {
                "words": shop.machines.blobs.put(text.encode("utf-8", "replace")),
                "taken": mistakes.plain(each for each in found if each.takes),
            }

        said = await shop.waiting.attempt("say", say)
        found, known = mistakes.read(said["taken"]), conversation.taken
        conversation.taken |= measures.taken(found)
        asked = replace(asked, tools=measures.left(asked.tools, conversation.taken, shop.assignment))
        measures.told(shop, found, step=asked.path, known=known)
        text = shop.machines.blobs.get(said["words"]).decode()
        count, limit = asked.rounds
        shop.tell(
            event.SentBack(
                run=shop.run,
                count=max(1, count - 1) if limit else conversation.times,
                limit=max(0, limit - 1),
                reason=" ".join(text.split())[:2000],
                words=said["words"],
                role=conversation.work.brief.role,
                step=asked.path,
                tools=None if asked.tools is None else list(asked.tools),
                output=json.dumps(dict(asked.output)),
            )
        )
        conversation.times += 1
        if isinstance(conversation.work, Work):  # what this step lets it use and hand over; and others have spent since
            tools = crewed(shop.assignment.model, only=asked.tools, output=asked.output)
            conversation.work.equip(tools, without=conversation.taken)
            others = [each.state for each in self.all if each is not conversation]
            conversation.work.before = self._used(others)
        conversation.work.state = agent.send_back(conversation.state, text)
        self._attend(conversation, asked)

    def _attend(self, conversation: Conversation, asked: Asked) -> None:
        """What people said and others have heard, it need not hear."""
        work = conversation.work
        work.listens = asked.writes
        heard = max((each.state.heard for each in self.all), default=0)
        work.state = replace(work.state, heard=max(work.state.heard, heard))

    async def _turns(self, conversation: Conversation, asked: Asked) -> None:
        """Take turns until the agent's work ends. What one does that may not write is in no snapshot that stays."""
        shop, work = self.workshop, conversation.work
        snapshot = shop.snapshot
        shop.tell(
            event.PhaseStarted(
                run=shop.run,
                phase="work",
                round=max(0, asked.rounds[0] - 1),
                step=asked.path,
                role=work.brief.role,
                snapshot=snapshot,
            )
        )
        if await shop.place().connect(allowed=NETWORK not in conversation.taken):
            await self.rest()  # whatever lived in the sandbox of before is gone
        while work.state.ending is None:
            result = await shop.waiting.attempt("turn", partial(work.turn, snapshot))
            record = read_record(shop.machines.blobs.get(result["record"]))
            snapshot = result["snapshot"]
            if asked.writes:
                shop.moved(snapshot)
            before, work.state = work.state, work.after(record)
            named = {"role": work.brief.role, "model": shop.assignment.worker, "snapshot": snapshot}
            shop.tell(finished(record, run=shop.run, kept=result["record"], **named))
            shop.control.writing.end(role=work.brief.role, turn=record.turn)
            for word in record.heard:
                shop.tell(event.WordHeard(run=shop.run, number=word.number, turn=record.turn, role=work.brief.role))
            for told in work.moved(before):
                shop.tell(told)

    def _worker(
        self, asked: Asked, brief: Brief, budget: Budget, before: Spent, taken: frozenset[str]
    ) -> Work | ExternalWork:
        shop = self.workshop
        assignment, workplace = replace(shop.assignment, budget=budget), shop.place()
        common: dict[str, Any] = {
            "run": shop.run,
            "machines": shop.machines,
            "assignment": assignment,
            "brief": brief,
            "workplace": workplace,
            "control": shop.control,
        }
        if assignment.agent is not None and asked.role.name == "developer":
            return ExternalWork(**common, agent=assignment.agent, entrance=shop.entrance, folder=shop.folder)
        return Work(
            **common,
            tools=crewed(assignment.model, only=asked.tools, output=asked.output),
            asking=Asking(
                run=shop.run,
                role=replace(asked.role, name=brief.role),
                machines=shop.machines,
                assignment=assignment,
                journal=Journal(shop.folder / "replies"),
                heard=workplace.rouse,
                writing=shop.control.writing,
            ),
            knowledge=self.knowledge,
            results=CheckResults(
                run=shop.run,
                machines=shop.machines,
                assignment=assignment,
                environment=shop.prepared["environment"],
            ),
            before=before,
            without=taken,
        )

    def _marked(self, brief: Brief) -> Brief:
        """*brief* without secrets: what stands in a spec, in instructions or in a change goes to a model, and is kept."""
        marked = self.workshop.machines.blobs.hidden.marked
        return replace(
            brief,
            system=tuple(map(marked, brief.system)),
            anchor=marked(brief.anchor),
            objective=marked(brief.objective),
        )

    def _name(self, asked: Asked) -> str:
        """What the conversation is called: its role, and the step where the role has had one before."""
        named = {each.role.name for each in self.all}
        return asked.role.name if asked.role.name not in named else f"{asked.role.name}@{asked.path}"


def _within(budget: Budget, before: Spent, most: Most) -> Budget:
    """*budget* of the run for a step that begins when *before* is spent and may itself use *most*."""
    return replace(
        budget,
        turns=min(budget.turns, before.turns + most.turns) if most.turns else budget.turns,
        tokens=min(budget.tokens, before.tokens + most.tokens) if most.tokens else budget.tokens,
        money=min(budget.money, before.money + most.money) if most.money else budget.money,
    )


def share(budget: Budget, before: Spent, *, count: int) -> Budget:
    """What each of *count* runs may use of what is left of *budget* after *before*."""
    left = _left(budget, before)
    return replace(left, tokens=max(1, left.tokens // count), money=left.money / count)


def _left(budget: Budget, before: Spent) -> Budget:
    """What is left of *budget* after *before*: what an agent is reminded of is its own part."""
    return replace(
        budget,
        turns=max(1, budget.turns - before.turns),
        tokens=max(1, budget.tokens - before.tokens),
        money=max(0.0, budget.money - before.money),
        seconds=max(1.0, budget.seconds - before.seconds),
    )
