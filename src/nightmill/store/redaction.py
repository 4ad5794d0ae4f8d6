"""Stars in place of secrets, in whatever is about to be stored or told: of those that are known, and of what looks like one.

Models get a mark for each: stars and eight digits of a keyed digest of it. So they can tell one from another, and what they write back
is known again (`behind`), although they never saw it. Nobody who has no key can try out what a mark stands for.
"""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote

from nightmill.store import lookalike
from nightmill.store.lookalike import STARS, stars

__all__ = ["BYTES", "Redaction"]

SHORTEST = 8
WORD = 12
"""Signs from which a word may look like a secret that nobody knows."""
SIGNS = "".join(sign for sign in map(chr, range(33, 127)) if sign not in "'\"")
"""What words are made of that may become one that looks like a secret."""
KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----\s*$")
KEY_LINE = re.compile(r"\s*(?:[A-Za-z0-9+/]+={0,2}\s*)?")
"""Of a private key that goes over several lines: how it begins, and what else it is made of."""
MARK = re.compile(r"\*{8}[0-9a-f]{8}")
BYTES = 32
"""Of the key of marks."""


class Redaction:
    """Hides the secrets that *known* gives; asked once, when something is first hidden, and after each `renew`.

    *key* gives that of marks, for those who have to know them again; the default is another in each process.
    """

    def __init__(
        self,
        known: Callable[[], Iterable[str]] = tuple,
        *,
        key: Callable[[], bytes] = lambda: secrets.token_bytes(BYTES),
    ) -> None:
        self._known = known
        self._key = key

    @cached_property
    def spellings(self) -> tuple[tuple[str, bytes], ...]:
        """How the known secrets may be written, the longest first."""
        found = {spelt for each in self._known() if len(each) >= SHORTEST for spelt in _spellings(each)}
        return tuple((each, each.encode()) for each in sorted(found, key=len, reverse=True))

    def renew(self) -> None:
        """Ask anew which secrets are known: there is another."""
        self.__dict__.pop("spellings", None)

    def text(self, text: str) -> str:
        """*text* for people and models, without known secrets and without what looks like one."""
        return lookalike.hide(self._without(text))

    def patch(self, text: str) -> str:
        """A diff as `text`, line by line behind its sign, with as many lines as it had."""
        made, key = list[str](), False
        for line in text.split("\n"):
            sign, said = line[:1], line[1:]
            if key and KEY_LINE.fullmatch(said):
                made.append(f"{sign}{STARS}")
                continue
            key = bool(KEY.search(said))
            made.append(f"{sign}{self.text(said)}")
        return "\n".join(made)

    def marked(self, text: str) -> str:
        """*text* as `text`, with the mark of each secret in its place; as many lines as it has."""
        return lookalike.hide(self._without(text, self._mark), cover=self._mark)

    def behind(self, text: str) -> dict[str, str]:
        """What stands in *text* where `marked` puts marks; a mark that stands for several is none."""
        found: dict[str, set[str]] = {}

        def mark(secret: str) -> str:
            made = self._mark(secret)
            found.setdefault(made, set()).add(secret)
            return made

        lookalike.hide(self._without(text, mark), cover=mark)
        return {made: secret for made, (secret, *more) in found.items() if not more}

    def marks(self, text: str) -> list[str]:
        """The marks in *text*, each once."""
        return list(dict.fromkeys(MARK.findall(text)))

    def growing(self, text: str, *, rests: bool) -> str:
        """*text*, which is still written, as `text`; without an end that may be the beginning of a secret.

        One that *rests* goes on later, if at all: then a short word at its end is seen, too.
        """
        text = self.text(text)
        for each, _ in self.spellings:
            text = text[: _ahead(text, each)]
        settled = text.rstrip(SIGNS)
        if rests and len(text) - len(settled) < WORD and not any(map(str.isdigit, text[len(settled) :])):
            return text
        # A password in an address may be of any signs.
        word = max(settled.rfind(sign) for sign in " \n\t'\"") + 1
        return settled[:word] if "://" in text[word:] else settled

    @property
    def longest(self) -> int:
        """Characters of the longest spelling."""
        return len(self.spellings[0][0]) if self.spellings else 0

    def exact(self, body: bytes) -> bytes:
        """*body* without known secrets, and as it is otherwise; the same object if there are none in it."""
        for _, each in self.spellings:
            if each in body:
                body = body.replace(each, STARS.encode())
        return body

    def plain(self, value: Any, *, name: str = "") -> Any:
        """Plain JSON data as `text`. A string of one word is a name, of which only the form or that of its field tells."""
        if isinstance(value, str):
            value = self._without(value)
            return lookalike.told_as(name, value, words=len(value.split(None, 1)) > 1)
        if isinstance(value, dict):
            return {self._without(key): self.plain(each, name=key) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(each, name=name) for each in value]
        return value

    @cached_property
    def _marking(self) -> bytes:
        return self._key()

    def _mark(self, secret: str) -> str:
        digest = hmac.digest(self._marking, secret.encode("utf-8", "surrogatepass"), "sha256")
        return STARS + digest.hex()[:8]

    def _without(self, text: str, cover: Callable[[str], str] = stars) -> str:
        for each, _ in self.spellings:
            if each in text:
                text = text.replace(each, cover(each))
        return text


def _ahead(text: str, secret: str) -> int:
    """Where *text* begins to end as *secret* begins; its length, if it does not."""
    at = text.find(secret[0], max(0, len(text) - len(secret) + 1))
    while at >= 0 and not secret.startswith(text[at:]):
        at = text.find(secret[0], at + 1)
    return len(text) if at < 0 else at


def _spellings(secret: str) -> Iterator[str]:
    """*secret* as it is, in JSON, HTML and addresses, in hexadecimal, and in base64, wherever in the encoded text it begins."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield html.escape(secret)
    yield quote(secret, safe="")
    yield quote(secret)
    raw = secret.encode()
    yield raw.hex()
    yield raw.hex().upper()
    for before in range(3):
        # Three bytes are four signs: what its neighbours have no part in is the same in every text that holds it.
        whole = len(raw) - (3 - before) % 3
        core = base64.b64encode(raw[(3 - before) % 3 :][: whole // 3 * 3]).decode()
        if len(core) >= SHORTEST:
            yield core
            yield core.replace("+", "-").replace("/", "_")
    yield base64.b64encode(raw).decode()
    yield base64.urlsafe_b64encode(raw).decode()
