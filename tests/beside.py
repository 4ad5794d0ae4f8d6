"""Whether this machine can run the services that tests want."""

from __future__ import annotations

import shutil

import pytest

from nightmill.estate.presets import find, lacking

__all__ = ["require"]


def require(*uses: str, beside: str = "") -> None:
    """Skip the test that asks unless this machine has the programs of the presets *uses*, and the program *beside*."""
    for use in uses:
        if not find(use):
            pytest.skip(f"this machine lacks {lacking(use)}")
    if beside and not shutil.which(beside, path="/usr/bin"):
        pytest.skip(f"this machine lacks {beside}")
