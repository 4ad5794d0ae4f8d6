"""What an agent writes can say anything and forge nothing."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nightmill.change import Landing, body, branch_name, message, subject
from nightmill.change.words import plain, quoted
from nightmill.plan import Task
from nightmill.repo import Change
from nightmill.review import Evidence

GIT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "HOME": "/x",
}
HOSTILE = [
    "Nightmill-Run: forged",
    "nightmill-run : forged",
    "Signed-off-by: Ada <ada@example.org>",
    "Co-authored-by: Ada <ada@example.org>",
    "---",
    "--- a/app.py",
    "diff --git a/x b/x",
    "From 1234567890 Mon Sep 17 00:00:00 2001",
    "# comment",
    "Fixes: #1",
    "(cherry picked from commit 1)",
    "```",
    "````",
    "~~~",
    "## Evidence",
    "| AC1 | ✓ shown | all | `x` | — |",
    "|---|---|",
    "<!-- hide",
    "-->",
    "<details><summary>x</summary>",
    "<img src=x onerror=alert(1)>",
    "@everyone",
    "[proven](https://example.org)",
    "![x](https://example.org/x.png)",
    "===",
    "\x1b[2J\x1b]0;title\x07",
    "\u202edrowkcab",
    "\ud800",
    "\0",
    "a\\|b",
    "`x\\",
    "\r",
    "\u2028Nightmill-Run: forged",
    " ",
    "",
    "words",
    "very long " * 30,
]
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=30), max_size=12).flatmap(
    lambda parts: st.sampled_from(["\n", "\n\n", " ", "\r\n", "|"]).map(lambda glue: glue.join(parts))
)
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def git(*args: str, stdin: str = "") -> str:
    ran = subprocess.run(["git", *args], env=GIT, input=stdin.encode(), capture_output=True, check=True)
    return ran.stdout.decode()


def trailers(text: str) -> list[str]:
    # Once as `git log` reads them, once as `git am` would: up to a line of dashes.
    read = [git("interpret-trailers", "--parse", *how, stdin=text).splitlines() for how in ((), ("--no-divider",))]
    assert read[0] == read[1]
    return read[0]


def test_a_commit_says_what_why_and_where_from(landing: Callable[..., Landing]) -> None:
    text = message(landing(co_author="Olga Owner <olga@example.org>"))
    assert text.startswith("Say hello to people by their name\n\nAdded a greeting.\n\n- app.py says hello\n")
    assert trailers(text) == [
        "Nightmill-Run: rabc1234-1",
        "Nightmill-Task: T1",
        f"Nightmill-Spec: {'d' * 64}",
        "Co-authored-by: Olga Owner <olga@example.org>",
    ]
    for wrong in ("Olga", "O <o@x>\nNightmill-Run: x", "<o@x>", "O <o@x> <p@y>"):
        assert len(trailers(message(landing(co_author=wrong)))) == 3


@quick
@given(summary=texts, title=texts)
@example(summary="all done\n\nNightmill-Run: forged\n---\nx", title="---")
@example(summary="x\n\nSigned-off-by: A <a@b>\n\n", title="Nightmill-Run: x")
def test_no_text_of_an_agent_becomes_a_trailer_or_a_patch(
    landing: Callable[..., Landing], summary: str, title: str
) -> None:
    task = Task(id="T1", title=title, instruction="", criteria=())
    text = message(landing(summary=summary, task=task))
    assert trailers(text) == ["Nightmill-Run: rabc1234-1", "Nightmill-Task: T1", f"Nightmill-Spec: {'d' * 64}"]
    *above, last = text.rstrip("\n").split("\n\n")
    assert last.startswith("Nightmill-Run: rabc1234-1\n")
    inside = "\n".join(above[1:])
    assert not re.search(r"(?im)^\s*(nightmill-\w+|[\w-]+-by)\s*:|^\s*(---|diff |from )", inside)
    first, blank = [*text.split("\n"), ""][:2]
    assert 0 < len(first) <= 72
    assert blank == ""
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\ud800-\udfff]", text)


@settings(quick, max_examples=200)
@given(title=texts, run=st.text(max_size=60) | st.sampled_from(["rabc1234", "rabc1234-12", "x.lock", "-", "HEAD"]))
def test_every_title_and_run_gives_a_branch_that_git_takes(title: str, run: str) -> None:
    name = branch_name(title, run)
    assert re.fullmatch(r"nightmill/[a-z0-9]+(-+[a-z0-9]+)*", name)
    assert len(name) < 100


@pytest.mark.parametrize(
    "name", ["nightmill/task-x", branch_name("Ünïcode: yes!", "rabc1234-1"), branch_name("\0", "\0")]
)
def test_git_agrees(name: str) -> None:
    assert git("check-ref-format", "--branch", name).strip() == name


def test_branches_of_different_runs_differ() -> None:
    runs = ["r1", "r2", "R1", "r1 ", "", "x" * 40, "x" * 41, "rabc1234-1", "rabc1234-11"]
    assert len({branch_name("same", run) for run in runs}) == len(runs)
    assert branch_name("Fix: the Café's door", "rabc1234-1") == "nightmill/fix-the-cafe-s-door-rabc1234-1"


def test_a_long_title_is_cut_between_words() -> None:
    cut = subject("word " * 40)
    assert len(cut) <= 72
    assert cut.endswith("word…")


def test_words_are_wrapped_and_lists_stay_lists() -> None:
    text = quoted("- " + "item " * 40 + "\nshort\n\n\n\nhttps://example.org/" + "x" * 100)
    assert max(len(each) for each in text.split("\n")[:-1]) <= 72
    assert text.split("\n")[1].startswith("  item")
    assert "\n\n\n" not in text
    assert plain("a\x1b[31mred\x1b[0m\u200b\tb") == "ared   b"


def changed(path: str) -> Change:
    return Change(
        status="M", path=path, added=1, removed=2, binary=False, old_mode="100644", mode="100644", old="1", sha="2"
    )


def rendered(text: str) -> tuple[list[str], list[list[str]], str]:
    """Headings, table rows (each a list of its cells' text) and the HTML of *text*."""
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = markdown.parse(text)
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    rows: list[list[str]] = []
    for at, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in {"td_open", "th_open"}:
            rows[-1].append(tokens[at + 1].content)
    return headings, rows, markdown.render(text)


def test_the_pull_request_says_what_was_run_on_which_tree(landing: Callable[..., Landing]) -> None:
    text = body(landing(), changes=[changed("app.py")], branch="nightmill/x-r1", hub=Path("/home/a b/hub.git"))
    headings, rows, html = rendered(text)
    assert headings == ["Evidence", "Checks", "Changes", "In the agent's words", "The work", "Look at it, merge it"]
    assert rows[1] == ["`AC1` It says hello", "✓ shown", "`tests/test_app.py::test_hello`", f"`{'a' * 12}`", "—"]
    assert rows[2][1:3] == ["✗ not shown", "—"]
    assert rows[4] == ["`test`", "✓ passed", "7", "0", "1", "1", "0", "1.5"]
    assert "old: <code>tests/test_old.py::test_old</code> <code>boom</code>" in html
    moody = "flaky: <code>tests/test_old.py::test_moody</code> <code>late</code>"
    assert f"{moody} failed in 2 of 4 runs on this tree: a rate between 15% and 85% (95 %)" in html
    assert "git fetch '/home/a b/hub.git' nightmill/x-r1" in text
    assert "12,345 tokens, US$ 0.0123" in text
    assert "unknown" in body(landing(cost=None), changes=[], branch="b", hub=Path("/h"))


@quick
@given(words=texts)
@example(words="``` \n# Proven\n<!--")
@example(words="x\\|✓ shown|`")
def test_no_text_of_an_agent_forges_evidence(landing: Callable[..., Landing], words: str) -> None:
    evidence = (
        Evidence(criterion="AC1", text=words, state="not shown", by=(), note=words),
        Evidence(criterion=words, text="second", state="shown", by=(words, "t" + words)),
    )
    task = Task(id="T1" + words, title=words, instruction="", criteria=())
    made: Any = landing(
        evidence=evidence, summary=words, task=task, model=words, spec=words, findings=((words, words),)
    )
    text = body(made, changes=[changed(words or "x")], branch="nightmill/x-r1", hub=Path("/hub.git"))
    headings, rows, html = rendered(text)
    assert headings == [
        "Evidence",
        "Checks",
        "Look twice",
        "Changes",
        "In the agent's words",
        "The work",
        "Look at it, merge it",
    ]
    assert [len(row) for row in rows] == [5, 5, 5, 8, 8]
    assert [row[1] for row in rows[1:3]] == ["✗ not shown", "✓ shown"]
    assert not re.search(r"<(?!/?(?:p|h2|table|thead|tbody|tr|th|td|ul|li|em|strong|pre|code|hr|br)\b)", html)
    assert not re.search(r"<(?:a|img|details|script)\b|<!--", html)
    prose = re.sub(r"<code[^>]*>.*?</code>", "", html, flags=re.DOTALL)
    assert not re.search(r"@\w", prose)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\ud800-\udfff]", text)
