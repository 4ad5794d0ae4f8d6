"""An assistant that listens at /mcp: it hears that a run it may see has changed, soon, and of no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated

from nightmill import event as e
from nightmill.access import Grant
from nightmill.peer.listening import changed
from nightmill.peer.told import Told
from nightmill.server import stretch
from nightmill.server.api.mcp import LISTENING
from tests.server.assistant import talk, token_of
from tests.server.conftest import House, role

SUMMARY, DIFF = "nightmill://runs/{}/summary", "nightmill://runs/{}/diff"
ADA = "ada@example.org"


def heard(house: House, story: Callable[[Client, str], Awaitable[Any]], *grants: Grant) -> Any:
    """What *story* gives, told to a client of somebody with *grants*."""
    token = token_of(house, ADA, *grants)

    async def bounded(client: Client) -> Any:
        async with asyncio.timeout(60):
            return await story(client, token)

    return talk(house, token, bounded)


async def tell(house: House, *events: e.Event) -> None:
    await asyncio.to_thread(house.tell, *events)


def test_who_listens_to_a_run_hears_of_it_and_of_what_it_started(house: House) -> None:
    house.run("rone")
    house.run("rtwo")

    async def story(client: Client, _: str) -> None:
        async with client.listen(resource_subscriptions=[SUMMARY.format("rone"), DIFF.format("rone")]) as told:
            await tell(house, e.RunStarted(run="rtwo", worker="w"), e.RunStarted(run="rone", worker="w"))
            assert await anext(told) == ResourceUpdated(SUMMARY.format("rone"))
            await asyncio.to_thread(house.run, "rchild", parent="rone")
            assert await anext(told) == ResourceUpdated(SUMMARY.format("rone"))
            await tell(house, e.PullRequestOpened(run="rone", number=1, title="T", branch="b", target="main"))
            assert [await anext(told), await anext(told)] == [
                ResourceUpdated(SUMMARY.format("rone")),
                ResourceUpdated(DIFF.format("rone")),
            ]

    heard(house, story, role("viewer"))


def test_who_listens_to_the_list_hears_of_each_run_that_they_may_see(house: House) -> None:
    house.run("rone")
    one, two = SUMMARY.format("rone"), SUMMARY.format("rtwo")

    async def story(client: Client, _: str) -> None:
        async with client.listen(resources_list_changed=True, resource_subscriptions=[one]) as told:
            await asyncio.to_thread(house.run, "rbarn", project="barn")
            await tell(house, e.RunStarted(run="rone", worker="w"))
            assert await anext(told) == ResourceUpdated(one)
            await asyncio.to_thread(house.run, "rtwo")
            assert await anext(told) == ResourcesListChanged()
            assert {each.uri for each in (await client.list_resources()).resources} == {one, two}

    heard(house, story, role("viewer", "shop"))


def test_what_may_not_be_seen_is_not_listened_to(house: House) -> None:
    house.run("rbarn", project="barn")
    house.run("rshop")
    names = [SUMMARY.format("rbarn"), SUMMARY.format("rnone"), "file:///etc/passwd", SUMMARY.format("rsh")]

    async def story(client: Client, _: str) -> None:
        async with client.listen(resource_subscriptions=names) as told:
            assert told.honored.resource_subscriptions == [SUMMARY.format("rsh")]
            await tell(house, e.RunStarted(run="rbarn", worker="w"), e.RunStarted(run="rshop", worker="w"))
            assert await anext(told) == ResourceUpdated(SUMMARY.format("rsh"))

    heard(house, story, role("viewer", "shop"))


@pytest.mark.parametrize("how", ["the token is revoked", "the server ends"])
def test_it_ends_with_the_right_to_see_and_with_the_server(house: House, how: str) -> None:
    house.run("rone")

    def end() -> None:
        if how == "the server ends":
            house.stop()
        else:
            house.site.keys.revoke("assistant", owner=ADA, by=ADA)

    async def story(client: Client, _: str) -> None:
        async with client.listen(resource_subscriptions=[SUMMARY.format("rone")]) as told:
            await asyncio.to_thread(end)
            assert [each async for each in told] == []

    heard(house, story, role("viewer"))


def test_nobody_listens_too_often_or_to_too_much(house: House) -> None:
    house.run("rone")

    async def story(client: Client, _: str) -> None:
        with pytest.raises(MCPError, match="100 resources may be listened to at once"):
            async with client.listen(resource_subscriptions=[SUMMARY.format(f"r{number}") for number in range(101)]):
                pass
        async with asyncio.TaskGroup() as group:
            entered = [asyncio.Event() for _ in range(LISTENING.most)]
            leave = asyncio.Event()

            async def stay(mine: asyncio.Event) -> None:
                async with client.listen(resources_list_changed=True):
                    mine.set()
                    await leave.wait()

            for mine in entered:
                group.create_task(stay(mine))
            for mine in entered:
                await mine.wait()
            with pytest.raises(MCPError, match="you listen 20 times already"):
                async with client.listen(resources_list_changed=True):
                    pass
            leave.set()

    heard(house, story, role("viewer"))


def test_who_missed_something_reads_all_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.run("rone")
    house.run("rtwo")
    monkeypatch.setattr(stretch, "KEPT", 1)

    async def story(client: Client, _: str) -> None:
        async with client.listen(resource_subscriptions=[SUMMARY.format("rone")]) as told:
            await tell(house, e.RunStarted(run="rtwo", worker="w"))
            assert await anext(told) == ResourceUpdated(SUMMARY.format("rone"))

    heard(house, story, role("viewer"))


def test_all_may_be_another_after_much_and_nothing_after_what_is_of_nobody() -> None:
    wanted = {SUMMARY.format("rone"): "rone", DIFF.format("rone"): "rone"}

    assert list(changed(None, wanted, lists=True)) == [ResourcesListChanged(), *map(ResourceUpdated, wanted)]
    assert list(changed([Told("turn_finished", "rtwo")], wanted, lists=True)) == []
