"""Faults of calls: the same ones again and again, wrong ones only, results that only grow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise

from nightmill.agent import spelling
from nightmill.agent.guard.ladder import Fault
from nightmill.agent.nouns import AgentState, Made
from nightmill.agent.past import called
from nightmill.model import ToolCall, ToolResult

__all__ = ["LOOKED_BACK", "faults", "looked_at", "made", "new"]

LOOKED_BACK = 32
"""Calls that are looked back on."""
SAME, SAME_BUT, SAME_IN_ALL = 3, 6, 6
"""The same call with the same result so many times in a row; where results differ by noise alone; not in a row, but
since something was gained."""
LONGEST_CYCLE, ROUNDS, ROUNDS_BUT = 6, 4, 5
"""So many calls with the same results in turn, so many rounds of them; the second as above."""
WRONG = 3
"""Turns in a row in which every call was wrong."""
GROWING, LARGE = 4, 8_000
"""The same call so many times in a row, each time with at least as many characters and in the end so many."""
SHRUNK = 0.98
"""A result that is cut to size may be a little smaller than the one before."""
TOO_LARGE = 150_000
"""Characters of all results of a turn together."""
TELLING = 40
"""Characters from which a result tells something: two calls that give the same are no two finds, whatever they are."""
LISTS = "update_todo"
"""What it writes is new each time, and finds nothing; what is done of it is a gain."""
NOISE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"  # dates
    r"|\b\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?\b"  # times of day
    r"|\b\d+(?:[.,]\d+)?\s?(?:ns|µs|us|ms|s|secs?|seconds?|m|mins?|minutes?)\b"  # durations
    r"|\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"  # addresses, UUIDs
    r"|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b|\b1[5-9]\d{8}(?:\d{3})?(?:\.\d+)?\b"  # digests, times as numbers
    r"|\b(?:pid|PID|process|job)[ =:]+\d+|\[\d{2,7}\]"  # processes
    r"|/tmp/[\w./+-]+"  # temporary names
)
"""What differs from run to run although nothing happened. Counts and shares stay: they are how progress looks."""
READ_AS = re.compile(r"\n\((?:[^\n]* read as |ignored: )[^\n]*\)")
"""What a result says of how its call was spelled."""


def made(turn: int, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> tuple[Made, ...]:
    """*calls* of *turn* with their *results*, as they are compared."""
    by_call = {result.call: result for result in results}
    return tuple(_made(turn, call, by_call.get(call.id)) for call in calls)


def looked_at(before: Sequence[Made], now: Sequence[Made]) -> tuple[Made, ...]:
    """What is looked back on after the calls *now*."""
    return (*before, *now)[-LOOKED_BACK:]


def new(state: AgentState, now: Sequence[Made]) -> bool:
    """Whether any of the calls *now* is right and gave what was not seen lately: polling counts while it progresses."""
    before = {each.loose for each in state.made}
    told = {each.said for each in state.made if each.said}
    right = (each for each in now if not each.wrong and each.tool != LISTS)
    return any(each.loose not in before and each.said not in told for each in right)


def faults(
    state: AgentState, now: Sequence[Made], results: Sequence[ToolResult], *, tools: frozenset[str]
) -> tuple[Fault, ...]:
    """What is wrong with the calls of a turn, *now*, and their *results*; *tools* are the names there are."""
    if not now:
        return ()
    seen = looked_at(state.made, now)
    gained = max((each.turn for each in state.signals if each.progress), default=0)
    idle = [each for each in seen if each.turn > gained]
    loop = _wrong(seen, results, tools) or _loop(seen) or _growth(seen) or _again(idle)
    found = (loop, _large(results))
    return tuple(fault for fault in found if fault)


def _made(turn: int, call: ToolCall, result: ToolResult | None) -> Made:
    tool, given = spelling.plain(call)
    key, text = f"{tool}\0{given}", READ_AS.sub("", result.text) if result else ""
    bare = _without_noise(text[-LARGE:])
    return Made(
        turn=turn,
        tool=tool,
        call=_digest(key),
        exact=_digest(f"{key}\0{text}"),
        loose=_digest(f"{key}\0{bare}"),
        said=_digest(bare) if len(bare) >= TELLING else "",
        size=len(text),
        about=called(call),
        wrong=result is None or result.error,
    )


@lru_cache(maxsize=32)
def _without_noise(text: str) -> str:
    """*text* as it is compared: of each result more than once."""
    return NOISE.sub("~", text)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _loop(seen: Sequence[Made]) -> Fault | None:
    exact, loose = [each.exact for each in seen], [each.loose for each in seen]
    about = seen[-1].about
    if (times := _times(exact)) >= SAME:
        evidence = f"`{about}` {times} times in a row, with the same result each time"
        return Fault(guard="repeated_call", evidence=evidence)
    if (times := _times(loose)) >= SAME_BUT:
        evidence = f"`{about}` {times} times in a row: nothing but times and numbers of processes differs"
        return Fault(guard="repeated_call", evidence=evidence)
    for keys, least in ((exact, ROUNDS), (loose, ROUNDS_BUT)):
        size, rounds = _cycle(keys)
        if rounds >= least:
            which = ", ".join(f"`{each.about}`" for each in seen[-size:])
            return Fault(guard="alternating_calls", evidence=f"{which}: {rounds} times in turn, with the same results")
    return None


def _again(idle: Sequence[Made]) -> Fault | None:
    """A call of the latest turn was made again and again, with the same result and whatever came between."""
    counts = Counter(each.exact for each in idle)
    latest = [each for each in idle if each.turn == idle[-1].turn]
    most = max(latest, key=lambda each: counts[each.exact], default=None)
    if most is None or counts[most.exact] < SAME_IN_ALL:
        return None
    evidence = f"`{most.about}` {counts[most.exact]} times with the same result, and nothing was gained meanwhile"
    return Fault(guard="repeated_call", evidence=evidence)


def _times(keys: Sequence[str]) -> int:
    return next((count for count, each in enumerate(reversed(keys)) if each != keys[-1]), len(keys))


def _cycle(keys: Sequence[str]) -> tuple[int, int]:
    """How many calls come in turn at the end of *keys*, and how many whole rounds of them there were."""
    best = (0, 0)
    for size in range(2, LONGEST_CYCLE + 1):
        if len(set(keys[-size:])) == 1:
            continue
        broken = (at for at in range(size, len(keys)) if keys[-1 - at] != keys[-1 - at % size])
        best = max(best, (size, next(broken, len(keys)) // size), key=lambda found: found[1])
    return best


def _growth(seen: Sequence[Made]) -> Fault | None:
    latest = seen[-GROWING:]
    alike = len(latest) == GROWING and len({each.call for each in latest}) == 1
    grows = all(right.size >= SHRUNK * left.size for left, right in pairwise(latest))
    if not alike or not grows or latest[-1].size < LARGE or len({each.loose for each in latest}) < GROWING:
        return None
    sizes = ", ".join(f"{each.size:,}" for each in latest)
    return Fault(guard="growing_output", evidence=f"`{latest[-1].about}` gave {sizes} characters")


def _wrong(seen: Sequence[Made], results: Sequence[ToolResult], tools: frozenset[str]) -> Fault | None:
    """A turn in which every call was wrong: at once if it is a tool that there is not, else after some such turns."""
    if not all(result.error for result in results):
        return None
    unknown = sorted({result.name[:60] for result in results if result.name not in tools})
    if unknown:
        names = (("tools", ", ".join(sorted(tools))),)
        return Fault(guard="unknown_tool", evidence=f"no such tool: {', '.join(unknown[:6])}", values=names)
    right = [each.turn for each in seen if not each.wrong]
    turns = {each.turn for each in seen if not right or each.turn > max(right)}
    if len(turns) < WRONG:
        return None
    why = " ".join(results[-1].text.split())[:200]
    return Fault(guard="failing_calls", evidence=f"every call of {len(turns)} turns was wrong; the last one: {why}")


def _large(results: Sequence[ToolResult]) -> Fault | None:
    size = sum(len(result.text) for result in results)
    return Fault(guard="large_results", evidence=f"{size:,} characters of results") if size > TOO_LARGE else None
