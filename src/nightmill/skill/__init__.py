"""What a project knows how to do, told where it fits. Takes: cue. Gives: Skill."""

from __future__ import annotations

from nightmill.skill.choose import FOLDERS, relevant
from nightmill.skill.file import Skill, parse

__all__ = ["FOLDERS", "Skill", "parse", "relevant"]
