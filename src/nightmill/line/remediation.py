"""What a run could not end, as a task: all that is known of it, and the spec by which another run goes on with it.

Most of its words are a model's. They are data here: of a form that is known, bounded, and in the spec either quoted or in
blocks that they cannot close.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from nightmill import spec as specs
from nightmill.change.words import block, line, plain
from nightmill.kept import Finding, Judged, Part, Remediation, Settled
from nightmill.line import brief as briefs
from nightmill.line.begun import Begun
from nightmill.spec.words import leading_id

if TYPE_CHECKING:
    from nightmill.kept import Filed
    from nightmill.line.assignment import Assignment
    from nightmill.spec import Criterion, Spec

__all__ = ["Left", "known", "read", "write"]

MOST_FINDINGS, MOST_SETTLED, MOST_JUDGED = 40, 40, 12
MOST_TITLE, MOST_TEXT, MOST_LONG = 160, 1_500, 6_000
"""Characters of a title or a name, of what is said of one finding, and of an approach or of what checks say."""
MOST_SAID, MOST_FIRST = 24_000, 40_000
"""Characters of all findings together in a spec, and of the first spec."""
PLAIN_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,19}")
TRACED = re.compile(r"\([^()\n]{1,80}\)\s*:\s*")
"""The requirements that a criterion names before its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A task that a run left: *filed* is its row, *known* all that is known, *asked* what that run was to do."""

    filed: Filed
    known: Remediation
    asked: Assignment

    @property
    def begun(self) -> Begun:
        """What the new run goes on from."""
        known = self.known
        parts = tuple(replace(part, run=part.run or known.run) for part in known.parts)
        return Begun(
            task=self.filed.id, commit=known.commit, parts=parts, first=self._first, editors=self.asked.editors
        )

    @property
    def _first(self) -> str:
        return self.asked.begun.first if self.asked.begun else self.asked.spec.text

    def spec(self, *, threshold: int) -> Spec:
        """The spec of the new run, one that is accepted from the score *threshold* on if any that can be made of it is.

        Where what others wrote would have it refused, nothing of that stands outside of blocks.
        """
        text, title, count = self._written(terse=False)
        made = self._read(text)
        meant = (made.title, len(made.criteria), len(made.requirements)) == (title, count, 2 if self.criteria else 1)
        if meant and specs.assess(made, threshold=threshold).accepted:
            return made
        return self._read(self._written(terse=True)[0])

    def _read(self, text: str) -> Spec:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "SPEC.md")
            path.write_text(text, encoding="utf-8", errors="replace")
            found = specs.read(path)
        return replace(found, source=f"task {self.filed.id}")

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """Those of the task that the run worked on."""
        return briefs.criteria(self.asked)

    def _written(self, *, terse: bool) -> tuple[str, str, int]:
        """The text of the spec, its title, and how many criteria it has."""
        known, first = self.known, self.criteria
        title = f"Finish what run {known.run} left" if terse else _title(self.filed.title, known.run)
        shown = [
            *_kept(first, terse=terse),
            *_open(known.findings, len(first), {each.id for each in first}, terse=terse),
        ]
        if not known.findings:
            shown.append("- (R1): All checks of the project pass, with the tests that are in the tree.")
        count = len(known.findings) + known.more
        what = f"{count} of the findings in it are open" if count else "its checks do not pass"
        problem = (
            f"Run `{known.run}` worked on this by the blueprint `{known.blueprint}` and could not end it: {what}.\n"
            "What it has made is in the checkout, tests of its own among it, and differs from the base commit as a change"
            " does: go on from there, and begin nothing anew."
        )
        lines = [
            f"# {title}",
            "## Problem",
            problem,
            "## Requirements",
            f"- R1: {'What was found and is open is mended.' if known.findings else 'The checks pass.'}",
            *(["- R2: What the first spec asks for holds."] if first else []),
            "## Acceptance criteria",
            "\n".join(shown),
            "## Out of scope",
            "- Anything that none of these criteria asks for.\n- A change to a test that a finding names.",
            "## Contracts",
            "- What the change leaves as it is, as the first spec and the approach say.",
            "## Tests",
            "- Each test that a criterion names is one that the checks run.",
            *_known(known, self._first),
        ]
        return "\n\n".join(lines) + "\n", title, len(shown)


def known(
    values: Mapping[str, Any], *, run: str, blueprint: str, commit: str, tree: str, parts: tuple[Part, ...]
) -> Remediation:
    """What a run leaves with the *values* of its `emit` step, which are of the form that `blueprint.facts` says."""
    findings = list(_findings(values.get("findings") or ()))
    settled = [
        Settled(
            id=_id(each, number, "S"),
            title=_short(each, "title"),
            state=_short(each, "state"),
            by=_text(each, "by", most=MOST_TITLE * 2),
        )
        for number, each in enumerate(values.get("settled") or (), 1)
    ]
    return Remediation(
        run=run,
        blueprint=blueprint,
        commit=commit,
        tree=tree,
        parts=parts,
        findings=tuple(findings[:MOST_FINDINGS]),
        more=len(findings[MOST_FINDINGS:]),
        settled=tuple(settled[:MOST_SETTLED]),
        approach=_text(values, "approach", most=MOST_LONG),
        checks=_text(values, "checks", most=MOST_LONG),
        said=tuple(
            Judged(
                role=_short(each, "role"),
                approved=bool(each.get("approved")),
                case_for=_text(each, "case_for", most=MOST_TEXT),
                case_against=_text(each, "case_against", most=MOST_TEXT),
            )
            for each in (values.get("said") or ())[:MOST_JUDGED]
        ),
    )


@cache
def _adapter() -> TypeAdapter[Remediation]:
    return TypeAdapter(Remediation)


def write(remediation: Remediation) -> bytes:
    """*remediation* as JSON."""
    return _adapter().dump_json(remediation)


def read(body: bytes) -> Remediation:
    """The remediation in *body*."""
    return _adapter().validate_json(body)


# What models said


def _findings(said: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    taken: set[str] = set()
    for number, each in enumerate(said, 1):
        name = _id(each, number, "F")
        while name in taken:
            name = f"{name[:16]}.{number}"
        taken.add(name)
        words = ("expected", "happened", "detail", "evidence", "answer", "why")
        yield Finding(
            id=name,
            title=_short(each, "title"),
            severity=_short(each, "severity"),
            criterion=_short(each, "criterion"),
            test=_short(each, "test", most=200),
            **{word: _text(each, word, most=MOST_TEXT) for word in words},
        )


def _id(each: Mapping[str, Any], number: int, prefix: str) -> str:
    """The id that *each* was given, or one of our own where that could be anything else, too."""
    said = str(each.get("id") or "")
    return said if PLAIN_ID.fullmatch(said) and said.isascii() else f"{prefix}{number}"


def _short(each: Mapping[str, Any], name: str, *, most: int = MOST_TITLE) -> str:
    return line(str(each.get(name) or ""), limit=most)


def _text(each: Mapping[str, Any], name: str, *, most: int) -> str:
    said = plain(str(each.get(name) or "")[: 2 * most]).strip()
    return said if len(said) <= most else f"{said[: most - 1]}…"


# The spec


def _title(said: str, run: str) -> str:
    """*said* as a heading that is nothing else; one of our own where nothing is left of it."""
    words = " ".join(re.sub(r"[`*_#<>\[\]|\\~]", " ", line(said, limit=MOST_TITLE)).split())
    return words or f"Finish what run {run} left"


def _kept(first: Sequence[Criterion], *, terse: bool) -> Iterator[str]:
    """The criteria that there were, each under its id where that can be read again."""
    if terse and first:
        listed = ", ".join(f"`{line(each.id, limit=20).replace('`', '')}`" for each in first)
        yield f"- (R2): The {len(first)} criteria of the first spec hold as they stand there: {line(listed, limit=2_000)}."
        return
    for each in first:
        own = f"{each.id} " if leading_id(f"{each.id} (R2): x")[0] == each.id and each.id not in {"R1", "R2"} else ""
        yield f"- {own}(R2): {TRACED.sub('', line(each.text, limit=MOST_TEXT), count=1)}"


def _open(findings: Sequence[Finding], after: int, taken: set[str], *, terse: bool) -> Iterator[str]:
    """A criterion for each of *findings*, numbered after those that there were."""
    number = after
    for each in findings:
        number += 1
        while f"AC{number}" in taken:
            number += 1
        test, title = each.test.replace("`", "'"), re.sub('[\u201c\u201d\u00ab\u00bb"`]', "'", each.title)
        said = f": \u201c{title}\u201d" if title and not terse else ""
        what = (
            f"The test `{test}` passes" if test else f"A test that fails without the mend of `{each.id}` passes with it"
        )
        yield f"- {'' if terse else f'AC{number} '}(R1): {what}, which shows that finding `{each.id}` is mended{said}."


def _known(known: Remediation, first: str) -> Iterator[str]:
    """All that is known, in blocks."""
    if known.findings:
        yield "## Findings"
        room = max(400, MOST_SAID // len(known.findings))
        for each in known.findings:
            yield f"Finding `{each.id}`:\n\n{block(_said(each), limit=room)}"
    if known.more:
        yield f"The run has {known.more} more: `nightmill show {known.run}`."
    for heading, text in (
        ("What is settled", "\n".join(f"{each.id} ({each.state}): {each.title} — {each.by}" for each in known.settled)),
        ("What each said of the whole", "\n\n".join(map(_judged, known.said))),
        ("What the checks said", known.checks),
        ("Approach", known.approach),
    ):
        if text.strip():
            yield f"## {heading}\n\n{block(text, limit=MOST_LONG)}"
    yield f"## The first spec\n\n{block(first, width=400, limit=MOST_FIRST)}"


def _judged(each: Judged) -> str:
    """What one role said, in lines."""
    cases = (("for it", each.case_for), ("against it", each.case_against))
    said = (f"{name}: {text}" for name, text in cases if text)
    return "\n".join((f"{each.role} {'agrees' if each.approved else 'does not agree'}", *said))


def _said(finding: Finding) -> str:
    """*finding* in lines."""
    names = ("severity", "title", "criterion", "test", "expected", "happened", "detail", "evidence", "answer", "why")
    return "\n".join(f"{name}: {text}" for name in names if (text := getattr(finding, name)))
