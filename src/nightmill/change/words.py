"""Make text of unknown origin harmless in a commit message, in Markdown and on a terminal."""

from __future__ import annotations

import re
import textwrap
import unicodedata

__all__ = ["block", "code", "line", "plain", "prose", "quoted"]

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
BREAK = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
BACKTICKS = re.compile(r"`+")
SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!~&:=\"'$^/])")
# What git, or a person with grep, could take for a trailer, a patch or a mail.
TAKEN_FOR_MORE = re.compile(
    r"\s*(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]*)+\s*[:=#]|(?:fix(?:e[sd])?|close[sd]?|resolve[sd]?|refs?|cc|bug|see|issue)\s*[:=#]"
    r"|-{3}|\+{3}|={4}|<{4}|>{4}|diff |index[: ]|@@|From |#|;|\(cherry picked)",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """*text* without anything invisible: terminal codes, bidirectional overrides, half characters; lines end in LF."""
    whole = text.encode("utf-8", "replace").decode()
    whole = BREAK.sub("\n", ESCAPE.sub("", whole)).expandtabs(4)
    return "".join(char for char in whole if char == "\n" or unicodedata.category(char) not in HIDDEN)


def line(text: str, *, limit: int = 300) -> str:
    """*text* as one plain line of at most *limit* characters."""
    words = " ".join(plain(text).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def quoted(text: str, *, width: int = 72, limit: int = 6000) -> str:
    """*text* wrapped for the body of a commit; a line that could be taken for more than words is quoted."""
    kept = plain(text).strip()
    kept = kept if len(kept) <= limit else kept[:limit].rstrip() + "…"
    lines = [wrapped for each in kept.split("\n") for wrapped in _wrapped(each.rstrip(), width - 2)]
    body = "\n".join(f"> {each.strip()}" if TAKEN_FOR_MORE.match(each) else each for each in lines)
    return re.sub(r"\n{3,}", "\n\n", body)


def code(text: str, *, limit: int = 200) -> str:
    """*text* as one Markdown code span that can stand in a table: nothing in it is read as Markdown, HTML or a mention.

    A pipe becomes "¦": renderers do not agree on how one is escaped inside code inside a table.
    """
    words = line(text, limit=limit).replace("|", "¦")
    if not words:
        return "—"
    fence = "`" * (_longest(words) + 1)
    pad = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{fence}{pad}{words}{pad}{fence}"


def prose(text: str, *, limit: int = 600) -> str:
    """*text* as words in Markdown, every sign that means something escaped, mentions broken."""
    words = SPECIAL.sub(r"\\\1", line(text, limit=limit)).replace("|", "¦")
    return re.sub(r"([@#])(?=\w)", "\\1\u2060", words)


def block(text: str, *, width: int = 100, limit: int = 20_000) -> str:
    """*text* as a fenced block that it cannot end by itself."""
    kept = plain(text).strip("\n")
    kept = kept if len(kept) <= limit else kept[:limit].rstrip() + "\n[…]"
    body = "\n".join(wrapped for each in kept.split("\n") for wrapped in _wrapped(each.rstrip(), width))
    fence = "`" * max(3, _longest(body) + 1)
    return f"{fence}text\n{body}\n{fence}"


def _wrapped(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    indent = re.match(r"\s*(?:[-*+] |\d+[.)] )?", text)
    hang = " " * min(len(indent[0]) if indent else 0, 8)
    return textwrap.wrap(text, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)


def _longest(text: str) -> int:
    return max((len(found) for found in BACKTICKS.findall(text)), default=0)
