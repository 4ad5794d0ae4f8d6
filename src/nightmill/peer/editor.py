"""A run in an editor, over the Agent Client Protocol: a prompt attaches to one or starts one, and its events are shown live.

Whoever leaves, with `session/cancel` or by closing the editor, stops nothing: a run goes on without who watches it, and the
conversation can be loaded again.
"""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import acp
from acp import schema

from nightmill import __version__
from nightmill.desk import decide, turn
from nightmill.errors import NightmillError, SettingsError
from nightmill.peer import wishes
from nightmill.peer.following import Following
from nightmill.peer.foreign import cut
from nightmill.peer.lines import LONGEST, Lines
from nightmill.peer.prompt import read
from nightmill.peer.sessions import Kept, Sessions
from nightmill.peer.telling import Telling
from nightmill.peer.updates import Say
from nightmill.peer.visit import Visit
from nightmill.peer.wishes import Session
from nightmill.report.text import plain
from nightmill.store.questions import Question

__all__ = ["Editor", "converse"]

LOOK = 0.2
"""Seconds between two looks at the ledger."""
MOST_BODY = 6_000
BEAT, STAYS = 10.0, 30.0
"""Seconds between two signs that somebody is here, and for how long each counts."""
LISTED = 30
"""Runs that are listed as conversations."""


async def converse(visit: Visit, *, say: Say) -> None:
    """Serve an editor at standard input and output until it goes."""
    editor = Editor(visit, Sessions(visit.door.settings.home / "editors"), say=say)
    reader, writer = await acp.stdio_streams(limit=LONGEST)
    # Taking a conversation up again without its history is in the protocol, and behind this flag in its library.
    await acp.run_agent(cast("acp.Agent", editor), Lines(reader, writer), use_unstable_protocol=True)


class Editor:
    """The agent's side of the protocol, for one person."""

    def __init__(self, visit: Visit, kept: Sessions, *, say: Say) -> None:
        self.visit, self.kept, self.say = visit, kept, say
        self.sessions: dict[str, Session] = {}
        self.client: acp.Client

    def on_connect(self, conn: acp.Client) -> None:
        """Keep who is to be told."""
        self.client = conn

    async def initialize(self, **_: Any) -> acp.InitializeResponse:
        """Say what is spoken here: one version, whichever is asked for, and it is for the editor to go then."""
        return acp.InitializeResponse(
            protocol_version=acp.PROTOCOL_VERSION,
            agent_capabilities=schema.AgentCapabilities(
                load_session=True,
                prompt_capabilities=schema.PromptCapabilities(embedded_context=True),
                session_capabilities=schema.SessionCapabilities(
                    list=schema.SessionListCapabilities(), resume=schema.SessionResumeCapabilities()
                ),
            ),
            agent_info=schema.Implementation(name="nightmill", title="nightmill", version=__version__),
        )

    # Conversations

    async def new_session(self, cwd: str, **_: Any) -> acp.NewSessionResponse:
        """Begin a conversation about the project around *cwd*."""
        name = await asyncio.to_thread(self.kept.fresh)
        self.sessions[name] = self._session(cwd)
        return acp.NewSessionResponse(session_id=name)

    async def load_session(self, cwd: str, session_id: str, **_: Any) -> schema.LoadSessionResponse:
        """Take up a conversation, or the run with that id, and show again what happened in it."""
        session = await self._taken_up(cwd, session_id)
        if (following := session.following) is not None:
            await self._show(session_id, session.telling, following)
            ended = await asyncio.to_thread(following.over)
            await self._tell(session_id, ended or f"Run {following.run} is under way: name it to watch it again.")
        return schema.LoadSessionResponse()

    async def resume_session(self, cwd: str, session_id: str, **_: Any) -> schema.ResumeSessionResponse:
        """Take up a conversation without what happened before."""
        session = await self._taken_up(cwd, session_id)
        if session.following is not None:
            await asyncio.to_thread(session.following.fresh)
        return schema.ResumeSessionResponse()

    async def list_sessions(self, cwd: str | None = None, **_: Any) -> schema.ListSessionsResponse:
        """The newest runs, each of which can be taken up by its id."""
        found = await asyncio.to_thread(self._runs, cwd)
        return schema.ListSessionsResponse(sessions=found)

    async def cancel(self, session_id: str, **_: Any) -> None:
        """Stop watching; what is watched goes on."""
        if (session := self.sessions.get(session_id)) is not None:
            session.left.set()

    async def prompt(self, prompt: list[Any], session_id: str, **_: Any) -> acp.PromptResponse:
        """Do what was asked, and show what comes of it until it ends, waits for somebody, or nobody watches any more."""
        session = self.sessions.get(session_id)
        if session is None:
            raise acp.RequestError.resource_not_found(session_id)
        session.left.set()  # one that is under way ends: its editor did not wait for it
        left = session.left = asyncio.Event()
        try:
            asked = await asyncio.to_thread(read, prompt, folder=session.folder)
            said = await asyncio.to_thread(wishes.take, self.visit, session, asked)
            await self._tell(session_id, said)
            if session.following is not None:
                await self._keep(session_id, session)
                await self._watch(session_id, session, session.following, left)
        except NightmillError as error:
            await self._tell(session_id, error.message + (f"\nhint: {error.hint}" if error.hint else ""))
        return acp.PromptResponse(stop_reason="cancelled" if left.is_set() else "end_turn")

    async def _taken_up(self, cwd: str, name: str) -> Session:
        session = self._session(cwd)
        kept = await asyncio.to_thread(self.kept.find, name) or Kept(name)  # a run is its own name
        if kept.run:
            try:
                found = await asyncio.to_thread(self.visit.run, kept.run, "view")
            except NightmillError:
                raise acp.RequestError.resource_not_found(name) from None
            wishes.watch(self.visit, session, found)
            session.refusing = kept.refusing
        if (before := self.sessions.get(name)) is not None:
            before.left.set()
        self.sessions[name] = session
        return session

    def _session(self, cwd: str) -> Session:
        telling = Telling(say=self.say, whole=partial(turn.words, self.visit.door))
        return Session(folder=Path(cwd), telling=telling)

    def _runs(self, cwd: str | None) -> list[schema.SessionInfo]:
        seen = self.visit.who.projects("view")
        if cwd is not None:
            try:
                here = self.visit.door.project(Path(cwd)).id
            except NightmillError:
                return []
            seen = frozenset({here}) if seen is None or here in seen else frozenset()
        return [
            schema.SessionInfo(
                session_id=run.id,
                cwd=cwd or "/",
                title=plain(run.title)[:200],
                updated_at=datetime.fromtimestamp(run.updated, UTC).isoformat(),
            )
            for run in self.visit.door.runs.list(projects=seen, limit=LISTED)
        ]

    # What comes of a prompt

    async def _watch(self, name: str, session: Session, following: Following, left: asyncio.Event) -> None:
        """Follow, as one whom others see."""
        try:
            await self._follow(name, session, following, left)
        finally:
            session.attended = -math.inf
            await asyncio.to_thread(following.attend, name, by=self.visit.who.by, seconds=0.0)

    async def _follow(self, name: str, session: Session, following: Following, left: asyncio.Event) -> None:
        while not left.is_set():
            await self._attend(name, session, following)
            over = await asyncio.to_thread(following.over)
            await self._show(name, session.telling, following)
            if over:
                await self._tell(name, over)
                return
            if await self._put(name, session, following):
                return
            try:
                async with asyncio.timeout(LOOK):
                    await left.wait()
            except TimeoutError:
                continue
        await self._tell(name, f"Run {following.run} goes on without this editor.")

    async def _attend(self, name: str, session: Session, following: Following) -> None:
        """Say now and then that somebody looks on from here, and tell who else does, whenever that has changed."""
        if (now := time.monotonic()) - session.attended < BEAT:
            return
        session.attended = now
        others = await asyncio.to_thread(following.attend, name, by=self.visit.who.by, seconds=STAYS)
        if others != session.others:
            session.others = others
            who = f"With {', '.join(others)}" if others else "Nobody else is here"
            await self.client.session_update(session_id=name, update=acp.update_agent_thought_text(f"{plain(who)}\n"))

    async def _show(self, name: str, telling: Telling, following: Following) -> None:
        for update in await asyncio.to_thread(_new, telling, following):
            await self.client.session_update(session_id=name, update=update)

    async def _put(self, name: str, session: Session, following: Following) -> bool:
        """Put what is asked to the person; whether their next prompt is waited for."""
        for question in await asyncio.to_thread(following.asked):
            if question.id in session.put:
                continue
            session.put.add(question.id)
            if question.kind == "answer" and not question.options:
                await self._tell(name, f"{question.title}\nYour next message is the answer.")
                return True
            if await self._choose(name, session, following, question):
                return True
        if (waits := await asyncio.to_thread(following.waits)) and not session.put:
            await self._tell(name, waits)
            return True
        return False

    async def _choose(self, name: str, session: Session, following: Following, question: Question) -> bool:
        """Have the person choose; whether nothing goes on until they say more, or somebody else does."""
        asking = asyncio.ensure_future(self._asked(name, question))
        try:
            while not asking.done():
                await asyncio.wait({asking}, timeout=LOOK)
                await self._attend(name, session, following)
                await self._show(name, session.telling, following)
                if not asking.done() and (ended := await asyncio.to_thread(following.ended, question)):
                    closed = acp.update_tool_call(f"question/{question.id}", status="completed")
                    await self.client.session_update(session_id=name, update=closed)
                    await self._tell(name, ended)
                    return False
        finally:
            asking.cancel()  # an answer that comes after all is none
        if not (picked := asking.result()):
            await self._tell(name, f"It waits still: {question.title}")
            return True
        try:
            waits = await asyncio.to_thread(self._decide, session, question, picked)
        except NightmillError as error:
            await self._tell(name, error.message)
            return True
        if waits:
            await self._keep(name, session)
            await self._tell(name, "Say why in your next message: the run works with it.")
        return waits

    async def _asked(self, name: str, question: Question) -> str:
        """The option that the person picks, "" for none."""
        shown = await asyncio.to_thread(self._shown, question)
        asked = schema.ToolCallUpdate(
            tool_call_id=f"question/{question.id}",
            title=plain(question.title),
            status="pending",
            content=[acp.tool_content(acp.text_block(shown))],
        )
        reply = await self.client.request_permission(session_id=name, tool_call=asked, options=_options(question))
        return reply.outcome.option_id if isinstance(reply.outcome, schema.AllowedOutcome) else ""

    async def _keep(self, name: str, session: Session) -> None:
        run = session.following.run if session.following is not None else ""
        await asyncio.to_thread(self.kept.keep, name, Kept(run, session.refusing))

    def _decide(self, session: Session, question: Question, picked: str) -> bool:
        by, door = self.visit.who.by, self.visit.door
        if question.kind == "answer":
            self.visit.run(question.run, "operate")
            decide.end(door, question, "answer", _option(question, picked), by=by)
            return False
        self.visit.run(question.run, "approve")
        if picked == "yes":
            decide.end(door, question, "approve", "(in an editor, ACP)", by=by)
        else:
            session.refusing = question.id
        return picked != "yes"

    def _shown(self, question: Question) -> str:
        body = self.visit.door.blobs.get(question.body).decode("utf-8", "replace") if question.body else ""
        about = f"Run {question.run}, tree {question.tree}\n\n" if question.tree else f"Run {question.run}\n\n"
        return about + cut(body, MOST_BODY)

    async def _tell(self, name: str, text: str) -> None:
        await self.client.session_update(session_id=name, update=acp.update_agent_message_text(f"{plain(text)}\n\n"))


def _new(telling: Telling, following: Following) -> list[Any]:
    """The updates of what is new. Blocks."""
    if not following.begun:
        return list(telling.past(following.fresh()))
    now, told = time.monotonic(), following.fresh()
    return list(telling.fresh(told, following.drafts(now), now=now))


def _options(question: Question) -> list[Any]:
    if question.kind == "approve":
        yes = schema.PermissionOption(option_id="yes", name="Approve exactly this tree", kind="allow_once")
        return [yes, schema.PermissionOption(option_id="no", name="Refuse, and say why", kind="reject_once")]
    return [
        schema.PermissionOption(option_id=str(number), name=plain(each), kind="allow_once")
        for number, each in enumerate(question.options)
    ]


def _option(question: Question, picked: str) -> str:
    """The answer of *question* with the number *picked*.

    Raises:
        SettingsError: If there is none.
    """
    if not picked.isdecimal() or int(picked) >= len(question.options):
        raise SettingsError(f"{picked[:40]!r} is none of its answers", hint="pick one that is offered")
    return question.options[int(picked)]
