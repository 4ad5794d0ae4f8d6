"""An external agent's turns: what is kept, what is held back, what is paid, and what happens when it goes wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from nightmill import agent, event
from nightmill.agent import TurnRecord
from nightmill.errors import ModelRefused, ModelUnavailable, SandboxError, SettingsError
from nightmill.model import Text, ToolCall, Usage
from tests.line.external.conftest import ASK, DONE, Play, Stage, touch, until
from tests.line.external.provider import KEY, Provider


def turn(found: object) -> TurnRecord:
    assert isinstance(found, TurnRecord), found
    return found


def test_a_turn_lies_between_two_questions_to_the_model(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            first, second, third = [turn(await stage.turn()) for _ in range(3)]
            assert [part.name for part in first.reply.calls] == ["execute"]
            assert [part.arguments for part in second.reply.calls] == ['{"command": "echo c > c"}']
            assert [each.text for each in first.messages[1].parts] == ["o\n"]  # type: ignore[union-attr]
            assert third.ending is not None
            assert third.ending.text == "It adds.\n\nAC1: test_calc.Sums"
            assert third.ending.evidence == (("AC1", "test_calc.Sums"),)
            assert [record.reply.usage for record in (first, second, third)] == [Usage(input=100, output=10)] * 3
            assert await stage.sh("ls") == "a\nb\nc\n"
        finished = stage.told(event.ToolFinished)
        assert [(each.turn, each.label, each.ok) for each in finished] == [
            (1, "echo o; touch b", True),
            (2, "echo c > c", True),
        ]
        assert [each.turn for each in stage.told(event.ReplyReceived)] == [1, 2, 3]

    play(story, ASK, {"call": "echo o; touch b"}, ASK, touch("c"), ASK, DONE)


def test_an_answer_reaches_the_agent_after_the_checkpoint(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            await stage.turn()
            await until(lambda: len(stage.provider.asked) == 2)
            await asyncio.sleep(0.3)
            assert not [each for each in stage.told(event.ToolStarted) if each.turn > 1]
            await stage.turn()
            assert [each.turn for each in stage.told(event.ToolStarted)] == [1, 2]

    play(story, ASK, touch("b"), ASK, touch("c"), ASK, DONE)


def test_the_sandbox_sees_no_key_and_the_provider_sees_no_placeholder(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert KEY not in ended.ending.text
            assert f"a key: {'*' * len(KEY)}!" in ended.ending.text
            assert "400" in ended.ending.text
            assert KEY not in await stage.sh("env; cat ~/.actor/*; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
        assert all(f"authorization: Bearer {KEY}" in head for head in stage.provider.heads)
        assert not any("placeholder" in head for head in stage.provider.heads)

    provider = Provider(faults=["key", 400])
    play(story, {"ask": {"tell": True}}, {"ask": {"tell": True}}, {"stop": "end_turn"}, provider=provider)


def test_no_other_way_out_is_opened(play: Play) -> None:
    tries = (
        "python3 - <<'E'\nimport socket\n"
        "def ask(head):\n"
        "    s = socket.create_connection(('127.0.0.1', 3128)); s.sendall(head); r = s.recv(999).split(b'\\r\\n'); print(r[0], r[-1])\n"
        "ask(b'CONNECT example.com:443 HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n')\n"
        "ask(b'GET http://example.com/ HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n')\n"
        "ask(b'GET /v1/files HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        "ask(b'DELETE /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        "ask(b'GET //example.com/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        "ask(b'POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 99999999\\r\\n\\r\\n')\n"
        "ask(b'POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n{}')\n"
        "ask(b'POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n2\\r\\n{}\\r\\n0\\r\\n\\r\\n')\n"
        "E"
    )

    async def story(stage: Stage) -> None:
        async with stage.life():
            record = await stage.turns()
            (result,) = [part for message in record.messages for part in message.parts if part.kind == "tool_result"]
            codes = [int(line.split()[1]) for line in result.text.splitlines()]
            assert codes == [403, 403, 404, 404, 404, 413, 400, 400]
            assert "a request of 99,999,999 bytes is too large: at most 33,554,432 are read" in result.text
        assert stage.provider.asked == []

    play(story, {"call": tries}, DONE)


def test_only_what_a_model_answers_by_itself_is_passed_on(play: Play) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/?secret"}}
    more = {
        "model": "dear",
        "n": 9,
        "service_tier": "priority",
        "web_search_options": {},
        "max_tokens": 50_000,
        "tools": [
            {"type": "function", "function": {"name": "f"}},
            {"type": "web_search"},
            {"type": "mcp", "server_url": "x"},
        ],
    }

    async def story(stage: Stage) -> None:
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert "would have to fetch" in ended.ending.text
        (asked,) = stage.provider.asked
        assert asked["model"] == "gpt-4o"
        assert asked["max_tokens"] == stage.assignment.max_tokens
        assert [tool["type"] for tool in asked["tools"]] == ["function"]
        assert not {"n", "service_tier", "web_search_options"} & set(asked)
        assert asked["stream_options"] == {"include_usage": True}

    fetching = {"ask": {"more": {"messages": [{"role": "user", "content": [image]}]}, "tell": True}}
    play(story, {"ask": {"more": more}}, fetching, {"stop": "end_turn"})


def test_a_hang_up_of_the_agent_is_a_hang_up_to_the_provider(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            await stage.turns()
            await until(lambda: stage.provider.gone)

    hasty = 'curl -s -m 1 -d \'{"stream": true, "messages": []}\' http://127.0.0.1:3128/v1/chat/completions; true'
    play(story, {"call": hasty}, DONE, provider=Provider(faults=["stall"]))


@pytest.mark.parametrize("flags", [(), ("--forgets",)], ids=["remembers", "forgets"])
def test_a_run_goes_on_from_its_last_checkpoint_in_another_worker(play: Play, flags: tuple[str, ...]) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            await stage.turn()
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert await stage.sh("ls") == "a\nb\nc\n"
            first, second = await stage.prompts()
            assert first == "The task."
            assert ("You take over a task" in second) == bool(flags)
            assert ("The task." in second) == bool(flags)
        assert "what was said before" not in str(stage.records)
        assert len(stage.told(event.WorkspaceRestored)) == 1

    play(story, ASK, touch("b"), ASK, touch("c"), ASK, DONE, flags=flags)


def test_work_that_is_sent_back_is_the_next_prompt_of_the_same_process(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            await stage.turns()
            before = stage.live._live
            assert await stage.sh("git init -q; git add -A; echo staged") == "staged\n"
            stage.live.workplace.touched()  # as an export does
            stage.live.state = agent.send_back(stage.live.state, "The checks failed: 1 error.")
            ended = await stage.turns()
            assert ended.ending is not None
            assert stage.live._live is before
            assert await stage.prompts() == ["The task.", "The checks failed: 1 error."]

    play(story, ASK, touch("b"), DONE, ASK, touch("c"), DONE)


def test_work_that_is_sent_back_is_told_after_a_crash_too(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            await stage.turns()
        async with stage.life():
            stage.live.state = agent.send_back(stage.live.state, "The checks failed: 1 error.")
            await stage.turns()
            assert await stage.prompts() == ["The task.", "The checks failed: 1 error."]

    play(story, ASK, touch("b"), DONE, ASK, touch("c"), DONE)


def test_an_agent_that_ends_is_started_again_and_three_times_is_stuck(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            turn(await stage.turn())
            ended = turn(await stage.turn())
            assert ended.ending is not None
            assert ended.ending.kind == "stuck"
            assert "exit status 7; it said last: out of luck" in ended.ending.text
            assert len(stage.told(event.AgentNudged)) == 3
            assert await stage.sh("ls") == "a\nb\n"

    play(story, ASK, touch("b"), ASK, touch("c"), {"exit": "always", "last words": "out of luck"})


@pytest.mark.parametrize(
    "act",
    [
        {"hang": True},
        {"raw": "x" * 100 + "\n"},
        {"raw": "noise\n" * 2000, "hang": True},
        {"stop": "cancelled"},
        {"stop": 5},
    ],
    ids=["hangs", "says nonsense and ends", "makes noise", "gives up", "ends oddly"],
)
def test_an_agent_that_does_not_work_is_stuck_in_the_end(play: Play, act: dict[str, Any]) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert ended.ending.kind == ("finished" if act.get("raw") == "x" * 100 + "\n" else "stuck")

    play(story, touch("b"), act, settings={"agent_idle": 1.5})


def test_one_that_cannot_be_started_says_why(play: Play) -> None:
    async def story(stage: Stage) -> None:
        broken = stage.assignment.agent
        assert broken is not None
        async with stage.life():
            stage.live.agent = type(broken)(name="actor", argv=("/opt/agents/nothing",), model=broken.model)
            ended = turn(await stage.turn())
            assert ended.ending is not None
            assert "No such file" in ended.ending.text

    play(story, DONE)


@pytest.mark.parametrize(("status", "kind"), [(503, ModelUnavailable), (429, ModelUnavailable), (401, ModelRefused)])
def test_a_provider_that_fails_is_the_runs_affair_and_the_session_goes_on_later(
    play: Play, status: int, kind: type[Exception]
) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            turn(await stage.turn())
            found = await stage.turn()
            assert isinstance(found, kind), found
            assert KEY not in str(found)
            assert stage.live._live is None
            assert await stage.sh("ls") == "a\nb\n"
            ended = await stage.turns()
            assert ended.ending is not None
            assert ended.ending.kind == "finished"
            _, second = await stage.prompts()
            assert second.startswith("You were interrupted")
            assert "said" in await stage.sh("cat ~/.actor/said")
            assert str(status) not in await stage.sh("cat ~/.actor/said"), "the agent was told nothing"

    provider = Provider(faults=[None, status])
    play(story, ASK, touch("b"), ASK, ASK, DONE, provider=provider, settings={"retries": 0})


@pytest.mark.parametrize("fault", [503, 429, "cut"])
def test_a_provider_that_fails_for_a_moment_is_asked_again_and_nobody_notices(play: Play, fault: Any) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert "[DONE]" in ended.ending.text
            (retried,) = stage.told(event.ModelRetried)
            assert str(fault) in retried.reason or "ended before" in retried.reason
        assert len(stage.provider.asked) == 2

    play(story, {"ask": {"tell": True}}, {"stop": "end_turn"}, provider=Provider(faults=[fault]))


def test_a_request_that_is_refused_as_such_is_the_agents_affair(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert "400" in ended.ending.text
            assert "server_error" in ended.ending.text
            assert KEY not in ended.ending.text

    play(story, {"ask": {"tell": True}}, {"stop": "end_turn"}, provider=Provider(faults=[400]))


def test_an_answer_that_was_paid_for_and_lost_with_its_worker_is_given_to_the_same_question(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            turn(await stage.turn())
            await until(lambda: len(stage.told(event.ReplyReceived)) == 2)
            assert "said\n" not in await stage.sh("cat ~/.actor/said"), "the worker dies before the agent has it"
        assert len(stage.provider.asked) == 2
        async with stage.life():
            second = turn(await stage.turn())
            assert second.reply.usage == Usage(input=100, output=10), "paid once"
            ended = await stage.turns()
            assert ended.ending is not None
        assert len(stage.provider.asked) == 3, (
            "the second was not asked again, the third is asked though it is the same"
        )
        assert stage.live.state.usage == Usage(input=300, output=30)

    play(story, ASK, touch("b"), ASK, touch("c"), ASK, DONE)


def test_a_pause_and_a_cancel_end_the_agent(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            await stage.turn()
            stage.live.control.want("pause", "Ada")
            assert await stage.turn() == "pause"
            assert stage.live._live is None
            stage.live.control.want("run", "Ada")
            await stage.turn()
            waiting = asyncio.ensure_future(stage.turn())
            await until(lambda: stage.told(event.ToolStarted)[-1].label.startswith("sleep"))
            stage.live.control.want("cancel", "Ada")
            assert await asyncio.wait_for(waiting, 60) == "cancel"
            assert stage.live._live is None

    play(story, ASK, touch("b"), ASK, touch("c"), ASK, {"call": "sleep 1000"})


def test_a_worker_without_the_key_waits_for_one(play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.machines = type(stage.machines)(
            **{name: getattr(stage.machines, name) for name in stage.machines.__slots__}
            | {"keys": {"openai": "two words"}}
        )
        async with stage.life():
            assert isinstance(await stage.turn(), SettingsError)

    play(story, DONE)


def test_a_reply_that_is_cut_for_want_of_tokens_is_gone_on_with_and_three_in_a_row_are_stuck(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert ended.ending.kind == "stuck"
            assert len(await stage.prompts()) == 3

    play(story, *[{"say": "…", "stop": "max_tokens"}] * 5)


def test_a_sandbox_that_is_lost_is_built_again_once(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            await stage.turn()
            workspace = stage.live.workplace._workspace
            assert workspace is not None
            workspace.processes.kill()  # type: ignore[attr-defined]
            ended = await stage.turns()
            assert ended.ending is not None
            assert ended.ending.kind == "finished"
            assert await stage.sh("ls") == "a\nb\nc\n"

    play(story, ASK, touch("b"), ASK, touch("c"), ASK, DONE)


def test_words_are_kept_as_words_and_calls_as_calls(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            record = await stage.turns()
            kinds = [type(part) for part in record.reply.parts]
            assert kinds == [Text, ToolCall, Text, Text]
            assert not isinstance(record, SandboxError)

    play(story, {"say": "I look."}, {"call": "cat a"}, DONE)


def test_an_agent_that_may_reach_nothing_goes_on_in_a_sandbox_without_a_network(play: Play) -> None:
    look = {"call": "env | grep -c ^https_proxy; curl -s -o /dev/null -w '%{http_code}' http://api.nowhere.invalid/"}

    async def story(stage: Stage) -> None:
        async with stage.life():
            place = stage.live.workplace
            place.place = replace(place.place, hosts=("api.nowhere.invalid",))
            await place.leave()
            before = turn(await stage.turn())
            assert await place.connect(allowed=False)
            await stage.live.forget()
            after = turn(await stage.turn())
            over = turn(await stage.turns())
        assert [said(each) for each in (before, after)] == ["1\n403", "0\n000"]
        assert over.ending is not None
        assert over.ending.kind == "finished", "it still asks its model"
        assert len(stage.provider.asked) >= 3

    def said(record: TurnRecord) -> str:
        return record.messages[1].parts[0].text  # type: ignore[union-attr]

    play(story, ASK, look, ASK, look, ASK, DONE)
