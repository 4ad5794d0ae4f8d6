"""What holds for changes of a project: policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nightmill.policy import Policy, Rule, Rung

__all__ = ["register"]


WIDEST = 30
"""Characters of what a rule is about."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(policy)


def policy(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH...", help="Only rules about these paths of the repository.")
    ] = None,
    project: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what changes of a project need: the operator's policy, and what the project asks for beyond it."""
    from dataclasses import asdict, replace

    from nightmill.cli.own import open_belongings
    from nightmill.cli.screen import print_json, say, table
    from nightmill.policy import Changed
    from nightmill.policy.decide import fits

    with open_belongings(project) as here:
        found = here.policy()
    if paths:
        changes = [Changed(path=each, new=False) for each in paths]
        found = replace(found, rules=tuple(rule for rule in found.rules if fits(rule, changes)))
    if json:
        print_json(asdict(found) if paths else {**asdict(found), "version": found.version})
        return
    rows = [(_source(rule), _about(rule), _needs(rule)) for rule in found.rules]
    table(("from", "about", "needs"), [*_whole(found), *rows], wrap=True)
    if not paths:
        say(f"version {found.version[:12]}: a yes that was given under another counts nothing")


def _whole(policy: Policy) -> list[tuple[str, str, str]]:
    """What is said of every change."""
    merged = {
        "never": "a person's yes",
        "reviewed": "a proof, and the approval of a role that had no part in it",
        "proven": "a proof",
    }
    amounts = {"a run": policy.budgets.task, "the project's day": policy.budgets.project, "a day": policy.budgets.day}
    spent = ", ".join(f"${amount:g} for {what}" for what, amount in amounts.items() if amount)
    rows = [
        ("unsupervised", "code of agents", f"to be merged: {merged[policy.unsupervised or 'never']}"),
        ("blueprints", "processes", "a person's approval" if policy.blueprints != "any" else "nothing"),
        *([("bends", "what bends checks", _bends(policy))] if policy.bends else []),
        ("approval_hours", "a yes", f"counts for {policy.approval_hours:g} h"),
        *(("ladder", f"a mistake: {kind or 'any'}", said) for kind, said in _ladder(policy)),
    ]
    return [*rows, *([("budgets", "money", f"at most {spent}")] if spent else [])]


def _ladder(policy: Policy) -> list[tuple[str, str]]:
    """(kind of mistake, what follows it from how many times on)."""
    kinds = dict.fromkeys(rung.kind for rung in policy.ladder)
    return [(kind, "; ".join(_rung(rung) for rung in policy.ladder if rung.kind == kind)) for kind in kinds]


def _rung(rung: Rung) -> str:
    without = f", without {', '.join(rung.takes)}" if rung.takes else ""
    return f"{rung.measure} from {rung.times} on{without}"


def _bends(policy: Policy) -> str:
    words = {"block": "stand in the way", "ask": "are asked about", "show": "are only told"}
    named = {rule: ", ".join(kind for kind, said in policy.bends if said == rule) for rule in words}
    return "; ".join(f"{kinds} {words[rule]}" for rule, kinds in named.items() if kinds)


def _about(rule: Rule) -> str:
    """What *rule* is about, short enough for a column."""
    said = " ".join((rule.about or ", ".join(rule.paths) or "every change").split())
    return said if len(said) <= WIDEST else f"{said[: WIDEST - 1]}…"


def _needs(rule: Rule) -> str:
    needs = {"ask": ["a person is asked"], "deny": ["is never changed by agents"], "": []}[rule.change]
    needs += [f"the check {check!r}" for check in rule.checks]
    needs += [f"{count} x review by {role}" if count > 1 else f"review by {role}" for role, count in rule.reviews]
    who = f" of {', '.join(rule.approvers)}" if rule.approvers else ""
    if rule.approvals or rule.approvers:
        needs.append(f"approval by {rule.approvals or 'whoever is asked'}{who}")
    needs += [f"a person beyond {rule.files} files"] if rule.files else []
    needs += [f"a person beyond {rule.lines} lines"] if rule.lines else []
    new = " (new files are free)" if rule.existing else ""
    return "; ".join(needs) + new


def _source(rule: Rule) -> str:
    return rule.source if ":" in rule.source else "nightmill"
