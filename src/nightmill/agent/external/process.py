"""An external agent that runs in a sandbox: its process, its conversation, and what it was asked to do last."""

from __future__ import annotations

import asyncio
import contextlib

from nightmill.agent.external.hearing import Hearing
from nightmill.agent.external.nouns import External, filled
from nightmill.agent.external.session import Session
from nightmill.agent.external.wire import AgentLost, tidy
from nightmill.errors import SandboxError, ToolError
from nightmill.sandbox import Command, Dialogue, Limits, Workspace

__all__ = ["Process"]

REPO = "/work/repo"
LOG = "/tmp/agent.log"  # noqa: S108 - the sandbox's own
START = f'exec "$@" 2>{LOG}'
PROCESSES, FILE_SIZE = 2048, 4 << 30
LEAVING = 5.0
"""Seconds for an agent to end what it was asked to."""
LAST_WORDS = 64 << 10
ENDS = {
    "memory": "it used more memory than it may",
    "processes": "it started more processes than it may",
    "disk": "the sandbox used up its disk",
    "output": "it wrote a file that is too large",
}


class Process:
    """Made by `start`; `prompt` is what it was asked to do last, while it is at that."""

    def __init__(self, workspace: Workspace, hearing: Hearing) -> None:
        self.session = Session(self._say, hearing)
        self.prompt: asyncio.Task[str] | None = None
        self._workspace = workspace
        self._dialogue: Dialogue | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self, agent: External, *, earlier: str) -> None:
        """Start *agent* and begin a session, or go on with the *earlier* one ("": there is none).

        Raises:
            AgentLost: If it cannot be started, or talked with.
            SettingsError: If only its operator can make it work.
            SandboxError: If the sandbox failed.
        """
        env = {"PWD": REPO, **{name: filled(text, agent) for name, text in agent.env.items()}}
        command = Command(
            argv=("bash", "-c", START, "agent", *(filled(word, agent) for word in agent.argv)),
            cwd=REPO,
            env=env,
            limits=Limits(memory=agent.memory, processes=PROCESSES, file_size=FILE_SIZE),
        )
        self._dialogue = await self._workspace.talk(command, output=self.session.take)
        self._watching = asyncio.ensure_future(self._watch(self._dialogue))
        await self.session.open(cwd=REPO, earlier=earlier, mode=agent.mode)

    def ask(self, text: str) -> asyncio.Task[str]:
        """Say *text*; the task gives why the agent's turn ended."""
        self.prompt = asyncio.ensure_future(self.session.prompt(text))
        return self.prompt

    async def cancel(self) -> None:
        """Ask it to end its turn, and wait a little until it has."""
        if self.prompt is not None and not self.prompt.done():
            self.session.cancel()
            await asyncio.wait({self.prompt}, timeout=LEAVING)

    async def end(self) -> None:
        """End it and all that it started."""
        if self._dialogue is not None and self._watching is not None:
            with contextlib.suppress(SandboxError):  # then it is gone with its sandbox
                self._dialogue.end()
                await asyncio.wait({self._watching}, timeout=LEAVING)
        for task in (self._watching, self.prompt):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def last_words(self) -> str:
        """What it wrote last on its standard error, on one line: the first that speaks of an error, and the end."""
        try:
            said = await self._workspace.read(LOG, limit=LAST_WORDS)
        except (SandboxError, ToolError):
            return ""
        lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        first = [line for line in lines[-50:] if "rror" in line][:1]
        return tidy(" | ".join(dict.fromkeys((*(each[:300] for each in first), *lines[-3:]))))

    def _say(self, body: bytes) -> None:
        if self._dialogue is None:
            raise AssertionError("it is talked with once it runs")
        try:
            self._dialogue.type(body)
        except SandboxError as error:
            self.session.wire.fail(AgentLost(error.message))

    async def _watch(self, dialogue: Dialogue) -> None:
        try:
            found = await dialogue.ended()
        except SandboxError as error:
            self.session.wire.fail(AgentLost(error.message))
            return
        how = f"exit status {found.exit}" if found.exit >= 0 else f"signal {-found.exit}"
        self.session.wire.fail(AgentLost(f"it ended: {ENDS.get(found.stopped, how)}"))
