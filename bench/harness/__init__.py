"""Nightmill's loop beside the agents that people use, on the same trajectory at the same endpoint."""
