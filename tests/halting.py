"""A model that halts in the middle of each reply until it is let on: what is seen meanwhile is no question of time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Halting", "Reply", "halting"]


@dataclass(frozen=True)
class Reply:
    """What is said before the halt and, once *go* is set, after it; *call* is a tool and its arguments, which come last."""

    before: str
    after: str = ""
    call: tuple[str, dict[str, Any]] | None = None
    go: threading.Event = field(default_factory=threading.Event)


@dataclass
class Halting:
    """Says *replies* in order, one to each request, and the last one to all that come later."""

    replies: Sequence[Reply]
    asked: int = 0
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def events(self) -> Iterator[dict[str, Any]]:
        """One reply, as Anthropic's Messages API streams it."""
        said = self.replies[min(self.asked, len(self.replies) - 1)]
        self.asked += 1
        usage = {"input_tokens": 10, "output_tokens": 10}
        yield {"type": "message_start", "message": {"id": "m", "model": "m", "usage": usage}}
        yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        yield from self._words(said.before)
        while not said.go.wait(0.05):
            if self.over.is_set():
                return
        yield from self._words(said.after)
        yield {"type": "content_block_stop", "index": 0}
        if said.call:
            name, given = said.call
            block = {"type": "tool_use", "id": f"c{self.asked}", "name": name, "input": {}}
            yield {"type": "content_block_start", "index": 1, "content_block": block}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
            yield {"type": "content_block_delta", "index": 1, "delta": delta}
            yield {"type": "content_block_stop", "index": 1}
        stop = {"stop_reason": "tool_use" if said.call else "end_turn"}
        yield {"type": "message_delta", "delta": stop, "usage": usage}
        yield {"type": "message_stop"}

    @staticmethod
    def _words(text: str) -> Iterator[dict[str, Any]]:
        for at in range(0, len(text), 7):
            delta = {"type": "text_delta", "text": text[at : at + 7]}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}


@contextmanager
def halting(*replies: Reply) -> Iterator[Halting]:
    """A model that answers so, on a port of its own."""
    model = Halting(replies)

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            try:
                for each in model.events():
                    self.wfile.write(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode())
                    self.wfile.flush()
            except OSError:  # whoever asked is gone
                pass

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        model.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield model
        finally:
            model.over.set()
            server.shutdown()
            thread.join()
