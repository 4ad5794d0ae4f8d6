"""The processes of a project at its main branch: listed, looked at, approved of, and what their agents will see."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from nightmill.desk.own import Explained, Process
from nightmill.desk.processes import Processes, at_main
from nightmill.desk.start import spec_file
from nightmill.errors import SettingsError
from nightmill.server.guard import TheProject, Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.receipts import once, repeat
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("blueprints")

Name = Annotated[str, Path(max_length=80, description="Name of a blueprint.")]
WORDS = "utf-8", "backslashreplace"
"""How bytes become text; of a blueprint that can run they are UTF-8, whose SHA-256 is its digest."""


class Blueprints(BaseModel):
    """All of a project, in the order of names: its own, the operator's and the release's."""

    blueprints: list[Process]


class BlueprintOut(BaseModel):
    """A blueprint with the text of its file."""

    process: Process
    text: str


class ApprovedOut(BaseModel):
    """What was approved of last, and still is."""

    text: str
    version: int
    by: str


class Consent(BaseModel):
    """A yes to exactly what was looked at."""

    model_config = ConfigDict(extra="forbid")

    closure: str = Field(min_length=1, max_length=64, description="That of the blueprint that you were shown.")


class Revoke(BaseModel):
    """Which yes is taken back."""

    model_config = ConfigDict(extra="forbid")

    digest: str = Field("", max_length=64, description="Only of the file whose SHA-256 begins so.")


class Revoked(BaseModel):
    """The versions that nobody approves of any more."""

    versions: list[int]


class Explain(BaseModel):
    """What it is measured with."""

    model_config = ConfigDict(extra="forbid")

    spec: str = Field("", max_length=1_000_000, description="A spec, in Markdown, to measure what is read of it.")


@router.get("/projects/{project}/blueprints")
@needs("view", "project")
def listed(request: Request, project: TheProject, who: Who) -> Blueprints:
    """All of them, and whether people approved of each as it is."""
    return Blueprints(blueprints=list(_of(request, project, who).listed()))


@router.get("/projects/{project}/blueprints/{name}")
@needs("view", "project")
def one(request: Request, project: TheProject, who: Who, name: Name) -> BlueprintOut:
    """One, with its file."""
    found = _having(request, project, who, name).whole(name)
    return BlueprintOut(process=found.process, text=found.entry.body.decode(*WORDS))


@router.get("/projects/{project}/blueprints/{name}/approved")
@needs("view", "project")
def approved(request: Request, project: TheProject, who: Who, name: Name) -> ApprovedOut:
    """Its file as it was approved of last."""
    found = _having(request, project, who, name).approved(name)
    return ApprovedOut(text=found.body.decode(*WORDS), version=found.version, by=found.by)


@router.post("/projects/{project}/blueprints/{name}/approve")
@needs("approve", "project")
def approve(request: Request, project: TheProject, who: Who, name: Name, yes: Consent) -> Process:
    """Say yes to exactly what you looked at, with all that it calls. Who wrote part of it cannot."""

    def do() -> dict[str, Any]:
        return asdict(_having(request, project, who, name).approve(name, closure=yes.closure))

    site, body = site_of(request), yes.model_dump()
    given = once(site.door.database, request, body, do, who=who.address, now=site.clock(), found=repeat)
    return TypeAdapter(Process).validate_python(given)


@router.post("/projects/{project}/blueprints/{name}/revoke")
@needs("approve", "project")
def revoke(request: Request, project: TheProject, who: Who, name: Name, which: Revoke) -> Revoked:
    """Take a yes back. Runs under way go on; none starts."""

    def do() -> dict[str, Any]:
        return {"versions": list(_of(request, project, who).revoke(name, digest=which.digest))}

    def revoked() -> dict[str, Any]:
        return {"versions": list(_of(request, project, who).revoked(name, digest=which.digest))}

    site, body = site_of(request), which.model_dump()
    base = site.door.database
    return Revoked(**once(base, request, body, do, who=who.address, now=site.clock(), found=revoked))


@router.post("/projects/{project}/blueprints/{name}/explain")
@needs("view", "project")
def explain(request: Request, project: TheProject, who: Who, name: Name, wanted: Explain) -> Explained:
    """What its agents will see, in about so many tokens, and what not. Changes nothing, and asks no model."""
    here = _having(request, project, who, name)
    if not wanted.spec:
        return here.explained(name, spec=None)
    with spec_file(wanted.spec) as path:
        return here.explained(name, spec=path)


def _of(request: Request, project: str, who: Who) -> Processes:
    return at_main(site_of(request).door, project, by=who.by, apart=who.way != "local")


def _having(request: Request, project: str, who: Who, name: str) -> Processes:
    """Those of *project*, among which is *name*."""
    found = _of(request, project, who)
    try:
        found.catalogue.entry(name)
    except SettingsError as error:
        raise Refused(404, error.message, hint=error.hint) from error
    return found
