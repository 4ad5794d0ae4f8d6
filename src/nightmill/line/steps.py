"""What a run needs of the durable engine, and how it waits: for a provider, for a person."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from nightmill import event
from nightmill.errors import (
    ModelUnavailable,
    NightmillError,
    NotYet,
    SandboxError,
    SettingsError,
    StoreUnavailable,
    from_plain,
)
from nightmill.line.control import Cancelled
from nightmill.line.stop import Stopped

if TYPE_CHECKING:
    from nightmill.line.control import Control
    from nightmill.line.machines import Machines
    from nightmill.store.questions import Question

__all__ = ["Body", "Steps", "Waiting"]

Body = Callable[[], Awaitable[dict[str, Any]]]
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
LONGEST = 8_000
"""Characters of an error that a checkpoint keeps: it is bounded, and a reason that is too long would be lost whole."""
SHORTEST_PARK, LONGEST_PARK = 1.0, 3600.0
FOREVER = 365 * 86400.0


class Steps(Protocol):
    """A durable run's own view of the engine."""

    async def step(self, name: str, body: Body) -> dict[str, Any]:
        """Run *body* once and remember its result; after a crash the result is there without running it again."""
        ...

    async def receive(self, topic: str, seconds: float) -> Any | None:
        """The next message on *topic*, or None after *seconds*; both are remembered."""
        ...


class Waiting:
    """Steps that may have to wait: nothing is spent and no sandbox is held meanwhile."""

    def __init__(
        self, *, run: str, machines: Machines, steps: Steps, control: Control, rest: Callable[[], Awaitable[None]]
    ) -> None:
        self._run = run
        self._machines = machines
        self.steps = steps
        self._control = control
        self._rest = rest

    async def attempt(self, name: str, body: Body) -> dict[str, Any]:
        """Run the step *name* until it gives a result that is not a reason to wait.

        Raises:
            Stopped: If it failed for good, or a person cancelled the run.
        """
        parked = 0
        while True:
            result = await self.steps.step(name, lambda: self._plain(body))
            if "wanted" in result:
                await self.obey(result["wanted"], result.get("by", ""))
            elif "error" in result:
                await self._bear(from_plain(result["error"]), parked, keep=name == "turn")
                parked += 1
            else:
                return result

    async def decided(self, question: Question) -> Question:
        """Ask *question* and wait until people have decided it or its time is over: it may take weeks, and spends nothing.

        Whoever only resumes the run has not decided, and it goes on waiting.

        Raises:
            Stopped: If a person cancelled the run meanwhile.
        """
        while True:
            asked = await self.steps.step("ask", lambda: self._ask(question))
            if asked["decided"]["state"] != "open":
                return replace(question, **asked["decided"])
            if asked["wanted"] == "run":
                await self.obey(*await self._resumed(asked, asked["left"]))
            else:
                await self.obey(asked["wanted"], asked["by"])

    async def obey(self, wanted: str, by: str) -> None:
        """Wait while *wanted* is "pause".

        Raises:
            Stopped: If it is "cancel".
        """
        while wanted == "pause":
            pausing = event.RunPaused(run=self._run, by=by)
            since = await self.steps.step("pause", partial(self._begin, pausing, unless_resumed=True))
            wanted, by = (since["wanted"], since["by"]) if since["wanted"] != "pause" else await self._resumed(since)
        if wanted == "cancel":
            raise Stopped("cancelled", f"cancelled by {by or 'a person'}")

    async def _plain(self, body: Body) -> dict[str, Any]:
        try:
            self._machines.spare()
            return await body()
        except StoreUnavailable:
            raise
        except Cancelled:
            return {"wanted": "cancel", "by": self._control.by}
        except NightmillError as error:
            plain = self._short(error).to_plain()
            return {"error": {**plain, "message": plain["message"][:LONGEST]}}
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            hint = "make space there, or let it be written"
            return {"error": SandboxError(f"{error.filename or 'a file'}: {error.strerror}", hint=hint).to_plain()}

    def _short(self, error: NightmillError) -> NightmillError:
        """What a person must change first: whatever failed for want of space is tried again when there is some."""
        try:
            self._machines.spare()
        except SandboxError as short:
            return short
        return error

    async def _bear(self, error: NightmillError, parked: int, *, keep: bool) -> None:
        """Wait for what *error* says must change, or stop. *keep*: a worker without the key must not end its work."""
        if isinstance(error, ModelUnavailable):
            wait = max(error.retry_after or 0.0, self._machines.settings.park_seconds * 2 ** min(parked, 30))
            await self._park(error, needs="time", wait=min(wait, LONGEST_PARK))
        elif isinstance(error, NotYet):
            await self._park(error, needs="time", wait=max(error.seconds, SHORTEST_PARK))
        elif isinstance(error, SandboxError) or (keep and isinstance(error, SettingsError)):
            await self._park(error, needs="person", wait=FOREVER)
        else:
            raise Stopped.of(error)

    async def _park(self, error: NightmillError, *, needs: str, wait: float) -> None:
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        until = self._machines.now() + wait if needs == "time" else 0.0
        parked = event.RunParked(run=self._run, reason=reason, needs=needs, until=until)
        since = await self.steps.step("park", lambda: self._begin(parked))
        await self.obey(*await self._resumed(since, wait))

    async def _begin(
        self,
        waiting: event.RunPaused | event.RunParked,
        *,
        unless_resumed: bool = False,
    ) -> dict[str, Any]:
        """Tell that the run waits, and give what was wanted just before: whatever is wanted later ends the wait."""
        wish = self._machines.runs.wanted([self._run])[self._run]
        self._control.want(wish.wanted, wish.by)
        self._control.said(wish.words)
        if not unless_resumed or wish.wanted == "pause":
            self._machines.ledger.emit(waiting)
        return {"wanted": wish.wanted, "by": wish.by, "count": wish.count}

    async def _ask(self, question: Question) -> dict[str, Any]:
        """The question as it stands, and what was wanted just before: a decision or a wish after that ends the wait."""
        wish = self._machines.runs.wanted([self._run])[self._run]
        self._control.want(wish.wanted, wish.by)
        self._control.said(wish.words)
        questions = self._machines.questions
        await self._machines.ledger.flush()  # what led to the question stands before it in the ledger
        questions.ask(question)
        found = questions.get(question.id)
        if found.state == "open" and wish.wanted == "run":
            self._machines.ledger.emit(event.RunParked(run=self._run, reason=found.title, needs="person"))
        left = max(found.expires - self._machines.now(), SHORTEST_PARK) if found.expires else FOREVER
        decided = {name: getattr(found, name) for name in ("state", "answer", "by", "created", "expires", "decided")}
        return {"wanted": wish.wanted, "by": wish.by, "count": wish.count, "left": left, "decided": decided}

    async def _resumed(self, since: dict[str, Any], wait: float = FOREVER) -> tuple[str, str]:
        """What is wanted next after *since*: the newest wish of a person, or "run" after *wait* seconds.

        Messages of wishes that were known by then are left from before and say nothing.
        """
        await self._rest()
        message = await self.steps.receive("control", wait)
        while message is not None and message["count"] <= since["count"]:
            message = await self.steps.receive("control", wait)
        wanted, by = (message["wanted"], message["by"]) if message else ("run", "clock")
        if wanted == "run":
            await self.steps.step("resume", lambda: self._tell(event.RunResumed(run=self._run, by=by)))
        return wanted, by

    async def _tell(self, told: event.Event) -> dict[str, Any]:
        self._machines.ledger.emit(told)
        return {}
