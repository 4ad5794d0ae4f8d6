"""Asking for a run over the network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nightmill.server.api.runs import RunOut
from nightmill.server.guard import TheProject, Who, needs, of_api
from nightmill.server.receipts import named, once, repeat
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("runs")

Branch = Annotated[str, StringConstraints(max_length=200, pattern=r"^([^\s~^:?*\[\\-][^\s~^:?*\[\\]*)?$")]


class Wanted(BaseModel):
    """What is asked for. What is left out is as the server's settings say."""

    model_config = ConfigDict(extra="forbid")

    spec: str = Field(min_length=1, max_length=1_000_000, description="The spec, in Markdown.")
    blueprint: str = Field("", max_length=80, description="How each task is worked on.")
    base: Branch = Field("", description="Branch to start from and to open the pull request against.")
    model: str = Field("", max_length=200, description="`provider:name`.")


@router.post("/projects/{project}/runs", status_code=201)
@needs("operate", "project")
def start(request: Request, project: TheProject, who: Who, wanted: Wanted) -> RunOut:
    """Ask for a run of a spec: what `nightmill run` does, in your name, from the project's folder on the server's machine.

    A spec that is refused is 422 with each reason and its line; nothing was made, and no token spent.
    """
    site = site_of(request)

    def do() -> dict[str, Any]:
        from nightmill.desk import start as desk  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold
        from nightmill.line.submit import identifier  # noqa: PLC0415

        home = Path.home()  # noqa: TID251 - the server is a door, and its user is who trusts folders
        asked = desk.Wanted(project=project, by=who.by, home=home, run=identifier(named(request)), **body)
        return asdict(desk.start(site.door, asked, now=site.clock))

    body, base = wanted.model_dump(), site.door.database
    return RunOut.model_validate(once(base, request, body, do, who=who.address, now=site.clock(), found=repeat))
