"""What runs ask people, whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.desk import decide
from nightmill.server.guard import TheRun, needs, of_api
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("questions")


class QuestionOut(BaseModel):
    """A question that is open. Times are Unix seconds; *expires* is 0 for never."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    run: str
    step: str
    kind: Literal["approve", "answer"]
    title: str
    text: str = Field(description="What to read before one says anything, in Markdown.")
    tree: str = Field(description="The git tree that a yes is about.")
    policy: str = Field(description="The version of the policy that asks.")
    change: str = Field(description="A digest of what the tree changes.")
    options: list[str] = Field(description="The answers to choose from; empty: any text.")
    barred: list[str] = Field(description="Addresses, and @domains, that may not decide: those who had a part in it.")
    approvers: list[str] = Field(description="Addresses of those who may; empty: everybody who is not barred.")
    created: float
    expires: float
    state: Literal["open", "granted", "refused", "answered", "expired"]
    answer: str
    by: str
    decided: float
    ends: bool = Field(description="Whether the run ends with any answer.")


class Questions(BaseModel):
    """What is open, oldest first."""

    questions: list[QuestionOut]


@router.get("/runs/{run}/questions")
@needs("view", "run")
def questions(request: Request, run: TheRun) -> Questions:
    """What the run, and what it started, asks people now."""
    found = decide.questions(site_of(request).door, run)
    return Questions(
        questions=[QuestionOut.model_validate({**asdict(each.question), "text": each.text}) for each in found]
    )
