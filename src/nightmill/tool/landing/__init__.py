"""Where an edit lands: where it was meant, or nowhere. Takes: file, old text, new text. Gives: file."""

from __future__ import annotations

from nightmill.tool.landing.land import Landed, apply_edit, apply_lines

__all__ = ["Landed", "apply_edit", "apply_lines"]
