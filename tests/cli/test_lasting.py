"""What takes long says so, again and again and ever more seldom; what is quick says one line."""

from __future__ import annotations

import threading
from pathlib import Path

from nightmill.cli.lasting import lasting, written

PATIENCE = 60.0


def test_a_step_that_lasts_is_told_again_with_what_came_of_it_and_the_next_one_in_its_place(tmp_path: Path) -> None:
    said: list[str] = []
    twice, other = threading.Event(), threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if [each.startswith("copying:") for each in said].count(True) >= 2:
            twice.set()
        if text.startswith("installing:"):
            other.set()

    with lasting(say, first=0.01) as step:
        step("copying", so_far=written(tmp_path))
        (tmp_path / "pack").write_bytes(b"x" * 3_000_000)
        assert twice.wait(PATIENCE)
        step("installing")
        assert other.wait(PATIENCE)
    before = len(said)

    assert said[0] == "copying"
    assert any(each.startswith("copying: 3 MB, ") and each.endswith(" s so far") for each in said)
    assert not any(each.startswith("copying") for each in said[said.index("installing") :])
    assert len(said) == before, "nothing is said after the end"


def test_what_is_quick_is_said_once() -> None:
    said: list[str] = []
    with lasting(said.append) as step:
        step("copying")
        step("installing")

    assert said == ["copying", "installing"]
