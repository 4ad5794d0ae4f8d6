"""Roles that act: identity, instructions, permissions. Takes: name. Gives: Role."""
