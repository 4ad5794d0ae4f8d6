"""Finishing with a result: `finish` of a step that asks for an object of a schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, create_model

from nightmill.errors import ToolError
from nightmill.tool.base import Answer, Arguments, Finish, ToolContext, one_line
from nightmill.tool.work import FinishWork

__all__ = ["HandOver"]

MOST_FAULTS = 8
LARGEST = 40_000
"""Characters of a result, as JSON: what is larger belongs into a file."""


class HandOver:
    """Say that the step is done and hand over what it asks for, an object of *schema* (JSON Schema 2020-12)."""

    name = "finish"
    description = (
        "Say that you are done and hand over the result. `output` must be of exactly the form that its schema says;"
        " otherwise you are told what is wrong, and nothing ends."
    )
    reads = False

    class Call(Arguments):
        summary: str = Field(
            min_length=1, description="What came of it, for people who follow the run: a sentence or two."
        )

    def __init__(self, schema: Mapping[str, Any], *, works: bool) -> None:
        """*works*: whoever finishes may have changed something, and says what it is and what shows each criterion."""
        self.schema = dict(schema)
        self.arguments = create_model(
            "Call",
            __base__=FinishWork.Call if works else self.Call,
            output=(dict[str, Any], Field(description="The result.", json_schema_extra=self.schema)),
        )

    def label(self, arguments: Any) -> str:
        return one_line(arguments.summary)

    async def call(self, arguments: Any, context: ToolContext) -> Answer:
        """Take the result.

        Raises:
            ToolError: If it is not of the schema; the message names each place.
        """
        del context
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - only steps that ask for a result need it

        output: dict[str, Any] = arguments.output
        found = sorted(
            Draft202012Validator(self.schema).iter_errors(output), key=lambda error: list(map(str, error.path))
        )
        if found:
            faults = [f"output{_place(error.absolute_path)}: {one_line(error.message, most=300)}" for error in found]
            more = f" (and {len(faults) - MOST_FAULTS} more)" if len(faults) > MOST_FAULTS else ""
            raise ToolError(f"the output is not of its schema: {'; '.join(faults[:MOST_FAULTS])}{more}")
        if len(json.dumps(output)) > LARGEST:
            raise ToolError(f"the output is longer than {LARGEST:,} characters: keep what matters")
        evidence = tuple((each.criterion, each.by) for each in getattr(arguments, "evidence", ()))
        return Answer(text="noted", finish=Finish(summary=arguments.summary, evidence=evidence, output=output))


def _place(path: Any) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
