"""Two moments compared on the host say what a look inside both says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.disk.view import differences, opened
from tests.sandbox.box import Box, Within
from tests.sandbox.programs import CHURN
from tests.sandbox.views import look


def told(directory: Path, layers: tuple[Path, ...], shelf: Shelf, one: str, other: str) -> dict[str, str]:
    with (
        opened(directory, one, layers=layers, shelf=shelf) as before,
        opened(directory, other, layers=layers, shelf=shelf) as after,
    ):
        return {ascii(f"/work/{each.path}"): each.what for each in differences(before, after)}


def expect(old: dict[str, list[object]], new: dict[str, list[object]]) -> dict[str, str]:
    found = dict.fromkeys(old.keys() - new.keys(), "removed") | dict.fromkeys(new.keys() - old.keys(), "added")
    both = (old.keys() & new.keys()) - {"hard links", "'/work'"}
    return found | {path: "changed" for path in both if body(old[path]) != body(new[path])}


def without(found: dict[str, str], shut: set[str]) -> dict[str, str]:
    """*found*, but for what could not be read inside: there, nothing can be said of its contents."""
    return {path: what for path, what in found.items() if path not in shut}


def body(facts: list[object]) -> list[object]:
    """Mode, size and hash of a file, target of a link; neither times nor attributes."""
    return [facts[0], *(each for each in facts[2:] if not isinstance(each, list))]


@pytest.mark.parametrize("seed", ["yew", "ivy"])
def test_what_differs_is_what_was_seen_to_differ(within: Within, tmp_path: Path, seed: str) -> None:
    async def scenario(box: Box) -> None:
        taken = []
        for turn in range(8):
            await box.python(CHURN, str(turn), seed)
            seen = await look(box.sandbox)
            box.sandbox.many = 0 if turn in {2, 5} else 1 << 30  # some of it is in layers of the shelf then
            taken.append((await box.sandbox.snapshot(), seen))
            while box.sandbox.tasks:
                await asyncio.wait(box.sandbox.tasks)
        shelf = Shelf(tmp_path / "shelf")
        assert shelf.layers()
        for one, old in taken:
            for other, new in taken:
                shut = {path for seen in (old, new) for path, facts in seen.items() if "shut" in facts}
                found = told(box.place.directory, box.place.layers, shelf, one, other)
                assert without(found, shut) == without(expect(old, new), shut)

    within(scenario, sandboxes=BubblewrapSandboxes(shelf=tmp_path / "shelf"))


def test_a_link_to_the_host_is_told_and_not_followed(within: Within, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")

    async def scenario(box: Box) -> None:
        first = await box.sandbox.snapshot()
        await box.sh(f"ln -s {secret} repo/link; ln -s {tmp_path} repo/gone/up; mkfifo repo/fifo; rm repo/kept.txt")
        second = await box.sandbox.snapshot()
        shelf = Shelf(tmp_path / "shelf")
        with (
            opened(box.place.directory, first, layers=box.place.layers, shelf=shelf) as before,
            opened(box.place.directory, second, layers=box.place.layers, shelf=shelf) as after,
        ):
            found = {each.path: each for each in differences(before, after)}
        assert {path: each.what for path, each in found.items()} == {
            "repo/fifo": "added",
            "repo/gone/up": "added",
            "repo/kept.txt": "removed",
            "repo/link": "added",
        }
        assert found["repo/link"].new == str(secret).encode()
        assert found["repo/kept.txt"].old == b"kept\n"

    within(scenario)
