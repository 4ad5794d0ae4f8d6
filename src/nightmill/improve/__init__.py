"""Repeated work becomes a script for a person to approve, tried before anyone is asked. Takes: Ledger. Gives: Proposals."""

from __future__ import annotations

from nightmill.improve.acts import Act, Trap, acts
from nightmill.improve.bench import Bench, difference, tree_of
from nightmill.improve.distil import Distilled, distil
from nightmill.improve.fewest import fewest
from nightmill.improve.proposal import Proposal
from nightmill.improve.swap import Place, Swap, find, lacking
from nightmill.improve.values import Value, found
from nightmill.improve.visits import TOLD, Visit, spans, visits

__all__ = [
    "TOLD",
    "Act",
    "Bench",
    "Distilled",
    "Place",
    "Proposal",
    "Swap",
    "Trap",
    "Value",
    "Visit",
    "acts",
    "difference",
    "distil",
    "fewest",
    "find",
    "found",
    "lacking",
    "spans",
    "tree_of",
    "visits",
]
