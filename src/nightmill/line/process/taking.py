"""Taking over what happened in another run up to the moment that this one goes on from, as a person edited it there.

The checkpoints of the other run are given again, in their order, to the same walk, which so stands where that one stood:
every conversation, verdict and answer of it. Nothing is done or told twice. The sandbox is forked at the last of them.
"""

from __future__ import annotations

import asyncio
import json
import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from nightmill import event
from nightmill.errors import SettingsError, ToolError
from nightmill.estate.environment import parcel
from nightmill.line.origin import carry
from nightmill.line.past import Checkpoint, Past
from nightmill.line.whole import Children
from nightmill.sandbox import Command, Limits
from nightmill.tool.base import ROOT, inside

if TYPE_CHECKING:
    from nightmill.line.assignment import Origin
    from nightmill.line.process.workshop import Workshop
    from nightmill.store.blobs import Blobs

__all__ = ["take_over"]

GO_ON = "go on"
ELSEWHERE = ("queue ", "result of ", "land", "put in")
"""Of steps whose results are somewhere else than in the run: other runs, a pull request."""
LOOK = Limits(seconds=30.0, memory=1 << 30)


class Recorded(Children, Protocol):
    """Steps that can be read again."""

    async def checkpoints(self, run: str) -> Sequence[tuple[str, Any]]:
        """The name and the result of each step of *run* by now, in order."""
        ...


async def take_over(shop: Workshop, past: Past) -> None:
    """Have *past* give what happened before, and the sandbox stand where that ended, with what a person edited there."""
    if (origin := shop.assignment.origin) is None:
        return
    recorded = cast("Recorded", past.steps)
    made = await shop.waiting.attempt(GO_ON, lambda: shop.control.unless_cancelled(_taken(shop, origin, recorded)))
    prepared = made["prepared"]
    shop.tell(
        event.WorkspacePrepared(
            run=shop.run,
            environment=prepared["environment"],
            commit=shop.assignment.base_commit,
            snapshot=made["snapshot"],
            seconds=made["seconds"],
            drift=prepared["drift"],
        )
    )
    past.take(_read(shop.machines.blobs, made["taken"]))


async def _taken(shop: Workshop, origin: Origin, recorded: Recorded) -> dict[str, Any]:
    machines, started = shop.machines, shop.machines.clock()
    shop.tell(event.PhaseStarted(run=shop.run, phase="prepare"))
    taken = _until(origin, await recorded.checkpoints(origin.run), machines.blobs)
    for each in taken:
        if each.name.startswith(ELSEWHERE):
            raise SettingsError(
                f"before that moment {origin.run} did {each.name!r}, which is outside of it and is not done again",
                hint="go on from an earlier turn",
            )
    prepared = next(each.result for each in taken if each.name == "prepare" and "snapshot" in each.result)
    shop.folder.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(carry, origin, runs=shop.folder.parent, to=shop.folder)
    taken, snapshot = await _forked(shop, origin, taken)
    shop.prepared = prepared
    if prepared["bundle"]:
        target, commit = shop.folder / "base.bundle", shop.assignment.begins
        await asyncio.to_thread(parcel, shop.hub, shop.base, commit=commit, target=target)
    last = dict(taken[-1].result)
    if files := origin.files:
        snapshot = last["snapshot"] = await _written(shop, snapshot, files)
    if origin.edited:
        last["record"] = origin.edited
    if origin.answer is not None:
        last["decided"] = {**last["decided"], "answer": origin.answer, "by": shop.assignment.by}
    taken = [*taken[:-1], Checkpoint(taken[-1].name, last)]
    return {
        "taken": machines.blobs.put(json.dumps(taken).encode()),
        "prepared": prepared,
        "snapshot": snapshot,
        "seconds": machines.clock() - started,
    }


def _until(origin: Origin, found: Sequence[tuple[str, Any]], blobs: Blobs) -> list[Checkpoint]:
    """The checkpoints of the other run up to the moment of *origin*, those that it took over itself before its own.

    Raises:
        SettingsError: If they are not there.
    """
    known = [Checkpoint(*each) for each in found]
    begun = 1 + next((at for at, each in enumerate(known) if each.name == "prepare" and "snapshot" in each.result), -1)
    own = next((at for at, each in enumerate(known) if each.name == GO_ON and "taken" in each.result), None)
    if own is not None:
        before = _read(blobs, known[own].result["taken"])
        known, begun = [*before, *known[own + 1 :]], len(before)
    until = begun if origin.start else 1 + next((at for at, each in enumerate(known) if origin.ends(*each)), -1)
    if not until:
        raise SettingsError(f"the checkpoints of {origin.run} are not there any more", hint="start a new run")
    return known[:until]


def _read(blobs: Blobs, kept: str) -> list[Checkpoint]:
    return [Checkpoint(*each) for each in json.loads(blobs.get(kept))]


async def _forked(shop: Workshop, origin: Origin, taken: Sequence[Checkpoint]) -> tuple[list[Checkpoint], str]:
    """*taken* with the snapshots that may be stood at again as they are called here, and the last of them."""
    source, directory = shop.machines.folder(origin.run) / "sandbox", shop.folder / "sandbox"
    ends, latest = dict[str, str](), ""
    for each in taken:
        if each.name != "turn" and latest:
            ends[latest] = ""  # a step that is refused takes the work back to where it began
        latest = each.result.get("snapshot", latest) if isinstance(each.result, dict) else latest
    for snapshot in (*ends, latest):
        ends[snapshot] = await shop.machines.sandboxes.fork(source=source, snapshot=snapshot, directory=directory)
    return [Checkpoint(each.name, _renamed(each.result, ends)) for each in taken], ends[latest]


def _renamed(result: Any, names: dict[str, str]) -> Any:
    if not isinstance(result, dict) or result.get("snapshot") not in names:
        return result
    return {**result, "snapshot": names[result["snapshot"]]}


async def _written(shop: Workshop, snapshot: str, files: Sequence[tuple[str, str]]) -> str:
    """The snapshot with *files*, (path, blob), put into the checkout, or deleted there if there is no blob.

    Raises:
        SettingsError: If one cannot be, or a link leads out of the checkout.
    """
    workplace = shop.place()
    workspace = await workplace.stand_at(snapshot)
    workplace.touched()
    for path, kept in files:
        # A link that is deleted goes itself: what counts is where its folder is.
        looked = inside(path) if kept else posixpath.dirname(inside(path))
        real = await workspace.run(Command(argv=("realpath", "-m", "--", looked), limits=LOOK))
        where = real.text.strip()
        if real.exit or not f"{where}/".startswith(f"{ROOT}/") or f"{where}/".startswith(f"{ROOT}/.git/"):
            raise SettingsError(f"{path!r} leads out of the checkout, to {where!r}", hint="name the file itself")
        if not kept:
            ran = await workspace.run(Command(argv=("rm", "--", inside(path)), limits=LOOK))
            if ran.exit:
                raise SettingsError(f"{path!r} cannot be deleted: {ran.text.strip()}", hint="name a file that is there")
            continue
        try:
            await workspace.write(inside(path), await asyncio.to_thread(shop.machines.blobs.get, kept))
        except ToolError as error:
            raise SettingsError(f"{path!r} cannot be written: {error.message}", hint="name a file") from error
    return await workplace.keep()
