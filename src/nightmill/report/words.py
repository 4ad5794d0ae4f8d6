"""How quantities and states are said: the same words on the page and in the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NamedTuple

__all__ = ["Face", "Tone", "count", "duration", "face", "moment", "money", "price", "share", "speaker", "tokens"]

Tone = Literal["proven", "failed", "person", "work", "past"]
"""The only things that a colour says."""

MINUTE, HOUR, DAY = 60, 3600, 86400
GAP = "\u00a0"


class Face(NamedTuple):
    """How a state looks: a word, a tone, and a shape that is not needed to tell it but helps."""

    word: str
    tone: Tone
    shape: Literal["check", "cross", "diamond", "half", "ring", "square", "bars"]


FACES = {
    "queued": Face("queued", "past", "ring"),
    "running": Face("at work", "work", "half"),
    "parked/time": Face("parked", "past", "bars"),
    "parked/person": Face("waits for you", "person", "diamond"),
    "paused": Face("paused", "past", "bars"),
    "done": Face("done", "proven", "check"),
    "stopped/limit": Face("stopped by a limit", "failed", "square"),
    "stopped/refused": Face("refused", "failed", "square"),
    "stopped/cancelled": Face("cancelled", "past", "square"),
    "stopped/failed": Face("failed", "failed", "cross"),
}


def face(state: str, *, why: str = "", needs: str = "") -> Face:
    """The face of a run's *state*; *why* a stop, *needs* of a parked run. What is unknown is shown as failed."""
    return FACES.get(f"{state}/{why or needs}") or FACES.get(state) or FACES["stopped/failed"]


def duration(seconds: float) -> str:
    """*seconds* with the two units that matter."""
    seconds = max(seconds, 0.0)
    if seconds < 0.0995:  # rounds to 0.1 s
        return f"{seconds * 1000:.0f}{GAP}ms"
    if seconds < 9.95:  # rounds to 10 s
        return f"{seconds:.1f}{GAP}s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole}{GAP}s"
    if whole < HOUR:
        return _two(whole // MINUTE, "min", whole % MINUTE, "s")
    whole = round(seconds / MINUTE) * MINUTE
    if whole < DAY:
        return _two(whole // HOUR, "h", whole % HOUR // MINUTE, "min")
    return _two(whole // DAY, "d", whole % DAY // HOUR, "h")


def tokens(number: int) -> str:
    """A number of tokens, three digits of it."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{GAP}{unit}" if number < 999.5 * size else f"{number / size:,.0f}{GAP}{unit}"
    return str(number)


def money(dollars: float | None) -> str:
    """US dollars; None is said, not guessed."""
    if dollars is None:
        return "unknown"
    if dollars == 0:
        return "$0"
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.3f}" if dollars >= 0.1 else f"${dollars:.4f}"


def price(dollars: float | None, *, whole: bool) -> str:
    """What was paid in US dollars; not *whole*: somewhere the price is not known."""
    if dollars is None or not (dollars or whole):
        return "price unknown"
    return money(dollars) + ("" if whole else " and more")


def share(part: float, whole: float) -> str:
    """*part* of *whole* in percent; 100 % only if it is all of it."""
    if whole <= 0:
        return f"0{GAP}%"
    percent = 100 * part / whole
    return f"{min(percent, 99) if part < whole else percent:.0f}{GAP}%"


def count(number: int, noun: str, plural: str = "") -> str:
    """*number* with its noun."""
    return f"{number:,}{GAP}{noun if number == 1 else plural or noun + 's'}"


def moment(at: float) -> str:
    """A time of day that means the same everywhere."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, TypeError, ValueError, OSError):
        return "an impossible time"


def _two(large: int, unit: str, small: int, subunit: str) -> str:
    return f"{large}{GAP}{unit}" + (f" {small}{GAP}{subunit}" if small else "")


def speaker(role: str) -> str:
    """Who a conversation is with, for people: its role, and the step that began it where the role has several."""
    name, _, way = role.partition("@")
    if not way:
        return name
    *above, last = way.split("/")
    turn = above[-1].partition(".")[2] if above else ""
    return f"{name}, {last}" + (f" {turn}" if turn not in {"", "1"} else "")
