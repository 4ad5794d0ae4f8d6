"""Asking for a run: everything that can refuse it is tried before anything is made."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightmill import crew, plan
from nightmill import spec as specs
from nightmill.blueprint import Blueprint, approval
from nightmill.blueprint.catalogue import Catalogue, Closure
from nightmill.blueprint.shelves import at_commit, in_folder, shipped
from nightmill.errors import RepoError, SettingsError, SpecError
from nightmill.estate import file, registry, rules
from nightmill.intake.inputs import filled, given
from nightmill.line.assignment import Assignment, queue
from nightmill.line.begun import Begun
from nightmill.line.process import functions
from nightmill.model import connect, rates
from nightmill.model.route import Choice, choices
from nightmill.plan import Task
from nightmill.policy import Budget, Policy
from nightmill.repo.checkout import inspect
from nightmill.repo.git import shown
from nightmill.repo.hub import Hub
from nightmill.store import blueprints, projects

if TYPE_CHECKING:
    from nightmill.agent.external import External
    from nightmill.estate.nouns import Project
    from nightmill.review import Check
    from nightmill.settings import Settings
    from nightmill.spec import Assessment, Spec
    from nightmill.store.blobs import Blobs
    from nightmill.store.database import Database
    from nightmill.store.runs import Run, Runs

__all__ = [
    "Ask",
    "Errand",
    "TakenUp",
    "accepted",
    "budget",
    "catalogue",
    "hub_of",
    "identifier",
    "prepared",
    "refusal",
    "submit",
]

OPERATORS = "crew"
"""Folder of the home with the operator's own roles."""

NONE = Policy()

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A blueprint that people approved of, with its *inputs*, and the words that asked for it: there is no spec.

    *closure* is the SHA-256 of what the asker was shown (`blueprint.Closure.digest`): nothing else is started.
    """

    title: str
    words: str
    blueprint: str
    closure: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenUp:
    """A task that a run left: the *spec* that was made of it, what the new run goes on from, and what that one was to do."""

    spec: Spec
    begun: Begun
    left: Assignment


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a person asks for: the spec at *spec*, an errand, or a task that a run left, in the repository at *root*.

    It starts from the branch *base* ("": the current); a task of a run from the base of that.

    *home* is the person's, whose git configuration says which folders to trust. *agent* does the developer's work
    instead of our own. *inputs* are those of the blueprint, each as NAME=VALUE. *run* is the id of the run, of which there
    is only one however often it is asked for; "": a new one.
    """

    spec: Path | Errand | TakenUp
    root: Path
    base: str
    by: str
    home: Path
    now: Callable[[], float]
    agent: External | None = None
    inputs: tuple[str, ...] = ()
    run: str = ""


def submit(ask: Ask, *, settings: Settings, database: Database, blobs: Blobs, runs: Runs, project: Project) -> Run:
    """Put a run for *ask* in the queue and return it. Raises as `prepared`."""
    assignment = prepared(ask, settings=settings, database=database, project=project)
    return queue(assignment, run=ask.run or identifier(), title=assignment.spec.title, blobs=blobs, runs=runs)


def prepared(ask: Ask, *, settings: Settings, database: Database, project: Project) -> Assignment:
    """All that decides the run for *ask*, which nothing is known to refuse.

    Raises:
        SpecError: If the spec is refused, the message gives each reason with its line, or too long for its models.
        SettingsError: If no model is named, or by a name or an address that can be none, or the project has no checks or asks for hosts
            that the operator does not allow, or a policy cannot be used, or nobody approved of the blueprint as it is, or
            what it was given does not fit its inputs.
        RepoError: If work cannot start from the repository as it is.
    """
    errand = ask.spec if isinstance(ask.spec, Errand) else None
    taken = ask.spec if isinstance(ask.spec, TakenUp) else None
    spec = _spec(ask.spec, settings)
    for each in choices(
        (settings.model, *settings.fallbacks, settings.model_small), base_url=settings.base_url, owner=settings.model
    ) or (Choice("", ""),):
        connect.check(each.name, base_url=each.base_url)
    rates.read(settings.rates, known=connect.ACCOUNTS)
    _holding(project, settings)
    branch, commit = (taken.left.base_branch, taken.left.base_commit) if taken else _base(ask, settings, project)
    hub = hub_of(settings, project.id)
    # The checkout may be on another branch, or hold what is in no commit: what it is judged by is where it starts from.
    project = file.at_commit(hub, commit, root=project.root)
    policy = _holding(project, settings)
    found = crew.find(project=crew.at_commit(hub, commit), operator=crew.in_folder(settings.home, (OPERATORS,)))
    process = approval.require(
        catalogue(hub, commit, found, settings=settings, checks=project.checks),
        errand.blueprint if errand else settings.blueprint,
        blueprints.kept(database, project.id, errand.blueprint if errand else settings.blueprint),
        policy="approved" if errand else policy.blueprints,
    )
    own = _as_shown(process.closure, errand)
    assignment = Assignment(
        kind="task" if errand or taken else "spec",
        task=_task(ask.spec, spec),
        inputs=filled(own, _given(ask, own)),
        project=project,
        spec=spec,
        model=settings.model,
        base_url=settings.base_url,
        base_branch=branch,
        base_commit=commit,
        target=taken.left.target if taken else branch,
        budget=budget(settings, policy),
        max_tokens=settings.max_tokens,
        thinking=settings.thinking,
        compact_at=settings.compact_tokens,
        by=ask.by,
        plan=settings.plan,
        agent=ask.agent,
        fallbacks=settings.fallbacks,
        small=settings.model_small,
        policy=policy,
        crew=found,
        blueprints=process.closure.blueprints,
        answers=process.answers,
        begun=taken.begun if taken else None,
    )
    from nightmill.line import brief  # noqa: PLC0415 - with all that an agent is given, which a terminal waits for

    brief.fits(assignment, hub)
    projects.keep(database, projects.Known(id=project.id, root=project.root, hub=hub.path, added=ask.now()))
    return assignment


def _spec(asked: Path | Errand | TakenUp, settings: Settings) -> Spec:
    """The spec that was *asked* for.

    Raises:
        SpecError: If it is refused.
    """
    if isinstance(asked, Path):
        return accepted(asked, settings=settings)
    if isinstance(asked, Errand):
        return _of(asked)
    if (no := refusal(asked.spec, specs.assess(asked.spec, threshold=settings.spec_threshold))) is not None:
        raise no
    return asked.spec


def _task(asked: Path | Errand | TakenUp, spec: Spec) -> Task | None:
    """The one task of what was *asked* for; None where a plan has to be made."""
    if isinstance(asked, Path):
        return None
    if isinstance(asked, TakenUp):
        return plan.single(spec).tasks[0]
    return Task(id="T1", title=spec.title, instruction=spec.text, criteria=())


def _given(ask: Ask, own: Blueprint) -> Mapping[str, Any]:
    """The inputs of the blueprint *own*: those that the asker gives, or that a run before was given with it."""
    if isinstance(ask.spec, Errand):
        return ask.spec.inputs
    if isinstance(ask.spec, TakenUp) and ask.spec.left.blueprints[0].name == own.name:
        return {name: value for name, value in ask.spec.left.inputs.items() if name in own.inputs and value is not None}
    return given(own, ask.inputs)


def _holding(project: Project, settings: Settings) -> Policy:
    """The policy of *project*, if runs of it can be: raises `SettingsError` otherwise."""
    registry.check((*project.environment.hosts, *project.network.hosts), allow=settings.allow_hosts)
    if not project.checks:
        raise SettingsError(
            f"the project {project.id!r} has no checks, so nothing can be proven and no change could pass",
            hint="write under `checks` in nightmill.yaml how its tests are run",
        )
    return rules.holding(project, home=settings.home)


def _of(errand: Errand) -> Spec:
    """The words of *errand* where a run has its spec. They promise nothing, so there is no criterion to be shown."""
    digest = hashlib.sha256(errand.words.encode("utf-8", "replace")).hexdigest()
    return specs.Spec(
        title=errand.title,
        format="markdown",
        source="ask",
        digest=digest,
        text=errand.words,
        goal=errand.words,
        requirements=(),
        criteria=(),
    )


def _as_shown(closure: Closure, errand: Errand | None) -> Blueprint:
    """The process itself, of *closure* at the commit that the run starts from.

    Raises:
        SettingsError: If it is not what the asker of *errand* was shown.
    """
    if errand is not None and closure.digest != errand.closure:
        raise SettingsError(
            f"the blueprint {errand.blueprint!r} is not as it was when it was chosen", hint="ask again: nightmill ask"
        )
    return closure.blueprints[0]


def catalogue(hub: Hub, commit: str, found: crew.Crew, *, settings: Settings, checks: tuple[Check, ...]) -> Catalogue:
    """The blueprints that a run may use which starts from *commit*, judged by the roles of *found* and the *checks* there."""
    shelves = (at_commit(hub, commit), in_folder(settings.home, "blueprints", place="operator"), shipped())
    roles = {role.name: role for role in found.roles}
    return Catalogue(shelves, roles, functions.SIGNATURES, tuple(each.name for each in checks))


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


def identifier(of: str = "") -> str:
    """A new run's id: short enough to say, no letters that look alike. That *of* the same text is always the same."""
    number = int.from_bytes(hashlib.sha256(of.encode("utf-8", "replace")).digest() if of else secrets.token_bytes(32))
    return "r" + "".join(ALPHABET[number // len(ALPHABET) ** at % len(ALPHABET)] for at in range(7))


def budget(settings: Settings, policy: Policy = NONE) -> Budget:
    """The bounds of one run, within *policy*."""
    return Budget(
        turns=settings.budget_turns,
        tokens=settings.budget_tokens,
        money=min(settings.budget_money, policy.budgets.task or settings.budget_money),
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
        more = f" and {len(checkout.dirty) - 5} more" if len(checkout.dirty) > 5 else ""
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
    hub.create(branch=branch, format=checkout.format, signers=crew.signers(settings.home))
    return branch, hub.advance(branch, hub.take(project.root, branch))
