"""Asking a server for a run, and watching it there: what `run` and `task start` do where a server is set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill.cli.desks import at_project, at_server
from nightmill.cli.screen import say
from nightmill.cli.watching import LEFT, as_its_tasks, detached, exit_code, watched
from nightmill.errors import SettingsError
from nightmill.line import submit

if TYPE_CHECKING:
    from nightmill.client import ServerDesk
    from nightmill.kept import Run
    from nightmill.settings import Settings

__all__ = ["Ask", "followed", "run", "take_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked for: the file of a *spec*, in the *project*, as `at_project` finds it; "" is as the server has it."""

    spec: Path
    project: Path
    model: str
    blueprint: str
    base: str


def run(settings: Settings, ask: Ask, *, detach: bool, json: bool) -> int:
    """Ask the server of *settings* for it, in the project that `nightmill.yaml` names; gives the exit status.

    Raises:
        SpecError: If the spec is refused, which is seen here already.
        SettingsError: If the server refuses it.
    """
    if not ask.spec.is_file():
        raise SettingsError(
            f"{str(ask.spec)!r} is no file, and a server takes the text of one", hint="name the spec's file"
        )
    submit.accepted(ask.spec, settings=settings)
    text = ask.spec.read_text(encoding="utf-8")
    with at_project(settings, ask.project) as (desk, project):
        asked = desk.client.start(project, text, model=ask.model, blueprint=ask.blueprint, base=ask.base)
        return followed(desk, asked, detach=detach, json=json)


def take_up(settings: Settings, task: str, *, model: str, blueprint: str, detach: bool, json: bool) -> int:
    """Have a run at the server of *settings* go on with *task*, which a run left there; gives the exit status.

    Raises:
        SettingsError: If the server refuses it.
    """
    with at_server(settings) as desk:
        started = desk.client.take_up(task, model=model, blueprint=blueprint)
        if not started.new:
            say(f"somebody was first: run {started.run.id} goes on with it")
        return followed(desk, started.run, detach=detach, json=json)


def followed(desk: ServerDesk, asked: Run, *, detach: bool, json: bool) -> int:
    """Show *asked* until it ends or a person must act, unless nobody waits for that."""
    if detach:
        detached(asked.id, json=json)
        return 0
    if not watched(desk.entries(asked, wait=True), asked.id, json=json):
        return LEFT
    ended = as_its_tasks(desk.run(asked.id), desk.runs(parent=asked.id))
    if ended.pull_request:
        say(
            f"pull request {ended.pull_request} is open at the server: {desk.client.connection.address}/runs/{ended.id}"
        )
    return exit_code(ended)
