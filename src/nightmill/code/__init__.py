"""Tell what the text of a change does. Takes: files before and after. Gives: facts."""

from __future__ import annotations

from nightmill.code.change import Change, is_setup, is_test

__all__ = ["Change", "is_setup", "is_test"]
