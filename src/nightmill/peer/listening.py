"""Which resources somebody listens to, and that they changed: a client reads them again then.

The newer era of the protocol has a request for it whose answer lasts. The one of 2025 has a subscription per resource, and
what is told of it comes between other messages: that takes a line that lasts, such as standard output.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from mcp import types
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ResourcesListChanged,
    ResourceUpdated,
    event_to_notification,
)

from nightmill import event as e
from nightmill.errors import NightmillError, SettingsError
from nightmill.peer.told import News, Told
from nightmill.peer.visit import Visit

__all__ = ["DIFF", "PREFIX", "SUMMARY", "Listening", "split"]

PREFIX, SUMMARY, DIFF = "nightmill://runs/", "summary", "diff"

PACE = 1.0
"""Seconds between two notes of what changed: a run at work tells the ledger many things in one."""
MOST = 100
"""Resources that are listened to at once."""

LISTED = frozenset({e.RunQueued.name, e.PullRequestOpened.name})
"""Events after which there is another resource."""


Changed = ResourceUpdated | ResourcesListChanged


class Listening:
    """What one who came listens to."""

    def __init__(self, visit: Visit, news: News) -> None:
        self.visit, self.news = visit, news
        self._wanted: dict[str, str] = {}
        self._telling: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    async def listen(self, context: Any, asked: types.SubscriptionsListenRequestParams) -> Any:
        """Tell what changes of what is *asked* for, until the other side goes or the news end."""
        said = asked.notifications
        names = list(dict.fromkeys(said.resource_subscriptions or ()))[: MOST + 1]
        wanted = await asyncio.to_thread(self._known, names)
        honored = said.model_copy(update={"resource_subscriptions": list(wanted) or None})
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: context.request_id}
        acknowledged = types.SubscriptionsAcknowledgedNotificationParams(notifications=honored, _meta=meta)
        async with aclosing(self.news()) as news:
            await _begun(news)
            send = context.session.send_notification
            note = types.SubscriptionsAcknowledgedNotification(params=acknowledged)
            await send(note, related_request_id=context.request_id)
            async for told in news:
                for each in changed(told, wanted, lists=bool(said.resources_list_changed)):
                    await send(event_to_notification(each, meta), related_request_id=context.request_id)
                await asyncio.sleep(PACE)
        return types.SubscriptionsListenResult(_meta=meta)

    async def subscribe(self, context: Any, asked: types.SubscribeRequestParams) -> types.EmptyResult:
        """Tell from now on when the resource that is *asked* for changes."""
        if asked.uri not in self._wanted:
            found = await asyncio.to_thread(self._known, [*self._wanted, asked.uri])
            if asked.uri not in found:
                raise MCPError(
                    types.INVALID_PARAMS, f"there is no resource {asked.uri[:200]!r}", {"uri": asked.uri[:200]}
                )
            self._wanted[asked.uri] = found[asked.uri]
        async with self._beginning:
            if self._telling is None or self._telling.done():
                news = self.news()
                await _begun(news)
                self._telling = asyncio.create_task(self._tell(news, context.session))
        return types.EmptyResult()

    async def unsubscribe(self, _context: Any, asked: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Tell it no more."""
        self._wanted.pop(asked.uri, None)
        if not self._wanted:
            await self.end()
        return types.EmptyResult()

    async def end(self) -> None:
        """Tell nothing any more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])

    async def _tell(self, news: AsyncGenerator[Sequence[Told] | None], session: Any) -> None:
        async with aclosing(news):
            async for told in news:
                for each in changed(told, self._wanted, lists=False):
                    await session.send_notification(event_to_notification(each, {}))
                await asyncio.sleep(PACE)

    def _known(self, uris: Sequence[str]) -> dict[str, str]:
        """The run of each of *uris* that they may see."""
        if len(uris) > MOST:
            raise MCPError(types.INVALID_PARAMS, f"{MOST} resources may be listened to at once")
        found = {}
        for uri in uris:
            try:
                found[uri] = self.visit.run(split(uri).run, "view").id
            except SettingsError:
                continue
        return found


async def _begun(news: AsyncGenerator[Sequence[Told] | None]) -> None:
    try:
        await anext(news)
    except NightmillError as error:
        raise MCPError(types.INTERNAL_ERROR, error.message, {"hint": error.hint}) from error


class Named(NamedTuple):
    """The parts of the name of a resource."""

    run: str
    kind: str


def split(uri: str) -> Named:
    """The parts of *uri*.

    Raises:
        SettingsError: If it names no resource of ours.
    """
    run, _, kind = uri.removeprefix(PREFIX).partition("/")
    if not uri.startswith(PREFIX) or kind not in {SUMMARY, DIFF}:
        raise SettingsError(f"there is no resource {uri[:200]!r}")
    return Named(run, kind)


def changed(told: Sequence[Told] | None, wanted: Mapping[str, str], *, lists: bool) -> Iterator[Changed]:
    """What of *wanted*, the run of each resource, is another one after what was *told*; if *lists*, their list too."""
    everything = told is None
    if lists and (everything or any(each.name in LISTED for each in told or ())):
        yield ResourcesListChanged()
    touched = _touched(told or ())
    proposed = {each.run for each in told or () if each.name == e.PullRequestOpened.name}
    for uri, run in list(wanted.items()):
        if everything or run in (touched if split(uri).kind == SUMMARY else proposed):
            yield ResourceUpdated(uri=uri)


def _touched(told: Iterable[Told]) -> set[str]:
    return {run for each in told for run in (each.run, *each.above)}
