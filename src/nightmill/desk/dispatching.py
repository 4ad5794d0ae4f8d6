"""The dispatcher: one question to one model, where words alone left more than one blueprint, or an input open."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace

from nightmill.desk.door import Door
from nightmill.desk.processes import Processes
from nightmill.errors import NightmillError
from nightmill.estate import rules
from nightmill.estate.nouns import Project
from nightmill.event import DispatcherAsked
from nightmill.intake import Answer, Gateway
from nightmill.intake.choose import chosen, open_to, question
from nightmill.line.assignment import price
from nightmill.model import ModelReply, ModelRequest
from nightmill.model.connect import client, connect
from nightmill.model.route import Choice, choices
from nightmill.policy import Purse, least
from nightmill.policy.purse import millionths
from nightmill.report.words import money
from nightmill.settings import Settings
from nightmill.store.accounts import Accounts, Bound, Call

__all__ = ["asked"]

DISPATCHER = "dispatcher"


def asked(
    here: Processes,
    gateway: Gateway,
    answer: Answer,
    *,
    settings: Settings,
    say: Callable[[str], None],
    seconds: float,
) -> Answer:
    """*answer* as a model of *settings* settles it within so many *seconds*; as it was where none can be had: the words alone stand then.

    *say* is told whom is asked, and what it cost.
    """
    door, project, role = here.door, here.project, here.catalogue.roles.get(DISPATCHER)
    name = (role.model if role else "") or settings.model_small or settings.model
    if role is None or project is None or not name or name.startswith("acp:") or not open_to(answer):
        return answer
    choice = choices((name,), base_url=settings.base_url, owner=settings.model)[0]
    say(f"asking {name} which it is and what it says of its inputs …")
    request = question(answer, gateway, role=role, veil=door.hidden)
    try:
        reply = asyncio.run(_reply(door, choice, request, project=project, seconds=seconds))
    except NightmillError as error:
        return replace(answer, notes=(*answer.notes, f"no model had a say: {error.message}"))
    except TimeoutError:
        slow = f"no model had a say: {choice.name} did not answer within {seconds:g} s"
        return replace(answer, notes=(*answer.notes, slow))
    settled = chosen(answer, gateway, reply, veil=door.hidden)
    say(_tell(door, project, answer, settled, reply))
    return settled


def _tell(door: Door, project: Project, answer: Answer, settled: Answer, reply: ModelReply) -> str:
    """Tell the ledger what was asked and paid, which is no run's; what it cost, for the person."""
    why = "" if settled.blueprint else settled.reason if settled.kind == "refused" else settled.notes[-1]
    told = DispatcherAsked(
        run="",
        project=project.id,
        model=reply.by or reply.model,
        offered=list(open_to(answer)),
        chosen=settled.blueprint,
        why=why,
        usage={"input": reply.usage.input, "output": reply.usage.output},
        cost=reply.cost,
    )
    door.ledger.append([told])
    paid = money(reply.cost) if reply.cost is not None else "at a price that is not known"
    return f"{told.model} was asked which process it is: {paid}"


async def _reply(door: Door, choice: Choice, request: ModelRequest, *, project: Project, seconds: float) -> ModelReply:
    """The reply, within what the day may spend, as any call of a run."""
    settings, keys = door.settings, door.keys()
    policy = rules.holding(project, home=settings.home)
    name = f"ask-{secrets.token_hex(8)}"
    day = Bound(
        scope="day",
        money=millionths(least(settings.budget_day_money, policy.budgets.day)),
        tokens=settings.budget_day_tokens,
    )
    size = sum(len(text.encode()) for text in (*request.system, str(request.messages))) // 2
    purse = Purse(Accounts(door.database))
    try:
        hold = await purse.reserve(
            Call(id=name, run=name, worker=name, project=project.id, spec=name),
            bounds=(day,),
            input_tokens=size,
            max_tokens=request.max_tokens,
            price=price(choice),
            alone=True,
        )
        try:
            async with asyncio.timeout(seconds), client(settings) as http:
                model = connect(choice.name, keys=keys, settings=settings, client=http, base_url=choice.base_url)
                reply = await model.reply(replace(request, max_tokens=hold.reply))
        except BaseException:
            purse.release(hold)
            raise
        purse.settle(hold, money=reply.cost, tokens=reply.usage.input + reply.usage.output)
        await purse.written()
        return reply
    finally:
        purse.close()
