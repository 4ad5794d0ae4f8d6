"""How much a provider's key may ask for: what the operator says, what the provider says, and the sums between them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nightmill.errors import SettingsError

__all__ = ["KINDS", "Load", "Rate", "read", "told", "wait"]

KINDS = ("requests", "input", "output", "tokens")
"""What is bounded per minute: requests, tokens in, tokens out, tokens in and out."""

UNITS = {"rpm": "requests", "itpm": "input", "otpm": "output", "tpm": "tokens", "at once": "open"}
SIZES = {"": 1, "k": 1_000, "m": 1_000_000}
BOUND = re.compile(r"(\d{1,12}) ?([km]?) ?(rpm|itpm|otpm|tpm|at once)", re.IGNORECASE)
HINT = "rates: anthropic 50 rpm, 400k itpm, 80k otpm, 20 at once; openai 500 rpm, 2m tpm"

BURST = 1 / 60
"""Share of a minute's worth that may be used at once; the rest is spread, so that no 60 seconds hold more than a minute's."""

Load = Mapping[str, float]
"""What one call takes, by kind."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A bound as a bucket that leaks *speed* a second and takes a load while *size* is not passed, or while it is empty."""

    speed: float
    size: float

    @classmethod
    def said(cls, minute: float) -> Rate:
        """By the operator: in no 60 seconds more than *minute*, but for what one large call passes it by."""
        burst = max(1.0, minute * BURST) if minute > 1 else minute
        return cls(max(minute - burst, minute / 2) / 60.0, burst)

    @classmethod
    def learnt(cls, minute: float) -> Rate:
        """From the provider, whose own bucket it follows: a minute's worth at once, filled up steadily."""
        return cls(minute / 60.0, minute)


def read(text: str, *, known: Collection[str]) -> dict[str, dict[str, float]]:
    """The bounds that the setting `rates` holds, by provider (one of *known*) and kind; "open": calls at once.

    Raises:
        SettingsError: If it cannot be read.
    """
    found: dict[str, dict[str, float]] = {}
    for part in filter(None, (each.strip() for each in text.split(";"))):
        provider, _, rest = part.replace(":", " ", 1).partition(" ")
        bounds = [BOUND.fullmatch(bound.strip()) for bound in rest.split(",")]
        if provider not in known or not all(bounds):
            raise SettingsError(f"the setting `rates` cannot be read at {part!r}", hint=HINT)
        values = {UNITS[each[3].lower()]: float(each[1]) * SIZES[each[2].lower()] for each in bounds if each}
        if not all(values.values()):
            raise SettingsError(f"the setting `rates` allows nothing at {part!r}", hint="leave out what is not bounded")
        found[provider] = values
    return found


def told(headers: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """(bound per minute, what is left of it) by kind, as the headers of a reply say."""
    found: dict[str, tuple[float, float]] = {}
    for kind, name in (
        ("requests", "requests"),
        ("input", "input-tokens"),
        ("output", "output-tokens"),
        ("tokens", "tokens"),
    ):
        for stem in (f"anthropic-ratelimit-{name}-{{}}", f"x-ratelimit-{{}}-{name}"):
            pair = [_number(headers.get(stem.format(word), "")) for word in ("limit", "remaining")]
            if pair[0] and pair[0] > 0 and pair[1] is not None:
                found[kind] = (pair[0], min(max(pair[1], 0.0), pair[0]))
    if "input" in found or "output" in found:
        found.pop("tokens", None)  # whichever of the two is tighter, said again
    return found


def wait(rates: Mapping[str, Rate], levels: dict[str, Any], load: Load, *, now: float) -> float:
    """Seconds until *load* has room. *levels* holds what is in each bucket, as [level, when], and is brought up to *now*."""
    longest = 0.0
    for kind, rate in rates.items():
        level, at = levels.get(kind, (0.0, now))
        level = max(0.0, level - rate.speed * max(0.0, now - at))
        levels[kind] = [level, now]
        over = min(level, level + load[kind] - rate.size)
        longest = max(longest, over / rate.speed)
    return longest


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
