"""What an agent claims to have run, held against what it ran."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nightmill.agent.nouns import AgentState, Brief, Ending
from nightmill.agent.outcome import VERIFIES, verifies

__all__ = ["false_claims"]

TESTS = r"\b(?:tests?|checks?|suite|build|lint\w*|ci|pruebas|testes|testy)\b|\bтест\w*|测试|測試|テスト|테스트"  # noqa: RUF001 - Russian
WELL = (
    r"\b(?:pass(?:e[sd]|ing)?|green|ok|succeed\w*|successfully|(?:is|are|was|were) successful|clean)\b"
    r"|\b(?:grün|bestanden|bestehen|erfolgreich|laufen (?:alle )?durch|passent|réussi\w*|pasan|pasaron|passano|passati)\b"
    r"|\b(?:passam|passaram|zielone)\b|\b(?:проход|прошл|успешн)\w*|通过|通過|成功|パス|통과"
)
FAILING = r"(?:fail(?:s|ed|ing|ures?)?|errors?|regress\w+|warnings?|problems?|issues?|skip\w*|fehler\w*|erreurs?|errores|fallos)"
PASSES = re.compile(
    rf"(?:{TESTS})[^.;\n。]{{0,40}}(?:{WELL})"
    r"|\b(?:all|everything|it all)(?: \d+)?(?: (?:is|are|now|still))* (?:green|pass(?:e[sd]|ing)?|works?)\b"
    r"|\b[1-9]\d*(?:/\d+)? (?:tests? )?(?:pass(?:ed|ing)|green)\b|\b(?:no|0|zero) (?:tests? )?fail(?:s|ed|ing|ures?)\b"
    r"|\b(?:ran|executed|re-?ran)\b[^.;\n]{0,40}(?<!to )\b(?:tests?|checks?|suite)\b"
    r"|\b(?:verified|confirmed|tested|checked) (?:it |this |that )?(?:by running|by|with|using) `?(?:py\.?test|tox|make|npm|go test|cargo)",
    re.IGNORECASE,
)
"""That tests pass, in the languages in which models sum up."""
NONE = re.compile(
    rf"\b(?:no|zero|0|without(?: any)?|none|nothing|keine?|ohne|sans|aucune?|sin|senza|sem)(?: \w+)?,? {FAILING}\b",
    re.IGNORECASE,
)
"""A denial that claims the more: "no failures"."""
DENIED = re.compile(
    r"\b(?:not?|never|none|cannot|can't|couldn't|didn't|don't|without|fails?|failed|failing|should|would|will|unable|must|if|once|until)\b"
    r"|n't\b|\b(?:nicht|keine?|ohne|sollten?|pas|sans|sin|non|não|nie|не|нет|без)\b|[未没沒不無]|ない|ません|않|못|안 ",
    re.IGNORECASE,
)
LOOKED_AT = 8_000
"""Characters of a summary in which claims are looked for."""
SENTENCE = re.compile(r"(?<=[.;!?])\s+|(?<=[。！？])|\n+")  # noqa: RUF001 - as Chinese and Japanese end them
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
    parts = SENTENCE.split(text[:LOOKED_AT])
    return [each for each in parts if each.strip() and not DENIED.search(NONE.sub("", each))]


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
