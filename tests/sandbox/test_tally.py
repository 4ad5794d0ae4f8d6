"""Requests on their way to the ledger: all of them counted, few of them told."""

from __future__ import annotations

from nightmill.sandbox.network.reach import Request
from nightmill.sandbox.network.tally import Tally


def request(number: int, *, host: str = "evil.example") -> Request:
    return Request(
        host=host, port=443, method="GET", path=f"/{number}", status=403, up=10, down=1, reason="not allowed"
    )


def test_few_requests_are_told_one_by_one() -> None:
    told: list[Request] = []
    tally = Tally(told.append)
    asked = [request(number) for number in range(100)]
    for each in asked:
        tally.add(each)
    tally.end()

    assert told == asked


def test_a_loop_of_a_hundred_thousand_is_some_hundred_records_that_add_up() -> None:
    told: list[Request] = []
    tally = Tally(told.append)
    for number in range(100_000):
        tally.add(request(number))
    tally.end()

    assert len(told) < 330
    assert sum(each.count for each in told) == 100_000
    assert sum(each.up for each in told) == 1_000_000
    assert {each.path for each in told if each.count > 1} == {""}


def test_names_without_end_are_summed_as_one_kind() -> None:
    told: list[Request] = []
    tally = Tally(told.append)
    for number in range(100_000):
        tally.add(request(number, host=f"n{number}.example"))
    tally.end()

    assert len(told) < 600
    assert sum(each.count for each in told) == 100_000
