"""Small pictures: a role's avatar, drawn from its name, the shape of a state, and the sign of the house."""

from __future__ import annotations

import hashlib

from markupsafe import Markup

from nightmill.report.element import element

__all__ = ["avatar", "mill", "sign"]

CELL = 10
SHAPES = (
    "M0 0H10V10Z",
    "M0 0L10 10H0Z",
    "M0 0H10A10 10 0 0 1 0 10Z",
    "M10 0V10H0A10 10 0 0 1 10 0Z",
    "M0 0H10V10H0Z",
    "M0 5L5 0L10 5L5 10Z",
    "",
    "M0 0H10L5 10Z",
)

SIGNS = {
    "check": "M8 1A7 7 0 1 0 8 15A7 7 0 1 0 8 1ZM7 11.4L3.8 8.2L5 7L7 9L11 5L12.2 6.2Z",
    "cross": "M8 1L15.5 14.5H0.5ZM7.2 5.5V10.3H8.8V5.5ZM7.2 11.3V12.9H8.8V11.3Z",
    "diamond": "M8 0.5L15.5 8L8 15.5L0.5 8Z",
    "half": "M8 1A7 7 0 1 0 8 15A7 7 0 1 0 8 1ZM8 2.6A5.4 5.4 0 0 1 8 13.4Z",
    "ring": "M8 1A7 7 0 1 0 8 15A7 7 0 1 0 8 1ZM8 3A5 5 0 1 1 8 13A5 5 0 1 1 8 3Z",
    "square": "M2 2H14V14H2ZM5 7V9H11V7Z",
    "bars": "M3 2H6.6V14H3ZM9.4 2H13V14H9.4Z",
    "dash": "M2 6.8H14V9.2H2Z",
}


def sign(shape: str, *, size: int = 14) -> Markup:
    """The shape of a state; its colour is that of the text around it."""
    path = element("path", d=SIGNS.get(shape, SIGNS["dash"]), fill="currentColor", fill_rule="evenodd")
    return element("svg", path, class_="sign", width=size, height=size, viewBox="0 0 16 16", aria_hidden="true")


def avatar(name: str, *, size: int = 28) -> Markup:
    """A square picture of *name*: four cells from its hash, turned four times. The hue is never a state's colour."""
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    hue = 215 + digest[0] * 120 // 255
    cells = [
        element("path", d=shape, transform=f"translate({column * CELL} {row * CELL})")
        for index, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1)))
        if (shape := SHAPES[digest[index + 1] % len(SHAPES)])
    ] or [element("path", d=SHAPES[0])]
    return element(
        "svg",
        element("rect", width=48, height=48, rx=9, fill=f"hsl({hue} 38% 34%)"),
        *_sails(Markup("").join(cells), fill=f"hsl({(hue + 24) % 360} 60% 84%)", middle=24),
        class_="avatar",
        width=size,
        height=size,
        viewBox="0 0 48 48",
        aria_hidden="true",
    )


def mill(*, size: int = 18) -> Markup:
    """The sign of the house: four sails."""
    sails = _sails(element("path", d="M20 3V20H10A10 17 0 0 1 20 3Z"), fill="currentColor", middle=20)
    return element("svg", *sails, class_="mill", width=size, height=size, viewBox="0 0 40 40", aria_hidden="true")


def _sails(sail: Markup, *, fill: str, middle: int) -> list[Markup]:
    shift = f"translate({middle - 2 * CELL} {middle - 2 * CELL})" if middle != 2 * CELL else ""
    return [
        element(
            "g",
            element("g", sail, transform=shift) if shift else sail,
            fill=fill,
            transform=f"rotate({turn} {middle} {middle})",
        )
        for turn in (0, 90, 180, 270)
    ]
