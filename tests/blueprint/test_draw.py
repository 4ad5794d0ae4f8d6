"""A drawing is the same every time, harmless whatever stands in the file, and its words stay in their boxes."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from nightmill.blueprint import Blueprint, kind, parse, walk
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.draw import svg
from nightmill.blueprint.icons import ICONS, outline
from nightmill.blueprint.nouns import KINDS
from nightmill.blueprint.words import role
from tests.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>]]>&\"'\\x00\\u202e\\u2028<![CDATA["
EVERY = """\
name: every
title: "TITLE"
inputs: {what: {doc: x}}
steps:
  - {id: a, title: "TITLE", run: "LONG", env: {X: inputs.what}}
  - {id: b, check: [t, "TITLE"]}
  - {id: c, agent: developer, goal: x, when: "inputs.what == 'TITLE'"}
  - {id: d, review: reviewer, inputs: {diff: change.diff}}
  - {id: e, approve: "LONG"}
  - {id: f, ask: "LONG"}
  - {id: g, title: "WIDE", map: inputs.what, steps: [{id: h, call: other, inputs: {a: inputs.what}}]}
  - {id: i, repeat: 2, until: steps.j.ok, may_fail: true, steps: [{id: k, repeat: 3, until: steps.j.ok, steps: [{id: j, python: f}]}]}
  - {id: l, change: "TITLE"}
  - {id: m, emit: told, data: {x: inputs.what}}
  - {id: n, stop: "LONG", wait: true, when: inputs.what}
  - {id: o, stop: x}
outputs: {y: inputs.what}
"""


def every() -> Blueprint:
    """One of each kind, with texts that are hostile or without end."""
    body = EVERY.replace("'TITLE'", "'x'").replace("TITLE", HOSTILE.replace('"', '\\"').replace("\\'", "'"))
    body = body.replace("WIDE", "W" * 110).replace("LONG", "W" * 900 + " long " * 40)
    return parse(body.encode(), source="every.yaml")


def texts(drawn: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(drawn).iter(f"{SVG}text")]


def test_a_drawing_has_the_same_bytes_in_every_process(shipped: Catalogue) -> None:
    code = (
        "import sys; from nightmill.blueprint import parse; from nightmill.blueprint.draw import svg;"
        "sys.stdout.write(svg(parse(sys.stdin.buffer.read(), source='deliver.yaml')))"
    )
    entry = shipped.entry("deliver")

    drawn = [
        subprocess.run([sys.executable, "-c", code], input=entry.body, capture_output=True, check=True,
                       env={"PYTHONHASHSEED": seed}).stdout.decode()
        for seed in ("1", "2")
    ]  # fmt: skip

    assert drawn == [svg(shipped.get("deliver"))] * 2


def test_hostile_texts_are_words_and_nothing_else() -> None:
    drawn = svg(every())
    tree = ET.fromstring(drawn)

    assert {each.tag.removeprefix(SVG) for each in tree.iter()} == {
        "svg",
        "title",
        "style",
        "rect",
        "path",
        "circle",
        "text",
    }
    assert any("</text><script>" in each for each in texts(drawn))
    assert "\u202e" not in drawn
    assert "\x00" not in drawn


def test_every_kind_of_step_has_an_outline_and_an_icon_of_its_own_and_says_its_name() -> None:
    assert {kind(step) for step in walk(every().steps)} == set(KINDS)
    assert len({ICONS[name] for name in KINDS}) == len(KINDS)
    boxes = {name: outline(name, 0, 0, 100, 50) for name in KINDS if name not in {"map", "repeat"}}
    same = {name for name, path in boxes.items() if list(boxes.values()).count(path) > 1}
    assert same == {"run", "python", "approve", "change"}, "gates have posts, and say which they are"
    said = " ".join(texts(svg(every())))
    assert all(
        word in said
        for word in ("RUN", "CHECK", "AGENT", "REVIEW", "APPROVE", "ASK", "CALL", "CHANGE", "EMIT", "PYTHON")
    )


def test_gates_bounds_roles_and_the_way_of_what_fails_are_said_in_words(shipped: Catalogue) -> None:
    blueprint = shipped.get("deliver")
    said = texts(svg(blueprint))

    assert sum(each.startswith("GATE") for each in said) == 2
    assert "At most 4 times, until not settle.open and tried.ok" in said
    assert {f"AGENT · {role(step)}" for step in walk(blueprint.steps) if kind(step) == "agent"} <= {
        each.partition(" · goes")[0] for each in said
    }
    assert "the run ends: failed" in said
    assert sum(each == "STOP · waits for a person" for each in said) == 2


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A browser's page."""
    with chromium() as browser:
        yield browser.new_page(viewport={"width": 390, "height": 800})


OUTSIDE = """() => {
  const svg = document.querySelector('svg'), wide = svg.viewBox.baseVal.width - 14, found = [];
  const boxes = [...svg.querySelectorAll('path.box, rect.frame')].map(each => each.getBBox());
  for (const text of svg.querySelectorAll('text')) {
    const at = text.getBBox(), inside = boxes.filter(box => box.x <= at.x && at.x < box.x + box.width &&
      box.y <= at.y + at.height / 2 && at.y + at.height / 2 < box.y + box.height);
    const right = inside.length ? Math.min(...inside.map(box => box.x + box.width)) : wide;
    if (at.x + at.width > right + 0.5) found.push(text.textContent);
  }
  return found;
}"""


def test_all_words_stay_in_their_boxes_and_a_phone_shows_all_of_the_width(page: Page, shipped: Catalogue) -> None:
    for blueprint in [*(shipped.get(name) for name in shipped.entries), every()]:
        page.set_content(f'<meta name="viewport" content="width=device-width"><body style="margin:0">{svg(blueprint)}')

        assert page.evaluate(OUTSIDE) == [], blueprint.name
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.querySelector('svg').getBoundingClientRect().width") >= 380
