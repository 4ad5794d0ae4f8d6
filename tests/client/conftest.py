"""A client at a real server."""

from __future__ import annotations

import itertools
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from nightmill.access import ACTS
from nightmill.client import Client, Connection
from tests.server.conftest import House, house, role

__all__ = ["Login", "Lossy", "Open", "house", "role"]

Login = Callable[..., Client]
Open = Callable[..., Client]
Lossy = Callable[[Client], Client]


@pytest.fixture
def at() -> Iterator[Open]:
    """A client at an address, hung up afterwards."""
    with ExitStack() as stack:

        def make(address: str, token: str = "", **named: Any) -> Client:
            connection = Connection(address, token, **named)
            stack.callback(connection.close)
            return Client(connection)

        yield make


@pytest.fixture
def login(house: House, at: Open) -> Login:
    """A client of somebody with roles."""

    def make(address: str, *roles: Any, scopes: Any = ACTS, **named: Any) -> Client:
        owner = house.let_in(address, *(role(each) for each in roles))
        return at(house.url, house.site.keys.make("test", owner=owner, scopes=scopes, seconds=3600), **named)

    return make


@pytest.fixture
def lossy(house: House, at: Open) -> Iterator[Lossy]:
    """The client of whoever another one is of, to whom the first answer of each thing that is asked is lost on its way."""
    with ExitStack() as stack:

        def make(client: Client) -> Client:
            port = stack.enter_context(_losing(house.port))
            made = at(f"http://127.0.0.1:{port}", sleep=lambda _: None)
            made.connection._http.headers.update(
                {
                    "Authorization": client.connection._http.headers["Authorization"],
                    "Host": f"127.0.0.1:{house.port}",
                    "Connection": "close",
                }
            )
            return made

        yield make


@contextmanager
def _losing(port: int) -> Iterator[int]:
    """A way to *port* that loses every other answer, from the first on, after the server has given it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def carry() -> None:
            for number in itertools.count():
                try:
                    near, _ = listening.accept()
                except OSError:  # the test is over
                    return
                with suppress(ConnectionError), near, socket.create_connection(("127.0.0.1", port)) as far:
                    far.sendall(_request(near))
                    answer = b"".join(iter(lambda far=far: far.recv(65536), b""))  # type: ignore[misc]
                    near.sendall(answer if number % 2 else b"")

        thread = threading.Thread(target=carry, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(60)
        assert not thread.is_alive()


def _request(near: socket.socket) -> bytes:
    """One request, whole, in as many pieces as it comes."""
    found = b""
    while True:
        head, end, body = found.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and len(body) >= int(length[1] if length else 0):
            return found
        piece = near.recv(65536)
        if not piece:
            return found
        found += piece
