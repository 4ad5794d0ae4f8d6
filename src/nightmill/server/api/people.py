"""Who is let in, for those who administer everything."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.access import Grant, RoleName
from nightmill.server.api.account import GrantOut
from nightmill.server.guard import Who, needs, of_api
from nightmill.server.receipts import once, repeat, sealed
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("people")

Address = Annotated[str, Path(max_length=254, description="Mail address.")]


class PersonOut(BaseModel):
    """Somebody who was let in, or is invited. Times are Unix seconds."""

    model_config = ConfigDict(from_attributes=True)

    address: str
    name: str
    way: str = Field(description="How they come: by password, or oidc; empty: they never did.")
    added: float = Field(description="When they came in first; 0: they were only invited.")
    removed: float = Field(description="When they were shut out; 0: they were not.")
    invited: float = Field(description="Until when an invitation of theirs is good that nobody has used; 0: none is.")
    grants: list[GrantOut]


class Persons(BaseModel):
    """Everybody, by address."""

    people: list[PersonOut]


class Invitation(BaseModel):
    """Whom to invite, and what they may do."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(max_length=254)
    grants: list[GrantOut] = Field(default=[], max_length=200)


class Invited(BaseModel):
    """A link that is good once, for three days: give it to them yourself."""

    address: str
    link: str


class Roles(BaseModel):
    """All the roles of somebody in one project."""

    model_config = ConfigDict(extra="forbid")

    project: str = Field("", max_length=80, description="Empty: every project.")
    roles: list[RoleName] = Field(max_length=4)


@router.get("/people")
@needs("administer", "every")
def listed(request: Request) -> Persons:
    """Everybody who was ever let in, or is invited now."""
    return Persons(people=[PersonOut.model_validate(asdict(each)) for each in site_of(request).people.everybody()])


@router.post("/people", status_code=201)
@needs("administer", "every")
def invite(request: Request, who: Who, invitation: Invitation) -> Invited:
    """Make a link with which somebody chooses a password and comes in."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        grants = [Grant(role=each.role, project=each.project) for each in invitation.grants]
        secret = site.people.invite(invitation.address, grants=grants, by=who.by)
        return {"address": invitation.address, "link": f"{site.origin}/welcome/{secret}"}

    body, base = invitation.model_dump(), site.door.database
    return Invited(**sealed(base, request, body, do, who=who.address, now=site.clock(), found=repeat))


@router.put("/people/{address:path}/grants")
@needs("administer", "every")
def grant(request: Request, who: Who, address: Address, roles: Roles) -> PersonOut:
    """Give somebody exactly these roles in a project."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        site.people.grant(address, roles.project, roles.roles, by=who.by)
        return stands()

    def stands() -> dict[str, Any]:
        found = site.people.find(address)
        assert found is not None  # noqa: S101 - nobody is ever forgotten
        return asdict(found)

    body, base = roles.model_dump(), site.door.database
    return PersonOut(**once(base, request, body, do, who=who.address, now=site.clock(), found=stands))


@router.delete("/people/{address:path}", status_code=204)
@needs("administer", "every")
def remove(request: Request, who: Who, address: Address) -> None:
    """Shut somebody out, their invitation too; what they did stays theirs."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        site.people.remove(address, by=who.by)
        return {}

    once(site.door.database, request, None, do, who=who.address, now=site.clock(), found=dict)
