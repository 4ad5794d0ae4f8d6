"""Servers that no provider admits to be: canned bytes over real HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nightmill.errors import ModelRefused, ModelUnavailable, SettingsError
from nightmill.model import Message, Model, ModelReply, ModelRequest, Text
from nightmill.model.connect import client, connect
from nightmill.model.problem import CONTEXT_HINT, LONGEST_MESSAGE, retry_after
from nightmill.settings import Settings

KEY = "sk-canary-0123456789"
SETTINGS = Settings(idle_read=5, retries=1)
REQUEST = ModelRequest(model="", system=(), messages=(Message(role="user", parts=(Text(text="go"),)),))

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HI = (
    b'data: {"id":"1","choices":[{"delta":{"content":"hi"}}]}\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
)
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}}\n\ndata: [DONE]\n\n'


def canned(body: bytes, *, status: str = "200 OK", kind: str = "text/event-stream", more: str = "") -> Answer:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n{more}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return answer


def serve(
    answer: Answer, use: Callable[[Model], Awaitable[Any]], *, name: str = "openai:m", settings: Settings = SETTINGS
) -> tuple[Any, list[str]]:
    """What *use* gave with a model behind *answer*, and the requests that came."""
    requests: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line for line in head.splitlines() if line.lower().startswith("content-length"))
        requests.append(head + (await reader.readexactly(int(length.split()[1]))).decode())
        try:
            await answer(reader, writer)
        finally:
            writer.close()

    async def sleep(_seconds: float) -> None:
        pass

    async def run() -> Any:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        account = name.partition(":")[0].removesuffix("-responses")
        async with server, client(settings) as http:
            url = f"http://127.0.0.1:{port}"
            model = connect(name, keys={account: KEY}, base_url=url, settings=settings, client=http, sleep=sleep)
            return await use(model)

    return asyncio.run(run()), requests


async def reply(model: Model) -> ModelReply:
    return await model.reply(REQUEST)


def test_stream_with_crlf_comments_and_separators_of_lines_is_read_whole() -> None:
    body = HI.replace(b"hi", "a\u2028b\u2029c\x85d".encode()).replace(b"\n", b"\r\n")

    found, requests = serve(canned(b": hello\r\n\r\n" + body + USAGE), reply)

    assert found.text == "a\u2028b\u2029c\x85d"
    assert found.usage.input == 5
    assert requests[0].startswith("POST /v1/chat/completions ")
    assert f"authorization: bearer {KEY}" in requests[0].lower()


def test_anthropic_stream_without_event_names_is_read() -> None:
    events = [
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    body = b"".join(b"data:" + json.dumps(event).encode() + b"\n\n" for event in events)

    found, requests = serve(canned(body), reply, name="anthropic:m")

    assert (found.text, found.stop, found.model) == ("hi", "end", "m")
    assert f"x-api-key: {KEY}" in requests[0]


def test_halves_of_characters_never_get_in() -> None:
    found, _ = serve(canned(HI.replace(b"hi", rb"\ud83d\ude00 \ud83d!")), reply)

    assert found.text == "\U0001f600 \ufffd!"


def test_connection_lost_after_the_terminal_event_does_not_spoil_the_reply() -> None:
    found, requests = serve(canned(HI + b'data: {"choi', more="content-length: 9999\r\n"), reply)

    assert (found.text, len(requests)) == ("hi", 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HI[: HI.index(b"finish")],
        b"data: {not json\n\n",
        b"data: [1]\n\n",
        b'data: {"choices": 5}\n\n',
        b'data: {"choices": [{"delta": {"content": 5}}]}\n\n' + HI,
        b'{"error": {"message": "bare"}}\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_broken_stream_is_asked_again_and_then_unavailable(body: bytes) -> None:
    async def twice(model: Model) -> None:
        with pytest.raises(ModelUnavailable):
            await model.reply(REQUEST)

    _, requests = serve(canned(body), twice)

    assert len(requests) == 2


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        (
            canned(b'{"error":{"message":"bad key ' + KEY.encode() + b'"}}', status="401 No"),
            r"bad key \[key\]",
            "OPENAI_API_KEY",
        ),
        (canned(b'{"error":{"message":"prompt is too long: 9 tokens"}}', status="400 No"), "too long", CONTEXT_HINT),
        (canned(b"", status="413 No"), "413", CONTEXT_HINT),
        (canned(b"<html><b>nothing</b> here" + b"x" * 99999, status="404 No", kind="text/html"), "nothing", "base URL"),
        (canned(b"", status="301 Gone", more="location: http://elsewhere/\r\n"), "redirects", "base URL"),
        (canned(b"<html>log in", kind="text/html"), "instead of a stream", "base URL"),
        (canned(b'{"choices": []}', kind="application/json"), "instead of a stream", "cannot stream"),
        (canned(b'{"detail": "\\u001b[31mno\\u0000"}', status="422 No"), "no", ""),
    ],
)
def test_refusal_is_told_once_with_its_remedy_and_without_the_key(answer: Answer, said: str, hint: str) -> None:
    async def once(model: Model) -> ModelRefused:
        with pytest.raises(ModelRefused, match=said) as caught:
            await model.reply(REQUEST)
        assert KEY not in repr(caught.value) + str(caught.value.to_plain()) + repr(model) + repr(vars(model))
        return caught.value

    error, requests = serve(answer, once)

    assert len(requests) == 1
    assert hint in error.hint
    assert len(error.message) < LONGEST_MESSAGE + 100
    assert error.message.isprintable()


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 500 No\r\ncontent-type: application/json", b"HTTP/1.1 200 OK\r\ncontent-type: text/html"]
)
def test_error_that_trickles_in_is_not_heard_out(head: bytes) -> None:
    """Each byte is in time, and all of them would take weeks."""

    async def trickle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"\r\n\r\nit is me: ")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def once(model: Model) -> ModelUnavailable | ModelRefused:
        with pytest.raises((ModelUnavailable, ModelRefused)) as caught:
            await model.reply(REQUEST)
        return caught.value

    error, _ = serve(trickle, once, settings=Settings(idle_read=0.3, retries=0))

    assert "it is me" in error.message or "instead of a stream" in error.message


def test_watcher_sees_each_piece_and_is_told_of_a_retry() -> None:
    pieces: list[tuple[str, str]] = []
    notices: list[tuple[str, float, int]] = []
    answers = [canned(HI[:60]), canned(HI + USAGE)]

    async def next_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answers.pop(0)(reader, writer)

    async def watched(model: Model) -> None:
        await model.reply(
            REQUEST,
            progress=lambda kind, text: pieces.append((kind, text)),
            notice=lambda reason, seconds, attempt: notices.append((reason, seconds, attempt)),
        )

    serve(next_answer, watched)

    assert pieces[-1] == ("text", "hi")
    ((reason, seconds, attempt),) = notices
    assert re.match(r"openai:m at 127\.0\.0\.1:\d+: the stream", reason)
    assert (0.3 < seconds <= 0.5, attempt) == (True, 1)


def test_cancelling_closes_the_connection() -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await canned(HI[:60])(reader, writer)
        begun.set()
        assert await reader.read() == b""
        gone.set()

    async def cancelled(model: Model) -> None:
        task = asyncio.create_task(reply(model))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 60)

    serve(answer, cancelled)


def test_nobody_listening_is_unavailable() -> None:
    async def run() -> None:
        async with client(SETTINGS) as http:
            settings = Settings(retries=0)
            model = connect("openai:m", keys={}, base_url="http://127.0.0.1:1/v1", settings=settings, client=http)
            with pytest.raises(ModelUnavailable, match="ConnectError"):
                await model.reply(REQUEST)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "key", "base_url", "said"),
    [
        ("palm:x", "k", "", "'palm:x'"),
        ("gemini:x", "k", "", "no API key for 'gemini'"),
        ("anthropic", "k", "", "'anthropic'"),
        ("anthropic:", "k", "", "'anthropic:'"),
        ("openai-responses:x", "", "", "no API key for 'openai'"),
        ("openai:x", f"{KEY}\nx: y", "", "characters that no key has"),
        ("openai:x", "k", "ftp://x", "no address of http"),
        ("openai:x", "k", "localhost:80", "no address of http"),
        ("openai:x", "k", f"http://u:{KEY}@h:port", "cannot be read"),
    ],
)
def test_operator_is_told_what_cannot_be_right(name: str, key: str, base_url: str, said: str) -> None:
    async def run() -> None:
        async with client(SETTINGS) as http:
            with pytest.raises(SettingsError, match=said) as caught:
                connect(name, keys={"openai": key}, base_url=base_url, settings=SETTINGS, client=http)
            assert KEY not in str(caught.value.to_plain())

    asyncio.run(run())


@pytest.mark.parametrize(
    ("base_url", "name", "url"),
    [
        ("", "anthropic:m", "https://api.anthropic.com/v1/messages"),
        ("", "openai:m", "https://api.openai.com/v1/chat/completions"),
        ("http://h:1", "openai-responses:m", "http://h:1/v1/responses"),
        ("http://h/v1/", "anthropic:m", "http://h/v1/messages"),
        ("", "gemini:g-3", "https://generativelanguage.googleapis.com/v1beta/models/g-3:streamGenerateContent?alt=sse"),
        (
            "http://h/v1?x=1",
            "gemini:tunedModels/a b",
            "http://h/v1/tunedModels/a%20b:streamGenerateContent?x=1&alt=sse",
        ),
        ("", "ollama:qwen3:32b", "http://127.0.0.1:11434/api/chat"),
        ("http://h:1/v1/", "ollama:q", "http://h:1/api/chat"),
        ("http://h/api/v3?version=2", "openai:m", "http://h/api/v3/chat/completions?version=2"),
    ],
)
def test_address_is_found_from_the_base_url(base_url: str, name: str, url: str) -> None:
    async def run() -> str:
        async with client(SETTINGS) as http:
            keys = {"anthropic": "k", "openai": "k", "gemini": "k"}
            model = connect(name, keys=keys, base_url=base_url, settings=SETTINGS, client=http)
            return str(model._endpoint.url)  # type: ignore[attr-defined]  # the only place where it shows

    assert asyncio.run(run()) == url


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "9"}, 9),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}, 30),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT"}, None),
        ({"retry-after": "1e300"}, 86_400),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_wish_to_wait_is_read_in_each_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
