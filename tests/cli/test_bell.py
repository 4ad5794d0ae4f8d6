"""A worker that is alive takes runs in at once; whoever gets no answer asks as if there were none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nightmill.cli import bell, quick
from nightmill.cli.door import STALE, Door, fingerprints, settings_file, vault
from nightmill.cli.porter import Porter
from nightmill.line.assignment import read
from nightmill.settings import Settings
from nightmill.store.workers import Workers
from scripts import reference
from tests import whole
from tests.cli.conftest import Here
from tests.conftest import ScriptedFactory
from tests.whole import Mill

Said = TypeVar("Said")
HERE = str(settings_file(os.environ))  # noqa: TID251 - what a worker of this process would say


@pytest.fixture
def door(tmp_path: Path) -> Door:
    """A home that is in use, beside a repository and a spec."""
    whole.repository(tmp_path / "repo")
    (tmp_path / "SPEC.md").write_text(whole.SPEC.format(title=""), encoding="utf-8")
    found = Door(Settings(home=tmp_path / "home", model=whole.MODELS["anthropic"], base_url="http://127.0.0.1:9"))
    assert found.runs.list() == []
    return found


def met(door: Door, *calls: Callable[[], Said]) -> tuple[list[Said], int]:
    """What each call gives beside a worker of *door*, and how often that one was woken."""
    woken: list[None] = []

    async def both() -> list[Said]:
        async with Porter(door, wake=lambda: woken.append(None)):
            return [await asyncio.to_thread(call) for call in calls]

    return asyncio.run(both()), len(woken)


def asking(door: Door, run: str = "r1", *, config: str = HERE, spec: str = "SPEC.md") -> Callable[[], bool]:
    """What `run` does first."""
    return lambda: bell.ask(door.settings.home, question(door, run, config=config, spec=spec)).done


def question(door: Door, run: str = "r1", *, config: str = HERE, spec: str = "SPEC.md") -> dict[str, Any]:
    """What `run` asks."""
    top = door.settings.home.parent
    return bell.question(
        door.settings,
        run,
        spec=str(top / spec),
        project=str(top / "repo"),
        inputs=[],
        base="",
        named=True,
        by="Ada",
        home=str(top),
        config=config,
    )


def test_a_worker_takes_a_run_in_once_however_often_it_is_asked(door: Door) -> None:
    asker = Door(replace(door.settings, budget_turns=7))
    heard, woken = met(door, asking(asker), asking(asker))

    assert (heard, woken) == ([True, True], 2)
    (run,) = door.runs.list()
    assignment = read(door.blobs.get(run.assignment))
    assert (run.id, run.state, assignment.by, assignment.model) == ("r1", "queued", "Ada", door.settings.model)
    assert assignment.budget.turns == 7, "the asker's settings count, not the worker's"


@pytest.mark.parametrize(
    "ask",
    [
        lambda door: asking(door, config="/elsewhere/settings.yaml"),
        lambda door: asking(door, spec="missing.md"),
        lambda door: asking(Door(replace(door.settings, model="nobody:m"))),
        lambda door: asking(Door(replace(door.settings, store="sqlite:////elsewhere"))),
    ],
)
def test_what_a_worker_cannot_or_may_not_take_in_is_left_to_who_asks(
    door: Door, ask: Callable[[Door], Callable[[], bool]]
) -> None:
    assert met(door, ask(door)) == ([False], 0)
    assert door.runs.list() == []


def test_a_ring_wakes_a_worker_and_a_home_without_one_hears_nothing(door: Door) -> None:
    home = door.settings.home

    assert met(door, lambda: bell.ring(home).done, lambda: not bell.unheard(home)) == ([True, True], 1)
    assert not bell.ring(home).done
    assert bell.unheard(home)
    assert not asking(door)()
    assert not list(home.glob("*worker.sock*"))


def test_another_program_and_nonsense_get_no_run_and_end_nothing(door: Door) -> None:
    def say(body: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as line, suppress(ConnectionError):
            line.connect(str(bell.place(door.settings.home)))
            line.sendall(body + b"\n")
            line.settimeout(30)
            return line.makefile("rb").readline().strip()
        return b""

    older = json.dumps({"code": "0.0.1 /elsewhere", "run": "r1"}).encode()
    known = json.dumps({"code": bell.CODE, "run": "r1", "settings": "?"}).encode()
    bodies = (older, known, b"[]", b"\xff", b"[" * 30_000, b"x" * (bell.LONGEST + 9))
    heard, woken = met(door, *(lambda body=body: say(body) for body in bodies), lambda: say(older))  # type: ignore[misc]

    assert not any(json.loads(said)[0] for said in heard if said)
    assert heard[-1], "it still answers"
    assert woken == 0
    assert door.runs.list() == []


def test_only_who_owns_the_home_reaches_the_worker_and_the_newest_is_reached(door: Door) -> None:
    async def two() -> tuple[int, bool, bool]:
        async with Porter(door, wake=lambda: None):
            async with Porter(door, wake=lambda: None):
                mode = bell.place(door.settings.home).stat().st_mode & 0o777
                heard = await asyncio.to_thread(bell.ring, door.settings.home)
            return mode, heard.done, (await asyncio.to_thread(bell.ring, door.settings.home)).done

    assert asyncio.run(two()) == (0o600, True, False)


def test_where_no_socket_can_be_made_a_worker_works_without(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()

    assert met(Door(Settings(home=deep)), lambda: bell.ring(deep).done) == ([False], 0)


@pytest.mark.parametrize("sent", [None, b"", b"nonsense\n"])
def test_a_worker_whose_starter_asks_nothing_goes_without_a_trace(mill: Mill, sent: bytes | None) -> None:
    used(mill)
    before = {path.name for path in mill.home.iterdir()}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(sent or b"")
        ours.shutdown(socket.SHUT_WR)
        done = subprocess.run(
            [*mill.command(), "worker", "--on-word"],
            env=mill.variables(),
            stdin=subprocess.DEVNULL if sent is None else theirs,
            capture_output=True,
            timeout=whole.PATIENCE,
            check=False,
        )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert {path.name for path in mill.home.iterdir()} == before


def test_what_is_refused_while_no_worker_is_alive_leaves_none(mill: Mill) -> None:
    repo = used(mill)
    before = {path.name for path in mill.home.iterdir()}
    (mill.folder / "vague.md").write_text("# Make it better\n\nFix everything.\n", encoding="utf-8")
    done = mill.run("run", mill.folder / "vague.md", "--model", whole.MODELS["anthropic"], at=repo)

    assert (done.returncode, "Refused: Make it better" in done.stderr) == (2, True)
    assert {path.name for path in mill.home.iterdir()} == before
    with mill.door() as door:
        assert (door.runs.list(), door.alive()) == ([], False)


def test_a_run_without_a_worker_is_taken_in_once_by_the_one_that_is_started_for_it(mill: Mill) -> None:
    repo = used(mill)
    (mill.folder / "SPEC.md").write_text(whole.SPEC.format(title=""), encoding="utf-8")
    words = ("run", mill.folder / "SPEC.md", "--model", whole.MODELS["anthropic"], "--base-url", "http://127.0.0.1:9")
    done = mill.run(*words, "--detach", at=repo)

    with mill.door() as door:
        whole.wait_for("a worker", door.alive)
        try:
            again = mill.run(*words, "--detach", at=repo)
            (worker,) = Workers(door.database).alive(stale_seconds=STALE)
            assert {run.id for run in door.runs.list() if not run.parent} == {done.stdout.strip(), again.stdout.strip()}
            assert all(run.worker in {"", worker.id} for run in door.runs.list())
        finally:
            for each in Workers(door.database).alive(stale_seconds=STALE):
                os.kill(each.pid, signal.SIGTERM)
            whole.wait_for("the end of the worker", lambda: not door.alive())
    assert "Traceback" not in (mill.home / "worker.log").read_text()


def test_a_key_that_was_put_right_counts_at_once(mill: Mill, scripted: ScriptedFactory) -> None:
    repo = used(mill)
    (mill.folder / "SPEC.md").write_text(whole.SPEC.format(title=""), encoding="utf-8")
    url = scripted(whole.script(), "--key", "right").url
    words = ("run", mill.folder / "SPEC.md", "--model", whole.MODELS["anthropic"], "--base-url", url)
    away = ("run", mill.folder / "SPEC.md", "--model", whole.MODELS["anthropic"], "--base-url", "http://127.0.0.1:9")
    mill = mill.given(NIGHTMILL_RETRIES="0")
    parked = mill.given(ANTHROPIC_API_KEY="wrong").run(*away, "--detach", at=repo).stdout.strip()
    with mill.door() as door:
        whole.wait_for("a run that waits for its provider", lambda: door.runs.get(parked).state == "parked")
    wrong = mill.given(ANTHROPIC_API_KEY="wrong").run(*words, at=repo)
    right = mill.given(ANTHROPIC_API_KEY="right")

    assert (wrong.returncode, "hint: check ANTHROPIC_API_KEY\n" in wrong.stderr) == (1, True)
    with mill.door() as door:
        assert door.alive()
        try:
            done = right.run(*words, at=repo)
            assert done.returncode == 0, done.stdout
            (first,) = Workers(door.database).alive(stale_seconds=STALE)
            mill.given(ANTHROPIC_API_KEY="").run(*words, "--detach", at=repo)
            (second,) = Workers(door.database).alive(stale_seconds=STALE)
            assert first.id == second.id, "who has no key asks whoever has"
            assert door.runs.get(parked).state in {"queued", "running", "parked"}, (
                "what waited goes on waiting with the next"
            )
        finally:
            for each in Workers(door.database).alive(stale_seconds=STALE):
                os.kill(each.pid, signal.SIGTERM)
            whole.wait_for("the end of the worker", lambda: not door.alive())


def test_who_leaves_is_told_so_and_a_script_does_not_take_it_for_done(mill: Mill) -> None:
    repo = used(mill)
    (mill.folder / "SPEC.md").write_text(whole.SPEC.format(title=""), encoding="utf-8")
    words = (
        "run",
        str(mill.folder / "SPEC.md"),
        "--model",
        whole.MODELS["anthropic"],
        "--base-url",
        "http://127.0.0.1:9",
    )
    watching = subprocess.Popen(
        [*mill.command(), *words],
        cwd=repo,
        env=mill.variables(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout
    first = watching.stdout.readline()
    assert "queued" in first, watching.communicate()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=whole.PATIENCE)

    with mill.door() as door:
        (run,) = door.runs.list()
        assert (watching.returncode, run.over) == (130, False), said
        assert f"{run.id} goes on without this terminal." in said
        mill.run("cancel", run.id)
        for each in Workers(door.database).alive(stale_seconds=STALE):
            os.kill(each.pid, signal.SIGTERM)
        whole.wait_for("the end of the worker", lambda: not door.alive())


def test_a_worker_that_a_person_started_or_that_is_at_work_stays_whatever_key_it_has(door: Door) -> None:
    asked = question(door) | {"keys": {"anthropic": "another"}}
    (answer,), woken = met(door, lambda: bell.ask(door.settings.home, asked))

    assert (answer.done, answer.unlike, woken) == (True, ("ANTHROPIC_API_KEY",), 1), "and who asks is told"


def test_a_kept_key_is_told_apart_and_one_that_cannot_be_opened_here_keeps_nobody_from_asking(
    mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("NIGHTMILL_SECRET_KEY", "ab" * 32)
    without = fingerprints()
    vault().put("ANTHROPIC_API_KEY", "sk-kept-and-secret", at=1.0)

    assert fingerprints().keys() - without.keys() == {"anthropic"}
    assert "sk-kept" not in str(fingerprints())
    monkeypatch.setenv("NIGHTMILL_SECRET_KEY", "cd" * 32)
    assert fingerprints() == {}


def used(mill: Mill) -> Path:
    """A repository that *mill* knows, so that its home has a store."""
    repo = whole.repository(mill.folder / "repo")
    assert mill.run("init", at=repo).returncode == 0
    mill.run("runs")
    return repo


@pytest.mark.parametrize("name", quick.COMMANDS)
def test_what_is_read_without_typer_is_what_typer_reads(name: str) -> None:
    command, params = quick.COMMANDS[name], reference.commands()[f"nightmill {name}"].params
    once = [each for each in params if not getattr(each, "multiple", False)]  # the others are left to Typer
    typed = {option: each.name for each in once for option in each.opts if option.startswith("-")}
    known = {option: parameter for option, (parameter, _) in command.named.items()} | command.switches

    assert {option: at for option, at in typed.items() if at != "help"} == known
    assert [each.name for each in params if each.param_type_name == "argument"] == [at for at, _ in command.places]


@pytest.mark.parametrize(
    "words", ["", "run", "run a b", "run a --model", "run a --nope", "run -h", "run a -dx", "worker x", "worker --until-idle x", "runs"]
)  # fmt: skip
def test_a_line_that_is_not_plain_is_left_to_typer(words: str) -> None:
    assert quick.read(words.split()) is None
