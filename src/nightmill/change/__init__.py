"""Commit, branch, evidence and pull request. Takes: Verdict. Gives: Change."""
