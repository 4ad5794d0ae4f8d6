"""The identity provider of the settings, read and judged before anybody needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nightmill.access import ROLES, Grant
from nightmill.errors import SettingsError
from nightmill.settings import Settings

__all__ = ["Config", "is_safe", "read"]

MOST_SECRET = 4096
"""Bytes of the file with the client's secret."""
HOUR, DAY = 3_600.0, 86_400.0
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A provider, and what its words are worth here.

    Attributes:
        name: What the button calls it.
        secret: "" for a client that has none, and proves itself by PKCE alone.
        claim: Where its tokens say the groups of somebody.
        roles: What members of a group may do here; empty: groups say nothing.
        sessions: Seconds that it is taken at its word for who comes with a session, *tokens*: with a token.
    """

    issuer: str
    client: str
    name: str
    secret: str = ""
    claim: str = "groups"
    roles: tuple[tuple[str, Grant], ...] = ()
    sessions: float = 12 * HOUR
    tokens: float = 30 * DAY

    def grants(self, groups: frozenset[str]) -> dict[str, frozenset[str]]:
        """The roles of a member of *groups*, by each project that a rule is about."""
        found: dict[str, set[str]] = {grant.project: set() for _, grant in self.roles}
        for group, grant in self.roles:
            if group in groups:
                found[grant.project].add(grant.role)
        return {project: frozenset(roles) for project, roles in found.items()}


def read(settings: Settings) -> Config | None:
    """The provider that *settings* name, None for none.

    Raises:
        SettingsError: If they do not fit each other, or one of them cannot be.
    """
    issuer, client = settings.oidc_issuer, settings.oidc_client
    if not issuer:
        for name in ("oidc_client", "oidc_roles"):
            if getattr(settings, name):
                raise SettingsError(f"{name} is set, and no identity provider is", hint="set oidc_issuer, too")
        if settings.oidc_secret != Path():
            raise SettingsError("oidc_secret is set, and no identity provider is", hint="set oidc_issuer, too")
        return None
    if not is_safe(issuer) or set("?#@") & set(issuer):
        raise SettingsError(
            f"oidc_issuer is {issuer!r}, which is no issuer",
            hint="an https:// address as the provider writes it, without a query: https://login.example.org",
        )
    if not client:
        raise SettingsError(
            "oidc_issuer is set, and oidc_client is not",
            hint="register this server at the provider, and set its client id",
        )
    return Config(
        issuer=issuer,
        client=client,
        name=settings.oidc_name,
        secret=_secret(settings.oidc_secret),
        claim=settings.oidc_groups,
        roles=tuple(_rule(each) for each in settings.oidc_roles),
        sessions=_span("oidc_hours", settings.oidc_hours) * HOUR,
        tokens=_span("oidc_days", settings.oidc_days) * DAY,
    )


def is_safe(address: str) -> bool:
    """Whether secrets may be sent to *address*: over TLS, or on this machine."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL)
        )
    except ValueError:
        return False


def _secret(path: Path) -> str:
    if path == Path():
        return ""
    try:
        with path.open("rb") as file:
            secret = file.read(MOST_SECRET + 1).decode("ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"oidc_secret {str(path)!r} cannot be read: {error}", hint="a file with the client's secret"
        ) from error
    if not secret or len(secret) >= MOST_SECRET or len(secret.split()) != 1:
        raise SettingsError(f"in oidc_secret {str(path)!r} is no secret", hint="the client's secret alone, on one line")
    return secret


def _span(name: str, number: int) -> int:
    if number < 1:
        raise SettingsError(f"{name} is {number}, so nobody would stay in", hint="1 is the least")
    return number


def _rule(text: str) -> tuple[str, Grant]:
    group, _, grant = text.rpartition("=")
    name, _, project = grant.partition("@")
    for role in ROLES:
        if group and role == name:
            return group, Grant(role=role, project=project)
    raise SettingsError(
        f"oidc_roles has {text!r}", hint=f"GROUP=ROLE or GROUP=ROLE@PROJECT, with a role of {', '.join(ROLES)}"
    )
