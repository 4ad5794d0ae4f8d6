"""What a worker writes of its runs for those who watch: nothing unless somebody does, and not for each word."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from nightmill.line.control import Control
from nightmill.line.machines import Machines
from nightmill.line.scribe import EVERY, Scribe
from nightmill.store.drafts import STAYS, Drafts
from tests.line.conftest import World


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def asked(machines: Machines) -> Iterator[list[str]]:
    """What the store is asked meanwhile."""
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    sa.event.listen(machines.database.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        sa.event.remove(machines.database.engine, "before_cursor_execute", hear)


@dataclass
class Desk:
    """A scribe who looks when it is told to, after all the time that it waits between two writes."""

    world: World
    clock: Clock = field(default_factory=Clock)
    control: Control = field(default_factory=Control)

    def __post_init__(self) -> None:
        self.scribe = Scribe(replace(self.world.machines, clock=self.clock))
        self.drafts = Drafts(self.world.machines.database)
        self.control.writing.begin(role="developer", turn=1)

    def hear(self, text: str) -> None:
        self.control.writing.hear("text", text)

    async def look(self, *, after: float = EVERY) -> None:
        self.clock.now += after
        self.scribe.look({"r1": self.control})
        if self.scribe._busy is not None:
            await asyncio.wait({self.scribe._busy})

    @property
    def there(self) -> list[str]:
        found = self.drafts.read(list(self.drafts.marks()))
        return [each.text for _, draft in found.values() for each in draft.pieces]


def test_a_word_costs_no_question_whether_or_not_anybody_watches(world: World) -> None:
    async def story() -> None:
        desk = Desk(world)
        with asked(world.machines) as said:
            for _ in range(100):
                desk.hear("a word ")
                await desk.look()
        assert not said, "nobody watches"
        desk.control.watched = True
        await desk.look()
        assert desk.there == ["a word " * 100], "who comes late sees what is there"
        with asked(world.machines) as said:
            for _ in range(100):
                desk.hear("more ")
                await desk.look(after=0.0)
            assert not said, "it is not time yet"
            await desk.look()
            await desk.look()
        assert len([each for each in said if "draft" in each]) == 1
        assert desk.there == ["a word " * 100 + "more " * 100]
        before = desk.drafts.marks()
        with asked(world.machines) as said:
            await desk.look(after=STAYS / 2)
        assert len([each for each in said if "draft" in each]) == 1, "it still counts"
        assert desk.drafts.marks() == before, "and nobody has to read it again"

    asyncio.run(story())


def test_what_is_written_goes_with_its_attempt_its_watchers_and_its_worker(world: World) -> None:
    async def story() -> None:
        desk = Desk(world)
        desk.control.watched = True
        desk.hear("I look ")
        await desk.look()
        assert desk.there == ["I look "]
        desk.control.writing.begin(role="developer", turn=1)
        await desk.look()
        assert desk.there == [], "it begins anew, and has written nothing yet"
        desk.hear("Another attempt ")
        await desk.look()
        assert desk.there == ["Another attempt "]
        desk.control.watched = False
        await desk.look()
        assert desk.there == []
        desk.control.watched = True
        await desk.look()
        assert desk.there == ["Another attempt "]
        await desk.scribe.leave()
        assert desk.there == []

    asyncio.run(story())
