"""How a run ends without what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightmill.errors import LimitReached, SpecError

if TYPE_CHECKING:
    from nightmill.errors import NightmillError

__all__ = ["Stopped"]


class Stopped(Exception):  # noqa: N818 - the end of a run, not a fault of the program
    """The run ends here. *why* is "limit", "failed", "refused" or "cancelled"."""

    def __init__(self, why: str, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.why = why
        self.reason = reason
        self.hint = hint

    @classmethod
    def of(cls, error: NightmillError) -> Stopped:
        """The stop that *error* means."""
        why = "limit" if isinstance(error, LimitReached) else "refused" if isinstance(error, SpecError) else "failed"
        return cls(why, error.message, error.hint)
