"""Commit, branch, evidence and pull request. Takes: Verdict. Gives: Change."""

from __future__ import annotations

from nightmill.change.compose import body, branch_name, message, subject
from nightmill.change.land import land
from nightmill.change.nouns import Edited, Judged, Landed, Landing, Made

__all__ = ["Edited", "Judged", "Landed", "Landing", "Made", "body", "branch_name", "land", "message", "subject"]
