"""JSON-RPC, a line a message, with a peer that nothing is taken from on trust: bounded, checked, never waited for.

Not the protocol's own library: that starts a task for every line, reads lines of any length, and logs what it cannot
read. An agent in a sandbox may be whatever its model was talked into.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

from nightmill.errors import NightmillError

__all__ = ["AgentLost", "Refused", "Wire", "tidy"]

LONGEST = 16 << 20
"""Bytes of one line."""
NOISE = 1_000
"""Lines of a session that may be no message: some agents print what belongs on standard error."""
ASKED = 10_000
"""Requests that an agent may make in one session."""
NO_METHOD, BAD_PARAMS = -32601, -32602


class AgentLost(NightmillError):
    """The agent ended, hangs, or does not speak the protocol: it may be started again."""


class Refused(NightmillError):
    """The agent answered a request with an error."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class Wire:
    """Messages to and from one agent.

    *say* sends bytes to it; `take` is given what comes. Its notifications go to *told*, its requests to *asked*, which
    returns a result or None for "there is no such method here". Both are called at once, in order, and must not block.
    """

    def __init__(
        self,
        say: Callable[[bytes], None],
        *,
        told: Callable[[str, dict[str, Any]], None],
        asked: Callable[[str, dict[str, Any]], dict[str, Any] | None],
    ) -> None:
        self.lost: asyncio.Future[AgentLost] = asyncio.get_running_loop().create_future()
        self._say, self._told, self._asked = say, told, asked
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._rest, self._noise, self._requests = bytearray(), 0, 0

    def take(self, piece: bytes) -> None:
        """Take in what the agent wrote."""
        if self.lost.done():
            return
        before = len(self._rest)
        self._rest += piece
        try:
            start = 0
            while (end := self._rest.find(b"\n", max(start, before))) >= 0:
                self._line(bytes(self._rest[start:end]))
                start, before = end + 1, 0
            del self._rest[:start]
            if len(self._rest) > LONGEST:
                raise AgentLost(f"it wrote a line of more than {LONGEST >> 20} MiB")
        except AgentLost as error:
            self.fail(error)

    async def ask(self, method: str, params: dict[str, Any], *, seconds: float | None = None) -> dict[str, Any]:
        """The agent's result.

        Raises:
            Refused: If it answers with an error.
            AgentLost: If it is gone, or has not answered within *seconds*.
        """
        if self.lost.done():
            raise self.lost.result()
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._send({"id": number, "method": method, "params": params})
        try:
            either: set[asyncio.Future[Any]] = {answer, self.lost}
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if self.lost.done():
                raise self.lost.result()
            raise AgentLost(f"it did not answer {method!r} within {seconds:g} s")
        finally:
            self._waiting.pop(number, None)
            answer.cancel()

    def tell(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification."""
        if not self.lost.done():
            self._send({"method": method, "params": params})

    def fail(self, error: AgentLost) -> None:
        """Nothing more is to be expected of the agent."""
        if not self.lost.done():
            self.lost.set_result(error)

    def _send(self, message: dict[str, Any]) -> None:
        self._say(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message: Any = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not self._obey(message):
            self._noise += 1
            if self._noise > NOISE:
                raise AgentLost(f"{NOISE} lines of what it wrote are no messages")

    def _obey(self, message: dict[str, Any]) -> bool:
        """Do what *message* asks; False if it is none."""
        method, number, params = message.get("method"), message.get("id"), message.get("params", {})
        if isinstance(method, str) and isinstance(params, dict):
            if number is None:
                self._told(method, params)
            else:
                self._answer(number, method, params)
            return True
        if method is None and isinstance(number, int) and not isinstance(number, bool):
            waiting = self._waiting.get(number)
            if waiting is not None and not waiting.done():
                self._settle(waiting, message)
            return True
        return False

    def _answer(self, number: Any, method: str, params: dict[str, Any]) -> None:
        self._requests += 1
        if self._requests > ASKED:
            raise AgentLost(f"it made more than {ASKED:,} requests")
        if not isinstance(number, int | str) or len(str(number)) > 100:
            return
        result = self._asked(method, params)
        if result is None:
            self._send({"id": number, "error": {"code": NO_METHOD, "message": f"there is no {method[:100]!r} here"}})
        else:
            self._send({"id": number, "result": result})

    @staticmethod
    def _settle(waiting: asyncio.Future[dict[str, Any]], message: dict[str, Any]) -> None:
        error, result = message.get("error"), message.get("result")
        if error is not None:
            plain = error if isinstance(error, dict) else {}
            code = plain.get("code")
            text = f"{plain.get('message') or 'an error without words'}"
            details = plain.get("data")
            said = f"{text}: {json.dumps(details)[:500]}" if details else text
            waiting.set_exception(Refused(tidy(said), code=code if isinstance(code, int) else 0))
            waiting.exception()  # seen: nobody may be waiting any more
        else:
            waiting.set_result(result if isinstance(result, dict) else {})


def tidy(text: str, *, most: int = 600) -> str:
    """A stranger's *text* on one line, fit to show and to store."""
    clean = text[: 4 * most].encode("utf-8", "replace").decode()
    return " ".join("".join(letter if letter.isprintable() else " " for letter in clean).split())[:most]
