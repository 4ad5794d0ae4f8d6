"""Being the parent of what tests leave behind, for a while."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench.stage import adopt_orphans

__all__ = ["adopting"]


@contextmanager
def adopting() -> Iterator[None]:
    """Adopt orphans, and at the end collect those that have ended: until then the kernel counts them as their user's."""
    adopt_orphans()
    try:
        yield
    finally:
        ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
