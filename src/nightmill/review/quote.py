"""Lines of the final tree that an agent quotes as evidence: looked up, never believed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from posixpath import normpath

from nightmill.review.nouns import Quote
from nightmill.review.report import LIMITS
from nightmill.sandbox import Command, Workspace

__all__ = ["files", "quoted", "verified"]

MOST = 20
"""Files that are read for quotes of one proof, and quotes of one criterion."""
BYTES = 1 << 20
LEAST = 8
"""Characters of a quote without spaces: a bracket is in every file."""
LONGEST = 4_000

pattern = re.compile(
    r"(?P<path>[\w@+][\w./@+-]{0,300}):(?P<first>\d{1,7})(?:\s*[-–]\s*(?P<last>\d{1,7}))?[\s:,]{0,4}"
    r"(?:```\w*\n(?P<block>.{1,4000}?)```|`(?P<code>[^`]{1,4000})`|[\"“](?P<text>[^\"”]{1,4000})[\"”])",
    re.DOTALL,
)


def quoted(words: str) -> tuple[Quote, ...]:
    """The quotes in an agent's *words*: `path:first-last` and then the text, in backquotes or double quotes."""
    found = []
    for match in pattern.finditer(words):
        text = match["block"] or match["code"] or match["text"]
        first = int(match["first"])
        found.append(Quote(path=normpath(match["path"]), first=first, last=int(match["last"] or first), text=text))
    return tuple(found[:MOST])


async def files(workspace: Workspace, claims: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The text of each file that *claims* quote, as the commit has it; for a fresh workspace, before anything ran there."""
    paths = dict.fromkeys(each.path for _, words in claims for each in quoted(words))
    found = {}
    for path in list(paths)[:MOST]:
        if path.startswith(("/", "..")):
            continue
        command = Command(
            argv=("git", "cat-file", "blob", f"HEAD:{path}"), limits=replace(LIMITS, seconds=60.0, output=BYTES)
        )
        outcome = await workspace.run(command)
        if not outcome.exit and not outcome.dropped:
            found[path] = outcome.text
    return found


def verified(quotes: Iterable[Quote], texts: Mapping[str, str]) -> Iterator[tuple[Quote, str]]:
    """Each quote with why it is none, "" if it stands there; one whose lines are not where it says is put right.

    Spaces at the ends of lines and the indent do not count. A text that stands in several places counts where it says.
    """
    for each in quotes:
        if len("".join(each.text.split())) < LEAST:
            yield each, f"the quote of {each.path} is too short to tell anything"
        elif each.path not in texts:
            yield each, f"there is no file {each.path} in the tree, or none that can be quoted"
        else:
            places = _places(each.text, texts[each.path])
            exact = next((place for place in places if place[0] >= each.first and place[1] <= each.last), None)
            place = exact or (places[0] if len(places) == 1 else None)
            if place is None:
                yield each, f"{each.path}:{each.first}-{each.last} does not say what is quoted"
            else:
                yield replace(each, first=place[0], last=place[1]), ""


def _places(text: str, body: str) -> list[tuple[int, int]]:
    """First and last lines where *text* stands in *body*."""
    wanted = [line.strip() for line in text.strip().splitlines()]
    lines = [line.strip() for line in body.splitlines()]
    height = len(wanted)
    return [(at + 1, at + height) for at in range(len(lines) - height + 1) if _same(wanted, lines[at : at + height])]


def _same(wanted: list[str], there: list[str]) -> bool:
    if len(wanted) == 1:
        return wanted[0] in there[0]
    return there[0].endswith(wanted[0]) and there[-1].startswith(wanted[-1]) and wanted[1:-1] == there[1:-1]
