"""How the parts of the live view stand on the screen, as Textual reads it."""

from __future__ import annotations

__all__ = ["CSS"]

CSS = """
Screen { layout: vertical; }
#head { height: auto; max-height: 10; overflow-y: hidden; scrollbar-size-vertical: 0; border-bottom: solid $primary; }
#middle { height: 1fr; }
#talk { width: 2fr; }
#work, #diff { width: 1fr; display: none; border-left: solid $primary; padding-left: 1; }
#asks { height: auto; color: $warning; text-style: bold; display: none; }
#say { border: none; height: 1; padding: 0; background: $boost; }
.work #work, .diff #diff { display: block; }
.narrow #work, .narrow #diff { border-left: none; padding-left: 0; }
.narrow.work #talk, .narrow.diff #talk { display: none; }
ModalScreen { align: center middle; }
#box { width: 90%; max-width: 110; height: auto; max-height: 90%; border: heavy $primary; padding: 0 1; background: $surface; }
#box.whole { height: 90%; }
#words { margin-top: 1; }
"""
