"""What a workflow can rely on, in one process."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from nightmill.durable import LIMIT, Bounds, Engine, Workflow
from nightmill.errors import EngineError, ModelUnavailable, SandboxError
from nightmill.store import process

Story = Callable[[Engine], Awaitable[None]]


class Canary:
    """Something that is not plain data and whose text must not reach a log."""

    def __repr__(self) -> str:
        return "SECRET-CANARY"


def tell(
    url: str,
    workflows: dict[str, Workflow],
    story: Story,
    *,
    name: str = "test",
    hold: list[Engine] | None = None,
    **bounds: int,
) -> None:
    """Launch an engine, tell *story* with it and close it. Workflows find it in *hold*."""

    async def main() -> None:
        limits = Bounds(**{"concurrency": 10, **bounds})
        engine = await Engine.launch(url, executor_id=name, workflows=workflows, bounds=limits)
        if hold is not None:
            hold[:] = [engine]
        try:
            await story(engine)
        finally:
            await engine.close()

    asyncio.run(main())


@pytest.fixture
def place(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/engine.db"


def test_a_run_goes_through_its_steps_once_and_starting_it_again_changes_nothing(url: str) -> None:
    hold: list[Engine] = []
    seen: list[str] = []

    async def body(word: str) -> dict[str, Any]:
        seen.append(word)
        return {"word": word, "n": [1, 2.5, None, True]}

    async def work(word: str) -> list[Any]:
        return [await hold[0].step("one", body, word), await hold[0].step("two", body, word + "!")]

    async def story(engine: Engine) -> None:
        assert await engine.status("r1") == "absent"
        await engine.start("r1", "work", "a")
        first = await engine.result("r1")
        await engine.start("r1", "work", "b")
        assert await engine.result("r1") == first == [{"word": w, "n": [1, 2.5, None, True]} for w in ("a", "a!")]
        assert await engine.status("r1") == "ended"

    tell(url, {"work": work}, story, hold=hold)
    assert seen == ["a", "a!"]


def test_steps_and_workflows_run_on_the_loop_that_launched_the_engine(place: str) -> None:
    hold: list[Engine] = []
    places: list[object] = []

    async def body() -> None:
        places.append((asyncio.get_running_loop(), threading.current_thread()))

    async def work() -> None:
        await body()
        await hold[0].step("body", body)

    async def story(engine: Engine) -> None:
        await body()
        await engine.start("r", "work")
        await engine.result("r")

    tell(place, {"work": work}, story, hold=hold)
    assert len(set(places)) == 1
    assert len(places) == 3


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Canary(), "the result of step 'show' is not plain data: the value itself is a Canary"),
        ({"a": [1, (2, 3)]}, "the result of step 'show' is not plain data: .a[1] is a tuple"),
        ({1: 2}, "has a name that is not a string"),
        (float("nan"), "the value itself is nan"),
        ("x" * LIMIT, "the result of step 'show' is 65,538 bytes of JSON, more than 65,536"),
        ("x" * 20_000_000, "is 20,000,002 bytes"),
    ],
)
def test_a_result_that_may_not_cross_the_store_is_an_error_that_names_its_step(
    place: str, value: object, said: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    hold: list[Engine] = []

    async def show() -> Any:
        return value

    async def work() -> None:
        await hold[0].step("show", show)

    async def story(engine: Engine) -> None:
        await engine.start("r", "work")
        with pytest.raises(EngineError) as caught:
            await engine.result("r")
        assert said in str(caught.value)

    tell(place, {"work": work}, story, hold=hold)
    assert "CANARY" not in caplog.text + "".join(capfd.readouterr())


def test_an_error_of_ours_comes_out_as_itself_and_any_other_as_the_engines(
    place: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    hold: list[Engine] = []

    async def busy() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(late())

    async def late() -> None:
        raise ModelUnavailable("busy", hint="wait", retry_after=7.5)

    async def broken() -> None:
        raise KeyError("nothing")

    async def work(which: str) -> None:
        await hold[0].step(which, busy if which == "busy" else broken)

    async def story(engine: Engine) -> None:
        for which in ("busy", "broken"):
            await engine.start(which, "work", which)
        with pytest.raises(ModelUnavailable, match="busy") as caught:
            await engine.result("busy")
        assert (caught.value.hint, caught.value.retry_after) == ("wait", 7.5)
        with pytest.raises(EngineError, match="step 'broken' cannot be had: KeyError: 'nothing'"):
            await engine.result("broken")
        with pytest.raises(EngineError, match="no workflow 'none'"):
            await engine.start("x", "none")
        with pytest.raises(EngineError, match="arguments of run 'x' is not plain"):
            await engine.start("x", "work", Canary())
        with pytest.raises(EngineError, match="outside a workflow"):
            await engine.step("loose", broken)

    tell(place, {"work": work}, story, hold=hold)
    assert "the result of step 'broken' cannot be had" in caplog.text
    assert capfd.readouterr().err == "", "the engine wrote to stderr by itself"


def test_messages_reach_a_run_early_or_late_once_each_and_a_wait_can_end_without(url: str) -> None:
    hold: list[Engine] = []

    async def work() -> list[Any]:
        got = [await hold[0].receive("answer", 60) for _ in range(3)]
        return [*got, await hold[0].receive("answer", 0.05)]

    async def story(engine: Engine) -> None:
        await engine.start("r", "work")
        await engine.send("r", "answer", {"ok": True}, key="1")
        await engine.send("r", "answer", {"ok": True}, key="1")
        await engine.send("r", "other", "not for it", key="2")
        await engine.send("r", "answer", None, key="3")
        await engine.send("r", "answer", "late", key="4")
        assert await engine.result("r") == [{"ok": True}, None, "late", None]
        with pytest.raises(EngineError, match="nobody"):
            await engine.send("nobody", "answer", 1, key="5")

    tell(url, {"work": work}, story, hold=hold)


def test_parents_that_wait_do_not_take_the_places_of_their_children(url: str) -> None:
    hold: list[Engine] = []

    async def parent(name: str) -> list[Any]:
        for at in range(2):
            await hold[0].start(f"{name}-{at}", "child", at)
        return [await hold[0].result(f"{name}-{at}") for at in range(2)]

    async def child(at: int) -> int:
        if at == 1:
            raise SandboxError("no room")
        return at

    async def story(engine: Engine) -> None:
        await engine.start("p", "parent", "p")
        with pytest.raises(SandboxError, match="no room"):
            await engine.result("p")
        assert await engine.result("p-0") == 0

    tell(url, {"parent": parent, "child": child}, story, hold=hold, concurrency=1)


def test_no_more_runs_at_once_than_the_bound_and_the_rest_wait_their_turn(place: str) -> None:
    hold: list[Engine] = []
    now: set[str] = set()
    most = 0

    async def body(run: str) -> None:
        nonlocal most
        now.add(run)
        most = max(most, len(now))
        await asyncio.sleep(0.02)
        now.remove(run)

    async def work(run: str) -> None:
        await hold[0].step("body", body, run)

    async def story(engine: Engine) -> None:
        for at in range(12):
            await engine.start(str(at), "work", str(at))
        for at in range(12):
            await engine.result(str(at))

    tell(place, {"work": work}, story, hold=hold, concurrency=3)
    assert most <= 3


def test_cancelling_ends_a_step_at_once_with_its_clean_up_and_close_leaves_runs_to_others(place: str) -> None:
    hold: list[Engine] = []
    ended: list[str] = []
    begun = asyncio.Event()

    async def body(run: str) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(run)

    async def work(run: str) -> None:
        await hold[0].step("body", body, run)

    async def story(engine: Engine) -> None:
        await engine.start("gone", "work", "gone")
        await begun.wait()
        await engine.cancel("gone")
        with pytest.raises(EngineError, match="cancelled"):
            await engine.result("gone")
        assert await engine.status("gone") == "cancelled"
        begun.clear()
        await engine.start("kept", "work", "kept")
        await begun.wait()

    async def after(engine: Engine) -> None:
        assert await engine.status("kept") == "running"
        assert await engine.holds("test") == ["kept"]

    tell(place, {"work": work}, story, hold=hold)
    assert ended == ["gone", "kept"]
    tell(place, {"work": work}, after, name="next", concurrency=0)


def test_one_engine_at_a_time_in_one_process_and_none_on_a_broken_database(place: str, tmp_path: Path) -> None:
    async def again(engine: Engine) -> None:
        with pytest.raises(EngineError, match="already runs"):
            await Engine.launch(place, executor_id="two", workflows={}, bounds=Bounds(concurrency=1))
        assert await engine.status("x") == "absent", "the refusal has not hurt the engine that runs"

    (tmp_path / "text.db").write_text("this is not a database" * 100)
    for url in (f"sqlite:///{tmp_path}/text.db", "postgresql://127.0.0.1:1/none"):
        with pytest.raises(EngineError, match="cannot start"):
            tell(url, {}, again)
    tell(place, {}, again)


def test_gathered_steps_keep_their_numbers(place: str) -> None:
    hold: list[Engine] = []

    async def body(at: int) -> int:
        await asyncio.sleep(0.01 * (5 - at))
        return at

    async def work() -> list[int]:
        return list(await asyncio.gather(*(hold[0].step(f"s{at}", body, at) for at in range(5))))

    async def story(engine: Engine) -> None:
        await engine.start("r", "work")
        assert await engine.result("r") == [0, 1, 2, 3, 4]

    tell(place, {"work": work}, story, hold=hold)


def test_the_threads_stay_bounded_with_hundreds_of_waiting_runs(place: str) -> None:
    hold: list[Engine] = []

    async def work() -> str:
        await hold[0].sleep(0.3)
        return "slept"

    async def story(engine: Engine) -> None:
        for at in range(200):
            await engine.start(str(at), "work")
        most = 0
        while await engine.status("199") != "ended":
            most = max(most, threading.active_count())
        assert most < 40

    tell(place, {"work": work}, story, hold=hold, concurrency=200)


def test_this_process_is_alive_until_it_is_not(tmp_path: Path) -> None:
    assert process.is_alive(1, process.started(1))
    assert not process.is_alive(1, "12345678")
    assert not process.is_alive(2**22 + 1, "")
    assert process.started(2**22 + 1) == ""
    assert process.host().count("/") >= 2


def test_the_engines_warnings_reach_the_given_log(place: str) -> None:
    log = logging.getLogger("nightmill.test.engine")
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    log.addHandler(Ear())

    async def main() -> None:
        engine = await Engine.launch(place, executor_id="test", workflows={}, bounds=Bounds(concurrency=1), log=log)
        logging.getLogger("dbos").warning("a warning")
        logging.getLogger("dbos").info("talk")
        await engine.close()

    asyncio.run(main())
    assert heard == ["a warning"]
