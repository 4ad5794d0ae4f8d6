"""Budgets, and who may do what. Takes: an action. Gives: a decision."""
