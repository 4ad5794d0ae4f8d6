"""An endpoint that plays a model's recorded replies, in the provider's own protocol (Anthropic Messages, streamed)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

__all__ = ["Playback", "Recording", "load"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Conversations, each with its replies in the order in which they were given. *who* gave them.

    A conversation is plain: its `role`, the words that its first message `sees`, and `replies`, plain `model.ModelReply` values.
    """

    model: str
    who: str
    date: str
    conversations: list[dict[str, Any]]


def load() -> Recording:
    """The recording that is shipped."""
    plain = json.loads((Path(__file__).parent / "recording.json").read_text(encoding="utf-8"))
    return Recording(**plain)


class Playback:
    """The endpoint, on a free port of this machine, for as long as the context lasts."""

    def __init__(self, recording: Recording) -> None:
        class Player(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                body = b"".join(_events(_reply(recording, asked), recording.model))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Player)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="playback", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _reply(recording: Recording, asked: dict[str, Any]) -> dict[str, Any]:
    """The reply at the request's place: its conversation by the first message, its position by the assistant's so far."""
    first = json.dumps(asked["messages"][0], ensure_ascii=False)
    at = sum(message["role"] == "assistant" for message in asked["messages"])
    replies: list[dict[str, Any]] = next(
        (each["replies"] for each in recording.conversations if each["sees"] in first), []
    )
    return (
        replies[at]
        if at < len(replies)
        else {"parts": [{"kind": "text", "text": "The recording ends here."}], "usage": {}}
    )


def _events(reply: dict[str, Any], model: str) -> Iterator[bytes]:
    used = reply["usage"]
    cached, written = used.get("cache_read", 0), used.get("cache_write", 0)
    usage = {
        "input_tokens": used.get("input", 0) - cached - written,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": used.get("output", 0),
    }
    message = {
        "id": reply.get("id", ""),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "usage": usage,
    }
    yield _event({"type": "message_start", "message": message})
    for index, part in enumerate(reply["parts"]):
        start, delta = _block(part)
        yield _event({"type": "content_block_start", "index": index, "content_block": start})
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    stop = "tool_use" if any(part["kind"] == "tool_call" for part in reply["parts"]) else "end_turn"
    yield _event(
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": usage["output_tokens"]}}
    )
    yield _event({"type": "message_stop"})


def _block(part: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if part["kind"] == "tool_call":
        start = {"type": "tool_use", "id": part["id"], "name": part["name"], "input": {}}
        return start, {"type": "input_json_delta", "partial_json": part["arguments"]}
    if part["kind"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}, {
            "type": "thinking_delta",
            "thinking": part["text"],
        }
    return {"type": "text", "text": ""}, {"type": "text_delta", "text": part["text"]}


def _event(plain: dict[str, Any]) -> bytes:
    return f"event: {plain['type']}\ndata: {json.dumps(plain)}\n\n".encode()
