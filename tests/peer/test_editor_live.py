"""What an editor shows while it happens: what others do, and what is being written."""

from __future__ import annotations

import asyncio
import json

import acp
import pytest
from acp import schema

from nightmill.store.presence import Presence
from tests.conftest import ScriptedFactory
from tests.peer.conftest import BOB, RUN, Editor, agent, ended, session, waiting_run
from tests.whole import EDIT, FINISH, LOOK, PLAN, SPEC, TRY, Mill, script


def test_what_somebody_else_decides_meanwhile_is_told_and_asked_no_more(mill: Mill) -> None:
    question, editor = waiting_run(mill), Editor(picks="never")

    async def story() -> str:
        async with session(mill, editor) as (ask, leave):
            watching = asyncio.ensure_future(ask(RUN))
            await editor.until_asked()
            with mill.door() as door:
                door.questions.grant(question, by=BOB)
            await editor.until(f"granted by {BOB}")
            editor.dismissed.set()  # and only then the person picks, which is nothing any more
            await leave()
            return await watching

    assert asyncio.run(story()) == "cancelled"
    assert ended(mill, question)[2] == BOB
    closed = [each for each in editor.updates if isinstance(each, schema.ToolCallProgress)]
    assert [(each.tool_call_id, each.status) for each in closed] == [(f"question/{question}", "completed")]


def test_a_conversation_that_is_taken_up_and_watched_again_shows_nothing_twice(mill: Mill) -> None:
    waiting_run(mill)
    editor = Editor()

    async def story() -> None:
        async with agent(mill, editor) as (conn, _):
            await conn.load_session(cwd=str(mill.folder / "calc"), session_id=RUN, mcp_servers=[])
            await conn.prompt(session_id=RUN, prompt=[acp.text_block(RUN)])

    asyncio.run(story())
    thoughts = [each.content.text for each in editor.updates if isinstance(each, schema.AgentThoughtChunk)]
    assert len([each for each in thoughts if "queued" in each]) == 1
    assert len(editor.asked) == 1, "what is open is asked again"


def test_who_watches_in_an_editor_sees_the_others_and_is_seen_by_them(mill: Mill) -> None:
    waiting_run(mill)
    editor, seen = Editor(picks="never"), list[tuple[str, ...]]()

    def attend() -> tuple[str, ...]:
        with mill.door() as door:
            return Presence(door.database).attend(RUN, "terminal", by=BOB, seconds=60)

    async def story() -> None:
        async with session(mill, editor) as (ask, leave):
            seen.append(attend())
            watching = asyncio.ensure_future(ask(RUN))
            await editor.until_asked()
            seen.append(attend())
            editor.dismissed.set()
            await leave()
            await watching
            seen.append(attend())

    asyncio.run(story())
    assert seen == [(), ("Ada <ada@example.org>",), ()]
    thoughts = [each.content.text for each in editor.updates if isinstance(each, schema.AgentThoughtChunk)]
    assert f"With {BOB}\n" in thoughts


@pytest.mark.slow
def test_what_is_being_written_is_read_as_it_comes_and_once(mill: Mill, scripted: ScriptedFactory) -> None:
    long = "First I look at it. " + " ".join(f"Then comes word number {number}." for number in range(40))
    look = {**LOOK, "text": long, "fault": {"kind": "disconnect", "times": 1}}
    model = scripted(script(look, EDIT, TRY, FINISH), "--tps", "60", "--chunk", "12")
    mill = mill.given(NIGHTMILL_BASE_URL=model.url)
    editor = Editor()

    async def story() -> None:
        async with session(mill, editor) as (ask, _):
            spec = acp.resource_block(acp.embedded_text_resource("file:///SPEC.md", SPEC.format(title="")))
            assert await ask("please build this", spec) == "end_turn"

    with mill.worker():
        asyncio.run(story())

    pieces = [each.content.text for each in editor.updates if isinstance(each, schema.AgentMessageChunk)]
    assert "thrown away" not in editor.said()
    assert editor.said().count("First I look at it.") == editor.said().count("I try it.") == 1
    assert json.dumps(PLAN) in editor.said()
    assert long in editor.said()
    assert long not in "\n".join(pieces), "it came in pieces"
    assert editor.tools()["read_file calc.py"] == "completed"
    assert [each for each in model.log() if each["fault"] == "disconnect"]
