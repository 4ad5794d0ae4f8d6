"""Everything that can refuse a run is tried before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nightmill.errors import NightmillError, RepoError, SettingsError, SpecError
from nightmill.line import submit
from nightmill.line.assignment import read
from nightmill.settings import Settings
from nightmill.store.runs import Run
from tests import whole
from tests.line.conftest import ADA, World

TASKS = "\n## Tasks\n\n- [ ] T1 One (depends on T2)\n- [ ] T2 Two (depends on T1)\n"


def ask(world: World, text: str = "", *, base: str = "", **settings: Any) -> Run:
    path = world.root.parent / "SPEC.md"
    path.write_text(text or whole.SPEC.format(title=""), encoding="utf-8")
    return submit.submit(
        submit.Ask(spec=path, root=world.root, base=base, by=ADA, home=world.root.parent, now=lambda: 5.0),
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


def test_two_runs_have_two_names(world: World) -> None:
    assert len({submit.identifier() for _ in range(200)} | {ask(world).id, ask(world).id}) == 202


def test_a_spec_is_refused_by_the_threshold_of_the_settings(world: World) -> None:
    ask(world, spec_threshold=1)
    with pytest.raises(SpecError, match="accepted from 101"):
        ask(world, spec_threshold=101)
    assert submit.budget(Settings()).context == Settings().context_tokens
