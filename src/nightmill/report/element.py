"""An SVG element, written so that nothing in it acts."""

from __future__ import annotations

from functools import cache

from markupsafe import Markup, escape

from nightmill.report.text import plain

__all__ = ["element"]


def element(name: str, /, *children: str | Markup, **attributes: str | float) -> Markup:
    """An SVG element. Text is escaped and without effect; `class_` and `stroke_width` lose and change their `_`."""
    written = "".join(f' {_spelled(key)}="{_value(value)}"' for key, value in attributes.items())
    inside = "".join(child if isinstance(child, Markup) else escape(plain(child)) for child in children)
    drawn = f"<{name}{written}>{inside}</{name}>" if children else f"<{name}{written}/>"
    return Markup(drawn)  # noqa: S704 - each part was escaped


@cache
def _spelled(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return escape(plain(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
