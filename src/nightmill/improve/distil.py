"""From what an agent did to a script that does it again: what failed is left out, then whatever is not needed.

No model is asked. What decides is always the same question: is the tree that comes out the one that the run proved?
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from nightmill.errors import SettingsError, ToolError
from nightmill.improve import values as constants
from nightmill.improve.acts import Act, Trap, traps
from nightmill.improve.fewest import fewest
from nightmill.improve.values import Value

if TYPE_CHECKING:
    from nightmill.improve.bench import Bench

__all__ = ["Distilled", "distil"]

LONGEST = 19_000
"""Characters of the script: a command of a blueprint holds 20,000."""
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bAKIA[0-9A-Z]{16}\b|\bsk-[\w-]{20,}"
    r"|\bxox[abprs]-[\w-]{10,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.|\bglpat-[\w-]{20,}"
)
HEAD = """\
set -euo pipefail
git add --all
before=$(git write-tree)
git reset -q
undo() { git add --all; git read-tree -u --reset "$before"; git clean -fdq; git reset -q; }
trap undo ERR
"""
MARK = "NIGHTMILL_PATCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """A script that gave *tree* in a fork of the run's sandbox.

    Attributes:
        seconds: That it may take.
        dropped: Acts that are not in it, each with the reason.
        notes: What a person should know of it: values that were left as they are, and why.
        flags: What in it is perhaps true of one day, machine or run only.
        minimal: Whether each act of it was shown to be needed.
    """

    script: str
    seconds: float
    tree: str
    values: tuple[Value, ...]
    kept: tuple[Act, ...]
    dropped: tuple[tuple[Act, str], ...]
    traps: tuple[Trap, ...]
    notes: tuple[str, ...]
    flags: tuple[str, ...]
    tries: int
    minimal: bool


class Piece(NamedTuple):
    """A part of the script: what bash runs, or a patch."""

    text: str
    patch: bool = False
    may_fail: bool = False


async def distil(
    done: Sequence[Act],
    *,
    bench: Bench,
    tree: str,
    given: Sequence[Value] = (),
    secrets: Sequence[str] = (),
    most: int = 60,
) -> Distilled:
    """The script that makes *tree* as the acts *done* did, tried *most* times at the most.

    Raises:
        SettingsError: If there is none: the message says why.
        SandboxError: If the sandbox fails.
    """
    chosen = await _again(done, bench, tree)

    async def good(some: tuple[Act, ...]) -> bool:
        return await bench.tree(some) == tree

    few = await fewest(chosen, good, most=most)
    if not few.kept:
        raise SettingsError("the agent changed nothing, so there is nothing to distil")
    pieces = await _pieces(few.kept, bench)
    seconds = min(7200.0, 60.0 + bench.limits.seconds * len(few.kept))
    script, values, notes = await _written(pieces, given, bench, tree, seconds)
    found = traps(done, few.kept)
    _harmless((script, *(act.command or act.label for act in done)), found, secrets)
    return Distilled(
        script=script,
        seconds=seconds,
        tree=tree,
        values=values,
        kept=few.kept,
        dropped=tuple((act, _why(act, chosen)) for act in done if act not in few.kept),
        traps=found,
        notes=notes,
        flags=constants.flags(re.sub(r"(?m)^index .*$", "", script)),
        tries=few.tries,
        minimal=few.minimal,
    )


async def _again(done: Sequence[Act], bench: Bench, tree: str) -> tuple[Act, ...]:
    """Those of *done* from which to begin: what ended well, or all where a failure left something that counts."""
    worked = tuple(act for act in done if act.ok)
    for some in (worked, tuple(done)):
        if await bench.tree(some) == tree:
            return some
    raise SettingsError(
        "what the agent did gives another tree when it is done again from the same beginning",
        hint="it depends on time, chance or the network, or other steps changed the tree too: this step stays an agent's",
    )


async def _pieces(kept: Sequence[Act], bench: Bench) -> tuple[Piece, ...]:
    """*kept* as parts of a script: commands as they were, edits that follow each other as one patch."""
    found: list[Piece] = []
    await bench.back()
    for edits, group in groupby(kept, key=lambda act: not act.command):
        acts = list(group)
        before = await bench.now()
        for act in acts:
            await bench.again(act)
        if not edits:
            found += [Piece(act.command, may_fail=not act.ok) for act in acts]
        elif (after := await bench.now()) == before:
            raise SettingsError(
                f"an edit that is needed is of a file that git ignores: {acts[0].label}",
                hint="a patch cannot hold it: this step stays an agent's",
            )
        else:
            found.append(Piece(await bench.patch(before, after), patch=True))
    return tuple(found)


async def _written(
    pieces: tuple[Piece, ...], given: Sequence[Value], bench: Bench, tree: str, seconds: float
) -> tuple[str, tuple[Value, ...], tuple[str, ...]]:
    """The script with as many of the *given* values as it works with, those, and what is to be said of the others."""
    values, notes = _fitting(pieces, given)
    ways = [values, ()] if values else [()]
    said = ""
    for some in ways:
        script = _script(pieces, some)
        outcome, made = await bench.script(script, {each.variable: each.text for each in some}, seconds=seconds)
        if made == tree and not outcome.exit and not outcome.stopped:
            return script, tuple(some), tuple(notes)
        said = outcome.text.strip()[-400:] or f"exit status {outcome.exit}, another tree"
        notes += [f"{each.text} stays a constant: with a variable in its place the script fails" for each in some]
    raise SettingsError(
        f"the acts give the tree one by one, but not as one script: {said}",
        hint="a command that does not stand by itself (an open quote or here-document): this step stays an agent's",
    )


def _fitting(pieces: tuple[Piece, ...], given: Sequence[Value]) -> tuple[list[Value], list[str]]:
    """The *given* values that can be read from the environment wherever *pieces* have them, and why others cannot."""
    values: list[Value] = []
    notes: list[str] = []
    for value in given:
        changed = [_read(piece, (value,)) for piece in pieces if piece.patch]
        try:
            changed += [_read(piece, (value,)) for piece in pieces if not piece.patch]
        except ToolError as error:
            notes.append(f"{value.text} ({value.whence}) stays a constant: {error.message}")
            continue
        if any(text != piece.text for text, piece in zip(changed, _ordered(pieces), strict=True)):
            values.append(value)
    return values, notes


def _ordered(pieces: tuple[Piece, ...]) -> list[Piece]:
    return [piece for piece in pieces if piece.patch] + [piece for piece in pieces if not piece.patch]


def _read(piece: Piece, values: Sequence[Value]) -> str:
    text = piece.text
    for value in values:
        text = constants.in_patch(text, value) if piece.patch else constants.in_shell(text, value)
    return text


def _script(pieces: tuple[Piece, ...], values: Sequence[Value]) -> str:
    """*pieces* as one script, which leaves the checkout as it was where one of them fails."""
    parts = [HEAD, *(f"{constants.guard(value)}\n" for value in values)]
    for piece in pieces:
        text = _read(piece, values)
        if piece.patch:
            marks = [f"s|{constants.mark(each)}|${{{each.variable}}}|g" for each in values]
            put_in = " ".join(f'-e "{each}"' for each in marks) or "-e ''"
            parts.append(
                f"git add --all\nsed {put_in} <<'{MARK}' | git apply --3way --whitespace=nowarn -\n{text}{MARK}\n"
            )
        else:  # each was a shell of its own
            parts.append(f"(\nset +euo pipefail\n{text}\n){' || true' if piece.may_fail else ''}\n")
    script = "".join(parts)
    if len(script) > LONGEST:
        raise SettingsError(
            f"the script has {len(script):,} characters, and a command of a blueprint holds {LONGEST:,}",
            hint="what is so long is rather written by a program in the repository, which a `run` step calls",
        )
    return script


def _harmless(texts: Sequence[str], found: Sequence[Trap], secrets: Sequence[str]) -> None:
    """Refuse *texts* and traps that hold a secret: the script, and what the evidence says of each act.

    Raises:
        SettingsError: If it does; the message does not say which.
    """
    text = "\n".join((*texts, *(part for trap in found for part in (trap.tried, trap.said, trap.instead))))
    if SECRETS.search(text) or any(each and each in text for each in secrets):
        raise SettingsError(
            "what the agent ran, or what it was shown, holds what looks like a secret: nothing was written",
            hint="change it where it was issued; what a sandbox needs one for, the proxy adds: see the guide to the network",
        )


def _why(act: Act, chosen: Sequence[Act]) -> str:
    if act not in chosen:
        return "it failed"
    return "the tree is the same without it"
