"""What a run is writing, in the view of whoever attaches to it."""

from __future__ import annotations

import asyncio

import pytest

from nightmill import event as e
from nightmill.cli.attach.scene import Scene
from nightmill.kept import Draft, Piece
from nightmill.store.drafts import Drafts
from tests.cli.attach.conftest import Attach
from tests.cli.attach.test_attach import BOTH, turn
from tests.cli.conftest import HOSTILE
from tests.server.conftest import House


@BOTH
def test_what_is_being_written_stands_below_all_else_until_its_turn_has_ended(
    house: House, attach: Attach, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightmill.store.drafts.STAYS", 600.0)
    drafts = Drafts(house.door.database)

    def draft(run: str, *said: tuple[str, str, str], attempt: str = "a", number: int = 2) -> Draft:
        pieces = tuple(Piece(kind=kind, name=name, text=text, cut=0) for kind, name, text in said)
        return Draft(run=run, role="developer", turn=number, attempt=attempt, pieces=pieces)

    async def look() -> None:
        async with attach("rspec", where=where, size=(120, 40)) as screen:
            house.tell(*turn("rspec-1", 1, said="The sign is wrong."), *turn("rspec-1", 2)[:1])
            await screen.shows("The sign is wrong.")
            drafts.put([(0, draft("rspec-1", ("thinking", "", "Hm.\nIt"), ("text", "", HOSTILE)))], begun={"a", "b"})
            await screen.shows("developer 2 thinks", "│ Hm.", "developer 2 writes")
            assert not {"\x1b", "\x07"} & set(screen.text)
            acts = (("call", "run_command", '{"command": "make'), ("output", "make", "it builds\n"))
            written = draft("rspec-1", ("text", "", "I build it."), *acts)
            drafts.put([(1, written)], begun={"a", "b"})
            await screen.shows("│ I build it.", "developer 2 calls run_command", "developer 2 runs make", "│ it builds")
            assert "thinks" not in screen.text
            assert screen.text.index("The sign is wrong") < screen.text.index("I build it")
            house.tell(*turn("rspec-1", 2, said="It is built.")[1:])
            await screen.shows("It is built.")
            assert "│ I build it." not in screen.text
            drafts.put([(2, written)], begun={"a", "b"})  # a worker that is late with it
            drafts.put([(0, draft("rspec", ("text", "", "I plan."), number=1))], begun={"a", "b"})
            await screen.shows("│ I plan.")
            assert "│ I build it." not in screen.text
            drafts.put([], gone=[draft("rspec")])
            await screen.until(lambda: "│ I plan." not in screen.text)

    house.run("rspec")
    house.run("rspec-1", parent="rspec")
    house.tell(e.TaskQueued(run="rspec", task="T1", child="rspec-1"))
    asyncio.run(look())


def test_what_is_written_in_the_next_turn_stays_when_the_one_before_ends(house: House) -> None:
    house.run("rone")
    house.tell(*turn("rone", 1))
    scene = Scene("rone")
    piece = Piece(kind="text", name="", text="Next.", cut=0)
    scene.write(Draft(run="rone", role="developer", turn=2, attempt="b", pieces=(piece,)))
    for entry in house.door.ledger.read(run="rone"):
        scene.take(entry)
    assert [row.body for row in scene.live()] == [("Next.",)]
    house.tell(*turn("rone", 2))
    for entry in house.door.ledger.read(run="rone"):
        scene.take(entry)
    assert scene.live() == []
