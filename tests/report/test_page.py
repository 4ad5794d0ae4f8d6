"""The page says what the ledger says, and nothing on it can act."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from nightmill import event as e
from nightmill.errors import EngineError
from nightmill.report import Child
from nightmill.report import page as report
from tests.report.others import refused, spec, under_way
from tests.report.sample import BODY, DIFF, LAST, fixed
from tests.report.strangers import EVIL, HOSTILE_DIFF, hostile, huge
from tests.report.telling import Telling, sha


def words(text: str) -> set[str]:
    return set(text.split())


HTML = words(
    "html head meta title style body a header main nav footer section article div p h1 h2 h3 span b i em "
    "code pre ul ol li dl dt dd details summary table thead tbody tr th td figure figcaption "
)
SVG = words("svg g path rect line text title defs pattern a ")
ATTRIBUTES = words(
    "lang charset http-equiv content name class id href role tabindex aria-label aria-hidden open scope "
    "viewbox width height x y x1 x2 y1 y2 dx dy d fill fill-rule rx transform text-anchor overflow "
    "patternunits patterntransform "
)


class Seen(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "every element is closed by its own end tag"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data!r}")

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


def page(t: Telling, **more: object) -> str:
    return report.page(t.entries, blob=t.blob, now=t.at, **more)  # type: ignore[arg-type]  # the tests' own shorthand


def pages() -> Iterator[str]:
    yield page(fixed(), diff=DIFF, body=BODY)
    yield page(hostile(), diff=HOSTILE_DIFF, body=EVIL)
    one, other = fixed(), hostile()
    blobs = one.blobs | other.blobs
    parent = spec(one, other)
    blobs |= parent.blobs
    children = [Child(run=each.run, events=each.entries, diff=HOSTILE_DIFF, body=EVIL) for each in (one, other)]
    yield report.page(parent.entries, blob=blobs.__getitem__, now=parent.at, children=children)


def test_nothing_that_a_stranger_wrote_becomes_an_element_an_attribute_or_a_link() -> None:
    for text in pages():
        seen = Seen(text)

        assert seen.tags <= HTML | SVG
        assert seen.attributes <= ATTRIBUTES
        assert not seen.open
        assert set(seen.links) <= {f"#{name}" for name in seen.ids}, "links lead into the page and arrive"
        assert len(seen.ids) == len(set(seen.ids))


def test_nothing_unseen_reaches_the_page() -> None:
    for text in pages():
        text.encode("utf-8")
        assert not re.search(
            "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]", text
        )
        assert not re.search("[\U000e0000-\U000e0fff]", text)


def test_the_browser_is_told_to_load_and_run_nothing() -> None:
    text = page(fixed())

    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert policy is not None
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1] == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(http" not in style[1]
    assert "@import" not in style[1]


def test_the_page_answers_whether_the_work_can_be_trusted() -> None:
    text = Seen(page(fixed(), diff=DIFF, body=BODY)).text

    assert "Pull request 12 waits for a person to merge it." in text
    assert "Proven" in text
    assert f"tree {LAST}" in text
    assert f"environment {sha('env', 64)[:12]}" in text
    assert "holds this very tree" in text
    assert "against the baseline: 0 new · 1 old · 0 flaky" in text
    assert "failed in 3 of 3 runs on this tree: a rate between 44% and 100% (95 %)" in text
    assert "1 failure was there before the change." in text
    assert "round 1 tests: 1 new failure" in text
    assert "exit status 1" in text
    assert "Asked again (1) after 4.0 s: 529 overloaded_error: Overloaded" in text
    assert "written in turn 5 , turn 13" in text


def test_a_commit_of_another_tree_is_not_proven_whatever_the_verdict_says() -> None:
    t = fixed()
    t.entries = [
        entry._replace(event=replace(entry.event, tree="0" * 40)) if isinstance(entry.event, e.CommitMade) else entry
        for entry in t.entries
    ]

    text = Seen(page(t)).text

    assert "Not proven The commit does not hold the tree that was proven." in text


def test_a_stopped_run_says_why_and_what_to_do() -> None:
    text = Seen(page(refused())).text

    assert "stopped by a limit The work was sent back 3 times and still does not pass." in text
    assert "hint: look at the branch" in text
    assert "Not proven" in text


def test_a_run_under_way_claims_nothing() -> None:
    text = Seen(page(under_way())).text

    assert "at work Phase work, turn 2: run_command make test" in text
    assert "Nothing proven No verdict yet: the run goes on." in text


def test_a_spec_adds_up_its_tasks_and_links_to_each() -> None:
    one, other = fixed(), refused()
    parent = spec(one, other)
    children = [Child(run=each.run, events=each.entries) for each in (one, other)]
    blobs = one.blobs | other.blobs | parent.blobs

    text = report.page(parent.entries, blob=blobs.__getitem__, now=parent.at, children=children)

    assert "1 of 3 tasks proven." in Seen(text).text
    assert "16 turns of all tasks" in Seen(text).text
    assert {"#r1-run", "#r2-run"} <= set(Seen(text).links)


def test_bodies_that_are_missing_or_damaged_are_named_and_the_rest_is_shown() -> None:
    t = fixed()
    records = [entry.event.record for entry in t.entries if isinstance(entry.event, e.TurnFinished)]
    t.blobs[records[0]] = b'{"turn": "nonsense"}'

    def blob(digest: str) -> bytes:
        if digest == records[1]:
            raise EngineError("no such blob")
        return t.blobs[digest]

    text = Seen(report.page(t.entries, blob=blob, now=t.at)).text

    assert re.search(r"its record \w+ cannot be read", text)
    assert re.search(r"its record \w+ is not in the store: no such blob", text)
    assert "Proven" in text


def test_a_long_run_with_giant_outputs_stays_small() -> None:
    text = page(huge())

    assert len(text.encode()) < 3_000_000
    assert "characters left out" in text
    assert 'id="t0-200"' in text


def test_a_run_without_events_is_no_run() -> None:
    with pytest.raises(ValueError, match="without events"):
        report.page([], blob=dict[str, bytes]().__getitem__, now=0.0)
