"""The server as a process: uvicorn, made patient with nobody who says nothing."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from nightmill.server.app import make
from nightmill.server.place import neighbours
from nightmill.server.problem import MEDIA, answer
from nightmill.server.site import Site

__all__ = ["run"]

PATIENCE = 15.0
"""Seconds in which the head of a request is there, counted from the connection, or from the answer before."""
HEAD = 32 << 10
"""Bytes of a head."""
STUCK = 30.0
"""Seconds for which what was written may lie there and nobody takes any of it."""
UNSENT = 128 << 10
"""Bytes that the kernel takes for a connection beyond those that are on their way."""
MOST = 2_000
"""Connections at once."""
PEER = MOST // 2
"""Of one address, or one house of IPv6: nobody takes all of them. Behind a proxy all are its own, and `limits` counts who is behind it."""
GRACE = 5
"""Seconds in which answers under way may end when it stops."""
OWN = 256
"""Files that it needs for itself: its store, its code, pipes."""
ARRIVING, RARE = 512, 64
"""Connections that are accepted at once, before any is looked at; and where files are rare."""


def _no(status: str, title: str) -> bytes:
    """All that is said to one connection too many, whatever it asks: nothing of it is read."""
    body = bytes(answer(int(status[:3]), title, hint="end one, or try again soon").body)
    return b"\r\n".join((
        f"HTTP/1.1 {status}".encode(), f"Content-Type: {MEDIA}".encode(), b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store", b"Retry-After: 5", b"Connection: close", b"", body,
    ))  # fmt: skip


FULL = _no("429 Too Many Requests", f"{PEER:,} connections come from your address already")
CROWDED = _no("503 Service Unavailable", "there are as many connections as this server may have at once")


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that hangs up on whoever opens a connection and does not ask for anything.

    uvicorn closes connections that are idle after an answer; one that never sent a whole head it keeps for ever.
    """

    def __init__(self, *named: Any, proxied: bool, most: int, **more: Any) -> None:
        """As uvicorn makes it; *proxied*: only ever by a proxy; *most*: connections at once."""
        super().__init__(*named, **more)
        self.proxied, self.most, self.peer = proxied, most, ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Send at once what is written, and begin to wait for a head."""
        super().connection_made(transport)
        self.peer = neighbours(self.client[0] if self.client else "")
        # asyncio does it only for sockets that say they are TCP's; else a body waits 40 ms for its head to be acknowledged
        with suppress(OSError):
            line = transport.get_extra_info("socket")
            line.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
            # else the kernel keeps megabytes for each who takes nothing
            line.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NOTSENT_LOWAT, UNSENT)
        self.waiting = self.loop.call_later(PATIENCE, self._hang_up)
        self.stuck: asyncio.TimerHandle | None = None
        if len(self.connections) > self.most:
            transport.write(CROWDED)
            transport.close()
        elif not self.proxied and sum(getattr(each, "peer", "") == self.peer for each in self.connections) > PEER:
            transport.write(FULL)
            transport.close()

    def pause_writing(self) -> None:
        """More is written than is taken: who takes nothing for long is cut off with all that is kept for them."""
        super().pause_writing()
        self._look_again(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It was taken."""
        super().resume_writing()
        if self.stuck is not None:
            self.stuck.cancel()

    def handle_events(self) -> None:
        """As uvicorn does; a whole head ends the wait."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self.waiting.cancel()

    def on_response_complete(self) -> None:
        """The next head is waited for."""
        super().on_response_complete()
        self.waiting.cancel()
        if not self.transport.is_closing():
            self.waiting = self.loop.call_later(PATIENCE, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self.waiting.cancel()
        if self.stuck is not None:
            self.stuck.cancel()
        super().connection_lost(exc)

    def _look_again(self, size: int) -> None:
        self.stuck = self.loop.call_later(STUCK, self._cut_off, size)

    def _cut_off(self, size: int) -> None:
        """Unless some was taken of the *size* bytes that lay there."""
        now = self.transport.get_write_buffer_size()
        if now >= size:
            self.transport.abort()
        else:
            self._look_again(now)

    def _hang_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's, which leaves signals to who runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def run(site: Site, *, socket: sockets.socket, ready: Callable[[], None], files: int = 1 << 20) -> None:
    """Serve *site* on *socket*, which listens, until cancelled or told to stop; call *ready* when it answers.

    *files* may be open at once: connections beyond what that allows are told so, and nothing else wants for one.
    """
    arriving = ARRIVING if files > MOST + ARRIVING + OWN else RARE
    most = min(MOST, files - arriving - OWN)
    config = uvicorn.Config(
        make(site),
        http=partial(PatientProtocol, proxied=site.secure, most=most),  # type: ignore[arg-type]  # it is only ever called
        backlog=arriving,
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=int(PATIENCE),
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=MOST + 1,
        h11_max_incomplete_event_size=HEAD,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[socket]))
    ready()  # whoever comes before it reads waits in the socket's queue
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        site.feed.close()  # streams never end by themselves
        await serving
