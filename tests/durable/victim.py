"""A worker for tests to kill: its steps note what they do in a file, so that what ran how often can be counted."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any

from nightmill.durable import Bounds, Engine, Recovery, setting_up
from nightmill.durable import engine as module
from nightmill.errors import LimitReached, SandboxError
from nightmill.store import Database, Workers


def note(path: str, *words: object) -> None:
    """Append one line, whole even if others append at once."""
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(number, (" ".join(map(str, words)) + "\n").encode())
    os.close(number)


def workflows(engine: list[Engine], options: argparse.Namespace) -> dict[str, Any]:
    """The workflows of the tests; *engine* holds it once it is launched."""

    async def body(run: str, step: int) -> int:
        note(options.out, "start", run, step, options.id)
        await asyncio.sleep(options.pause)
        note(options.out, "end", run, step, options.id)
        return step

    async def steps(run: str) -> int:
        return sum([await engine[0].step(f"step {at}", body, run, at) for at in range(options.steps)])

    async def fails(run: str) -> str:
        note(options.out, "start", run, "fail", options.id)
        raise LimitReached("no turns left", hint="raise it", limit="turns")

    async def stops(run: str) -> str:
        try:
            await engine[0].step("fail", fails, run)
        except LimitReached as caught:
            answer = await engine[0].receive("go", 60)
            raise SandboxError(f"{type(caught).__name__} {caught.limit} {answer}", hint=caught.hint) from caught
        return ""

    async def waits(run: str) -> list[Any]:
        got = []
        for at in range(3):
            got.append(await engine[0].receive("go", 1e6))
            await engine[0].step(f"step {at}", body, run, at)
        return got

    return {"steps": steps, "stops": stops, "waits": waits}


async def main() -> None:
    """Work until every run named in the arguments has ended, or, with none, until killed."""
    parser = argparse.ArgumentParser()
    for name in ("url", "store", "id", "out"):
        parser.add_argument(name)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--await", dest="awaited", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--linger", type=float, default=10.0)
    parser.add_argument("--version", default=module.VERSION)
    parser.add_argument("--host", default="")
    parser.add_argument("--stale", type=float, default=20.0)
    parser.add_argument("--beat", type=float, default=0.2)
    options = parser.parse_args()
    module.VERSION = setting_up.VERSION = options.version
    hold: list[Engine] = []
    bounds = Bounds(concurrency=options.concurrency, recoveries=1000, linger=options.linger)
    engine = await Engine.launch(options.url, executor_id=options.id, workflows=workflows(hold, options), bounds=bounds)
    hold.append(engine)
    for at in range(options.start):
        await engine.start(f"r{at}", "steps", f"r{at}")
    workers = Workers(Database.open(options.store))
    recovery = Recovery(engine, workers, beat_seconds=options.beat, stale_seconds=options.stale, host=options.host)
    await recovery.join(version="1")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not options.awaited:
        await asyncio.Event().wait()
    for at in range(options.awaited):
        sys.stdout.write(f"r{at} {await engine.result(f'r{at}')}\n")
    await engine.close()
    await recovery.leave()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
