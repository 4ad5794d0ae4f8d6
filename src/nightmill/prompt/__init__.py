"""Prompts in files, assembled from versioned parts. Takes: parts. Gives: Prompt."""

from __future__ import annotations

from nightmill.prompt.assembly import Prompt, part, render

__all__ = ["Prompt", "part", "render"]
