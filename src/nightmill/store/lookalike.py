"""What looks like a secret although nobody said that it is one: tokens of a known form, values with a telling name, random words.

Found by form alone, so it is right often and not always. What must stay readable does: hashes, UUIDs, digests of lock files,
base64 of text, names in code. `tests/store/test_lookalike.py` counts both kinds of mistake.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

__all__ = ["STARS", "hide", "stars", "told_as"]

STARS = "********"

Cover = Callable[[str], str]
"""What is shown in place of a secret. It begins with `STARS`, so that nothing is found in it again."""

SHORTEST = 12
BLOCK = 1 << 16
"""Characters that are looked through at once."""

FORMS = re.compile(
    r"""(?<![A-Za-z0-9_])(?:
      gh[pousr]_[A-Za-z0-9]{36,255} | github_pat_[A-Za-z0-9_]{22,255}      # GitHub
    | gl(?:pat|dt|rt|cbt|ptt|oas|soat)-[A-Za-z0-9_-]{20,255}               # GitLab
    | sk-(?=[A-Za-z_-]{0,80}[0-9])[A-Za-z0-9_-]{20,255}                    # Anthropic, OpenAI
    | [sr]k_(?:live|test)_[A-Za-z0-9]{16,255}                              # Stripe
    | xox[abeprs]-[A-Za-z0-9-]{10,255} | xapp-[0-9]-[A-Za-z0-9-]{10,255}   # Slack
    | A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}(?![A-Za-z0-9]) | AIza[A-Za-z0-9_-]{35}
    | npm_[A-Za-z0-9]{36} | pypi-AgE[A-Za-z0-9_-]{50,255} | hf_[A-Za-z0-9]{30,255}
    | SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43} | dop_v1_[0-9a-f]{64} | whsec_[A-Za-z0-9+/]{24,255}={0,2}
    | nm_(?:token|session|invitation)_[A-Za-z0-9_-]{20,255}                # ours
    | eyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{8,2000}   # JSON web tokens
    )""",
    re.VERBOSE,
)
PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?:(?:\s|\\n){0,4}+[A-Za-z0-9+/]{16,}+={0,2})++")
LINE_OF_KEY = re.compile(r"((?:\s|\\n){1,4}+)([A-Za-z0-9+/]{16,}+={0,2})")
IN_ADDRESS = re.compile(r"(?<=://)([^\s:/@'\"]{0,80}:)([^\s/@'\"]{8,200})(?=@[\w\[])")
SHOWN = re.compile(r"(?i)\b((?:bearer|basic|token)[ ]{1,4})([A-Za-z0-9+/=_.~-]{16,4000})")
NAMED = re.compile(
    r"""(?ix)
    ((?:secret|token|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|_key|_pat)
      (?:[_-]?(?:key|value|base))?
      ["']?[ ]?(?:=>|[:=])[ ]?["']?)
    ([A-Za-z0-9+/=_.~!@$%^&*-]{12,400}+)
    (?![\w(\[{<])
    """
)
"""A telling name, and what is given to it. What is called or indexed there is code."""
WORD = re.compile(
    r"(?<!\*{8})(?:(?<![A-Za-z0-9+/=_.$@%-])|(?<=[A-Z_]{3}=))[A-Za-z0-9_-]{24,128}(?!\.?[A-Za-z0-9+/=_-]|\()"
)
"""One that may be random: no part of a path, an address or a longer text in base64, and no digest with its name before it."""

RUN = re.compile(r"[a-z]{7,}|[A-Z]{7,}")
NUMBERED = re.compile(
    r"(?:[A-Za-z]*\d{0,2}[-_.])*[A-Za-z]*\d{0,2}|[\d.-]+(?:e-?\d+)?|(?:\w+\.)*[A-Za-z]*\d{1,5}(?:[A-Z][a-z]{2,}){2,}"
)
"""Words with a number behind them, numbers, and classes with a number in their names."""
UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HEX = re.compile(r"(?i)(?:0x)?[0-9a-f]+")
BEFORE = re.compile(r"(?i)(?:sha\d{1,3}|md5|h1|blake\w{0,3}|digest|hash|checksum|fingerprint|integrity)\W{0,3}$")
MANGLED = ("_Z", "__Z", "_R")
"""How names of C++ and Rust begin in object files."""
LINES = frozenset({64, 76})
"""How long lines of encoded data are."""


def stars(_secret: str) -> str:
    """The same in place of each."""
    return STARS


def hide(text: str, *, words: bool = True, cover: Cover = stars) -> str:
    """*text* with a *cover* in place of what looks like a secret; words that only look random stay unless *words*.

    Its lines stay as many, so that a file is numbered as it is.
    """
    if "PRIVATE KEY" in text:
        text = PRIVATE.sub(lambda key: LINE_OF_KEY.sub(lambda line: line[1] + cover(line[2]), key[0]), text)
    if len(text) <= BLOCK:
        return _hide(text, words=words, cover=cover)
    # Nothing else reaches over the end of a line, and nobody else runs while an expression looks through a text.
    lines, blocks = text.splitlines(keepends=True), list[list[str]]([[]])
    size = 0
    for line in lines:
        size += len(line)
        blocks[-1].append(line)
        if size > BLOCK:
            blocks.append([])
            size = 0
    return "".join(_hide("".join(block), words=words, cover=cover) for block in blocks)


def _hide(text: str, *, words: bool, cover: Cover) -> str:
    if len(text) < SHORTEST:
        return text
    text = FORMS.sub(lambda found: cover(found[0]), text)
    if "://" in text:
        text = IN_ADDRESS.sub(lambda found: found[1] + _unless(found[2], _mixed(found[2]), cover), text)
    text = SHOWN.sub(lambda found: found[1] + _unless(found[2], _lets_in(found[1], found[2]), cover), text)
    text = NAMED.sub(lambda found: found[1] + _unless(found[2], _given(found[2]), cover), text)
    return WORD.sub(lambda found: _unless(found[0], _random(found), cover), text) if words else text


def told_as(name: str, value: str, *, words: bool = True) -> str:
    """*value* as `hide` leaves it; stars if it is one word and *name* says that it is a secret."""
    if NAMED.fullmatch(f"{name}={value}") and _given(value):
        return STARS
    return hide(value, words=words)


def _unless(value: str, secret: bool, cover: Cover) -> str:  # noqa: FBT001 - what was found, and what it is
    return cover(value) if secret else value


def _given(value: str) -> bool:
    """Whether *value*, given to a telling name, is a secret and not a word, a name or a number."""
    if HEX.fullmatch(value):
        return len(value) >= 32 and not value.isdigit()
    return _mixed(value) and not UUID.fullmatch(value) and _entropy(value) >= 3.2


def _lets_in(how: str, value: str) -> bool:
    """Whether *value* is what is sent to be let in, by *how*."""
    if how.strip().lower() != "basic":
        return _given(value)
    with suppress(binascii.Error, ValueError):
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    return False


def _mixed(value: str) -> bool:
    """Letters and digits among each other, and not words with a number behind them."""
    return any(map(str.isdigit, value)) and STARS not in value and not NUMBERED.fullmatch(value)


def _random(found: re.Match[str]) -> bool:
    """Whether a word looks as if nobody made it up."""
    word = found[0]
    if len(word) in LINES or word.startswith(MANGLED) or not re.search("[a-z]", word) or not re.search("[A-Z]", word):
        return False
    kinds = ["d" if each.isdigit() else "u" if each.isupper() else "l" if each.islower() else "-" for each in word]
    changes = sum(one != other for one, other in pairwise(kinds)) / (len(word) - 1)
    groups = len(re.findall(r"\d+", word))
    if changes < 0.45 or groups < 2 or RUN.search(word):
        return False
    return not BEFORE.search(found.string[max(0, found.start() - 24) : found.start()]) and not _is_text(word)


def _is_text(word: str) -> bool:
    """Whether *word* is text in base64."""
    try:
        body = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return sum(32 <= each < 127 or each in b"\n\r\t" for each in body) >= 0.9 * len(body)


def _entropy(text: str) -> float:
    """Bits per sign (Shannon)."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
