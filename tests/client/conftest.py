"""A client at a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nightmill.access import ACTS
from nightmill.client import Client, Connection
from tests.server.conftest import House, house, role

__all__ = ["Login", "Open", "house", "role"]

Login = Callable[..., Client]
Open = Callable[..., Client]


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
