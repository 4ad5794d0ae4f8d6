"""Secrets: which there are, what takes each and who set it when. They are written and never read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.desk import secrets
from nightmill.desk.office import Held
from nightmill.server.guard import TheProject, Who, needs, of_api
from nightmill.server.receipts import once, sealed
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("secrets")

Name = Annotated[str, Path(max_length=100, description="Name of a secret.")]


class UseOut(BaseModel):
    """What takes it: a credential, with the *host* it goes to, or the models of a provider."""

    by: str
    host: str
    projects: list[str] = Field(description="Ids of projects, or `*` for all.")
    hidden: bool = Field(description="The environment of the server has another, which goes before it.")


class SecretOut(BaseModel):
    """A secret, without what it is. *at* in Unix seconds, null: it is not there."""

    name: str
    project: str = Field(description="Whose own it is; empty: the operator's.")
    at: float | None
    by: str
    uses: list[UseOut]
    others: list[str] = Field(
        description="Of the operator's: the projects that have their own. Of a project's: an empty name, if the operator's stands in."
    )


class Secrets(BaseModel):
    """Secrets by name, with those that something takes and that are not there."""

    secrets: list[SecretOut]


class SecretIn(BaseModel):
    """What it is from now on."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(max_length=60_000, description="One line of ASCII with at least 8 characters.")


@router.get("/secrets")
@needs("administer", "every")
def listed(request: Request) -> Secrets:
    """The operator's secrets."""
    return _out(secrets.listed(site_of(request).door))


@router.put("/secrets/{name:path}", status_code=204)
@needs("administer", "every")
def keep(request: Request, who: Who, name: Name, secret: SecretIn) -> None:
    """Set one, or replace it; workers take it up when they start."""
    _keep(request, who, name, secret, project="")


@router.delete("/secrets/{name:path}", status_code=204)
@needs("administer", "every")
def remove(request: Request, who: Who, name: Name) -> None:
    """Delete one; not the last that a credential takes."""
    _remove(request, who, name, project="")


@router.get("/projects/{project}/secrets")
@needs("administer", "project")
def of_project(request: Request, project: TheProject) -> Secrets:
    """What the project may have its own of, in place of the operator's."""
    return _out(secrets.of_project(site_of(request).door, project))


@router.put("/projects/{project}/secrets/{name:path}", status_code=204)
@needs("administer", "project")
def keep_own(request: Request, who: Who, project: TheProject, name: Name, secret: SecretIn) -> None:
    """Set the project's own, or replace it; it goes where the operator's credentials say and nowhere else."""
    _keep(request, who, name, secret, project=project)


@router.delete("/projects/{project}/secrets/{name:path}", status_code=204)
@needs("administer", "project")
def remove_own(request: Request, who: Who, project: TheProject, name: Name) -> None:
    """Delete the project's own; the operator's stands in for it."""
    _remove(request, who, name, project=project)


def _keep(request: Request, who: Who, name: str, secret: SecretIn, *, project: str) -> None:
    site = site_of(request)

    def do() -> dict[str, Any]:
        secrets.keep(site.door, name, secret.value, project=project, by=who.by, at=site.clock())
        return {}

    body = secret.model_dump()
    sealed(site.door.database, request, body, do, who=who.address, now=site.clock(), found=dict)


def _remove(request: Request, who: Who, name: str, *, project: str) -> None:
    site = site_of(request)

    def do() -> dict[str, Any]:
        secrets.remove(site.door, name, project=project, by=who.by)
        return {}

    once(site.door.database, request, None, do, who=who.address, now=site.clock(), found=dict)


def _out(found: list[Held]) -> Secrets:
    return Secrets(
        secrets=[
            SecretOut(
                name=each.name,
                project=each.project,
                at=each.kept.at if each.kept else None,
                by=each.kept.by if each.kept else "",
                uses=[
                    UseOut(by=use.by, host=use.host, projects=list(use.projects), hidden=use.hidden)
                    for use in each.uses
                ],
                others=list(each.others),
            )
            for each in found
        ]
    )
