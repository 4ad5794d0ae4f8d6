"""Each webhook hears each entry that it wants, in order, at least once, whatever stops or fails meanwhile."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nightmill import event as e
from nightmill.errors import SettingsError
from nightmill.hook import Courier, fresh
from nightmill.hook.courier import SHORT, WAITS
from nightmill.hook.post import Outside
from nightmill.store import Database, Ledger, Runs, projects
from nightmill.store.hooks import KEPT, LEASE, Hooks
from tests.hook.test_post import HERE, NAME, OK, Far

ADA = "Ada <ada@example.org>"
NO = b"HTTP/1.1 503 Busy\r\n\r\n"


@dataclass
class Post:
    """A store with runs of two projects, a server that is told of them, and the time."""

    database: Database
    now: float = 1_800_000_000.0
    far: Far = field(default_factory=Far)
    secret: str = field(default_factory=fresh)

    def __post_init__(self) -> None:
        self.hooks = Hooks(self.database, self.clock)
        self.ledger = Ledger(self.database, self.clock)
        self.runs = Runs(self.database, self.clock)
        for name in ("shop", "barn"):
            projects.keep(
                self.database, projects.Known(id=name, root=Path("/") / name, hub=Path("/hub") / name, added=1.0)
            )
            queued = e.RunQueued(run=f"r{name}", kind="task", title="t", project=name, spec="s", model="m")
            self.runs.create(queued, assignment="a")

    def clock(self) -> float:
        return self.now

    def add(self, path: str = "/", *, events: Any = (), project: str = "", port: int = 0) -> str:
        url = f"http://{NAME}:{port or self.far.port}{path}"
        return self.hooks.add(url, host=NAME, events=events, project=project, by=ADA).id

    def tell(self, *phases: str, run: str = "rshop") -> None:
        self.ledger.append([e.PhaseStarted(run=run, phase=phase) for phase in phases])

    def courier(self, **more: Any) -> Courier:
        named = {"hooks": self.hooks, "ledger": self.ledger, "runs": self.runs, "clock": self.clock}
        given = {"outside": Outside(private=(NAME,), lookup=HERE), "secrets": lambda _: (self.secret,)}
        return Courier(**{**named, **given, **more})

    def heard(self, path: str = "/") -> list[Any]:
        """The phases, or the types, of what was told to *path*, in order."""
        bodies = [
            json.loads(each.partition(b"\r\n\r\n")[2]) for each in self.far.heard if f"POST {path} ".encode() in each
        ]
        return [each["body"].get("phase", each["type"]) for each in bodies]

    def ids(self) -> list[str]:
        heads = [each.partition(b"\r\n\r\n")[0].decode().split("\r\n") for each in self.far.heard]
        return [line.removeprefix("webhook-id: ") for head in heads for line in head if line.startswith("webhook-id: ")]


@pytest.fixture
def mail(database: Database) -> Post:
    return Post(database)


def during(mail: Post, story: Any) -> None:
    """Tell *story* while the server is there."""

    async def whole() -> None:
        async with mail.far.there():
            await story()

    asyncio.run(whole())


def test_a_hook_hears_what_it_wants_of_its_project_since_it_was_added_in_order(mail: Post) -> None:
    async def story() -> None:
        mail.tell("before")
        mail.add("/all")
        mail.add("/shop", project="shop")
        mail.add("/done", events=["run_done", "run_parked"])
        mail.tell("one", "two")
        mail.tell("three", run="rbarn")
        mail.ledger.append([e.RunDone(run="rbarn"), e.PersonInvited(run="", address="a@b.c", by=ADA)])
        courier = mail.courier()
        for _ in range(3):
            await courier.round()

    during(mail, story)

    assert mail.heard("/all") == ["one", "two", "three", "run_done", "person_invited"]
    assert mail.heard("/shop") == ["one", "two"]
    assert mail.heard("/done") == ["run_done"]
    assert len(set(mail.ids())) == len(mail.ids()) == 8


def test_what_was_told_while_nobody_delivered_is_delivered_later_and_once(mail: Post) -> None:
    async def story() -> None:
        mail.add()
        mail.tell(*map(str, range(250)))
        await mail.courier().round()
        mail.now += LEASE
        mail.tell("later")
        await mail.courier().round()

    during(mail, story)

    assert mail.heard() == [*map(str, range(250)), "later"]


def test_an_entry_that_fails_is_tried_again_later_with_its_id_and_holds_up_those_behind_it(mail: Post) -> None:
    async def story() -> None:
        hook = mail.add()
        mail.tell("one", "two")
        courier = mail.courier()
        mail.far.reply = NO
        await courier.round()
        await courier.round()
        assert mail.heard() == ["one"], "it is not time yet"
        found = mail.hooks.get(hook)
        assert (found.tries, found.reason) == (1, "it answered 503")
        assert 0.9 * WAITS[0] <= found.due - mail.now <= 1.1 * WAITS[0]
        mail.now = found.due
        mail.far.reply = OK
        await mail.courier(name=courier.name).round()

    during(mail, story)

    assert mail.heard() == ["one", "one", "two"]
    assert mail.ids()[0] == mail.ids()[1] != mail.ids()[2]


async def turned_away(mail: Post, courier: Courier, hook: str, *, times: int) -> None:
    """Let it be tried *times* times in vain, each when it is due."""
    mail.far.reply = NO
    for _ in range(times):
        await courier.round()
        mail.now = max(mail.now, mail.hooks.get(hook).due)
    mail.far.reply = OK


def test_what_fails_every_time_is_given_up_and_what_is_behind_it_goes_on(mail: Post) -> None:
    async def story() -> None:
        hook = mail.add()
        mail.tell("one", "two", "three")
        courier = mail.courier()
        await turned_away(mail, courier, hook, times=len(WAITS) + 1)
        assert mail.heard() == ["one"] * (len(WAITS) + 1)
        assert [(each.reason, each.again) for each in mail.hooks.dead(hook)] == [("it answered 503", False)]
        await turned_away(mail, courier, hook, times=SHORT + 1)
        assert mail.heard()[len(WAITS) + 1 :] == ["two"] * (SHORT + 1), "who is away is asked less often"
        mail.far.heard.clear()
        await courier.round()
        assert mail.heard() == ["three"]
        assert mail.hooks.get(hook).lost == 0
        assert len(mail.hooks.dead()) == 2

    during(mail, story)


def test_what_was_given_up_is_sent_again_when_somebody_wants_it(mail: Post) -> None:
    async def story() -> None:
        hook = mail.add()
        mail.tell("one", "two")
        courier = mail.courier()
        await turned_away(mail, courier, hook, times=len(WAITS) + SHORT + 2)
        first, second = mail.hooks.dead(hook)
        assert mail.hooks.again(hook) == 2
        await turned_away(mail, courier, hook, times=1)
        assert [each.again for each in mail.hooks.dead(hook)] == [False, False], "once, until somebody wants it again"
        mail.far.heard.clear()
        assert mail.hooks.again(hook, second.seq) == 1
        await courier.round()
        assert (mail.heard(), mail.ids()) == (["two"], [f"{hook}.{second.seq}"])
        assert [each.seq for each in mail.hooks.dead(hook)] == [first.seq]
        with pytest.raises(SettingsError, match="nothing was given up"):
            mail.hooks.again(hook, second.seq)
        mail.hooks.remove(hook, by=ADA)
        assert mail.hooks.dead() == []

    during(mail, story)


def test_what_waits_to_be_tried_again_is_tried_at_once_when_somebody_wants_it(mail: Post) -> None:
    async def story() -> None:
        hook = mail.add()
        mail.tell("one")
        courier = mail.courier()
        await turned_away(mail, courier, hook, times=3)
        mail.now -= WAITS[2] / 2
        await courier.round()
        assert mail.heard() == ["one"] * 3
        assert mail.hooks.again(hook) == 1
        await courier.round()
        assert mail.heard() == ["one"] * 4
        assert mail.hooks.get(hook).tries == 0

    during(mail, story)


def test_one_that_is_paused_hears_nothing_and_what_it_missed_when_it_is_resumed(mail: Post) -> None:
    async def story() -> None:
        hook = mail.add()
        asked: list[str] = []

        def paused_while_the_first_is_sent(id: str) -> tuple[str, ...]:
            asked.append(id)
            if len(asked) == 2:
                mail.hooks.change(hook, "paused", by=ADA)
            return (mail.secret,)

        mail.tell("one", "two")
        courier = mail.courier(secrets=paused_while_the_first_is_sent)
        await courier.round()
        mail.tell("three")
        await courier.round()
        assert (mail.heard(), mail.hooks.get(hook).paused) == (["one"], True)
        mail.hooks.change(hook, "paused", by=ADA)
        mail.hooks.change(hook, "resumed", by=ADA)
        await courier.round()

    during(mail, story)

    assert mail.heard() == ["one", "two", "three"]
    told = [json.loads(each.body)["how"] for each in mail.ledger.read(names={"hook_changed"})]
    assert told == ["paused", "resumed"], "what it was already is not told again"


def test_of_its_letters_the_last_are_remembered_with_what_was_answered(mail: Post) -> None:
    async def story() -> None:
        hook = mail.add()
        mail.tell(*map(str, range(KEPT + 5)))
        courier = mail.courier()
        await courier.round()
        mail.far.reply = NO
        mail.tell("last")
        await courier.round()
        found = mail.hooks.delivered(hook)
        assert len(found) == KEPT
        assert [(each.event, each.status, each.reason) for each in found[:2]] == [
            ("phase_started", 503, "it answered 503"),
            ("phase_started", 204, ""),
        ]
        assert [each.seq for each in found] == sorted((each.seq for each in found), reverse=True)
        mail.hooks.remove(hook, by=ADA)
        assert mail.hooks.delivered(hook) == []
        mail.hooks.tried(hook, found[0])
        assert mail.hooks.delivered(hook) == [], "nothing is kept of one that is gone"

    during(mail, story)


def test_one_that_does_not_answer_holds_up_no_other(mail: Post) -> None:
    async def story() -> None:
        waits = asyncio.Event()

        async def silent(writer: asyncio.StreamWriter) -> None:
            await waits.wait()

        slow = Far(b"", then=silent)
        async with slow.there() as port:
            mail.add("/slow", port=port)
            mail.add("/quick")
            mail.tell("one", "two")
            serving = asyncio.create_task(mail.courier().serve())
            await slow.hearing.wait()
            while len(mail.heard("/quick")) < 2:
                mail.far.hearing.clear()
                await mail.far.hearing.wait()
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving

    during(mail, story)

    assert mail.heard("/quick") == ["one", "two"]


def test_one_that_dies_between_sending_and_writing_that_down_sends_again(mail: Post) -> None:
    async def story() -> None:
        hook = mail.add()
        mail.tell("one", "two")
        dies = mail.courier()
        taken = mail.hooks.take(hook, dies.name)
        assert taken is not None
        sent = await dies._send(taken, mail.ledger.read(names={"phase_started"}, limit=1)[0], "shop")
        assert (sent.status, sent.reason) == (204, "")
        other = mail.courier()
        await other.round()
        assert mail.heard() == ["one"], "it is the other's for now"
        mail.now += LEASE
        await other.round()
        assert not mail.hooks.passed(hook, sent, holder=dies.name), "it was taken for dead"

    during(mail, story)

    assert mail.heard() == ["one", "one", "two"]
    assert mail.ids()[0] == mail.ids()[1]


def test_without_its_secret_nothing_is_sent_and_it_says_why(mail: Post) -> None:
    def gone(_: str) -> tuple[str, ...]:
        raise SettingsError("its secret is gone", hint="")

    async def story() -> None:
        hook = mail.add()
        mail.tell("one")
        await mail.courier(secrets=gone).round()
        assert mail.hooks.get(hook).reason == "its secret is gone"

    during(mail, story)

    assert mail.heard() == []


def test_a_server_without_the_secret_leaves_the_hook_to_one_that_has_it(mail: Post) -> None:
    async def story() -> None:
        hook = mail.add()
        mail.tell("one")
        await mail.courier(secrets=lambda _: ()).round()
        assert (mail.heard(), mail.hooks.get(hook).tries) == ([], 0)
        await mail.courier().round()

    during(mail, story)

    assert mail.heard() == ["one"]


def test_what_cannot_be_told_is_not_added(mail: Post) -> None:
    with pytest.raises(SettingsError, match="no event 'run_dome'"):
        mail.add(events=["run_dome"])
    with pytest.raises(SettingsError, match="no project 'mill'"):
        mail.add(project="mill")
    assert mail.hooks.all() == []


def test_the_ledger_names_the_host_of_a_hook_and_not_its_address(mail: Post, tmp_path: Path) -> None:
    hook = mail.add("/services/T0/B0/as-good-as-a-secret")
    mail.hooks.remove(hook, by=ADA)

    told = [(each.name, each.body) for each in mail.ledger.read(names={"hook_added", "hook_removed"})]
    assert [name for name, _ in told] == ["hook_added", "hook_removed"]
    assert "as-good-as" not in str(told)
    assert NAME in told[0][1]
