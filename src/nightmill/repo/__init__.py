"""Git, run so that no repository can make it run anything. Takes: Repo. Gives: Commit, Diff, Bundle."""

from __future__ import annotations

from nightmill.repo.checkout import Checkout, inspect, tracked
from nightmill.repo.git import Git, shown
from nightmill.repo.history import Change
from nightmill.repo.hub import Author, Hub
from nightmill.repo.suspicion import suspicious

__all__ = [
    "Author",
    "Change",
    "Checkout",
    "Git",
    "Hub",
    "inspect",
    "shown",
    "suspicious",
    "tracked",
]
