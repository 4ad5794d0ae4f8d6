"""What forges say: the one route that asks for no person, but for a signature over its body; and whether they are heard."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from nightmill.desk import heard, remarks
from nightmill.server.guard import TheProject, Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.rates import Rate
from nightmill.server.receipts import once, repeat, sealed
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("hooks")

LARGEST = 1 << 20
"""Bytes of what a forge says."""
OFTEN = Rate(burst=300, seconds=0.2)
"""Of one project's forge: what is not signed takes nothing of it, so no stranger keeps the forge from being heard."""


class Heard(BaseModel):
    """Whether it was news: said again, or about nothing that matters here, it is not."""

    news: bool


class Ear(BaseModel):
    """Whether the forge of a project is heard; if so, since when (Unix seconds), and who wanted it."""

    heard: bool
    since: float
    by: str


class Listened(BaseModel):
    """A project whose forge is heard, since when (Unix seconds), and as who wanted."""

    project: str
    at: float
    by: str


class Listening(BaseModel):
    """Those of the projects that you administer, by id."""

    heard: list[Listened]


class LoginIn(BaseModel):
    """The person here that a login at the forge is from now on; empty: nobody."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field("", max_length=254)


class EarMade(BaseModel):
    """What the forge has to be given: the address, and the secret, shown this once."""

    address: str
    secret: str


@router.get("/heard")
@needs("administer", "some")
def all_heard(request: Request, who: Who) -> Listening:
    """The projects whose forges are heard, of those that you administer."""
    mine, found = who.projects("administer"), heard.listening(site_of(request).door)
    seen = sorted(found if mine is None else found.keys() & mine)
    return Listening(heard=[Listened(project=each, at=found[each].at, by=found[each].by) for each in seen])


@router.get("/projects/{project}/heard")
@needs("administer", "project")
def listening(request: Request, project: TheProject) -> Ear:
    """Whether what its forge says is heard."""
    found = heard.listening(site_of(request).door).get(project)
    return Ear(heard=found is not None, since=found.at if found else 0.0, by=found.by if found else "")


@router.put("/projects/{project}/heard")
@needs("administer", "project")
def listen(request: Request, who: Who, project: TheProject) -> EarMade:
    """Hear its forge from now on, by a new secret; the one before is good no more."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        secret = heard.listen(site.door, project, at=site.clock(), by=who.by)
        return {"address": f"{site.origin}/api/v1/projects/{project}/heard", "secret": secret}

    base = site.door.database
    return EarMade(**sealed(base, request, None, do, who=who.address, now=site.clock(), found=repeat))


@router.delete("/projects/{project}/heard", status_code=204)
@needs("administer", "project")
def deafen(request: Request, who: Who, project: TheProject) -> None:
    """Hear its forge no more."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        heard.deafen(site.door, project, by=who.by)
        return {}

    once(site.door.database, request, None, do, who=who.address, now=site.clock(), found=dict)


@router.put("/projects/{project}/logins/{login:path}", status_code=204)
@needs("administer", "every")
def bind(
    request: Request,
    who: Who,
    project: TheProject,
    login: Annotated[str, Path(max_length=255, description="What somebody is called at its forge.")],
    person: LoginIn,
) -> None:
    """Say whose word the comments of a login at its forge are here.

    Not for who administers the project alone: it speaks in the name of others.
    """
    site = site_of(request)

    def do() -> dict[str, Any]:
        remarks.bind(site.door, project, login, address=person.address)
        return {}

    once(site.door.database, request, person.model_dump(), do, who=who.address, now=site.clock(), found=dict)


@router.post("/projects/{project}/heard", status_code=202)
@needs(None, "signed")
async def say(request: Request, project: TheProject) -> Heard:
    """For webhooks of GitHub, GitLab, Gitea and Forgejo, as JSON, with the secret that `nightmill webhook hear` printed."""
    site = site_of(request)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise Refused(413, f"what a forge says holds {LARGEST >> 20} MB at most", headers={"Connection": "close"})
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not await run_in_threadpool(heard.hear, site.door, project, headers, body):
        raise Refused(403, "the signature is not good", hint="nightmill webhook hear PROJECT makes a new secret")
    if wait := site.rates.take("heard", project, OFTEN):
        after = {"Retry-After": str(round(wait + 1))}
        raise Refused(429, "too much is said at once", hint="say it again", headers=after)
    return Heard(news=await run_in_threadpool(heard.take_in, site.door, project, headers, body))
