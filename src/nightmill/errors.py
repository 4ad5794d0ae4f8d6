"""Every error this system raises on purpose; the class says who must act.

NightmillError
├── SpecError          the author must change the spec
├── SettingsError      the operator must change a setting, a file or the machine
├── RepoError          the owner of the repository must change its state
├── LimitReached       a budget or a bound stopped the run; not a fault
├── NotYet             a bound that runs share has no room: nobody must act, the clock does
├── ToolError          shown to the model as the result of its call
├── ModelError         the provider failed
│   ├── ModelUnavailable   down or rate limited: retried, then the run is parked
│   └── ModelRefused       the request itself was refused: never retried, or only by another model
├── SandboxError       the sandbox failed; never shown to the model
└── EngineError        the store or the engine failed
    └── StoreUnavailable   it cannot be written just now: what is under way is taken up again when it can
"""

from __future__ import annotations

from typing import Any, Self

__all__ = [
    "EngineError",
    "LimitReached",
    "ModelError",
    "ModelRefused",
    "ModelUnavailable",
    "NightmillError",
    "NotYet",
    "RepoError",
    "SandboxError",
    "SettingsError",
    "SpecError",
    "StoreUnavailable",
    "ToolError",
    "from_plain",
]


class NightmillError(Exception):
    """What happened, which thing it happened to, and what to do about it.

    *hint* is the one next step, without the word "hint": doors print it on its own line.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def to_plain(self) -> dict[str, Any]:
        """Plain data that crosses the store; `from_plain` reads it back."""
        return {"error": type(self).__name__, "message": self.message, "hint": self.hint}

    @classmethod
    def read_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild this error from *plain*."""
        return cls(plain["message"], hint=plain.get("hint", ""))


class SpecError(NightmillError):
    """The spec cannot be read as one; its author must change it."""


class SettingsError(NightmillError):
    """A setting, a project file or the machine stands in the way; the operator must change it."""


class RepoError(NightmillError):
    """The repository is not in a state from which work can start; its owner must change that."""


class LimitReached(NightmillError):
    """A budget or a bound stopped the run."""

    def __init__(self, message: str, *, hint: str = "", limit: str = "") -> None:
        super().__init__(message, hint=hint)
        self.limit = limit

    def to_plain(self) -> dict[str, Any]:
        """Plain data that crosses the store."""
        return {**super().to_plain(), "limit": self.limit}

    @classmethod
    def read_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild this stop from *plain*."""
        return cls(plain["message"], hint=plain.get("hint", ""), limit=plain.get("limit", ""))


class NotYet(NightmillError):
    """A rate or a budget that runs share has no room just now; *seconds* from now it may have."""

    def __init__(self, message: str, *, hint: str = "", seconds: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds

    def to_plain(self) -> dict[str, Any]:
        """Plain data that crosses the store."""
        return {**super().to_plain(), "seconds": self.seconds}

    @classmethod
    def read_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild this error from *plain*."""
        return cls(plain["message"], hint=plain.get("hint", ""), seconds=plain.get("seconds", 0.0))


class ToolError(NightmillError):
    """The model's call cannot be carried out; the message is the result that it sees."""


class ModelError(NightmillError):
    """The provider failed to give a reply."""


class ModelUnavailable(ModelError):
    """The provider is down, overloaded or limits the rate; *retry_after* is its own wish in seconds."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after

    def to_plain(self) -> dict[str, Any]:
        """Plain data that crosses the store."""
        return {**super().to_plain(), "retry_after": self.retry_after}

    @classmethod
    def read_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild this error from *plain*."""
        return cls(plain["message"], hint=plain.get("hint", ""), retry_after=plain.get("retry_after"))


class ModelRefused(ModelError):
    """The provider refused the request: wrong key, unknown model, malformed or too long.

    *whole* says that it would refuse any request to this model, so that another model may be asked instead.
    """

    def __init__(self, message: str, *, hint: str = "", whole: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.whole = whole

    def to_plain(self) -> dict[str, Any]:
        """Plain data that crosses the store."""
        return {**super().to_plain(), "whole": self.whole}

    @classmethod
    def read_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild this error from *plain*."""
        return cls(plain["message"], hint=plain.get("hint", ""), whole=plain.get("whole", False))


class SandboxError(NightmillError):
    """The sandbox failed; the step may run again from its snapshot."""


class EngineError(NightmillError):
    """The store or the durable engine failed."""


class StoreUnavailable(EngineError):
    """The store cannot be read or written just now, for want of space or of its server."""


def from_plain(plain: dict[str, Any]) -> NightmillError:
    """Rebuild the error that `NightmillError.to_plain` wrote; an unknown class becomes the root."""
    kind = {found.__name__: found for found in _tree(NightmillError)}.get(plain.get("error", ""), NightmillError)
    return kind.read_plain(plain)


def _tree(root: type[NightmillError]) -> list[type[NightmillError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]
