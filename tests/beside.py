"""Whether this machine can run the services that tests want."""

from __future__ import annotations

import pytest

from nightmill.estate.presets import find, lacking

__all__ = ["require"]


def require(*uses: str) -> None:
    """Skip the test that asks unless this machine has the programs of the presets *uses*."""
    for use in uses:
        if not find(use):
            pytest.skip(f"this machine lacks {lacking(use)}")
