"""A real identity provider, and a server that it knows and that believes it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.conftest import Clock, House, door_of, served
from tests.server.identity.idp import KEY, Between, believed, running


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Between, int]]:
    """(a provider, the port of the server that it knows)."""
    port = free()
    with running(tmp_path_factory.mktemp("provider"), keys=[KEY], back=f"http://127.0.0.1:{port}/sign-in/back") as made:
        yield made, port


def free() -> int:
    """A port that nobody is given by chance, to be listened on again and again."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@pytest.fixture
def house(known: tuple[Between, int], tmp_path: Path) -> Iterator[House]:
    """A server that the provider knows."""
    with served(door_of(tmp_path / "home"), clock=Clock(time.time()), port=known[1]) as made:
        yield made


@pytest.fixture
def between(house: House, known: tuple[Between, int]) -> Iterator[Between]:
    """The provider, as *house* believes it."""
    found, _ = known
    found.lies.clear()
    found.asked.clear()
    believed(house, found)
    yield found
    found.lies.clear()
