"""Applying a patch to the files of the workspace: worked out whole before anything is written, and undone if that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.sandbox import Command
from nightmill.tool.base import Answer, Arguments, ToolContext, digest, inside, known_as
from nightmill.tool.coding import Coded, is_binary
from nightmill.tool.edit import CHANGED, around, text_of
from nightmill.tool.files import check_seen, content_of
from nightmill.tool.footprint import keep_within
from nightmill.tool.landing import Landed, apply_lines
from nightmill.tool.landing.page import bare, depth, split
from nightmill.tool.patch import Hunk, Operation, parse, trimmed
from nightmill.tool.syntax import broken
from nightmill.tool.veil import meant

__all__ = ["ApplyPatch"]

MOVE = 'mkdir -p -- "$(dirname -- "$2")" && mv -n -- "$1" "$2" && test ! -e "$1"'


class ApplyPatch:
    """Change several files by one patch."""

    name = "apply_patch"
    description = (
        "Change files by a patch. Between *** Begin Patch and *** End Patch stand, for each file, *** Add File: path with "
        "lines that begin with +, *** Delete File: path, or *** Update File: path (and *** Move to: path) with hunks: "
        "@@ and a line above that tells where it is, such as a def, then lines that begin with a space (they stay), - or +. "
        "Three lines around each change. All of it is made, or nothing."
    )
    reads = False

    class Call(Arguments):
        patch: str = Field(min_length=1, description="The whole patch.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        try:
            operations = parse(arguments.patch)
        except ToolError:
            return "a patch that cannot be read"
        return ", ".join(each.path for each in operations)

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        steps = [await _planned(each, context) for each in parse(arguments.patch)]
        for step in steps:
            keep_within(step.path, context, new=step.before is None)
            keep_within(step.target, context, new=True)
        done: list[_Step] = []
        try:
            for step in sorted(
                steps, key=lambda each: each.after is None
            ):  # what is deleted cannot be brought back as it was
                done.append(step)
                await _make(step, context)
        except ToolError as error:
            for step in reversed(done):
                await _undo(step, context)
            raise ToolError(f"{error.message} Nothing was changed.") from None
        told = [await _told(step, context) for step in steps]
        seen = tuple((known_as(step.target), digest(step.after)) for step in steps if step.after is not None)
        edited = tuple(dict.fromkeys(path for step in steps for path in (step.path, step.target)))
        return Answer(text="\n".join(told), changed=True, edited=edited, seen=seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One file, before and after (None: it is not there), where it is to be, and where it changes (offset, lines)."""

    path: str
    target: str
    before: bytes | None
    after: bytes | None
    text: str = ""
    places: tuple[tuple[int, int], ...] = ()
    stale: bool = False


async def _planned(operation: Operation, context: ToolContext) -> _Step:
    path, target = operation.path, operation.target or operation.path
    if operation.kind == "Add":
        before = await content_of(inside(path), context)
        text = "" if is_binary(before) else Coded.of(before).text
        lines = await meant(operation.content, text, context)
        after = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        if before:
            check_seen(path, before, after, context)
        return _Step(path=path, target=path, before=before or None, after=after)
    before = await text_of(path, context)
    stale = context.known.get(known_as(path)) not in {None, digest(before)}
    if operation.kind == "Delete":
        if stale:
            check_seen(path, before, b"", context)
        return _Step(path=path, target=path, before=before, after=None)
    if target != path and await content_of(inside(target), context):
        raise ToolError(f"{target!r} exists already: nothing is moved over it. Nothing was changed.")
    coded = Coded.of(before)
    operation = replace(operation, hunks=await _meant(operation.hunks, coded.text, context))
    text, places = _patched(coded, operation, exactly=stale)
    return _Step(
        path=path, target=target, before=before, after=coded.encoded(text), text=text, places=tuple(places), stale=stale
    )


async def _meant(hunks: Sequence[Hunk], text: str, context: ToolContext) -> list[Hunk]:
    """*hunks* as they are about what the file really holds, which is searched once for all of them."""
    written = (line for hunk in hunks for line in (*hunk.under, *hunk.old, *hunk.new))
    lines = iter(await meant(list(written), text, context))

    def next_(part: Sequence[str]) -> list[str]:
        return list(islice(lines, len(part)))

    return [replace(each, under=next_(each.under), old=next_(each.old), new=next_(each.new)) for each in hunks]


def _patched(coded: Coded, operation: Operation, *, exactly: bool) -> tuple[str, list[tuple[int, int]]]:
    text, places, at = coded.text, list[tuple[int, int]](), 0
    for number, hunk in enumerate(operation.hunks, 1):
        try:
            made, landed = _landed(text, at, hunk, coded)
            if landed.how and exactly:
                raise ToolError(
                    f"the file changed since you read it, and the lines are found only {landed.how}: read it again."
                )
        except ToolError as error:
            raise ToolError(
                f"hunk {number} of {len(operation.hunks)} of {operation.path!r}: {error.message} Nothing was changed."
            ) from None
        moved = len(made) - len(text)
        places = [(start + moved if start > landed.at else start, lines) for start, lines in places]
        places.append((landed.at, max(1, len(hunk.new))))
        same = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(reversed(text), reversed(made), strict=False))
        )
        text, at = made, max(landed.at, len(made) - same)
    return text, places


def _landed(text: str, at: int, hunk: Hunk, coded: Coded) -> tuple[str, Landed]:
    """The text with *hunk*, in the block that its @@ names, else behind *at*, else (some mix up their order) anywhere."""
    old, new = ([coded.asked(line) for line in lines] for lines in trimmed(hunk))
    newline = "\r\n" if "\r\n" in text else "\n"
    problem: ToolError | None = None
    for start in dict.fromkeys((text.rfind("\n", 0, at) + 1, 0)):
        try:
            begin, block = _under(text, start, hunk.under)
        except ToolError as error:
            problem = problem or error
            continue
        for end in dict.fromkeys((block, len(text))):
            part = text[begin:end]
            try:
                landed = apply_lines(part, old=old, new=new) if old else _inserted(part, new, hunk, newline)
            except ToolError as error:
                problem = problem or error
                continue
            return text[:begin] + landed.text + text[end:], landed._replace(at=begin + landed.at)
    raise problem or ToolError("the hunk is empty.")


def _under(text: str, start: int, under: Sequence[str]) -> tuple[int, int]:
    """Behind the lines *under*, found one after another, and where the block ends that the last one opens."""
    end = len(text)
    for line in under:
        lines = [bare(each) for each in split(text[start:])]
        found = [at for at, each in enumerate(lines) if each.strip() == line.strip()]
        if not found:
            raise ToolError(f"the line {line.strip()[:100]!r} behind @@ is not in the file.")
        ends = [
            at
            for at in range(found[0] + 1, len(lines))
            if lines[at].strip() and depth(lines[at]) <= depth(lines[found[0]])
        ]
        at = _offset(text, start, found[0] + 1)
        end = _offset(text, start, ends[0]) if ends and len(found) == 1 else len(text)
        start = at
    return start, end


def _offset(text: str, start: int, lines: int) -> int:
    return start + sum(map(len, split(text[start:])[:lines]))


def _inserted(text: str, new: Sequence[str], hunk: Hunk, newline: str) -> Landed:
    """*text* with the lines *new*, which quote nothing: at its end, or at its beginning."""
    put = "".join(line + newline for line in new)
    if hunk.under and not hunk.last:
        return Landed(put + text, 0)
    whole = text if text.endswith("\n") or not text else text + newline
    return Landed(whole + put, len(whole))


async def _make(step: _Step, context: ToolContext) -> None:
    if step.after is None:
        await _run(context, "rm", "--", inside(step.path))
        return
    if step.target != step.path:
        await _run(context, "sh", "-c", MOVE, "sh", inside(step.path), inside(step.target))
    await context.workspace.write(inside(step.target), step.after)


async def _undo(step: _Step, context: ToolContext) -> None:
    """Bring back what was, as far as it can be: the error that is told is the first one."""
    try:
        if step.target != step.path:
            await _run(context, "sh", "-c", MOVE, "sh", inside(step.target), inside(step.path))
        if step.before is None:
            await _run(context, "rm", "-f", "--", inside(step.path))
        elif await content_of(inside(step.path), context) != step.before:
            await context.workspace.write(inside(step.path), step.before)
    except ToolError:
        return


async def _run(context: ToolContext, *argv: str) -> None:
    outcome = await context.workspace.run(Command(argv=argv, limits=context.limits))
    if outcome.exit != 0:
        raise ToolError(f"{outcome.text.strip() or f'{argv[-1]} could not be moved'}.")


async def _told(step: _Step, context: ToolContext) -> str:
    if step.after is None:
        return f"deleted {step.path}"
    wrong = await broken(inside(step.target), step.before or b"", step.after, context)
    moved = f" and moved to {step.target}" if step.target != step.path else ""
    head = f"edited {step.path}{moved}" if step.before is not None else f"wrote {step.path}"
    shown = around(step.text, list(step.places), more=1) if step.places else ""
    return "\n".join(part for part in (head, CHANGED if step.stale else "", wrong, shown) if part)
