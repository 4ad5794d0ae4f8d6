"""The task gateway as it is asked at a desk: what an ask comes to, and the run that it becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nightmill.desk.dispatching import asked
from nightmill.desk.processes import Processes
from nightmill.desk.proposal import proposal
from nightmill.desk.wish import Clause, Near, Reply, Wish
from nightmill.errors import SettingsError
from nightmill.intake import Answer, Gateway, Offer, Surroundings
from nightmill.intake.inputs import given
from nightmill.intake.packages import LOCKS, packages
from nightmill.repo.git import HOST, Call
from nightmill.settings import Settings

__all__ = ["answer"]

LARGEST = 16 << 20
"""Bytes of a lock file that is read."""


def answer(here: Processes, wish: Wish, *, say: Callable[[str], None], seconds: float = 60.0) -> Reply:
    """What *wish* comes to in the project that is *here*; a model is given so many *seconds*, and *say* told of it.

    Raises:
        SpecError: If its words are none, or too many.
        SettingsError: If there is no project, or an input does not fit.
    """
    gateway, own = _gateway(here), here.door.settings
    settings = replace(own, model=wish.model or own.model)
    found = gateway.answer(wish.words)
    if wish.blueprint:
        found = gateway.settle(found, wish.blueprint)
    found = _set(gateway, found, wish)
    if wish.think and not wish.blueprint:
        found = asked(here, gateway, found, settings=settings, say=say, seconds=seconds)
        found = _set(gateway, found, wish)
    if found.kind == "refused":
        found = replace(found, notes=(*found.notes, *_unapproved(gateway, here, found)))
    return _reply(here, gateway, found, settings)


def _gateway(here: Processes) -> Gateway:
    if here.project is None:
        raise SettingsError("there is no project here", hint="nightmill init")
    offers = []
    for name in here.catalogue.entries:
        state = here.standing(name)
        if state.may_run:
            closure = here.catalogue.closure(name)
            offers.append(Offer(blueprint=closure.blueprints[0], said=state.said, closure=closure.digest))
    return Gateway(offers, _around(here.project.root, here.home))


def _around(root: Path, home: Path | None) -> Surroundings:
    """The files that git knows in the checkout at *root*, and the packages of its lock files."""
    listed = HOST.run(Call(args=("ls-files", "-z"), folder=root, settings=("core.fsmonitor=false",), home=home))
    paths = frozenset(listed.out.decode("utf-8", "replace").split("\0")) - {""}
    texts = {}
    for name in LOCKS:
        path = root / name
        if name in paths and path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
            texts[name] = path.read_text(encoding="utf-8", errors="replace")
    return Surroundings(paths=paths, packages=packages(texts))


def _set(gateway: Gateway, found: Answer, wish: Wish) -> Answer:
    """*found* with the inputs that are known already, and that the person gave by name."""
    if not wish.sets and not wish.inputs:
        return found
    if not found.blueprint:
        if found.kind == "which":
            return found
        raise SettingsError("--set gives an input to no blueprint: none was found", hint="name one with --blueprint")
    inputs = {**found.inputs, **wish.inputs, **given(gateway.blueprint(found.blueprint), wish.sets)}
    lacking = tuple(each for each in found.missing if each.name not in inputs)
    return replace(found, inputs=inputs, missing=lacking, kind="questions" if lacking else "run")


def _unapproved(gateway: Gateway, here: Processes, found: Answer) -> list[str]:
    """Whether a blueprint would do it that nobody approved of."""
    known = {each.blueprint.name for each in gateway.offers}
    others = [
        Offer(blueprint=entry.blueprint, said="", closure="")
        for entry in here.catalogue.entries.values()
        if entry.blueprint is not None and not entry.faults and entry.name not in known
    ]
    would = Gateway([*gateway.offers, *others], gateway.around).answer(found.words) if others else found
    names = [would.blueprint] if would.blueprint else [each.name for each in would.near if would.kind == "which"]
    return [
        f"{name} may do it, and is not approved: nightmill blueprint show {name}; nightmill blueprint approve {name}"
        for name in names
        if name not in known
    ]


def _reply(here: Processes, gateway: Gateway, found: Answer, settings: Settings) -> Reply:
    titles = {each.blueprint.name: each.blueprint.title for each in gateway.offers}
    near = (
        Near(name=each.name, title=titles.get(each.name, ""), score=each.score, cue=each.cue, words=each.words)
        for each in found.near
    )
    return Reply(
        kind=found.kind,
        words=found.words,
        title=found.title,
        blueprint=found.blueprint,
        inputs=dict(found.inputs),
        missing=found.missing,
        near=tuple(near),
        parts=tuple(Clause(ask=ask, blueprint=name) for ask, name in found.parts),
        reason=found.reason,
        notes=found.notes,
        ways=found.ways,
        proposal=proposal(here, gateway, found, settings=settings) if found.kind == "run" else None,
    )
