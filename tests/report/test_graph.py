"""The drawing of a plan: waves, arrows and ties say what the plan says, and strangers' words stay words."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from nightmill.plan import Footprint, Task
from nightmill.report.graph import FULL, MANY, SMALLER, Node, Size, graph, shared, ties, waves
from nightmill.report.words import face

HOSTILE = "</text><script>alert(1)</script>\u202e&\"'"


def task(name: str, *depends: str, paths: tuple[str, ...] = (), title: str = "") -> Task:
    return Task(
        id=name, title=title or name, instruction="", criteria=(), depends=depends, footprint=Footprint(paths=paths)
    )


def drawn(*tasks: Task, href: str = "") -> ET.Element:
    return ET.fromstring(graph([Node(each, face("running"), href, "turn 3") for each in tasks]))


def test_a_task_is_in_the_earliest_wave_in_which_all_that_it_needs_is_there() -> None:
    plan = [task("a"), task("b"), task("c", "a"), task("d", "b", "c"), task("e", "nowhere", "e")]
    assert waves(plan) == {"a": 0, "b": 0, "c": 1, "d": 2, "e": 0}


def test_a_circle_that_a_foreign_ledger_holds_is_drawn_and_not_followed() -> None:
    plan = [task("a", "b"), task("b", "a"), task("c", "b")]
    assert set(waves(plan)) == {"a", "b", "c"}
    assert len(drawn(*plan).findall("g")) > 0


def test_only_tasks_that_are_in_no_order_may_collide() -> None:
    both = ("src/calc.py",)
    plan = [task("a", paths=both), task("b", "a"), task("c", "b", paths=both), task("d", paths=("src",))]
    assert [(tie.one, tie.other, tie.paths) for tie in ties(plan)] == [("a", "d", both), ("c", "d", both)]


def test_footprints_meet_in_the_narrower_of_two_spellings() -> None:
    one = Footprint(paths=("src/**", "docs/a.md"), symbols=("m:f",))
    assert shared(one, Footprint(paths=("src/x.py",), symbols=("m:f", "m:g"))) == ("src/x.py", "m:f")
    assert shared(one, Footprint(paths=("tests/x.py",))) == ()


@pytest.mark.parametrize(("count", "size"), [(9, FULL), (MANY + 1, SMALLER)])
def test_boxes_do_not_lie_on_each_other_and_stay_inside(count: int, size: Size) -> None:
    plan = [task(f"t{number}", *([f"t{number - 3}"] if number > 2 else [])) for number in range(count)]
    picture = drawn(*plan)
    corners = [(float(each.get("x", 0)), float(each.get("y", 0))) for each in picture.iter("rect")]
    assert len(set(corners)) == count
    for x, y in corners:
        assert 0 <= x <= float(picture.get("width", 0)) - size.wide
        assert 0 <= y <= float(picture.get("height", 0)) - size.high
        assert not any(0 < abs(y - b) < size.high and x == a for a, b in corners)


def test_hostile_titles_are_words_and_nothing_else() -> None:
    picture = drawn(
        task("a", title=HOSTILE, paths=(HOSTILE,)),
        task(HOSTILE, "a", title="x" * 500, paths=(HOSTILE,)),
        href="/runs/r",
    )
    assert {each.tag for each in picture.iter()} <= {"svg", "title", "text", "rect", "g", "path", "a"}
    assert all(name not in {"onload", "style"} for each in picture.iter() for name in each.attrib)
    assert "\u202e" not in "".join(picture.itertext())


def test_nothing_planned_is_an_empty_drawing() -> None:
    assert list(drawn().iter("rect")) == []


def test_what_may_collide_is_drawn_where_it_can_be_followed() -> None:
    few, many = ([task(f"t{number}", paths=("calc.py",)) for number in range(count)] for count in (3, MANY + 1))

    assert [sum(each.get("class") == "tie" for each in drawn(*plan).iter()) for plan in (few, many)] == [3, 0]
