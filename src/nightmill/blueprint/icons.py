"""What each kind of step looks like: an outline and an icon of its own, so that no colour has to tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

__all__ = ["ICONS", "TONES", "outline"]

ICONS = {
    "run": "M3 6l6 6-6 6M12 19h9",
    "check": "M12 2.5l8 3v6c0 5-3.4 8.6-8 10-4.6-1.4-8-5-8-10v-6zM8 12l3 3 5.5-6",
    "agent": "M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM3.5 21c.6-4.4 4-6.5 8.5-6.5s7.900 2.100 8.500 6.500z",
    "review": "M12 3v18M7 21h10M4 7h16M4 7l-3 7h6zM20 7l-3 7h6z",
    "approve": "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c.5-4 3.5-6 7-6 1.5 0 3 .4 4.2 1.2M14.5 18l2.5 2.500 4.500-5",
    "ask": "M3 4h18v12h-9l-5 5v-5H3zM9.500 8.500a2.500 2.500 0 1 1 3.500 2.300c-.7.300-1 .700-1 1.400M12 14.200v.1",
    "map": "M3 6h6M3 12h6M3 18h6M9 6l4 0M9 12h4M9 18h4M15 4h6v4h-6zM15 10h6v4h-6zM15 16h6v4h-6z",
    "repeat": "M20 5v5h-5M4 19v-5h5M19.500 10A8 8 0 0 0 5.500 7M4.500 14a8 8 0 0 0 14 3",
    "call": "M4 4h10v10H4zM10 10h10v10H10z",
    "change": "M6 3v12M6 21a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM18 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM18 9c0 6-4 8-9 8.500",
    "emit": "M4 9v6h4l8 5V4L8 9zM19 8.500c1.500 2 1.500 5 0 7",
    "python": "M9 3C5 3 8 11 3 12c5 1 2 9 6 9M15 3c4 0 1 8 6 9-5 1-2 9-6 9",
    "stop": "M8 2.500h8L21.500 8v8L16 21.500H8L2.500 16V8zM8 12h8",
    "wait": "M8 2.500h8L21.500 8v8L16 21.500H8L2.500 16V8zM9.500 8.500v7M14.500 8.500v7",
}
"""Paths in a square of 24, drawn as lines."""

TONES = {
    "run": "script", "python": "script", "emit": "script", "call": "script", "map": "script", "repeat": "script",
    "check": "proof", "change": "proof", "agent": "work", "review": "work",
    "approve": "person", "ask": "person", "wait": "person", "stop": "over",
}  # fmt: skip
"""What a colour says besides: a person is waited for, something is proven, an agent is at work, the run ends."""


def outline(kind: str, x: int, y: int, wide: int, high: int) -> str:
    """The outline of a box: each kind has its own."""
    return OUTLINES.get(kind, _square)(x, y, x + wide, y + high)


def _square(x: int, y: int, right: int, bottom: int) -> str:
    return f"M{x} {y}H{right}V{bottom}H{x}Z"


def _cut(x: int, y: int, right: int, bottom: int, by: int) -> str:
    """Its corners are cut off."""
    return f"M{x + by} {y}H{right - by}L{right} {y + by}V{bottom - by}L{right - by} {bottom}H{x + by}L{x} {bottom - by}V{y + by}Z"


def _rounded(x: int, y: int, right: int, bottom: int, by: int) -> str:
    return (
        f"M{x + by} {y}H{right - by}Q{right} {y} {right} {y + by}V{bottom - by}Q{right} {bottom} {right - by} {bottom}"
        f"H{x + by}Q{x} {bottom} {x} {bottom - by}V{y + by}Q{x} {y} {x + by} {y}Z"
    )


def _spoken(x: int, y: int, right: int, bottom: int) -> str:
    return (
        f"M{x + 8} {y}H{right - 8}Q{right} {y} {right} {y + 8}V{bottom - 8}Q{right} {bottom} {right - 8} {bottom}"
        f"H{x + 40}L{x + 28} {bottom + 9}V{bottom}H{x + 8}Q{x} {bottom} {x} {bottom - 8}V{y + 8}Q{x} {y} {x + 8} {y}Z"
    )


OUTLINES: dict[str, Callable[[int, int, int, int], str]] = {
    "agent": partial(_rounded, by=16),
    "review": partial(_cut, by=8),
    "check": lambda x, y, right, bottom: f"M{x} {y}H{right - 14}L{right} {y + 14}V{bottom}H{x}Z",  # stamped
    "ask": _spoken,
    "stop": partial(_cut, by=16),
    "wait": partial(_cut, by=16),
    "emit": lambda x, y, right, bottom: (
        f"M{x} {y}H{right}L{right - 12} {(y + bottom) // 2}L{right} {bottom}H{x}Z"
    ),  # a flag
    "call": lambda x, y, right, bottom: f"{_square(x, y, right, bottom)}M{x + 5} {y}V{bottom}M{right - 5} {y}V{bottom}",
    "approve": partial(_rounded, by=3),
    "change": partial(_rounded, by=3),
}
