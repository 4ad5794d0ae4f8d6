"""A task that a run left, as a server tells of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from nightmill.client.reading import listed, value
from nightmill.desk.nouns import Remainder
from nightmill.errors import EngineError
from nightmill.kept import Filed, Finding, Judged, Part, Remediation, Settled

__all__ = ["remainder"]


def remainder(plain: Any) -> Remainder:
    """The task in *plain*.

    Raises:
        EngineError: If it is none.
    """
    named = plain if isinstance(plain, dict) else {}
    return value(
        Remainder,
        plain,
        of="what is left",
        task=value(Filed, named.get("task"), of="a task"),
        known=_known(named.get("known")),
    )


def _known(plain: Any) -> Remediation:
    of = "what is known"
    return value(
        Remediation,
        plain,
        of=of,
        parts=listed(plain, "parts", _part, of=of),
        findings=listed(plain, "findings", partial(value, Finding, of="a finding"), of=of),
        settled=listed(plain, "settled", partial(value, Settled, of="what is settled"), of=of),
        said=listed(plain, "said", partial(value, Judged, of="what was said"), of=of),
    )


def _part(plain: Any) -> Part:
    return value(Part, plain, of="a part", evidence=listed(plain, "evidence", _shown, of="a part"))


def _shown(plain: Any) -> tuple[str, str]:
    """A criterion, and what shows it."""
    if not isinstance(plain, list) or len(plain) != 2 or not all(isinstance(each, str) for each in plain):
        raise EngineError(f"what shows a criterion should be two texts and is {plain!r:.60}")
    return plain[0], plain[1]
