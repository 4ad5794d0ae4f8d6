"""Markdown of strangers on a page of ours: it reads well, and does nothing."""

from __future__ import annotations

import re

import pytest

from nightmill.report.markdown import markdown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>\n\n<div onclick=alert(1)>x</div>",
        "[x](javascript:alert(1)) ![x](https://evil.example/x.png) <https://evil.example>",
        "[x][1]\n\n[1]: javascript:alert(1)",
        '```"><script>alert(1)</script>\ncode\n```',
        "# <b onmouseover=alert(1)>x</b>\n\n| <i> | b |\n|---|---|\n| <u>1</u> | 2 |",
        "&lt;script&gt; &#60;script&#62;",
    ],
)
def test_nothing_that_was_written_acts(text: str) -> None:
    made = str(markdown(text))

    assert set(re.findall(r"<(\w+)", made)) <= {"p", "pre", "code", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert not re.search(r"<[^>]*\b(on\w+|href|src|style)=", made)


def test_what_makes_no_markup_stands_as_it_was_written() -> None:
    made = str(markdown("See [the guide](https://a.example) &amp; <!-- hidden --> \\.\n\n[x]: https://b.example"))

    for part in (
        "[the guide](https://a.example)",
        "&amp;amp;",
        "&lt;!-- hidden --&gt;",
        "\\.",
        "[x]: https://b.example",
    ):
        assert part in made


def test_headings_lists_emphasis_code_and_signs_that_nobody_sees_are_shown() -> None:
    made = str(markdown("### Do\n\n1. *this*\n2. **that**\n   - `x <y>`\n\n```python\na\u202eb\n```\n"))

    assert '<p class="head h3">Do</p>' in made
    assert "<ol>" in made
    assert "<em>this</em>" in made
    assert "<strong>that</strong>" in made
    assert "<code>x &lt;y&gt;</code>" in made
    assert '<span class="soft">python</span>' in made
    assert '<b class="x">U+202E</b>' in made


@pytest.mark.parametrize("text", [f"{'> ' * 200}hidden", "| a |\n|---|\n| 1 | hidden |", f"{'- ' * 150}hidden"])
def test_what_markdown_would_leave_out_is_there_all_the_same(text: str) -> None:
    assert "hidden" in markdown(text)


@pytest.mark.parametrize("piece", [">", "* ", "- ", "[", "*a", "`", "**_", "|a", "    ", "<", "![", "&"])
def test_no_text_as_long_as_instructions_may_be_holds_a_page_up(piece: str) -> None:
    assert len(markdown(piece * ((64 << 10) // len(piece)))) < 4 << 20
