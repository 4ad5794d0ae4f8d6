"""An installation with a spec that is accepted, and a repository beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.whole import SPEC, Mill, repository


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""), encoding="utf-8")
    return Mill(folder=tmp_path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return repository(tmp_path / "checkout")
