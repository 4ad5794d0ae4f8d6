"""Whoever is signed in, and their tokens."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.access import Act, RoleName
from nightmill.server.guard import Who, must, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.receipts import once, sealed
from nightmill.server.site import site_of
from nightmill.store.keys import DAY

__all__ = ["GrantOut", "router"]

router = of_api("account")


LEAST = 8 << 20
"""Bytes of room without which it is as good as away."""


class Health(BaseModel):
    """That the server can work."""

    status: Literal["ok"] = "ok"


class GrantOut(BaseModel):
    """A role in a project; an empty one means every project."""

    model_config = ConfigDict(from_attributes=True)

    role: RoleName
    project: str


class Me(BaseModel):
    """Who you are here."""

    name: str
    address: str
    way: Literal["session", "token", "local"]
    grants: list[GrantOut]
    scopes: list[Act] | None = Field(
        description="What the token that you came with may at most do; null: all that you may."
    )


class TokenOut(BaseModel):
    """A token, without its secret. Times are Unix seconds."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    address: str = Field(description="Whose it is.")
    scopes: list[Act]
    created: float
    used: float
    expires: float


class Tokens(BaseModel):
    """Tokens, by whose they are and by name."""

    tokens: list[TokenOut]


class TokenIn(BaseModel):
    """A new token."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=80)
    address: str = Field("", max_length=254, description="Whose it will be: yours, as the empty one is.")
    scopes: list[Act] = Field(default=["view"], max_length=4)
    days: int = Field(90, ge=1, le=366, strict=True)


class Made(BaseModel):
    """The token's secret, shown this once, and until when it is good (Unix seconds)."""

    name: str
    token: str
    expires: float
    short: bool = Field(description="It ends with the token that it was made with, before it was asked to.")


@router.get("/health")
@needs(None, "nothing")
def health(request: Request) -> Health:
    """Whether the server can work: it answers, and its store can be read and has room. If not it is 503, and says what is the matter."""
    door = site_of(request).door
    door.database.revision()
    if shutil.disk_usage(door.settings.home).free < LEAST:
        raise Refused(503, "the disk of the store is full", hint=f"make room on it: {LEAST >> 20} MB at least")
    return Health()


@router.get("/me")
@needs("view", "nothing")
def me(who: Who) -> Me:
    """Who you are here, and what you may do."""
    return Me(
        name=who.name,
        address=who.address,
        way=who.way,
        grants=[GrantOut.model_validate(each) for each in who.grants],
        scopes=None if who.scopes is None else sorted(who.scopes),
    )


@router.get("/tokens")
@needs("view", "own")
def tokens(request: Request, who: Who) -> Tokens:
    """The tokens that are still good: everybody's, if you administer everything, else yours."""
    found = site_of(request).keys.tokens("" if who.may("administer") else who.address)
    return Tokens(tokens=[TokenOut.model_validate(asdict(each)) for each in found])


@router.post("/tokens", status_code=201)
@needs("view", "own")
def make(request: Request, who: Who, token: TokenIn) -> Made:
    """Make a token for a program of yours. Its secret is shown once.

    One that is made with a token may do no more than that, is good no longer, and ends with it. Nobody makes one of
    another person, in whose name it would approve.
    """
    if token.address.casefold() not in {"", who.address}:
        raise Refused(
            403,
            f"{who.address} makes no token of {token.address[:80]}, who would act in that name",
            hint="they make it themselves; or the operator does, on the machine of the server",
        )
    site = site_of(request)

    def do() -> dict[str, Any]:
        within = request.headers["authorization"].partition(" ")[2].strip() if who.way == "token" else ""
        seconds = token.days * DAY
        secret = site.keys.make(token.name, owner=who, scopes=token.scopes, seconds=seconds, within=within)
        made = next(each for each in site.keys.tokens(who.address) if each.name == token.name)
        short = made.expires < made.created + seconds - 1
        return {"name": token.name, "token": secret, "expires": made.expires, "short": short}

    def lost() -> None:
        """Its secret was shown to nobody: another takes its place."""
        if any(each.name == token.name for each in site.keys.tokens(who.address)):
            site.keys.revoke(token.name, owner=who.address, by=who.by)

    body, base = token.model_dump(), site.door.database
    return Made(**sealed(base, request, body, do, who=who.address, now=site.clock(), found=lost))


@router.delete("/tokens/{name:path}", status_code=204)
@needs("view", "own")
def revoke(
    request: Request,
    who: Who,
    name: Annotated[str, Path(max_length=80)],
    of: Annotated[
        str, Query(max_length=254, description="Whose it is; empty: yours. Others' end who administers everything.")
    ] = "",
) -> None:
    """End a token, and those that were made with it. A token ends none of yours that may do more than itself."""
    site, owner = site_of(request), of.casefold() or who.address
    if owner != who.address:
        must(who, "administer", "")

    def do() -> dict[str, Any]:
        scopes = {each.name: set(each.scopes) for each in site.keys.tokens(owner)}
        if owner == who.address and who.scopes is not None and not scopes.get(name, set()) <= who.scopes:
            raise Refused(
                403, f"the token {name!r} may do more than the one that you came with", hint="sign in with a browser"
            )
        site.keys.revoke(name, owner=owner, by=who.by)
        return {}

    once(site.door.database, request, None, do, who=who.address, now=site.clock(), found=dict)
