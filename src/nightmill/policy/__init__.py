"""Who may do what, and what it may cost. Takes: what is known of a change. Gives: Decision."""

from __future__ import annotations

from nightmill.policy.budget import Budget, Spent, reserve
from nightmill.policy.decide import Decision, Reason, address, decide, reviewers
from nightmill.policy.facts import Approval, Author, Changed, Facts, Finding, Proof, Record, Review
from nightmill.policy.kinds import KINDS, is_test
from nightmill.policy.ladder import FOOTPRINT, NETWORK, TAKEABLE, WINDOW, WORDS, measure, records
from nightmill.policy.nouns import Bounds, Measure, Policy, Rule, Rung, least
from nightmill.policy.paths import covers
from nightmill.policy.purse import Purse
from nightmill.policy.reading import agree, said

__all__ = [
    "FOOTPRINT",
    "KINDS",
    "NETWORK",
    "TAKEABLE",
    "WINDOW",
    "WORDS",
    "Approval",
    "Author",
    "Bounds",
    "Budget",
    "Changed",
    "Decision",
    "Facts",
    "Finding",
    "Measure",
    "Policy",
    "Proof",
    "Purse",
    "Reason",
    "Record",
    "Review",
    "Rule",
    "Rung",
    "Spent",
    "address",
    "agree",
    "covers",
    "decide",
    "is_test",
    "least",
    "measure",
    "records",
    "reserve",
    "reviewers",
    "said",
]
