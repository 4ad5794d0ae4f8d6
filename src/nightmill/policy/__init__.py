"""Budgets, and who may do what. Takes: an action. Gives: a decision."""

from __future__ import annotations

from nightmill.policy.budget import Budget, Spent, reserve
from nightmill.policy.purse import Purse

__all__ = ["Budget", "Purse", "Spent", "reserve"]
