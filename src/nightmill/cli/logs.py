"""What a process says of itself on standard error, which somebody keeps: without secrets, as all that is kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["begin"]

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Hidden(logging.Formatter):
    """Lines, and what went wrong, as *hide* leaves them."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        super().__init__(FORMAT)
        self.hide = hide

    def format(self, record: logging.LogRecord) -> str:
        """As it is written."""
        return self.hide(super().format(record))


def begin(hide: Callable[[str], str]) -> None:
    """Write warnings, and what is worse."""
    handler = logging.StreamHandler()
    handler.setFormatter(Hidden(hide))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
