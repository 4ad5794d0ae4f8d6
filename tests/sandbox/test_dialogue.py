"""A program that is talked with: bytes both ways, unchanged, whatever it does with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from nightmill.sandbox import Command, Dialogue, Limits
from tests.sandbox.box import Box, Within


@dataclass
class Talk:
    """A dialogue and what was heard."""

    heard: bytearray = field(default_factory=bytearray)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, piece: bytes) -> None:
        self.heard += piece
        self.more.set()

    async def until(self, size: int) -> bytes:
        while len(self.heard) < size:
            self.more.clear()
            await asyncio.wait_for(self.more.wait(), 60)
        return bytes(self.heard)


async def talk(box: Box, *argv: str, **limits: Any) -> tuple[Talk, Dialogue]:
    found = Talk()
    command = Command(argv=argv, cwd="/work", limits=Limits(**limits))
    return found, await box.sandbox.talk(command, output=found.take)


def test_bytes_go_both_ways_unchanged_and_none_is_lost(within: Within) -> None:
    body = bytes(range(256)) * 12_000  # 3 MB: more than any buffer on the way

    async def scenario(box: Box) -> None:
        found, open_ = await talk(box, "cat")
        open_.type(body)
        assert await found.until(len(body)) == body
        open_.end()
        assert (await open_.ended()).stopped == "cancelled"

    within(scenario)


def test_a_program_that_ends_with_what_it_was_told_unread_ends_alone(within: Within) -> None:
    async def scenario(box: Box) -> None:
        _, open_ = await talk(box, "bash", "-c", "sleep 0.2; exit 7")
        open_.type(b"unread" * 1000)
        assert (await open_.ended()).exit == 7
        open_.type(b"to nobody")
        assert (await box.sh("echo still here")).text == "still here\n"

    within(scenario)


def test_it_lasts_beyond_the_seconds_of_commands_and_snapshots_do_not_end_it(within: Within) -> None:
    async def scenario(box: Box) -> None:
        found, open_ = await talk(
            box, "bash", "-c", 'while read -r line; do echo "$line" >> kept; echo "$line"; done', seconds=0.1
        )
        for word in (b"one\n", b"two\n"):
            before = len(found.heard)
            open_.type(word)
            await found.until(before + len(word))
            last = await box.sandbox.snapshot()
            await asyncio.sleep(0.2)
        await box.sandbox.roll_back(last)
        assert (await box.sh("cat kept; pgrep -x bash > /tmp/found; wc -l < /tmp/found")).text == "one\ntwo\n1\n"

    within(scenario)


def test_what_it_leaves_behind_ends_with_it(within: Within) -> None:
    async def scenario(box: Box) -> None:
        found, open_ = await talk(box, "bash", "-c", "setsid sleep 1000 & echo begun; cat")
        await found.until(6)
        open_.end()
        await open_.ended()
        assert (await box.sh("pgrep -x sleep")).exit == 1

    within(scenario)
