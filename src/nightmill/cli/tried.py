"""Trials of a proposal: real runs of its script and of the project's checks, with what the original was given, and otherwise."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightmill.blueprint import Blueprint
    from nightmill.cli.distilling import Source
    from nightmill.cli.door import Door
    from nightmill.improve import Proposal, Value

__all__ = ["Went", "run_trial", "tried"]

PATIENCE = 3600.0
"""Seconds for one trial."""
LOOK, ATTEND = 0.1, 5.0

Went = dict[str, dict[str, Any]]
"""How the steps went that asked somebody, by the way to each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How the run *run* ended.

    Attributes:
        script: Whether the script did; it found the tree *before* and *made* another.
        proven: Whether the check right after it passed; None: there is none.
        ok: Whether the run came to its end; *passed*: whether its last check did, of the whole *tree*.
    """

    run: str
    ok: bool
    said: str
    script: bool = False
    before: str = ""
    made: str = ""
    proven: bool | None = None
    tree: str = ""
    passed: bool = False
    seconds: float = 0.0


def tried(door: Door, found: Source, proposal: Proposal, went: Went, *, made: str) -> Proposal:
    """*proposal* with the evidence of its trials, in which the steps that ask somebody go as they *went*.

    *made* is the tree that the agent of the step left.

    Raises:
        SettingsError: If it is broken, or a trial does not show that it does what the agent did.
    """
    _check(door, found, proposal)
    trial = run_trial(door, found, proposal, {}, went)
    trial = _judged(door, found, trial, made=made)
    evidence = {
        "run": found.past.row.id,
        "step": found.choice.step,
        "base": found.past.assignment.base_commit,
        "tree": found.proven,
        "made": made,
        "kept": [{"act": each.number, "turn": each.turn, "what": each.label} for each in proposal.made.kept],
        "dropped": [
            {"act": each.number, "turn": each.turn, "what": each.label, "why": why}
            for each, why in proposal.made.dropped
        ],
        "tries": proposal.made.tries,
        "minimal": proposal.made.minimal,
        "values": [asdict(each) for each in proposal.made.values],
        "trial": asdict(trial),
        "varied": _varied(door, found, proposal, went, trial),
        "cost": asdict(found.cost),
    }
    return replace(proposal, evidence=evidence)


def _check(door: Door, found: Source, proposal: Proposal) -> None:
    from nightmill.blueprint import checked
    from nightmill.crew import find
    from nightmill.line.submit import catalogue, hub_of

    assignment = found.past.assignment
    hub = hub_of(door.settings, assignment.project.id)
    crew = assignment.crew or find()
    known = catalogue(hub, assignment.base_commit, crew, settings=door.settings, checks=assignment.project.checks).known
    own = {each.name: each for each in found.past.blueprints}
    checked(proposal.blueprint, replace(known, blueprints={**known.blueprints, **own}))


def _judged(door: Door, found: Source, trial: Trial, *, made: str) -> Trial:
    """*trial* of the original's inputs, with what it shows in words."""
    from nightmill.errors import SettingsError
    from nightmill.line.submit import hub_of

    hint = f"nightmill log {trial.run}"
    if not trial.script:
        raise SettingsError(f"the script fails in a fresh sandbox (run {trial.run}): {trial.said}", hint=hint)
    if trial.proven is False:
        raise SettingsError(f"the checks fail on what the script makes (run {trial.run}): {trial.said}", hint=hint)
    if not trial.ok:
        raise SettingsError(
            f"with the script the run does not come to its end (run {trial.run}): {trial.said}", hint=hint
        )
    if not trial.passed:
        raise SettingsError(f"the checks fail on what comes of it (run {trial.run}): {trial.said}", hint=hint)
    if trial.made == made and trial.tree == found.proven:
        whole = "" if made == found.proven else f", and with the other steps {trial.tree[:12]} as it was proven"
        return replace(trial, said=f"the same tree {trial.made[:12]} as the agent's{whole}, and all checks pass")
    hub = hub_of(door.settings, found.past.assignment.project.id)
    text = hub.diff(found.proven, trial.tree).text
    return replace(trial, said=f"all checks pass, and the tree differs from the agent's:\n{text[:4000]}")


def _varied(door: Door, found: Source, proposal: Proposal, went: Went, trial: Trial) -> Mapping[str, Any]:
    """What a trial with other values shows, of those that only come in: what a value takes the place of is in the base."""
    from nightmill.improve.values import another, uses
    from nightmill.line.submit import hub_of

    hub = hub_of(door.settings, found.past.assignment.project.id)
    before = hub.diff(trial.before, trial.made).text.split("\n")
    old = [line for line in before if not line.startswith("+")]
    new = [line for line in before if line.startswith("+")]
    values = [
        each
        for each in proposal.made.values
        if any(uses(line[1:], each) for line in new) and not any(uses(line[1:], each) for line in old)
    ]
    fixed = [each.name for each in proposal.made.values if each not in values]
    left = f"; {', '.join(fixed)} only as it was: not shown" if fixed else ""
    if not values:
        return {"said": f"not shown: no input comes out in the tree{left}"}
    others = {each.name: another(each) for each in values}
    other = run_trial(door, found, proposal, others, went, until_then=True)
    named = ", ".join(f"{name}={text}" for name, text in others.items())
    if not other.script:
        return {"run": other.run, "inputs": others, "said": f"not shown: with {named} the script fails{left}"}
    given = hub.diff(other.before, other.made).text
    same = other.before == trial.before and _lines(given) == _lines("\n".join(_with(before, values, others)))
    what = "what was to be expected" if same else "not what was to be expected: look at its diff"
    checks = {True: ", and its checks pass", False: ", and its checks do not pass", None: ""}[other.proven]
    said = f"run {other.run} with {named}: {what}{checks}{left}"
    return {"run": other.run, "inputs": others, "expected": same, "passed": other.proven, "said": said}


def _with(lines: list[str], values: list[Value], others: Mapping[str, str]) -> list[str]:
    """*lines* of a diff, in which what is added has the *others*."""
    for value in values:
        lines = [f"+{value.here.sub(others[value.name], each[1:])}" if each.startswith("+") else each for each in lines]
    return lines


def _lines(diff: str) -> list[str]:
    return [line for line in diff.split("\n") if not line.startswith("index ")]


def run_trial(
    door: Door, found: Source, proposal: Proposal, inputs: Mapping[str, str], went: Went, *, until_then: bool = False
) -> Trial:
    """Have a worker run the process, *until_then*: up to the script's check; nobody is asked, and nothing leaves it."""
    from nightmill.cli import bell, beside
    from nightmill.line.assignment import queue

    of = found.past
    given = {**of.inputs, **proposal.inputs, **inputs}
    values = {**of.assignment.values, "inputs": given} if of.part else {}
    if found.place.item:
        values[found.place.item] = given.pop(found.place.item, values[found.place.item])
    script = f"{found.choice.visits[0].path.rpartition('/')[0]}/{proposal.swap.script}".removeprefix("/")
    kept = door.blobs.put(json.dumps({"went": went, "script": script}, sort_keys=True).encode())
    assignment = replace(
        of.assignment,
        kind="task",
        blueprints=_blueprints(found, proposal, until_then=until_then),
        inputs=given,
        values=values,
        answers="",
        agent=None,
        parent="",
        root="",
        trial=kept,
    )
    title = f"Trial of {proposal.name}"
    with beside.attended(door):
        run = queue(assignment, run=bell.identifier(), title=title, blobs=door.blobs, runs=door.runs, blueprint="").id
    try:
        return _ended(door, run, script=script, proof=proposal.swap.proof)
    except BaseException:
        _cancel(door, run)
        raise


def _blueprints(found: Source, proposal: Proposal, *, until_then: bool) -> tuple[Blueprint, ...]:
    """What the trial goes through: as the original, with the proposal in place of the one that it is made from."""
    of, place = found.past, found.place
    new = replace(proposal.blueprint, name=place.blueprint.name)
    every = [new if each.name == new.name else each for each in of.blueprints]
    first = every[0]
    if of.part is not None and not place.called:
        first = replace(of.part, steps=proposal.swap.part(new))
    elif of.part is not None:
        first = of.part
    if until_then and not place.called:
        first = proposal.swap.until_then(first)
    return (replace(first, outputs={}), *every[1:])


def _ended(door: Door, run: str, *, script: str, proof: str) -> Trial:
    """How *run* ends; it is cancelled where it waits for a person, or for too long."""
    from nightmill import event
    from nightmill.cli import beside
    from nightmill.cli.distilling import gave

    began = looked = time.monotonic()
    while not (row := door.runs.get(run)).over:
        now = time.monotonic()
        if row.state in {"parked", "paused"} or now - began > PATIENCE:
            _cancel(door, run)
            return Trial(run=run, ok=False, said=row.reason or f"it did not end within {PATIENCE:g} s")
        if now - looked > ATTEND:
            looked = now
            beside.ensure(door)
        time.sleep(LOOK)
    names = (event.StepFinished.name, event.VerdictGiven.name, event.RunDone.name)
    told = [entry.event() for entry in door.ledger.read(run=run, names=names)]
    steps = {each.step: each for each in told if isinstance(each, event.StepFinished)}
    did, check = steps.get(script), steps.get(f"{script.rpartition('/')[0]}/{proof}".removeprefix("/"))
    value = gave(door, did.value) if did else {}
    done = any(isinstance(each, event.RunDone) for each in told)
    verdict = next((each for each in reversed(told) if isinstance(each, event.VerdictGiven)), None)
    script_ok = did is not None and did.state == "done"
    reasons = (did.reason if did and not script_ok else "", check.reason if check else "", row.reason)
    return Trial(
        run=run,
        ok=done,
        said=next(filter(None, reasons), ""),
        script=script_ok,
        before=str(value.get("before") or ""),
        made=str(value.get("tree") or ""),
        proven=None if check is None else check.state == "done",
        tree=verdict.tree if verdict else "",
        passed=bool(verdict and verdict.passed),
        seconds=float(value.get("seconds") or 0.0),
    )


def _cancel(door: Door, run: str) -> None:
    from nightmill.cli.door import person

    if not door.runs.get(run).over:
        door.runs.want(run, "cancel", by=person())
