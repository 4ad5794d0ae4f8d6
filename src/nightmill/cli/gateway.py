"""The task gateway at a terminal: what an ask comes to is shown, what is missing asked for, and then it is started."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightmill.cli.screen import print_json, safe, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.cli.door import Door
    from nightmill.client import ServerDesk
    from nightmill.desk.wish import Intake, Near, Proposal, Reply, Wish
    from nightmill.kept import Run

__all__ = ["Manner", "StoreIntake", "go", "plain", "show"]

DONE, REFUSED, PERSON = 0, 2, 3
MOST_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an ask in the project around *root* is taken; *named*: its model was said, and no role's own goes before that."""

    yes: bool
    request: Path | None
    root: Path
    base: str
    detach: bool
    json: bool
    named: bool


def go(wish: Wish, manner: Manner, *, model: str | None, base_url: str | None) -> int:
    """Answer *wish*, and start what it comes to. Gives the exit status: 2 refused, 3 a person has to say more."""
    from nightmill.intake.gateway import readable

    words = readable(sys.stdin.read() if wish.words == "-" else wish.words)
    wish = replace(wish, words=words, model=model or "")
    with ExitStack() as stack:
        intake, follow = stack.enter_context(_intake(manner, model=model, base_url=base_url))
        reply = intake.ask(wish)
        if sys.stdin.isatty() and not manner.json and not manner.yes:
            reply = _talked(intake, wish, reply)
        if reply.proposal is None:
            return _not_run(manner, intake, reply)
        if not manner.json:
            show(reply.proposal)
        run = intake.start(reply, base=manner.base) if _confirmed(manner) else None
        if manner.json:
            print_json({**plain(reply), "run": run.id if run else None})
            return DONE if run else PERSON
        return follow(run) if run else PERSON


@contextmanager
def _intake(manner: Manner, *, model: str | None, base_url: str | None) -> Iterator[tuple[Intake, Any]]:
    """Where one asks, and what shows a run that was started there."""
    from nightmill.cli.desks import at_project
    from nightmill.cli.door import open_door, settings

    found = settings(model=model, base_url=base_url)
    if not found.server or base_url:
        intake = StoreIntake(open_door(model=model, base_url=base_url), manner)
        yield intake, lambda run: _watched(manner, intake.door, run)
        return
    from nightmill.client.intake import IntakeClient

    with at_project(found, manner.root) as (desk, project):
        told = IntakeClient(desk.client, project, model=model or "", say=lambda text: say(text, style="dim"))
        yield told, lambda run: _followed(manner, desk, run)


class StoreIntake:
    """A `desk.asking.Intake` on the store here, for the checkout around a folder."""

    def __init__(self, door: Door, manner: Manner) -> None:
        self.door, self.manner = door, manner

    @property
    def by(self) -> str:
        """Whoever is at this terminal."""
        from nightmill.cli.door import person

        return person()

    def ask(self, wish: Wish) -> Reply:
        """What *wish* comes to."""
        from nightmill.desk.asking import answer
        from nightmill.desk.processes import in_checkout

        here = in_checkout(self.door, self.manner.root, by=self.by, home=Path.home())
        return answer(here, wish, say=lambda text: say(text, style="dim"))

    def start(self, reply: Reply, *, base: str) -> Run:
        """The new run, in the queue of a worker that is alive or is started for it."""
        import time

        from nightmill.cli import asking, beside
        from nightmill.cli.site import worker_of
        from nightmill.desk.wish import errand
        from nightmill.line import submit

        project = self.door.project(self.manner.root)
        door, agent = worker_of(self.door, project.root, asked=self.manner.named)
        asking.check(door)
        asked = submit.Ask(
            spec=errand(reply),
            root=self.manner.root,
            base=base,
            by=self.by,
            home=Path.home(),
            now=time.time,
            agent=agent,
        )
        with beside.attended(door):
            return submit.submit(
                asked, settings=door.settings, database=door.database, blobs=door.blobs, runs=door.runs, project=project
            )


def plain(reply: Reply) -> dict[str, Any]:
    """*reply* as programs read it."""
    from dataclasses import asdict

    if reply.proposal is not None:
        return {"kind": "run", **asdict(reply.proposal)}
    return {
        "kind": reply.kind,
        "title": reply.title,
        "blueprint": reply.blueprint or None,
        "inputs": reply.inputs,
        "missing": [asdict(each) for each in reply.missing],
        "near": [{"name": each.name, "score": each.score, "words": each.words} for each in reply.near],
        "parts": [asdict(each) for each in reply.parts],
        "reason": reply.reason,
        "notes": reply.notes,
        "ways": reply.ways,
        "run": None,
    }


def _talked(intake: Intake, wish: Wish, reply: Reply) -> Reply:
    """*reply* after what a person at the terminal adds to it. No model is asked again."""
    import typer

    wish = replace(wish, think=False)
    for _ in range(MOST_ROUNDS):
        if reply.kind in {"which", "questions"}:
            for note in reply.notes:  # the next answer does not repeat it
                say(f"note: {note}")
        if reply.kind == "which":
            names = [safe(each.name) for each in reply.near]
            picked = typer.prompt(f"Which: {', '.join(names)}?", default=names[0], err=True)
            wish = replace(wish, blueprint=picked)
        elif reply.kind == "questions":
            wanted = reply.missing[0]
            said = typer.prompt(safe(wanted.asks + (f" ({wanted.why})" if wanted.why else "")), err=True)
            if wanted.name:
                wish = replace(wish, blueprint=reply.blueprint, inputs=reply.inputs, sets=(f"{wanted.name}={said}",))
            else:
                wish = replace(wish, words=f"{reply.words}: {said}", blueprint="", inputs={})
        else:
            break
        reply = intake.ask(wish)
    return reply


def _confirmed(manner: Manner) -> bool:
    import typer

    if manner.yes:
        return True
    if manner.json or not sys.stdin.isatty():
        if not manner.json:
            say("nothing was started; start it with --yes")
        return False
    return typer.confirm("Start it?", err=True)


def _watched(manner: Manner, door: Door, run: Run) -> int:
    from nightmill.cli import asking

    if manner.detach:
        return _detached(run)
    status = asking.follow(door, door.runs.get(run.id))
    say(f"what it gave: nightmill show {run.id}")
    return status


def _followed(manner: Manner, desk: ServerDesk, run: Run) -> int:
    from nightmill.cli import afar

    if manner.detach:
        return _detached(run)
    status = afar.followed(desk, run, detach=False, json=False)
    say(f"what it gave: nightmill show {run.id}")
    return status


def _detached(run: Run) -> int:
    sys.stdout.write(f"{run.id}\n")
    sys.stdout.flush()
    say(f"watch it: nightmill log --follow {run.id}   where it is: nightmill show {run.id}")
    return DONE


def show(found: Proposal) -> None:
    """Print it."""
    lines = [
        f"{found.blueprint}: {found.what}",
        f"version {found.version}, {found.approved} · project {found.project} · as {', '.join(found.roles) or 'nobody'}",
        *(
            f"  {name}: {value if isinstance(value, str) else repr(value)}"
            for name, value in found.inputs.items()
            if value is not None and value != ""
        ),
        f"cost: {found.cost.get('said', '')}",
        *(f"a person: {each}" for each in found.people),
        *(f"note: {each}" for each in found.notes),
    ]
    sys.stdout.write("".join(f"{safe(line)}\n" for line in lines))
    sys.stdout.flush()


# What is no run


def _not_run(manner: Manner, intake: Intake, reply: Reply) -> int:
    if manner.request is not None and reply.kind == "refused":
        _write_request(manner.request, reply, by=intake.by)
    if manner.json:
        print_json(plain(reply))
    else:
        sys.stdout.write("".join(f"{safe(line)}\n" for line in _said(reply)))
        sys.stdout.flush()
    return REFUSED if reply.kind == "refused" else PERSON


def _said(reply: Reply) -> list[str]:
    heads = {
        "refused": f"refused: {reply.reason}",
        "several": f"not started: {reply.reason}",
        "which": f"not started: {reply.reason}; say which with --blueprint NAME",
        "questions": f"{reply.blueprint or 'a question'}: {reply.reason}",
    }
    lines = [heads.get(reply.kind, reply.reason)]
    if reply.kind == "refused" and reply.near:
        lines.append("nearest, and why not:")
    if reply.kind in {"refused", "which"}:
        lines += [_near(each) for each in reply.near]
    lines += [f"  {each.blueprint}: nightmill ask {_quoted(each.ask)}" for each in reply.parts]
    for wanted in reply.missing:
        lines.append(f"  {wanted.name or 'what'}: {wanted.asks}" + (f" ({wanted.why})" if wanted.why else ""))
        lines += [f"    one of {', '.join(wanted.choices)}"] if wanted.choices else []
    if reply.missing:
        named = [each.name for each in reply.missing if each.name]
        way = " ".join(f"--set {name}=…" for name in named)
        lines.append(
            f"give it: the same with {way}"
            if named
            else "say it again with that, or have it become a spec: the same with --blueprint spec-from-ask"
        )
    return [*lines, *(f"note: {each}" for each in reply.notes), *(f"what you can do: {each}" for each in reply.ways)]


def _near(match: Near) -> str:
    """A blueprint that came into question: what it is, what of it was heard, and how it is asked for."""
    heard = f"heard {', '.join(repr(word) for word in match.words)}" if match.words else "no word of it was heard"
    cue = f"; it is asked for as in {match.cue!r}" if match.cue else ""
    return f"  {match.name}: {match.title} ({heard}{cue})"


def _write_request(file: Path, reply: Reply, *, by: str) -> None:
    from nightmill.errors import SettingsError
    from nightmill.intake.draft import draft

    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(draft(reply.answer, by=by))
    except OSError as error:
        raise SettingsError(f"{str(file)!r} cannot be written: {error.strerror}", hint="name a new file") from error
    say(f"wrote {file}: complete it, check it, and have it approved")


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
