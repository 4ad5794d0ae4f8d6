"""Can this run's work be trusted: what was proven, on which tree, by what, and what was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nightmill import event as e
from nightmill.errors import NightmillError
from nightmill.report.nouns import Blob
from nightmill.report.summary import Summary, read
from nightmill.report.text import Shown, fair, shown
from nightmill.report.words import Tone, count
from nightmill.review import CheckResult, Evidence, Failure, Finding, Verdict

__all__ = ["CheckView", "Round", "Trust", "trust"]

MOST_OF_ONE = 30_000
MOST_LISTED = 100
"""Failures and missing tests that are listed per check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One check on one tree; *failures* are the first of them, *counts* how many of each kind there are."""

    name: str
    passed: bool
    tree: str
    exit: int | None
    seconds: float
    stopped: str
    tests: tuple[tuple[str, int], ...]
    new: int
    old: int
    flaky: int
    failures: tuple[Failure, ...]
    missing: tuple[str, ...]
    more: int
    output: Shown | None
    unread: str

    @property
    def opened(self) -> bool:
        """Whether there is something to see at once."""
        return not self.passed


class Round(NamedTuple):
    """One proof: *number* from 1, why it did not pass, and its checks."""

    number: int
    passed: bool | None
    tree: str
    reasons: tuple[str, ...]
    sent_back: str
    checks: tuple[CheckView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The answer: a word and its tone, what it rests on, and *caveats*, which it does not cover."""

    word: str
    tone: Tone
    why: str
    verdict: Verdict | None
    stale: bool
    rounds: tuple[Round, ...]
    evidence: tuple[Evidence, ...]
    caveats: tuple[str, ...]
    commit: e.CommitMade | None
    bound: bool | None
    """Whether the commit holds the proven tree; None without a commit or a verdict."""

    @property
    def last(self) -> Round | None:
        """The latest proof."""
        return self.rounds[-1] if self.rounds else None


def trust(told: Sequence[e.Event], summary: Summary, *, blob: Blob, room: int) -> Trust:
    """What *told* proves; the outputs of the checks together in at most about *room* characters."""
    rounds = _rounds(told, blob=blob, room=room)
    verdict = summary.verdict
    commits = [event for event in told if isinstance(event, e.CommitMade)]
    commit = commits[-1] if commits else None
    bound = commit.tree == verdict.tree if commit and verdict else None
    stale = bool(rounds and verdict and rounds[-1].passed is None)
    word, tone, why = _answer(summary, verdict, bound=bound, stale=stale)
    return Trust(
        word=word,
        tone=tone,
        why=why,
        verdict=verdict,
        stale=stale,
        rounds=rounds,
        evidence=verdict.evidence if verdict else (),
        caveats=tuple(_caveats(verdict, rounds)) if verdict else (),
        commit=commit,
        bound=bound,
    )


def _answer(summary: Summary, verdict: Verdict | None, *, bound: bool | None, stale: bool) -> tuple[str, Tone, str]:
    if bound is False:
        return "Not proven", "failed", "The commit does not hold the tree that was proven."
    if verdict is None or stale:
        over = summary.state in {"done", "stopped"}
        return (
            "Nothing proven",
            "past",
            "The run ended without a verdict." if over else "No verdict yet: the run goes on.",
        )
    if not verdict.passed:
        return "Not proven", "failed", "The engine's checks did not pass on the last tree."
    open_ends = [each for each in verdict.evidence if each.state != "shown"]
    if open_ends:
        why = f"The checks passed, but {count(len(open_ends), 'criterion', 'criteria')} of {len(verdict.evidence)} "
        return (
            "Proven in part",
            "person",
            f"{why}{'is' if len(open_ends) == 1 else 'are'} not shown by a test: look yourself.",
        )
    if not verdict.evidence:
        return "Proven", "proven", "The engine ran the project's checks on this tree. There are no criteria to show."
    return (
        "Proven",
        "proven",
        "The engine ran the checks itself, on this tree; each criterion is shown by a test that passed.",
    )


def _caveats(verdict: Verdict, rounds: Sequence[Round]) -> list[str]:
    checks = rounds[-1].checks if rounds else ()
    caveats = []
    if old := sum(check.old for check in checks):
        caveats.append(
            f"{count(old, 'failure')} was there before the change."
            if old == 1
            else f"{old} failures were there before the change."
        )
    if flaky := sum(check.flaky for check in checks):
        caveats.append(f"{count(flaky, 'failure')} in tests known to be flaky: not counted against the change.")
    if missing := sum(len(result.missing) for result in verdict.results):
        caveats.append(f"{count(missing, 'test')} of the baseline did not run: gone or skipped now.")
    if any(each.state == "claimed" for each in verdict.evidence):
        caveats.append("“Claimed” rests on the agent's word: what it points to exists, and that is all that is known.")
    if any(each.state == "inspected" for each in verdict.evidence):
        caveats.append("“Inspected” means that the quoted lines stand in the tree; what they do was not run.")
    caveats += [_bend(each) for each in verdict.findings[:MOST_LISTED]]
    if not checks:
        caveats.append("No check of the last round is in the ledger.")
    return caveats


def _bend(found: Finding) -> str:
    where = f"{found.path}:{found.line}" if found.line else found.path
    return f"{found.kind.capitalize()} in {where}: {' '.join(found.what.split())[:300]}"


def _sent_back(told: Sequence[e.Event]) -> dict[int, str]:
    """Why work was sent back after a proof that it did not pass, by the number of the proof."""
    found: dict[int, str] = {}
    failed: int | None = None
    for event in told:
        if isinstance(event, e.VerdictGiven):
            failed = None if event.passed else event.round
        elif isinstance(event, e.SentBack) and failed is not None:
            found.setdefault(failed, event.reason)
    return found


def _rounds(told: Sequence[e.Event], *, blob: Blob, room: int) -> tuple[Round, ...]:
    checks = [event for event in told if isinstance(event, e.CheckFinished)]
    outputs = {event.output: _output(event.output, blob) for event in checks if event.output}
    cap = fair((len(text) for text, _ in outputs.values()), room, most=MOST_OF_ONE)
    verdicts = {event.round: event for event in told if isinstance(event, e.VerdictGiven)}
    sent = _sent_back(told)
    rounds = []
    for number in sorted({event.round for event in checks} | set(verdicts)):
        given = verdicts.get(number)
        verdict = read(Verdict, given.verdict) if given else None
        mine = [event for event in checks if event.round == number and (given is None or event.tree == given.tree)]
        rounds.append(
            Round(
                number=number + 1,
                passed=given.passed if given else None,
                tree=given.tree if given else (mine[-1].tree if mine else ""),
                reasons=verdict.reasons if verdict else (),
                sent_back=sent.get(number, ""),
                checks=tuple(_check(event, *outputs.get(event.output, ("", "")), cap) for event in mine),
            )
        )
    return tuple(rounds)


def _output(digest: str, blob: Blob) -> tuple[str, str]:
    """The text of an output, and why there is none."""
    try:
        return blob(digest).decode("utf-8", "replace"), ""
    except (NightmillError, KeyError, OSError) as error:
        return "", f"the output {digest[:16]} is not in the store: {error}"


def _check(event: e.CheckFinished, text: str, unread: str, cap: int) -> CheckView:
    result = read(CheckResult, event.result)
    failures = result.failures if result else ()
    kinds = [failure.kind for failure in failures]
    ordered = sorted(failures, key=lambda failure: ("new", "flaky", "old").index(failure.kind))
    missing = result.missing if result else ()
    return CheckView(
        name=event.check,
        passed=event.passed,
        tree=event.tree,
        exit=result.exit if result else None,
        seconds=result.seconds if result else 0.0,
        stopped=result.stopped if result else "",
        tests=tuple((name, number) for name, number in (result.counts or {}).items() if number) if result else (),
        new=kinds.count("new"),
        old=kinds.count("old"),
        flaky=kinds.count("flaky"),
        failures=tuple(ordered[:MOST_LISTED]),
        missing=missing[:MOST_LISTED],
        more=max(len(failures) - MOST_LISTED, 0) + max(len(missing) - MOST_LISTED, 0),
        output=shown(text, cap) if event.output and not unread else None,
        unread=unread,
    )
