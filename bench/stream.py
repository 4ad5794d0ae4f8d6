"""CPU time per streamed reply: ours beside the providers' own SDKs, in one run, so that the ratio means something.

A reply has 2,000 tokens in 500 deltas with two tool calls; 100 of them stream at once. The scripted model sends them
from a process of its own; what is counted is the CPU time of this one.

    python -m bench.stream [--json FILE] [--streams N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nightmill.model import Message, Model, ModelRequest, Text, ToolSchema
from nightmill.model.connect import client, connect
from nightmill.settings import Settings

TEXT = "It was a bright cold day, and the mill ran. " * 91
ARGUMENTS = {"path": "src/mill.py", "content": "def grind(corn: int) -> int:\n    return corn // 2\n" * 41}
TURN = {"text": TEXT[:4000], "tool_calls": [{"name": "write_file", "arguments": ARGUMENTS}] * 2}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}}
MODELS = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-4o", "openai-responses": "gpt-5"}
SETTINGS = Settings()
GOAL_MS = 10.0

Ask = Callable[[], Awaitable[int]]
"""Ask for one reply, return how many tool calls it had."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--streams", type=int, default=100)
    options = parser.parse_args()
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    program = Path(os.environ.get("NIGHTMILL_SHARED", beside)) / "tools" / "scripted_model.py"
    if not program.is_file():
        sys.exit(f"bench.stream needs the scripted model at {program}")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.json"
        script.write_text(json.dumps({"turns": [TURN]}))
        command = [sys.executable, str(program), "--script", str(script), "--chunk", "16", "--grace", "0", "--no-cache"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                url = server.stdout.readline().removeprefix("listening ").strip()
                rows = asyncio.run(measure(url, options.streams))
            finally:
                server.terminate()
    report(rows)
    if options.json:
        options.json.write_text(json.dumps({"goal_ms": GOAL_MS, "streams": options.streams, "rows": rows}, indent=1))


async def measure(url: str, streams: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async with client(SETTINGS) as http:
        for provider, name in MODELS.items():
            model = connect(f"{provider}:{name}", keys={}, base_url=url, settings=SETTINGS, client=http)
            rows.append({"dialect": provider, "ours_ms": await cpu_ms(ours(model), streams, rounds=3)})
    rows[-1]["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # An SDK's client that is dropped leaves its sockets to the collector, and their numbers, still watched, to the next.
    kept = [sdk(row["dialect"], url) for row in rows]
    for row, (raw, whole) in zip(rows, kept, strict=True):
        row["sdk_events_ms"] = await cpu_ms(raw, streams)
        row["sdk_reply_ms"] = await cpu_ms(whole, streams)
        row["ratio"] = row["sdk_reply_ms"] / row["ours_ms"]
    return rows


async def cpu_ms(ask: Ask, streams: int, *, rounds: int = 1) -> float:
    """CPU milliseconds per reply, best of so many *rounds* after a warm-up."""
    await ask()
    await ask()
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        calls = await asyncio.gather(*(ask() for _ in range(streams)))
        best = min(best, (time.process_time() - start) / streams * 1000)
        assert set(calls) == {2}, calls
    return best


def ours(model: Model) -> Ask:
    tool = ToolSchema(name="write_file", description="Write a file.", parameters=SCHEMA)
    go = Message(role="user", parts=(Text(text="go"),))
    request = ModelRequest(model="", system=("Work.",), messages=(go,), tools=(tool,))

    async def ask() -> int:
        return len((await model.reply(request)).calls)

    return ask


def sdk(provider: str, url: str) -> tuple[Ask, Ask]:
    """The provider's own client: its bare events, and its whole reply, which is what ours gives."""
    if provider == "anthropic":
        return anthropic_sdk(url)
    return chat_sdk(url) if provider == "openai" else responses_sdk(url)


def anthropic_sdk(url: str) -> tuple[Ask, Ask]:
    import anthropic  # noqa: PLC0415 - ours is measured before it is in memory

    remote = anthropic.AsyncAnthropic(api_key="none", base_url=url, max_retries=0)
    tool: Any = {"name": "write_file", "description": "Write a file.", "input_schema": SCHEMA}
    body: Any = {
        "model": MODELS["anthropic"],
        "max_tokens": 8192,
        "tools": [tool],
        "messages": [{"role": "user", "content": "go"}],
    }

    async def raw() -> int:
        stream = await remote.messages.create(stream=True, **body)
        kinds = [event.content_block.type async for event in stream if event.type == "content_block_start"]
        return kinds.count("tool_use")

    async def whole() -> int:
        async with remote.messages.stream(**body) as stream:
            message = await stream.get_final_message()
        return sum(block.type == "tool_use" for block in message.content)

    return raw, whole


def chat_sdk(url: str) -> tuple[Ask, Ask]:
    import openai  # noqa: PLC0415 - as above

    remote = openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
    function = {"name": "write_file", "description": "Write a file.", "parameters": SCHEMA}
    body: Any = {
        "model": MODELS["openai"],
        "tools": [{"type": "function", "function": function}],
        "messages": [{"role": "user", "content": "go"}],
        "stream_options": {"include_usage": True},
    }

    async def raw() -> int:
        stream = await remote.chat.completions.create(stream=True, **body)
        found = {call.index async for chunk in stream for each in chunk.choices for call in each.delta.tool_calls or ()}
        return len(found)

    async def whole() -> int:
        async with remote.chat.completions.stream(**body) as stream:
            reply = await stream.get_final_completion()
        return len(reply.choices[0].message.tool_calls or ())

    return raw, whole


def responses_sdk(url: str) -> tuple[Ask, Ask]:
    import openai  # noqa: PLC0415 - as above

    remote = openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
    tool = {"type": "function", "name": "write_file", "parameters": SCHEMA, "strict": False}
    body: Any = {"model": MODELS["openai-responses"], "tools": [tool], "input": "go"}

    async def raw() -> int:
        stream = await remote.responses.create(stream=True, **body)
        kinds = [event.item.type async for event in stream if event.type == "response.output_item.done"]
        return kinds.count("function_call")

    async def whole() -> int:
        async with remote.responses.stream(**body) as stream:
            reply = await stream.get_final_response()
        return sum(item.type == "function_call" for item in reply.output)

    return raw, whole


def report(rows: list[dict[str, Any]]) -> None:
    print("CPU ms per reply     ours   goal   SDK events   SDK reply   SDK reply / ours")
    for row in rows:
        print(
            f"{row['dialect']:<18} {row['ours_ms']:>6.1f} {GOAL_MS:>6.0f} {row['sdk_events_ms']:>12.1f}"
            f" {row['sdk_reply_ms']:>11.1f} {row['ratio']:>16.1f}x"
        )
    print(f"memory of this process after ours, with prices: {rows[-1]['rss_mb']:.0f} MB")


if __name__ == "__main__":
    main()
