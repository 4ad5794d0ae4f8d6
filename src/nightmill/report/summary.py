"""A run in a few values, for the terminal and for the top of its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from nightmill import event as e
from nightmill.model import Usage
from nightmill.report.nouns import Entry
from nightmill.report.timeline import Timeline
from nightmill.report.weave import timeline
from nightmill.report.words import Face, face
from nightmill.review import CheckResult, Verdict

__all__ = ["Summary", "read", "summary", "together"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Where a run is and what it took.

    Attributes:
        state: queued, running, parked, paused, done or stopped; *why* a stop, *needs* of a parked run.
        headline: More of the state in one sentence; the word of `face` stands before it.
        reasons: Why it does not go on, or why its work is not proven.
        roles: Who took turns, in order of appearance.
        environment: Hash of the record that the workspace stood on; *drift* how it differs from the one agreed on.
        calls: Tool calls.
        cost: US dollars; None if no reply had a known price, and *priced* False if any had none.
        seconds: By what they went to: model, tools, checks, workspace, waiting, other.
        checks: Of the last round, on the tree of *verdict* if there is one.
        sent_back: Reasons, one per time.
    """

    run: str
    state: str
    headline: str
    kind: str = ""
    title: str = ""
    project: str = ""
    model: str = ""
    parent: str = ""
    base_branch: str = ""
    environment: str = ""
    drift: tuple[str, ...] = ()
    why: str = ""
    needs: str = ""
    hint: str = ""
    reasons: tuple[str, ...] = ()
    phase: str = ""
    round: int = 0
    roles: tuple[str, ...] = ()
    turns: int = 0
    calls: int = 0
    usage: Usage = Usage()
    cost: float | None = None
    priced: bool = True
    seconds: dict[str, float]
    started: float
    ended: float
    checks: tuple[CheckResult, ...] = ()
    verdict: Verdict | None = None
    sent_back: tuple[str, ...] = ()
    retries: int = 0
    recoveries: int = 0
    nudges: int = 0
    branch: str = ""
    pull_request: e.PullRequestOpened | None = None
    merged: e.PullRequestMerged | None = None
    tasks: int = 0
    steps: tuple[e.StepFinished, ...] = ()
    """Of its blueprint, in the order in which they ended."""
    reviews: tuple[e.ReviewGiven, ...] = ()
    """What roles said of it, the newest of each step's name."""

    @property
    def face(self) -> Face:
        """How the state looks."""
        return face(self.state, why=self.why, needs=self.needs)

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.usage.input + self.usage.output

    @property
    def cached(self) -> float:
        """The share of the input that was read from the provider's cache, 0 to 1."""
        return self.usage.cache_read / self.usage.input if self.usage.input else 0.0

    @property
    def total_seconds(self) -> float:
        """From being asked for to the end, or to now."""
        return self.ended - self.started


def summary(events: Sequence[Entry], *, now: float, woven: Timeline | None = None) -> Summary:
    """What *events* of one run come to. *woven* is their timeline, if it is already there.

    Raises:
        ValueError: If there are no events.
    """
    if not events:
        raise ValueError("a run without events has no summary")
    woven = woven or timeline(events, now=now)
    told = [entry.event for entry in sorted(events, key=lambda entry: entry.seq)]
    state = _state(told)
    verdict = _verdict(told)
    last_round = max((event.round for event in told if isinstance(event, e.CheckFinished)), default=0)
    phase = _last(told, e.PhaseStarted)
    return Summary(
        run=told[0].run,
        verdict=verdict,
        checks=tuple(
            result
            for event in told
            if isinstance(event, e.CheckFinished) and event.round == last_round
            if (result := read(CheckResult, event.result)) is not None
        ),
        phase=phase.phase if phase else "",
        steps=tuple(event for event in told if isinstance(event, e.StepFinished)),
        reviews=tuple(
            {event.step.rpartition("/")[2]: event for event in told if isinstance(event, e.ReviewGiven)}.values()
        ),
        round=phase.round if phase else 0,
        headline=_headline(state, told),
        reasons=state["reasons"] or (verdict.reasons if verdict and not verdict.passed else ()),
        **{name: state[name] for name in ("state", "why", "needs", "hint")},
        **_asked(told),
        **_turns(told),
        **_change(told),
        sent_back=tuple(event.reason for event in told if isinstance(event, e.SentBack)),
        retries=_count(told, e.ModelRetried),
        recoveries=_count(told, e.RunRecovered),
        nudges=_count(told, e.AgentNudged),
        seconds=woven.work,
        started=woven.start,
        ended=woven.end,
    )


def together(run: Summary, children: Sequence[Summary]) -> Summary:
    """*run* with what its *children* took added: what a spec cost is what its tasks cost."""
    everyone = (run, *children)
    costs = [each.cost for each in everyone if each.cost is not None]
    return replace(
        run,
        turns=sum(each.turns for each in everyone),
        calls=sum(each.calls for each in everyone),
        usage=sum((each.usage for each in everyone), Usage()),
        cost=sum(costs) if costs else None,
        priced=all(each.priced for each in everyone),
    )


def read(kind: type[T], plain: Any) -> T | None:
    """*plain* as a value of *kind*; None if it is not one, which an older or a foreign ledger may hold."""
    try:
        value: T = _adapter(cast("Any", kind)).validate_python(plain)
    except ValidationError:
        return None
    return value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _remembered(event: e.Event) -> e.Event:
    """*event*, or what is known of it without its words: an end was one."""
    if isinstance(event, e.Forgotten) and event.was == e.RunDone.name:
        return e.RunDone(run=event.run)
    if isinstance(event, e.Forgotten) and event.was == e.RunStopped.name:
        return e.RunStopped(run=event.run, why="", reason="Why it stopped was forgotten.")
    return event


def _state(told: Sequence[e.Event]) -> dict[str, Any]:
    """The state after the last event that changes it; doors write the same in the run's row."""
    state: dict[str, Any] = {"state": "queued", "why": "", "needs": "", "hint": "", "reasons": (), "until": 0.0}
    for event in map(_remembered, told):
        blank = {**state, "why": "", "needs": "", "hint": "", "reasons": (), "until": 0.0}
        match event:
            case e.RunDone():
                return {**blank, "state": "done"}
            case e.RunStopped():
                reasons = (event.reason,) if event.reason else ()
                return {**blank, "state": "stopped", "why": event.why, "hint": event.hint, "reasons": reasons}
            case e.RunParked():
                state = {**blank, "state": "parked", "needs": event.needs, "reasons": (event.reason,)}
                state["until"] = event.until
            case e.RunPaused():
                state = {**blank, "state": "paused", "reasons": (f"paused by {event.by}",)}
            case e.RunRecovered() | e.PhaseStarted() | e.AgentFinished() if state["state"] in {"parked", "paused"}:
                pass  # A recovered run tells its way again up to where it was, which may be parked.
            case e.RunQueued() | e.TaskStarted() | e.TaskDropped():
                pass
            case _:
                state = {**blank, "state": "running"}
    return state


def _headline(state: dict[str, Any], told: Sequence[e.Event]) -> str:
    opened, merged = _last(told, e.PullRequestOpened), _last(told, e.PullRequestMerged)
    if merged:
        return f"Merged by {merged.by} as pull request {merged.number}."
    if state["state"] == "done":
        return f"Pull request {opened.number} waits for a person to merge it." if opened else "Done."
    reason = " ".join(state["reasons"]).rstrip(".")
    if state["state"] == "running":
        return _busy(told)
    if state["state"] == "parked" and state["needs"] == "time":
        reason += "; it goes on by itself"
    return f"{_begun(reason)}." if reason else "Waits for a worker."


def _begun(reason: str) -> str:
    """*reason* as the beginning of a sentence; a name at its beginning, such as a model's, stays as it is."""
    return f"{reason[:1].upper()}{reason[1:]}" if reason.partition(" ")[0].isalpha() else reason


def _busy(told: Sequence[e.Event]) -> str:
    turn, phase, tool = _last(told, e.TurnStarted), _last(told, e.PhaseStarted), None
    for event in told:
        if isinstance(event, e.ToolStarted):
            tool = event
        elif isinstance(event, e.ToolFinished | e.TurnFinished | e.PhaseStarted):
            tool = None
    if phase is None:
        return "A worker has taken it up."
    if _last(told, e.PlanMade):
        return "It waits for its tasks."
    where = f"Phase {phase.phase}"
    if phase.phase != "work" or turn is None:
        return f"{where}."
    return f"{where}, turn {turn.turn}: {tool.tool} {tool.label}".rstrip() if tool else f"{where}, turn {turn.turn}."


def _asked(told: Sequence[e.Event]) -> dict[str, Any]:
    queued = _last(told, e.RunQueued)
    if queued is None:
        return {}
    names = ("kind", "title", "project", "model", "parent", "base_branch")
    plan = _last(told, e.PlanMade)
    prepared = _last(told, e.WorkspacePrepared)
    stands = {"environment": prepared.environment, "drift": tuple(prepared.drift)} if prepared else {}
    return {**{name: getattr(queued, name) for name in names}, **stands, "tasks": len(plan.tasks) if plan else 0}


def _turns(told: Sequence[e.Event]) -> dict[str, Any]:
    finished = [event for event in told if isinstance(event, e.TurnFinished)]
    costs = [event.cost for event in finished if event.cost is not None]
    usage = sum((read(Usage, event.usage) or Usage() for event in finished), Usage())
    return {
        "roles": tuple(
            dict.fromkeys(event.role.partition("@")[0] for event in told if isinstance(event, e.TurnStarted))
        ),
        "turns": len(finished),
        "calls": sum(event.calls for event in finished),
        "usage": usage,
        "cost": sum(costs) if costs else None,
        "priced": len(costs) == len(finished),
    }


def _change(told: Sequence[e.Event]) -> dict[str, Any]:
    opened, stopped = _last(told, e.PullRequestOpened), _last(told, e.RunStopped)
    kept, commit = _last(told, e.WorkPreserved), _last(told, e.CommitMade)
    branches = (opened, stopped, commit, kept)
    return {
        "pull_request": opened,
        "merged": _last(told, e.PullRequestMerged),
        "branch": next((event.branch for event in branches if event and event.branch), ""),
    }


def _verdict(told: Sequence[e.Event]) -> Verdict | None:
    given = _last(told, e.VerdictGiven)
    return read(Verdict, given.verdict) if given else None


def _last(told: Sequence[e.Event], kind: type[T]) -> T | None:
    return next((event for event in reversed(told) if isinstance(event, kind)), None)


def _count(told: Sequence[e.Event], kind: type[e.Event]) -> int:
    return sum(isinstance(event, kind) for event in told)
