"""What a run would be, before it is started: which process, approved by whom, as whom, at what cost, and who is needed."""

from __future__ import annotations

from typing import Any

from nightmill.blueprint.nouns import AgentStep, ApproveStep, AskStep, ChangeStep, ReviewStep, Step, StopStep, walk
from nightmill.blueprint.seen import seen
from nightmill.desk.explained import measured
from nightmill.desk.processes import Processes
from nightmill.desk.wish import Proposal
from nightmill.intake import Answer, Gateway
from nightmill.intake.estimate import Past, past
from nightmill.intake.inputs import filled
from nightmill.line.assignment import price
from nightmill.line.process.goals import REVIEW
from nightmill.model.route import choices
from nightmill.report.words import count, money
from nightmill.settings import Settings

__all__ = ["proposal"]


def proposal(here: Processes, gateway: Gateway, answer: Answer, *, settings: Settings) -> Proposal:
    """The run that *answer* comes to, by *settings*.

    Raises:
        SettingsError: If an input does not fit.
    """
    offer = gateway.offer(answer.blueprint)
    steps = [each for one in here.catalogue.closure(answer.blueprint).blueprints for each in walk(one.steps)]
    roles = [
        each.agent if isinstance(each, AgentStep) else each.review
        for each in steps
        if isinstance(each, AgentStep | ReviewStep)
    ]
    return Proposal(
        title=answer.title,
        blueprint=answer.blueprint,
        version=offer.blueprint.version,
        what=offer.blueprint.title,
        approved=offer.said,
        closure=offer.closure,
        project=here.id,
        roles=tuple(dict.fromkeys(roles)),
        inputs=filled(offer.blueprint, answer.inputs),
        cost=_cost(here, answer, settings),
        people=tuple(dict.fromkeys(_people(steps))),
        notes=tuple(answer.notes),
    )


def _people(steps: list[Step]) -> list[str]:
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


def _cost(here: Processes, answer: Answer, settings: Settings) -> dict[str, Any]:
    door = here.door
    there = settings.store or (settings.home / "nightmill.db").exists()
    before = past(door.ledger, door.runs, project=here.id, blueprint=answer.blueprint) if there else Past(0)
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
    blueprint = here.catalogue.get(answer.blueprint)
    own = {"task.title": answer.title, "task.instruction": answer.words, "spec.text": answer.words}
    inputs = {f"inputs.{name}": str(value) for name, value in answer.inputs.items()}
    known = {**measured(here.door, here.ground(), None)[0], **own, **inputs}
    return sum(each.known for each in seen(blueprint, roles=here.catalogue.roles, measured=known, review=REVIEW))


def _priced(settings: Settings, tokens: int) -> float | None:
    found = choices((settings.model,), base_url=settings.base_url, owner=settings.model) if settings.model else ()
    return price(found[0])(tokens, 0) if found else None
