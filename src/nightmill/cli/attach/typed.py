"""A line to type in that takes what is pasted whole, with the lines that it has."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from nightmill.cli.attach.scene import paragraphs

__all__ = ["Typed"]

BREAK = "\N{RETURN SYMBOL}"
"""How the end of a line looks in it."""


class Typed(Input):
    """As `Input`, of which `words` is what was meant."""

    @property
    def words(self) -> str:
        """What stands in it, in lines."""
        return self.value.replace(BREAK, "\n").strip()

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()  # of it, of which only the first line would be taken
        event.stop()
        text, chosen = BREAK.join(paragraphs("\n".join(event.text.splitlines()))), self.selection
        room = (self.max_length or len(text)) - len(self.value) + abs(chosen.end - chosen.start)
        if len(text) > room:
            too_long = f"what you paste has {len(text):,} characters, and {room:,} fit: put it in a file of the project and name that"
            self.app.notify(too_long, severity="warning", timeout=12, markup=False)
            return
        self.replace(text, *sorted(chosen))
