"""A hundred agents at once: all in one worker, each in its sandbox, beside ten processes of each peer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from bench.figures import Figure, spread
from bench.harness.peers import PEERS, Peer, install
from bench.harness.trajectory import SPEC, repository, script
from bench.harness.watch import memory
from bench.stage import Model, Stage, descendants, end_all, until
from nightmill.cli.door import Door
from nightmill.line import submit
from nightmill.settings import load

__all__ = ["figures"]

AGENTS, PROCESSES = 100, 10
LATENCY, WAITED = 45.0, 10.0
"""Seconds of each reply: all are at work while the memory is looked at. And how long all have waited for it by then."""
COMMANDS = ("ls -la", "cat calc.py", "git status --short")


def figures(folder: Path) -> Iterator[Figure]:
    """What an agent costs in memory, and how many times as much one of each peer does."""
    own = _ours(folder / "ours")
    yield Figure(
        name=f"memory of {AGENTS} agents at work in one process, sandboxes included, PSS",
        unit=" MB",
        values=spread([own]),
    )
    for peer in PEERS:
        try:
            each = _theirs(peer, folder) / PROCESSES
        except (OSError, TimeoutError) as error:
            print(f"{peer.name}: not measured: {error}", flush=True)
            continue
        detail = f"{each:.0f} MB each, {PROCESSES} at once, times {AGENTS / PROCESSES:g}"
        name = f"memory of {AGENTS} processes of {peer.name} over that"
        yield Figure(
            name=name, unit=" times", values=spread([each * AGENTS / own]), goal=20.0, floor=True, detail=detail
        )


def _ours(folder: Path) -> float:
    settings = {"ANTHROPIC_API_KEY": "key", "NIGHTMILL_WORKERS": str(AGENTS), "NIGHTMILL_PLAN": "single"}
    stage = Stage(folder, settings=settings)
    repository(stage.repo)
    stage.call("init")
    with ExitStack() as stack:
        model: Model = stack.enter_context(stage.model(script(COMMANDS), "--latency", str(LATENCY)))
        door = Door(load(file={}, environment={"NIGHTMILL_HOME": str(stage.home)}, flags={}))
        stack.callback(door.database.close)
        _ask(door, stage, model)
        others = list(descendants())
        stage.start("worker")
        # Each has run a command, has its sandbox open, and waits for its next reply.
        until(lambda: len(stage.events("turn_finished")) >= AGENTS, seconds=400, what="a turn of each")
        time.sleep(WAITED)
        held = memory(descendants(but=others))
        end_all(but=others)
    return held


def _ask(door: Door, stage: Stage, model: Model) -> None:
    spec, project = stage.folder / "CALC.md", door.project(stage.repo)
    for number in range(AGENTS):
        spec.write_text(SPEC.replace("# Multiplying", f"# Number {number}: multiplying"))
        flags: dict[str, Any] = {
            "model": "anthropic:claude-sonnet-4-5",
            "base_url": model.url,
            "home": stage.home,
            "plan": "single",
        }
        submit.submit(
            submit.Ask(
                spec=spec, root=stage.repo, base="", by="Ada <ada@example.org>", home=stage.folder, now=time.time
            ),
            settings=load(file={}, environment={}, flags=flags),
            database=door.database,
            blobs=door.blobs,
            runs=door.runs,
            project=project,
        )


def _theirs(peer: Peer, folder: Path) -> float:
    """PSS of some processes of *peer* together, while all of them wait for a reply."""
    place = install(peer)
    stage = Stage(folder / peer.name)
    stage.folder.mkdir(parents=True)
    with stage.model(script(COMMANDS), "--latency", str(LATENCY)) as model, (stage.folder / "said").open("wb") as said:
        others, started = list(descendants()), []
        for number in range(PROCESSES):
            home, repo = stage.folder / f"home{number}", repository(stage.folder / f"repo{number}")
            for name, text in peer.files(model.url).items():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).write_text(text)
            home.mkdir(exist_ok=True)
            own = {
                "HOME": str(home),
                "PWD": str(repo),
                "PATH": stage.environment["PATH"],
                "LANG": "C.UTF-8",
                "TERM": "dumb",
            }
            environment = {**own, "XDG_CONFIG_HOME": str(home / ".config"), **peer.environment(home, model.url)}
            command = peer.command(place, model.url)
            started.append(
                subprocess.Popen(
                    command,
                    cwd=repo,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
            )
        try:
            until(
                lambda: sum(each.get("n_tools", 0) > 0 for each in model.requests()) >= PROCESSES,
                seconds=240,
                what=f"a turn of each {peer.name}",
            )
            time.sleep(WAITED)
            return memory(descendants(but=others))
        finally:
            end_all(but=others)
            for each in started:
                with suppress(ChildProcessError):
                    each.wait(10)


def _turns(model: Model) -> int:
    return sum(each.get("n_tools", 0) > 0 for each in model.requests())
