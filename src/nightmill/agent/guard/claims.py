"""What an agent claims to have run, held against what it ran."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nightmill.agent.nouns import AgentState, Brief, Ending
from nightmill.agent.outcome import VERIFIES, verifies

__all__ = ["false_claims"]

PASSES = re.compile(
    r"\b(?:tests?|checks?|suite|build|lint\w*)\b[^.;\n]{0,40}\b(?:pass(?:e[sd]|ing)?|green|succe\w+|clean)\b"
    r"|\bran\b[^.;\n]{0,40}\b(?:tests?|checks?|suite)\b",
    re.IGNORECASE,
)
DENIED = re.compile(
    r"\b(?:not?|never|cannot|can't|couldn't|didn't|don't|without|fails?|failed|failing|should|would|will|unable|must)\b|n't\b",
    re.IGNORECASE,
)
LOOKED_AT = 8_000
"""Characters of a summary in which claims are looked for."""
SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")
GATHERS = re.compile(r"\b(?:make|just|tox|nox|npm|pnpm|yarn|bun|gradlew?|mvn|rake|invoke|pre-commit)\b|\.sh\b")
"""Commands that run others, whose names nobody sees."""
RUNNER = re.compile(
    r"\b(py\.?test|tox|nox|unittest|ruff|mypy|pyright|tsc|eslint|jest|vitest|mocha|phpunit|rspec|ctest)\b"
    r"|\b(go|cargo|dotnet|mix|swift|zig)\s+(?:test|check|vet|clippy|build)\b"
)


def false_claims(brief: Brief, state: AgentState, ending: Ending) -> tuple[str, ...]:
    """The claims of *ending* that are not so after the work in *state*, each in a line with what shows it.

    A claim is only held against what is sure: that nothing was run at all, that a program never was, or that the last
    check failed. Whether a named test shows its criterion is for the proof to say.
    """
    sentences = [*_sentences(ending.text), *(by for _, by in ending.evidence)]
    claims = [each for each in _sentences(ending.text) if PASSES.search(each)]
    named = [by for _, by in ending.evidence if "::" in by or verifies(by, brief.checks)]
    if (claims or named) and not _verified(brief, state):
        return (f"{_quoted((claims or named)[0])}: no test and no check was run",)
    found: list[str] = []
    if claims and (failed := _failed(state)):
        found.append(f"{_quoted(claims[0])}: the last check, `{failed}`, failed")
    elif claims and state.working.edits:
        found.append(f"{_quoted(claims[0])}: nothing was run since the latest edit")
    found += [f"{_quoted(text)}: `{name}` was never run" for name, text in _never(brief, state, sentences)]
    return tuple(found)


def _sentences(text: str) -> list[str]:
    return [each for each in SENTENCE.split(text[:LOOKED_AT]) if each.strip() and not DENIED.search(each)]


def _verified(brief: Brief, state: AgentState) -> bool:
    return bool(state.working.checks) or any(
        verifies(each, brief.checks) or GATHERS.search(each) for each in state.commands
    )


def _failed(state: AgentState) -> str:
    """A check that failed at the turn at which checks were run last; "" if none did."""
    latest = max((each.turn for each in state.working.checks), default=0)
    return next((each.command for each in state.working.checks if each.turn == latest and not each.ok), "")


def _never(brief: Brief, state: AgentState, texts: Iterable[str]) -> list[tuple[str, str]]:
    """Programs that *texts* name as run, of which no command is known."""
    ran = " \n".join(state.commands)
    plain = [" ".join(each.split()) for each in brief.checks]
    if GATHERS.search(ran) or any(each in ran for each in plain if each and not RUNNER.search(each)):
        return []
    known = _runners(ran)
    found: dict[str, str] = {}
    for text in texts:
        if VERIFIES.search(text):
            for name in sorted(_runners(text) - known):
                found.setdefault(name, text)
    return list(found.items())


def _runners(text: str) -> set[str]:
    return {(one or two).replace(".", "") for one, two in RUNNER.findall(text)}


def _quoted(text: str) -> str:
    return repr(" ".join(text.split())[:160])
