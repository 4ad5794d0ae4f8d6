"""Prompts in files, assembled from versioned parts. Takes: parts. Gives: Prompt."""
