from __future__ import annotations

from collections.abc import Iterator

import pytest

from nightmill.store import Database


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()
