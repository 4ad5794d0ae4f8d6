"""Which criterion shows which requirement, and the ids that the author left out."""

from __future__ import annotations

import re
from dataclasses import replace

from nightmill.spec import words
from nightmill.spec.gather import UNNUMBERED
from nightmill.spec.nouns import Criterion, Requirement

__all__ = ["MOST", "number", "trace"]

MOST = 200
"""Requirements, and criteria, that are compared word by word; a spec with more is refused as too large."""
SHARED = 2
HALF = 0.5
CODE = re.compile(r"`([^`\n]+)`")


def number(requirements: list[Requirement], criteria: list[Criterion]) -> tuple[list[Requirement], list[Criterion]]:
    """Give an id to all that has none: R1, R2… and AC1, AC2… by their place in the spec, past those in use."""
    new: dict[str, str] = {}
    named: list[Requirement] = []
    taken = {each.id for each in requirements}
    for place, each in enumerate(requirements, start=1):
        if each.id.startswith(UNNUMBERED):
            new[each.id] = _free("R", place, taken)
        named.append(replace(each, id=new.get(each.id, each.id)))
    shown: list[Criterion] = []
    required = {each.id for each in named}
    taken = required | {each.id for each in criteria}
    for place, criterion in enumerate(criteria, start=1):
        linked = tuple(new.get(each, each) for each in criterion.requirements)
        own = criterion.id
        if own in required:  # "R1: …" under the criteria names what it shows
            linked, own = (*linked, own), ""
        shown.append(replace(criterion, id=own or _free("AC", place, taken), requirements=linked))
    return named, shown


def trace(requirements: list[Requirement], criteria: list[Criterion], *, unnamed: set[str]) -> list[Criterion]:
    """The criteria with the requirements that each shows; *unnamed* are ids that the author did not give.

    First by what the author says: a criterion under a requirement or that names its id, or a requirement that names
    the criterion's id. A requirement that nobody names is shown by the criteria that have most words with it in
    common: at least two significant ones, or one that stands in code in both, or half of the words of the shorter.
    Criteria that are then left over are examples of the requirements that are left over, if the author gave those no
    ids and there are no more of them than examples. A lone requirement is shown by all criteria.
    """
    links: list[dict[str, None]] = [dict.fromkeys(each.requirements) for each in criteria]
    known = {each.id for each in requirements}
    places = {each.id: place for place, each in enumerate(criteria)}
    for place, criterion in enumerate(criteria):
        links[place].update(dict.fromkeys(each for each in words.ids(criterion.text) if each in known))
    for each in requirements:
        for mentioned in words.ids(each.text):
            if mentioned in places and mentioned not in known:
                links[places[mentioned]][each.id] = None
    if len(requirements) == 1:
        links = [dict.fromkeys([requirements[0].id]) for _ in criteria]
    elif len(requirements) <= MOST and len(criteria) <= MOST:
        _by_words(requirements, criteria, links)
        _by_example(requirements, unnamed, links)
    return [replace(each, requirements=tuple(links[place])) for place, each in enumerate(criteria)]


def _by_words(requirements: list[Requirement], criteria: list[Criterion], links: list[dict[str, None]]) -> None:
    named = {each for link in links for each in link}
    spoken = [(words.significant(each.text), _code(each.text)) for each in criteria]
    for requirement in requirements:
        if requirement.id in named:
            continue
        about, code = words.significant(requirement.text), _code(requirement.text)
        shared = [len(about & other) + SHARED * len(code & other_code) for other, other_code in spoken]
        most = max(shared, default=0)
        for place, (other, _) in enumerate(spoken):
            shorter = min(len(about), len(other))
            if shared[place] == most and (most >= SHARED or (most and most >= HALF * shorter)):
                links[place][requirement.id] = None


def _by_example(requirements: list[Requirement], unnamed: set[str], links: list[dict[str, None]]) -> None:
    named = {each for link in links for each in link}
    left = [each.id for each in requirements if each.id not in named]
    examples = [link for link in links if not link]
    if unnamed.issuperset(left) and len(left) <= len(examples):
        for link in examples:
            link.update(dict.fromkeys(left))


def _code(text: str) -> frozenset[str]:
    return frozenset(CODE.findall(text))


def _free(prefix: str, place: int, taken: set[str]) -> str:
    while f"{prefix}{place}" in taken:
        place += 1
    taken.add(f"{prefix}{place}")
    return f"{prefix}{place}"
