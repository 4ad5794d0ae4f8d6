"""A Markdown text as sections of blocks, each with its line.

Only the block structure is parsed: what stands in code is code, whatever it looks like, and the text inside a
block stays as the author wrote it. The work grows with the length of the text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from nightmill.spec import words

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["LABEL_LEVEL", "Block", "Outline", "Prose", "Section", "outline"]

LABEL_LEVEL = 7
CHECKBOX = re.compile(r"\[([ xX])\](\*?)[ \t]+")
BOLD_LABEL = re.compile(r"\*\*([^*\n]{1,80}?):?\*\*[ \t]*(:?)[ \t]*")
PLAIN_LABEL = re.compile(r"([A-Z][A-Za-z'/& -]{1,40}):(?:[ \t]+|$)")
STEP = re.compile(r"(given|when|then|and|but|if|while|where)\b", re.IGNORECASE)
TITLE_LINE = re.compile(r"title:[ \t]*(.{1,300})$", re.MULTILINE)
TAG = re.compile(r"</?(?:details|summary|br|p|div|span|b|i|em|strong|kbd|sub|sup|img|a|hr|center)\b[^<>]{0,300}>")
FRONT_MATTER = 60
"""Lines within which the front matter must end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One paragraph, list item (with its own paragraphs and code, without the items below it), row or code block.

    *depth* of an item counts from 1; *checked* is None without a checkbox; *number* is a numbered item's own.
    """

    kind: Literal["text", "item", "row", "code"]
    text: str
    line: int
    depth: int = 0
    number: str = ""
    checked: bool | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it up to the next one.

    *level* is 0 before the first heading and 7 for a label ("**Tests:**") that serves as one; *above* are the
    indexes of the sections around it, outermost first.
    """

    title: str
    line: int
    level: int
    above: tuple[int, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """One line of text outside code, and the index of its section."""

    text: str
    line: int
    section: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A whole text. *title* is the one in its front matter, if any."""

    sections: tuple[Section, ...]
    prose: tuple[Prose, ...]
    comments: tuple[Prose, ...] = ()
    title: str = ""


def outline(text: str) -> Outline:
    """Read the structure of *text*."""
    title, body = _front_matter(text)
    walk = _Walk()
    for token in _parser().parse(body):
        walk.take(token)
    return Outline(sections=tuple(walk.sections()), prose=tuple(walk.prose), comments=tuple(walk.comments), title=title)


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - a worker knows specs and never reads one

    # Link definitions are off, or "[NEEDS CLARIFICATION]: which?" would vanish as one.
    parser = MarkdownIt("commonmark").enable("table").disable("reference")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _front_matter(text: str) -> tuple[str, str]:
    """The title in the front matter, and the text with blank lines in its place."""
    lines = text.split("\n", FRONT_MATTER)
    if lines[0].rstrip() != "---":
        return "", text
    for index, line in enumerate(lines[1:-1], start=1):
        if line.rstrip() in ("---", "..."):
            found = TITLE_LINE.search("\n".join(lines[1:index]))
            return found[1].strip().strip("\"'") if found else "", "\n".join([""] * index + ["", *lines[index + 1 :]])
    return "", text


@dataclass(slots=True)
class _Open:
    """A section that is being filled."""

    title: str
    line: int
    level: int
    above: tuple[int, ...]
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class _Item:
    """A list item that is being filled; its place among the blocks is kept from its start."""

    at: tuple[int, int]
    block: Block
    parts: list[str] = field(default_factory=list)


class _Walk:
    """Fold the parser's tokens into sections."""

    def __init__(self) -> None:
        self.open = [_Open(title="", line=1, level=0, above=())]
        self.stack: list[int] = []
        self.prose: list[Prose] = []
        self.comments: list[Prose] = []
        self.items: list[_Item] = []
        self.numbered: list[bool] = []
        self.heading = 0
        self.quote = 0
        self.row: list[str] | None = None

    def take(self, token: Token) -> None:
        """Take the next token in."""
        step = getattr(self, f"_{token.type}", None)
        if step is not None:
            step(token)

    def sections(self) -> Iterator[Section]:
        """What was read so far."""
        for each in self.open:
            yield Section(
                title=each.title, line=each.line, level=each.level, above=each.above, blocks=tuple(each.blocks)
            )

    def _heading_open(self, token: Token) -> None:
        self.heading = int(token.tag[1])

    def _heading_close(self, _: Token) -> None:
        self.heading = 0

    def _blockquote_open(self, _: Token) -> None:
        self.quote += 1

    def _blockquote_close(self, _: Token) -> None:
        self.quote -= 1

    def _bullet_list_open(self, _: Token) -> None:
        self.numbered.append(False)

    def _ordered_list_open(self, _: Token) -> None:
        self.numbered.append(True)

    def _bullet_list_close(self, _: Token) -> None:
        self.numbered.pop()

    _ordered_list_close = _bullet_list_close

    def _list_item_open(self, token: Token) -> None:
        number = token.info if self.numbered[-1] else ""
        block = Block(kind="item", text="", line=_line(token), depth=len(self.numbered), number=number)
        self.items.append(_Item(at=(len(self.open) - 1, len(self.open[-1].blocks)), block=block))
        self.open[-1].blocks.append(block)

    def _list_item_close(self, _: Token) -> None:
        item = self.items.pop()
        section, index = item.at
        self.open[section].blocks[index] = _item(item.block, "\n".join(item.parts))

    def _tr_open(self, _: Token) -> None:
        self.row = []

    def _tr_close(self, _: Token) -> None:
        cells, self.row = self.row or [], None
        line = self.prose[-1].line if self.prose else 1
        if any(cells):
            self.open[-1].blocks.append(Block(kind="row", text=" | ".join(cells), line=line))

    def _thead_close(self, _: Token) -> None:
        if self.open[-1].blocks and self.open[-1].blocks[-1].kind == "row":
            self.open[-1].blocks.pop()  # the names of the columns say nothing themselves

    def _inline(self, token: Token) -> None:
        line = _line(token)
        text = self._spoken(token.content, line)
        if self.heading and not self.items and not self.quote:
            self._begin(title=_one_line(text), line=line, level=self.heading)
            self._tell(text, line)
        elif self.row is not None:
            self.row.append(text)
            self._tell(text, line)
        elif self.items:
            self._tell(text, line)
            self.items[-1].parts.append(text)
        else:
            self._paragraph(text, line)

    def _html_block(self, token: Token) -> None:
        text = TAG.sub("", self._spoken(token.content, _line(token)))
        if text.strip():
            self._tell(text, _line(token))
            if self.items:
                self.items[-1].parts.append(text.strip())
            else:
                self._add("text", text.strip(), _line(token))

    def _fence(self, token: Token) -> None:
        info = token.info.strip().split(maxsplit=1)
        code = f"```{info[0] if info else ''}\n{token.content.rstrip()}\n```"
        if self.items:
            self.items[-1].parts.append(code)
        else:
            self._add("code", code, _line(token))

    _code_block = _fence

    def _begin(self, *, title: str, line: int, level: int) -> None:
        while self.stack and self.open[self.stack[-1]].level >= level:
            self.stack.pop()
        self.open.append(_Open(title=title, line=line, level=level, above=tuple(self.stack)))
        self.stack.append(len(self.open) - 1)

    def _paragraph(self, text: str, line: int) -> None:
        """Add a paragraph, cut where a line begins with a label that serves as a heading."""
        held: list[str] = []
        start = line
        for number, each in enumerate(text.split("\n"), start=line):
            label, rest = _label(each, inside=self.open[-1].level == LABEL_LEVEL)
            if label:
                self._add("text", "\n".join(held), start)
                self._begin(title=label, line=number, level=LABEL_LEVEL)
                held, start = [], number
            held.append(rest)
            self._tell(each, number)
        self._add("text", "\n".join(held), start)

    def _add(self, kind: Literal["text", "code"], text: str, line: int) -> None:
        if text.strip():
            self.open[-1].blocks.append(Block(kind=kind, text=text.strip(), line=line))

    def _tell(self, text: str, line: int) -> None:
        section = len(self.open) - 1
        lines = enumerate(text.split("\n"), start=line)
        self.prose.extend(Prose(text=each, line=number, section=section) for number, each in lines if each.strip())

    def _spoken(self, text: str, line: int) -> str:
        """*text* without its comments, line for line."""
        kept: list[str] = []
        at = 0
        while (start := text.find("<!--", at)) >= 0:
            end = text.find("-->", start)
            stop = len(text) if end < 0 else end + 3
            comment = text[start:stop]
            first = line + text.count("\n", 0, start)
            self.comments.append(Prose(text=comment, line=first, section=len(self.open) - 1))
            kept += [text[at:start], "\n" * comment.count("\n")]
            at = stop
        return "".join([*kept, text[at:]]) if at else text


def _item(block: Block, text: str) -> Block:
    box = CHECKBOX.match(text)
    return replace(
        block,
        text=text[box.end() :] if box else text,
        checked=box[1] != " " if box else None,
        optional=bool(box and box[2]),
    )


def _label(text: str, *, inside: bool) -> tuple[str, str]:
    """The label that *text* begins with, if it serves as a heading, and the rest.

    A bold label that means nothing to us ends the label before it (*inside*), no more.
    """
    bold = BOLD_LABEL.match(text)
    found = bold or PLAIN_LABEL.match(text)
    if not found or STEP.match(found[1]) or words.leading_id(text)[0]:
        return "", text
    rest = text[found.end() :]
    if words.kind_of(found[1], exact=True) and (found[0].rstrip().endswith((":", ":**")) or not rest):
        return found[1].strip(), rest
    return (found[1].strip(), rest) if bold and inside else ("", text)


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 1


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
