"""How well an ask fits each blueprint, by its cues: words weigh the more the fewer blueprints have them.

The weights are inverse document frequencies (Spärck Jones 1972) over the blueprints of the catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nightmill.blueprint import Blueprint
from nightmill.intake.nouns import Match
from nightmill.intake.words import Word, lexicon, read, stem, unquoted

__all__ = ["CLEAR", "LEAST", "SURE", "Cues"]

LEAST = 0.85
"""Weight from which something was recognised at all: a word that half of the blueprints have is none."""
SURE = 1.9
"""Weight from which a blueprint may be started without another look."""
ASIDE = 0.3
"""Of a word that alone is a cue, what counts where it does not stand at the head of a clause."""
CLEAR = 1.8
"""Times the next one's score, from which a match is the one."""
FILLS = 0.8
"""Weight of an input that is found in the ask by its form: a package of a lock file, a file of the checkout."""
MORE = 0.25
"""Of what other cues recognise beside the best one, what counts."""


@dataclass(frozen=True)
class Cues:
    """The cues of *blueprints*, by what their words mean."""

    blueprints: Sequence[Blueprint]

    @cached_property
    def read(self) -> Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]]:
        """Of each blueprint, its cues with the meanings in them; stop words mean nothing, unless there is nothing else."""
        return {
            each.name: tuple((cue, _meanings(read(unquoted(cue.casefold())))) for cue in each.cues)
            for each in self.blueprints
        }

    @cached_property
    def weights(self) -> Mapping[str, float]:
        """What each meaning weighs."""
        names: dict[str, set[str]] = {}
        for name, cues in self.read.items():
            for _, meanings in cues:
                for each in meanings:
                    names.setdefault(each, set()).add(name)
        most = len(self.blueprints)
        return {meaning: math.log(1 + most / len(found)) for meaning, found in names.items()}

    @property
    def vocabulary(self) -> frozenset[str]:
        """All meanings."""
        return frozenset(self.weights)

    def has(self, name: str, meaning: str) -> bool:
        """Whether a cue of *name* has *meaning*."""
        return any(meaning in meanings for _, meanings in self.read[name])

    def together(self, name: str, verb: str, objects: frozenset[str]) -> bool:
        """Whether one cue of *name* has *verb*, and one of *objects* where there are any, as they are said."""
        for cue in self.blueprint(name).cues:
            said = {stem(each.said) for each in read(unquoted(cue.casefold()))}
            if verb in said and (not objects or said & objects):
                return True
        return False

    def blueprint(self, name: str) -> Blueprint:
        """The blueprint *name*, one of these."""
        return next(each for each in self.blueprints if each.name == name)

    def match(self, words: Sequence[Word], *, filled: frozenset[str] = frozenset()) -> tuple[Match, ...]:
        """All blueprints of which anything is recognised in *words*, best first.

        *filled* are those that need something of a certain form, and the ask has it.
        """
        found = [self._of(name, words) for name in self.read]
        found = [
            replace(each, score=each.score + FILLS) if each.name in filled and each.score else each for each in found
        ]
        return tuple(sorted((each for each in found if each.score > 0), key=lambda each: (-each.score, each.name)))

    def _of(self, name: str, words: Sequence[Word]) -> Match:
        there = {each.means: each.said for each in words}
        heads = {each.means for each in words if each.head}
        best, cue_of_best, other = 0.0, "", set[str]()
        hits: tuple[str, ...] = ()
        for cue, meanings in self.read[name]:
            hit = tuple(each for each in dict.fromkeys(meanings) if each in there)
            other |= set(hit)
            whole = sum(self.weights[each] for each in dict.fromkeys(meanings))
            known = sum(self.weights[each] for each in hit)
            score = known * (known / whole) ** 2 if whole else 0.0
            if len(hit) == 1 and hit[0] not in heads:
                score *= ASIDE
            if score > best:
                best, cue_of_best, hits = score, cue, hit
        rest = sum(self.weights[each] for each in other - set(hits))
        said = tuple(dict.fromkeys(there[each] for each in (*hits, *sorted(other - set(hits)))))
        return Match(name=name, score=round(best + MORE * rest, 4), cue=cue_of_best, words=said)


def _meanings(words: Sequence[Word]) -> tuple[str, ...]:
    told = tuple(
        each.means for each in words if each.means not in lexicon().stop and each.means not in lexicon().negation
    )
    return told or tuple(each.means for each in words)
