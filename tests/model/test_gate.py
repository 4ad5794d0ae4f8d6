"""Many runs on one key: one that is told to wait stops all, and they go on in order, over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import pytest

from bench.limited import Limited
from nightmill.errors import NotYet, SettingsError
from nightmill.model import Message, Model, ModelRequest, Text, rates
from nightmill.model.connect import ACCOUNTS, client, connect
from nightmill.model.gate import Gates
from nightmill.model.rates import Rate
from nightmill.settings import Settings
from nightmill.store import Database
from nightmill.store.gates import Gates as Rows

SETTINGS = Settings(retries=3, retry_after=30.0, idle_read=30)


MADE: list[Gates] = []
"""What has to be closed before its store."""


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    while MADE:
        MADE.pop().close()
    database.close()


Said = Mapping[str, Mapping[str, float]]


def gates(database: Database, *, worker: str = "w", said: Said | None = None, patience: float = 30.0) -> Gates:
    """The gates of one worker; several on one database are as several processes."""
    draw = Random(1)
    rows, clock = Rows(database), time.monotonic
    MADE.append(Gates(rows, worker=worker, said=said or {}, patience=patience, clock=clock, random=draw.random))
    return MADE[-1]


def request(who: str) -> ModelRequest:
    return ModelRequest(
        model="m", system=(who,), messages=(Message(role="user", parts=(Text(text="go"),)),), conversation=who
    )


async def many(
    endpoint: Limited, made: list[Gates | None], *, runs: int, turns: int, settings: Settings = SETTINGS
) -> list[BaseException]:
    """*runs* that ask *turns* times each, with the gates of as many workers as there are; what they failed of."""

    async def one(who: str, model: Model) -> None:
        for _ in range(turns):
            await model.reply(request(who))

    async with endpoint.serve() as url, client(settings) as http:
        models = [
            connect("anthropic:m", keys={"anthropic": "key"}, base_url=url, settings=settings, client=http, gates=each)
            for each in made
        ]
        stories = (one(f"r{number}", models[number % len(models)]) for number in range(runs))
        ended = await asyncio.gather(*stories, return_exceptions=True)
    return [each for each in ended if each is not None]


def test_a_storm_is_met_by_few_and_nobody_fails(database: Database) -> None:
    endpoint = Limited(minute=30000, burst=5, retry_after=0.3)
    failed = asyncio.run(many(endpoint, [gates(database)], runs=50, turns=2))

    assert failed == []
    assert len(endpoint.served) == 100
    assert endpoint.refused < 100, "without a gate a call is refused twice and more"


def test_a_bound_that_only_a_refusal_tells_binds_nobody_for_longer_than_it_says(database: Database) -> None:
    gate = gates(database, patience=10.0).of("anthropic", secret="key", address="a")
    headers = {"anthropic-ratelimit-requests-limit": "5", "anthropic-ratelimit-requests-remaining": "0"}

    async def calls() -> None:
        for number in range(12):  # of five a minute, the sixth would wait longer than the patience
            passage = await gate.enter(f"r{number}", size=100, most=100, tell=lambda _: None)
            passage.heard(*((429, headers) if number == 0 else (200, {})), wait=0.01)
            passage.leave()

    asyncio.run(calls())


def test_limits_that_the_provider_tells_are_kept_from_then_on(database: Database) -> None:
    endpoint = Limited(minute=120, burst=120, headers=True)
    failed = asyncio.run(many(endpoint, [gates(database)], runs=31, turns=4))

    assert failed == []
    assert endpoint.refused <= 5


def test_what_the_operator_says_is_never_passed_by_two_workers_together(database: Database) -> None:
    said = {"anthropic": {"requests": 1200.0}}
    endpoint = Limited(minute=1200, burst=41)
    failed = asyncio.run(many(endpoint, [gates(database, worker=each, said=said) for each in "ab"], runs=80, turns=1))

    assert failed == []
    assert endpoint.refused == 0


def test_only_so_many_calls_are_open_at_once_in_all_workers_together(database: Database) -> None:
    said = {"anthropic": {"open": 3.0}}
    endpoint = Limited(at_once=3, seconds=0.05)
    failed = asyncio.run(many(endpoint, [gates(database, worker=each, said=said) for each in "ab"], runs=12, turns=1))

    assert failed == []
    assert endpoint.refused == 0
    assert 1 < endpoint.most_open <= 3


def test_none_is_served_twice_before_all_are_once(database: Database) -> None:
    endpoint, said = Limited(seconds=0.0), {"anthropic": {"open": 1.0}}
    asyncio.run(many(endpoint, [gates(database, said=said)], runs=10, turns=3))

    for number in range(3):
        assert set(Counter(endpoint.served[10 * number : 10 * number + 10]).values()) == {1}


def test_a_longer_wait_than_is_slept_through_lets_all_runs_of_all_workers_park(database: Database) -> None:
    endpoint = Limited(minute=0.001, burst=0, retry_after=500.0)
    workers = [gates(database, worker="a"), gates(database, worker="b")]
    settings = Settings(retries=0, retry_after=5.0, idle_read=30)
    first = asyncio.run(many(endpoint, [workers[0]], runs=1, turns=1, settings=settings))
    assert endpoint.refused == 1

    # The key is told apart by its address, so the same must be used again.
    key = next(iter(workers[0]._found))
    gate = workers[1]._found.setdefault(
        key, type(workers[0]._found[key])(workers[1], key, name="b", account="anthropic")
    )

    async def enter(number: int) -> Any:
        return await gate.enter(f"r{number}", size=100, most=100, tell=lambda words: None)

    async def all_of_them() -> list[Any]:
        await workers[0].do(lambda: None)
        return await asyncio.gather(*(enter(number) for number in range(50)), return_exceptions=True)

    parked = asyncio.run(all_of_them())
    assert len(first) == 1
    assert all(isinstance(each, NotYet) and 490 < each.seconds < 560 for each in parked)
    assert endpoint.refused == 1, "nobody else ran into it"


def test_who_waited_in_vain_comes_back_to_its_place(database: Database) -> None:
    made = gates(database)
    gate = made.of("anthropic", secret="k", address="http://x")
    order: list[str] = []

    async def enter(who: str) -> None:
        passage = await gate.enter(who, size=1, most=1, tell=lambda words: None)
        order.append(who)
        passage.leave()

    async def close(seconds: float) -> None:
        await made.do(
            lambda: made.rows.change(gate.key, name="x", by=lambda body, now: body.update(closed=now + seconds))
        )

    async def story() -> None:
        await close(60.0)
        ended = await asyncio.gather(*(enter(who) for who in "abcde"), return_exceptions=True)
        assert all(isinstance(each, NotYet) for each in ended)
        await close(0.0)
        await asyncio.gather(*(enter(who) for who in "xedcba"))

    asyncio.run(story())
    assert "".join(order) == "xabcde", "x came when nobody was in line"


def test_where_nothing_bounds_nothing_is_written(database: Database) -> None:
    endpoint = Limited()
    asyncio.run(many(endpoint, [gates(database)], runs=20, turns=3))

    assert Rows(database).all() == []


def test_a_call_that_is_cancelled_in_line_or_at_work_holds_nothing(database: Database) -> None:
    made = gates(database, said={"anthropic": {"open": 1.0}})
    gate = made.of("anthropic", secret="k", address="http://x")

    async def story() -> None:
        def enter(who: str) -> asyncio.Task[Any]:
            return asyncio.ensure_future(gate.enter(who, size=1, most=1, tell=lambda words: None))

        passage = await enter("a")
        waiting = [enter(who) for who in "bcd"]
        await asyncio.sleep(0.1)
        for task in waiting[:2]:
            task.cancel()
        await asyncio.wait(waiting[:2])
        passage.leave()
        (await waiting[2]).leave()
        assert gate.open == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("anthropic 50 rpm", {"anthropic": {"requests": 50}}),
        (
            "anthropic: 50 rpm, 400K itpm, 80000 otpm, 20 at once; openai 2m tpm",
            {
                "anthropic": {"requests": 50, "input": 400_000, "output": 80_000, "open": 20},
                "openai": {"tokens": 2_000_000},
            },
        ),
    ],
)
def test_what_an_operator_writes_is_read(text: str, found: Any) -> None:
    assert rates.read(text, known=ACCOUNTS) == found


@pytest.mark.parametrize("text", ["antropic 5 rpm", "anthropic", "anthropic 5", "anthropic 0 rpm", "anthropic 5 rpm 6"])
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(SettingsError, match="`rates`"):
        rates.read(text, known=ACCOUNTS)


def test_headers_of_both_kinds_are_read() -> None:
    anthropic = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-input-tokens-limit": "400000",
        "anthropic-ratelimit-input-tokens-remaining": "390000",
        "anthropic-ratelimit-tokens-limit": "480000",
        "anthropic-ratelimit-tokens-remaining": "1",
    }
    openai = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-limit-tokens": "?",
    }

    assert rates.told(anthropic) == {"requests": (50, 49), "input": (400_000, 390_000)}
    assert rates.told(openai) == {"requests": (60, 0)}


def test_no_minute_holds_more_than_the_operator_says() -> None:
    """Whenever calls come, in any sixty seconds not more are let through than a minute's worth."""
    draw, found, now, went = Random(7), {"requests": Rate.said(50)}, 0.0, []
    levels: dict[str, Any] = {}
    for _ in range(400):
        now += draw.choice((0.0, 0.0, 0.5, 20.0))
        wait = rates.wait(found, levels, {"requests": 1.0}, now=now)
        levels["requests"][0] += 1
        now += wait
        went.append(now)

    assert max(sum(1 for each in went if start <= each < start + 60) for start in went) <= 50
