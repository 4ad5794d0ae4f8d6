"""The task gateway over the network: what an ask comes to, and the run of exactly what was proposed."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from nightmill.desk.processes import in_checkout
from nightmill.desk.wish import Reply, Wish
from nightmill.errors import NotYet, SettingsError
from nightmill.intake.words import LONGEST
from nightmill.line.submit import Errand
from nightmill.server.api.runs import RunOut
from nightmill.server.api.start import Branch
from nightmill.server.guard import TheProject, Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.rates import Rate
from nightmill.server.receipts import named, once, repeat
from nightmill.server.site import Site, site_of
from nightmill.store import projects

__all__ = ["router"]

router = of_api("intake")

SECONDS = 40.0
"""Which a model is given: whoever asks waits a minute for all of it."""
AT_ONCE = threading.BoundedSemaphore(4)
"""Asks that are thought about together; each has a thread for as long as a model takes."""
ASKS = Rate(burst=10, seconds=6.0)
"""Of one person."""

Text = Annotated[str, Field(max_length=20_000)]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class WishIn(BaseModel):
    """What somebody wants, in plain words."""

    model_config = ConfigDict(extra="forbid")

    words: str = Field(min_length=1, max_length=LONGEST)
    blueprint: str = Field("", max_length=80, description="The approved process, if it is known.")
    inputs: dict[Name, Any] = Field({}, max_length=40, description="Inputs of the process that are known, by name.")
    sets: list[Text] = Field([], max_length=40, description="Inputs as somebody says them, each as NAME=VALUE.")
    think: bool = Field(
        False,
        strict=True,
        description="Whether a model may be asked, once, where words leave something open: it costs money.",
    )
    model: str = Field("", max_length=200, description="`provider:name`; empty: as is set.")


class ErrandIn(BaseModel):
    """What was proposed. *closure* is that of the proposal: nothing else is started."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200)
    words: str = Field(min_length=1, max_length=LONGEST)
    blueprint: Name
    closure: str = Field(min_length=1, max_length=64)
    inputs: dict[Name, Any] = Field({}, max_length=40)
    base: Branch = Field("", description="Branch to start from and to open the pull request against.")
    model: str = Field("", max_length=200, description="`provider:name`; empty: as is set.")


@router.post("/projects/{project}/ask")
@needs("operate", "project")
def ask(request: Request, project: TheProject, who: Who, wish: WishIn) -> Reply:
    """What an ask comes to: a run of an approved process, which is proposed and not started, a question back, or why not."""
    site = site_of(request)
    if wish.think and (wait := site.rates.take("asks", who.address, ASKS)):
        raise Refused(429, "too many asks", hint="ask less often", headers={"Retry-After": str(round(wait + 1))})

    def do() -> dict[str, Any]:
        return asdict(_answered(site, project, wish, by=who.by))

    body = wish.model_dump()
    given = once(site.door.database, request, body, do, who=who.address, now=site.clock(), found=repeat)
    return TypeAdapter(Reply).validate_python(given)


@router.post("/projects/{project}/errands", status_code=201)
@needs("operate", "project")
def start(request: Request, project: TheProject, who: Who, wanted: ErrandIn) -> RunOut:
    """Have exactly what was proposed run, in your name, from the project's folder on the server's machine."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        from nightmill.desk import start as desk  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold
        from nightmill.line.submit import identifier  # noqa: PLC0415

        home = Path.home()  # noqa: TID251 - the server is a door, and its user is who trusts folders
        errand = Errand(**{name: body[name] for name in ("title", "words", "blueprint", "closure", "inputs")})
        asked = desk.Wanted(project=project, errand=errand, by=who.by, home=home, model=wanted.model, base=wanted.base)
        asked = replace(asked, run=identifier(named(request)))
        return asdict(desk.start(site.door, asked, now=site.clock))

    body, base = wanted.model_dump(), site.door.database
    return RunOut.model_validate(once(base, request, body, do, who=who.address, now=site.clock(), found=repeat))


def _answered(site: Site, project: str, wish: WishIn, *, by: str) -> Reply:
    from nightmill.desk.asking import answer  # noqa: PLC0415 - with models, which a server at rest need not hold

    root = projects.get(site.door.database, project).root
    if site.door.project(root).id != project:
        raise SettingsError(f"in {str(root)!r} is another project by now", hint="nightmill init there")
    if wish.think and not AT_ONCE.acquire(blocking=False):
        raise NotYet("others ask just now", hint="try again in a moment", seconds=5)
    told: list[str] = []
    home = Path.home()  # noqa: TID251 - as above
    try:
        asked = Wish(**{**wish.model_dump(), "sets": tuple(wish.sets)})
        here = in_checkout(site.door, root, by=by, home=home)
        reply = answer(here, asked, say=told.append, seconds=SECONDS)
    finally:
        if wish.think:
            AT_ONCE.release()
    return replace(reply, said=tuple(told))
