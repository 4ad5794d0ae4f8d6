"""The services of one live sandbox: start them in order, wait until they answer, know when one ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from signal import Signals
from typing import Any

from nightmill.errors import SandboxError
from nightmill.sandbox.channel import Answer
from nightmill.sandbox.nouns import Command, Limits, Service, ServiceState
from nightmill.sandbox.runner import GRACE, Runner, outcome

__all__ = ["RunnerServices", "order"]

ASK = """
command -v timeout >/dev/null || timeout() { perl -e 'alarm shift; exec @ARGV' "$@"; }  # macOS has none
until timeout 10 bash -c "$1"; do sleep 0.05; done
"""
SAID = 2_000
"""Bytes of what the last attempts to reach a service said."""

ENDS = {
    "memory": "it used more memory than it may",
    "disk": "the sandbox used up its disk while no command ran",
    "processes": "it started more processes than it may",
    "cancelled": "it was stopped before it began",
    "timeout": "it did not end when it was asked to and was killed",
}


@dataclass(slots=True)
class Live:
    """A service that was started: by its number the runner knows it, whatever a command calls itself."""

    service: Service
    number: int
    answer: asyncio.Future[Answer]
    state: ServiceState
    said: bytes = b""


class RunnerServices:
    """Services that the runner inside keeps; the same for every backend that has one."""

    def __init__(self, runner: Callable[[], Runner]) -> None:
        """*runner* gives the sandbox's runner, or a SandboxError if there is none."""
        self.runner = runner
        self.live: dict[str, Live] = {}

    async def start(self, *services: Service) -> None:
        """Start *services*, again if they run, and wait until each is ready or cannot be; what became of it is its state.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        for wave in order(services):
            await _all([self._start(service) for service in wave])

    async def stop(self, *names: str) -> None:
        """Ask *names* to end, and wait until they have; none given: all, those that others wait for last."""
        wanted = [live.service for name, live in self.live.items() if name in names or not names]
        for wave in reversed(order(wanted)):
            await _all([self._stop(self.live[service.name]) for service in wave])

    def states(self) -> tuple[ServiceState, ...]:
        """How each service is that was started."""
        return tuple(live.state for live in self.live.values())

    async def log(self, name: str) -> bytes:
        """The newest output of *name*."""
        live = self.live[name]
        said = await self.runner().log(live.number) if not live.answer.done() else b""
        return live.said if live.answer.done() else said  # it may have ended meanwhile

    async def again(self) -> None:
        """Start what was started before: the sandbox has been rolled back, and nothing of it runs.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        await self.start(*(live.service for live in self.live.values()))

    async def _start(self, service: Service) -> None:
        if service.name in self.live:
            await self._stop(self.live[service.name])
        number, answer = await self.runner().serve(service)
        live = Live(service, number, answer, ServiceState(name=service.name, state="starting"))
        self.live[service.name] = live
        answer.add_done_callback(lambda _: self._ended(live))
        if service.ready:
            await self._await_ready(live)
        elif not answer.done():
            live.state = replace(live.state, state="ready")

    async def _await_ready(self, live: Live) -> None:
        """Ask until it answers, its patience is over, or it has ended."""
        service = live.service
        limits = Limits(seconds=service.patience, output=SAID)
        command = Command(
            argv=("bash", "-c", ASK, "ready", service.ready), cwd=service.cwd, env=service.env, limits=limits
        )
        asked = asyncio.ensure_future(self.runner().run(command))
        either: set[asyncio.Future[Any]] = {asked, live.answer}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not asked.done():
                asked.cancel()
                await asyncio.wait({asked})
        if live.answer.done():
            live.answer.result()  # raises, if the sandbox ended
            return
        found = asked.result()
        if not found.exit and not found.stopped:
            live.state = replace(live.state, state="ready", seconds=found.seconds)
            return
        words = " ".join(found.text.split())[-300:]
        said = "".join(letter if letter.isprintable() else "?" for letter in words)  # it comes from inside
        reason = f"it did not answer within {service.patience:g} s" + (f": {said}" if said else "")
        live.state = replace(live.state, state="unready", reason=reason)

    async def _stop(self, live: Live) -> None:
        if not live.answer.done():
            number = int(Signals[f"SIG{live.service.stop}"])
            self.runner().halt(live.number, signal=number, grace=live.service.grace)
            await self.runner().within(live.service.grace + GRACE, live.answer)

    def _ended(self, live: Live) -> None:
        """Note how it ended. An answer that makes no sense ends the sandbox."""
        try:
            found = outcome(live.answer.result())
        except SandboxError as error:
            live.state = replace(live.state, state="ended", exit=-9, reason=error.message)
            if not live.answer.exception():
                self.runner().kill()
            return
        words = f"exit status {found.exit}" if found.exit >= 0 else f"ended by signal {-found.exit}"
        live.said = found.output
        live.state = replace(live.state, state="ended", exit=found.exit, reason=ENDS.get(found.stopped, words))


def order(services: Sequence[Service]) -> list[list[Service]]:
    """*services* in waves: each waits only for what is in waves before it. A circle is one wave."""
    waves, left = [], list(services)
    while left:
        names = {service.name for service in left}
        wave = [service for service in left if not names & set(service.after)] or left
        waves.append(wave)
        left = [service for service in left if service not in wave]
    return waves


async def _all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all of *work* at once, to its end; then fail if one of it did."""
    for ended in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
