"""Roles that act: identity, instructions, memory, permissions. Takes: name. Gives: Role."""

from __future__ import annotations

from nightmill.crew.find import Crew, at_commit, find, in_folder, shipped
from nightmill.crew.identity import identity, signers
from nightmill.crew.memory import Memory, Note, Page
from nightmill.crew.role import Role, parse

__all__ = [
    "Crew",
    "Memory",
    "Note",
    "Page",
    "Role",
    "at_commit",
    "find",
    "identity",
    "in_folder",
    "parse",
    "shipped",
    "signers",
]
