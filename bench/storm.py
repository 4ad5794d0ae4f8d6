"""Runs that share a key with a rate: how many 429s the provider gives, with the gate and without.

python -m bench.storm [--runs 50] [--turns 4]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from bench.limited import Limited
from nightmill.errors import NightmillError
from nightmill.model import Message, Model, ModelRequest, Text
from nightmill.model.connect import client, connect
from nightmill.model.gate import Gates
from nightmill.settings import Settings
from nightmill.store import Database
from nightmill.store.gates import Gates as Rows

CASES = {
    "nothing known": ({}, False),
    "told in headers": ({}, True),
    "said in `rates`": ({"anthropic": {"requests": 1200.0}}, False),
}
SETTINGS = Settings(retries=4, retry_after=60.0)
PARKED = 3.0
"""Seconds for which a run parks here that has to wait for longer than its retries; in earnest a minute or more."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--turns", type=int, default=4)
    options = parser.parse_args()
    print("key allows 1,200 requests a minute, 20 at once; 429 says retry-after: 1")
    print(
        f"{options.runs} runs of {options.turns} turns | 429s | runs parked | seconds | last run's turns behind, at most"
    )
    for gated in (False, True):
        for case, (said, headers) in CASES.items():
            if gated or case == "nothing known":
                endpoint = Limited(minute=1200, burst=1200 if headers else 20, headers=headers)
                parks, seconds, behind = asyncio.run(storm(endpoint, said if gated else None, options))
                name = f"gate, {case}" if gated else "no gate"
                print(f"{name} | {endpoint.refused} | {parks} | {seconds:.1f} | {behind}")


async def storm(
    endpoint: Limited, said: dict[str, dict[str, float]] | None, options: argparse.Namespace
) -> tuple[int, float, int]:
    parks, done = 0, dict.fromkeys(range(options.runs), 0)
    behind = 0

    async def run(number: int, model: Model) -> None:
        nonlocal parks, behind
        text = Message(role="user", parts=(Text(text="go"),))
        asked = ModelRequest(model="m", system=(f"r{number}",), messages=(text,), conversation=f"r{number}")
        while done[number] < options.turns:
            try:
                await model.reply(asked)
            except NightmillError:
                parks += 1
                await asyncio.sleep(PARKED)
            else:
                done[number] += 1
                behind = max(behind, done[number] - min(done.values()))

    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{Path(folder) / 'store.db'}")
        world = {"clock": time.monotonic, "random": random.random}
        gates = None if said is None else Gates(Rows(database), worker="w", said=said, patience=60.0, **world)
        async with endpoint.serve() as url, client(SETTINGS) as http:
            model = connect(
                "anthropic:m", keys={"anthropic": "k"}, base_url=url, settings=SETTINGS, client=http, gates=gates
            )
            began = time.monotonic()
            await asyncio.gather(*(run(number, model) for number in range(options.runs)))
            seconds = time.monotonic() - began
        database.close()
    return parks, seconds, behind


if __name__ == "__main__":
    main()
