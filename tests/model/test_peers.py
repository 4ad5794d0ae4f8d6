"""Gemini and Ollama over the wire, with what goes wrong there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nightmill.errors import ModelRefused, ModelUnavailable
from nightmill.model import Message, Model, ModelReply, ModelRequest, Text, Thinking, ToolCall, ToolResult, ToolSchema
from nightmill.model import Usage as Tokens
from nightmill.model.connect import client, connect
from nightmill.model.problem import CONTEXT_HINT
from nightmill.settings import Settings
from tests.model.peer import Peer, Turn

SETTINGS = Settings(idle_read=10, retries=2)
MODELS = {"gemini": "gemini:gemini-3-pro", "ollama": "ollama:qwen3:32b"}
TOOL = ToolSchema(
    name="bash",
    description="Run it.",
    parameters={
        "type": "object",
        "properties": {"command": {"type": "string", "minLength": 1}, "seconds": {"type": "integer", "default": 3}},
        "required": ["command"],
    },
)
GO = Message(role="user", parts=(Text(text="go"),))
CALLS = [("bash", {"command": "echo 'é \u2028 😀'"}), ("bash", {"command": "pwd"})]
TURN: Turn = {"text": "Zuerst schaue ich – 見る 😀.", "thinking": "hm, größer", "calls": CALLS}
DONE: Turn = {"text": "done"}


class Talk:
    """A conversation with a peer."""

    def __init__(self, model: Model, slept: list[float]) -> None:
        self.model, self.slept = model, slept
        self.messages: list[Message] = [GO]

    async def ask(self, **more: Any) -> ModelReply:
        request = ModelRequest(
            model="", system=("Be good.",), messages=tuple(self.messages), tools=(TOOL,), thinking=2048, **more
        )
        reply = await self.model.reply(request)
        self.messages.append(Message(role="assistant", parts=reply.parts))
        return reply

    def answer(self, reply: ModelReply) -> None:
        results = tuple(ToolResult(call=each.id, name=each.name, text="ok") for each in reply.calls)
        self.messages.append(Message(role="user", parts=results or (Text(text="go on"),)))


def tell(peer: Peer, story: Callable[[Talk], Awaitable[Any]], *, model: str = "") -> Any:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def whole() -> Any:
        async with peer.serve(), client(SETTINGS) as http:
            name = model or MODELS[peer.kind]
            found = connect(
                name,
                keys={"gemini": "key"},
                base_url=peer.url,
                settings=SETTINGS,
                client=http,
                sleep=sleep,
                random=lambda: 0.5,
            )
            return await story(Talk(found, slept))

    return asyncio.run(whole())


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize("kind", MODELS)
def test_reply_is_whole_wherever_the_wire_cuts_it(kind: str, step: int) -> None:
    peer = Peer(kind, [TURN | {"signed": True}, DONE], step=step)

    async def story(talk: Talk) -> tuple[ModelReply, ModelReply]:
        first = await talk.ask(tail="mind the spec")
        talk.answer(first)
        return first, await talk.ask(tail="mind the tests")

    first, last = tell(peer, story)

    assert first.text == TURN["text"]
    assert [part.text for part in first.parts if isinstance(part, Thinking)] == [TURN["thinking"]]
    assert [(call.name, call.arguments) for call in first.calls] == [
        ("bash", '{"command": "echo \'é \u2028 😀\'"}'),
        ("bash", '{"command": "pwd"}'),
    ]
    assert len({call.id for call in first.calls}) == 2
    assert (first.stop, last.stop, last.text) == ("tools", "end", "done")
    usage = Tokens(input=40, cache_read=8, output=16, reasoning=5) if kind == "gemini" else Tokens(input=40, output=16)
    assert first.usage == usage


@pytest.mark.parametrize("fault", ["disconnect", "clean_cut", "stream_error", "overloaded", "rate_limit"])
@pytest.mark.parametrize("kind", MODELS)
def test_what_broke_is_asked_again_and_what_stays_broken_is_unavailable(kind: str, fault: str) -> None:
    async def once(talk: Talk) -> tuple[str, list[float]]:
        return (await talk.ask()).text, talk.slept

    async def down(talk: Talk) -> None:
        with pytest.raises(ModelUnavailable, match=f"^{MODELS[kind]} at 127.0.0.1:[0-9]+: "):
            await talk.ask()

    text, slept = tell(Peer(kind, [TURN | {"fault": fault}]), once)
    tell(Peer(kind, [TURN | {"fault": fault, "times": 9}]), down)

    assert text == TURN["text"]
    asked_for = kind == "gemini" and fault == "rate_limit"  # Google's wish to wait is in the body
    assert slept == [pytest.approx(3.15 if asked_for else 0.4375)]


@pytest.mark.parametrize("kind", MODELS)
def test_reply_at_its_limit_says_so(kind: str) -> None:
    async def story(talk: Talk) -> str:
        return (await talk.ask()).stop

    assert tell(Peer(kind, [TURN | {"fault": "max_tokens"}]), story) == "length"


def test_gemini_signatures_go_back_where_they_were_and_ids_only_if_the_server_gave_some() -> None:
    for ids in (False, True):
        peer = Peer("gemini", [TURN | {"signed": True, "ids": ids}, TURN | {"ids": ids}, DONE])

        async def story(talk: Talk) -> str:
            for _ in range(2):
                talk.answer(await talk.ask())
            return (await talk.ask()).text

        assert tell(peer, story) == "done"
        said = peer.bodies[-1]["contents"][1]["parts"]
        assert [sorted(part) for part in said] == [
            ["text"],
            ["text", "thoughtSignature"],
            ["functionCall", "thoughtSignature"],
            ["functionCall"],
        ]
        assert ("id" in said[2]["functionCall"]) == ids


def test_gemini_takes_the_history_of_another_provider() -> None:
    call = ToolCall(id="toolu_1", name="bash", arguments='{"command": "ls"}', opaque={"anthropic": {"x": 1}})
    thought = Thinking(text="hm", opaque={"anthropic": {"signature": "s"}})
    peer = Peer("gemini", [{}, DONE])

    async def story(talk: Talk) -> str:
        talk.messages += [
            Message(role="assistant", parts=(thought, call)),
            Message(role="user", parts=(ToolResult(call="toolu_1", name="bash", text="no", error=True),)),
        ]
        return (await talk.ask()).text

    assert tell(peer, story) == "done"
    *_, result = peer.bodies[0]["contents"]
    assert result["parts"] == [{"functionResponse": {"name": "bash", "response": {"error": "no"}}}]


def test_gemini_goes_on_with_a_reply_that_was_stopped_between_and_asks_again_for_a_broken_call() -> None:
    peer = Peer("gemini", [{"text": "one two three four", "fault": "continuation"}, {"text": "five"}])

    async def story(talk: Talk) -> list[ModelReply]:
        replies = [await talk.ask(tail="mind"), await talk.ask(tail="mind")]
        talk.answer(replies[-1])
        return [*replies, await talk.ask()]

    first, rest, last = tell(peer, story)

    assert (first.stop, first.text, rest.stop, rest.text) == ("again", "one two t", "end", "hree four")
    assert peer.bodies[1]["contents"] == [{"role": "user", "parts": [{"text": "go"}]}]
    assert [part["text"] for part in peer.bodies[2]["contents"][1]["parts"]] == ["one two t", "hree four"]
    assert last.text == "five"

    async def broken(talk: Talk) -> tuple[str, str, str]:
        reply = await talk.ask()
        return reply.stop, reply.raw_stop, (await talk.ask()).stop

    malformed = Peer("gemini", [{"calls": CALLS, "fault": "malformed_call"}])
    assert tell(malformed, broken) == ("again", "MALFORMED_FUNCTION_CALL", "tools")


def test_gemini_prompt_that_is_blocked_is_a_refusal_without_words() -> None:
    async def story(talk: Talk) -> tuple[str, str]:
        reply = await talk.ask()
        return reply.stop, reply.raw_stop

    assert tell(Peer("gemini", [TURN | {"fault": "blocked"}]), story) == ("refused", "PROHIBITED_CONTENT")


def test_gemini_refusal_names_what_is_wrong() -> None:
    async def story(talk: Talk) -> None:
        talk.messages.append(
            Message(
                role="assistant",
                parts=(ToolCall(id="1", name="bash", arguments="{}", opaque={"gemini": {"thoughtSignature": "no"}}),),
            )
        )
        with pytest.raises(ModelRefused, match="400 INVALID_ARGUMENT: Corrupted thought signature"):
            await talk.ask()

    tell(Peer("gemini", [DONE]), story)


def test_schemas_hold_only_what_each_server_knows() -> None:
    peers = [Peer(kind, [DONE]) for kind in MODELS]
    for peer in peers:
        tell(peer, lambda talk: talk.ask())

    gemini = peers[0].bodies[0]["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    ollama = peers[1].bodies[0]["tools"][0]["function"]["parameters"]
    plain = {"command": {"type": "string"}, "seconds": {"type": "integer"}}
    assert gemini == ollama == {"type": "object", "properties": plain, "required": ["command"]}


def test_ollama_window_grows_in_steps_and_a_prompt_beyond_it_is_refused_not_cut() -> None:
    peer = Peer("ollama", [DONE])

    async def story(talk: Talk) -> list[int]:
        for size in (10, 30_000, 120_000):
            talk.messages = [Message(role="user", parts=(Text(text="x" * size),))]
            await talk.ask()
        talk.messages = [Message(role="user", parts=(Text(text="x" * 5_000_000),))]
        with pytest.raises(ModelRefused) as caught:
            await talk.ask()
        assert caught.value.hint == CONTEXT_HINT
        return [body["options"]["num_ctx"] for body in peer.bodies]

    assert tell(peer, story) == [16_384, 32_768, 65_536, 1_048_576]


@pytest.mark.parametrize("kind", MODELS)
def test_model_that_calls_in_its_text_has_a_conversation_of_words_only(kind: str) -> None:
    call = '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>'
    peer = Peer(kind, [{"text": f"<think>\nhm\n</think>\n\nI look. {call}"}, DONE])

    async def story(talk: Talk) -> list[ModelReply]:
        first = await talk.ask()
        talk.answer(first)
        return [first, await talk.ask()]

    first, last = tell(peer, story, model=MODELS[kind].replace(":", "+text:", 1))

    assert [(each.name, each.arguments, each.written) for each in first.calls] == [("bash", '{"command": "ls"}', "")]
    assert (first.stop, last.text) == ("tools", "done")
    assert all("tools" not in body for body in peer.bodies)
    assert '<tool_response name=\\"bash\\">\\nok\\n</tool_response>' in json.dumps(peer.bodies[1])


@pytest.mark.parametrize("kind", MODELS)
def test_call_that_was_written_into_the_text_goes_back_as_a_call(kind: str) -> None:
    peer = Peer(kind, [{"text": '```json\n{"name": "bash", "arguments": {"command": "ls"}}\n```'}, DONE])

    async def story(talk: Talk) -> ModelReply:
        first = await talk.ask()
        talk.answer(first)
        await talk.ask()
        return first

    first = tell(peer, story)

    assert [(each.name, each.written) for each in first.calls] == [("bash", "text")]
    assert first.text == ""
    assert ("functionCall" if kind == "gemini" else "tool_calls") in json.dumps(peer.bodies[1])
