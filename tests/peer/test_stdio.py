"""`nightmill mcp` as an assistant starts it: from a wish to a pull request, without a terminal."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from nightmill import event as e
from tests.conftest import ScriptedFactory
from tests.peer.conftest import RUN, waiting_run
from tests.whole import PATIENCE, SPEC, Mill, git, script

LOOKING = {"waiting", "runs", "run_status", "task_status", "spec_check"}
OPERATING = {"ask", "run_start", "task_start", "task_drop", "run_say", "answer", "pause", "resume", "cancel"}
VAGUE = "# Make it better\n\nEverything should be nicer.\n"


@asynccontextmanager
async def assistant(mill: Mill, *words: str, mode: Any = "auto", hear: Any = None) -> AsyncIterator[Client]:
    """A client of `nightmill mcp` in the project."""
    command = [*mill.command(), "mcp", *words]
    started = StdioServerParameters(
        command=command[0], args=command[1:], env=mill.variables(), cwd=mill.folder / "calc"
    )
    with (mill.folder / "said.txt").open("ab") as said:
        line = stdio_client(started, errlog=said)  # type: ignore[arg-type]  # any file
        async with Client(line, mode=mode, message_handler=hear) as client:
            yield client


def talk(mill: Mill, story: Callable[[Client], Awaitable[Any]], *words: str, **how: Any) -> Any:
    async def go() -> Any:
        async with assistant(mill, *words, **how) as client:
            return await story(client)

    return asyncio.run(go())


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """What *tool* gave; why not, if it was refused."""
    found = await client.call_tool(tool, arguments)
    text = found.content[0].text  # type: ignore[union-attr]
    return f"refused: {text}" if found.is_error else json.loads(text)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_it_may_look_and_operate_and_no_more_unless_it_is_told(mill: Mill, mode: str) -> None:
    async def names(client: Client) -> set[str]:
        return {each.name for each in (await client.list_tools()).tools}

    assert talk(mill, names, mode=mode) == LOOKING | OPERATING
    assert talk(mill, names, "--allow", "view", mode=mode) == LOOKING
    allowed = ("--allow", "view", "--allow", "approve")
    assert talk(mill, names, *allowed, mode=mode) == LOOKING | {"approve", "refuse"}


def test_a_right_that_there_is_not_is_refused(mill: Mill) -> None:
    done = mill.run("mcp", "--allow", "everything")

    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no right 'everything'" in done.stderr


def test_what_is_refused_says_why_and_leaves_nothing(mill: Mill) -> None:
    async def story(client: Client) -> None:
        assert not (await call(client, "spec_check", spec=VAGUE))["accepted"]
        assert "Refused: Make it better" in await call(client, "run_start", spec=VAGUE)
        assert "no project 'barn'" in await call(client, "run_start", spec=SPEC.format(title=""), project="barn")
        assert "no run 'rnone' that you may see" in await call(client, "cancel", run="rnone")
        asked = await call(client, "ask", words="please order pizza for everybody")
        assert asked["from_runs"]["kind"] == "refused"
        assert (await call(client, "runs"))["from_runs"] == []

    talk(mill, story)


def test_its_prompts_say_how_a_spec_is_written_together_and_start_nothing_by_themselves(mill: Mill) -> None:
    async def story(client: Client) -> None:
        offered = {
            each.name: [one.name for one in each.arguments or []] for each in (await client.list_prompts()).prompts
        }
        assert offered == {"spec": ["wish"], "waiting": []}
        wish = "rename ${add} to $plus"
        (said,) = (await client.get_prompt("spec", {"wish": wish})).messages
        assert (said.role, wish in said.content.text) == ("user", True)  # type: ignore[union-attr]
        assert "only when I have said so here" in said.content.text  # type: ignore[union-attr]
        for name, given in (("spec", {}), ("spec", {"wish": "x", "more": "y"}), ("spec", {"wish": "x" * 20_001})):
            with pytest.raises(MCPError, match="takes wish"):
                await client.get_prompt(name, given)
        with pytest.raises(MCPError, match="there is no prompt 'night'"):
            await client.get_prompt("night", {})

    talk(mill, story)


def test_who_listens_hears_that_a_run_changed(mill: Mill) -> None:
    waiting_run(mill)
    name = f"nightmill://runs/{RUN}/summary"

    async def story(client: Client) -> None:
        assert client.server_capabilities.resources.subscribe  # type: ignore[union-attr]
        async with asyncio.timeout(PATIENCE), client.listen(resource_subscriptions=[name]) as told:
            await call(client, "run_say", run=RUN, text="Use cents.")
            assert (await anext(told)).uri == name  # type: ignore[union-attr]

    talk(mill, story)


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
def test_who_came_by_the_handshake_of_2025_subscribes_and_leaves(mill: Mill) -> None:
    waiting_run(mill)
    name, other = f"nightmill://runs/{RUN}/summary", "nightmill://runs/rother/summary"
    with mill.door() as door:
        queued = e.RunQueued(run="rother", kind="task", title="Another", project="calc", spec="s", model="m")
        door.runs.create(queued, assignment="a")
    notes: asyncio.Queue[Any] = asyncio.Queue()

    async def hear(note: Any) -> None:
        await notes.put(note)

    async def story(client: Client) -> None:
        with pytest.raises(MCPError, match="there is no resource"):
            await client.subscribe_resource("nightmill://runs/rnone/summary")
        await client.subscribe_resource(name)
        await call(client, "run_say", run=RUN, text="Use cents.")
        async with asyncio.timeout(PATIENCE):
            note = await notes.get()
        assert (note.method, note.params.uri) == ("notifications/resources/updated", name)
        await client.subscribe_resource(other)
        await client.unsubscribe_resource(name)
        for run in (RUN, "rother"):
            await call(client, "run_say", run=run, text="No, percent.")
        async with asyncio.timeout(PATIENCE):
            assert (await notes.get()).params.uri == other

    talk(mill, story, mode="legacy", hear=hear)


@pytest.mark.slow
def test_from_a_wish_to_a_diff(mill: Mill, scripted: ScriptedFactory) -> None:
    model = scripted(script())
    mill = mill.given(NIGHTMILL_BASE_URL=model.url)

    async def story(client: Client) -> tuple[Any, str]:
        asked = (await call(client, "ask", words="rename the function calc.add to calc.plus"))["from_runs"]
        assert asked["kind"] in {"run", "which", "questions"}
        spec = SPEC.format(title="")
        checked = await call(client, "spec_check", spec=spec)
        assert (checked["accepted"], [each["id"] for each in checked["criteria"]]) == (True, ["AC1"])
        run = (await call(client, "run_start", spec=spec))["run"]
        deadline = time.monotonic() + 4 * PATIENCE
        while (found := (await call(client, "run_status", run=run))["from_runs"])["state"] not in {"done", "stopped"}:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.2)
        assert found["state"] == "done", found
        task = found["tasks"][0]["id"] if found["tasks"] else run
        shown = (await call(client, "run_status", run=task))["from_runs"]
        waits = (await call(client, "waiting"))["from_runs"]
        assert [(each["kind"], each["run"]) for each in waits] == [("merge", task)]
        (content,) = (await client.read_resource(shown["diff"])).contents
        return shown, content.text  # type: ignore[union-attr]

    with mill.worker():
        shown, diff = talk(mill, story)

    assert all(each["passed"] for each in shown["checks"])
    assert shown["evidence"]
    assert "+    return a + b" in diff
    assert git(mill.folder / "calc", "status", "--porcelain") == ""
