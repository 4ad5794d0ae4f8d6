"""Markdown on a terminal, in which no table cell is cut off: what shows a criterion must be readable in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.markdown import Markdown, TableElement
from rich.table import Table
from rich.theme import Theme

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["markdown"]


GROUND = Theme({"markdown.code": "cyan", "markdown.h2": "bold", "markdown.h3": "bold"})
"""Nothing has a ground of its own: the terminal may be dark or light."""


def markdown(text: str) -> Markdown:
    """*text* as something to print."""
    return _Folding(text, code_theme="ansi_dark")


class _FoldingTable(TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                for column in part.columns:
                    column.overflow = "fold"
            yield part


class _Folding(Markdown):
    elements: ClassVar = {**Markdown.elements, "table_open": _FoldingTable}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(GROUND):
            yield from super().__rich_console__(console, options)
