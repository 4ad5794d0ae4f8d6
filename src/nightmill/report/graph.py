"""A plan as a drawing: tasks as boxes in waves from left to right, what each needs as arrows, what may collide as dashed ties.

A task's wave is the earliest in which all that it depends on is there. Two tasks of which neither comes before the other
may collide where both are expected to touch the same path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from markupsafe import Markup

from nightmill.blueprint.fitting import fitted, width
from nightmill.plan import Footprint, Task
from nightmill.policy.paths import covers
from nightmill.report.avatar import SIGNS
from nightmill.report.element import element
from nightmill.report.text import one_line
from nightmill.report.words import Face

__all__ = ["Node", "Tie", "graph", "shared", "ties", "waves"]

EDGE, HEAD = 10, 26
"""Pixels: around all, and for the names of waves."""
TEXT, SMALL = 13.5, 12.0
MANY = 30
"""Tasks above which each is drawn small, and what may collide is left to the words beside the drawing."""


class Size(NamedTuple):
    """Pixels: a box, and the room between boxes across and down; how many lines of a title stand in it."""

    wide: int
    high: int
    across: int
    down: int
    lines: int


FULL, SMALLER = Size(214, 96, 84, 26, 2), Size(166, 58, 46, 12, 1)


class Node(NamedTuple):
    """A task as it is drawn: how it stands, where it leads ("": nowhere yet), and a *note* below its state."""

    task: Task
    face: Face
    href: str = ""
    note: str = ""


class Tie(NamedTuple):
    """Two tasks that may both touch *paths*, in no order."""

    one: str
    other: str
    paths: tuple[str, ...]


def waves(tasks: Sequence[Task]) -> dict[str, int]:
    """The wave of each of *tasks*, from 0, by id. A dependency on what is not there, or in a circle, is no constraint."""
    needs = {task.id: [each for each in task.depends if each != task.id] for task in tasks}
    found: dict[str, int] = {}

    def wave(name: str, above: frozenset[str]) -> int:
        if name not in found:
            below = [each for each in needs[name] if each in needs and each not in above]
            found[name] = 1 + max((wave(each, above | {name}) for each in below), default=-1)
        return found[name]

    for task in tasks:
        wave(task.id, frozenset({task.id}))
    return found


def shared(one: Footprint, other: Footprint) -> tuple[str, ...]:
    """The paths and symbols that both are expected to touch, the narrower spelling of each."""
    paths = [max(a, b, key=len) for a in one.paths for b in other.paths if covers(a, b) or covers(b, a)]
    return tuple(dict.fromkeys((*paths, *(each for each in one.symbols if each in other.symbols))))


def ties(tasks: Sequence[Task]) -> list[Tie]:
    """What may collide."""
    before = _before(tasks)
    return [
        Tie(a.id, b.id, both)
        for a, b in combinations(tasks, 2)
        if a.id not in before[b.id] and b.id not in before[a.id] and (both := shared(a.footprint, b.footprint))
    ]


def _before(tasks: Sequence[Task]) -> dict[str, set[str]]:
    """All that comes before each task."""
    needs = {task.id: set(task.depends) for task in tasks}
    found: dict[str, set[str]] = {}
    for name, those in needs.items():
        seen, todo = set[str](), list(those)
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo += needs.get(at, ())
        found[name] = seen
    return found


def graph(nodes: Sequence[Node]) -> Markup:
    """The drawing; its parts have classes and no style of their own."""
    tasks = [node.task for node in nodes]
    size = FULL if len(tasks) <= MANY else SMALLER
    places, wide, high = _places(tasks, size)
    known = {task.id: task for task in tasks}
    columns = sorted({x for x, _ in places.values()})
    heads = [element("text", f"wave {number}", x=x, y=EDGE + 10, class_="wave") for number, x in enumerate(columns, 1)]
    tied = [_tied(each, places) for each in ties(tasks)] if size is FULL else []
    high += size.down // 2 if tied else 0  # they hang through below
    drawn = [
        _arrow(known[name], task, places, size)
        for task in tasks
        for name in task.depends
        if name in known and name != task.id
    ]
    boxes = [_box(node, places[node.task.id], size) for node in nodes]
    label = f"Plan: {len(tasks)} tasks in {len(columns)} waves"
    return element(
        "svg",
        element("title", label),
        *heads,
        *tied,
        *drawn,
        *boxes,
        class_="graph",
        width=wide,
        height=high,
        viewBox=f"0 0 {wide} {high}",
        role="group",
    )


def _places(tasks: Sequence[Task], size: Size) -> tuple[Mapping[str, tuple[int, int]], int, int]:
    """The left upper corner of each box, and the size of all. Within a wave a task stands near what it needs."""
    order = waves(tasks)
    rows: dict[str, float] = {}
    places: dict[str, tuple[int, int]] = {}
    deepest = 0
    for wave in range(max(order.values(), default=-1) + 1):
        here = [task for task in tasks if order[task.id] == wave]

        def near(task: Task) -> float:
            above = [rows[each] for each in task.depends if each in rows]
            return sum(above) / len(above) if above else 0.0

        for row, task in enumerate(sorted(here, key=near)):
            rows[task.id] = row
            places[task.id] = (EDGE + wave * (size.wide + size.across), EDGE + HEAD + row * (size.high + size.down))
        deepest = max(deepest, len(here))
    count = max(order.values(), default=-1) + 1
    wide = 2 * EDGE + count * size.wide + max(count - 1, 0) * size.across
    return places, wide, 2 * EDGE + HEAD + deepest * size.high + max(deepest - 1, 0) * size.down


def _box(node: Node, at: tuple[int, int], size: Size) -> Markup:
    task, (x, y) = node.task, at
    parts = [
        element("title", f"{task.id} {one_line(task.title)}: {node.face.word}"),
        element("rect", x=x, y=y, width=size.wide, height=size.high, rx=8, class_=f"box {node.face.tone}"),
        element("text", one_line(task.id, most=24), x=x + 12, y=y + 20, class_="task-id"),
    ]
    lines = fitted(task.title, size=TEXT * 1.08, room=size.wide - 24, most=size.lines)
    parts += [
        element("text", line, x=x + 12, y=y + 38 + 17 * number, class_="task") for number, line in enumerate(lines)
    ]
    if size is FULL:
        parts += _state(node, x, y + size.high - 11, wide=size.wide)
    else:  # beside its name: the shape tells it, and the word is in its title
        sign = element("path", d=SIGNS[node.face.shape], transform=f"translate({x + size.wide - 26} {y + 9}) scale(.8)")
        parts.append(element("g", sign, class_=f"its {node.face.tone}"))
    if not node.href:
        return element("g", *parts)
    return element("a", *parts, href=node.href, aria_label=f"{task.id}: {one_line(task.title)}, {node.face.word}")


def _state(node: Node, x: int, base: int, *, wide: int) -> list[Markup]:
    sign = element("path", d=SIGNS[node.face.shape], transform=f"translate({x + 12} {base - 11}) scale(.8)")
    word = element("text", node.face.word, x=x + 30, y=base, class_="word")
    parts = [element("g", sign, word, class_=f"its {node.face.tone}")]
    if node.note:
        room = wide - 52 - width(node.face.word, SMALL * 1.1)
        note = fitted(node.note, size=SMALL, room=room, most=1)[0]
        parts.append(element("text", note, x=x + wide - 12, y=base, text_anchor="end", class_="note"))
    return parts


def _arrow(one: Task, other: Task, places: Mapping[str, tuple[int, int]], size: Size) -> Markup:
    """From what is needed to who needs it, with the reason."""
    (left, top), (right, low) = places[one.id], places[other.id]
    x, y, to, down = left + size.wide, top + size.high // 2, right, low + size.high // 2
    middle = (x + to) // 2
    both = shared(one.footprint, other.footprint)
    why = f"both touch {', '.join(both[:4])}" if both else f"{other.id} starts from what {one.id} gives"
    path = element("path", d=f"M{x} {y}C{middle} {y} {middle} {down} {to - 8} {down}", class_="needs")
    head = element("path", d=f"M{to} {down}l-9 -5v10z", class_="needs-head")
    word = (
        fitted(both[0].rpartition("/")[2], size=SMALL, room=size.across - 14, most=1) if both and size is FULL else []
    )
    # Beside the arrow's end, where only arrows of one box meet.
    said = element("text", word[0], x=to - 12, y=down - 8, text_anchor="end", class_="reason") if word else Markup("")
    return element("g", element("title", f"{one.id} before {other.id}: {why}"), path, head, said)


def _tied(tie: Tie, places: Mapping[str, tuple[int, int]]) -> Markup:
    (x, y), (to, down) = places[tie.one], places[tie.other]
    wide, high, _, gap, _ = FULL
    title = element("title", f"{tie.one} and {tie.other} may both touch {', '.join(tie.paths[:6])}, in no order")
    if x == to:
        bulge = x - 8
        start, end = y + high // 2, down + high // 2
        way = (
            f"M{x} {start}C{bulge - 14} {start} {bulge - 14} {end} {x} {end}"
            if abs(y - down) > high + gap
            else (f"M{x + wide // 2} {min(y, down) + high}V{max(y, down)}")
        )
    else:
        way = f"M{x + wide // 2} {y + high}Q{(x + to + wide) // 2} {max(y, down) + high + gap} {to + wide // 2} {down + high}"
    return element("g", title, element("path", d=way, class_="tie"))
