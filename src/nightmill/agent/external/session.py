"""One conversation with an external agent over the Agent Client Protocol, version 1.

It runs in the sandbox, so whatever it asks leave for is allowed: what must not happen cannot. It is offered nothing of
ours, neither files nor terminals: it has its own, inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nightmill.agent.external.hearing import Hearing
from nightmill.agent.external.wire import AgentLost, Refused, Wire, tidy
from nightmill.errors import SettingsError

__all__ = ["Session"]

VERSION = 1
STARTING = 120.0
"""Seconds for the first answers: some agents take ten on a quiet machine."""
LOGIN = -32000
ALLOWED = ("allow_always", "allow_once")


class Session:
    """Opens with `open`; then `prompt` as often as there is something to say."""

    def __init__(self, say: Callable[[bytes], None], hearing: Hearing) -> None:
        self.id = ""
        self.loaded = False
        """Whether the agent remembers what was said in an earlier process."""
        self._hearing = hearing
        self._replaying = True
        self.wire = Wire(say, told=self._told, asked=self._asked)

    def take(self, piece: bytes) -> None:
        """Take in what the agent wrote."""
        try:
            self._hearing.arrived(len(piece))
            self.wire.take(piece)
        except AgentLost as error:
            self.wire.fail(error)

    async def open(self, *, cwd: str, earlier: str, mode: str) -> None:
        """Begin a session in *cwd*, or go on with the *earlier* one if the agent can.

        Raises:
            SettingsError: If it wants something that only its operator can give.
            AgentLost: If it cannot be talked with.
        """
        try:
            found = await self.wire.ask("initialize", _introduction(), seconds=STARTING)
            if found.get("protocolVersion") != VERSION:
                raise SettingsError(
                    f"the agent speaks version {tidy(str(found.get('protocolVersion')))!r} of its protocol, not {VERSION}",
                    hint="install another version of it",
                )
            capabilities = found.get("agentCapabilities")
            can_load = isinstance(capabilities, dict) and capabilities.get("loadSession") is True
            self.loaded = bool(earlier) and can_load and await self._load(earlier, cwd)
            if not self.loaded:
                made = await self.wire.ask("session/new", {"cwd": cwd, "mcpServers": []}, seconds=STARTING)
                self.id = str(made.get("sessionId") or "")[:1000]
            if mode:
                await self._choose(mode)
        except Refused as error:
            if error.code == LOGIN:
                raise SettingsError(
                    f"the agent wants to be logged in: {error.message}", hint="give it its model by its environment"
                ) from error
            raise AgentLost(f"it does not begin: {error.message}") from error
        self._replaying = False

    async def prompt(self, text: str) -> str:
        """Say *text* and wait until the agent's turn ends; gives why it did.

        Raises:
            AgentLost: If the agent is gone.
            Refused: If its turn failed.
        """
        prompt = [{"type": "text", "text": text}]
        ended = await self.wire.ask("session/prompt", {"sessionId": self.id, "prompt": prompt})
        return str(ended.get("stopReason"))[:100]

    def cancel(self) -> None:
        """Ask the agent to end its turn."""
        self.wire.tell("session/cancel", {"sessionId": self.id})

    async def _load(self, earlier: str, cwd: str) -> bool:
        asked = {"sessionId": earlier, "cwd": cwd, "mcpServers": []}
        try:
            await self.wire.ask("session/load", asked, seconds=STARTING)
        except Refused:
            return False
        self.id = earlier
        return True

    async def _choose(self, mode: str) -> None:
        try:
            await self.wire.ask("session/set_mode", {"sessionId": self.id, "modeId": mode}, seconds=STARTING)
        except Refused:
            return  # then it asks for leave, and gets it

    def _told(self, method: str, params: dict[str, Any]) -> None:
        update = params.get("update")
        if method == "session/update" and isinstance(update, dict) and not self._replaying:
            self._hearing.take(update)

    def _asked(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        if method != "session/request_permission":
            return None
        call, options = params.get("toolCall"), params.get("options")
        if isinstance(call, dict) and not self._replaying:
            self._hearing.call({**call, "status": "pending"})  # some tell of a call nowhere else
        known = [each for each in options if isinstance(each, dict)] if isinstance(options, list) else []
        for kind in ALLOWED:
            for option in known:
                if option.get("kind") == kind and isinstance(option.get("optionId"), str):
                    return {"outcome": {"outcome": "selected", "optionId": option["optionId"]}}
        return {"outcome": {"outcome": "cancelled"}}


def _introduction() -> dict[str, Any]:
    files = {"readTextFile": False, "writeTextFile": False}
    return {
        "protocolVersion": VERSION,
        "clientCapabilities": {"fs": files, "terminal": False},
        "clientInfo": {"name": "nightmill", "title": "nightmill", "version": "0"},
    }
