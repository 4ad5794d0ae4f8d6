"""Servers that speak Gemini and Ollama over real HTTP, check what they are asked as the real ones do, and have faults.

A turn is `{"text", "thinking", "calls": [(name, arguments)], "fault", "signed"}`; which one is due is the number of the
model's messages in the request, so a request sent again gets the same turn again, then without its fault.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

Turn = dict[str, Any]
FOREIGN = "skip_thought_signature_validator"


class RefusalError(Exception):
    """The request is not one that the real server would take."""


class Peer:
    """One server; *step* bytes go out at a time, so that lines and characters are cut anywhere."""

    def __init__(self, kind: str, turns: list[Turn], *, step: int = 7, keyless: bool = False) -> None:
        self.kind, self.turns, self.step, self.keyless = kind, turns, step, keyless
        self.bodies: list[dict[str, Any]] = []
        self.events: list[Any] = []
        self.asked: dict[str, int] = {}
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Peer]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(line for line in head.splitlines() if line.lower().startswith("content-length"))
                raw = await reader.readexactly(int(length.split()[1]))
                if not await self._answer(head, json.loads(raw), hashlib.sha256(raw).hexdigest(), writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, body: dict[str, Any], digest: str, writer: asyncio.StreamWriter) -> bool:
        self.bodies.append(body)
        self.asked[digest] = self.asked.get(digest, 0) + 1
        gemini = self.kind == "gemini"
        try:
            if gemini and not self.keyless and "x-goog-api-key: key" not in head:
                raise RefusalError("API key not valid")
            at = (_check_gemini if gemini else _check_ollama)(head.split()[1], body)
        except RefusalError as refusal:
            await self._refuse(writer, 400, _error(400, "INVALID_ARGUMENT", str(refusal), gemini=gemini))
            return True
        turn = self.turns[min(at, len(self.turns) - 1)]
        fault = turn.get("fault", "") if self.asked[digest] <= turn.get("times", 1) else ""
        if fault in {"rate_limit", "overloaded"}:
            status, name = (429, "RESOURCE_EXHAUSTED") if fault == "rate_limit" else (503, "UNAVAILABLE")
            await self._refuse(
                writer, status, _error(status, name, fault, gemini=gemini, wait=3 if fault == "rate_limit" else 0)
            )
            return True
        events = list((_gemini if gemini else _ollama)(turn, fault, body))
        self.events += [event for event in events if isinstance(event, dict)]
        return await self._stream(writer, events, fault)

    async def _refuse(self, writer: asyncio.StreamWriter, status: int, error: Any) -> None:
        text = json.dumps(error, indent=2).encode()
        writer.write(f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n".encode())
        writer.write(f"content-length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, events: list[Any], fault: str) -> bool:
        kind = "text/event-stream" if self.kind == "gemini" else "application/x-ndjson"
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        texts = [_line(event, sse=self.kind == "gemini") for event in events]
        if fault == "clean_cut":
            texts = texts[:-1]
        whole = b"".join(texts)
        if fault == "disconnect":
            whole = whole[: len(whole) // 2]
        for at in range(0, len(whole), self.step):
            piece = whole[at : at + self.step]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        if fault == "disconnect":
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def _line(event: Any, *, sse: bool) -> bytes:
    if isinstance(event, bytes):
        return event
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    return b"data: " + text + b"\r\n\r\n" if sse else text + b"\n"


def _error(code: int, status: str, message: str, *, gemini: bool, wait: float = 0) -> Any:
    if not gemini:
        return {"error": message}
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"}
    return [{"error": {"code": code, "message": message, "status": status, "details": [info] if wait else []}}]


def _pieces(text: str, size: int = 6) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


# Gemini


def sign(content: Any) -> str:
    """What stands for the encrypted state of the model's thoughts behind *content*."""
    return base64.b64encode(hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()).decode()


def _chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    usage = {"promptTokenCount": 40, "cachedContentTokenCount": 8, "totalTokenCount": 40}
    return {
        "candidates": [{**content, "index": 0, **more}],
        "usageMetadata": usage,
        "modelVersion": "gemini-3-pro-001",
        "responseId": "r1",
    }


def _gemini(turn: Turn, fault: str, body: dict[str, Any]) -> Iterator[Any]:
    if fault == "blocked":
        yield {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 40}}
        return
    for piece in _pieces(turn.get("thinking", "")):
        yield _chunk({"text": piece, "thought": True})
    token, text = body.get("continuationToken"), turn.get("text", "")
    text = base64.b64decode(token).decode() if token else text
    said = text[: len(text) // 2] if fault == "continuation" and not token else text
    for piece in _pieces(said):
        yield _chunk({"text": piece})
    if len(said) < len(text):
        rest = base64.b64encode(text[len(said) :].encode()).decode()
        yield _chunk(finishReason="CONTINUATION", continuationToken=rest)
    elif fault == "stream_error":
        yield json.dumps(_error(503, "UNAVAILABLE", "overloaded {", gemini=True)[0], indent=2).encode() + b"\n"
    elif fault == "malformed_call":
        yield _chunk(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="Malformed function call: print(bash(")
    else:
        yield from _gemini_end(turn, fault)


def _gemini_end(turn: Turn, fault: str) -> Iterator[Any]:
    if turn.get("signed"):
        yield _chunk({"text": "", "thoughtSignature": sign("text")})
    for at, (name, arguments) in enumerate(turn.get("calls", ())):
        call = {"name": name, "args": arguments} | ({"id": f"g{at}"} if turn.get("ids") else {})
        yield _chunk({"functionCall": call} | ({} if at else {"thoughtSignature": sign([name, arguments])}))
    last = _chunk({"text": ""}, finishReason="MAX_TOKENS" if fault == "max_tokens" else "STOP")
    last["usageMetadata"] |= {"candidatesTokenCount": 11, "thoughtsTokenCount": 5, "totalTokenCount": 56}
    yield last


def _check_gemini(path: str, body: dict[str, Any]) -> int:
    """How many turns of the model *body* holds.

    Raises:
        RefusalError: If the real server would not take it.
    """
    model, _, method = path.removeprefix("/v1beta/models/").partition(":")
    if method != "streamGenerateContent?alt=sse":
        raise RefusalError(path)
    unknown = body.keys() - {"contents", "systemInstruction", "tools", "generationConfig", "continuationToken"}
    if unknown:
        raise RefusalError(f"Unknown name {unknown}")
    contents = body["contents"]
    if any(before["role"] == after["role"] for before, after in itertools.pairwise(contents)):
        raise RefusalError("roles do not alternate")
    if not contents or contents[-1]["role"] != "user":
        raise RefusalError("the last content must be the user's")
    if not all(content["parts"] and all(content["parts"]) for content in contents):
        raise RefusalError("must include at least one parts field")
    for said, told in itertools.pairwise(contents):
        if said["role"] == "model":
            _check_model(said["parts"], told["parts"], signed=not model.startswith("gemini-2"))
    return sum(content["role"] == "model" for content in contents)


def _check_model(parts: list[dict[str, Any]], answers: list[dict[str, Any]], *, signed: bool) -> None:
    calls = [part for part in parts if "functionCall" in part]
    results = [part["functionResponse"] for part in answers if "functionResponse" in part]
    for part in parts:
        signature = part.get("thoughtSignature")
        call = part.get("functionCall")
        meant = [call["name"], call["args"]] if call else "text"
        if signature not in {None, FOREIGN, sign(meant)}:
            raise RefusalError("Corrupted thought signature")
        if signature and not call and part["text"]:
            raise RefusalError("a signed part was merged with another")
    if calls and signed and not calls[0].get("thoughtSignature"):
        raise RefusalError("Function call is missing a thought_signature")
    wanted = [(part["functionCall"]["name"], part["functionCall"].get("id")) for part in calls]
    if [(each["name"], each.get("id")) for each in results] != wanted:
        raise RefusalError("the number of function response parts must equal that of function call parts")
    if any(each["response"].keys() - {"output", "error"} for each in results):
        raise RefusalError("response")


# Ollama


def _ollama(turn: Turn, fault: str, body: dict[str, Any]) -> Iterator[Any]:
    def line(*, done: bool = False, reason: str = "", **message: Any) -> dict[str, Any]:
        made = {"model": body["model"], "created_at": "2026-11-20T10:00:00Z"}
        made |= {"message": {"role": "assistant", "content": "", **message}, "done": done}
        return made | ({"done_reason": reason} if reason else {})

    for piece in _pieces(turn.get("thinking", "")):
        yield line(thinking=piece)
    for piece in _pieces(turn.get("text", "")):
        yield line(content=piece)
    if fault == "stream_error":
        yield {"error": "llama runner process no longer running"}
        return
    for name, arguments in turn.get("calls", ()):
        yield line(tool_calls=[{"function": {"name": name, "arguments": arguments}}])
    yield line(done=True, reason="length" if fault == "max_tokens" else "stop") | {
        "prompt_eval_count": 40, "eval_count": 16, "total_duration": 1, "eval_duration": 1,
    }  # fmt: skip


def _check_ollama(path: str, body: dict[str, Any]) -> int:
    """How many turns of the model *body* holds.

    Raises:
        RefusalError: If the real server would not take it.
    """
    if path != "/api/chat":
        raise RefusalError(path)
    called: list[str] = []
    for message in body["messages"]:
        if message["role"] == "assistant":
            calls = message.get("tool_calls", ())
            if not all(isinstance(call["function"]["arguments"], dict) for call in calls):
                raise RefusalError("json: cannot unmarshal string into Go struct field .arguments")
            called = [call["function"]["name"] for call in calls]
        elif message["role"] == "tool" and message["tool_name"] != called.pop(0):
            raise RefusalError("a result without its call")
    if len(json.dumps(body["messages"])) // 4 > body["options"]["num_ctx"] and not body["truncate"]:
        raise RefusalError("the input length exceeds the context length")
    return sum(message["role"] == "assistant" for message in body["messages"])
