"""What refuses a spec by itself, whatever its score."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nightmill.spec import words
from nightmill.spec.entries import scenario
from nightmill.spec.language import Text, placeholder_flaws
from nightmill.spec.nouns import Criterion, Flaw, Requirement, Spec, SpecTask
from nightmill.spec.trace import MOST

__all__ = ["checkable", "failures"]

OUTCOME = re.compile(r"[*_]{0,2}\b(?:then|shall)\b[*_]{0,2}", re.IGNORECASE)
NEGATION = re.compile(r"\b(?:not|no|never|cannot|can't|don't|doesn't|won't|without|isn't|aren't|n't)\b", re.IGNORECASE)
FEWEST_WORDS = 3
BEHAVIOUR_WORDS = 6
SAME = 3
"""Words from which two statements that share all of them are about the same."""
GATE_TASKS = 500


def failures(spec: Spec, texts: Sequence[Text]) -> Iterator[Flaw]:
    """Every gate that *spec* fails, in the order in which its author would mend them."""
    for text in texts:
        yield from placeholder_flaws(text)
    yield from _missing(spec)
    yield from _too_many(spec)
    yield from _twice(spec)
    yield from _unchecked(spec)
    yield from _untraced(spec)
    yield from _contradictions(spec)
    yield from _tasks(spec.tasks)


def checkable(text: str) -> bool:
    """Whether *text* states something that a user or a program would observe.

    Of a scenario only the outcome counts. It must name a value (a number, code, quoted words), or say what happens
    in words that are not vague: "the list is empty", not "it works well".
    """
    said = text
    if scenario(text) and (found := OUTCOME.search(text)):
        said = text[found.end() :]
    if words.concrete(said):
        return True
    if words.vague(said) or not said.strip(" .,"):
        return False
    return words.observable(text) and len(text.split()) >= FEWEST_WORDS


def _missing(spec: Spec) -> Iterator[Flaw]:
    if not spec.title:
        yield _gate("no-title", "the spec has no title", "Begin with a heading that names the change.", 1)
    if not spec.goal:
        yield _gate(
            "no-goal",
            "the spec has no goal",
            "Say what to build and why, under \u201cGoal\u201d or \u201cProblem\u201d.",
        )
    if not spec.requirements and len(words.significant(spec.goal)) < BEHAVIOUR_WORDS:
        advice = "Say what it must do, under \u201cRequirements\u201d or \u201cExpected\u201d."
        yield _gate("no-behaviour", "the spec describes no behaviour", advice)
    if not spec.criteria:
        advice = "Add \u201cAcceptance criteria\u201d: what a user would see when it is done."
        yield _gate("no-criteria", "the spec has no acceptance criteria", advice)


def _too_many(spec: Spec) -> Iterator[Flaw]:
    advice = "Cut it into several specs."
    if len(spec.requirements) > MOST:
        yield _gate("too-large", f"the spec has {len(spec.requirements)} requirements, more than {MOST}", advice)
    if len(spec.criteria) > MOST:
        yield _gate("too-large", f"the spec has {len(spec.criteria)} criteria, more than {MOST}", advice)
    if len(spec.tasks) > GATE_TASKS:
        yield _gate("too-large", f"the spec has {len(spec.tasks)} tasks, more than {GATE_TASKS}", advice)


def _twice(spec: Spec) -> Iterator[Flaw]:
    first: dict[str, Requirement | Criterion | SpecTask] = {}
    kinds: list[tuple[str, Sequence[Requirement | Criterion | SpecTask]]] = [
        ("requirement", spec.requirements),
        ("criterion", spec.criteria),
        ("task", spec.tasks),
    ]
    for kind, all_of_kind in kinds:
        first.clear()
        for each in all_of_kind:
            before = first.setdefault(each.id, each)
            if before is not each:
                message = f"{kind} {each.id} is there twice, first in line {before.line}"
                yield _gate("duplicate-id", message, "Give each its own id.", each.line, each.file)


def _unchecked(spec: Spec) -> Iterator[Flaw]:
    for each in spec.criteria:
        if not checkable(each.text):
            word = words.vague(each.text)
            why = f": \u201c{word}\u201d is not something one sees" if word else ""
            message = f"criterion {each.id} cannot be checked{why}"
            yield _gate("criterion-uncheckable", message, "Say what a user would see.", each.line, each.file)


def _untraced(spec: Spec) -> Iterator[Flaw]:
    shown = {each for criterion in spec.criteria for each in criterion.requirements}
    if not spec.criteria or len(spec.requirements) > MOST or len(spec.criteria) > MOST:
        return  # refused already, for the reason that comes first
    for each in spec.requirements:
        if each.id not in shown:
            message = f"requirement {each.id} is shown by no criterion"
            advice = f"Add a criterion that shows it, or name {each.id} in one that does."
            yield _gate("requirement-untraced", message, advice, each.line, each.file)


def _contradictions(spec: Spec) -> Iterator[Flaw]:
    """Two statements about the same, one of which says no."""
    said: dict[frozenset[str], tuple[bool, Requirement | Criterion]] = {}
    statements: list[Requirement | Criterion] = [*spec.requirements, *spec.criteria]
    for each in statements:
        about, denied = _claim(each.text)
        if len(about) < SAME:
            continue
        before = said.setdefault(about, (denied, each))
        if before[0] != denied:
            message = f"{each.id} says the opposite of {before[1].id}"
            yield _gate("contradiction", message, "Keep the one that you mean.", each.line, each.file)
    for text in spec.guardrails:
        about, _ = _claim(text)
        if about in said and not said[about][0]:
            message = f"\u201c{text[:60]}\u201d is out of scope and asked for"
            other = said[about][1]
            yield _gate("contradiction", message, "Keep the one that you mean.", other.line, other.file)


def _claim(text: str) -> tuple[frozenset[str], bool]:
    """What *text* is about, and whether it says no. Values count: "`1`" and "`2`" are different statements."""
    values = frozenset(re.findall(r"\d+|`[^`\n]+`|\"[^\"\n]+\"", text))
    about = words.claim(text)
    return (about | values) if len(about) >= SAME else frozenset(), len(NEGATION.findall(text)) % 2 == 1


def _tasks(tasks: Sequence[SpecTask]) -> Iterator[Flaw]:
    known = {task.id for task in tasks}
    for task in tasks:
        for each in task.depends or ():
            if each not in known:
                message = f"task {task.id} depends on {each}, which is not there"
                yield _gate("task-dependency", message, "Name a task of this spec.", task.line, task.file)
            elif each == task.id:
                message = f"task {task.id} depends on itself"
                yield _gate("task-dependency", message, "Remove the dependency.", task.line, task.file)


def _gate(rule: str, message: str, advice: str, line: int = 0, file: str = "") -> Flaw:
    return Flaw(rule=rule, message=message, advice=advice, line=line, gate=True, file=file)
