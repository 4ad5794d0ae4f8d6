"""What an external agent may say, and must not be able to do with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import acp.schema
import pytest

from nightmill import event
from nightmill.agent import Told
from nightmill.agent.external import AgentLost, Hearing, Refused
from nightmill.agent.external.hearing import MOST_CALLS, MOST_OF_CALLS, MOST_TEXT
from nightmill.agent.external.session import Session
from nightmill.agent.external.wire import LONGEST, NOISE
from nightmill.errors import SettingsError
from nightmill.event import Event
from nightmill.model import Text, ToolCall

Answers = Callable[[dict[str, Any]], Any]

ASKED = {
    "initialize": acp.schema.InitializeRequest,
    "session/new": acp.schema.NewSessionRequest,
    "session/load": acp.schema.LoadSessionRequest,
    "session/prompt": acp.schema.PromptRequest,
    "session/set_mode": acp.schema.SetSessionModeRequest,
    "session/cancel": acp.schema.CancelNotification,
}
"""What the protocol's own library takes for each of our messages."""


class Agent:
    """An agent in this process: a function says what it answers, `write` what else it says."""

    def __init__(self, **answers: Any) -> None:
        self.events: list[Event] = []
        self.now = 0.0
        self.hearing = Hearing(Told(run="r", emit=self.events.append, clock=lambda: self.now))
        self.heard: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {
            "initialize": {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}},
            "session/new": {"sessionId": "s1"},
            "session/load": {},
            "session/set_mode": {},
            **{name.replace("__", "/"): answer for name, answer in answers.items()},
        }
        self.session = Session(self.hear, self.hearing)

    def hear(self, body: bytes) -> None:
        for line in body.splitlines():
            message = json.loads(line)
            self.heard.append(message)
            if "method" in message:
                ASKED[message["method"]].model_validate(message["params"])
            answer = self.answers.get(message.get("method", ""))
            if answer is not None and "id" in message:
                kind = "error" if "code" in answer else "result"
                asyncio.get_running_loop().call_soon(self.write, {"id": message["id"], kind: answer})

    def write(self, message: dict[str, Any] | bytes) -> None:
        body = message if isinstance(message, bytes) else json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
        self.session.take(body)

    def update(self, kind_: str, **fields: Any) -> None:
        update = {"sessionUpdate": kind_, **fields}
        self.write({"method": "session/update", "params": {"sessionId": "s1", "update": update}})

    def says(self, text: str) -> None:
        self.update("agent_message_chunk", content={"type": "text", "text": text})

    async def opened(self, *, earlier: str = "", mode: str = "") -> Agent:
        await self.session.open(cwd="/work/repo", earlier=earlier, mode=mode)
        return self

    def told(self, kind: type[Event]) -> list[Any]:
        return [each for each in self.events if isinstance(each, kind)]


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        await asyncio.wait_for(story(), 60)

    asyncio.run(within())


def test_a_session_begins_without_files_and_terminals_of_ours_and_in_the_mode_that_asks_for_nothing() -> None:
    async def story() -> None:
        agent = await Agent().opened(mode="yolo")
        first, second, third = agent.heard
        assert first["params"]["clientCapabilities"] == {
            "fs": {"readTextFile": False, "writeTextFile": False},
            "terminal": False,
        }
        assert second["params"] == {"cwd": "/work/repo", "mcpServers": []}
        assert third["params"] == {"sessionId": "s1", "modeId": "yolo"}

    play(story)


def test_a_turn_ends_with_its_reason_and_is_heard_as_words_calls_and_a_list() -> None:
    async def story() -> None:
        agent = await Agent().opened()
        turn = asyncio.ensure_future(agent.session.prompt("Do it."))
        await asyncio.sleep(0)
        agent.says("I lo")
        agent.says("ok.")
        agent.update("tool_call", toolCallId="c1", title="cat a", kind="execute", rawInput={"command": "cat a"})
        agent.update("plan", entries=[{"content": "look", "status": "in_progress", "priority": "high"}])
        agent.now = 2.0
        text = {"type": "content", "content": {"type": "text", "text": "the file"}}
        agent.update("tool_call_update", toolCallId="c1", status="completed", content=[text])
        agent.update("tool_call_update", toolCallId="c1", status="completed", content=[text])
        agent.says("Done.")
        agent.write({"id": agent.heard[-1]["id"], "result": {"stopReason": "end_turn"}})
        assert await turn == "end_turn"
        heard = agent.hearing.cut()
        assert heard.parts == (
            Text(text="I look."),
            ToolCall(id="c1", name="execute", arguments='{"command": "cat a"}'),
            Text(text="Done."),
        )
        assert [(each.text, each.error) for each in heard.results] == [("the file", False)]
        assert agent.hearing.said == "Done."
        (ended,) = agent.told(event.ToolFinished)
        assert (ended.label, ended.ok, ended.seconds) == ("cat a", True, 2.0)
        assert agent.told(event.TodoChanged)[0].items == [{"text": "look", "state": "doing"}]

    play(story)


def test_a_call_is_told_in_the_turn_in_which_it_ends() -> None:
    async def story() -> None:
        agent = await Agent().opened()
        agent.update("tool_call", toolCallId="long", title="make", kind="execute")
        assert agent.hearing.cut().parts == ()
        assert agent.hearing.busy
        agent.update("tool_call_update", toolCallId="long", status="failed", rawOutput={"output": "no rule"})
        heard = agent.hearing.cut()
        assert [(each.text, each.error) for each in heard.results] == [("no rule", True)]
        assert len(agent.told(event.ToolStarted)) == len(agent.told(event.ToolFinished)) == 1

    play(story)


@pytest.mark.parametrize(
    ("kinds", "picked"),
    [
        (("reject_once", "allow_once", "allow_always"), "allow_always"),
        (("reject_always", "allow_once"), "allow_once"),
        (("reject_once",), None),
        ((), None),
    ],
)
def test_leave_is_given_at_once_and_refused_to_nobody(kinds: tuple[str, ...], picked: str | None) -> None:
    async def story() -> None:
        agent = await Agent().opened()
        options = [{"optionId": kind, "kind": kind, "name": kind} for kind in kinds]
        call = {"toolCallId": "c", "title": "rm -rf /", "kind": "execute"}
        agent.write(
            {"id": "p", "method": "session/request_permission", "params": {"toolCall": call, "options": options}}
        )
        answer = agent.heard[-1]
        acp.schema.RequestPermissionResponse.model_validate(answer["result"])
        assert answer["id"] == "p"
        assert answer["result"]["outcome"].get("optionId") == picked
        assert [each.label for each in agent.told(event.ToolStarted)] == ["rm -rf /"]

    play(story)


@pytest.mark.parametrize(
    "method", ["fs/read_text_file", "fs/write_text_file", "terminal/create", "elicitation/create", "x"]
)
def test_what_else_it_asks_for_is_not_there(method: str) -> None:
    async def story() -> None:
        agent = await Agent().opened()
        agent.write({"id": 5, "method": method, "params": {"path": "/etc/passwd"}})
        assert agent.heard[-1]["error"]["code"] == -32601

    play(story)


def test_an_earlier_session_is_taken_up_and_what_it_repeats_of_itself_is_not_heard() -> None:
    async def story() -> None:
        agent = Agent()
        opening = asyncio.ensure_future(agent.opened(earlier="old"))
        await asyncio.sleep(0)
        agent.says("what I said before the crash")
        await opening
        assert agent.session.loaded
        assert agent.session.id == "old"
        assert agent.hearing.cut().parts == ()

    play(story)


@pytest.mark.parametrize(
    "agent",
    [
        lambda: Agent(session__load={"code": -32002, "message": "no such session"}),
        lambda: Agent(initialize={"protocolVersion": 1, "agentCapabilities": {}}),
        lambda: Agent(initialize={"protocolVersion": 1, "agentCapabilities": "all"}),
    ],
)
def test_one_that_cannot_go_on_with_a_session_begins_a_new_one(agent: Callable[[], Agent]) -> None:
    async def story() -> None:
        found = await agent().opened(earlier="old")
        assert not found.session.loaded
        assert found.session.id == "s1"

    play(story)


def test_a_login_and_another_version_are_its_operators_to_give() -> None:
    async def story() -> None:
        with pytest.raises(SettingsError, match="logged in"):
            await Agent(session__new={"code": -32000, "message": "auth required"}).opened()
        with pytest.raises(SettingsError, match="version '7'"):
            await Agent(initialize={"protocolVersion": 7}).opened()

    play(story)


def test_a_turn_that_fails_says_why_on_one_line() -> None:
    async def story() -> None:
        agent = await Agent(
            session__prompt={"code": -32603, "message": "a\x1b[2J\nb", "data": {"x": "\ud800"}}
        ).opened()
        with pytest.raises(Refused) as told:
            await agent.session.prompt("Do it.")
        assert told.value.message.isprintable()

    play(story)


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[]\n",
        b"17\n",
        b'{"jsonrpc": "2.0"}\n',
        b'{"method": 5, "params": {}}\n',
        b'{"method": "session/update", "params": []}\n',
        b'{"method": "session/update", "params": {"update": 5}}\n',
        b'{"method": "session/update", "params": {"update": {"sessionUpdate": ["tool_call"]}}}\n',
        b'{"id": true, "result": {}}\n',
        b'{"id": 99, "result": {}}\n',
        b'{"id": [1], "method": "x", "params": {}}\n',
        b"\xff\xfe\x00\n",
        b"[" * 100_000 + b"\n",
        b'{"method": "session/update", "params": {"update": {"sessionUpdate": "tool_call", "toolCallId": {"a": 1}}}}\n',
        b'{"method": "session/update", "params": {"update": {"sessionUpdate": "plan", "entries": [1, {"content": []}]}}}\n',
        (
            b'{"method": "session/update", "params": {"update": {"sessionUpdate": "tool_call", "toolCallId": "c", "kind": 1, '
            b'"title": [], "content": [{"type": "diff", "path": 5}, 3, {"content": {"text": {}}}], "locations": 7, '
            b'"status": ["completed"], "rawInput": 3, "rawOutput": [1]}}}\n'
        ),
        b'{"method": "session/request_permission", "id": 1, "params": {"toolCall": 5, "options": [5, {"kind": []}]}}\n',
    ],
)
def test_a_frame_that_is_none_does_no_harm(line: bytes) -> None:
    async def story() -> None:
        agent = await Agent().opened()
        agent.write(line)
        agent.says("I go on.")
        assert agent.hearing.cut().parts[-1] == Text(text="I go on.")
        assert not agent.session.wire.lost.done()

    play(story)


def test_frames_are_found_however_they_are_cut() -> None:
    async def story() -> None:
        agent = await Agent().opened()
        update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "ä\u2028b"}}
        plain = {"method": "session/update", "params": {"update": update}}
        body = json.dumps(plain, ensure_ascii=False).encode() + b"\r\n"
        for byte in body * 3:
            agent.write(bytes([byte]))
        assert agent.hearing.cut().parts == (Text(text="ä\u2028b" * 3),)

    play(story)


def test_halves_of_surrogate_pairs_and_endless_names_can_be_kept() -> None:
    async def story() -> None:
        agent = await Agent().opened()
        agent.says("\ud800")
        for field in ("title", "kind"):
            agent.update("tool_call", toolCallId=f"\udfff{field}", **{field: "\ud83d\n" * 9_000}, status="completed")
        heard = agent.hearing.cut()
        for part in heard.parts:
            repr(part).encode()
        assert all(len(each.label) <= 200 and len(each.tool) <= 40 for each in agent.told(event.ToolStarted))
        assert all(each.label.isprintable() for each in agent.told(event.ToolStarted))

    play(story)


@pytest.mark.parametrize(
    "flood",
    [
        lambda agent: agent.write(b"x" * (LONGEST + 1)),
        lambda agent: [agent.write(b"x\n") for _ in range(NOISE + 1)],
        lambda agent: [agent.write(b'{"method": "?"}\n' * 5_000_000) for _ in range(2)],
        lambda agent: agent.write(b'{"method":"session/update","params":{"update":{"sessionUpdate":"?"}}}\n' * 200_001),
        lambda agent: [agent.write({"id": number, "method": "?"}) for number in range(10_001)],
    ],
    ids=["a line without an end", "noise", "bytes", "updates", "requests"],
)
def test_a_flood_ends_it(flood: Callable[[Agent], Any]) -> None:
    async def story() -> None:
        agent = await Agent().opened()
        waiting = asyncio.ensure_future(agent.session.prompt("Do it."))
        await asyncio.sleep(0)
        flood(agent)
        with pytest.raises(AgentLost):
            await waiting

    play(story)


def test_what_a_turn_keeps_is_bounded_whatever_it_holds() -> None:
    async def story() -> None:
        agent = await Agent().opened()
        for number in range(MOST_CALLS + 50):
            text = {"type": "content", "content": {"type": "text", "text": "x" * 100_000}}
            agent.says("y" * 10_000)
            agent.update(
                "tool_call", toolCallId=f"c{number}", rawInput={"a": "z" * 9_000}, status="completed", content=[text]
            )
        heard = agent.hearing.cut()
        said = sum(len(part.text) for part in heard.parts if isinstance(part, Text))
        kept = sum(len(part.arguments) for part in heard.parts if isinstance(part, ToolCall))
        kept += sum(len(result.text) for result in heard.results)
        assert said <= MOST_TEXT
        assert kept <= MOST_OF_CALLS + 2 * MOST_CALLS
        assert len(agent.told(event.ToolStarted)) == len(agent.told(event.ToolFinished)) == MOST_CALLS
        agent.update("tool_call", toolCallId="next", status="completed")
        assert len(agent.hearing.cut().results) == 1

    play(story)
