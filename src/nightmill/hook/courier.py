"""Delivers the ledger to webhooks: to each in order, each entry until it arrives or is given up, whoever stops meanwhile.

A hook's place in the ledger moves on only when its entry has arrived, so what is under way when the process dies is sent
again with the same id. One process at a time delivers to a hook; which one is for a lease to say.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets as chance
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from nightmill.errors import NightmillError
from nightmill.hook.letter import letter
from nightmill.hook.post import Outside, Undelivered, post
from nightmill.store import Entry, Ledger, Runs
from nightmill.store.hooks import OWN, Hooks
from nightmill.told import Dead, Delivery, Hook

__all__ = ["WAITS", "Courier"]

LOOK = 1.0
"""Seconds between two looks at the hooks."""
WAITS = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 21600.0)
"""Seconds before each further try of an entry; after the last it is given up."""
SHORT = 2
"""Tries of an entry, if the one before was given up: who is away for long is asked less often, and misses nothing."""
PAGE = 100

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Courier:
    """For one event loop. *secrets* gives what a hook's letters are signed with; none: it is kept in another home, for another server."""

    hooks: Hooks
    ledger: Ledger
    runs: Runs
    outside: Outside
    secrets: Callable[[str], Sequence[str]]
    clock: Callable[[], float]
    name: str = field(default_factory=lambda: chance.token_hex(8))
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)
    """Up to where a hook has been looked for without finding anything for it."""

    async def serve(self) -> None:
        """Deliver until cancelled; a store that is away is asked again."""
        try:
            while True:
                try:
                    await self._begin()
                except Exception as error:  # noqa: BLE001 - whatever the store has, it is tried again
                    log.warning("webhooks wait: %s", error)
                await asyncio.sleep(LOOK)
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)
            with suppress(Exception):  # a store that is away: the lease ends by itself
                await asyncio.to_thread(self.hooks.leave, self.name)

    async def round(self) -> None:
        """Deliver what is due now, and wait until that is done."""
        await self._begin()
        await asyncio.gather(*self._under_way.values())
        self._under_way.clear()

    async def _begin(self) -> None:
        """Start on every hook that is due and has something; a slow one holds up no other."""
        self._under_way = {hook: task for hook, task in self._under_way.items() if not task.done()}
        hooks = await asyncio.to_thread(self.hooks.due)
        if not hooks:
            return
        newest = await asyncio.to_thread(self.ledger.last)
        again = {each.hook for each in await asyncio.to_thread(self.hooks.dead) if each.again}
        for each in hooks:
            behind = max(each.seq, self._seen.get(each.id, 0)) < newest
            if (behind or each.id in again) and each.id not in self._under_way:
                self._under_way[each.id] = asyncio.create_task(self._deliver(each.id))

    async def _deliver(self, id: str) -> None:
        try:
            ours = await asyncio.to_thread(self._ours, id)
            hook = await asyncio.to_thread(self.hooks.take, id, self.name) if ours else None
            if hook is not None:
                await self._again(hook)
                await self._on(hook)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - of one hook: the others go on, and this one is taken up again
            log.warning("webhook %s waits: %s", id, error)

    def _ours(self, id: str) -> bool:
        try:
            return bool(self.secrets(id))
        except NightmillError:  # it is here and cannot be opened: that is said where deliveries are
            return True

    async def _on(self, hook: Hook) -> None:
        """Deliver entry after entry, until there is none or one fails."""
        while True:
            newest = await asyncio.to_thread(self.ledger.last)
            after = max(hook.seq, self._seen.get(hook.id, 0))
            page = await asyncio.to_thread(self.ledger.read, after=after, names=hook.events or None, limit=PAGE)
            for entry in page:
                project = await self._project(entry)
                if entry.name not in OWN and hook.project in {"", project}:
                    sent = await self._send(hook, entry, project)
                    if not await asyncio.to_thread(self._noted, hook, sent) or sent.reason:
                        return
                    hook = await asyncio.to_thread(self.hooks.get, hook.id)
                    if hook.paused:
                        return
                self._seen[hook.id] = entry.seq
            if len(page) < PAGE:
                self._seen[hook.id] = max(newest, self._seen.get(hook.id, 0))
                return

    def _noted(self, hook: Hook, sent: Delivery) -> bool:
        """Write down how it went; whether the hook is still ours."""
        if not sent.reason:
            return self.hooks.passed(hook.id, sent, holder=self.name)
        if hook.tries >= (min(SHORT, len(WAITS)) if hook.lost else len(WAITS)):
            return self.hooks.give_up(hook, sent, holder=self.name)
        wait = WAITS[hook.tries] * random.uniform(0.9, 1.1)  # noqa: S311 - so that not all come back at once
        return self.hooks.failed(hook, sent, due=self.clock() + wait, holder=self.name)

    async def _again(self, hook: Hook) -> None:
        """Send what was given up and is wanted once more."""
        wanted: list[Dead] = [each for each in await asyncio.to_thread(self.hooks.dead, hook.id) if each.again]
        for each in wanted:
            entries = await asyncio.to_thread(self.ledger.read, after=each.seq - 1, limit=1)
            sent = await self._send(hook, entries[0], await self._project(entries[0]))
            await asyncio.to_thread(self.hooks.sent_again, each, sent)

    async def _send(self, hook: Hook, entry: Entry, project: str) -> Delivery:
        """Send it once; how that went."""
        made, began, status, reason = letter(hook.url, hook.id, entry, project=project), self._now(), 0, ""
        try:
            if secrets := await asyncio.to_thread(self.secrets, hook.id):
                status = await post(made, made.headers(secrets, at=int(self.clock())), self.outside)
            else:
                reason = "its secret was removed"
        except Undelivered as error:
            status, reason = error.status, str(error)
        except NightmillError as error:
            reason = error.message
        seconds = self._now() - began
        return Delivery(seq=entry.seq, event=entry.name, at=self.clock(), seconds=seconds, status=status, reason=reason)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _project(self, entry: Entry) -> str:
        found = await asyncio.to_thread(self.runs.some, {entry.run}) if entry.run else ()
        return found[0].project if found else ""
