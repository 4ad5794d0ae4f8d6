"""Secrets that the proxy adds on the way out, so that no sandbox ever holds one."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Literal

from nightmill.errors import SettingsError
from nightmill.sandbox.network.head import NAME as HOST

__all__ = ["Credential", "Redaction"]

SHORTEST = 8
"""Characters of a secret: a shorter one would be found in everything that is redacted."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
SECRET = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)?", re.ASCII)
USER = re.compile(r"[\x21-\x39\x3b-\x7e]*")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credential:
    """One secret for one host, over TLS only.

    Attributes:
        name: How events and people call it.
        host: The one host that it is for: no wildcard.
        header: The header that carries it. What a sandbox sends under this name to this host is dropped.
        scheme: How it is written there: `bearer`, `basic` (as the password of *user*), or `raw`.
        variable: Environment variable that shows the placeholder inside, for tools that want one; "": none.
        projects: Ids of the projects whose sandboxes it serves; "*" for all.
        but: Ids of those of them that have a secret of their own in its place.
        of: The id of the one project whose own it is; "": it is the operator's.
    """

    name: str
    host: str
    port: int = 443
    header: str = "Authorization"
    scheme: Literal["bearer", "basic", "raw"] = "bearer"
    user: str = "x-access-token"
    variable: str = ""
    projects: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    of: str = ""
    secret: str = field()

    def __post_init__(self) -> None:
        fits = {
            "name": NAME.fullmatch(self.name),
            "host": HOST.fullmatch(self.host),
            "header": HEADER.fullmatch(self.header) and self.header.lower() not in UNFIT,
            "variable": VARIABLE.fullmatch(self.variable),
            "user": USER.fullmatch(self.user),
            "secret": SECRET.fullmatch(self.secret) and len(self.secret) >= SHORTEST,
        }
        wrong = [part for part, fit in fits.items() if not fit]
        if wrong:
            hint = f"a secret is one line of ASCII with at least {SHORTEST} characters"
            raise SettingsError(f"the {wrong[0]} of the credential {self.name!r} cannot be used", hint=hint)

    def __repr__(self) -> str:
        return f"<credential {self.name!r} for {self.host}:{self.port}>"

    @property
    def id(self) -> str:
        """What tells it from that of another project with the same name."""
        return f"{self.name}@{self.of}" if self.of else self.name

    @property
    def placeholder(self) -> str:
        """What a sandbox sees in its place. It means something nowhere but in this header, to this host."""
        return f"nightmill-placeholder-{self.name}"

    def serves(self, project: str) -> bool:
        """Whether sandboxes of *project* may use it."""
        return project not in self.but and (project in self.projects or "*" in self.projects)

    def line(self) -> bytes:
        """The header, secret and all."""
        return f"{self.header}: {self._value()}".encode()

    def spellings(self) -> list[bytes]:
        """How it may come back."""
        found = [self.secret, self._value().rpartition(" ")[2] if self.scheme == "basic" else self.secret]
        return [each.encode() for each in dict.fromkeys(found)]

    def _value(self) -> str:
        if self.scheme == "basic":
            return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()
        return f"Bearer {self.secret}" if self.scheme == "bearer" else self.secret


UNFIT = frozenset("host connection content-length transfer-encoding upgrade te trailer expect cookie".split())
"""Headers that are the proxy's own, or that a sandbox needs for itself."""


class Redaction:
    """Stars instead of secrets, in bytes that come in pieces. Lengths stay, so that nothing else has to change.

    It finds secrets as they were sent: a server that compresses, splits or encodes them otherwise is not hindered.
    """

    def __init__(self, credentials: list[Credential]) -> None:
        self.spellings = sorted({each for one in credentials for each in one.spellings()}, key=len, reverse=True)
        self.held = b""
        self.most = max(map(len, self.spellings), default=1) - 1

    def all(self, body: bytes) -> bytes:
        """*body*, redacted."""
        for each in self.spellings:
            body = body.replace(each, b"*" * len(each))
        return body

    def feed(self, piece: bytes) -> bytes:
        """What can be passed on once *piece* has come: a tail in which a secret could begin is kept."""
        clean = self.all(self.held + piece)
        keep = next((size for size in range(min(self.most, len(clean)), 0, -1) if self._begins(clean[-size:])), 0)
        self.held = clean[len(clean) - keep :]
        return clean[: len(clean) - keep]

    def end(self) -> bytes:
        """The rest."""
        rest, self.held = self.held, b""
        return rest

    def _begins(self, tail: bytes) -> bool:
        return any(each.startswith(tail) for each in self.spellings)
