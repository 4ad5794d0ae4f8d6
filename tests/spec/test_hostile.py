"""Whatever a spec holds, it is read and judged, or refused with a SpecError; and the work grows with its length."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill import spec
from nightmill.errors import SpecError

PIECES = [
    "# ", "## Acceptance criteria\n", "## Requirements\n", "### Requirement: ", "#### Scenario: ", "### User Story 1 - ",
    "- ", "  - ", "1. ", "- [ ] ", "- [x] T001 [P] [US1] ", "**Goal:** ", "FR-001: ", "**AC1**", "Given ", "When ",
    "then ", "\n", "\n\n", "```", "~~~\n", "<!--", "-->", "<a ", ">", "| a | b |\n", "| --- | --- |\n", "---\n", "[", "](", "`",
    '"', "TODO:", "???", "fast", "depends on T001", "_Requirements: 1.1_", "title: x\n", "\ufeff", "\u2028", "\x1b", "\t", "é", "=\n",
]  # fmt: skip

HOSTILE: dict[str, Callable[[int], str]] = {
    "hashes": lambda size: "#" * size,
    "headings": lambda size: "# acceptance criteria\n" * (size // 22),
    "criteria": lambda size: "# T\n## Requirements\n- R1 a\n## Done\n" + "- `1` fast R1 maybe?\n" * (size // 21),
    "many of both": lambda size: "## Requirements\n" + "- a word\n" * (size // 22) + "## Done\n" + "- a `1`\n" * (size // 22),
    "nested lists": lambda size: ("- " * 9 + "a\n") * (size // 20),
    "deep lists": lambda size: "- " * (size // 2),
    "quotes": lambda size: ">" * size,
    "unclosed fences": lambda size: "```\n" + "x" * 60 + "\n" + ("~~~\n" + "y" * 60 + "\n") * (size // 66),
    "brackets": lambda size: "[describe " * (size // 10),
    "angles": lambda size: "<a " * (size // 3),
    "ticks": lambda size: "`" * size,
    "stars": lambda size: "**a" * (size // 3),
    "comments": lambda size: "a <!-- " * (size // 7),
    "labels": lambda size: "**Goal:** x **Tests:**\n" * (size // 23),
    "steps": lambda size: "## Done\n" + "- and when then a\n" * (size // 18),
    "scenarios": lambda size: "## Done\n```\n" + "Given when then, more of it\n" * (size // 28),
    "table": lambda size: "## Done\n| a | b |\n| --- | --- |\n" + "| AC1 | it is 2 | and more |\n" * (size // 29),
    "paths": lambda size: "# T\n## Tasks\n- [ ] " + "a/" * (size // 2),
    "marks": lambda size: "# T\n## Tasks\n- [ ] " + "[P] " * (size // 4),
    "dependencies": lambda size: "# T\n## Tasks\n" + "- [ ] T1 do (depends on T2) that\n" * (size // 33),
    "paragraphs of one item": lambda size: "- a\n\n" + ("  " + "b" * 40 + "\n\n") * (size // 44),
    "spaces": lambda size: "a" + " " * size + "b",
}  # fmt: skip


def judge(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzz.md"
        path.write_bytes(body)
        try:
            found = spec.read(path)
        except SpecError:
            return
        verdict = spec.assess(found, threshold=70)
        assert 0 <= verdict.score <= 100
        assert all(flaw.advice and flaw.line >= 0 for flaw in verdict.flaws)
        assert spec.from_plain(spec.to_plain(found)) == found


@given(st.binary(max_size=400))
@settings(max_examples=150)
def test_any_bytes_are_judged_or_refused(body: bytes) -> None:
    judge(body)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=60))
@settings(max_examples=250)
def test_any_markdown_is_judged_or_refused(pieces: list[str]) -> None:
    judge("".join(pieces).encode("utf-8", "replace"))


def calls(work: Callable[[], object]) -> int:
    """How many functions *work* calls."""
    count = 0

    def tell(_: FrameType, event: str, __: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(tell)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", HOSTILE)
def test_work_grows_no_faster_than_the_text(name: str) -> None:
    small, large = (calls(lambda size=size: judge(HOSTILE[name](size).encode())) for size in (20_000, 80_000))

    assert large < 5 * small + 5_000


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_it_comes_to_an_end(name: str) -> None:
    judge(HOSTILE[name]((1 << 20) - 100).encode()[: 1 << 20])
