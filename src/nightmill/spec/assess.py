"""Judge a spec: gates that refuse by themselves, then a score of named parts. No model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nightmill.spec import gates, language, words
from nightmill.spec.entries import scenario
from nightmill.spec.language import Text
from nightmill.spec.nouns import Assessment, Flaw, Spec

__all__ = ["assess"]

GOAL_WORDS = 8
MOST_CRITERIA = 25
MOST_TEXT = 60_000
SHOWN = 8
"""Flaws of one rule that are listed; the rest are counted in one more."""
PER_WORD = 3
PER_QUESTION = 4


def assess(spec: Spec, *, threshold: int) -> Assessment:
    """Judge *spec*; it is accepted if no gate fails and its score reaches *threshold* (0 to 100)."""
    texts = language.texts(spec)
    flaws = [*gates.failures(spec, texts)]
    parts: dict[str, tuple[int, int]] = {}
    for name, part in (
        ("goal", _goal(spec)),
        ("requirements", _requirements(spec)),
        ("criteria", _criteria(spec)),
        ("tracing", _tracing(spec)),
        ("guardrails", _present(spec.guardrails, 10, "guardrails", "no section says what is out of scope", GUARDRAILS)),
        ("tests", _present(spec.tests, 10, "tests", "no section says which tests are expected", TESTS)),
        ("contracts", _contracts(spec)),
        ("language", _language(texts)),
        ("size", _size(spec)),
    ):
        earned, possible, found = part
        parts[name] = (earned, possible)
        flaws.extend(found)
    score = sum(earned for earned, _ in parts.values())
    return Assessment(score=score, threshold=threshold, flaws=tuple(_fewer(flaws)), parts=parts)


GUARDRAILS = "Add \u201cOut of scope\u201d: what must not be built or touched."
TESTS = "Add \u201cTests\u201d: what is tested, and where."

Part = tuple[int, int, list[Flaw]]


def _goal(spec: Spec) -> Part:
    if not spec.goal:
        return 0, 10, []
    if len(spec.goal.split()) >= GOAL_WORDS:
        return 10, 10, []
    return (
        5,
        10,
        [Flaw(rule="goal-short", message="the goal is short", advice="Say what is wrong today, and for whom.")],
    )


def _requirements(spec: Spec) -> Part:
    if spec.requirements:
        return 10, 10, []
    message = "no section lists what to build"
    flaw = Flaw(rule="no-requirements", message=message, advice="Add \u201cRequirements\u201d or \u201cExpected\u201d.")
    return 5 if spec.goal else 0, 10, [flaw]


def _criteria(spec: Spec) -> Part:
    """15 for what can be checked at all, 10 for what gives a value, an example or a condition and its outcome."""
    if not spec.criteria:
        return 0, 25, []
    count = len(spec.criteria)
    checkable = sum(1 for each in spec.criteria if gates.checkable(each.text))
    loose = [each for each in spec.criteria if not (words.concrete(each.text) or scenario(each.text))]
    flaws = [
        Flaw(
            rule="criterion-without-example",
            message=f"criterion {each.id} gives no value or example",
            advice="Add an input and what comes out.",
            line=each.line,
            file=each.file,
        )
        for each in loose
    ]
    return 15 * checkable // count + 10 * (count - len(loose)) // count, 25, flaws


def _tracing(spec: Spec) -> Part:
    if not spec.requirements or not spec.criteria:
        return (5 if spec.criteria else 0), 10, []
    shown = {each for criterion in spec.criteria for each in criterion.requirements}
    traced = sum(1 for requirement in spec.requirements if requirement.id in shown)
    return 10 * traced // len(spec.requirements), 10, []


def _present(entries: Sequence[str], points: int, rule: str, message: str, advice: str) -> Part:
    if entries:
        return points, points, []
    return 0, points, [Flaw(rule=f"no-{rule}", message=message, advice=advice)]


def _contracts(spec: Spec) -> Part:
    if spec.contracts:
        return 5, 5, []
    advice = "Add \u201cContracts\u201d: the interfaces and dependencies that must hold."
    return 2, 5, [Flaw(rule="no-contracts", message="no section names interfaces or dependencies", advice=advice)]


def _language(texts: Sequence[Text]) -> Part:
    found = [*_per_line(texts), *language.comments(texts)]
    lost = sum(PER_QUESTION if flaw.rule == "open-question" else PER_WORD for flaw in found)
    return max(0, 15 - lost), 15, found


def _per_line(texts: Sequence[Text]) -> Iterator[Flaw]:
    for text in texts:
        for line in text.stated():
            yield from language.weasel_flaws(text, line)
            yield from language.hedge_flaws(text, line)
        yield from language.question_flaws(text)


def _size(spec: Spec) -> Part:
    flaws: list[Flaw] = []
    if len(spec.criteria) > MOST_CRITERIA:
        message = f"{len(spec.criteria)} criteria are much for one spec"
        flaws.append(Flaw(rule="size", message=message, advice="Cut it into several specs."))
    if len(spec.text) > MOST_TEXT:
        message = f"the spec has {len(spec.text):,} characters"
        flaws.append(Flaw(rule="size", message=message, advice="Link what is only background."))
    return max(0, 5 - 3 * len(flaws)), 5, flaws


def _fewer(flaws: Sequence[Flaw]) -> Iterator[Flaw]:
    """Gates first; of each rule only so many, and how many more there are."""
    counts: dict[str, int] = {}
    for flaw in sorted(flaws, key=lambda flaw: not flaw.gate):
        counts[flaw.rule] = counts.get(flaw.rule, 0) + 1
        if counts[flaw.rule] <= SHOWN:
            yield flaw
    for rule, count in counts.items():
        if count > SHOWN:
            last = next(flaw for flaw in flaws if flaw.rule == rule)
            yield Flaw(
                rule=rule, message=f"{count - SHOWN} more like the above ({rule})", advice=last.advice, gate=last.gate
            )
