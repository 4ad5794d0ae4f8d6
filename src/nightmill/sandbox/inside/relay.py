"""The way to the host's proxy: a port on the sandbox's own loopback, carried over to a unix socket."""

from __future__ import annotations

import _socket
import _thread
import time

__all__ = ["CONNECTIONS", "listen", "relay"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, NoReturn, Set

PORT, SOCKET, CONNECTIONS = 3128, "/run/nightmill/egress.sock", 64

busy: Set[int] = set()
"""Descriptors of the connections that are being carried."""


def listen() -> Any:
    """The listening socket; the runner keeps it, so that it outlives a relay that was killed."""
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", PORT))
    listener.listen(CONNECTIONS)
    return listener


def relay(listener: Any) -> NoReturn:
    """Carry connections for ever, a thread per direction; beyond `CONNECTIONS` they wait."""
    while True:
        while len(busy) >= CONNECTIONS:
            time.sleep(0.01)
        fd, _ = listener._accept()  # what socket.accept() calls
        busy.add(fd)
        _thread.start_new_thread(carry, (fd,))


def carry(fd: int) -> None:
    """One connection, to its end."""
    near = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, fd)
    far = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    returned = _thread.allocate_lock()
    try:
        near.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)  # else half an answer waits 40 ms for a sign
        far.connect(SOCKET)
        returned.acquire()
        _thread.start_new_thread(back, (far, near, returned))
        pump(near, far)
        returned.acquire()
    except OSError:
        pass
    finally:
        busy.discard(fd)
        near.close()
        far.close()


def back(far: Any, near: Any, returned: Any) -> None:
    """The other direction."""
    pump(far, near)
    returned.release()


def pump(source: Any, target: Any) -> None:
    """Copy until *source* ends, then tell *target* that it has."""
    try:
        while True:
            piece = source.recv(1 << 16)
            if not piece:
                break
            target.sendall(piece)
    except OSError:
        pass
    try:
        target.shutdown(_socket.SHUT_WR)
    except OSError:
        pass
