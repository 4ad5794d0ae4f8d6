"""The task gateway: any ask becomes an approved blueprint with inputs, or a question back. Takes: Ask. Gives: Assignment."""

from __future__ import annotations

from nightmill.intake.gateway import Gateway
from nightmill.intake.nouns import Answer, Offer, Surroundings

__all__ = ["Answer", "Gateway", "Offer", "Surroundings"]
