"""What is asked before something is done that cannot be undone: the question whole, and a line for the words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from nightmill.cli.attach.pane import Pane
from nightmill.cli.attach.scene import Row, clean, paragraphs
from nightmill.cli.attach.typed import Typed
from nightmill.cli.screen import when
from nightmill.desk.nouns import Asked, Verb

__all__ = ["Sure", "Words", "decide", "rewind"]

HEADS = {"approve": "Say yes to", "refuse": "Say no to", "answer": "Answer"}
WORDS = {
    "approve": "Why, for the record (may stay empty)",
    "refuse": "What has to change: it works with that, or ends with it",
    "answer": "The answer, or its number",
}


class Sure(ModalScreen[bool]):
    """One sentence, and yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,escape,q", "dismiss(False)", "No"),
    ]

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence

    def compose(self) -> ComposeResult:
        """Draw it."""
        with Vertical(id="box"):
            yield Static(Text(clean(self.sentence)))
            yield Static(Text("y: yes   n: no", style="bold"))


class Words(ModalScreen[str | None]):
    """What is to be done, whole, and a line for the words that go with it; gives them, None if it is not to be done."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(
        self, head: str, about: str, *, prompt: str, verb: str, text: str = "", options: Sequence[str] = (), must: bool
    ) -> None:
        """*verb* is what enter does; *must*: not without words, of which *options* are those to choose from."""
        super().__init__()
        self.head, self.about, self.prompt, self.verb = head, about, prompt, verb
        self.text, self.options, self.must = text, options, must

    def compose(self) -> ComposeResult:
        """Draw it."""
        with Vertical(id="box", classes="whole" if self.text else ""):
            yield Static(Text(clean(self.head), style="bold"))
            yield Static(Text(clean(self.about)))
            if self.text:
                yield Pane(id="asked")
            for number, option in enumerate(self.options[:20], 1):
                yield Static(Text(f"{number}  {clean(option)}"))
            yield Typed(placeholder=self.prompt, id="words", max_length=4000)
            reads = " · tab: read above" if self.text else ""
            yield Static(Text(f"enter: {self.verb}{reads} · escape: back", style="bold"), id="keys")

    def on_mount(self) -> None:
        """Show what it is about."""
        if self.text:
            self.query_one("#asked", Pane).show([Row(each, most=20) for each in paragraphs(self.text)])
        self.query_one("#words", Typed).focus()

    def on_input_submitted(self, said: Input.Submitted) -> None:
        """Say it, if there is what it needs."""
        said.stop()
        words = self.query_one("#words", Typed).words
        if words not in self.options and words.isdecimal() and 0 < int(words) <= len(self.options):
            words = self.options[int(words) - 1]
        if self.must and not words:
            self.query_one("#keys", Static).update(
                Text("Say something: it is what the run goes on with.", style="bold")
            )
            return
        self.dismiss(words)


def decide(asked: Asked, verb: Verb) -> Words:
    """The question as it was *asked*, and the words with which *verb* is said to it."""
    question = asked.question
    tree = f" · tree {question.tree[:12]}" if question.tree else ""
    until = f" · until {when(question.expires)}" if question.expires else ""
    return Words(
        f"{HEADS[verb]}: {question.title}",
        f"{question.run} · {question.step}{tree} · asked {when(question.created)}{until}",
        prompt=WORDS[verb],
        verb=verb,
        text=asked.text or "There is nothing more to it.",
        options=question.options if verb == "answer" else (),
        must=verb != "approve",
    )


def rewind(run: str, role: str, turn: int) -> Words:
    """A new run from an earlier moment, and what is said to its agent first."""
    return Words(
        f"Go on from {role}'s turn {turn} of {run}, as a new run",
        "It begins with the files and the conversation as they were after that turn. This run stays as it is.",
        prompt="What the agent is to hear first (may stay empty)",
        verb="start it",
        must=False,
    )
