"""Requests as the ledger gets them: one by one while they are few, as sums when they are a flood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nightmill.sandbox.network.reach import Request

__all__ = ["Tally"]

SINGLES, KINDS = 300, 200
"""Requests of a sandbox that are told one by one, and kinds of requests that are summed apart from each other."""


class Tally:
    """Passes requests on to *tell*; how often it does grows with the logarithm of their number."""

    def __init__(self, tell: Callable[[Request], None]) -> None:
        self._tell = tell
        self._told = 0
        self._sums: dict[Request, Request] = {}
        self._counts: dict[Request, int] = {}

    def add(self, made: Request) -> None:
        """Count one request. Of its kind as many as were told before are kept back, then told together."""
        if self._told < SINGLES:
            self._told += 1
            self._tell(made)
            return
        kind = self._kind(made)
        before = self._sums.get(kind, replace(kind, count=0))
        made = self._sums[kind] = _plus(before, made)
        if made.count >= self._counts.get(kind, 1):
            self._pass_on(kind)

    def end(self) -> None:
        """Tell what was kept back."""
        for kind in list(self._sums):
            self._pass_on(kind)

    def _pass_on(self, kind: Request) -> None:
        made = self._sums.pop(kind)
        self._counts[kind] = self._counts.get(kind, 0) + made.count
        self._tell(made)

    def _kind(self, made: Request) -> Request:
        bare = replace(made, path="", status=0, up=0, down=0, seconds=0.0)
        if bare in self._counts or len(self._counts) < KINDS:
            return bare
        return replace(bare, host="", port=0, method="", credential="")


def _plus(before: Request, made: Request) -> Request:
    up, down, seconds = before.up + made.up, before.down + made.down, before.seconds + made.seconds
    return replace(before, up=up, down=down, seconds=seconds, count=before.count + made.count)
