"""The drawing of the house: its rooms in their layers, and who imports whom, read from the code."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

__all__ = ["FLOORS", "draw"]

PACKAGE = Path(__file__).parent.parent / "src/nightmill"

FLOORS = (
    ("doors", ("cli", "server", "client", "peer", "desk", "report")),
    ("corridor", ("line",)),
    ("offices", ("intake", "estate", "improve")),
    ("ground", ("spec", "plan", "agent", "review", "change")),
    ("shelves", ("blueprint", "skill", "prompt", "crew", "tool", "policy")),
    ("machines", ("model", "sandbox", "code", "repo", "forge", "hook")),
    ("cellar", ("durable", "store", "kept", "told", "access", "event", "happening", "settings", "written", "errors")),
)
"""The rooms by floor, from the top; on the ground floor in the order in which data goes."""

EVERYWHERE = ("event", "happening", "settings", "written", "errors")
"""The nouns that everyone may use: a number says how many do, where arrows would only cross."""

WIDTH, MARGIN, LEFT = 1240, 20, 96
ROOM_WIDTH, ROOM_HEIGHT, PITCH = 172, 64, 118
TOP = 56


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room and where it stands; *x* and *y* are its upper left corner."""

    name: str
    floor: int
    x: float
    y: float
    takes: str
    gives: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """*count* imports by modules of the room *source* of modules of the room *target*."""

    source: str
    target: str
    count: int


def draw() -> str:
    """The house as SVG text, for light and for dark pages.

    Raises:
        ValueError: If a room on disk is not on a floor, or a floor names a room that is not there.
    """
    rooms = _rooms()
    arrows = _arrows()
    shown = [arrow for arrow in arrows if arrow.target not in EVERYWHERE]
    height = TOP + PITCH * len(FLOORS) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d">',
        '<title id="t">The house</title>',
        f'<desc id="d">{escape(_words(shown))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="10"/>',
        f'<text class="motto" x="{LEFT}" y="34">{MOTTO}</text>',
        *_floors(),
        *_lines(rooms, shown),
        *_boxes(rooms, arrows),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


MOTTO = "Imports go down, data goes right, every step is told to the ledger."
STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1d2733}
.page{fill:#fbfcfd}.floor{fill:#eef2f6}.name{font-weight:650;font-size:15px}.motto{font-size:14px;fill:#44525f}
.small,.level{fill:#4b5966;font-size:11px}.level{font-size:12px}.count{fill:#1f5f99;font-size:11px}
.room{fill:#fff;stroke:#8fa1b3}.arrow{fill:none;stroke:#2b6cb0;opacity:.5}.head{fill:#2b6cb0}
.flow{fill:none;stroke:#8fa1b3;stroke-width:2}.tip{fill:#8fa1b3}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.page{fill:#10161d}.floor{fill:#18212b}.motto{fill:#b4c0cc}
.small,.level{fill:#b4c0cc}.count{fill:#8cc2f5}
.room{fill:#202c38;stroke:#5b6f82}.arrow{stroke:#6cb0f0;opacity:.45}.head{fill:#6cb0f0}
.flow{stroke:#5b6f82}.tip{fill:#5b6f82}}
""".strip().replace("\n", "")


# What the code says


def _rooms() -> dict[str, Room]:
    named = {name for _, names in FLOORS for name in names}
    there = {each.stem for each in PACKAGE.iterdir() if each.suffix == ".py" or (each / "__init__.py").exists()}
    there = {name for name in there if not name.startswith("_")}
    if named != there:
        raise ValueError(f"rooms on disk and on the floors of the drawing differ: {sorted(named ^ there)}")
    rooms = {}
    for floor, (_, names) in enumerate(FLOORS):
        gap = (WIDTH - LEFT - MARGIN - ROOM_WIDTH * len(names)) / (len(names) + 1)
        for place, name in enumerate(names):
            takes, gives = _sentences(name)
            x = LEFT + gap + place * (ROOM_WIDTH + gap)
            rooms[name] = Room(name=name, floor=floor, x=x, y=TOP + floor * PITCH + 20, takes=takes, gives=gives)
    return rooms


def _sentences(room: str) -> tuple[str, str]:
    path = PACKAGE / room / "__init__.py"
    if not path.exists():
        return "", ""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    found = re.search(r"Takes: (.+?)\. Gives: (.+?)\.$", text)
    return (found[1], found[2]) if found else ("", "")


def _arrows() -> list[Arrow]:
    graph = grimp.build_graph("nightmill", cache_dir=None)
    counts: dict[tuple[str, str], int] = {}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = (_room_of(importer), _room_of(imported))
            if pair[0] != pair[1] and all(pair):
                counts[pair] = counts.get(pair, 0) + 1
    return [Arrow(source=source, target=target, count=count) for (source, target), count in sorted(counts.items())]


def _room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _words(arrows: list[Arrow]) -> str:
    sources = dict.fromkeys(arrow.source for arrow in arrows)
    says = (f"{one} imports {', '.join(each.target for each in arrows if each.source == one)}" for one in sources)
    return "; ".join(says) + "."


# What is drawn


def _floors() -> list[str]:
    parts = []
    for floor, (level, names) in enumerate(FLOORS):
        y = TOP + floor * PITCH
        parts.append(f'<rect class="floor" x="{MARGIN}" y="{y + 10}" width="{WIDTH - 2 * MARGIN}" height="84" rx="8"/>')
        parts.append(f'<text class="level" x="{MARGIN + 12}" y="{y + 56}">{level}</text>')
        if level == "ground":
            parts += _flow(len(names), y + 20 + ROOM_HEIGHT / 2)
    return parts


def _flow(count: int, y: float) -> list[str]:
    gap = (WIDTH - LEFT - MARGIN - ROOM_WIDTH * count) / (count + 1)
    parts = []
    for place in range(1, count):
        start = LEFT + place * (ROOM_WIDTH + gap)
        parts.append(f'<path class="flow" d="M{start:.0f} {y:.0f}H{start + gap - 5:.0f}"/>')
        parts.append(_tip("tip", start + gap, y, "right"))
    return parts


def _lines(rooms: dict[str, Room], arrows: list[Arrow]) -> list[str]:
    """Arrows leave at the bottom and arrive at the top, side by side in the order of their other ends."""
    outs = {name: _ports(name, rooms, [arrow.target for arrow in arrows if arrow.source == name]) for name in rooms}
    ins = {name: _ports(name, rooms, [arrow.source for arrow in arrows if arrow.target == name]) for name in rooms}
    parts = []
    for arrow in arrows:
        source, target = rooms[arrow.source], rooms[arrow.target]
        x1, x2 = outs[arrow.source][arrow.target], ins[arrow.target][arrow.source]
        width = min(1 + arrow.count / 4, 4)
        if source.floor == target.floor:  # over the roofs of the floor
            y1 = y2 = target.y - 5
            path = f"M{x1:.1f} {source.y}C{x1:.1f} {y1 - 26} {x2:.1f} {y2 - 26} {x2:.1f} {y2}"
        else:
            y1, y2 = source.y + ROOM_HEIGHT, target.y - 5
            bend = (y2 - y1) / 2
            path = f"M{x1:.1f} {y1}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2}"
        title = f"{arrow.source} imports {arrow.target}: {arrow.count}"
        parts.append(f'<path class="arrow" stroke-width="{width:.2f}" d="{path}"><title>{title}</title></path>')
        parts.append(_tip("head", x2, target.y, "down"))
    return parts


def _ports(name: str, rooms: dict[str, Room], others: list[str]) -> dict[str, float]:
    ordered = sorted(others, key=lambda other: rooms[other].x + ROOM_WIDTH / 2)
    step = (ROOM_WIDTH - 24) / (len(ordered) + 1)
    return {other: rooms[name].x + 12 + step * (place + 1) for place, other in enumerate(ordered)}


def _tip(kind: str, x: float, y: float, way: str) -> str:
    corners = "l-3.5 -6h7z" if way == "down" else "l-6 -3.5v7z"
    return f'<path class="{kind}" d="M{x:.1f} {y:.1f}{corners}"/>'


def _boxes(rooms: dict[str, Room], arrows: list[Arrow]) -> list[str]:
    parts = []
    for room in rooms.values():
        x, y = f"{room.x + 12:.0f}", room.y
        box = f'x="{room.x:.0f}" y="{y}" width="{ROOM_WIDTH}" height="{ROOM_HEIGHT}" rx="7"'
        parts.append(f'<rect class="room" {box}/>')
        parts.append(f'<text class="name" x="{x}" y="{y + 22}">{room.name}</text>')
        users = sum(arrow.target == room.name for arrow in arrows)
        if room.name in EVERYWHERE:
            parts.append(f'<text class="count" x="{x}" y="{y + 40}">used by {users} rooms</text>')
        for line, (mark, text) in enumerate((("←", room.takes), ("→", room.gives))):
            if text:
                short = textwrap.shorten(text, 27, placeholder=" …")
                parts.append(f'<text class="small" x="{x}" y="{y + 39 + 15 * line}">{mark} {escape(short)}</text>')
    return parts
