"""Whatever is needed is kept in its order, and what is left is minimal, within the tries that there are."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from nightmill.improve import fewest


@given(st.integers(0, 24), st.data())
def test_exactly_what_is_needed_is_left(count: int, data: st.DataObject) -> None:
    needed = data.draw(st.sets(st.integers(0, count - 1))) if count else set()

    async def good(some: tuple[int, ...]) -> bool:
        return needed <= set(some)

    left = asyncio.run(fewest(range(count), good, most=10_000))

    assert left.kept == tuple(sorted(needed))
    assert left.minimal


@given(st.integers(1, 24), st.integers(1, 40))
def test_it_stops_when_its_tries_are_used_up_with_what_was_still_good(count: int, most: int) -> None:
    asked: list[tuple[int, ...]] = []

    async def good(some: tuple[int, ...]) -> bool:
        asked.append(some)
        return sum(some) % 3 == 0 and len(some) > 1

    left = asyncio.run(fewest(range(count), good, most=most))

    assert len(asked) == left.tries <= most
    assert left.kept == tuple(range(count)) or left.kept in [some for some in asked if sum(some) % 3 == 0]
    if left.minimal:
        assert all((left.kept[:at] + left.kept[at + 1 :]) in asked for at in range(len(left.kept)))
