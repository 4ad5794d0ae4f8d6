"""The live sandbox is at the snapshot that the run says, or it is built again."""

from __future__ import annotations

import asyncio
import fcntl
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill import event
from nightmill.errors import SandboxError
from nightmill.line.journal import Journal
from nightmill.line.workplace import Workplace
from nightmill.model import ModelReply, Text, Usage
from nightmill.sandbox import Command, Workspace
from nightmill.sandbox.live import LiveSandbox
from tests.line.conftest import Tell, teller
from tests.sandbox.box import Box


@pytest.fixture
def tell(tmp_path: Path, told: list[event.Event]) -> Tell:
    return teller(tmp_path, told, file=("a", "one\n"))


async def sh(workspace: Workspace, text: str) -> str:
    return (await workspace.run(Command(argv=("bash", "-c", text)))).text


def test_a_sandbox_is_kept_while_it_is_where_it_should_be(tell: Tell, told: list[event.Event]) -> None:
    async def story(place: Workplace) -> None:
        first = await place.stand_at("")
        assert await place.stand_at("") is first
        place.touched()
        await sh(first, "echo two > a")
        one = await place.keep()
        assert await place.stand_at(one) is first
        place.touched()
        place.untouched()
        assert await place.stand_at(one) is first
        assert told == [], "nothing was restored"

    tell(story)


def test_a_sandbox_at_rest_wakes_when_a_reply_is_heard(tell: Tell) -> None:
    async def story(place: Workplace) -> None:
        place.rouse("text", "there is none yet")
        sandbox = await place.stand_at("")
        assert isinstance(sandbox, LiveSandbox)
        await sh(sandbox, "true")
        box = Box(sandbox, place.place)
        await box.rest()
        place.rouse("text", "I")
        for _ in iter(lambda: box.first, "python3"):
            await asyncio.sleep(0.001)
        place.rouse("text", " will")
        assert await sh(sandbox, "cat a") == "one\n"

    tell(story)


def test_who_may_reach_nothing_works_in_another_sandbox_from_the_same_snapshot(tell: Tell) -> None:
    look = "env | grep -c ^https_proxy; cat a"

    async def story(place: Workplace) -> None:
        place.place = replace(place.place, hosts=("api.nowhere.invalid",), inspect=("api.nowhere.invalid",))
        first = await place.stand_at("")
        place.touched()
        assert await sh(first, f"echo two > a; sleep 1000 & {look}") == "1\ntwo\n"
        one = await place.keep()
        assert not await place.connect(allowed=True), "it is as it should be"
        assert await place.connect(allowed=False)
        assert not await place.connect(allowed=False)
        cut = await place.stand_at(one)
        assert cut is not first, "what was left running there could reach it still"
        assert await sh(cut, look) == "0\ntwo\n"
        assert await place.connect(allowed=True)
        assert await sh(await place.stand_at(one), look) == "1\ntwo\n"

    tell(story)


def test_where_nothing_can_be_reached_there_is_nothing_to_take(tell: Tell) -> None:
    async def story(place: Workplace) -> None:
        first = await place.stand_at("")
        assert not await place.connect(allowed=False)
        assert await place.stand_at("") is first

    tell(story)


def test_what_is_in_no_snapshot_did_not_happen(tell: Tell, told: list[event.Event]) -> None:
    async def story(place: Workplace) -> None:
        place_at = await place.stand_at("")
        place.touched()
        await sh(place_at, "echo two > a; echo b > b")
        one = await place.keep()
        place.touched()
        await sh(place_at, "echo lost > a; rm b")
        again = await place.stand_at(one)
        assert again is place_at, "it went back"
        assert await sh(again, "cat a b") == "two\nb\n"
        assert [each.name for each in told] == ["workspace_restored"]
        assert await sh(await place.stand_at(""), "cat a; ls") == "one\na\n"

    tell(story)


def test_leaving_is_safe_at_any_time(tell: Tell, tmp_path: Path) -> None:
    async def story(place: Workplace) -> None:
        await place.leave()
        await place.stand_at("")
        await place.leave()
        await place.leave()
        assert await place.keep() == ""
        with (tmp_path / "run" / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it any more

    tell(story)


def test_one_who_is_cancelled_while_leaving_has_left(tell: Tell) -> None:
    async def story(place: Workplace) -> None:
        await sh(await place.stand_at(""), "true")
        leaving = asyncio.ensure_future(place.leave())
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await sh(await place.stand_at(""), "cat a") == "one\n", "the folder is free"

    tell(story)


def test_a_sandbox_that_cannot_be_opened_leaves_nothing_behind(tell: Tell) -> None:
    async def story(place: Workplace) -> None:
        await place.stand_at("")
        with pytest.raises(SandboxError):
            await place.stand_at("0123456789abcdef")
        assert await sh(await place.stand_at(""), "cat a") == "one\n"

    tell(story)


REPLY = ModelReply(parts=(Text(text="hello \U0001f600\u2028"),), stop="end", usage=Usage(input=1), model="m", cost=0.5)


def test_a_reply_is_found_whole_or_not_at_all(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "replies")
    assert journal.find("k") is None
    journal.keep("k", REPLY, by="r/1")
    assert journal.find("k") == REPLY
    assert Journal(tmp_path / "replies").find("k") == REPLY, "also by the next process"
    assert journal.find("other") is None
    file = tmp_path / "replies" / "k.json"
    whole = file.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert journal.find("k") is None
    file.write_bytes(b"\0" * len(whole))
    assert journal.find("k") is None
    journal.keep("k", REPLY, by="r/1")
    assert journal.find("k") == REPLY
    assert [each.name for each in file.parent.iterdir()] == ["k.json"]


def test_a_reply_that_cannot_be_kept_is_the_disk_s_fault(tmp_path: Path) -> None:
    (tmp_path / "replies").write_text("a file where the folder should be")
    with pytest.raises(SandboxError, match="cannot be kept") as caught:
        Journal(tmp_path / "replies").keep("k", REPLY, by="r/1")
    assert "free space" in caught.value.hint
