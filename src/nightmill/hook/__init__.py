"""Telling programs elsewhere what happened, and hearing forges. Takes: entries of the ledger. Gives: letters that arrived."""

from __future__ import annotations

from nightmill.hook.courier import Courier
from nightmill.hook.hear import is_from, read
from nightmill.hook.letter import Letter, letter
from nightmill.hook.post import Undelivered, post
from nightmill.hook.sign import fresh, signature

__all__ = ["Courier", "Letter", "Undelivered", "fresh", "is_from", "letter", "post", "read", "signature"]
