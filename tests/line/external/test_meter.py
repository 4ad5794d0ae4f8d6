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
from nightmill.model.passing import Call
from nightmill.policy import Budget
from nightmill.policy.purse import Purse
from nightmill.store.accounts import Accounts, Bound
from nightmill.store.accounts import Call as Account
from tests.line.conftest import World
from tests.line.external.conftest import until


def asked(*texts: str, padding: int = 0) -> Foreign:
    messages = [{"role": "user", "content": text} for text in texts]
    body = json.dumps({"messages": messages, "max_tokens": 1024}) + " " * padding
    return read_foreign(body.encode(), dialect="anthropic")


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
        emit=lambda _: None,
        seconds=lambda: 0.0,
        began=lambda: None,
        free=free,
        purse=world.machines.purse,
        bounds=(Bound(scope="day", money=1_000_000, tokens=0),),
        account=account,
        keep=world.machines.blobs.put,
    )


def price(given: int, made: int) -> float:
    return (given + made) / 1e6


def test_what_an_agent_pads_its_first_request_with_makes_no_later_one_cheaper(world: World, tmp_path: Path) -> None:
    async def story() -> None:
        account = meter(world, tmp_path, tokens=50_000, context=200_000)
        first = await account.reserve(asked("hi", "a" * 10, padding=1 << 20), price=price)
        first.settle(Call(status=200, usage=Usage(input=20, output=10), complete=True, cost=0.0), None)
        with pytest.raises(LimitReached):
            await account.reserve(asked("hi", "7 4 1 9 3 " * 80_000), price=price)
        assert (await account.reserve(asked("hi", "a" * 10, "b"), price=price)).held.given < 60, (
            "what was counted is known"
        )

    asyncio.run(story())


class Slow(Accounts):
    """A store that takes its time over a reservation."""

    begun, going = threading.Event(), threading.Event()

    def reserve(self, *args: Any, **named: Any) -> Any:
        self.begun.set()
        self.going.wait(60)
        return super().reserve(*args, **named)


def test_a_call_whose_asker_hangs_up_while_it_is_reserved_holds_nothing(world: World, tmp_path: Path) -> None:
    async def story() -> None:
        accounts = Slow(world.machines.database)
        account = meter(world, tmp_path, tokens=1_000_000, context=500_000)
        account.purse = Purse(accounts)
        waiting = asyncio.ensure_future(account.reserve(asked("hi"), price=price))
        await until(accounts.begun.is_set)
        waiting.cancel()
        await asyncio.wait({waiting})
        accounts.going.set()
        account.purse.close()
        assert accounts.standing(scope="day").held_tokens == 0
        assert account.open == 0

    asyncio.run(story())


def test_an_account_that_is_cut_anywhere_is_read_and_gone_on_with(world: World, tmp_path: Path) -> None:
    async def story() -> None:
        whole = meter(world, tmp_path, tokens=1_000_000, context=500_000)
        first = await whole.reserve(asked("hi"), price=price)
        first.settle(Call(status=200, usage=Usage(input=20, output=10), complete=True, cost=0.5), None)
        second = await whole.reserve(asked("hi", "ho"), price=price)
        body = whole.file.read_bytes()
        begun, ended, _ = (at for at, sign in enumerate(body) if sign == ord("\n"))
        for cut in range(len(body) + 1):
            folder = tmp_path / str(cut)
            folder.mkdir()
            (folder / "calls.jsonl").write_bytes(body[:cut])
            after = meter(world, folder, tokens=1_000_000, context=500_000)
            after.load()
            # All but the end of a line is the line: what it says counts.
            held = Usage(input=first.held.given, output=first.allowed) if begun <= cut < ended else Usage()
            paid = Usage(input=20, output=10) if cut >= ended else Usage()
            open_ = Usage(input=second.held.given, output=second.allowed) if cut >= len(body) - 1 else Usage()
            assert after.used.usage == held + paid + open_, cut

            third = await after.reserve(asked("hi", "ho", "hu"), price=price)
            third.settle(Call(status=200, usage=Usage(input=1, output=1), complete=True, cost=0.0), None)
            again = meter(world, folder, tokens=1_000_000, context=500_000)
            again.load()
            assert again.used == after.used, cut

    asyncio.run(story())
