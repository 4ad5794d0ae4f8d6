"""The way to the host's proxy where no socket of it is at hand: connections carried over the runner's own frames.

The runner itself listens on the port that tools are told, and each connection is a way with a number. Either side may
have `WINDOW` bytes under way that the other has not yet passed on, so a reader that sleeps holds up nobody but itself.
"""

from __future__ import annotations

import _socket
import posix as os  # what os itself would add is slow to import, and never used here
import select

from nightmill.sandbox.inside.relay import CONNECTIONS, listen

__all__ = ["OPERATIONS"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

WINDOW, PIECE, BACKLOG = 1 << 18, 1 << 16, 1 << 20


class Way:
    """One connection: what is still to be written to it, and how much may still be sent from it."""

    def __init__(self, number: int, sock: Any) -> None:
        self.number, self.sock, self.fd = number, sock, sock.fileno()
        self.credit, self.pending = WINDOW, bytearray()
        self.heard = self.told = False  # whether it has sent its last, and whether it was sent the host's last
        self.last = False  # whether what is pending is the host's last
        self.watched = 0


class Ferry:
    """All ways of one sandbox, looked after by the runner's loop."""

    def __init__(self, runner: Any) -> None:
        self.runner, self.number, self.full = runner, 0, False
        self.ways: Dict[int, Way] = {}
        self.listener = listen()
        runner.watch(self.listener.fileno(), self.accept)

    def accept(self) -> None:
        """Open a way for each connection that waits, while there is place; then they wait outside."""
        while len(self.ways) < CONNECTIONS:
            try:
                fd, _ = self.listener._accept()  # what socket.accept() calls
            except OSError:
                return
            sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, fd)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            os.set_blocking(fd, False)
            self.number += 1
            way = self.ways[self.number] = Way(self.number, sock)
            self.runner.handlers[fd] = lambda way=way: self.look(way)
            self.tell(way, open=1)
            self.settle(way)
        if not self.full:
            self.runner.poll.unregister(self.listener.fileno())
            self.full = True

    def take(self, asked: Dict[str, Any], body: bytes) -> None:
        """Do what the host says of one way; it may be gone by now."""
        way = self.ways.get(asked["way"])
        if way is None:
            return
        way.credit += asked.get("took", 0)
        way.pending += body
        way.last = way.last or "last" in asked
        way.heard = way.heard or "gone" in asked
        self.look(way)

    def look(self, way: Way) -> None:
        """Write what it takes, and read what the host may be sent."""
        try:
            self.write(way)
            self.read(way)
        except BlockingIOError:
            pass
        except OSError:
            self.tell(way, gone=1)
            self.drop(way)
            return
        self.settle(way)

    def write(self, way: Way) -> None:
        """Pass on what the host sent."""
        took = 0
        try:
            while way.pending:
                size = os.write(way.fd, way.pending[:PIECE])
                del way.pending[:size]
                took += size
        except BlockingIOError:
            pass
        if took:
            self.tell(way, took=took)
        if way.last and not way.pending and not way.told:
            way.told = True
            way.sock.shutdown(_socket.SHUT_WR)

    def read(self, way: Way) -> None:
        """Send one piece of what it says."""
        if not self.open(way):
            return
        piece = os.read(way.fd, min(PIECE, way.credit))
        if piece:
            way.credit -= len(piece)
            self.tell(way, piece)
        else:
            way.heard = True
            self.tell(way, last=1)

    def open(self, way: Way) -> bool:
        """Whether more may be read of it now."""
        return not way.heard and way.credit > 0 and len(self.runner.outgoing) < BACKLOG

    def settle(self, way: Way) -> None:
        """Close it if both have said their last."""
        if way.heard and way.told:
            self.drop(way)
        else:
            self.watch(way)

    def watch(self, way: Way) -> None:
        """Ask to be woken for what can be done now, and nothing else: what has ended would wake the runner for ever."""
        wanted = (select.POLLIN if self.open(way) else 0) | (select.POLLOUT if way.pending else 0)
        if wanted == way.watched:
            return
        if wanted and way.watched:
            self.runner.poll.modify(way.fd, wanted)
        elif wanted:
            self.runner.poll.register(way.fd, wanted)
        elif way.watched:
            self.runner.poll.unregister(way.fd)
        way.watched = wanted

    def drop(self, way: Way) -> None:
        """Close it; another may come in its place."""
        if way.watched:
            self.runner.poll.unregister(way.fd)
        del self.ways[way.number], self.runner.handlers[way.fd]
        way.sock.close()
        if self.full:
            self.runner.poll.register(self.listener.fileno(), select.POLLIN)
            self.full = False

    def resume(self) -> None:
        """The host has taken all that it was sent."""
        for way in self.ways.values():
            self.watch(way)

    def tell(self, way: Way, body: bytes = b"", **said: int) -> None:
        """Send the host a frame about one way."""
        self.runner.send(dict(said, way=way.number), body)


def begin(runner: Any, _: Dict[str, Any], __: bytes) -> None:
    """Offer the host's proxy on a local port."""
    runner.ferry = Ferry(runner)


def carry(runner: Any, asked: Dict[str, Any], body: bytes) -> None:
    """Hear what the host says of a way."""
    runner.ferry.take(asked, body)


OPERATIONS: Dict[str, Callable[[Any, Dict[str, Any], bytes], None]] = {"ferry": begin, "way": carry}
