"""Which skills of a project fit a task, by the words that both have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from math import log

from nightmill.skill.file import Skill

__all__ = ["FOLDERS", "relevant"]

FOLDERS = (".nightmill/skills", ".agents/skills", ".claude/skills", ".codex/skills")
"""Where skills are looked for; of two with one name the first counts."""
WORD = re.compile(r"[a-z][a-z0-9]{2,}")
STEM = 5
"""Letters by which words are taken to be one: test, tests, testing."""
COMMON = frozenset(
    (
        "the",
        "and",
        "for",
        "use",
        "when",
        "with",
        "this",
        "that",
        "skill",
        "from",
        "into",
        "file",
        "must",
        "what",
        "user",
    )
)
LEAST = 2.0
"""Weight of shared words from which a skill fits; a word weighs the more, the fewer skills have it."""


def relevant(skills: Iterable[Skill], cue: str, *, most: int) -> tuple[Skill, ...]:
    """At most *most* of *skills* that fit *cue*, best first; one that the cue names fits in any case."""
    found = {each.name: each for each in reversed(tuple(skills))}
    words = {each.path: _stems(f"{each.name} {each.description}") for each in found.values()}
    spread = Counter(stem for stems in words.values() for stem in stems)
    said, plain = _stems(cue), f" {' '.join(re.split(r'[^a-z0-9-]+', cue.lower()))} "
    weight = {
        each.name: sum(1 + log(len(found) / spread[stem]) for stem in words[each.path] & said)
        + (LEAST if f" {each.name.lower()} " in plain else 0.0)
        for each in found.values()
    }
    fits = sorted((name for name in found if weight[name] >= LEAST), key=lambda name: (-weight[name], name))
    return tuple(found[name] for name in fits[:most])


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:STEM] for word in WORD.findall(text.lower()) if word not in COMMON)
