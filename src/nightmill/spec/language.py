"""The words of a spec, line by line: what pleases and says nothing, what is left open, what is still to be written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nightmill.spec import words
from nightmill.spec.entries import entries
from nightmill.spec.gather import kinds
from nightmill.spec.nouns import Flaw, Spec
from nightmill.spec.outline import Outline, Prose, outline

__all__ = ["Text", "comments", "hedge_flaws", "placeholder_flaws", "question_flaws", "texts", "weasel_flaws"]

STATED = frozenset({"requirements", "requirement", "story", "criteria", "criterion", "goal", "title"})
ASKED = frozenset({"questions", "notes", *STATED})
MAIN = frozenset({"spec.md", "requirements.md", "proposal.md"})
CLOSED = ("none", "n/a", "no open questions", "nothing", "resolved", "all resolved")
ANSWERED = ("answer:", "decided:", "decision:", "resolved:", "\u2192", "->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One Markdown file of a spec. *file* is "" where it is the only one; *main*: it holds what is to be built."""

    file: str
    main: bool
    outline: Outline
    kinds: list[str]

    def stated(self) -> Iterator[Prose]:
        """Lines that say what to build, why, or how to see it."""
        if self.main:
            yield from (line for line in self.outline.prose if self.kinds[line.section] in STATED)


def texts(spec: Spec) -> list[Text]:
    """The Markdown files of *spec*, each with its own line numbers."""
    lines = spec.text.split("\n")
    several = len(spec.files) > 1
    found: list[Text] = []
    for index, file in enumerate(spec.files):
        # The next file's heading and the blank lines around it stand between the two.
        end = spec.files[index + 1].line - 4 if index + 1 < len(spec.files) else len(lines)
        if file.markdown:
            read = outline("\n".join(lines[file.line - 1 : end]))
            main = not several or file.name.rpartition("/")[2] in MAIN
            found.append(Text(file=file.name if several else "", main=main, outline=read, kinds=kinds(read)))
    return found


def placeholder_flaws(text: Text) -> Iterator[Flaw]:
    """What is still to be written, in any file: one flaw a line."""
    for line in text.outline.prose:
        if found := words.placeholders(line.text):
            yield Flaw(
                rule="placeholder",
                message=f"\u201c{found[0][:60]}\u201d is still to be written",
                advice="Replace it with what you mean.",
                line=line.line,
                gate=True,
                file=text.file,
            )


def weasel_flaws(text: Text, line: Prose) -> Iterator[Flaw]:
    """Words in *line* that two people would read differently."""
    for word in words.weasels(line.text):
        yield Flaw(
            rule="weasel-word",
            message=f"\u201c{word}\u201d means something else to everyone",
            advice="Give the value, or what one would see.",
            line=line.line,
            file=text.file,
        )


def hedge_flaws(text: Text, line: Prose) -> Iterator[Flaw]:
    """Words in *line* that say that it is not decided."""
    for word in words.hedges(line.text):
        yield Flaw(
            rule="undecided",
            message=f"\u201c{word}\u201d leaves open whether it is wanted",
            advice="Decide: build it, or put it out of scope.",
            line=line.line,
            file=text.file,
        )


def question_flaws(text: Text) -> Iterator[Flaw]:
    """Questions that the spec asks and does not answer."""
    lines = set(_listed(text)) if text.main else set()
    for line in text.outline.prose if text.main else ():
        kind = text.kinds[line.section]
        if kind in ASKED and words.plain(line.text).rstrip("\"'\u201d)* ").endswith("?") and kind != "title":
            lines.add(line.line)
    for number in sorted(lines):
        yield Flaw(
            rule="open-question",
            message="a question is open",
            advice="Answer it here, or put it out of scope.",
            line=number,
            file=text.file,
        )


def comments(texts: Sequence[Text]) -> Iterator[Flaw]:
    """Instructions of a template that were left in."""
    for text in texts:
        for comment in text.outline.comments:
            if "ACTION REQUIRED" in comment.text:
                yield Flaw(
                    rule="template-comment",
                    message="a comment of the template is left",
                    advice="Do what it says and remove it.",
                    line=comment.line,
                    file=text.file,
                )


def _listed(text: Text) -> Iterator[int]:
    """Lines of the entries under "Open questions" that have no answer beside them."""
    for section, kind in zip(text.outline.sections, text.kinds, strict=True):
        if kind == "questions":
            for entry in entries(section.blocks):
                said = entry.text.lower()
                if not said.strip(" .").startswith(CLOSED) and not any(mark in said for mark in ANSWERED):
                    yield entry.line
