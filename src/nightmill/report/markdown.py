"""Markdown that others wrote, as a page shows it: headings, lists, emphasis and code, and nothing that acts.

Markup in it is text, links and pictures stand as they were written, and signs that nobody sees are shown: what is
looked at here is what a model is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from nightmill.report.text import visible

__all__ = ["markdown"]

INERT = ("link", "image", "autolink", "html_inline", "entity", "escape")
"""What would make something else of what was written."""
PLAIN = ("html_block", "reference")


LETTERS = re.compile(r"[\W\d_]+")


def markdown(text: str) -> Markup:
    """*text* as markup without any effect. One of which Markdown would leave out a letter stays as it is."""
    parser = _parser()
    tokens = parser.parse(text)
    if _letters("".join(f"{each.info} {each.content}" for each in tokens)) != _letters(text):
        return Markup('<div class="say">{}</div>').format(
            visible(text)
        )  # nested too deep, or a table with a cell too many
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - all of the text in it passes `visible`


def _letters(text: str) -> str:
    return LETTERS.sub("", text)


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table").disable([*INERT, *PLAIN])


class _Renderer(RendererHTML):
    """A heading is a line that stands out: where it stands in the outline of the page is not for its author to say."""

    def text(self, tokens: Sequence[Token], idx: int, *_: Any, **__: Any) -> str:
        """Words."""
        return str(visible(tokens[idx].content))

    def code_inline(self, tokens: Sequence[Token], idx: int, *_: Any, **__: Any) -> str:
        """Code among words."""
        return f"<code>{visible(tokens[idx].content)}</code>"

    def fence(self, tokens: Sequence[Token], idx: int, *_: Any, **__: Any) -> str:
        """Lines of code; what language they say they are in stands before them."""
        said = tokens[idx].info.strip()
        named = f'<span class="soft">{visible(said)}</span>\n' if said else ""
        return f"<pre>{named}<code>{visible(tokens[idx].content)}</code></pre>\n"

    code_block = fence

    def heading_open(self, tokens: Sequence[Token], idx: int, *_: Any, **__: Any) -> str:
        """The beginning of a heading."""
        return f'<p class="head {tokens[idx].tag}">'

    def heading_close(self, *_: Any, **__: Any) -> str:
        """Its end."""
        return "</p>\n"
