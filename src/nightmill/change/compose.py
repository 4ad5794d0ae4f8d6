"""The words of a change: its branch, its commit message and the text of its pull request."""

from __future__ import annotations

import hashlib
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nightmill.change.nouns import Landing
from nightmill.change.words import block, code, line, prose, quoted
from nightmill.repo import Change, shown

__all__ = ["body", "branch_name", "message", "subject"]

SUBJECT = 72
SLUG = 40
RUN = 24
LISTED = 100
PERSON = re.compile(r"[^<>\s][^<>]{0,100} <[^<>\s@]{1,100}@[^<>\s@]{1,200}>")

STATES: Mapping[str, str] = {
    "shown": "✓ shown",
    "inspected": "? quoted",
    "claimed": "? claimed",
    "not shown": "✗ not shown",
}


def branch_name(title: str, run: str) -> str:
    """The branch of *run*: a name that git takes whatever the title is, and that no other run has."""
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_only)[:SLUG].strip("-") or "task"
    short = run
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?", run):
        digest = hashlib.sha256(run.encode("utf-8", "surrogatepass")).hexdigest()[:10]
        short = f"{re.sub(r'[^a-z0-9]+', '', run.lower())[:10]}-{digest}".lstrip("-")
    return f"nightmill/{slug}-{short}"


def subject(title: str) -> str:
    """The title as the first line of a commit."""
    words = line(title, limit=1000).lstrip("-+#>|@=;~ ")
    if len(words) > SUBJECT:
        cut = words[: SUBJECT - 1]
        words = (cut.rpartition(" ")[0] if " " in cut[SUBJECT // 2 :] else cut).rstrip(" ,;:-") + "…"
    return words or "Change without a title"


def message(landing: Landing) -> str:
    """The whole commit message; the trailers are the engine's, whatever the summary says."""
    trailers = {
        "Nightmill-Run": landing.run,
        "Nightmill-Task": landing.task.id,
        "Nightmill-Spec": landing.digest,
    }
    people = dict.fromkeys(each for each in (landing.co_author, *landing.editors) if PERSON.fullmatch(each))
    found = [*trailers.items(), *(("Co-authored-by", each) for each in people)]
    last = "\n".join(f"{name}: {line(value, limit=400)}" for name, value in found if line(value))
    parts = [subject(landing.task.title), quoted(landing.summary), last]
    return "\n\n".join(part for part in parts if part) + "\n"


def body(landing: Landing, *, changes: Sequence[Change], branch: str, hub: Path) -> str:
    """The text of the pull request, from `templates/pull_request.md`.

    What the engine saw stands in tables, what the agent says in a block that it cannot leave.
    """
    commands = f"git fetch {shlex.quote(str(hub))} {shlex.quote(branch)}\ngit diff {landing.base[:12]}...FETCH_HEAD"
    text: str = _template().render(
        landing=landing,
        verdict=landing.verdict,
        changes=[(change, shown(change.path)) for change in changes[:LISTED]],
        more=max(0, len(changes) - LISTED),
        findings=[(shown(path), what) for path, what in (*_bends(landing), *landing.findings)][:LISTED],
        added=sum(change.added for change in changes),
        removed=sum(change.removed for change in changes),
        files=len(changes),
        commands=commands,
        branch=branch,
    )
    return text


def _bends(landing: Landing) -> list[tuple[str, str]]:
    found = landing.verdict.findings
    return [(f"{each.path}:{each.line}" if each.line else each.path, f"{each.kind}: {each.what}") for each in found]


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only the end of a run needs it

    environment = Environment(
        loader=PackageLoader("nightmill.change", "templates"),
        autoescape=False,  # noqa: S701 - Markdown, not HTML: each value goes through code, prose or block
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": code, "prose": prose, "block": block, "state": STATES.__getitem__}
    environment.filters |= {"codes": _codes, "count": _count, "outcome": _outcome, "rate": _rate, "money": _money}
    return environment.get_template("pull_request.md")


def _codes(names: Sequence[str]) -> str:
    first = ", ".join(code(name) for name in names[:5])
    return f"{first} and {len(names) - 5} more" if len(names) > 5 else first or "—"


def _count(failures: Sequence[Any], kind: str) -> int:
    return sum(failure.kind == kind for failure in failures)


def _rate(failure: Any) -> str:
    from nightmill.review.flake import told  # noqa: PLC0415 - only the end of a run needs it

    return told(failure.failed, failure.runs)


def _outcome(result: Any) -> str:
    if result.passed:
        return "✓ passed"
    return f"✗ stopped: {prose(result.stopped)}" if result.stopped else "✗ failed"


def _money(cost: float | None) -> str:
    return "price unknown" if cost is None else f"US$ {cost:.4f}"
