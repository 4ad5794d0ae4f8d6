"""`nightmill acp` as an editor starts it, by the protocol's own client: watching, starting, deciding, leaving."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import acp
import pytest
from acp import schema

from tests.conftest import ScriptedFactory
from tests.peer.conftest import RUN, Editor, agent, ended, session, until_decided, waiting_run
from tests.whole import SPEC, Mill, script


def test_a_person_approves_in_the_editor_and_leaves_and_the_run_goes_on(mill: Mill) -> None:
    question, editor = waiting_run(mill), Editor(picks="yes")

    async def story() -> str:
        async with session(mill, editor) as (ask, leave):
            watching = asyncio.ensure_future(ask(f"show me {RUN}"))
            await asyncio.to_thread(until_decided, mill, question)
            await leave()
            return await watching

    assert asyncio.run(story()) == "cancelled"
    assert ended(mill, question) == ("granted", "(in an editor, ACP)", "Ada <ada@example.org>")
    ((asked, options),) = editor.asked
    assert "a" * 40 in asked.content[0].content.text
    assert [each.kind for each in options] == ["allow_once", "reject_once"]
    assert f"{RUN} goes on without this editor" in editor.said()
    assert "\u202e" not in editor.said()
    with mill.door() as door:
        assert door.runs.get(RUN).wanted == "run"


def test_a_no_is_said_with_its_reason_in_the_next_message(mill: Mill) -> None:
    question, editor = waiting_run(mill), Editor(picks="no")

    async def story() -> None:
        async with session(mill, editor) as (ask, leave):
            assert await ask(RUN) == "end_turn"
            assert "Say why in your next message" in editor.said()
            assert ended(mill, question)[0] == "open"
            refusing = asyncio.ensure_future(ask("it breaks the till"))
            await editor.until("Refused, with that reason")
            await leave()
            await refusing

    asyncio.run(story())
    assert ended(mill, question) == ("refused", "it breaks the till", "Ada <ada@example.org>")


def test_a_question_is_answered_by_the_next_message(mill: Mill) -> None:
    question = waiting_run(mill, kind="answer", title="Which way?", tree="", policy="")
    editor = Editor()

    async def story() -> None:
        async with session(mill, editor) as (ask, leave):
            assert await ask(RUN) == "end_turn"
            assert "Which way?\nYour next message is the answer." in editor.said()
            answering = asyncio.ensure_future(ask("to the left"))
            await editor.until("Answered.")
            await leave()
            await answering

    asyncio.run(story())
    assert ended(mill, question) == ("answered", "to the left", "Ada <ada@example.org>")


def test_who_has_a_part_in_it_does_not_approve_and_is_told_why(mill: Mill) -> None:
    question, editor = waiting_run(mill, barred=("ada@example.org",)), Editor(picks="yes")

    async def story() -> str:
        async with session(mill, editor) as (ask, _):
            return await ask(RUN)

    assert asyncio.run(story()) == "end_turn"
    assert "somebody else has to decide" in editor.said()
    assert ended(mill, question)[0] == "open"


def test_what_starts_nothing_says_what_would(mill: Mill, tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text(SPEC.format(title=""))
    editor = Editor()

    async def story() -> None:
        async with session(mill, editor) as (ask, _):
            assert await ask("hello") == "end_turn"
            assert await ask("watch rzzzzzzz") == "end_turn"
            assert editor.said().count("Name a run to watch it") == 2
            assert await ask("# Make it better\n\nEverything should be nicer.") == "end_turn"
            assert "Refused: Make it better" in editor.said()
            outside = acp.resource_link_block("outside.md", (tmp_path / "outside.md").as_uri())
            assert await ask("build this", outside) == "end_turn"
            assert "is no file of this project" in editor.said()

    asyncio.run(story())
    with mill.door() as door:
        assert list(door.runs.list()) == []


def test_an_editor_that_dies_stops_nothing_and_the_next_one_takes_the_conversation_up(mill: Mill) -> None:
    question, editor, later = waiting_run(mill), Editor(picks="never"), Editor(picks="yes")

    async def dies() -> str:
        async with agent(mill, editor) as (conn, process):
            name = (await conn.new_session(cwd=str(mill.folder / "calc"), mcp_servers=[])).session_id
            under_way = asyncio.ensure_future(conn.prompt(session_id=name, prompt=[acp.text_block(RUN)]))
            await editor.until_asked()
            process.stdin.close()  # type: ignore[union-attr]  # the editor is gone, in the middle of a question
            async with asyncio.timeout(60):
                assert await process.wait() == 0
            under_way.cancel()
            return str(name)

    async def takes_up(name: str) -> None:
        async with agent(mill, later) as (conn, _):
            await conn.load_session(cwd=str(mill.folder / "calc"), session_id=name, mcp_servers=[])
            assert f"Run {RUN} is under way" in later.said()
            assert any(isinstance(each, schema.AgentThoughtChunk) for each in later.updates), "what was before"
            watching = asyncio.ensure_future(conn.prompt(session_id=name, prompt=[acp.text_block(RUN)]))
            await asyncio.to_thread(until_decided, mill, question)
            await conn.cancel(session_id=name)
            assert (await watching).stop_reason == "cancelled"

    name = asyncio.run(dies())
    assert ended(mill, question)[0] == "open"
    asyncio.run(takes_up(name))
    assert ended(mill, question)[0] == "granted"
    with mill.door() as door:
        assert door.runs.get(RUN).wanted == "run"


def test_a_no_keeps_waiting_for_its_reason_while_the_editor_is_closed(mill: Mill) -> None:
    question, editor, later = waiting_run(mill), Editor(picks="no"), Editor()
    place: Any = {"cwd": str(mill.folder / "calc"), "mcp_servers": []}

    async def begins() -> tuple[str, str]:
        async with agent(mill, editor) as (conn, _):
            silent, name = [(await conn.new_session(**place)).session_id for _ in range(2)]
            await conn.prompt(session_id=name, prompt=[acp.text_block(RUN)])
            return silent, name

    async def goes_on(silent: str, name: str) -> None:
        async with agent(mill, later) as (conn, _):
            await conn.load_session(session_id=silent, **place)
            assert later.updates == [], "nothing was said in it yet"
            await conn.load_session(session_id=name, **place)
            refusing = asyncio.ensure_future(
                conn.prompt(session_id=name, prompt=[acp.text_block("it breaks the till")])
            )
            await later.until("Refused, with that reason")
            await conn.cancel(session_id=name)
            await refusing

    asyncio.run(goes_on(*asyncio.run(begins())))
    assert ended(mill, question) == ("refused", "it breaks the till", "Ada <ada@example.org>")


def test_runs_are_listed_as_conversations_and_taken_up_without_their_history(mill: Mill) -> None:
    waiting_run(mill)
    editor = Editor()

    async def story() -> None:
        async with agent(mill, editor) as (conn, _):
            (listed,) = (await conn.list_sessions(cwd=str(mill.folder / "calc"))).sessions
            assert (listed.session_id, listed.title) == (RUN, "Mend [U+202E]the cart")
            assert (await conn.list_sessions(cwd=str(mill.folder))).sessions == []
            await conn.resume_session(cwd=str(mill.folder / "calc"), session_id=RUN, mcp_servers=[])
            assert editor.updates == []
            said = await conn.prompt(session_id=RUN, prompt=[acp.text_block("Use cents.")])
            assert said.stop_reason == "end_turn"
            for name in ("rzzzzzzz", "0123456789abcdef", "../../worker.log"):
                with pytest.raises(acp.RequestError):
                    await conn.load_session(cwd=str(mill.folder / "calc"), session_id=name, mcp_servers=[])

    asyncio.run(story())
    assert f"Said to the agent of {RUN}" in editor.said()
    with mill.door() as door:
        (word,) = door.runs.said(RUN)
    assert (word.by, word.text) == ("Ada <ada@example.org>", "Use cents.")


def test_a_message_that_comes_while_one_is_under_way_ends_that_one(mill: Mill) -> None:
    question = waiting_run(mill, kind="answer", title="Which way?", tree="", policy="")
    editor = Editor()

    async def story() -> tuple[str, str]:
        async with session(mill, editor) as (ask, leave):
            assert await ask(RUN) == "end_turn"
            first = asyncio.ensure_future(ask("to the left"))
            await editor.until("Answered.")
            second = asyncio.ensure_future(ask("and then up"))
            await editor.until("Said to the agent")
            ended = await first
            await leave()
            return ended, await second

    assert asyncio.run(story()) == ("cancelled", "cancelled")
    assert ended(mill, question)[1] == "to the left"


def test_leaving_while_something_is_asked_decides_nothing(mill: Mill) -> None:
    question, editor = waiting_run(mill), Editor(picks="never")

    async def story() -> str:
        async with session(mill, editor) as (ask, leave):
            watching = asyncio.ensure_future(ask(RUN))
            await editor.until_asked()
            await leave()
            editor.dismissed.set()  # as the protocol has an editor answer what is still asked
            return await watching

    assert asyncio.run(story()) == "cancelled"
    assert ended(mill, question)[0] == "open"


@pytest.mark.slow
def test_a_spec_is_built_before_the_persons_eyes(mill: Mill, scripted: ScriptedFactory) -> None:
    mill = mill.given(NIGHTMILL_BASE_URL=scripted(script()).url)
    editor, later = Editor(), Editor()

    async def story() -> None:
        async with session(mill, editor) as (ask, _):
            spec = acp.resource_block(acp.embedded_text_resource("file:///SPEC.md", SPEC.format(title="")))
            assert await ask("please build this", spec) == "end_turn"
        with mill.door() as door:
            (run,) = [each.id for each in door.runs.list() if not each.parent]
        async with session(mill, later) as (ask, _):
            assert await ask(f"how did {run} go?") == "end_turn"

    with mill.worker():
        asyncio.run(story())

    for each in (editor, later):
        assert "is done" in each.said()
        tools = each.tools()
        assert tools["edit_file calc.py"] == "completed", tools
        assert "The sign is wrong." in each.said()
        assert any(isinstance(update, schema.AgentThoughtChunk) for update in each.updates)
