"""Text that others wrote, made safe to look at: it cannot act, hide, or take more room than it is given.

Terminal colours and cursor moves are taken out, since they carry no words. Every other control, bidirectional
or invisible character is shown as a mark: a reviewer must see what a compiler would (trojansource.codes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup, escape

__all__ = ["Shown", "fair", "one_line", "plain", "shown", "spoken", "visible"]

terminal = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")
EMOJI = "\U0001f000-\U0001faff\u2600-\u27bf\ufe0f"
unseen = re.compile(
    # What joins two emoji to one is seen: it makes another picture of them.
    f"((?!(?<=[{EMOJI}])\u200d(?=[{EMOJI}]))["
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"])\1*"
)
# fmt: off
CONTROLS = (
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
)
# fmt: on
HEAD_SHARE = 0.6
code = re.compile(r"`([^`\n]+)`")
GROWTH = 1.5
"""How much longer than its room a text may get by being escaped and marked before it is cut shorter."""


class Shown(NamedTuple):
    """A text ready for the page. *left_out* counts the characters that were cut from its middle."""

    head: Markup
    tail: Markup
    left_out: int
    total: int


def visible(text: str) -> Markup:
    """*text* as markup without any effect, each unseen character as a mark, repeats counted."""
    return Markup(unseen.sub(_mark, str(escape(_words(text)))))  # noqa: S704 - escaped in the line itself


def spoken(text: str) -> Markup:
    """*text* as `visible`, where what people and models put between backticks is code."""
    parts = code.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(visible(part)) if at % 2 else visible(part) for at, part in enumerate(parts)
    )


def plain(text: str) -> str:
    """*text* for an attribute or a title: marks in brackets instead of markup."""
    return unseen.sub(lambda found: f"[{_name(found)}]", _words(text))


def one_line(text: str, *, most: int = 160) -> str:
    """The words of *text* on one line of at most *most* characters; marks are left to `plain` and `visible`."""
    line = " ".join(text[: most * 4].split(None, most)) if text else ""
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def shown(text: str, room: int) -> Shown:
    """*text* with its middle left out where its markup would need more than about *room* characters."""
    text = _words(text)
    total, keep = len(text), min(len(text), max(room, 0))
    while True:
        head, tail = _ends(text, keep)
        marked = Shown(visible(head), visible(tail), total - len(head) - len(tail), total)
        length = len(marked.head) + len(marked.tail)
        if length <= room * GROWTH or keep < 40:  # less says nothing
            return marked
        keep = int(keep * min(0.8, room / length))


def fair(lengths: Iterable[int], total: int, *, most: int) -> int:
    """The greatest room for each text, at most *most*, with which texts of *lengths* need at most *total*."""
    sizes, left = sorted(lengths), total
    for index, size in enumerate(sizes):
        room = left // (len(sizes) - index)
        if size > room:
            return min(room, most)
        left -= size
    return most


def _words(text: str) -> str:
    return terminal.sub("", text).replace("\r\n", "\n")


def _ends(text: str, keep: int) -> tuple[str, str]:
    if keep >= len(text):
        return text, ""
    head, tail = text[: int(keep * HEAD_SHARE)], text[len(text) - (keep - int(keep * HEAD_SHARE)) :]
    # Whole lines, unless a line is so long that this would throw most of the room away.
    head = head[: head.rfind("\n") + 1] if head.rfind("\n") > len(head) // 2 else head
    tail = tail[tail.find("\n") + 1 :] if 0 <= tail.find("\n") < len(tail) // 2 else tail
    return head, tail


def _name(found: re.Match[str]) -> str:
    code, times = ord(found[1]), len(found[0])
    name = CONTROLS[code] if code < len(CONTROLS) else f"U+{code:04X}"
    return name if times == 1 else f"{name}\N{MULTIPLICATION SIGN}{times}"


def _mark(found: re.Match[str]) -> str:
    # A lone carriage return began the line anew on a terminal; here nothing is overwritten.
    return f'<b class="x">{_name(found)}</b>' + ("\n" if found[1] == "\r" else "")
