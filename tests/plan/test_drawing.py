"""How a plan is asked for, mended and given up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nightmill import plan, spec
from nightmill.errors import LimitReached, ModelUnavailable
from nightmill.model import Message, ModelReply, ModelRequest, Text, Thinking, ToolCall, Usage
from nightmill.model.message import Part, Stop
from nightmill.prompt import part

SPEC = spec.read(Path(__file__).parent.parent / "spec" / "specs" / "good" / "bug_fix.md")
RIGHT = json.dumps(
    {"tasks": [{"id": "T1", "title": "Quote fields", "instruction": "Quote as the spec says.",
                "criteria": ["AC1", "AC2", "AC3"]}]}
)  # fmt: skip
REQUEST = ModelRequest(
    model="m", system=("You are an architect.",), messages=(Message(role="user", parts=(Text(text="Plan."),)),)
)


def said(*parts: Part | str, stop: Stop = "end") -> ModelReply:
    whole = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    return ModelReply(parts=whole, stop=stop, usage=Usage(output=7), model="m")


class Script:
    """Answers from a list, and keeps what it was asked."""

    def __init__(self, replies: Sequence[ModelReply | Exception]) -> None:
        self.replies = list(replies)
        self.asked: list[ModelRequest] = []

    async def ask(self, request: ModelRequest) -> ModelReply:
        self.asked.append(request)
        reply = self.replies[len(self.asked) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply


def draw(script: Script) -> plan.Drawing:
    return asyncio.run(plan.draw_up(SPEC, request=REQUEST, ask=script.ask))


def last_text(request: ModelRequest) -> str:
    return "".join(part.text for part in request.messages[-1].parts if isinstance(part, Text))


def test_right_answer_is_taken_at_once() -> None:
    script = Script([said(RIGHT)])

    drawn = draw(script)

    assert drawn.plan.source == "architect"
    assert drawn.plan.tasks[0].criteria == ("AC1", "AC2", "AC3")
    assert script.asked == [REQUEST]


def test_wrong_answers_go_back_with_what_is_wrong_in_one_conversation() -> None:
    wrong = said(RIGHT.replace('"AC1", ', ""))
    script = Script([wrong, said("Sorry."), said(RIGHT)])

    drawn = draw(script)

    assert drawn.replies == tuple(script.replies)
    assert "no task shows the criteria 'AC1'" in last_text(script.asked[1])
    assert "holds no JSON object" in last_text(script.asked[2])
    for request in script.asked:
        assert [message.role for message in request.messages] == ["user", "assistant"] * (
            len(request.messages) // 2
        ) + ["user"]
        assert request.messages[0] == REQUEST.messages[0]


def test_third_wrong_answer_is_the_end_with_its_reason() -> None:
    script = Script([said("no"), said("no"), said("no"), said(RIGHT)])

    with pytest.raises(LimitReached) as caught:
        draw(script)

    assert caught.value.limit == "repairs"
    assert "after 2 repairs: the answer holds no JSON object" in caught.value.message
    assert len(script.asked) == 3


def test_answer_that_was_cut_off_is_not_taken_even_if_it_reads_well() -> None:
    script = Script([said(RIGHT, stop="length"), said(RIGHT)])

    assert len(draw(script).replies) == 2
    assert "was cut off after 7 tokens" in last_text(script.asked[1])


def test_paused_reply_goes_on_and_is_read_as_one() -> None:
    script = Script([said(RIGHT[:30], stop="again"), said(RIGHT[30:])])

    assert len(draw(script).replies) == 2
    assert script.asked[1].messages[-1].role == "assistant"


def test_refusal_is_a_stop_and_is_not_asked_again() -> None:
    script = Script([said("I will not.", stop="refused"), said(RIGHT)])

    with pytest.raises(LimitReached) as caught:
        draw(script)

    assert caught.value.limit == "refused"
    assert len(script.asked) == 1


def test_call_of_a_tool_that_was_never_offered_is_not_sent_back() -> None:
    call = ToolCall(id="1", name="read_file", arguments="{}")
    script = Script([said(Thinking(text="hm"), call, stop="tools"), said(Thinking(text="hm"), "no"), said(RIGHT)])

    draw(script)

    assert script.asked[1].messages[1].parts == (Text(text="(no answer)"),)
    assert script.asked[2].messages[3].parts == (Thinking(text="hm"), Text(text="no"))


def test_provider_that_is_down_is_the_corridors_affair() -> None:
    with pytest.raises(ModelUnavailable):
        draw(Script([ModelUnavailable("down")]))


def test_prompt_asks_by_criteria_spec_and_schema() -> None:
    text = part("architect/plan").text

    assert all(f"${{{name}}}" in text for name in ("criteria", "spec", "schema"))
