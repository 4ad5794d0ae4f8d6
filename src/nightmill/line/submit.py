"""Asking for a run: everything that can refuse it is tried before anything is made."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill import plan
from nightmill import spec as specs
from nightmill.crew import signers
from nightmill.errors import RepoError, SettingsError, SpecError
from nightmill.estate import registry
from nightmill.event import RunQueued
from nightmill.line.assignment import Assignment, write
from nightmill.model import connect, rates
from nightmill.model.route import Choice, choices
from nightmill.policy import Budget
from nightmill.repo.checkout import inspect
from nightmill.repo.git import shown
from nightmill.repo.hub import Hub
from nightmill.store import projects

if TYPE_CHECKING:
    from nightmill.agent.external import External
    from nightmill.estate.nouns import Project
    from nightmill.settings import Settings
    from nightmill.spec import Assessment, Spec
    from nightmill.store.blobs import Blobs
    from nightmill.store.database import Database
    from nightmill.store.runs import Run, Runs

__all__ = ["Ask", "accepted", "budget", "hub_of", "identifier", "refusal", "submit"]

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a person asks for: the spec at *spec*, in the repository at *root*, from the branch *base* ("": the current).

    *home* is the person's, whose git configuration says which folders to trust. *agent* does the developer's work
    instead of our own.
    """

    spec: Path
    root: Path
    base: str
    by: str
    home: Path
    now: Callable[[], float]
    agent: External | None = None


def submit(ask: Ask, *, settings: Settings, database: Database, blobs: Blobs, runs: Runs, project: Project) -> Run:
    """Put a run for *ask* in the queue and return it.

    Raises:
        SpecError: If the spec is refused; the message gives each reason with its line.
        SettingsError: If no model is named, or by a name or an address that can be none, or the project has no checks or asks for hosts
            that the operator does not allow.
        RepoError: If work cannot start from the repository as it is.
    """
    spec = accepted(ask.spec, settings=settings)
    for each in choices(
        (settings.model, *settings.fallbacks, settings.model_small), base_url=settings.base_url, owner=settings.model
    ) or (Choice("", ""),):
        connect.check(each.name, base_url=each.base_url)
    rates.read(settings.rates, known=connect.ACCOUNTS)
    registry.check((*project.environment.hosts, *project.network.hosts), allow=settings.allow_hosts)
    if not project.checks:
        raise SettingsError(
            f"the project {project.id!r} has no checks, so nothing can be proven and no change could pass",
            hint="write under `checks` in nightmill.yaml how its tests are run",
        )
    branch, commit = _base(ask, settings, project)
    hub = hub_of(settings, project.id)
    projects.keep(database, projects.Known(id=project.id, root=project.root, hub=hub.path, added=ask.now()))
    assignment = Assignment(
        kind="spec",
        project=project,
        spec=spec,
        model=settings.model,
        base_url=settings.base_url,
        base_branch=branch,
        base_commit=commit,
        target=branch,
        budget=budget(settings),
        max_tokens=settings.max_tokens,
        thinking=settings.thinking,
        send_back=settings.send_back,
        compact_at=settings.compact_tokens,
        by=ask.by,
        plan=settings.plan,
        agent=ask.agent,
        fallbacks=settings.fallbacks,
        small=settings.model_small,
    )
    asked = RunQueued(
        run=identifier(),
        kind="spec",
        title=spec.title,
        project=project.id,
        spec=spec.digest,
        model=assignment.worker,
        base_branch=branch,
        base_commit=commit,
    )
    return runs.create(asked, assignment=blobs.put(write(assignment)))


def accepted(path: Path, *, settings: Settings) -> Spec:
    """The spec at *path*.

    Raises:
        SpecError: If it is refused; the message gives each reason with its line.
    """
    spec = specs.read(path)
    if (no := refusal(spec, specs.assess(spec, threshold=settings.spec_threshold))) is not None:
        raise no
    plan.from_spec(spec)  # tasks that do not hold together are the author's to change, too
    return spec


def identifier() -> str:
    """A new run's id: short enough to say, no letters that look alike."""
    return "r" + "".join(secrets.choice(ALPHABET) for _ in range(7))


def budget(settings: Settings) -> Budget:
    """The bounds of one run."""
    return Budget(
        turns=settings.budget_turns,
        tokens=settings.budget_tokens,
        money=settings.budget_money,
        seconds=settings.budget_seconds,
        context=settings.context_tokens,
        spec_money=settings.budget_spec_money,
        spec_tokens=settings.budget_spec_tokens,
    )


def hub_of(settings: Settings, project: str) -> Hub:
    """The repository of *project* on the local forge."""
    return Hub(settings.home / "projects" / project / "hub.git")


def refusal(spec: Spec, assessment: Assessment) -> SpecError | None:
    """Why *spec* is refused, a line per reason; None: it is accepted."""
    if assessment.accepted:
        return None
    score = f"score {assessment.score} of 100, accepted from {assessment.threshold}"
    lines = [f"Refused: {spec.title or spec.source} ({score})"]
    flaws = sorted(assessment.flaws, key=lambda flaw: (not flaw.gate, flaw.line))
    lines += [f"  {'✗' if flaw.gate else '·'} {flaw.sentence}" for flaw in flaws]
    return SpecError(
        "\n".join(lines), hint="correct it and try `nightmill spec check` again; no run was started, no token spent"
    )


def _base(ask: Ask, settings: Settings, project: Project) -> tuple[str, str]:
    """The branch and the commit that work starts from, both in the hub."""
    checkout = inspect(project.root, home=ask.home, branch=ask.base)
    if checkout.dirty:
        named = ", ".join(f"'{shown(path)}'" for path in checkout.dirty[:5])
        more = f" and {len(checkout.dirty) - 5} more" if len(checkout.dirty) > 5 else ""  # noqa: PLR2004 - as many as are named
        raise RepoError(
            f"the checkout has changes that are in no commit: {named}{more}",
            hint="commit or stash them: a run starts from a commit",
        )
    branch = ask.base or checkout.branch
    if not branch:
        raise RepoError(
            "the checkout is on no branch (detached head)", hint="switch to a branch, or name one with --base"
        )
    hub = hub_of(settings, project.id)
    hub.create(branch=branch, format=checkout.format, signers=signers(settings.home))
    return branch, hub.advance(branch, hub.take(project.root, branch))
