"""The task gateway at a terminal: what an ask comes to is shown, what is missing asked for, and then it is started."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightmill.cli.screen import print_json, safe, say

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.desk.processes import Processes
    from nightmill.intake import Answer, Gateway, Surroundings
    from nightmill.intake.nouns import Match

__all__ = ["Wish", "go", "planned"]

DONE, REFUSED, PERSON = 0, 2, 3
LARGEST = 16 << 20
"""Bytes of a lock file that is read."""
MOST_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was typed: the *words*, and how they are to be taken."""

    words: str
    sets: tuple[str, ...]
    blueprint: str
    yes: bool
    model: bool
    request: Path | None
    root: Path
    base: str
    detach: bool
    json: bool
    named: bool


def go(wish: Wish, *, model: str | None, base_url: str | None) -> int:
    """Answer *wish*, and start what it comes to. Gives the exit status: 2 refused, 3 a person has to say more."""
    from nightmill.cli.door import open_door

    door = open_door(model=model, base_url=base_url)
    here, gateway = _gateway(door, wish.root)
    said = sys.stdin.read() if wish.words == "-" else wish.words
    answer = gateway.answer(said)
    if wish.blueprint:
        answer = gateway.settle(answer, wish.blueprint)
    answer = _set(gateway, answer, wish.sets)
    if wish.model and not wish.blueprint:
        from nightmill.cli import dispatcher

        answer = dispatcher.asked(door, gateway, answer, roles=here.catalogue.roles, project=here.project)
        answer = _set(gateway, answer, wish.sets)
    if sys.stdin.isatty() and not wish.json and not wish.yes:
        answer = _talked(gateway, answer)
    if answer.kind != "run":
        return _not_run(wish, gateway, here, answer)
    from nightmill.cli import proposal

    proposed = proposal.proposal(here, gateway, answer)
    if not wish.json:
        proposal.show(proposed)
    run = _started(wish, door, gateway, answer) if _confirmed(wish) else ""
    if wish.json:
        print_json({**proposed, "run": run or None})
        return DONE if run else PERSON
    return _watched(wish, door, run) if run else PERSON


def planned(door: Door, words: str, *, root: Path, blueprint: str, sets: tuple[str, ...]) -> dict[str, Any]:
    """What *words* would come to in the project at *root*, as plain data: nothing is started, and no model asked.

    Raises:
        NightmillError: If they cannot be read, or the project cannot, or an input does not fit.
    """
    from nightmill.cli import proposal

    here, gateway = _gateway(door, root)
    answer = gateway.answer(words)
    if blueprint:
        answer = gateway.settle(answer, blueprint)
    answer = _set(gateway, answer, sets)
    return _plain(answer) if answer.kind != "run" else proposal.proposal(here, gateway, answer)


def _gateway(door: Door, root: Path) -> tuple[Processes, Gateway]:
    from nightmill.cli.door import person
    from nightmill.desk.processes import in_checkout
    from nightmill.errors import SettingsError
    from nightmill.intake import Gateway, Offer

    here = in_checkout(door, root, by=person(), home=Path.home())
    if here.project is None:
        raise SettingsError(f"there is no project in {str(root)!r}", hint="nightmill init")
    offers = []
    for name in here.catalogue.entries:
        state = here.standing(name)
        if state.may_run:
            closure = here.catalogue.closure(name)
            offers.append(Offer(blueprint=closure.blueprints[0], said=state.said, closure=closure.digest))
    return here, Gateway(offers, _around(here.project.root))


def _around(root: Path) -> Surroundings:
    """The files that git knows in the checkout at *root*, and the packages of its lock files."""
    from nightmill.intake import Surroundings
    from nightmill.intake.packages import LOCKS, packages

    listed = subprocess.run(
        ["git", "-c", "core.fsmonitor=false", "-C", str(root), "ls-files", "-z"], capture_output=True, check=False
    )
    paths = frozenset(listed.stdout.decode("utf-8", "replace").split("\0")) - {""}
    texts = {}
    for name in LOCKS:
        path = root / name
        if name in paths and path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
            texts[name] = path.read_text(encoding="utf-8", errors="replace")
    return Surroundings(paths=paths, packages=packages(texts))


def _set(gateway: Gateway, answer: Answer, sets: tuple[str, ...]) -> Answer:
    """*answer* with the inputs that the person gave by name."""
    from nightmill.errors import SettingsError
    from nightmill.intake.inputs import given

    if not sets:
        return answer
    if not answer.blueprint:
        if answer.kind == "which":
            return answer
        raise SettingsError("--set gives an input to no blueprint: none was found", hint="name one with --blueprint")
    inputs = {**answer.inputs, **given(gateway.blueprint(answer.blueprint), sets)}
    lacking = tuple(each for each in answer.missing if each.name not in inputs)
    return replace(answer, inputs=inputs, missing=lacking, kind="questions" if lacking else "run")


def _talked(gateway: Gateway, answer: Answer) -> Answer:
    """*answer* after what a person at the terminal adds to it."""
    import typer

    for _ in range(MOST_ROUNDS):
        if answer.kind == "which":
            names = [each.name for each in answer.near]
            picked = typer.prompt(f"Which: {', '.join(names)}?", default=names[0], err=True)
            answer = gateway.settle(answer, picked)
        elif answer.kind == "questions":
            wanted = answer.missing[0]
            reply = typer.prompt(safe(wanted.asks + (f" ({wanted.why})" if wanted.why else "")), err=True)
            named = (f"{wanted.name}={reply}",)
            answer = _set(gateway, answer, named) if wanted.name else gateway.answer(f"{answer.words}: {reply}")
        else:
            break
    return answer


def _confirmed(wish: Wish) -> bool:
    import typer

    if wish.yes:
        return True
    if wish.json or not sys.stdin.isatty():
        if not wish.json:
            say("nothing was started; start it with --yes")
        return False
    return typer.confirm("Start it?", err=True)


def _started(wish: Wish, door: Door, gateway: Gateway, answer: Answer) -> str:
    """The id of the new run, in the queue of a worker that is alive or is started for it."""
    from nightmill.cli import asking, bell, beside
    from nightmill.cli.door import person
    from nightmill.cli.site import worker_of
    from nightmill.line import submit

    project = door.project(wish.root)
    door, agent = worker_of(door, project.root, asked=wish.named)
    asking.check(door)
    errand = submit.Errand(
        title=answer.title,
        words=answer.words,
        blueprint=answer.blueprint,
        closure=gateway.offer(answer.blueprint).closure,
        inputs=answer.inputs,
    )
    asked = submit.Ask(
        spec=errand, root=wish.root, base=wish.base, by=person(), home=Path.home(), now=time.time, agent=agent
    )
    run = submit.submit(
        asked, settings=door.settings, database=door.database, blobs=door.blobs, runs=door.runs, project=project
    )
    beside.ensure(door)
    bell.ring(door.settings.home)
    return run.id


def _watched(wish: Wish, door: Door, run: str) -> int:
    from nightmill.cli import asking

    if wish.detach:
        sys.stdout.write(f"{run}\n")
        sys.stdout.flush()
        say(f"watch it: nightmill log --follow {run}   where it is: nightmill show {run}")
        return DONE
    status = asking.follow(door, door.runs.get(run))
    say(f"what it gave: nightmill show {run}")
    return status


# What is no run


def _not_run(wish: Wish, gateway: Gateway, here: Processes, answer: Answer) -> int:
    if answer.kind == "refused":
        answer = replace(answer, notes=(*answer.notes, *_unapproved(gateway, here, answer)))
    if wish.request is not None and answer.kind == "refused":
        _write_request(wish.request, answer)
    if wish.json:
        print_json(_plain(answer))
    else:
        sys.stdout.write("".join(f"{safe(line)}\n" for line in _said(gateway, answer)))
        sys.stdout.flush()
    return REFUSED if answer.kind == "refused" else PERSON


def _said(gateway: Gateway, answer: Answer) -> list[str]:
    heads = {
        "refused": f"refused: {answer.reason}",
        "several": f"not started: {answer.reason}",
        "which": f"not started: {answer.reason}; say which with --blueprint NAME",
        "questions": f"{answer.blueprint or 'a question'}: {answer.reason}",
    }
    lines = [heads[answer.kind]]
    if answer.kind == "refused" and answer.near:
        lines.append("nearest, and why not:")
    if answer.kind in {"refused", "which"}:
        lines += [_near(gateway, each) for each in answer.near]
    lines += [f"  {name}: nightmill ask {_quoted(part)}" for part, name in answer.parts]
    for wanted in answer.missing:
        lines.append(f"  {wanted.name or 'what'}: {wanted.asks}" + (f" ({wanted.why})" if wanted.why else ""))
        lines += [f"    one of {', '.join(wanted.choices)}"] if wanted.choices else []
    if answer.missing:
        named = [each.name for each in answer.missing if each.name]
        way = " ".join(f"--set {name}=…" for name in named)
        lines.append(
            f"give it: the same with {way}"
            if named
            else "say it again with that, or have it become a spec: the same with --blueprint spec-from-ask"
        )
    return [*lines, *(f"note: {each}" for each in answer.notes), *(f"what you can do: {each}" for each in answer.ways)]


def _near(gateway: Gateway, match: Match) -> str:
    """A blueprint that came into question: what it is, what of it was heard, and how it is asked for."""
    heard = f"heard {', '.join(repr(word) for word in match.words)}" if match.words else "no word of it was heard"
    cue = f"; it is asked for as in {match.cue!r}" if match.cue else ""
    return f"  {match.name}: {gateway.blueprint(match.name).title} ({heard}{cue})"


def _unapproved(gateway: Gateway, here: Processes, answer: Answer) -> list[str]:
    """Whether a blueprint would do it that nobody approved of."""
    from nightmill.intake import Gateway, Offer

    known = {each.blueprint.name for each in gateway.offers}
    others = [
        Offer(blueprint=entry.blueprint, said="", closure="")
        for entry in here.catalogue.entries.values()
        if entry.blueprint is not None and not entry.faults and entry.name not in known
    ]
    found = Gateway([*gateway.offers, *others], gateway.around).answer(answer.words) if others else answer
    names = [found.blueprint] if found.blueprint else [each.name for each in found.near if found.kind == "which"]
    return [
        f"{name} may do it, and is not approved: nightmill blueprint show {name}; nightmill blueprint approve {name}"
        for name in names
        if name not in known
    ]


def _write_request(file: Path, answer: Answer) -> None:
    from nightmill.cli.door import person
    from nightmill.errors import SettingsError
    from nightmill.intake.draft import draft

    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(draft(answer, by=person()))
    except OSError as error:
        raise SettingsError(f"{str(file)!r} cannot be written: {error.strerror}", hint="name a new file") from error
    say(f"wrote {file}: complete it, check it, and have it approved")


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _plain(answer: Answer) -> dict[str, Any]:
    return {
        "kind": answer.kind,
        "title": answer.title,
        "blueprint": answer.blueprint or None,
        "inputs": dict(answer.inputs),
        "missing": [
            {"name": each.name, "asks": each.asks, "why": each.why, "choices": each.choices} for each in answer.missing
        ],
        "near": [{"name": each.name, "score": each.score, "words": each.words} for each in answer.near],
        "parts": [{"ask": part, "blueprint": name} for part, name in answer.parts],
        "reason": answer.reason,
        "notes": answer.notes,
        "ways": answer.ways,
        "run": None,
    }
