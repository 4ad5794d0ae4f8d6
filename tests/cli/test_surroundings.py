"""A worker that is alive holds what it was started with: who set something else since gets it, or is told that they do not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from nightmill.cli import bell, beside
from nightmill.cli.door import STALE, Door
from nightmill.cli.porter import Porter
from nightmill.cli.surroundings import HELD, surroundings, unlike
from nightmill.settings import Settings
from nightmill.store.workers import Worker, Workers
from tests import whole
from tests.conftest import ScriptedFactory
from tests.whole import Mill

BROUGHT = {
    *("model", "fallbacks", "model_small", "base_url", "max_tokens", "thinking", "compact_tokens", "context_tokens"),
    *("budget_turns", "budget_tokens", "budget_money", "budget_seconds", "budget_spec_money", "budget_spec_tokens"),
    *("spec_threshold", "blueprint", "plan"),
}
"""What a run brings along from who asked for it."""

ELSEWHERE = {"home", "store", "server", "person", *(f"oidc_{name}" for name in ("issuer", "client", "secret", "name"))}
ELSEWHERE |= {"oidc_groups", "oidc_roles", "oidc_hours", "oidc_days"}
"""What tells stores apart, or is no matter of a worker."""


def test_each_setting_is_held_by_the_worker_or_brought_by_the_run() -> None:
    known = {each.name for each in fields(Settings)}

    assert known == {*HELD} | BROUGHT | ELSEWHERE, "a new setting: whose is it?"
    assert len(known) == len(HELD) + len(BROUGHT) + len(ELSEWHERE), "one is in two"


@pytest.mark.parametrize("name", HELD)
def test_another_value_of_what_is_held_is_told_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    before = Settings()
    value: Any = getattr(before, name)
    other = ("a.example",) if isinstance(value, tuple) else value + 1 if isinstance(value, int | float) else f"{value}x"

    assert unlike(surroundings(before), surroundings(replace(before, **{name: other}))) == (name,)
    assert unlike(surroundings(before), surroundings(replace(before, model="another:m"))) == ()


def test_the_environment_of_tools_counts_and_what_credentials_hold_is_told_without_telling_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    settings, bare = Settings(), surroundings(Settings())
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("EDITOR", "ed")

    assert unlike(bare, surroundings(settings)) == ("HTTPS_PROXY",)
    file = tmp_path / "nightmill" / "credentials.yaml"
    file.parent.mkdir()
    file.write_text('- {name: shop, host: api.example.org, projects: ["*"], from: "env:SHOP"}\n')
    file.chmod(0o600)
    monkeypatch.setenv("SHOP", "the-first-secret")
    first = surroundings(settings)
    monkeypatch.setenv("SHOP", "the-second-secret")

    assert unlike(first, surroundings(settings)) == ("credentials.yaml",)
    assert "secret" not in str(first)
    monkeypatch.delenv("SHOP")
    assert unlike(first, surroundings(settings)) == (), "who cannot use them has no say"


@pytest.mark.parametrize("stays", [True, False])
def test_who_sets_something_else_than_a_worker_that_cannot_go_is_told_so_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, stays: bool
) -> None:
    door = Door(Settings(home=tmp_path / "home"))
    assert door.runs.list() == []
    other = Door(replace(door.settings, allow_hosts=("pypi.example",), require=("network",)))

    async def both() -> None:
        async with Porter(door, wake=lambda: None, leave=None if stays else lambda: False):
            await asyncio.to_thread(beside.wake, door)
            await asyncio.to_thread(beside.wake, other)

    asyncio.run(both())
    (line,) = capsys.readouterr().err.splitlines()
    assert f"(process {os.getpid()}) has another allow_hosts, require than is set here" in line
    assert ("start it again" in line, f"kill {os.getpid()}" in line) == (stays, not stays)


def test_a_worker_stays_for_who_holds_the_same(tmp_path: Path) -> None:
    door = Door(Settings(home=tmp_path / "home"))
    assert door.runs.list() == []
    left: list[None] = []

    async def both() -> bell.Answer:
        async with Porter(door, wake=lambda: None, leave=lambda: bool(left.append(None)) or True):
            return await asyncio.to_thread(bell.ring, door.settings.home, held=surroundings(door.settings))

    assert asyncio.run(both()).done
    assert not left


def test_what_was_set_since_counts_for_the_next_run(mill: Mill, scripted: ScriptedFactory) -> None:
    repo = whole.repository(mill.folder / "repo")
    assert mill.run("init", at=repo).returncode == 0
    (mill.folder / "SPEC.md").write_text(whole.SPEC.format(title=""), encoding="utf-8")
    url = scripted(whole.script()).url
    words = ("run", mill.folder / "SPEC.md", "--model", whole.MODELS["anthropic"], "--base-url", url)
    with ended(mill):
        refused = mill.given(NIGHTMILL_SPARE_MEGABYTES="999999999").run(*words, "--detach", at=repo)
        with mill.door() as door:
            run = refused.stdout.strip()
            whole.wait_for("a run that waits for room", lambda: door.runs.get(run).state in {"parked", "paused"})
            (first,) = workers(door)
            done = mill.run(*words, at=repo)
            (second,) = workers(door)

        assert done.returncode == 0, done.stderr
        assert "than is set here" not in done.stderr
        assert first.id != second.id, "the one that held something else has gone"


def workers(door: Door) -> list[Worker]:
    return Workers(door.database).alive(stale_seconds=STALE)


@contextmanager
def ended(mill: Mill) -> Iterator[None]:
    """After the block, no worker of *mill* is alive."""
    try:
        yield
    finally:
        with mill.door() as door:
            for each in workers(door):
                os.kill(each.pid, signal.SIGTERM)
            whole.wait_for("the end of the worker", lambda: not door.alive())
