"""Each dialect against each fault that the scripted model knows, over real HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from nightmill.errors import ModelError, ModelRefused, ModelUnavailable
from nightmill.model import Message, Model, ModelReply, ModelRequest, Text, Thinking, ToolResult, ToolSchema
from nightmill.model.connect import client, connect
from nightmill.model.price import cost
from nightmill.model.problem import CONTEXT_HINT
from nightmill.settings import Settings

MODELS = {
    "anthropic": "anthropic:claude-sonnet-4-5",
    "chat": "openai:gpt-4o",
    "responses": "openai-responses:gpt-5",
}
TOOL = ToolSchema(name="bash", description="Run it.", parameters={"type": "object", "properties": {}})
SETTINGS = Settings(idle_read=1.0, retries=2, retry_after=60)

CALLS = [{"name": "bash", "arguments": {"command": "ls -la"}}, {"name": "bash", "arguments": {"command": "pwd"}}]
TURN = {"text": "I look at it first, as one should.", "tool_calls": CALLS}
NAMES, RAW = ["bash", "bash"], ['{"command":"ls -la"}', '{"command":"pwd"}']
WRITTEN = ['{"command": "ls -la"}', '{"command": "pwd"}']

SOUND = ("tools", NAMES, RAW, 0)
AFTER_ONE_RETRY = ("tools", NAMES, RAW, 1)
OUTCOMES: dict[str, Any] = {
    "malformed_json": ("tools", NAMES, ["{'command':'ls -la', }", "{'command':'pwd', }"], 0),
    "truncated_json": ("tools", NAMES, ['{"command":"l', '{"command":'], 0),
    "text_tool_call": ("tools", NAMES, WRITTEN, 0),
    "unknown_tool": ("tools", ["bash_ex", "bash_ex"], RAW, 0),
    "bad_param": ("tools", NAMES, [f'{raw[:-1]},"verbosity_level":"high"}}' for raw in RAW], 0),
    "repeat_call": SOUND,
    "empty": ("end", [], [], 0),
    "refusal": ("refused", [], [], 0),
    "premature_done": ("end", [], [], 0),
    "max_tokens": ("length", NAMES, ['{"command":"ls -la"}', '{"comman'], 0),
    "duplicate_ids": SOUND,
    "interleaved": SOUND,
    "slow_first_token": AFTER_ONE_RETRY,
    "disconnect": AFTER_ONE_RETRY,
    "clean_cut": AFTER_ONE_RETRY,
    "stream_error": AFTER_ONE_RETRY,
    "rate_limit": AFTER_ONE_RETRY,
    "overloaded": AFTER_ONE_RETRY,
    "server_error": AFTER_ONE_RETRY,
    "context_length": (ModelRefused, CONTEXT_HINT),
}
"""(stop, names of the calls, their raw arguments, retries), the same in each dialect."""

LASTING = ("slow_first_token", "disconnect", "clean_cut", "stream_error", "rate_limit", "overloaded", "server_error")


@dataclass(kw_only=True)
class Asked:
    """A conversation with a model, and how long it would have slept."""

    model: Model
    messages: list[Message]
    system: str = ""
    thinking: int = 0
    slept: list[float] = field(default_factory=list)

    async def reply(self) -> ModelReply:
        return await self.model.reply(
            ModelRequest(
                model="",
                system=(self.system,),
                messages=tuple(self.messages),
                tools=(TOOL,),
                thinking=self.thinking,
                conversation=f"{self.system[:40]}/{self.model}",
            )
        )

    def answer(self, reply: ModelReply) -> None:
        results = tuple(ToolResult(call=each.id, name=each.name, text="ok") for each in reply.calls)
        nudge = (Text(text="go on"),)
        # A reply that was cut off: none of its calls is run.
        parts = results if reply.stop == "tools" else nudge
        self.messages += [Message(role="assistant", parts=reply.parts), Message(role="user", parts=parts)]


def ask(dialect: str, *, url: str, http: Any, system: str = "", thinking: int = 0) -> Asked:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    model = connect(
        MODELS[dialect], keys={}, base_url=url, settings=SETTINGS, client=http, sleep=sleep, random=lambda: 0.5
    )
    first = Message(role="user", parts=(Text(text=f"go, {dialect}"),))
    return Asked(model=model, messages=[first], system=system, slept=slept, thinking=thinking)


def roles(faults: Any, **how: Any) -> dict[str, Any]:
    return {
        "roles": {
            kind: {"system": f"fault {kind}.", "turns": [TURN | {"fault": {"kind": kind} | how}, {"text": "done"}]}
            for kind in faults
        }
    }


@pytest.mark.parametrize("dialect", MODELS)
def test_every_fault_ends_in_a_right_reply_or_a_clear_error_and_the_conversation_goes_on(
    scripted: Any, dialect: str
) -> None:
    url = scripted(roles(OUTCOMES), "--slow", "20").url

    async def one(kind: str, http: Any) -> Any:
        asked = ask(dialect, url=url, http=http, system=f"fault {kind}.")
        try:
            reply = await asked.reply()
        except ModelError as error:
            return type(error), error.hint
        ids = [each.id for each in reply.calls]
        assert len(set(ids)) == len(ids)
        # What was said is accepted as history, however odd it was.
        asked.answer(reply)
        await asked.reply()
        return (
            reply.stop,
            [each.name for each in reply.calls],
            [each.arguments for each in reply.calls],
            len(asked.slept),
        )

    async def all_of_them() -> dict[str, Any]:
        async with client(SETTINGS) as http:
            found = await asyncio.gather(*(one(kind, http) for kind in OUTCOMES))
        return dict(zip(OUTCOMES, found, strict=True))

    assert asyncio.run(all_of_them()) == OUTCOMES


@pytest.mark.parametrize("dialect", MODELS)
def test_provider_that_stays_down_is_unavailable_after_the_retries(scripted: Any, dialect: str) -> None:
    url = scripted(roles(LASTING, times="always"), "--slow", "20").url

    async def one(kind: str, http: Any) -> tuple[str, int]:
        asked = ask(dialect, url=url, http=http, system=f"fault {kind}.")
        with pytest.raises(ModelUnavailable, match=f"^{MODELS[dialect]} at 127.0.0.1:[0-9]+: "):
            await asked.reply()
        return kind, len(asked.slept)

    async def all_of_them() -> list[tuple[str, int]]:
        async with client(SETTINGS) as http:
            return await asyncio.gather(*(one(kind, http) for kind in LASTING))

    assert asyncio.run(all_of_them()) == [(kind, SETTINGS.retries) for kind in LASTING]


@pytest.mark.parametrize(("seconds", "slept"), [("1", [1.05]), ("90", [])])
def test_a_short_wait_is_slept_and_a_long_one_parks(scripted: Any, seconds: str, slept: list[float]) -> None:
    url = scripted(roles(["rate_limit"]), "--retry-after", seconds).url

    async def one() -> tuple[list[float], float | None]:
        async with client(SETTINGS) as http:
            asked = ask("anthropic", url=url, http=http, system="fault rate_limit.")
            try:
                await asked.reply()
            except ModelUnavailable as error:
                return asked.slept, error.retry_after
            return asked.slept, None

    assert asyncio.run(one()) == (slept, None if slept else 90.0)


def test_thinking_comes_back_signed_and_a_changed_one_is_refused(scripted: Any) -> None:
    turns = [{"thinking": f"thought {number}", **TURN} for number in range(3)]
    url = scripted({"turns": turns}).url

    async def one() -> None:
        async with client(SETTINGS) as http:
            asked = ask("anthropic", url=url, http=http, thinking=2048)
            for number in range(3):
                reply = await asked.reply()
                assert isinstance(reply.parts[0], Thinking)
                assert reply.parts[0].text == f"thought {number}"
                asked.answer(reply)
            first = asked.messages[1].parts[0]
            assert isinstance(first, Thinking)
            first.opaque["anthropic"]["thinking"] = "another"
            with pytest.raises(ModelRefused, match="signature"):
                await asked.reply()

    asyncio.run(one())


@pytest.mark.parametrize(("dialect", "arguments"), [("chat", ["--thinking", "always"]), ("responses", [])])
def test_reasoning_of_the_other_dialects_comes_back_too(scripted: Any, dialect: str, arguments: list[str]) -> None:
    url = scripted({"turns": [{"thinking": "hm", **TURN}, {"text": "done"}]}, *arguments).url

    async def one() -> tuple[Any, str]:
        async with client(SETTINGS) as http:
            asked = ask(dialect, url=url, http=http, thinking=2048)
            reply = await asked.reply()
            asked.answer(reply)
            return reply.parts[0], (await asked.reply()).text

    thinking, text = asyncio.run(one())
    assert (thinking.text, list(thinking.opaque), text) == ("hm", [dialect, "by"], "done")


@pytest.mark.parametrize("dialect", MODELS)
def test_usage_is_counted_as_the_provider_bills_it(scripted: Any, dialect: str) -> None:
    model = scripted({"turns": [TURN, TURN, {"text": "done"}]})

    async def three() -> list[ModelReply]:
        replies = []
        async with client(SETTINGS) as http:
            asked = ask(dialect, url=model.url, http=http, system="All the rules of the house. " * 400)
            for _ in range(3):
                replies.append(await asked.reply())
                asked.answer(replies[-1])
        return replies

    replies = asyncio.run(three())

    logged = [(line["input_tokens"], line["cached_tokens"], line["output_tokens"]) for line in model.log(at_least=3)]
    assert [(each.usage.input, each.usage.cache_read, each.usage.output) for each in replies] == logged
    assert replies[2].usage.cache_read > 0.9 * replies[1].usage.input
    provider, _, name = MODELS[dialect].partition(":")
    assert replies[2].cost == cost(replies[2].usage, model=name, provider=provider.removesuffix("-responses"))
    assert replies[2].cost
    assert all(0 < each.first_seconds <= each.seconds for each in replies)
