"""How a run ends without what was asked for."""

from __future__ import annotations

from nightmill.errors import LimitReached, NightmillError, SpecError

__all__ = ["Stopped"]


class Stopped(Exception):
    """The run ends here. *why* is "limit", "failed", "refused" or "cancelled"."""

    def __init__(self, why: str, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.why = why
        self.reason = reason
        self.hint = hint

    @classmethod
    def of(cls, error: Exception) -> Stopped:
        """The stop that *error* means; any that is not raised on purpose is a fault of ours."""
        if not isinstance(error, NightmillError):
            return cls(
                "failed", f"{type(error).__name__}: {error}", "a fault of nightmill: its worker's log says where"
            )
        why = "limit" if isinstance(error, LimitReached) else "refused" if isinstance(error, SpecError) else "failed"
        return cls(why, error.message, error.hint)
