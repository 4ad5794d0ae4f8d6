"""What people wrote as a policy, and what holds of two of them: the operator's word, and what a project adds to it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn, get_args

from nightmill.errors import SettingsError
from nightmill.policy.decide import HOURS
from nightmill.policy.kinds import KINDS, protected
from nightmill.policy.ladder import LADDER, TAKES
from nightmill.policy.nouns import Bounds, Measure, Policy, Rule, Rung, least

__all__ = ["agree", "said"]

MAIL = re.compile(r"[^\s@<>,]+@[^\s@<>,]+")
GROUP = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

UNSUPERVISED = ("proven", "reviewed", "never")
BLUEPRINTS = ("any", "approved")
MOVED = ("keep", "ask")
BENDS = ("show", "ask", "block")
"""The loosest first."""


def said(values: Mapping[str, Any], *, source: str) -> Policy:
    """The policy in *values*, which were read from the file *source* by its keys; what is not said is empty.

    Records have the `line` on which they stand.

    Raises:
        SettingsError: If an approver or somebody in a group has no address, or a rung takes something and says not when.
    """
    groups = tuple(
        (name, _people(mails, f"{source}: the group {name!r}")) for name, mails in values.get("groups", {}).items()
    )
    for name, _ in groups:
        if not GROUP.fullmatch(name):
            _fail(f"{source}: {name!r} is not the name of a group", "use lower case letters, digits and '-'")
    return Policy(
        unsupervised=values.get("unsupervised", ""),
        blueprints=values.get("blueprints", ""),
        approval_hours=values.get("approval_hours", 0.0),
        moved=values.get("moved", ""),
        protect=tuple(values["protect"]) if "protect" in values else None,
        bends=tuple(sorted(values.get("bends", {}).items())),
        budgets=Bounds(**values.get("budgets", {})),
        rules=tuple(_rule(each, f"{source}:{each.line}") for each in values.get("rules", ())),
        ladder=tuple(rung for each in values.get("ladder", ()) for rung in _rungs(each, f"{source}:{each.line}")),
        groups=groups,
    )


def agree(operator: Policy, project: Policy, *, language: str) -> Policy:
    """What holds in a project: the operator's word, nightmill's where there is none, and what the project adds.

    Nothing of the project's loosens anything, for every agent's change could come with a line that does.

    Raises:
        SettingsError: If a group is not known, or the project has one by the name of one of the operator's.
    """
    theirs, own = dict(operator.groups), dict(project.groups)
    for name in own:
        if name in theirs:
            _fail(f"the project's group {name!r} is the operator's", "give it another name")
    kinds = set(KINDS if operator.protect is None else operator.protect) | set(project.protect or ())
    rules = (
        *(_expanded(rule, theirs) for rule in operator.rules),
        *(_expanded(rule, {**theirs, **own}) for rule in project.rules),
    )
    return Policy(
        unsupervised=_stricter(operator.unsupervised or "never", project.unsupervised, UNSUPERVISED),
        blueprints=_stricter(operator.blueprints or "approved", project.blueprints, BLUEPRINTS),
        moved=_stricter(operator.moved or "ask", project.moved, MOVED),
        approval_hours=min(operator.approval_hours or HOURS, project.approval_hours or math.inf),
        protect=tuple(name for name in KINDS if name in kinds),
        bends=tuple(sorted({**dict(operator.bends), **_more(dict(operator.bends), project)}.items())),
        budgets=Bounds(
            task=least(operator.budgets.task, project.budgets.task),
            day=operator.budgets.day,
            project=least(operator.budgets.project, project.budgets.project),
        ),
        rules=(*protected(kinds, language=language), *rules),
        ladder=(*(operator.ladder or LADDER), *project.ladder),
        groups=(*operator.groups, *project.groups),
    )


def _rule(values: Any, source: str) -> Rule:
    approvers = tuple(each.strip().casefold() for each in values.get("approvers", ()))
    for each in approvers:
        if not MAIL.fullmatch(each) and not (each.startswith("@") and GROUP.fullmatch(each[1:])):
            _fail(f"{source}: {each!r} is neither an address nor '@' and a group", "such as ada@example.org, or @leads")
    return Rule(
        source=source,
        about=values.get("about", ""),
        paths=tuple(values.get("paths", ())),
        change=values.get("change", ""),
        checks=tuple(values.get("checks", ())),
        reviews=tuple(values.get("reviews", {}).items()),
        approvals=values.get("approvals", 0),
        approvers=approvers,
        files=values.get("files", 0),
        lines=values.get("lines", 0),
    )


def _rungs(values: Any, source: str) -> list[Rung]:
    kind, measures = values.get("mistake", ""), get_args(Measure)
    if "takes" in values and "permission" not in values:
        _fail(
            f"{source}: it takes {', '.join(values['takes'])}, and says not when", "write `permission: TIMES` beside it"
        )
    takes = {"permission": tuple(dict.fromkeys(values.get("takes") or TAKES))}
    return [
        Rung(kind=kind, measure=name, times=values[name], takes=takes.get(name, ()))
        for name in measures
        if name in values
    ]


def _expanded(rule: Rule, groups: Mapping[str, tuple[str, ...]]) -> Rule:
    """*rule* with the addresses of the groups that it names."""
    found: list[str] = []
    for each in rule.approvers:
        if not each.startswith("@"):
            found.append(each)
        elif each[1:] in groups:
            found += groups[each[1:]]
        else:
            known = ", ".join(groups) or "none"
            _fail(f"{rule.source}: there is no group {each[1:]!r}", f"groups: {known}")
    if rule.approvers and len(set(found)) < max(rule.approvals, 1):
        _fail(
            f"{rule.source}: it wants {max(rule.approvals, 1)} approvals of {len(set(found))} people",
            "name more people",
        )
    return replace(rule, approvers=tuple(dict.fromkeys(found)))


def _people(mails: Any, where: str) -> tuple[str, ...]:
    found = tuple(each.strip().casefold() for each in mails)
    for each in found:
        if not MAIL.fullmatch(each):
            _fail(f"{where} holds {each!r}, which is no address", "such as ada@example.org")
    return found


def _more(operator: Mapping[str, str], project: Policy) -> dict[str, Any]:
    """What *project* asks for beyond the *operator*, who may have left a kind to nightmill: then only "block" is surely more."""
    known = {kind: rule for kind, rule in project.bends if kind in operator or rule == "block"}
    return {kind: _stricter(operator.get(kind, ""), rule, BENDS) for kind, rule in known.items()}


def _stricter(one: str, other: str, order: tuple[str, ...]) -> Any:
    return max((each for each in (one, other) if each), key=order.index)


def _fail(message: str, hint: str) -> NoReturn:
    raise SettingsError(message, hint=hint)
