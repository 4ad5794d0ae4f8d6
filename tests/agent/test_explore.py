"""Explorers read beside each other, in contexts of their own, and only their reports come back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from nightmill import agent
from nightmill.agent import AgentState, Brief, TurnRecord
from nightmill.agent.explore import MOST_TURNS
from nightmill.errors import LimitReached, ModelUnavailable, SandboxError, ToolError
from nightmill.event import Event
from nightmill.model import ModelReply, ToolCall, Usage
from nightmill.sandbox import Limits, Workspace
from nightmill.tool import ToolContext, Toolset
from nightmill.tool.base import Explored, Question
from nightmill.tool.explore import Explore, Report
from tests.agent.conftest import BRIEF, Stage, call, reply

PARENT = replace(BRIEF, objective="Mend the parser.", tag="[system 1]")
ASK = ToolCall(
    id="e", name="explore", arguments='{"questions": [{"question": "Where is A?"}, {"question": "Where is B?"}]}'
)


def report(text: str) -> ToolCall:
    return ToolCall(id="r", name="report", arguments=f'{{"findings": "{text}"}}')


class Yard:
    """Explorers with a stage's tools, whose replies *says* gives: (brief, state) → reply, or an error."""

    def __init__(self, says: Any, *, stage: Stage) -> None:
        self.says, self.stage = says, stage
        self.kept: list[tuple[Brief, TurnRecord]] = []
        self.asked: list[tuple[Brief, AgentState]] = []
        self.told: list[Event] = []
        self.sent: list[str] = []

    async def ask(self, brief: Brief, state: AgentState) -> ModelReply:
        self.asked.append((brief, state))
        await asyncio.sleep(0)
        said = self.says(brief, state)
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, ModelReply)
        return said

    async def explore(self, questions: tuple[Question, ...]) -> Explored:
        party = agent.Party(
            parent=PARENT,
            turn=7,
            instructions=("You are an explorer.",),
            model="small",
            tools=Toolset((self.stage.tools.tools["look"], Report())),
            context=ToolContext(workspace=cast("Workspace", None), limits=Limits()),
            told=agent.Told(run="r1", emit=self.told.append, clock=lambda: 0.0),
            ask=self.ask,
            sent=lambda brief: self.sent.append(brief.role),
            kept=lambda brief, record: self.kept.append((brief, record)),
        )
        return await agent.explore(questions, party=party)

    def send(self, *texts: str) -> Explored:
        return asyncio.run(self.explore(tuple(Question(text=text) for text in texts)))


def look_then_report(brief: Brief, state: AgentState) -> ModelReply:
    usage = Usage(input=100, output=10)
    if state.turn == 0:
        return reply(call("look", brief.objective[-2]), usage=usage, cost=0.25)
    return reply(report(f"It is in {brief.objective[-2]}.py:3"), usage=usage, cost=0.25)


def test_each_answers_its_question_and_only_reports_come_back(stage: Stage) -> None:
    yard = Yard(look_then_report, stage=stage)
    found = yard.send("Where is A?", "Where is B?")

    assert found.report == "## 1. Where is A?\n\nIt is in A.py:3\n\n## 2. Where is B?\n\nIt is in B.py:3"
    assert (found.usage, found.cost, found.count) == (Usage(input=400, output=40), 1.0, 2)
    assert [brief.role for brief, _ in yard.asked[:2]] == ["explorer 7.1", "explorer 7.2"], "they go side by side"
    assert all("saw" not in repr(state) for brief, state in yard.asked if state.turn == 0)
    assert len({brief.conversation for brief, _ in yard.asked}) == 2
    assert [record.turn for _, record in yard.kept] == [1, 1, 2, 2]
    assert yard.sent == ["explorer 7.1", "explorer 7.2"]
    assert yard.told == [], "the ledger has a line for each turn of theirs, from who keeps it"


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (ModelUnavailable("529: overloaded"), "(no report: 529: overloaded)"),
        (LimitReached("the budget is used up", limit="money"), "(no report: the budget is used up)"),
    ],
)
def test_one_that_fails_says_so_and_the_others_report(stage: Stage, fails: Exception, words: str) -> None:
    def says(brief: Brief, state: AgentState) -> Any:
        return fails if brief.objective.endswith("B?") else look_then_report(brief, state)

    assert Yard(says, stage=stage).send("Where is A?", "Where is B?").report.endswith(f"## 2. Where is B?\n\n{words}")


def test_one_that_never_reports_is_told_at_its_last_turn_and_ends(stage: Stage) -> None:
    yard = Yard(lambda brief, state: reply(call("look", str(state.turn), id=f"c{state.turn}")), stage=stage)
    found = yard.send("Where is A?")

    assert len(yard.asked) == MOST_TURNS
    assert "This is your last turn" in repr(yard.asked[-1][1].messages)
    assert f"its {MOST_TURNS} turns" in found.report
    assert found.cost is None, "what has no price has none"


def test_one_that_only_talks_ends_with_its_reason(stage: Stage) -> None:
    assert "it is stuck" in Yard(lambda *_: reply("Hm."), stage=stage).send("Where is A?").report


def test_a_sandbox_that_fails_is_no_report(stage: Stage) -> None:
    async def fail(_: str) -> str:
        raise SandboxError("gone")

    stage.tools.tools["look"].does = fail  # type: ignore[attr-defined]
    with pytest.raises(SandboxError, match="gone"):
        Yard(look_then_report, stage=stage).send("Where is A?", "Where is B?")


def test_what_they_use_counts_for_their_parent(stage: Stage) -> None:
    stage.tools = Toolset((*stage.tools.tools.values(), Explore()))
    stage.explore = Yard(look_then_report, stage=stage).explore
    record = stage.turn(reply(ASK, usage=Usage(input=1000, output=5), cost=0.5))

    assert not record.changed
    assert stage.state.usage == Usage(input=1400, output=45)
    assert stage.state.cost == 1.5
    assert stage.state.explorers == 2
    assert stage.state.context == 1005, "their contexts are not its own"
    assert "It is in A.py:3" in stage.results()[0]


def test_where_there_are_none_it_is_said(stage: Stage) -> None:
    stage.tools = Toolset((Explore(),))
    stage.turn(reply(ASK))
    assert stage.results() == [ToolError("there are no explorers here: search and read yourself").message]
