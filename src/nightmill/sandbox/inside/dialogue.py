"""A program that the host talks with: bytes both ways, unchanged, for as long as it runs."""

from __future__ import annotations

import _socket

from nightmill.sandbox.inside.terminal import Terminal

__all__ = ["Dialogue", "ends"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple


class Dialogue(Terminal):
    """A terminal's job without a terminal: nothing is echoed, and no byte means more than itself."""

    most = 16 << 20


def ends(_: Dict[str, Any]) -> Tuple[int, int]:
    """Our end of a pair of sockets, and the program's. Not pipes: one descriptor is watched for both directions."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    return ours.detach(), theirs.detach()
