"""Text of strangers: it cannot act, hide, or take more room than it is given."""

from __future__ import annotations

import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from nightmill.report.diff import between, parse
from nightmill.report.hunks import rows
from nightmill.report.text import fair, one_line, plain, shown, spoken, visible
from tests.report.sample import DIFF

LEGIBLE = set("\n\t") | set(map(chr, range(0x600, 0x606))) | {"\u06dd", "\u0890", "\u0891", "\u08e2"}
"""Controls of Unicode's that lay out text, and signs that it calls format characters although they are seen."""


def test_every_character_that_cannot_be_seen_is_marked() -> None:
    unseen = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in LEGIBLE
    ]

    assert not [f"U+{ord(char):04X}" for char in unseen if char in plain(char) or char in visible(char)]


def test_what_joins_emoji_is_no_mark_and_anywhere_else_it_is() -> None:
    joined = "\U0001f9d1\u200d\U0001f527 \u2764\ufe0f\u200d\U0001f525"

    assert plain(joined) == str(visible(joined)) == joined
    assert plain("a\u200db") == "a[U+200D]b"
    assert plain("\U0001f9d1\u200d\u200d\U0001f527") == "\U0001f9d1[U+200D\N{MULTIPLICATION SIGN}2]\U0001f527"
    assert plain("\U0001f9d1\u200dadmin") == "\U0001f9d1[U+200D]admin"


def test_colours_are_taken_out_but_no_words_are() -> None:
    assert visible("\x1b[1;31mred\x1b[0m\x1b[2K \x1b[?25lplain") == "red plain"
    assert visible("\x1b]0;a title\x07b") == '<b class="x">ESC</b>]0;a title<b class="x">BEL</b>b'


def test_a_progress_bar_overwrites_nothing() -> None:
    assert visible("10%\r20%\r\n") == '10%<b class="x">CR</b>\n20%\n'


def test_repeated_marks_are_counted() -> None:
    assert plain("\u202e" * 500) == "[U+202E\N{MULTIPLICATION SIGN}500]"


@given(st.text(alphabet=st.characters(exclude_categories=[])), st.integers(0, 300))
def test_markup_is_escaped_and_bounded_whatever_the_text(text: str, room: int) -> None:
    cut = shown(text, room)

    for markup in (cut.head, cut.tail):
        bare = Markup(markup).replace(Markup('<b class="x">'), "").replace(Markup("</b>"), "")
        assert "<" not in bare
        assert '"' not in bare
    assert len(cut.head) + len(cut.tail) <= max(room * 1.5, 40 * 45)
    assert 0 <= cut.left_out <= cut.total
    str(cut.head + cut.tail).encode()


def test_what_stands_between_backticks_is_code_and_still_harmless() -> None:
    assert spoken("`a < b` gives `\x00`, one ` alone") == (
        '<code>a &lt; b</code> gives <code><b class="x">NUL</b></code>, one ` alone'
    )


def test_room_is_shared_so_that_short_texts_stay_whole() -> None:
    assert fair([10, 20, 1000, 5000], 1030, most=800) == 500
    assert fair([10, 20], 1000, most=800) == 800
    assert fair([], 1000, most=800) == 800


def test_one_line_is_one_line() -> None:
    assert one_line("  a\n\tb \u2028 c  " * 90, most=12) == "a b c a b c…"


def test_a_diff_of_git_is_read_with_its_numbers() -> None:
    source, tests, changes = parse(DIFF)

    assert [(file.path, file.added, file.removed) for file in (source, tests, changes)] == [
        ("src/humanize/time.py", 6, 3),
        ("tests/test_time.py", 12, 0),
        ("docs/changes/291.fix.md", 1, 0),
    ]
    assert changes.how == ("new, mode 100644",)
    cut = next(line for line in source.lines if line.kind == "cut")
    assert (cut.old, cut.text[slice(*cut.spot)]) == (153, "int(days // 30.5")
    assert changes.lines[-1].text == "No newline at end of file"


def test_a_removed_line_that_looks_like_a_header_is_a_removed_line() -> None:
    (file,) = parse(
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- a/secret\n-diff --git a/y b/y\n+++ b/other\n"
    )

    assert file.path == "x"
    assert [(line.kind, line.text) for line in file.lines[1:4]] == [
        ("cut", "-- a/secret"),
        ("cut", "diff --git a/y b/y"),
        ("add", "++ b/other"),
    ]


@given(st.text(alphabet="+-@ \\ab\n0123,/diff"))
def test_no_line_of_a_diff_is_dropped_silently(text: str) -> None:
    files = parse(f"diff --git a/f b/f\n@@ -1,9 +1,9 @@\n{text}")

    kept = sum(len(file.lines) for file in files)
    assert kept + sum(not line for line in text.split("\n")) >= len(text.split("\n"))


def test_huge_texts_are_compared_in_no_time_and_shown_in_part() -> None:
    lines = between("a\n" * 50_000, "b\n" * 50_000)

    made = rows(lines, 10_000)
    assert len(made.rows) + made.left_out == len(lines)
    assert len(made.rows) < 120
