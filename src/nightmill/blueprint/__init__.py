"""The noun: a versioned process of deterministic and agent steps; parse, validate, draw. Takes: file. Gives: Blueprint."""

from __future__ import annotations

from nightmill.blueprint.check import Known, checked, faults
from nightmill.blueprint.nouns import Blueprint, Input, Step, kind, walk
from nightmill.blueprint.reading import parse, schema

__all__ = ["Blueprint", "Input", "Known", "Step", "checked", "faults", "kind", "parse", "schema", "walk"]
