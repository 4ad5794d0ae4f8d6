"""Everything that can refuse a run is tried before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nightmill import crew
from nightmill.errors import NightmillError, RepoError, SettingsError, SpecError
from nightmill.estate.file import load
from nightmill.line import submit
from nightmill.line.asking import bounds
from nightmill.line.assignment import read
from nightmill.line.brief import role
from nightmill.settings import Settings
from nightmill.store import blueprints
from nightmill.store.runs import Run
from tests import whole
from tests.line.conftest import ADA, World

TASKS = "\n## Tasks\n\n- [ ] T1 One (depends on T2)\n- [ ] T2 Two (depends on T1)\n"


def ask(world: World, text: str = "", *, base: str = "", inputs: tuple[str, ...] = (), **settings: Any) -> Run:
    path = world.root.parent / "SPEC.md"
    path.write_text(text or whole.SPEC.format(title=""), encoding="utf-8")
    return submit.submit(
        submit.Ask(
            spec=path, root=world.root, base=base, by=ADA, home=world.root.parent, now=lambda: 5.0, inputs=inputs
        ),
        settings=replace(world.door.settings, **settings),
        database=world.door.database,
        blobs=world.door.blobs,
        runs=world.door.runs,
        project=world.project,
    )


def made(world: World) -> tuple[int, set[str]]:
    home = world.door.settings.home
    return len(world.door.runs.list()), {path.name for path in home.iterdir() if path.is_dir()}


def dirty(world: World) -> None:
    (world.root / "calc.py").write_text("changed")


def detached(world: World) -> None:
    whole.git(world.root, "checkout", "-q", "--detach")


def nothing(_: World) -> None:
    """The checkout is as it should be."""


@pytest.mark.parametrize(
    ("spoil", "named", "error", "words", "hint"),
    [
        (nothing, {"text": "# Make it better\n\nFix everything.\n"}, SpecError, "Refused: Make it better", "no token"),
        (nothing, {"text": whole.SPEC.format(title="") + TASKS}, SpecError, "T1|T2|circle", ""),
        (nothing, {"model": ""}, SettingsError, "no model is named", "anthropic:NAME"),
        (nothing, {"model": "claude"}, SettingsError, "by the name 'claude'", "openai-responses:NAME"),
        (nothing, {"model": "acme:best"}, SettingsError, "by the name 'acme:best'", "anthropic:NAME"),
        (dirty, {}, RepoError, "changes that are in no commit: 'calc.py'", "commit or stash"),
        (detached, {}, RepoError, "detached head", "--base"),
    ],
)
def test_what_refuses_a_run_leaves_nothing(
    world: World,
    spoil: Callable[[World], None],
    named: dict[str, str],
    error: type[NightmillError],
    words: str,
    hint: str,
) -> None:
    spoil(world)
    before = made(world)
    with pytest.raises(error, match=words) as caught:
        ask(world, **named)  # type: ignore[arg-type]

    assert hint in caught.value.hint
    assert made(world) == before


def test_a_spec_beside_which_no_turn_has_room_queues_no_run(world: World) -> None:
    before = made(world)[0]
    with pytest.raises(SpecError, match="every request is too long") as caught:
        ask(world, text=whole.SPEC.format(title="") + "\nwords words words words" * 15_000)

    assert "shorten the spec" in caught.value.hint
    assert made(world)[0] == before


def test_a_branch_that_is_not_there_is_named(world: World) -> None:
    before = made(world)
    with pytest.raises(RepoError, match="'nope'"):
        ask(world, base="nope")
    assert made(world) == before


def test_a_run_is_queued_with_everything_that_decides_it(world: World) -> None:
    whole.git(world.root, "branch", "release")
    (world.root / "calc.py").write_text("later\n")
    whole.commit(world.root, "later")
    tip = whole.git(world.root, "rev-parse", "release")
    run = ask(world, base="release", budget_turns=7, plan="single")
    found = read(world.door.blobs.get(run.assignment))

    assert (run.state, run.kind, run.title) == ("queued", "spec", "Adding gives the sum")
    assert run.id[0] == "r"
    assert len(run.id) == 8
    assert (found.base_branch, found.base_commit, found.target) == ("release", tip, "release")
    assert (found.budget.turns, found.plan, found.by, found.model) == (7, "single", ADA, "anthropic:m")
    assert found.project == world.project
    assert whole.git(world.root, "status", "--porcelain") == "", "the checkout is as it was"


TYPED = """name: own
inputs:
  version: {doc: Which., pattern: '[0-9.]+'}
  times: {type: number, default: 1}
  dry: {type: boolean, default: false}
steps: [{id: work, agent: developer, prompt: developer/task}]
"""


def test_what_a_blueprint_is_given_is_typed_and_filled_before_anything_is_queued(world: World) -> None:
    (world.door.settings.home / "policy.yaml").write_text("blueprints: any\n")
    written(world, own=TYPED)
    run = ask(world, blueprint="own", inputs=("version=1.4.0", "times=3", "dry=yes"))
    assert read(world.door.blobs.get(run.assignment)).inputs == {"version": "1.4.0", "times": 3, "dry": True}
    run = ask(world, blueprint="own", inputs=("version=2",))
    assert read(world.door.blobs.get(run.assignment)).inputs == {"version": "2", "times": 1, "dry": False}


@pytest.mark.parametrize(
    ("said", "words", "hint"),
    [
        ((), "own needs its input 'version'", "--set version="),
        (("version=one",), "the input 'version' of own is 'one'", "it must match"),
        (("version=1", "times=many"), "the input 'times' of own is 'many'", "it must be a number"),
        (("version=1", "dry=perhaps"), "the input 'dry' of own is 'perhaps'", "it must be true or false"),
        (("version=1", "colour=red"), "'colour=red' sets no input of own", "its inputs: version, times, dry"),
        (("version",), "'version' sets no input of own", "--set NAME=VALUE"),
    ],
)
def test_an_input_that_does_not_fit_queues_no_run(world: World, said: tuple[str, ...], words: str, hint: str) -> None:
    (world.door.settings.home / "policy.yaml").write_text("blueprints: any\n")
    written(world, own=TYPED)
    before = len(world.door.runs.list())
    with pytest.raises(SettingsError, match=words) as caught:
        ask(world, blueprint="own", inputs=said)
    assert hint in caught.value.hint
    assert len(world.door.runs.list()) == before


def test_a_run_is_judged_by_the_file_of_the_commit_that_it_starts_from(world: World) -> None:
    """The checkout stands on another branch, whose checks are others."""
    whole.git(world.root, "checkout", "-q", "-b", "other")
    text = whole.FILES["nightmill.yaml"].replace("name: tests", "name: easy")
    (world.root / "nightmill.yaml").write_text(text)
    whole.commit(world.root, "easier")
    other = replace(world, project=load(world.root))
    found = read(world.door.blobs.get(ask(other, base="main").assignment))
    assert [each.name for each in found.project.checks] == ["tests"]

    whole.git(world.root, "rm", "-q", "--cached", "nightmill.yaml")
    whole.git(world.root, "commit", "-q", "-m", "it is in no commit")
    with pytest.raises(SettingsError, match=r"has no nightmill\.yaml") as caught:
        ask(other, base="other")
    assert "git add nightmill.yaml" in caught.value.hint


def test_the_roles_and_the_policy_of_a_run_are_those_of_when_it_was_asked_for(world: World) -> None:
    home, roles = world.door.settings.home, world.root / ".nightmill/crew"
    roles.mkdir(parents=True)
    (roles / "reviewer.md").write_text("---\ndescription: d\ntools: [read_file]\n---\nLook for money.\n")
    whole.commit(world.root, "a reviewer of our own")
    (home / "crew").mkdir()
    (home / "crew/lawyer.md").write_text("---\ndescription: d\ntools: []\n---\nLook for licences.\n")
    (home / "policy.yaml").write_text("unsupervised: reviewed\nbudgets: {task: 0.5, day: 3, project: 2}\n")
    run = ask(world, budget_day_money=5.0)
    (home / "crew/lawyer.md").write_text("changed since, and no role any more")
    (home / "policy.yaml").unlink()
    found = read(world.door.blobs.get(run.assignment))

    assert role("reviewer", found).instructions == "Look for money."
    assert role("lawyer", found).writes == "nothing"
    assert role("developer", found) == crew.find().role("developer")
    assert found.policy.unsupervised == "reviewed"
    assert found.budget.money == 0.5
    shared = {each.scope: each.money for each in bounds(found, replace(world.door.settings, budget_day_money=5.0))}
    assert (shared["project"], shared["day"]) == (2_000_000, 3_000_000)


def test_a_policy_that_cannot_be_used_refuses_the_run_before_anything_is_made(world: World) -> None:
    (world.door.settings.home / "policy.yaml").write_text("unsupervised: perhaps\n")
    before = made(world)
    with pytest.raises(SettingsError, match=r"policy\.yaml:1: unsupervised is 'perhaps'"):
        ask(world)
    assert made(world) == before


OWN = "name: own\nsteps:\n  - {id: work, agent: developer, prompt: developer/task}\n  - {id: help, call: helper}\n"
HELPER = "name: helper\nsteps: [{id: look, run: 'true'}]\n"


def written(world: World, *, own: str = OWN, helper: str = HELPER) -> None:
    """The project's blueprint, committed, and the operator's, which it calls."""
    (world.root / ".nightmill/blueprints").mkdir(parents=True, exist_ok=True)
    (world.root / ".nightmill/blueprints/own.yaml").write_text(own)
    (world.door.settings.home / "blueprints").mkdir(exist_ok=True)
    (world.door.settings.home / "blueprints/helper.yaml").write_text(helper)
    if whole.git(world.root, "status", "--porcelain"):
        whole.commit(world.root, "a process")


def approve(world: World) -> None:
    """As `nightmill blueprint approve own` does."""
    hub = submit.hub_of(world.door.settings, world.project.id)
    hub.create()
    commit = hub.advance("main", hub.take(world.root, "main"))
    found = submit.catalogue(hub, commit, crew.find(), settings=world.door.settings, checks=world.project.checks)
    closure = found.closure("own")
    yes = blueprints.Approval(
        project=world.project.id,
        name="own",
        closure=closure.digest,
        digest=closure.blueprints[0].digest,
        version=1,
        parts=closure.parts,
        by=ADA,
        at=1.0,
    )
    blueprints.approve(world.door.database, yes)


def test_a_process_that_nobody_approved_of_runs_only_where_policy_says_any(world: World) -> None:
    written(world)
    before = len(world.door.runs.list())
    with pytest.raises(SettingsError, match="'own' may not run: nobody approved of it") as caught:
        ask(world, blueprint="own")
    assert "nightmill blueprint approve own" in caught.value.hint
    assert len(world.door.runs.list()) == before

    (world.door.settings.home / "policy.yaml").write_text("blueprints: any\n")
    assert read(world.door.blobs.get(ask(world, blueprint="own").assignment)).answers == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"own": OWN + "  # more\n"}, "it changed since"),
        ({"helper": HELPER + "# more\n"}, "helper, which it calls, changed"),
    ],
)
def test_a_process_that_changed_since_it_was_approved_of_is_refused(
    world: World, change: dict[str, str], said: str
) -> None:
    written(world)
    approve(world)
    run = ask(world, blueprint="own")
    written(world, **change)
    with pytest.raises(SettingsError, match=said) as caught:
        ask(world, blueprint="own")

    assert "nightmill blueprint diff own" in caught.value.hint
    found = read(world.door.blobs.get(run.assignment))
    assert found.answers == ADA
    assert [each.name for each in found.blueprints] == ["own", "helper"], "what was asked for is as it was"
    approve(world)
    assert read(world.door.blobs.get(ask(world, blueprint="own").assignment)).answers == ADA


def test_what_is_shipped_is_answered_for_by_the_release(world: World) -> None:
    run = ask(world, blueprint="quick")
    assert read(world.door.blobs.get(run.assignment)).answers == "the release"
    (queued,) = (entry.event() for entry in world.machines.ledger.read(run=run.id))
    assert (queued.blueprint, queued.answers) == ("quick", "the release")  # type: ignore[attr-defined]


def test_two_runs_have_two_names(world: World) -> None:
    assert len({submit.identifier() for _ in range(200)} | {ask(world).id, ask(world).id}) == 202


def test_a_spec_is_refused_by_the_threshold_of_the_settings(world: World) -> None:
    ask(world, spec_threshold=1)
    with pytest.raises(SpecError, match="accepted from 101"):
        ask(world, spec_threshold=101)
    assert submit.budget(Settings()).context == Settings().context_tokens
