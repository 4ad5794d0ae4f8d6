"""Long outputs: their ends are shown, the whole is kept and can be read by range."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightmill.errors import ToolError
from nightmill.tool.base import MOST_CHARACTERS
from nightmill.tool.outputs import FolderOutputs, MemoryOutputs, Outputs, shown
from tests.tool.conftest import Bench, Tell

LINES = [f"line {number}" for number in range(1, 100_001)]


def reference(text: str) -> str:
    found = re.search(r'reference "(out-[0-9a-f]{10})"', text)
    assert found, text[:200]
    return found[1]


def test_what_was_left_out_of_a_command_can_be_read_and_searched(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        text = await bench.sh("for n in $(seq 100000); do echo line $n; done; exit 3")
        assert len(text) < MOST_CHARACTERS + 200
        assert text.startswith("line 1\n")
        assert text.endswith("line 100000\n(exit status 3)")
        gap = re.search(r"\[… lines ([\d,]+) to ([\d,]+) left out, [\d,]+ characters; read_output has the whole", text)
        assert gap
        first, last = (int(each.replace(",", "")) for each in gap.groups())
        assert f"line {first - 1}\n[…" in text
        assert f"…]\nline {last + 1}\n" in text

        name = reference(text)
        part = await bench.text("read_output", reference=name, offset=first, limit=2)
        assert part == f"{first}\tline {first}\n{first + 1}\tline {first + 1}\n(lines {first}–{first + 1} of 100000)"
        hits = await bench.text("read_output", reference=name, pattern="^line 7777$", context=1)
        assert hits == "7776-line 7776\n7777:line 7777\n7778-line 7778\n"
        assert await bench.text("read_output", reference=name, pattern="nothing") == "(no hits)"
        assert "regex parse error" in await bench.refused("read_output", reference=name, pattern="((")
        assert "has 100000 lines" in await bench.refused("read_output", reference=name, offset=100_001)
        for odd in ("", "../../etc/passwd", "out-0000000000", "x" * 10_000):
            assert "run the command again" in await bench.refused("read_output", reference=odd)

    tell(story)


def test_one_endless_line_is_read_by_column(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        text = await bench.sh("head -c 50000 /dev/zero | tr '\\0' a; echo needle; head -c 50000 /dev/zero | tr '\\0' b")
        assert "left out" in text
        name = reference(text)
        part = await bench.text("read_output", reference=name, limit=1, column=49_001)
        assert part == f"1\t{'a' * 1000}needle\n(lines 1–1 of 2)"
        first = await bench.text("read_output", reference=name, limit=1)
        assert first.endswith("[… 48,006 characters more: column 2001 …]\n(lines 1–1 of 2)")

    tell(story)


def test_hits_of_a_search_are_kept_too_and_a_page_is_bounded(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.sh("for f in $(seq 60); do for n in $(seq 40); do echo needle $n; done > f$f.txt; done")
        text = await bench.text("search", pattern="needle")
        name = reference(text)
        everything = await bench.text("read_output", reference=name, limit=1000)
        assert len(everything) < MOST_CHARACTERS + 100
        assert re.search(r"\(lines 1–\d+ of 2401\)$", everything)
        only = await bench.text("read_output", reference=name, pattern="f33.txt:7:")
        assert only.partition(":")[2] == "f33.txt:7:needle 7\n"

    tell(story)


@given(
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=60),
    most=st.integers(20, 400),
)
def test_ends_and_what_is_between_them_are_the_whole(lines: list[str], most: int) -> None:
    text = "\n".join(lines)
    outputs = MemoryOutputs()

    told = shown(text, outputs, most=most)

    if len(text) <= most:
        assert told == text
        return
    assert outputs.get(reference(told)) == text
    marker = re.search(r"\[… lines? ([\d,]+)(?: to ([\d,]+))? left out, ([\d,]+) characters; .*? …\]\n", told)
    assert marker
    head, tail = told[: marker.start()], told[marker.end() :]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(text) - len(head) - len(tail) == int(marker[3].replace(",", ""))


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_the_same_text_has_the_same_reference_and_the_oldest_go_when_room_is_short(kind: str, tmp_path: Path) -> None:
    outputs: Outputs = MemoryOutputs(most=1000) if kind == "memory" else FolderOutputs(tmp_path / "o", most=1000)
    first, second = outputs.put("a" * 400), outputs.put("é" * 200)

    assert outputs.put("a" * 400) == first
    assert outputs.get(second) == "é" * 200
    third = outputs.put("c" * 450)

    assert outputs.get(third) == "c" * 450
    assert outputs.get(first) == "a" * 400, "it was put again after the second"
    if kind == "folder":
        with pytest.raises(ToolError, match="run the command again"):
            outputs.get(second)
    outputs.put("d" * 700)
    for gone in (first, second, third):
        with pytest.raises(ToolError):
            outputs.get(gone)


def test_files_outlive_the_worker_and_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    name = FolderOutputs(tmp_path / "outputs").put("one \udc80 two")

    assert FolderOutputs(tmp_path / "outputs").get(name) == "one \udc80 two"
    (tmp_path / "file").write_text("")
    broken = FolderOutputs(tmp_path / "file" / "outputs")
    assert broken.put("x") == ""
    told = shown("x" * 100, broken, most=50)
    assert "left out" in told
    assert "reference" not in told
    with pytest.raises(ToolError):
        broken.get("../x")


def test_what_is_larger_than_anything_that_is_kept_keeps_its_ends() -> None:
    outputs = MemoryOutputs(most=1000)

    kept = outputs.get(outputs.put("a" * 600 + "b" * 600))

    assert kept == "a" * 500 + "\n[… 200 characters were not kept …]\n" + "b" * 500
