"""Secrets in what tools show: a model gets a mark for each, and what it writes with a mark holds what the mark stands for.

So a file is edited exactly, also where what was hidden was no secret. What a mark stands for is found where it stands: in the file
that is written, in what the agent was given, and in the files that it has seen. Nothing else remembers it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from nightmill.errors import ToolError
from nightmill.tool.base import ToolContext
from nightmill.tool.coding import Coded, is_binary

__all__ = ["marked", "meant", "unmarked"]

AT_ONCE = 4_000
"""Characters that are searched for secrets faster than a thread is asked to do it: a millisecond or two."""
MOST_FILES, MOST_BYTES = 50, 2 << 20
SOUGHT = 4 << 20
"""Characters that are searched for what marks stand for, and the file in which they end: three seconds where all looks like secrets."""


async def marked(text: str, context: ToolContext) -> str:
    """*text* as a model may see it."""
    if len(text) <= AT_ONCE:
        return context.veil.marked(text)
    return await asyncio.to_thread(context.veil.marked, text)


async def meant(texts: Sequence[str], before: str, context: ToolContext) -> list[str]:
    """*texts*, which go into a file that holds *before*, with what the marks in them stand for.

    Raises:
        ToolError: If that is nowhere to be found.
    """
    lacking = {mark for text in texts for mark in context.veil.marks(text) if mark not in before}
    if not lacking:
        return list(texts)
    stands, left = dict[str, str](), SOUGHT
    async for source in _sources(before, context):
        found = await asyncio.to_thread(context.veil.behind, source)
        stands |= {mark: found[mark] for mark in lacking & found.keys()}
        lacking -= found.keys()
        left -= len(source)
        if not lacking or left <= 0:
            break
    if lacking:
        raise ToolError(
            f"{min(lacking)} stands for a secret, which is not shown, and no file that you have read lately holds it (any more): "
            "read the file with it first, or move it with a command that does not name it. Nothing was written."
        )
    return [_with(text, stands) for text in texts]


def unmarked(text: str, context: ToolContext) -> None:
    """Raise `ToolError` if there is a mark in the command *text*, which would be taken for what it stands for."""
    if found := context.veil.marks(text):
        raise ToolError(
            f"{found[0]} is how a secret is shown, and no command knows what it stands for: edit_file and write_file do. "
            "Nothing was run."
        )


async def _sources(before: str, context: ToolContext) -> AsyncIterator[str]:
    """Where secrets may stand, the nearest first."""
    yield before
    for text in context.given:
        yield text
    for path in list(context.known)[: -MOST_FILES - 1 : -1]:
        try:
            body = await context.workspace.read(path, limit=MOST_BYTES)
            if not is_binary(body):
                yield Coded.of(body).text
        except ToolError:  # it is gone by now, or no text
            continue


def _with(text: str, stands: Mapping[str, str]) -> str:
    for mark, secret in stands.items():
        text = text.replace(mark, secret)
    return text
