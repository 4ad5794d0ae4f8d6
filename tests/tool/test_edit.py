"""An edit lands where it was meant, or nowhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill.errors import ToolError
from nightmill.tool.landing import apply_edit


def edited(text: str, old: str, new: str, *, everywhere: bool = False) -> str:
    return apply_edit(text, old=old, new=new, everywhere=everywhere).text


def refused(text: str, old: str, new: str = "other") -> str:
    with pytest.raises(ToolError) as caught:
        apply_edit(text, old=old, new=new)
    return caught.value.message


CODE = "def one():\n    a = 1\n    return a\n\n\ndef two():\n    b = 2\n    return b\n"


def test_a_text_that_is_there_once_is_replaced() -> None:
    assert edited(CODE, "a = 1", "a = 7") == CODE.replace("a = 1", "a = 7")
    assert apply_edit(CODE, old="b = 2", new="b = 3").at == CODE.index("b = 2")


def test_a_block_is_deleted_with_its_lines() -> None:
    assert edited(CODE, "    a = 1\n", "") == CODE.replace("    a = 1\n", "")
    assert edited(CODE, "    a = 1  \n", "") == CODE.replace("    a = 1\n", "")
    assert edited(CODE, "\n\ndef two():\n    b = 2\n    return b\n", "") == CODE[: CODE.index("\n\ndef two")]


@pytest.mark.parametrize(
    ("text", "old", "new", "after"),
    [
        pytest.param("a = 1   \nb = 2\n", "a = 1\nb = 2", "a = 1\nb = 3", "a = 1   \nb = 3\n", id="white space behind"),
        pytest.param(
            "say(“hi – you”)\nend\n", 'say("hi - you")\nend', 'say("ho")\nend', 'say("ho")\nend\n', id="typography"
        ),
        pytest.param("x =\u00a01\ny = 2\n", "x = 1\ny = 2\n", "x = 1\ny = 3\n", "x =\u00a01\ny = 3\n", id="hard space"),
        pytest.param(
            "class A:\n    def f(self):\n        return 1\n",
            "def f(self):\n    return 1",
            "def f(self):\n    if self:\n        return 2\n    return 1",
            "class A:\n    def f(self):\n        if self:\n            return 2\n        return 1\n",
            id="indented further",
        ),
        pytest.param(
            "if x:\n    go()\n    stop()\n",
            "            go()\n            stop()\n",
            "            go()\n            wait()\n        x()\n",
            "if x:\n    go()\n    wait()\nx()\n",
            id="indented less",
        ),
        pytest.param(
            "all:\n\tcc a.c\n\tif b; then \\\n\t\tc; fi\n",
            "    cc a.c\n    if b; then \\\n        c; fi",
            "    cc a.c\n    if b; then \\\n        d; fi",
            "all:\n\tcc a.c\n\tif b; then \\\n\t\td; fi\n",
            id="tabs quoted as spaces",
        ),
        pytest.param("a\nb  ", "a\nb\n", "a\nc\n", "a\nc", id="last line without its end"),
        pytest.param("x\n\na \nb\n", "\n\na\nb\n\n", "\n\na\nc\n\n", "x\n\na \nc\n", id="blank edges too many"),
        pytest.param("a \nb\n", "a\nb", "a\nb\nc\n", "a \nb\nc\n\n", id="line ends count as in an exact edit"),
        pytest.param("a \nb\nc\n", "a\nb\n", "x", "x\nc\n", id="lines are not joined"),
        pytest.param("a \x0c b \nc\n", "a \x0c b\nc", "a\nc", "a\nc\n", id="a form feed ends no line"),
    ],
)
def test_a_misquoted_text_is_found_as_whole_lines(text: str, old: str, new: str, after: str) -> None:
    assert edited(text, old, new) == after


def test_lines_that_an_edit_only_repeats_stay_as_the_file_has_them() -> None:
    text = "“first”  \nx = 1\n“last”\t\n"

    assert edited(text, '"first"\nx = 1\n"last"\n', '"first"\nx = 2\n"last"\n') == text.replace("x = 1", "x = 2")


def test_line_ends_of_the_file_are_kept() -> None:
    assert edited("a\r\nb\r\nc\r\n", "a\nb\n", "a\nx\ny\n") == "a\r\nx\r\ny\r\nc\r\n"
    assert edited("a  \r\nb\r\nc\r\n", "a\nb\n", "x\ny\n") == "x\r\ny\r\nc\r\n"
    assert edited("a\nb\nc\n", "b\r\n", "x\r\n") == "a\nx\nc\n"
    assert edited("a\r\nb\nc\nd\r\n", "b\nc", "x\ny") == "a\r\nx\ny\nd\r\n"
    assert edited("a\r\nb\nc\nd\r\ne\r\n", "d\ne", "x\ny") == "a\r\nb\nc\nx\r\ny\r\n"


def test_a_byte_order_mark_stays_the_first_character() -> None:
    assert edited("\ufeffa \nb\n", "a\nb", "c\nd") == "\ufeffc\nd\n"
    assert edited("\ufeffa\n", "\ufeffa\n", "b\n") == "\ufeffb\n"
    assert edited("\ufeff", "", "b\n") == "\ufeffb\n"


@pytest.mark.parametrize(
    ("text", "old", "words"),
    [
        ("a\nb\na\n", "a", "found 2 times (lines 1, 3)"),
        ("x\nx\nx\n", "x\nx\n", "found 2 times (lines 1, 2)"),
        ("a\nb\n\na\r\nb\r\n", "a\nb", "found 2 times (lines 1, 4)"),
        ("  a \nb\n\n a\n b\n", "a\nb", "found 2 times, apart from white space (lines 1, 4)"),
        ("a\n" * 2000, "a", "found 1000 times (lines 1, 2, 3, 4, 5, 6, 7, 8)"),
    ],
)
def test_what_is_ambiguous_is_refused_with_its_lines(text: str, old: str, words: str) -> None:
    assert words in refused(text, old)


def test_all_replaces_every_exact_occurrence() -> None:
    assert edited("a b a\r\na\r\n", "a", "aa", everywhere=True) == "aa b aa\r\naa\r\n"
    assert edited("a\nb\r\na\r\nb\r\n", "a\nb", "c\nd", everywhere=True) == "c\nd\r\nc\r\nd\r\n"


def test_what_is_not_there_is_told_with_what_is_near() -> None:
    message = refused(CODE, "    b = 2\n    return c\n")

    assert "not in the file" in message
    assert "7\t    b = 2" in message
    assert "read the file again" in refused(CODE, "nothing of the kind")
    assert "read the file again" in refused("", "something")


def test_an_edit_that_says_nothing_is_refused() -> None:
    assert "same text" in refused("a\n", "a", "a")
    assert "old is empty" in refused("a\n", "")
    assert edited("", "", "first\n") == "first\n"
    assert edited("a\tb", "\t", " ") == "a b"
    assert "not in the file" in refused("a\n", "   \n \n")


def test_an_indentation_that_follows_no_rule_is_not_guessed() -> None:
    text = "if a:\n        b\n    c \n"

    assert "white space" in refused(text, "if a:\nb\nc", "if a:\nb\nd\ne")
    assert edited(text, "if a:\nb\nc", "if a:\nb\nd") == "if a:\n        b\n    d\n", (
        "a line for a line stands as that did"
    )
    assert edited(text, "if a:\nb\nc", "if a:\nc") == "if a:\n    c \n", "what is only left out needs no guess"


def test_an_unfinished_last_line_is_an_ordinary_one() -> None:
    assert edited("a\nb", "b", "c") == "a\nc"
    assert edited("a\nb", "a\n", "") == "b"
    assert edited("a", "a", "") == ""


LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "    ", "\t", "  "]),
        st.sampled_from(["a", "b", "“c”", "d - e", ""]),
        st.sampled_from(["", "  "]),
    ),
    max_size=12,
)
TEXT = st.builds(
    lambda lines, ends, mark, last: mark + "".join("".join(line) + ends for line in lines) + last,
    LINES,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["", "a", "\udcff"]),
)
MARK = "\u2603 new"


@settings(max_examples=300)
@given(
    text=TEXT, start=st.integers(0, 40), size=st.integers(1, 20), spoil=st.sampled_from(["", "end", "quotes", "dedent"])
)
def test_an_applied_edit_replaces_one_span_and_leaves_the_rest(text: str, start: int, size: int, spoil: str) -> None:
    """Whatever is quoted, rightly or wrongly: what stands before and behind the new text stood there before."""
    old = text[start : start + size]
    old = {
        "": old,
        "end": re.sub(r"[ \t]+(?=\r?\n|$)", "", old),
        "quotes": old.replace("“", '"').replace("”", '"'),
        "dedent": re.sub(r"^[ \t]+", "", old, flags=re.MULTILINE),
    }[spoil]
    try:
        after, at, _ = apply_edit(text, old=old, new=MARK)
    except ToolError:
        return
    before, mark, behind = after.partition(MARK)
    assert mark
    before = before if text.startswith(before) else before.rstrip(" \t")  # its indentation may be new
    assert text.startswith(before)
    assert text.endswith(behind)
    assert len(before) + len(behind) <= len(text)
    assert at <= len(before)
    replaced = text[len(before) : len(text) - len(behind)]
    assert _bare(replaced) == _bare(old) or not text


@settings(max_examples=300)
@given(text=TEXT, start=st.integers(0, 40), size=st.integers(1, 20))
def test_an_exact_edit_lands_only_where_the_text_is_unique(text: str, start: int, size: int) -> None:
    plain = text.replace("\r\n", "\n").removeprefix("\ufeff")
    old = plain[start : start + size]
    places = [at for at in range(len(plain)) if old and plain.startswith(old, at)]
    try:
        apply_edit(text, old=old, new=MARK)
    except ToolError:
        assert len(places) != 1
    else:
        assert len(places) == 1 or not plain


def _bare(text: str) -> str:
    return re.sub(r"\s", "", text.replace("“", '"').replace("”", '"').replace("\ufeff", ""))
