"""What an agent writes is seen while it is written, and only then: nothing of it is left, and none of it is a secret."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from nightmill.desk import steer
from nightmill.store import tables
from tests.cli.attach.conftest import Attach, attach, seats
from tests.halting import Halting, Reply, halting
from tests.server.conftest import House
from tests.whole import Mill, wait_for

__all__ = ["attach", "seats"]

pytestmark = pytest.mark.slow

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"
COMMAND = "echo as it runs; until [ -e /work/repo/go ]; do sleep 0.05; done"


@pytest.fixture
def model() -> Iterator[Halting]:
    first = Reply(before=f"I look at the sign, with {TOKEN[:20]}", after=f"{TOKEN[20:]} in hand.")
    again = Reply(before="The second attempt ", after="ends.", call=("run_command", {"command": COMMAND}))
    with halting(first, again) as made:
        yield made


def test_what_an_explorer_writes_is_seen_beside_the_turn_that_sent_it_out(
    mill: Mill, house: House, attach: Attach
) -> None:
    sent = Reply(before="I ask. ", call=("explore", {"questions": [{"question": "Who adds?"}]}))
    read = Reply(before="It stands in calc.py, ", after="and nowhere else.")
    sent.go.set()

    async def see_it(run: str) -> None:
        async with attach(run, size=(160, 50)) as screen:
            await screen.shows("explorer 1.1 writes", "It stands in calc.py,")
            steer.want(house.door, run, "cancel", by="Ada <ada@example.org>")
            await screen.until(lambda: screen.app.scene.over)
            assert "It stands in calc.py" not in screen.text

    with halting(sent, read) as model, mill.given(NIGHTMILL_BASE_URL=model.url).worker():
        asked = mill.given(NIGHTMILL_BASE_URL=model.url).run(
            "run", mill.folder / "SPEC.md", "--detach", at=mill.folder / "calc"
        )
        assert not asked.returncode, asked.stderr
        wait_for("an explorer that halts", lambda: model.asked == 2)
        asyncio.run(see_it(asked.stdout.strip()))


def test_a_reply_is_seen_while_it_is_written_and_goes_with_its_turn_or_its_worker(
    mill: Mill, house: House, model: Halting, attach: Attach
) -> None:
    def drafts() -> list[str]:
        with house.door.database.read() as connection:
            return list(connection.execute(sa.select(tables.draft.c.body)).scalars())

    async def see_it_go(run: str) -> None:
        async with attach(run, size=(160, 50)) as screen:
            await screen.shows("developer 1 writes", "I look at the sign, with")
            assert "ghp_" not in screen.text + "".join(drafts())
            worker.kill()
            await screen.until(lambda: "I look at the sign" not in screen.text)

    async def see_it_again(run: str) -> None:
        async with attach(run, size=(160, 50)) as screen:
            await screen.shows("The second attempt")
            assert "I look at the sign" not in screen.text
            model.replies[1].go.set()
            await screen.shows("The second attempt ends.", "developer 1 runs echo as it runs", "│ as it runs")
            steer.want(house.door, run, "cancel", by="Ada <ada@example.org>")
            await screen.until(lambda: screen.app.scene.over)
            assert "The second attempt" not in screen.text

    with mill.worker() as worker:
        asked = mill.run("run", mill.folder / "SPEC.md", "--detach", at=mill.folder / "calc")
        assert not asked.returncode, asked.stderr
        run = asked.stdout.strip()
        wait_for("a reply that halts", lambda: model.asked == 1)
        wait_for("the turn", lambda: house.door.ledger.read(names={"turn_started"}))
        assert not drafts(), "nobody watches, and nothing is written"
        asyncio.run(see_it_go(run))
        worker.wait()
    with mill.worker():
        wait_for("a reply that halts", lambda: model.asked == 2)
        asyncio.run(see_it_again(run))
        wait_for("an end that leaves nothing", lambda: not drafts())
