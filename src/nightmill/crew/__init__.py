"""Roles that act: identity, instructions, permissions. Takes: name. Gives: Role."""

from __future__ import annotations

from nightmill.crew.identity import Identity, identity, signers
from nightmill.crew.role import Role, load, parse, read_overrides

__all__ = ["Identity", "Role", "identity", "load", "parse", "read_overrides", "signers"]
