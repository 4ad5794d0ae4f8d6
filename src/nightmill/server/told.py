"""What happens, as an assistant listens to it: what somebody may see of the feed, without the words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from nightmill.access import Person
from nightmill.peer.told import Told
from nightmill.server.feed import Feed
from nightmill.server.stretch import Item

__all__ = ["told"]


async def told(feed: Feed, who: Person, *, over: asyncio.Event) -> AsyncGenerator[Sequence[Told] | None]:
    """What happens from now on until it is *over*, as `peer.told.News` has it."""
    seen = who.projects("view")

    def wants(item: Item) -> bool:
        return bool(item.run) and (seen is None or item.place.project in seen)

    async with aclosing(feed.told(wants, over=over)) as found:
        async for items in found:
            yield None if items is None else [Told(each.name, each.run, each.place.above) for each in items]
