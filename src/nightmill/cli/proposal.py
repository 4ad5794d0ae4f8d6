"""What a run would be, before it is started: which process, approved by whom, as whom, at what cost, and who is needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nightmill.cli.screen import safe

if TYPE_CHECKING:
    from nightmill.blueprint import Blueprint
    from nightmill.desk.processes import Processes
    from nightmill.intake import Answer, Gateway

__all__ = ["proposal", "show"]


def proposal(here: Processes, gateway: Gateway, answer: Answer) -> dict[str, Any]:
    """All of it as plain data."""
    from nightmill.blueprint.nouns import AgentStep, ReviewStep, walk
    from nightmill.intake.inputs import filled

    offer = gateway.offer(answer.blueprint)
    steps = [each for one in here.catalogue.closure(answer.blueprint).blueprints for each in walk(one.steps)]
    roles = [
        each.agent if isinstance(each, AgentStep) else each.review
        for each in steps
        if isinstance(each, AgentStep | ReviewStep)
    ]
    return {
        "kind": "run",
        "title": answer.title,
        "blueprint": answer.blueprint,
        "version": offer.blueprint.version,
        "what": offer.blueprint.title,
        "approved": offer.said,
        "project": here.project.id if here.project else None,
        "roles": list(dict.fromkeys(roles)),
        "inputs": filled(offer.blueprint, answer.inputs),
        "cost": _cost(here, answer),
        "people": list(dict.fromkeys(_people(steps))),
        "notes": list(answer.notes),
    }


def show(found: dict[str, Any]) -> None:
    """Print it."""
    lines = [
        f"{found['blueprint']}: {found['what']}",
        f"version {found['version']}, {found['approved']} · project {found['project']} · as {', '.join(found['roles']) or 'nobody'}",
        *(
            f"  {name}: {value if isinstance(value, str) else repr(value)}"
            for name, value in found["inputs"].items()
            if value is not None and value != ""
        ),
        f"cost: {found['cost']['said']}",
        *(f"a person: {each}" for each in found["people"]),
        *(f"note: {each}" for each in found["notes"]),
    ]
    sys.stdout.write("".join(f"{safe(line)}\n" for line in lines))
    sys.stdout.flush()


def _people(steps: list[Any]) -> list[str]:
    from nightmill.blueprint.nouns import ApproveStep, AskStep, ChangeStep, StopStep

    found = []
    for step in steps:
        if isinstance(step, ApproveStep):
            found.append(f"says yes in the step {step.id}" + ("" if step.by == "person" else ", if policy asks"))
        elif isinstance(step, AskStep):
            found.append(f"answers in the step {step.id}")
        elif isinstance(step, StopStep) and step.wait:
            found.append(f"decides if it comes to this: {step.title or step.id}")
        elif isinstance(step, ChangeStep):
            found.append("merges the pull request, by policy")
    return found


def _cost(here: Processes, answer: Answer) -> dict[str, Any]:
    from nightmill.intake.estimate import Past, past
    from nightmill.report.words import count, money

    settings = here.door.settings
    there = settings.store or (settings.home / "nightmill.db").exists()
    project = here.project.id if here.project else ""
    before = past(here.door.ledger, here.door.runs, project=project, blueprint=answer.blueprint) if there else Past(0)
    if before.n:
        said = f"{money(before.median)} in the median, nine of ten within {money(before.most)} ({count(before.n, 'run')} before)"
        return {"n": before.n, "median": before.median, "most": before.most, "said": said}
    tokens = _first_requests(here, answer)
    least = _priced(settings, tokens)
    known = f", {money(least)}" if least is not None else ", and no price of the model is known"
    said = f"a guess, no run of it before: the first requests of its agents are about {tokens:,} tokens{known}; each turn after costs again"
    return {"n": 0, "tokens": tokens, "least": least, "said": said}


def _first_requests(here: Processes, answer: Answer) -> int:
    """Tokens that all agents of the blueprint see at first, as `blueprint explain` counts them."""
    from nightmill.blueprint.seen import seen
    from nightmill.desk.explained import measured
    from nightmill.line.process.goals import REVIEW

    blueprint: Blueprint = here.catalogue.get(answer.blueprint)
    own = {"task.title": answer.title, "task.instruction": answer.words, "spec.text": answer.words}
    inputs = {f"inputs.{name}": str(value) for name, value in answer.inputs.items()}
    known = {**measured(here.door, here.ground(), None)[0], **own, **inputs}
    return sum(each.known for each in seen(blueprint, roles=here.catalogue.roles, measured=known, review=REVIEW))


def _priced(settings: Any, tokens: int) -> float | None:
    from nightmill.line.assignment import price
    from nightmill.model.route import choices

    found = choices((settings.model,), base_url=settings.base_url, owner=settings.model) if settings.model else ()
    return price(found[0])(tokens, 0) if found else None
