"""Any ask becomes an approved blueprint with inputs, or a question back. No model is asked here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nightmill.blueprint import Blueprint
from nightmill.blueprint.nouns import AgentStep, walk
from nightmill.errors import SettingsError, SpecError
from nightmill.intake.inputs import fill, missing
from nightmill.intake.match import CLEAR, LEAST, SURE, Cues
from nightmill.intake.nouns import Answer, Match, Missing, Offer, Surroundings
from nightmill.intake.reach import RULES, Beyond, aside, beyond, says, tells
from nightmill.intake.words import LONGEST, Word, clauses, clean, lexicon, quoted, read, stem, unquoted

__all__ = ["Gateway", "readable", "takes_words"]

MOST_TITLE = 100
MOST_NEAR = 3
MOST_PARTS = 12
"""Clauses that are looked at, each against all cues."""
NAMED = re.compile(r"\bblueprint\s+([a-z][a-z0-9-]{0,39})\b", re.IGNORECASE)
ANCHOR = re.compile(r"\w\.\w|\w/\w|\w_\w|\w\(\)|#\d|^--?\w|\d")
"""A word by which a place or a thing can be found: a path, a name of the code, an option, a number."""
MOST_OFFERED = 4
WITHIN = 3.0
"""Times the score of one, within which the first must be for that one to be offered at all."""
LEAST_PART = 4
"""Letters of a part of a file's name that is a word."""
READONLY = "readonly"
"""Group of what says that nothing is to be changed."""
SOFTWARE = frozenset(
    {"ci", "refactor", "test", "unit", "coverage", "dependency", "bug", "option", "duplication", "spec", "feature"}
)
"""Groups of words.toml that are only said of software."""


@dataclass(frozen=True)
class Gateway:
    """What people approved of in a project, *around* a checkout of it."""

    offers: Sequence[Offer]
    around: Surroundings

    @cached_property
    def cues(self) -> Cues:
        """What asks are compared with."""
        return Cues([each.blueprint for each in self.offers])

    def blueprint(self, name: str) -> Blueprint:
        """The approved blueprint *name*.

        Raises:
            SettingsError: If there is none.
        """
        return self.offer(name).blueprint

    def offer(self, name: str) -> Offer:
        """The approved blueprint *name*, with who approved of it.

        Raises:
            SettingsError: If there is none.
        """
        found = next((each for each in self.offers if each.blueprint.name == name), None)
        if found is None:
            raise SettingsError(f"no approved blueprint is called {name!r}", hint="nightmill blueprint list")
        return found

    def answer(self, said: str) -> Answer:
        """What becomes of what was *said*.

        Raises:
            SpecError: If it is empty or too long.
        """
        words = readable(said)
        heard = read(unquoted(words), vocabulary=self.cues.vocabulary)
        plain = Answer(kind="refused", words=words, title=_title(words), notes=_asides(heard))
        return self._refused(plain, heard) or self._named(plain) or self._several(plain) or self._one(plain, heard)

    def settle(self, answer: Answer, name: str) -> Answer:
        """*answer* with the blueprint *name*, by whoever chose it: its inputs from the ask, or what they lack.

        Raises:
            SettingsError: If no approved blueprint has that name.
        """
        chosen = self.blueprint(name)
        inputs = fill(chosen, answer.words, self.around)
        lacking = missing(chosen, inputs, answer.words, self.around)
        settled = replace(answer, blueprint=name, inputs=inputs, missing=lacking)
        if lacking:
            return replace(settled, kind="questions", reason="the ask does not say all that it needs")
        if not self._says_what(answer.words, chosen):
            vague = _vague(chosen)
            inputs = {each: value for each, value in inputs.items() if each != vague.name}
            return replace(settled, kind="questions", inputs=inputs, missing=(vague,), reason=VAGUE)
        return replace(settled, kind="run", reason="")

    def unfit(self, answer: Answer, offered: Sequence[str], *, why: str = "") -> Answer:
        """*answer* refused, because none of those *offered* does it, by whoever was asked, who may have said *why*."""
        near = tuple(each for each in answer.near if each.name in offered)
        near = near or tuple(Match(name=each, score=0.0) for each in offered)
        said = f"none of {', '.join(offered)} does what is asked for" + (f": {why}" if why else "")
        return replace(
            answer, kind="refused", blueprint="", inputs={}, missing=(), near=near, reason=said, ways=self._ways(near)
        )

    # The ways that an ask can go

    def _named(self, plain: Answer) -> Answer | None:
        """By its name, if the ask itself says which blueprint."""
        names = [each.casefold() for each in NAMED.findall(unquoted(plain.words))]
        known = {each.blueprint.name for each in self.offers}
        for name in names:
            if name in known:
                return self.settle(plain, name)
            if not {stem(name)} & (lexicon().stop | lexicon().generic):
                reason = f"it asks for the blueprint {name!r}, which nobody approved of here"
                return replace(plain, reason=reason, ways=(LIST, REQUEST))
        return None

    def _several(self, plain: Answer) -> Answer | None:
        """Where clauses that say what, each of them, are for different blueprints."""
        found: list[tuple[str, str]] = []
        for part in clauses(plain.words)[:MOST_PARTS]:
            heard = read(part, vocabulary=self.cues.vocabulary)
            first = self._clear(part, heard)
            if first is None or tells(part) or not _begins(heard, self.cues, first.name):
                continue
            if not self._says_what(part, self.blueprint(first.name)):
                continue
            found.append((part, first.name))
        kinds = {name if not takes_words(self.blueprint(name)) else "" for _, name in found}
        if len(kinds) < 2:
            return None
        return replace(
            plain,
            kind="several",
            parts=tuple(found),
            reason=f"these are {len(found)} asks, of which each is a run of its own",
        )

    def _refused(self, plain: Answer, heard: Sequence[Word]) -> Answer | None:
        """Where it wants what is no work on the code here."""
        found = self._beyond(plain.words)
        if found is None or not found.sure:
            return None
        ways = (AGAIN, REQUEST) if found.reason == RULES else (BY_HAND, REQUEST)
        return replace(plain, near=self._near(self._matches(plain.words, heard)), reason=found.reason, ways=ways)

    def _one(self, plain: Answer, heard: Sequence[Word]) -> Answer:
        matches = self._matches(plain.words, heard)
        strong = [each for each in matches if each.score >= LEAST]
        if not strong:
            return self._unknown(plain, heard, matches)
        first = strong[0]
        near = tuple(each for each in matches if each.name != first.name)[:MOST_NEAR]
        settled = replace(self.settle(plain, first.name), near=near)
        if says([stem(each.said) for each in heard], lexicon().unsure) and len(self._open(strong)) == 1:
            return self._unsure(settled)
        doubt = self._doubt(plain.words, heard, strong)
        if doubt and (settled.kind == "run" or len(self._open(strong)) > 1):
            return replace(plain, kind="which", near=self._near(matches), reason=doubt)
        return settled

    def _unsure(self, settled: Answer) -> Answer:
        vague = _vague(self.blueprint(settled.blueprint))
        inputs = {name: value for name, value in settled.inputs.items() if name != vague.name}
        return replace(
            settled, kind="questions", inputs=inputs, missing=(vague,), reason="it does not say which one it means"
        )

    def _unknown(self, plain: Answer, heard: Sequence[Word], matches: Sequence[Match]) -> Answer:
        """Where no cue was recognised: a question, those to choose from if it is about code, else a refusal."""
        if _says_nothing(heard, plain.words):
            if matches and (settled := self.settle(plain, matches[0].name)).kind == "questions":
                return replace(settled, near=self._near(matches))
            asks = Missing(name="", asks="What is to be different when it is over, and where?")
            return replace(plain, kind="questions", missing=(asks,), near=self._near(matches), reason=VAGUE)
        if not self._about_code(plain.words, heard):
            near = self._near(matches)
            return replace(
                plain, near=near, reason="nothing in it says what an approved blueprint does", ways=self._ways(near)
            )
        told = [each.blueprint.name for each in self.offers if takes_words(each.blueprint)]
        known = {each.name for each in matches}
        near = (*matches, *(Match(name=each, score=0.0) for each in told if each not in known))[:MOST_OFFERED]
        return replace(
            plain, kind="which", near=near, reason="it is about code, and no word says which process it is for"
        )

    def _doubt(self, words: str, heard: Sequence[Word], strong: Sequence[Match]) -> str:
        """Why the first of *strong* is not simply taken: "" if it may be."""
        open_ = self._open(strong)
        found = self._beyond(words)
        if found is not None:
            return f"{found.reason}; or it means something else"
        if aside(heard):
            return "it asks to leave out what policy wants, which no run does: choose what it is to do within the rules"
        if len(open_) > 1:
            return "more than one blueprint fits"
        if any(each.means == READONLY for each in heard) and not self.cues.has(strong[0].name, READONLY):
            return "it says that nothing is to be changed"
        if strong[0].score < SURE:
            return "it may be meant otherwise"
        return "" if self._about_code(words, heard) else "nothing in it is known to be about code"

    def _open(self, strong: Sequence[Match]) -> list[Match]:
        return [each for each in strong if each.score * CLEAR > strong[0].score]

    def _matches(self, words: str, heard: Sequence[Word]) -> tuple[Match, ...]:
        return self.cues.match(heard, filled=self._filled(words))

    def _near(self, matches: Sequence[Match]) -> tuple[Match, ...]:
        """Those that come into question: not far behind the first."""
        return tuple(each for each in matches if each.score * WITHIN >= matches[0].score)[:MOST_OFFERED]

    def _about_code(self, words: str, heard: Sequence[Word]) -> bool:
        """Whether a word of it is one of software, of the files here or of a package, or has the form of a name in code."""
        if quoted(words) or any(ANCHOR.search(each) for each in unquoted(words).split()):
            return True
        stems = {stem(each.said) for each in heard}
        means = {each.means.lstrip("¬") for each in heard}
        return bool(stems & (lexicon().about | self._paths | set(self.around.packages)) or means & SOFTWARE)

    @cached_property
    def _paths(self) -> frozenset[str]:
        """The words in the names of the files here."""
        found = (part for path in self.around.paths for part in re.split(r"[\W\d_]+", path))
        return frozenset(stem(each) for each in found if len(each) >= LEAST_PART)

    def _ways(self, near: Sequence[Match]) -> tuple[str, ...]:
        """What a person can do whose ask no blueprint does."""
        nearest = (NEAREST.format(near[0].name),) if near else ()
        wish = (WISH,) if any(each.blueprint.name == DRAFTS for each in self.offers) else ()
        return (*nearest, *wish, REQUEST)

    def _filled(self, words: str) -> frozenset[str]:
        """Blueprints that need an input of a certain form which is in *words*."""
        return frozenset(
            each.blueprint.name
            for each in self.offers
            if {
                name
                for name, one in each.blueprint.inputs.items()
                if one.needed and (one.pattern or one.type != "text")
            }
            & set(fill(each.blueprint, words, self.around))
        )

    def _clear(self, words: str, heard: Sequence[Word]) -> Match | None:
        matches = self.cues.match(heard, filled=self._filled(words))
        if not matches or matches[0].score < LEAST:
            return None
        return matches[0] if len(matches) == 1 or matches[0].score >= CLEAR * matches[1].score else None

    def _beyond(self, words: str) -> Beyond | None:
        """What the ask wants that is done outside a checkout; None if nothing, or a blueprint has the words for it."""

        def strong(part: str) -> list[Match]:
            heard = read(part, vocabulary=self.cues.vocabulary)
            return [each for each in self._matches(part, heard) if each.score >= LEAST]

        def fits(part: str, verb: str, objects: frozenset[str]) -> bool:
            return any(self.cues.together(each.name, verb, objects) for each in strong(part))

        def clear(part: str) -> bool:
            found = strong(part)
            return bool(found) and found[0].score >= SURE

        return beyond(words, fits=fits, clear=clear)

    def _says_what(self, words: str, chosen: Blueprint) -> bool:
        """Whether *words* say more than what kind of thing is wanted, where *chosen* has to know."""
        if not (takes_words(chosen) or any(each.needed for each in chosen.inputs.values())):
            return True
        heard = read(unquoted(words))
        return bool(quoted(words)) or not _says_nothing(heard, words, but=self._own(chosen))

    def _own(self, chosen: Blueprint) -> frozenset[str]:
        return frozenset(each for _, meanings in self.cues.read[chosen.name] for each in meanings)


NEAREST = "if it is for {0}: the same with --blueprint {0}"
DRAFTS = "spec-from-ask"
WISH = f"if it is a wish about the code that nobody has thought through yet: the same with --blueprint {DRAFTS}, which drafts a spec"
REQUEST = "to have a process do it from now on: the same with --request FILE.yaml drafts a blueprint for people to complete and approve"
BY_HAND = (
    "do it by hand, with the rights that you have for it; if only part of it is work on code, ask for that part alone"
)
AGAIN = "say only what is to be done, without the words about rules"
LIST = "see what is approved: nightmill blueprint list"
VAGUE = "it does not say what, or where"


def readable(said: str) -> str:
    """What was *said*, as it is read.

    Raises:
        SpecError: If it is empty or too long.
    """
    words = clean(said)
    if not words:
        raise SpecError("the ask is empty", hint='say what you want: nightmill ask "find out why imports are slow"')
    if len(words) > LONGEST:
        raise SpecError(
            f"the ask has {len(words):,} characters, at most {LONGEST:,} are read",
            hint="write a spec and run it: nightmill spec check FILE; nightmill run FILE",
        )
    return words


def takes_words(blueprint: Blueprint) -> bool:
    """Whether the ask itself is its instruction: it reads the task, and has no input to put it in."""
    steps = [step for step in walk(blueprint.steps) if isinstance(step, AgentStep)]
    reads = any(
        step.prompt or "task." in step.goal or any("task." in each for each in step.inputs.values()) for step in steps
    )
    return reads and not any(each.needed for each in blueprint.inputs.values())


def _vague(chosen: Blueprint) -> Missing:
    name = next((name for name, each in chosen.inputs.items() if each.needed), "")
    asks = chosen.inputs[name].doc if name else "What is to be different when it is over, and where?"
    return Missing(name=name, asks=asks, why=VAGUE)


def _says_nothing(heard: Sequence[Word], words: str, but: frozenset[str] = frozenset()) -> bool:
    """Whether no word is left beside those that *but*, the cues, and everybody have."""
    lists = lexicon()
    plain = unquoted(words)
    if any(ANCHOR.search(each) for each in plain.split()) or "§" in plain:
        return False
    usual = lists.stop | lists.generic | lists.negation | but
    left = [each for each in heard if each.means.lstrip("¬") not in usual and stem(each.said) not in usual]
    return not left


def _begins(heard: Sequence[Word], cues: Cues, name: str) -> bool:
    """Whether a clause begins with what *name* is asked for by, as an ask of its own does."""
    telling = [each.means for each in heard if each.head]
    return any(cues.has(name, each) for each in telling)


def _asides(heard: Sequence[Word]) -> tuple[str, ...]:
    """What the ask says about the rules: it is no instruction to anybody here."""
    said = "it speaks of the rules, which an ask does not change: policy and approvals hold as ever"
    return (said,) if aside(heard) else ()


def _title(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= MOST_TITLE else line[: MOST_TITLE - 1].rpartition(" ")[0] + "…"
