"""What every route works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from fastapi import Request

from nightmill.access import Person
from nightmill.desk import hooks
from nightmill.desk.door import Door
from nightmill.desk.night import Nights
from nightmill.hook import Courier
from nightmill.peer.visit import Starter
from nightmill.server.feed import Feed
from nightmill.server.rates import Rates
from nightmill.server.streams import Streams
from nightmill.store.hooks import Hooks
from nightmill.store.keys import Keys
from nightmill.store.people import People

if TYPE_CHECKING:
    from nightmill.server.identity.provider import Provider

__all__ = ["Site", "site_of"]


@dataclass(kw_only=True)
class Site:
    """One server.

    Attributes:
        origin: Where browsers find it, such as `https://mill.example.org`: the only origin that may write.
        local: Everybody who comes is this person, where sign-in is off; None: they have to show who they are.
        clock: Unix seconds.
        provider: Who speaks for people besides their passwords; None: nobody.
        streams: Those of events that are open.
        starter: What has runs begin on this machine; None: none begin through this server.
    """

    door: Door
    people: People
    keys: Keys
    feed: Feed
    origin: str
    clock: Callable[[], float]
    local: Person | None = None
    starter: Starter | None = None
    provider: Provider | None = None
    rates: Rates = field(default_factory=Rates)
    streams: Streams = field(default_factory=Streams)

    def __post_init__(self) -> None:
        self.feed.ask = self.streams.ask

    @cached_property
    def nights(self) -> Nights:
        """What happened since yesterday evening."""
        return Nights(self.door)

    @cached_property
    def courier(self) -> Courier:
        """What tells programs elsewhere."""
        door = self.door
        return Courier(
            hooks=Hooks(door.database, self.clock),
            ledger=door.ledger,
            runs=door.runs,
            outside=hooks.outside(door),
            secrets=lambda hook: hooks.kept(door, hook, at=self.clock()),
            clock=self.clock,
        )

    @property
    def secure(self) -> bool:
        """Whether browsers come by https, so that cookies need not go any other way."""
        return self.origin.startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie: by https one that no other host or path can set."""
        return "__Host-nightmill" if self.secure else "nightmill"

    @property
    def attempt(self) -> str:
        """The name of the cookie of somebody who is at the identity provider."""
        return f"{self.cookie}-attempt"

    @property
    def origins(self) -> frozenset[str]:
        """What browsers say in `Origin` of our own pages."""
        return frozenset(f"{urlsplit(self.origin).scheme}://{host}" for host in self.hosts)

    @property
    def hosts(self) -> frozenset[str]:
        """The values of the Host header that are answered: any other is somebody's trick with names (DNS rebinding)."""
        parts = urlsplit(self.origin)
        names = {parts.netloc}
        if parts.hostname in {"127.0.0.1", "localhost", "::1"}:
            port = f":{parts.port}" if parts.port else ""
            names |= {f"{name}{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        return frozenset(names)


def site_of(request: Request) -> Site:
    """The server that *request* came to."""
    return cast("Site", request.app.state.site)
