"""What runs share, for those who see all projects; and more of it, by those who administer them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.desk import spending
from nightmill.desk.budget import Budget, budget
from nightmill.server.guard import Who, needs, of_api
from nightmill.server.receipts import once
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("budget")

Dollars = Annotated[float, Field(ge=0.01, le=1_000_000, allow_inf_nan=False, strict=True)]


class Raise(BaseModel):
    """What is added to the budget of today."""

    model_config = ConfigDict(extra="forbid")

    dollars: Dollars


class Raised(BaseModel):
    """How many runs that waited look again."""

    runs: int


@router.get("/budget")
@needs("view", "every")
def stands(request: Request) -> Budget:
    """What is spent, held by calls under way and left today (UTC), and the keys whose rate is used up."""
    return budget(site_of(request).door)


@router.post("/budget/raise")
@needs("administer", "every")
def raise_(request: Request, who: Who, wanted: Raise) -> Raised:
    """Add to the budget of today, until it ends, and have the runs that wait for it look again."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        return {"runs": spending.more(site.door, wanted.dollars, by=who.by)}

    def raised() -> dict[str, Any]:
        return {"runs": spending.look_again(site.door, by=who.by)}

    body, base = wanted.model_dump(), site.door.database
    return Raised(**once(base, request, body, do, who=who.address, now=site.clock(), found=raised))
