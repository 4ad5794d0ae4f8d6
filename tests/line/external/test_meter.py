"""What is set aside for an external agent's calls before they are made."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import LimitReached
from nightmill.line.meter import Meter
from nightmill.model import Usage
from nightmill.model.foreign import Foreign, read_foreign
from nightmill.model.gateway import Call
from nightmill.policy import Budget
from nightmill.policy.purse import Purse
from nightmill.store.accounts import Accounts, Bound
from nightmill.store.accounts import Call as Account
from tests.line.conftest import World
from tests.line.external.conftest import until


def asked(*texts: str, padding: int = 0) -> Foreign:
    messages = [{"role": "user", "content": text} for text in texts]
    body = json.dumps({"messages": messages, "max_tokens": 1024}) + " " * padding
    return read_foreign(body.encode(), dialect="anthropic", model="m")


def meter(world: World, folder: Path, **budget: Any) -> Meter:
    def account(key: str) -> Account:
        return Account(id=f"r1/{key}", run="r1", worker="w1", project="p", spec="r1")

    free = asyncio.Event()
    free.set()
    return Meter(
        run="r1",
        file=folder / "calls.jsonl",
        budget=Budget(turns=100, money=100.0, seconds=1000.0, **budget),
        max_tokens=1024,
        price=lambda given, made: (given + made) / 1e6,
        emit=lambda _: None,
        seconds=lambda: 0.0,
        began=lambda: None,
        free=free,
        purse=world.machines.purse,
        bounds=(Bound(scope="day", money=1_000_000, tokens=0),),
        account=account,
    )


def test_what_an_agent_pads_its_first_request_with_makes_no_later_one_cheaper(world: World, tmp_path: Path) -> None:
    async def story() -> None:
        account = meter(world, tmp_path, tokens=50_000, context=200_000)
        first = await account.reserve(asked("hi", "a" * 10, padding=1 << 20))
        first.settle(Call(status=200, usage=Usage(input=20, output=10), complete=True, cost=0.0))
        with pytest.raises(LimitReached):
            await account.reserve(asked("hi", "7 4 1 9 3 " * 80_000))
        assert (await account.reserve(asked("hi", "a" * 10, "b"))).given < 60, "what was counted is known"

    asyncio.run(story())


class Slow(Accounts):
    """A store that takes its time over a reservation."""

    begun, going = threading.Event(), threading.Event()

    def reserve(self, *args: Any, **named: Any) -> Any:
        self.begun.set()
        self.going.wait(20)
        return super().reserve(*args, **named)


def test_a_call_whose_asker_hangs_up_while_it_is_reserved_holds_nothing(world: World, tmp_path: Path) -> None:
    async def story() -> None:
        accounts = Slow(world.machines.database)
        account = meter(world, tmp_path, tokens=1_000_000, context=500_000)
        account.purse = Purse(accounts)
        waiting = asyncio.ensure_future(account.reserve(asked("hi")))
        await until(accounts.begun.is_set)
        waiting.cancel()
        await asyncio.wait({waiting})
        accounts.going.set()
        account.purse.close()
        assert accounts.standing(scope="day").held_tokens == 0
        assert account.open == 0

    asyncio.run(story())
