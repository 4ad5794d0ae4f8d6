"""Facts that the system acts upon when an `emit` step tells them: each takes data of a form that is known."""

from __future__ import annotations

from collections.abc import Mapping

from nightmill.blueprint.shapes import FLAG, TEXT, Shape, Signature, listing

__all__ = ["FACTS", "REMEDIATION"]

REMEDIATION = "remediation"


def _named(*names: str) -> Shape:
    """Something with an id and a title; it may say more than *names*."""
    return {"type": "object", "properties": dict.fromkeys(("id", "title", *names), TEXT), "required": ["id"]}


FACTS: Mapping[str, Signature] = {
    REMEDIATION: Signature(
        inputs={
            "approach": TEXT,
            "findings": listing(
                _named("severity", "criterion", "test", "expected", "happened", "detail", "evidence", "answer", "why")
            ),
            "settled": listing(_named("state", "by")),
            "checks": TEXT,
            "said": listing(
                {
                    "type": "object",
                    "properties": {"role": TEXT, "approved": FLAG, "case_for": TEXT, "case_against": TEXT},
                    "required": ["role"],
                }
            ),
        },
        needs=("findings",),
    )
}
"""What each takes. `remediation` becomes a task that somebody can start, beginning from the work as it is then."""
