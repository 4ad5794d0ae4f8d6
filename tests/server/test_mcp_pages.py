"""More runs than an assistant is told of at once: all of them are there, page by page, each once."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from tests.server.assistant import call, talk, token_of
from tests.server.conftest import House, role

RUNS = [f"r{number:03}" for number in range(65)]


@pytest.fixture
def token(house: House) -> str:
    for run in RUNS:
        house.run(run)
    house.run("relsewhere", project="bank")
    return token_of(house, "ada@example.org", role("viewer", "shop"))


def test_every_run_is_a_resource_that_is_listed_once(house: House, token: str) -> None:
    async def story(client: Client) -> list[str]:
        found, cursor = list[str](), None
        while True:
            page = await client.list_resources(cursor=cursor)
            assert len(page.resources) <= 30
            found += [each.uri for each in page.resources]
            if (cursor := page.next_cursor) is None:
                return found

    assert talk(house, token, story) == [f"nightmill://runs/{run}/summary" for run in reversed(RUNS)]


def test_every_run_is_told_of_once_by_the_tool(house: House, token: str) -> None:
    found, cursor = list[str](), ""
    while True:
        done, page = call(house, token, "runs", limit=30, cursor=cursor)
        assert done
        found += [each["id"] for each in page["from_runs"]]
        if not (cursor := page["next"]):
            break
    assert found == list(reversed(RUNS))


def test_a_cursor_that_nobody_was_given_is_refused(house: House, token: str) -> None:
    async def story(client: Client) -> Any:
        with pytest.raises(MCPError, match="none that was given out") as refused:
            await client.list_resources(cursor="../../etc")
        return refused.value.error.code

    assert talk(house, token, story) == -32602
    assert call(house, token, "runs", cursor="x")[0] is False
