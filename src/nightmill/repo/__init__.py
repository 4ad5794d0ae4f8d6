"""Git, run so that no repository can make it run anything. Takes: Repo. Gives: Commit, Diff, Bundle."""

from __future__ import annotations

from nightmill.repo.checkout import Checkout, inspect, tracked
from nightmill.repo.git import HOST, Git, shown
from nightmill.repo.history import Change, Commit, Diff, File, History
from nightmill.repo.hub import Author, Hub, Merge
from nightmill.repo.suspicion import Finding, suspicious

__all__ = [
    "HOST",
    "Author",
    "Change",
    "Checkout",
    "Commit",
    "Diff",
    "File",
    "Finding",
    "Git",
    "History",
    "Hub",
    "Merge",
    "inspect",
    "shown",
    "suspicious",
    "tracked",
]
