"""Around every file of attacks, the host is measured."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.escape import host


@pytest.fixture(scope="module", autouse=True)
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the last test of a file if anything that `host` measures is not as it was before the first."""
    folder = tmp_path_factory.getbasetemp()
    gc.collect()  # what earlier tests still hold goes now
    before = host.measured(folder)
    yield
    gc.collect()  # what a failed test still holds is no descriptor that leaked
    assert host.changes(before, host.measured(folder)) == []
