"""Whoever is signed in, and their tokens."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.access import Act, RoleName
from nightmill.server.guard import Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.site import site_of
from nightmill.store.keys import DAY

__all__ = ["GrantOut", "router"]

router = of_api("account")


class Health(BaseModel):
    """That the server answers."""

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
    scopes: list[Act]
    created: float
    used: float
    expires: float


class Tokens(BaseModel):
    """Your tokens."""

    tokens: list[TokenOut]


class TokenIn(BaseModel):
    """A new token."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    scopes: list[Act] = Field(default=["view"], max_length=4)
    days: int = Field(90, ge=1, le=366, strict=True)


class Made(BaseModel):
    """The token's secret, shown this once."""

    name: str
    token: str


@router.get("/health")
@needs(None, "nothing")
def health() -> Health:
    """Whether the server answers."""
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
@needs("view", "nothing")
def tokens(request: Request, who: Who) -> Tokens:
    """Your tokens that are still good."""
    found = site_of(request).keys.tokens(who.address)
    return Tokens(tokens=[TokenOut.model_validate(asdict(each)) for each in found])


@router.post("/tokens", status_code=201)
@needs("view", "nothing")
def make(request: Request, who: Who, token: TokenIn) -> Made:
    """Make a token for a program of yours. Its secret is shown once; a token makes no tokens."""
    if who.way == "token":
        raise Refused(403, "a token makes no tokens", hint="sign in with a browser")
    secret = site_of(request).keys.make(token.name, owner=who, scopes=token.scopes, seconds=token.days * DAY)
    return Made(name=token.name, token=secret)


@router.delete("/tokens/{name}", status_code=204)
@needs("view", "nothing")
def revoke(request: Request, who: Who, name: Annotated[str, Path(max_length=80)]) -> None:
    """End a token of yours."""
    if who.way == "token":
        raise Refused(403, "a token ends no tokens", hint="sign in with a browser")
    site_of(request).keys.revoke(name, owner=who.address, by=who.by)
