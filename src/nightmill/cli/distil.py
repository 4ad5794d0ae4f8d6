"""From a finished run to its blueprint with a script in place of what its agent did: distil."""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightmill.cli.completed import run_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightmill.cli.distilling import Choice, Past, Source
    from nightmill.cli.door import Door
    from nightmill.cli.tried import Went
    from nightmill.improve import Distilled, Proposal

__all__ = ["register"]

LONGEST_NAME = 40


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(distil)


def distil(
    run: Annotated[
        str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Id of a run that is done, or its beginning.")
    ],
    step: Annotated[
        str, typer.Option(help="The agent's step, by its id or the way to it; a round of a loop as `work.2/implement`.")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Try each step that can be, and propose what is shown.")] = False,
    name: Annotated[str, typer.Option(help="What the blueprint is to be called; with --all, its beginning.")] = "",
    output: Annotated[
        Path | None, typer.Option(help="The new folder to write to; else `proposals/NAME` in nightmill's home.")
    ] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Copy the blueprint to the operator's; it still has to be approved.")
    ] = False,
    tries: Annotated[int, typer.Option(min=1, max=1000, help="How often leaving something out may be tried.")] = 60,
) -> None:
    """Make a script of what an agent did in a run, try it on the run's own inputs, and propose its blueprint with it."""
    from nightmill.cli.distilling import chosen, past
    from nightmill.cli.door import open_door
    from nightmill.errors import SettingsError

    door = open_door()
    try:
        found = past(door, run)
        choices = chosen(found, step)
        to = To(name or f"distilled-{found.row.id}", output, install=install, tries=tries)
        if every:
            _all(door, found, choices, to)
        else:
            _propose(door, found, _one(found, choices, step), to)
    except SettingsError as error:
        raise SettingsError(f"nothing is proposed: {error.message}", hint=error.hint) from error


@dataclass(frozen=True)
class To:
    """What a proposal is called and where it goes, and how often leaving something out may be tried."""

    name: str
    output: Path | None
    install: bool
    tries: int

    def of(self, choice: Choice) -> To:
        """The same for one of several."""
        step = choice.visits[0].path.rpartition("/")[2].replace("_", "-")
        name = f"{self.name[: LONGEST_NAME - len(step) - 1]}-{step}"[:LONGEST_NAME]
        return replace(self, name=name, output=self.output / name if self.output else None)


def _one(found: Past, choices: Sequence[Choice], step: str) -> Choice:
    """The only one of *choices* that can be distilled, or that there is.

    Raises:
        SettingsError: If there are several, or none; the message has each with what speaks against it.
    """
    from nightmill.errors import SettingsError

    can = [each for each in choices if not each.why]
    if len(choices) == 1 or len(can) == 1:
        return (can or choices)[0]
    items = f"items of its maps are runs of their own: {', '.join(found.items)}" if found.items else ""
    if not choices:
        which = f" {step!r}" if step else ""
        raise SettingsError(
            f"no agent was at work in a step{which} of {found.row.id}", hint=items or "see nightmill log"
        )
    wide = max(len(each.step) for each in choices)
    lines = [f"  {each.step:{wide}}  {each.why or 'can be tried'}" for each in choices]
    said = f"several steps of {found.row.id} are an agent's" if can else f"no step of {found.row.id} can be a script"
    hints = ("choose with --step, or try each with --all" if can else "", items)
    raise SettingsError("\n".join((f"{said}:", *lines)), hint="; ".join(filter(None, hints)))


def _all(door: Door, found: Past, choices: Sequence[Choice], to: To) -> None:
    """Propose each of *choices* that is shown to do, and say of the others why not."""
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError

    made = 0
    for choice in choices:
        try:
            _propose(door, found, choice, to.of(choice))
            made += 1
        except SettingsError as error:
            say(f"{choice.step}: nothing is proposed: {error.message}")
    if not made:
        raise SettingsError(f"none of the {len(choices)} steps of {found.row.id} that were an agent's")


def _propose(door: Door, found: Past, choice: Choice, to: To) -> None:
    """Distil *choice*, try it, and write down what came of it.

    Raises:
        SettingsError: If it cannot be, or is not shown to do; then there is no file.
    """
    from nightmill.cli.distilling import proving, source
    from nightmill.cli.others import others
    from nightmill.cli.screen import say
    from nightmill.cli.tried import tried
    from nightmill.errors import SettingsError
    from nightmill.improve import Proposal, Swap

    folder = to.output or door.settings.home / "proposals" / to.name
    place = door.settings.home / "blueprints" / f"{to.name}.yaml"
    for there in (folder, *([place] if to.install else [])):
        if there.exists():
            raise SettingsError(f"{str(there)!r} is there already", hint="choose another with --name or --output")
    origin = source(door, found, choice)
    say(f"distilling the step {choice.step} of {found.row.id}: {len(origin.acts)} commands and edits are tried again")
    made, left, went = asyncio.run(_made(door, origin, most=to.tries))
    check = proving(door, origin, left)
    number = choice.visits[0].round
    swap = Swap(name=to.name, place=origin.place, made=made, round=number, check=check)
    proposal = Proposal(run=found.row.id, step=choice.step, swap=swap)
    proposal = tried(door, origin, proposal, went, made=left)
    proposal = replace(proposal, evidence={**proposal.evidence, "others": others(door, origin, proposal)})
    proposal.write(folder)
    if to.install:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(proposal.body)
    _tell(origin, proposal, folder, place, installed=to.install)


async def _made(door: Door, found: Source, *, most: int) -> tuple[Distilled, str, Went]:
    """The script, worked out in a fork of the run's sandbox, the tree that it is to make, and how the other steps went."""
    from nightmill.cli.distilling import values_of
    from nightmill.cli.door import credentials, keys
    from nightmill.cli.forked import forked
    from nightmill.cli.recorded import recorded
    from nightmill.cli.site import make_site
    from nightmill.errors import SettingsError
    from nightmill.improve import Bench, distil, tree_of
    from nightmill.tool import crewed

    past = found.past
    sandboxes = make_site(door).sandboxes
    tools = crewed(past.assignment.model, only=None)
    kept = (*keys().values(), *(each.secret for each in credentials()))
    limits = past.assignment.project.limits
    async with forked(door, sandboxes, past.row, found.end) as (workspace, _):
        left = await tree_of(workspace)
    async with forked(door, sandboxes, past.row, found.start) as (workspace, start):
        bench = Bench(workspace=workspace, start=start, limits=limits, tools=tools)
        made = await distil(
            found.acts, bench=bench, tree=left, given=values_of(past, found.place), secrets=kept, most=most
        )
    if found.place.item and found.place.item not in {each.name for each in made.values}:
        raise SettingsError(
            f"the script reads nothing of {found.place.item!r}, and would do for each item of the map what was done for one",
            hint="an item has to stand in what the agent ran, as a plain word: this step stays an agent's",
        )
    return made, left, await recorded(door, sandboxes, found)


def _tell(found: Source, proposal: Proposal, folder: Path, place: Path, *, installed: bool) -> None:
    from nightmill.cli.screen import safe
    from nightmill.report.words import count, money, tokens

    made, evidence = proposal.made, proposal.evidence
    cost, trial = evidence["cost"], evidence["trial"]
    file = folder / f"{proposal.name}.yaml"
    left = "; each that is left is needed" if made.minimal else "; the tries ended before each was shown to be needed"
    approve = ["nightmill", "blueprint", "approve", proposal.name, "--digest", proposal.blueprint.digest[:12]]
    used = f"{tokens(cost['tokens'])} tokens, {money(cost['money'])}"
    lines = [
        f"{proposal.name}: a script in place of the step {found.choice.step} of run {found.past.row.id}",
        f"  kept      {len(made.kept)} of {count(len(found.acts), 'command or edit', 'commands and edits')}{left}",
        *(f"            {each.label}" for each in made.kept),
        f"  traps     {len(made.traps)}, in TRAPS.md",
        f"  inputs    {', '.join(f'{each.name} (was {each.text})' for each in made.values) or 'none'}",
        f"  shown     run {trial['run']}: {trial['said']}",
        f"  varied    {evidence['varied']['said']}",
        *(f"  others    {each['said']}" for each in evidence["others"]),
        f"  cost      the agent: {used}, {cost['seconds']:.1f} s; the script: 0 tokens, {trial['seconds']:.1f} s",
        *(f"  look at   {each}" for each in (*made.flags, *proposal.notes)),
        "",
        f"It is in {folder}. Look at it, then approve of it in the project:",
        *([] if installed else [f"  cp {shlex.quote(str(file))} {shlex.quote(str(place))}"]),
        f"  {shlex.join(approve)}",
    ]
    sys.stdout.write("".join(f"{safe(line)}\n" for line in lines))
    sys.stdout.flush()
